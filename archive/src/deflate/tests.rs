use std::io::{Read, Write};

use flate2::read::DeflateDecoder;
use proptest::prelude::*;

use super::huffman;
use super::{Level, PIECE, Packer, Window};

/// Compresses bytes piece by piece, each cut also where `cuts` says, and each with a window and a packer of its own.
fn pack(bytes: &[u8], cuts: &[usize], level: Level) -> Vec<u8> {
    let mut out = Vec::new();
    let mut window = Window::default();
    let mut at = 0;
    let mut cuts = cuts.to_vec();
    cuts.sort_unstable();
    for end in cuts.into_iter().chain([bytes.len()]) {
        let mut rest = &bytes[at.min(end)..end];
        at = at.max(end);
        loop {
            rest = window.fill(rest);
            let last = rest.is_empty() && at == bytes.len() && end == bytes.len();
            let mut packer = Packer::default();
            packer.pack(&window, level, last).unwrap();
            out.extend_from_slice(packer.packed());
            let mut next = Window::default();
            next.follow(&window);
            window = next;
            if rest.is_empty() {
                break;
            }
        }
        if end == bytes.len() {
            break;
        }
    }
    out
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut decoder = DeflateDecoder::new(packed);
    decoder.read_to_end(&mut bytes).unwrap();
    assert_eq!(decoder.total_in(), packed.len() as u64, "the stream ends where its bytes end");
    bytes
}

fn rows(count: usize) -> Vec<u8> {
    let mut out = b"{\"list\":[".to_vec();
    let mut dice = 7u64;
    for row in 0..count {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        write!(
            out,
            "{{\"Date\":\"2026-10-{:02} {:02}:{:02}:07\",\"Link\":\"https://clips.example/video/73{:017}/\",\"Title\":\"№ {}\"}},",
            1 + row % 28,
            dice >> 59,
            dice >> 33 & 31,
            dice % 100_000_000_000_000_000,
            dice >> 50,
        )
        .unwrap();
    }
    out
}

/// Bytes that nothing can be made of.
fn noise(length: usize) -> Vec<u8> {
    let mut dice = 1u64;
    std::iter::repeat_with(|| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice as u8
    })
    .take(length)
    .collect()
}

const LEVELS: [Level; 4] = [Level::Fast, Level::Zlib(2), Level::Zlib(6), Level::Zlib(9)];

#[test]
fn what_goes_in_comes_out() {
    let mut mixed = rows(2_000);
    mixed.extend(noise(100_000));
    mixed.extend(vec![b'a'; 300_000]);
    mixed.extend(rows(2_000));
    for level in LEVELS {
        for bytes in
            [vec![], vec![7], b"abcabcabcabcabc".to_vec(), vec![0; 1_000_000], rows(6_000), noise(700_000), mixed.clone()]
        {
            assert!(unpack(&pack(&bytes, &[], level)) == bytes, "{level:?}, {} bytes", bytes.len());
        }
        for length in [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE] {
            let bytes = &rows(6_000)[..length];
            assert!(unpack(&pack(bytes, &[], level)) == bytes, "{level:?}, {length} bytes");
        }
    }
}

#[test]
fn noise_grows_by_next_to_nothing_and_repetition_vanishes() {
    let bytes = noise(1_000_000);
    assert!(pack(&bytes, &[], Level::Fast).len() < bytes.len() + bytes.len() / 5_000);
    assert!(pack(&vec![b'x'; 1_000_000], &[], Level::Fast).len() < 3_000);
    assert_eq!(pack(&[], &[], Level::Fast).len(), 2);
}

#[test]
fn rows_are_no_more_than_eight_in_a_hundred_larger_than_zlib_s_six() {
    let bytes = rows(20_000);
    let (fast, six) = (pack(&bytes, &[], Level::Fast).len(), pack(&bytes, &[], Level::Zlib(6)).len());
    assert!(fast * 100 < six * 108, "{fast} against {six}");
}

/// A window keeps what was in it before beyond its end, and a packer its table. Neither may show.
#[test]
fn what_was_there_before_does_not_show() {
    let bytes = rows(300);
    for length in [0, 1, 5, 6, 7, 100, 300, 5_000, bytes.len()] {
        let part = &bytes[..length];
        let mut packer = Packer::default();
        let mut window = Window::default();
        for before in [&[][..], &bytes, &noise(PIECE), &vec![b'"'; PIECE]] {
            for level in LEVELS {
                window.clear();
                let _ = window.fill(before);
                packer.pack(&window, level, false).unwrap();
                window.clear();
                let _ = window.fill(part);
                packer.pack(&window, level, true).unwrap();
                assert!(packer.packed() == pack(part, &[], level), "{length} bytes");
                assert!(unpack(packer.packed()) == part);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_any_cuts(
        parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), 1usize..400), 0..40),
        cuts in prop::collection::vec(0usize..60_000, 0..4),
    ) {
        let bytes: Vec<u8> = parts.into_iter().flat_map(|(part, times)| part.repeat(times)).collect();
        let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < bytes.len()).collect();
        prop_assert!(unpack(&pack(&bytes, &cuts, Level::Fast)) == bytes);
    }

    #[test]
    fn codes_are_whole_and_not_too_long(counts in prop::collection::vec(prop_oneof![Just(0u32), 1u32..50, 1u32..300_000], 2..288), longest in 9usize..=15) {
        let mut lengths = vec![0; counts.len()];
        huffman::lengths(&counts, longest, &mut lengths);
        // Kraft's sum is one: nothing is wasted, and no two codes are the same.
        let sum: u64 = lengths.iter().filter(|length| **length > 0).map(|length| 1u64 << (15 - length)).sum();
        prop_assert_eq!(sum, 1 << 15);
        for (count, length) in counts.iter().zip(&lengths) {
            prop_assert!(*length as usize <= longest);
            prop_assert!(*count == 0 || *length > 0);
        }
    }
}

/// Counts like Fibonacci's make the deepest tree, far deeper than a code may be.
#[test]
fn the_deepest_tree_is_made_shallow() {
    let mut counts = [0u32; 32];
    let (mut one, mut two) = (1, 1);
    for count in &mut counts {
        *count = one;
        (one, two) = (two, one + two);
    }
    for longest in [5, 7, 14] {
        let mut lengths = [0; 32];
        huffman::lengths(&counts, longest, &mut lengths);
        assert_eq!(lengths.iter().map(|length| 1u32 << (15 - length)).sum::<u32>(), 1 << 15, "{longest}");
    }
}
