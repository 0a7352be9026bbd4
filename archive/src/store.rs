//! The operator's object stores, where people's pictures, films and documents lie. They are only read.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig};

use crate::catalogue::Fault;
use crate::catalogue::{Address, StoreSpec};
use crate::source::fault_at;

/// How often a request that the store could not answer is made again.
const RETRIES: usize = 3;
/// How often an object that broke off is gone on with, from where it broke.
const RESUMES: usize = 5;

/// An object store, opened.
#[derive(Clone, Debug)]
pub struct Store {
    spec: StoreSpec,
    inner: Arc<dyn ObjectStore>,
    /// Where it is, if it is a folder.
    folder: Option<PathBuf>,
}

/// Why an object cannot be read. Nothing of it quotes the object's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("there is no such object")]
    Missing,
    /// The key is none that a store could have: it leads elsewhere, or has characters that no key has.
    #[error("the object's key is not one")]
    Key,
    /// The store cannot be reached, or cannot answer.
    #[error("the store is down: {0}")]
    Down(String),
    /// It took longer than `timeout` allows.
    #[error("the store took longer than `timeout` allows")]
    Timeout,
    /// The store refuses.
    #[error("the store refuses access: {0}")]
    Refused(String),
    /// What came is not the object: other bytes, or fewer.
    #[error("the object is not whole: {0}")]
    Broken(String),
}

/// An object that is there.
pub struct Object {
    /// Its bytes in all.
    pub size: u64,
    /// The store's word for this state of it.
    pub etag: Option<String>,
    store: Store,
    key: Key,
    range: Range<u64>,
    first: stream::BoxStream<'static, Result<Bytes, object_store::Error>>,
}

impl Store {
    /// Prepares a store. Nothing is connected yet.
    pub(crate) async fn open(spec: &StoreSpec, base_dir: &Path) -> Result<Self, String> {
        let url = match &spec.address {
            Address::Url(url) => url.clone(),
            Address::File(path) => read(&base_dir.join(path), "url_file").await?,
        };
        let (inner, folder) = match url.strip_prefix("file:") {
            Some(folder) => {
                let folder = base_dir.join(folder.strip_prefix("//").unwrap_or(folder));
                (folder_store(&folder)?, Some(folder))
            }
            None => (s3(spec, &url, base_dir).await?, None),
        };
        Ok(Self { spec: spec.clone(), inner, folder })
    }

    /// The store's name in the catalogue.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Asks for an object, or for a part of it. Its bytes come with [`Object::bytes`].
    pub async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Object, StoreError> {
        let key = parse_key(key).ok_or(StoreError::Key)?;
        let options = GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        let found = self.ask(&key, options).await?;
        let size = found.meta.size;
        let range = range.map_or(0..size, |range| range.start..range.end.min(size));
        if found.range != range {
            return Err(StoreError::Broken("the store sent another part than was asked for".to_owned()));
        }
        let etag = found.meta.e_tag.clone();
        Ok(Object { size, etag, store: self.clone(), key, range, first: found.into_stream().boxed() })
    }

    /// The size of an object.
    pub async fn size(&self, key: &str) -> Result<u64, StoreError> {
        let key = parse_key(key).ok_or(StoreError::Key)?;
        let head = tokio::time::timeout(self.spec.timeout, self.inner.head(&key)).await;
        head.map_err(|_| StoreError::Timeout)?.map(|meta| meta.size).map_err(told)
    }

    /// Whether it can be reached and read, as a fault if not.
    pub(crate) async fn check(&self) -> Option<Fault> {
        if let Some(folder) = self.folder.as_ref().filter(|folder| !folder.is_dir()) {
            return Some(fault_at(
                &self.spec.place,
                format!("the store `{}` cannot be read: there is no folder {}", self.spec.name, folder.display()),
                "make the folder, or correct its address",
            ));
        }
        // An object that nobody has: the store must say so, and not that it refuses.
        let error = match self.size("portward-check/no-such-object").await {
            Ok(_) | Err(StoreError::Missing) => return None,
            Err(error) => error,
        };
        Some(fault_at(
            &self.spec.place,
            format!("the store `{}` cannot be read: {error}", self.spec.name),
            "correct its address or its keys, or see that it runs",
        ))
    }

    async fn ask(&self, key: &Key, options: GetOptions) -> Result<object_store::GetResult, StoreError> {
        let asked = tokio::time::timeout(self.spec.timeout.saturating_mul(2), self.inner.get_opts(key, options)).await;
        asked.map_err(|_| StoreError::Timeout)?.map_err(told)
    }
}

