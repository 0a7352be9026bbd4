//! Archives in an object store, each sealed by a key of its own.
//!
//! An object is the archive in chunks of 64 KiB, each sealed by AES-256-GCM in the STREAM construction: a chunk that is moved, altered or
//! missing does not open, and any chunk can be opened by itself, which serves ranges. The key is random, is used for one object only, and
//! lies in the archive's row, sealed by the operator's key file. Deleting the row deletes the archive.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aead_stream::{NewStream, StreamBE32, StreamPrimitive};
use aes_gcm::{Aes256Gcm, KeyInit};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use zeroize::Zeroizing;

use crate::clock::Millis;
use crate::{Fault, Platform};

/// Plain bytes in a chunk.
const CHUNK: usize = 64 * 1024;
/// What sealing adds to each.
const TAG: usize = 16;
/// Chunks read at once: a megabyte keeps the store busy and memory small.
const GROUP: u64 = 16;

/// Bytes of a part of an upload.
const PART: usize = 5 * 1024 * 1024;

/// The name of an object: unguessable, and telling whose it is.
pub(crate) fn new_name(platform: &Platform, request_id: i64, attempt: i32) -> String {
    format!("{request_id}/{attempt}-{}", platform.random.uuid())
}

/// Request and attempt of a name that [`new_name`] made; `None` for any other.
pub(crate) fn parse_name(object: &str) -> Option<(i64, i32)> {
    let (request_id, rest) = object.split_once('/')?;
    let (attempt, uuid) = rest.split_once('-')?;
    let uuid = uuid.len() == 36 && uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if uuid { Some((request_id.parse().ok()?, attempt.parse().ok()?)) } else { None }
}

/// Where archives lie.
#[derive(Clone, Debug)]
pub struct Vault {
    store: Arc<dyn ObjectStore>,
    /// The folder, if it is one.
    folder: Option<PathBuf>,
}

/// The key of one object.
#[derive(Clone)]
pub struct ObjectKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ObjectKey(..)")
    }
}

/// The row of an archive.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct ArchiveRow {
    /// Of which request.
    pub request_id: i64,
    /// Made by which attempt.
    pub attempt: i32,
    /// Its name in the vault.
    pub object: String,
    /// Its key, sealed by the operator's.
    pub sealed_key: Vec<u8>,
    /// Plain bytes.
    pub size: i64,
    /// Of the plain bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// When it was put.
    pub created_at: Millis,
}

impl ArchiveRow {
    /// Opens the key.
    pub fn key(&self, platform: &Platform) -> Result<ObjectKey, Fault> {
        open_key(platform, &self.object, &self.sealed_key)
    }

    /// Plain bytes.
    pub fn len(&self) -> u64 {
        u64::try_from(self.size).unwrap_or(0)
    }

    /// Whether there are none; an archive never is.
    pub fn is_empty(&self) -> bool {
        self.size <= 0
    }
}

fn purpose(object: &str) -> String {
    format!("archive {object}")
}

/// Makes a key for an object and seals it by the operator's.
pub(crate) fn new_key(platform: &Platform, object: &str) -> Result<(ObjectKey, Vec<u8>), Fault> {
    let key = ObjectKey(Zeroizing::new(platform.random.bytes()));
    let sealed = platform.keys.seal(&purpose(object), &*key.0)?;
    Ok((key, sealed))
}

/// Opens the key of an object.
pub(crate) fn open_key(platform: &Platform, object: &str, sealed: &[u8]) -> Result<ObjectKey, Fault> {
    let bytes = platform.keys.unseal(&purpose(object), sealed)?;
    let bytes = bytes.as_slice().try_into().map_err(|_| Fault::Row("an object's key".into()))?;
    Ok(ObjectKey(Zeroizing::new(bytes)))
}

