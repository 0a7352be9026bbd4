//! The operator's key file, and what is sealed by it: client secrets and the keys of archives.
//!
//! The file holds one key a line, `<id> <base64 of 32 bytes> <made at, seconds>`, the newest first. It is made at first start with mode 0600
//! and never enters the store. A sealed value says which key sealed it and for what: one moved to another row or purpose does not open.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::clock::Millis;
use crate::ids::Random;

/// How long a replaced key stays in the file: servers that seal while keys are rotated may still use it.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// The keys of an installation.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    random: Random,
    ring: RwLock<Ring>,
}

struct Ring {
    keys: Vec<Key>,
    /// When the file was last changed, to see a rotation by another process.
    changed: Option<SystemTime>,
}

struct Key {
    id: u32,
    bytes: Zeroizing<[u8; 32]>,
    made_at: i64,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| key.id)).finish()
    }
}

/// A key file that cannot be used, or a sealed value that does not open.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the key file {path} cannot be used: {cause}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A line is not as it should be.
    #[error(
        "the key file {0} is damaged: each line must hold an id, a key in base64 and a time. Restore it from a backup; without it nothing sealed opens."
    )]
    Damaged(PathBuf),
    /// Others can read it.
    #[error("the key file {0} can be read by others: run chmod 600 on it")]
    Exposed(PathBuf),
    /// Sealed by a key that is not in the file, for something else, or altered.
    #[error("a sealed value does not open: it was sealed by a key that is not in the key file, or was altered")]
    Closed,
}

impl Keys {
    /// Reads the key file, or makes it with one new key.
    pub fn open(path: &Path, random: &Random, now: Millis) -> Result<Self, KeyError> {
        let file = |cause| KeyError::File { path: path.to_owned(), cause };
        if !path.try_exists().map_err(file)? {
            write(path, &[Key::new(random, now)], true).map_err(file)?;
        }
        let ring = RwLock::new(read(path)?);
        Ok(Self(Arc::new(Shared { path: path.to_owned(), random: random.clone(), ring })))
    }

    /// Seals a value for a purpose such as `archive 12345`.
    pub fn seal(&self, purpose: &str, value: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.refresh()?;
        let ring = self.0.ring.read().unwrap_or_else(PoisonError::into_inner);
        let key = ring.keys.first().ok_or_else(|| KeyError::Damaged(self.0.path.clone()))?;
        let nonce: [u8; 12] = self.0.random.bytes();
        let payload = Payload { msg: value, aad: purpose.as_bytes() };
        let sealed = key.cipher().encrypt(&Nonce::from(nonce), payload).map_err(|_| KeyError::Closed)?;
        Ok([&key.id.to_be_bytes()[..], &nonce, &sealed].concat())
    }

    /// Opens what [`Keys::seal`] made for the same purpose.
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let (id, rest) = sealed.split_first_chunk::<4>().ok_or(KeyError::Closed)?;
        let (nonce, sealed) = rest.split_first_chunk::<12>().ok_or(KeyError::Closed)?;
        let id = u32::from_be_bytes(*id);
        if !self.holds(id) {
            self.refresh()?;
        }
        let ring = self.0.ring.read().unwrap_or_else(PoisonError::into_inner);
        let key = ring.keys.iter().find(|key| key.id == id).ok_or(KeyError::Closed)?;
        let payload = Payload { msg: sealed, aad: purpose.as_bytes() };
        let value = key.cipher().decrypt(&Nonce::from(*nonce), payload).map_err(|_| KeyError::Closed)?;
        Ok(Zeroizing::new(value))
    }

    /// Whether a sealed value was sealed by the newest key.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        let ring = self.0.ring.read().unwrap_or_else(PoisonError::into_inner);
        let newest = ring.keys.first().map(|key| key.id.to_be_bytes());
        newest.is_some_and(|id| sealed.starts_with(&id))
    }

    /// Puts a new key in front. Older ones stay for opening; those replaced more than a day ago are dropped, so whoever calls this has
    /// resealed everything after the last time. Gives the new key's id.
    pub fn rotate(&self, now: Millis) -> Result<u32, KeyError> {
        // Another process may have rotated since we looked: its key must not be written over.
        self.refresh()?;
        let mut ring = self.0.ring.write().unwrap_or_else(PoisonError::into_inner);
        let limit = (now - OVERLAP).seconds();
        let replaced_at: Vec<i64> = std::iter::once(i64::MAX).chain(ring.keys.iter().map(|key| key.made_at)).collect();
        let mut at = 0;
        ring.keys.retain(|_| {
            at += 1;
            replaced_at[at - 1] > limit
        });
        ring.keys.insert(0, Key::new(&self.0.random, now));
        write(&self.0.path, &ring.keys, false).map_err(|cause| KeyError::File { path: self.0.path.clone(), cause })?;
        ring.changed = changed(&self.0.path);
        Ok(ring.keys[0].id)
    }

    /// Keeps other processes from rotating until the file it gives is dropped.
    pub fn lock(&self) -> Result<fs::File, KeyError> {
        let path = self.0.path.with_extension("lock");
        let locked = fs::OpenOptions::new().create(true).append(true).open(&path).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|cause| KeyError::File { path, cause })
    }

    fn holds(&self, id: u32) -> bool {
        self.0.ring.read().unwrap_or_else(PoisonError::into_inner).keys.iter().any(|key| key.id == id)
    }

    /// Reads the file again when another process has changed it.
    fn refresh(&self) -> Result<(), KeyError> {
        let known = self.0.ring.read().unwrap_or_else(PoisonError::into_inner).changed;
        if changed(&self.0.path) != known {
            let ring = read(&self.0.path)?;
            *self.0.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        }
        Ok(())
    }
}

