//! Lengths and codes of Huffman codes that are no longer than DEFLATE allows.

/// The longest code of literals and lengths that is made. DEFLATE allows 15; with 14, four literals and what may be left of the byte before
/// fit 64 bits.
pub(super) const LONGEST_LITERAL: usize = 14;
/// The longest code of distances.
pub(super) const LONGEST_DISTANCE: usize = 15;
/// The longest code of code lengths.
pub(super) const LONGEST_LENGTH: usize = 7;

/// Symbols of the largest alphabet.
const MOST: usize = 288;

/// Makes the lengths of a code for symbols that occur so often, none of them longer than `longest`. A symbol that does not occur has no
/// code (0); where fewer than two do, two get one, because some readers refuse a code of one symbol.
pub(super) fn lengths(counts: &[u32], longest: usize, lengths: &mut [u8]) {
    lengths.fill(0);
    let mut order = [0u64; MOST];
    let mut used = 0;
    for (symbol, count) in counts.iter().enumerate() {
        if *count > 0 {
            order[used] = u64::from(*count) << 16 | symbol as u64;
            used += 1;
        }
    }
    if used < 2 {
        let only = order[..used].first().map_or(0, |entry| usize::from(*entry as u16));
        lengths[only] = 1;
        lengths[usize::from(only == 0)] = 1;
        return;
    }
    let order = &mut order[..used];
    order.sort_unstable();
    let mut of_length = depths(order);
    limit(&mut of_length, longest);
    // The rarest get the longest.
    let mut rarest = order.iter();
    for length in (1..=longest).rev() {
        for entry in rarest.by_ref().take(of_length[length] as usize) {
            lengths[usize::from(*entry as u16)] = length as u8;
        }
    }
}

/// Deeper than this no code of 2^32 symbols in all can be: counts would have to grow like Fibonacci's.
const DEEPEST: usize = 48;

/// How many symbols have each depth in Huffman's tree. The symbols are sorted, so two queues serve: leaves, and nodes made of them.
fn depths(order: &[u64]) -> [u32; DEEPEST] {
    let used = order.len();
    let mut weights = [0u64; MOST];
    let mut parents = [0u16; MOST];
    // The parent of each leaf is not needed, only how many leaves hang on each node.
    let mut leaves = [0u8; MOST];
    let (mut leaf, mut node) = (0, 0);
    for made in 0..used - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let next_leaf = order.get(leaf).map(|entry| entry >> 16);
            let next_node = (node < made).then(|| weights[node]);
            match (next_leaf, next_node) {
                (Some(of_leaf), of_node) if of_node.is_none_or(|of_node| of_leaf <= of_node) => {
                    weight += of_leaf;
                    leaves[made] += 1;
                    leaf += 1;
                }
                (_, Some(of_node)) => {
                    weight += of_node;
                    parents[node] = made as u16;
                    node += 1;
                }
                _ => {}
            }
        }
        weights[made] = weight;
    }
    // From the root down; the root is the last made.
    let mut of_length = [0u32; DEEPEST];
    let mut depth = [0u8; MOST];
    for at in (0..used - 1).rev() {
        if at < used - 2 {
            depth[at] = depth[usize::from(parents[at])] + 1;
        }
        of_length[(usize::from(depth[at]) + 1).min(DEEPEST - 1)] += u32::from(leaves[at]);
    }
    of_length
}

/// Takes what is too long to the longest length, and makes room for it by lengthening others.
fn limit(of_length: &mut [u32; DEEPEST], longest: usize) {
    let too_long: u32 = of_length[longest + 1..].iter().sum();
    if too_long == 0 {
        return;
    }
    of_length[longest + 1..].fill(0);
    of_length[longest] += too_long;
    // What all codes take of the space that there is, in units of the longest code; it is more than there is.
    let mut taken: u64 = (1..=longest).map(|length| u64::from(of_length[length]) << (longest - length)).sum();
    while taken > 1 << longest {
        // A leaf one above moves down and takes one of the longest beside it: one unit less.
        if let Some(length) = (1..longest).rev().find(|length| of_length[*length] > 0) {
            of_length[length] -= 1;
            of_length[length + 1] += 2;
            of_length[longest] -= 1;
        }
        taken -= 1;
    }
}

/// The codes to these lengths, each turned around, because DEFLATE puts a code's first bit lowest.
pub(super) fn codes(lengths: &[u8], codes: &mut [u16]) {
    let mut of_length = [0u16; 16];
    for length in lengths {
        of_length[usize::from(*length & 15)] += 1;
    }
    of_length[0] = 0;
    let mut next = [0u16; 16];
    for length in 1..16 {
        next[length] = (next[length - 1] + of_length[length - 1]) << 1;
    }
    for (length, code) in lengths.iter().zip(codes) {
        let length = usize::from(*length & 15);
        *code = if length == 0 { 0 } else { next[length].reverse_bits() >> (16 - length) };
        next[length] = next[length].wrapping_add(1);
    }
}
