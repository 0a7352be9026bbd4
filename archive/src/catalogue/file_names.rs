//! The files that sections have in archives of one file a section.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::Catalogue;
use super::rules::unsafe_file_name;

/// Bytes that a part of a name may have, so that with a mark and an ending it stays good everywhere.
const LONGEST_PART: usize = 80;
/// Bytes that a whole name may have: some systems take no more than 260, the folder that it is unpacked into included.
const LONGEST: usize = 180;

impl Catalogue {
    /// For each section its file in an NDJSON or CSV archive, without the ending: its path, with `/` between its keys. Where a key is no
    /// good as a name on some system, or two names would be one file there, a mark of the path stands behind the name. A section that is
    /// added behind the others never changes the names of those before it.
    pub fn file_names(&self) -> Vec<String> {
        let mut taken = HashSet::new();
        self.sections
            .iter()
            .map(|section| {
                let mut digits = 0;
                loop {
                    let name = file_name(&section.path, digits);
                    if taken.insert(name.to_lowercase()) {
                        break name;
                    }
                    digits += 8;
                }
            })
            .collect()
    }
}

/// The path as a name. `digits` of the path's hash stand behind it, and eight where a part of it had to be changed.
fn file_name(path: &[String], digits: usize) -> String {
    let mut changed = false;
    let mut parts: Vec<String> = Vec::with_capacity(path.len());
    for key in path {
        let part = safe(key);
        changed |= part != *key;
        parts.push(part);
    }
    if parts.iter().map(|part| part.len() + 1).sum::<usize>() > LONGEST {
        parts.drain(..parts.len().saturating_sub(1));
        changed = true;
    }
    let mut name = parts.join("/");
    let digits = if changed { digits + 8 } else { digits };
    if digits > 0 {
        let mut hash = Sha256::new();
        for key in path {
            hash.update((key.len() as u64).to_le_bytes());
            hash.update(key);
        }
        name.push('~');
        let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        name.extend(hex.chars().take(digits));
    }
    name
}

/// A key as one part of a name.
fn safe(key: &str) -> String {
    let mut part: String = key.chars().map(|c| if c.is_control() || "<>:\"/\\|?*~".contains(c) { '_' } else { c }).collect();
    if part.len() > LONGEST_PART {
        let end = (0..=LONGEST_PART).rev().find(|end| part.is_char_boundary(*end)).unwrap_or_default();
        part.truncate(end);
    }
    let trimmed = part.trim_matches(' ').trim_end_matches(['.', ' ']);
    // What ends like a file must not be a folder.
    let lower = trimmed.to_lowercase();
    if trimmed.is_empty()
        || unsafe_file_name(trimmed).is_some()
        || crate::manifest::is_reserved(trimmed)
        || lower.ends_with(".ndjson")
        || lower.ends_with(".csv")
    {
        format!("_{}_", trimmed)
    } else {
        trimmed.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn good_names_stay() {
        assert_eq!(
            file_name(&path(&["Your Activity", "Watch History", "VideoList"]), 0),
            "Your Activity/Watch History/VideoList"
        );
        assert_eq!(file_name(&path(&["Ordrer", "Ünïcode ☂"]), 0), "Ordrer/Ünïcode ☂");
    }

    #[test]
    fn bad_names_are_changed_and_marked() {
        for (keys, begins) in [
            (&["..", "x"] as &[&str], "__/x~"),
            (&["a/b", "c"], "a_b/c~"),
            (&["", "c"], "__/c~"),
            (&["CON", "c"], "_CON_/c~"),
            (&["x.csv", "c"], "_x.csv_/c~"),
            (&["a", " b. "], "a/b~"),
            (&["a\u{0}\n", "b"], "a__/b~"),
        ] {
            let name = file_name(&path(keys), 0);
            assert_eq!(name.rsplit_once('~').map(|(name, mark)| (format!("{name}~"), mark.len())), Some((begins.to_owned(), 8)));
        }
        assert_ne!(file_name(&path(&["a/b", "c"]), 0), file_name(&path(&["a?b", "c"]), 0));
    }

    proptest! {
        #[test]
        fn every_name_is_good_and_there_is_one_for_each_path(
            one in prop::collection::vec("[a-bA-B./:~ é]{0,4}|con|[x☂]{60,90}", 1..6),
            other in prop::collection::vec("[a-bA-B./:~ é]{0,4}|con|[x☂]{60,90}", 1..6),
        ) {
            let (a, b) = (file_name(&one, 0), file_name(&other, 0));
            prop_assert_eq!(a == b, one == other);
            for name in [a, b] {
                prop_assert!(name.len() <= 200, "{}", name);
                for part in name.split('/') {
                    prop_assert_eq!(unsafe_file_name(part), None, "{}", name);
                }
            }
        }
    }
}