impl Key {
    fn new(random: &Random, now: Millis) -> Self {
        Self { id: u32::from_be_bytes(random.bytes()), bytes: Zeroizing::new(random.bytes()), made_at: now.seconds() }
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.bytes).into())
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

fn read(path: &Path) -> Result<Ring, KeyError> {
    let file = |cause| KeyError::File { path: path.to_owned(), cause };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if fs::metadata(path).map_err(file)?.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Exposed(path.to_owned()));
        }
    }
    let changed = changed(path);
    let text = Zeroizing::new(fs::read_to_string(path).map_err(file)?);
    let keys: Option<Vec<Key>> = text.lines().filter(|line| !line.trim().is_empty()).map(parse).collect();
    match keys {
        Some(keys) if !keys.is_empty() => Ok(Ring { keys, changed }),
        _ => Err(KeyError::Damaged(path.to_owned())),
    }
}

fn parse(line: &str) -> Option<Key> {
    let mut words = line.split_whitespace();
    let id = u32::from_str_radix(words.next()?, 16).ok()?;
    let bytes = Zeroizing::new(STANDARD.decode(words.next()?).ok()?);
    let made_at = words.next()?.parse().ok()?;
    Some(Key { id, bytes: Zeroizing::new(bytes.as_slice().try_into().ok()?), made_at })
}

/// Writes the whole file beside the old one and puts it in its place, so that a crash leaves one or the other.
fn write(path: &Path, keys: &[Key], first: bool) -> io::Result<()> {
    fs::create_dir_all(folder(path))?;
    let mut text = Zeroizing::new(String::new());
    for key in keys {
        text.push_str(&format!("{:08x} {} {}\n", key.id, Zeroizing::new(STANDARD.encode(*key.bytes)).as_str(), key.made_at));
    }
    // A name of its own, mode 0600: two processes that start at once must not write into one file.
    let mut file = tempfile::NamedTempFile::new_in(folder(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    let placed = if first {
        // The one that comes first wins, and both go on with its key.
        match file.persist_noclobber(path) {
            Err(lost) if lost.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(lost) => Err(lost.error),
            Ok(_) => Ok(()),
        }
    } else {
        file.persist(path).map(drop).map_err(|lost| lost.error)
    };
    // The name must outlive a power cut as surely as what the key seals.
    #[cfg(unix)]
    fs::File::open(folder(path))?.sync_all()?;
    placed
}

/// The folder of the key file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_values_open_for_their_purpose_only_and_outlive_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let random = Random::seeded(1);
        let keys = Keys::open(&path, &random, Millis(0)).unwrap();
        let sealed = keys.seal("secret 1", b"value").unwrap();
        assert_eq!(keys.unseal("secret 1", &sealed).unwrap().as_slice(), b"value");
        assert!(keys.unseal("secret 2", &sealed).is_err());
        assert!(keys.unseal("secret 1", &sealed[..20]).is_err());
        let mut altered = sealed.clone();
        *altered.last_mut().unwrap() ^= 1;
        assert!(keys.unseal("secret 1", &altered).is_err());

        // Another process rotates; this one sees it.
        let other = Keys::open(&path, &Random::seeded(2), Millis(0)).unwrap();
        assert_eq!(other.unseal("secret 1", &sealed).unwrap().as_slice(), b"value");
        let day = 24 * 60 * 60 * 1000;
        other.rotate(Millis(day * 10)).unwrap();
        assert!(!other.is_current(&sealed));
        let later = other.seal("secret 1", b"later").unwrap();
        assert_eq!(keys.unseal("secret 1", &later).unwrap().as_slice(), b"later");
        assert_eq!(keys.unseal("secret 1", &sealed).unwrap().as_slice(), b"value", "the replaced key stays a day");

        other.rotate(Millis(day * 12)).unwrap();
        assert!(other.unseal("secret 1", &sealed).is_err(), "a key replaced more than a day ago is dropped");
        assert!(other.unseal("secret 1", &later).is_ok());

        // Both rotate, neither having looked in between: neither key is lost.
        keys.rotate(Millis(day * 12)).unwrap();
        let by_one = keys.seal("secret 1", b"one").unwrap();
        other.rotate(Millis(day * 12)).unwrap();
        assert!(keys.unseal("secret 1", &by_one).is_ok() && other.unseal("secret 1", &by_one).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        Keys::open(&path, &Random::seeded(1), Millis(0)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keys::open(&path, &Random::seeded(1), Millis(0)), Err(KeyError::Exposed(_))));
    }
}