/// Seals the key of an object anew under the operator's newest.
pub(crate) fn reseal_key(platform: &Platform, object: &str, sealed: &[u8]) -> Result<Vec<u8>, Fault> {
    let purpose = purpose(object);
    let key = platform.keys.unseal(&purpose, sealed)?;
    Ok(platform.keys.seal(&purpose, &key)?)
}

impl ObjectKey {
    fn stream(&self) -> StreamBE32<Aes256Gcm> {
        // The nonce's fixed part may be the same for all: no two objects share a key.
        StreamBE32::from_aead(Aes256Gcm::new((&*self.0).into()), &Default::default())
    }
}

impl Vault {
    /// A folder on this machine, made if it is not there.
    pub fn folder(path: &Path) -> Result<Self, Fault> {
        std::fs::create_dir_all(path)?;
        let store = LocalFileSystem::new_with_prefix(path)?.with_automatic_cleanup(true).with_fsync(true);
        Ok(Self { store: Arc::new(store), folder: Some(path.to_owned()) })
    }

    /// Seals a file into an object; gives its size in plain bytes and their SHA-256. The object is there whole or not at all.
    pub async fn put(&self, object: &str, key: &ObjectKey, mut file: std::fs::File) -> Result<(u64, String), Fault> {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Bytes>(4);
        let stream = key.stream();
        let sealing = tokio::task::spawn_blocking(move || -> Result<(u64, String), Fault> {
            let mut hash = Sha256::new();
            let mut size = 0u64;
            let mut position = 0u32;
            let mut chunk = read_chunk(&mut file)?;
            loop {
                let next = read_chunk(&mut file)?;
                hash.update(&chunk);
                size += chunk.len() as u64;
                let last = next.is_empty();
                stream
                    .encrypt_in_place(position, last, b"", &mut chunk)
                    .map_err(|_| Fault::Row("a chunk does not seal".into()))?;
                if sender.blocking_send(chunk.into()).is_err() {
                    return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into());
                }
                if last {
                    return Ok((size, hex::encode(hash.finalize())));
                }
                position += 1;
                chunk = next;
            }
        });
        // Two parts under way: what waits for a slow store stays small.
        let mut writer = BufWriter::with_capacity(Arc::clone(&self.store), object.into(), PART).with_max_concurrency(2);
        let written: Result<(), std::io::Error> = async {
            while let Some(chunk) = receiver.recv().await {
                writer.put(chunk).await?;
            }
            Ok(())
        }
        .await;
        drop(receiver);
        let sealed = sealing.await.map_err(|fault| Fault::Row(fault.to_string()))?;
        match (written, sealed) {
            (Ok(()), Ok(done)) => {
                writer.shutdown().await?;
                Ok(done)
            }
            (written, sealed) => {
                // Parts of a broken upload must not stay behind.
                let _ = writer.abort().await;
                written?;
                sealed
            }
        }
    }

    /// The plain bytes of a range, opened as they are read.
    pub fn read(
        &self,
        object: &str,
        key: &ObjectKey,
        size: u64,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, Fault>> + Send + 'static + use<> {
        let store = Arc::clone(&self.store);
        let path = object_store::path::Path::from(object);
        let stream = Arc::new(key.stream());
        let chunk = CHUNK as u64;
        let last = size.saturating_sub(1) / chunk;
        let first = range.start / chunk;
        let groups = (first..=last).step_by(GROUP as usize).take_while({
            let end = range.end;
            move |group| group * chunk < end
        });
        stream::iter(groups).then(move |group| {
            let (store, path, stream, range) = (Arc::clone(&store), path.clone(), Arc::clone(&stream), range.clone());
            async move {
                let until = (group + GROUP - 1).min(last).min(range.end.saturating_sub(1) / chunk);
                let sealed_chunk = (CHUNK + TAG) as u64;
                let sealed_end = if until == last { size + (last + 1) * TAG as u64 } else { (until + 1) * sealed_chunk };
                let sealed = store.get_range(&path, group * sealed_chunk..sealed_end).await?;
                let mut plain = Vec::with_capacity(sealed.len());
                for (index, piece) in (group..).zip(sealed.chunks(CHUNK + TAG)) {
                    let position = u32::try_from(index).map_err(|_| damaged(&path))?;
                    plain.extend(stream.decrypt(position, index == last, piece).map_err(|_| damaged(&path))?);
                }
                let begin = range.start.saturating_sub(group * chunk).min(plain.len() as u64) as usize;
                let end = (range.end - group * chunk).min(plain.len() as u64) as usize;
                Ok(Bytes::from(plain).slice(begin..end.max(begin)))
            }
        })
    }

    /// Deletes an object; that it is gone already is fine.
    pub async fn delete(&self, object: &str) -> Result<(), Fault> {
        match self.store.delete(&object.into()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Objects last changed before a time, each with its name.
    pub fn older_than(&self, before: Millis) -> impl Stream<Item = Result<String, Fault>> + Send + 'static {
        self.store.list(None).map_err(Fault::from).try_filter_map(move |found| async move {
            let old = found.last_modified.timestamp_millis() < before.0;
            Ok(old.then(|| found.location.to_string()))
        })
    }

    /// Deletes what interrupted writes left beside the objects of a folder: a store of the network cleans up by its own rules.
    pub async fn clean(&self, now: Millis, older: Duration) -> Result<u64, Fault> {
        let Some(folder) = self.folder.clone() else { return Ok(0) };
        let before = now - older;
        let cleaned = tokio::task::spawn_blocking(move || clean_folder(&folder, before));
        cleaned.await.map_err(|fault| Fault::Row(fault.to_string()))?
    }

    /// Whether the vault can be written to.
    pub async fn check(&self) -> Result<(), Fault> {
        let probe = object_store::path::Path::from("probe");
        self.store.put(&probe, Bytes::from_static(b"portward").into()).await?;
        self.store.delete(&probe).await?;
        Ok(())
    }
}