impl Object {
    /// Its bytes, as they come. A connection that breaks off is taken up where it broke, as long as the object is the same.
    pub fn bytes(self) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static {
        let wait = self.store.spec.timeout;
        let state = (self, 0u64, 0usize, false);
        // Whoever looks at its beginning may ask again at its end.
        stream::unfold(state, move |(mut object, mut done, mut resumed, ended)| async move {
            if ended {
                return None;
            }
            let wanted = object.range.end - object.range.start;
            loop {
                let error = match tokio::time::timeout(wait, object.first.next()).await {
                    Ok(Some(Ok(bytes))) if done + bytes.len() as u64 <= wanted => {
                        done += bytes.len() as u64;
                        return Some((Ok(bytes), (object, done, resumed, false)));
                    }
                    Ok(Some(Ok(_))) => {
                        let more = StoreError::Broken("the store sent more than the object has".to_owned());
                        return Some((Err(more), (object, done, resumed, true)));
                    }
                    Ok(None) if done == wanted => return None,
                    Ok(None) => StoreError::Broken(format!("{done} of {wanted} bytes came")),
                    Ok(Some(Err(error))) => told(error),
                    Err(_) => StoreError::Timeout,
                };
                if resumed >= RESUMES || matches!(error, StoreError::Missing | StoreError::Refused(_)) {
                    return Some((Err(error), (object, done, resumed, true)));
                }
                resumed += 1;
                tokio::time::sleep(Duration::from_millis(100 << resumed)).await;
                let rest = object.range.start + done..object.range.end;
                let options =
                    GetOptions { range: Some(GetRange::Bounded(rest)), if_match: object.etag.clone(), ..GetOptions::default() };
                match object.store.ask(&object.key, options).await {
                    Ok(found) => object.first = found.into_stream().boxed(),
                    Err(error) => return Some((Err(error), (object, done, resumed, true))),
                }
            }
        })
        .fuse()
    }
}

/// A key below the store's address. What leads out of it is no key.
fn parse_key(key: &str) -> Option<Key> {
    let plain = !key.is_empty() && key.len() <= 1024 && !key.chars().any(char::is_control);
    let parsed = Key::parse(key.strip_prefix('/').unwrap_or(key)).ok()?;
    (plain && parsed.parts().next().is_some()).then_some(parsed)
}

fn told(error: object_store::Error) -> StoreError {
    use object_store::Error;
    match error {
        Error::NotFound { .. } => StoreError::Missing,
        Error::InvalidPath { .. } => StoreError::Key,
        Error::Precondition { .. } => StoreError::Broken("it was changed while it was read".to_owned()),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            StoreError::Refused("its keys may not read, or are not known".to_owned())
        }
        // The message holds the address and the key, which are nobody's business in a log.
        Error::Generic { store, .. } => StoreError::Down(format!("{store} gave no answer that could be used")),
        _ => StoreError::Down("it gave no answer that could be used".to_owned()),
    }
}

/// The folder need not be there yet: a store that is away does not keep the server from starting.
fn folder_store(folder: &Path) -> Result<Arc<dyn ObjectStore>, String> {
    let folder = std::path::absolute(folder).map_err(|error| format!("the folder {}: {error}", folder.display()))?;
    let prefix = Key::from_absolute_path(&folder)
        .map_err(|_| format!("the folder {} has a name that cannot be used", folder.display()))?;
    Ok(Arc::new(PrefixStore::new(LocalFileSystem::new(), prefix)))
}

async fn s3(spec: &StoreSpec, url: &str, base_dir: &Path) -> Result<Arc<dyn ObjectStore>, String> {
    let place = url.strip_prefix("s3://").unwrap_or_default();
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    if bucket.is_empty() {
        return Err("the address names no bucket: write s3://BUCKET/PREFIX".to_owned());
    }
    let plain = spec.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff: Duration::from_secs(3), base: 2.0 },
        max_retries: RETRIES,
        retry_timeout: spec.timeout,
    };
    let client = ClientOptions::new()
        .with_allow_http(plain)
        .with_connect_timeout(spec.timeout.min(Duration::from_secs(10)))
        .with_read_timeout(spec.timeout)
        // An object of gigabytes takes as long as it takes; what counts is that something comes.
        .with_timeout_disabled();
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).with_client_options(client);
    if let Some(endpoint) = &spec.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(plain);
    }
    if let Some(region) = &spec.region {
        builder = builder.with_region(region);
    }
    let key = |path: &Option<PathBuf>| path.as_ref().map(|path| base_dir.join(path));
    if let (Some(id), Some(secret)) = (key(&spec.access_key_file), key(&spec.secret_key_file)) {
        builder = builder
            .with_access_key_id(read(&id, "access_key_file").await?)
            .with_secret_access_key(read(&secret, "secret_key_file").await?);
    }
    // Its client takes the process's own; where one was chosen already, that one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = builder.build().map_err(|error| format!("it cannot be used: {error}"))?;
    if prefix.trim_matches('/').is_empty() {
        return Ok(Arc::new(store));
    }
    let prefix = parse_key(prefix.trim_end_matches('/')).ok_or("the prefix in its address is none")?;
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

async fn read(path: &Path, what: &str) -> Result<String, String> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| format!("{what} {} cannot be read: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}
