//! Two multisets of rows, compared in bounded memory: what does not fit waits in a file without a name, by buckets of its keys.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// A hash that two different rows do not share.
pub(super) type Hash = [u8; 16];

const BUCKETS: usize = 256;
/// Bytes that a bucket holds before they go to the file.
const CHUNK: usize = 8 << 10;
const RECORD: usize = 4 + 16 + 16;

/// One side's rows.
pub(super) struct Side {
    buckets: Vec<Vec<u8>>,
    /// Which bucket each chunk of the file is of.
    chunks: Vec<u8>,
    file: Option<File>,
}

impl Default for Side {
    fn default() -> Self {
        Self { buckets: vec![Vec::new(); BUCKETS], chunks: Vec::new(), file: None }
    }
}

impl Side {
    /// A row of a place, by what identifies it and by what it holds.
    pub(super) fn add(&mut self, place: u32, key: &Hash, content: &Hash) -> io::Result<()> {
        let at = key[0];
        let Some(bucket) = self.buckets.get_mut(usize::from(at)) else { return Ok(()) };
        bucket.extend_from_slice(&place.to_le_bytes());
        bucket.extend_from_slice(key);
        bucket.extend_from_slice(content);
        if bucket.len() + RECORD > CHUNK {
            // Every chunk takes the same room.
            bucket.resize(CHUNK, 0xff);
            let file = match &mut self.file {
                Some(file) => file,
                None => self.file.insert(tempfile::tempfile()?),
            };
            file.write_all(bucket)?;
            bucket.clear();
            self.chunks.push(at);
        }
        Ok(())
    }

    fn each(&mut self, at: u8, mut look: impl FnMut(u32, Hash, Hash)) -> io::Result<()> {
        let mut whole = vec![0; CHUNK];
        if let Some(file) = &mut self.file {
            for (chunk, _) in self.chunks.iter().enumerate().filter(|(_, of)| **of == at) {
                file.seek(SeekFrom::Start((chunk * CHUNK) as u64))?;
                file.read_exact(&mut whole)?;
                records(&whole[..CHUNK / RECORD * RECORD], &mut look);
            }
        }
        records(&self.buckets[usize::from(at)], &mut look);
        Ok(())
    }
}

fn records(bytes: &[u8], look: &mut impl FnMut(u32, Hash, Hash)) {
    for record in bytes.chunks_exact(RECORD) {
        let mut place = [0; 4];
        let (mut key, mut content) = ([0; 16], [0; 16]);
        place.copy_from_slice(&record[..4]);
        key.copy_from_slice(&record[4..20]);
        content.copy_from_slice(&record[20..]);
        look(u32::from_le_bytes(place), key, content);
    }
}

/// Records that are not the same on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unlike {
    /// Only on the left, by what they hold.
    pub(super) left: u64,
    /// Only on the right.
    pub(super) right: u64,
}

/// Tells every record, by place and key, that is not the same on both sides.
pub(super) fn compare(left: &mut Side, right: &mut Side, mut tell: impl FnMut(u32, Hash, Unlike)) -> io::Result<()> {
    for at in 0..=u8::MAX {
        let mut counts: BTreeMap<(u32, Hash, Hash), i64> = BTreeMap::new();
        left.each(at, |place, key, content| *counts.entry((place, key, content)).or_default() += 1)?;
        right.each(at, |place, key, content| *counts.entry((place, key, content)).or_default() -= 1)?;
        let mut here: Option<((u32, Hash), Unlike)> = None;
        for ((place, key, _), count) in counts.into_iter().filter(|(_, count)| *count != 0) {
            if let Some((of, unlike)) = here.take_if(|(of, _)| *of != (place, key)) {
                tell(of.0, of.1, unlike);
            }
            let (_, unlike) = here.get_or_insert(((place, key), Unlike::default()));
            match count {
                1.. => unlike.left += count.unsigned_abs(),
                _ => unlike.right += count.unsigned_abs(),
            }
        }
        if let Some((of, unlike)) = here {
            tell(of.0, of.1, unlike);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> Hash {
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        hash[8..].copy_from_slice(&number.to_le_bytes());
        hash
    }

    #[test]
    fn what_is_unlike_is_found_among_many() {
        let (mut left, mut right) = (Side::default(), Side::default());
        let many = 150_000;
        for number in 0..many {
            left.add(1, &hash(number), &hash(number + 7)).unwrap();
            // The other side comes in another order.
            let number = many - 1 - number;
            right.add(1, &hash(number), &hash(if number == 4711 { 0 } else { number + 7 })).unwrap();
        }
        assert!(left.file.is_some(), "it went to the file");
        left.add(2, &hash(1), &hash(1)).unwrap();
        left.add(2, &hash(1), &hash(1)).unwrap();
        right.add(2, &hash(1), &hash(1)).unwrap();
        right.add(3, &hash(5), &hash(5)).unwrap();
        let mut told = Vec::new();
        compare(&mut left, &mut right, |place, key, unlike| told.push((place, key, unlike.left, unlike.right))).unwrap();
        told.sort_unstable();
        assert_eq!(told, [(1, hash(4711), 1, 1), (2, hash(1), 1, 0), (3, hash(5), 0, 1)]);
    }
}