/// The object store writes beside the object, under its name with `#` and a number, and renames at the end.
fn clean_folder(folder: &Path, before: Millis) -> Result<u64, Fault> {
    let mut cleaned = 0;
    for request in std::fs::read_dir(folder)? {
        let request = request?;
        let whose = request.file_name().to_string_lossy().into_owned();
        let uploads = whose == "uploads";
        if !request.file_type()?.is_dir() || (whose.parse::<i64>().is_err() && !uploads) {
            continue;
        }
        for entry in std::fs::read_dir(request.path())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = name
                .split_once('#')
                .is_some_and(|(object, _)| parse_name(&format!("{whose}/{object}")).is_some() || uploads && object.len() > 36);
            // A write that ends meanwhile renames it: then it is gone, and that is fine.
            let Ok(changed) = entry.metadata().and_then(|data| data.modified()) else { continue };
            let changed = changed.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let old = i64::try_from(changed.as_millis()).unwrap_or(i64::MAX) < before.0;
            if ours && old && std::fs::remove_file(entry.path()).is_ok() {
                cleaned += 1;
            }
        }
    }
    Ok(cleaned)
}

fn damaged(path: &object_store::path::Path) -> Fault {
    Fault::Row(format!("the object {path} in the vault does not open: it was altered or cut off"))
}

fn read_chunk(file: &mut std::fs::File) -> Result<Vec<u8>, std::io::Error> {
    let mut chunk = Vec::with_capacity(CHUNK + TAG);
    file.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)?;
    Ok(chunk)
}

