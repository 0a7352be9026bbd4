//! DEFLATE's alphabets of lengths and distances (RFC 1951, 3.2.5), as tables made by the compiler.

/// Symbols of literals, the end of a block, and lengths.
pub(super) const LITERALS: usize = 288;
/// Symbols of distances.
pub(super) const DISTANCES: usize = 30;
/// The symbol that ends a block.
pub(super) const END: usize = 256;
/// The shortest and the longest match.
pub(super) const LONGEST: usize = 258;
/// How far back a match may begin.
pub(super) const FURTHEST: usize = 32 << 10;

/// Extra bits of the 29 symbols of lengths.
pub(super) const LENGTH_EXTRA: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// Extra bits of the 30 symbols of distances.
pub(super) const DISTANCE_EXTRA: [u8; 32] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 0, 0];

/// The first length of each symbol; the last symbol is 258 alone.
pub(super) const LENGTH_BASE: [u16; 29] = {
    let (mut base, mut at, mut symbol) = ([0; 29], 3u16, 0);
    while symbol < 28 {
        base[symbol] = at;
        at += 1 << LENGTH_EXTRA[symbol];
        symbol += 1;
    }
    base[28] = LONGEST as u16;
    base
};

/// The symbol of each length, from 0, which no match has.
pub(super) static LENGTH_SYMBOL: [u8; 259] = {
    let (mut table, mut symbol) = ([0; 259], 0);
    while symbol < 29 {
        let mut at = LENGTH_BASE[symbol] as usize;
        while at < 259 {
            table[at] = symbol as u8;
            at += 1;
        }
        symbol += 1;
    }
    table
};

/// The symbol of a distance less one: its two highest bits say it.
#[inline(always)]
pub(super) fn distance_symbol(less_one: u16) -> usize {
    let value = u32::from(less_one);
    // Below 2 there are no two bits.
    let bits = (value | 1).ilog2();
    let second = value >> (bits.max(1) - 1) & 1;
    (2 * bits + second) as usize & 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first distance of each symbol.
    const DISTANCE_BASE: [u16; 32] = {
        let (mut base, mut at, mut symbol) = ([0; 32], 1u16, 0);
        while symbol < 30 {
            base[symbol] = at;
            at = at.wrapping_add(1 << DISTANCE_EXTRA[symbol]);
            symbol += 1;
        }
        base
    };

    #[test]
    fn every_distance_has_the_symbol_whose_range_it_is_in() {
        for distance in 1..=FURTHEST {
            let symbol = distance_symbol((distance - 1) as u16);
            let base = usize::from(DISTANCE_BASE[symbol]);
            assert!((base..base + (1 << DISTANCE_EXTRA[symbol])).contains(&distance), "{distance}: {symbol}");
        }
        for (length, symbol) in LENGTH_SYMBOL.iter().enumerate().take(LONGEST + 1).skip(3) {
            let symbol = usize::from(*symbol);
            let base = usize::from(LENGTH_BASE[symbol]);
            assert!((base..base + (1 << LENGTH_EXTRA[symbol])).contains(&length), "{length}: {symbol}");
        }
    }
}