/// Seals the keys of all archives anew under the newest key. Gives how many there were to do.
pub(crate) async fn reseal(platform: &Platform) -> Result<u64, Fault> {
    use crate::db::sql;
    let mut tx = platform.db.begin().await?;
    let mut done = 0;
    for archive in sql!(tx, all ArchiveRow, "select * from archives")? {
        if !platform.keys.is_current(&archive.sealed_key) {
            let sealed = reseal_key(platform, &archive.object, &archive.sealed_key)?;
            sql!(tx, execute, "update archives set sealed_key = $2 where request_id = $1", archive.request_id, sealed)?;
            done += 1;
        }
    }
    tx.commit().await?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use proptest::prelude::*;

    use super::*;
    use crate::Random;

    fn file(bytes: &[u8]) -> std::fs::File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    async fn all(vault: &Vault, key: &ObjectKey, size: u64, range: Range<u64>) -> Result<Vec<u8>, Fault> {
        vault
            .read("1/1", key, size, range)
            .try_fold(Vec::new(), |mut all, piece| async move {
                all.extend(piece);
                Ok(all)
            })
            .await
    }

    fn key(seed: u64) -> ObjectKey {
        ObjectKey(Zeroizing::new(Random::seeded(seed).bytes()))
    }

    #[tokio::test]
    async fn ranges_of_every_kind_are_the_files_own() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::folder(folder.path()).unwrap();
        for size in [1usize, CHUNK - 1, CHUNK, CHUNK + 1, 17 * CHUNK, 33 * CHUNK + 5] {
            let bytes: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
            let (put, sha256) = vault.put("1/1", &key(1), file(&bytes)).await.unwrap();
            assert_eq!((put, sha256), (size as u64, hex::encode(Sha256::digest(&bytes))));
            let size = size as u64;
            let chunk = CHUNK as u64;
            for (from, to) in
                [(0, size), (0, 1), (size - 1, size), (size / 2, size), (chunk - 1, chunk + 1), (15 * chunk, 17 * chunk - 3)]
            {
                if from < to && to <= size {
                    let read = all(&vault, &key(1), size, from..to).await.unwrap();
                    assert!(read == bytes[from as usize..to as usize], "{from}..{to} of {size}");
                }
            }
        }
    }

    #[tokio::test]
    async fn what_lies_on_disk_is_noise_and_any_change_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::folder(folder.path()).unwrap();
        let bytes = b"a person's data ".repeat(10_000);
        let size = bytes.len() as u64;
        vault.put("1/1", &key(1), file(&bytes)).await.unwrap();
        let path = folder.path().join("1/1");
        let sealed = std::fs::read(&path).unwrap();
        assert!(!sealed.windows(8).any(|window| window == b"person's"));
        assert!(all(&vault, &key(2), size, 0..size).await.is_err(), "another key");

        let mut flipped = sealed.clone();
        flipped[CHUNK + 100] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert!(all(&vault, &key(1), size, 0..size).await.is_err(), "a flipped bit");

        let mut swapped = sealed.clone();
        let (a, b) = swapped.split_at_mut(CHUNK + TAG);
        a.swap_with_slice(&mut b[..CHUNK + TAG]);
        std::fs::write(&path, &swapped).unwrap();
        assert!(all(&vault, &key(1), size, 0..size).await.is_err(), "two chunks in each other's place");

        std::fs::write(&path, &sealed[..CHUNK + TAG]).unwrap();
        assert!(all(&vault, &key(1), CHUNK as u64, 0..CHUNK as u64).await.is_err(), "cut off at a chunk's end");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn any_range_of_any_size(size in 1usize..300_000, a in 0.0f64..1.0, b in 0.0f64..1.0) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let vault = Vault::folder(folder.path()).unwrap();
                let bytes: Vec<u8> = (0..size).map(|at| (at % 253) as u8).collect();
                vault.put("1/1", &key(3), file(&bytes)).await.unwrap();
                let from = (a.min(b) * size as f64) as usize;
                let to = ((a.max(b) * size as f64) as usize + 1).min(size).max(from + 1).min(size);
                if from < to {
                    let read = all(&vault, &key(3), size as u64, from as u64..to as u64).await.unwrap();
                    assert!(read == bytes[from..to]);
                }
            });
        }
    }
}
