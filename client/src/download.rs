//! Downloading an archive: to a file, in flat memory, going on where a broken connection left off, and checked at the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufWriter};
use tokio::time::{sleep, timeout};
use wire::RequestId;

use crate::error::Head;
use crate::{Client, Error, calls};

/// Failures in a row, without a byte between them, after which a download is given up.
const PATIENCE: u32 = 6;
/// How often a download may begin anew because the server has another archive than before.
const RESTARTS: u32 = 3;
/// A server that wants to be left alone for longer does so; the caller may come back.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// An archive that was downloaded and is what the server announced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Downloaded {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: String,
    /// Whether the server announced that hash, so that it could be compared.
    pub hash_announced: bool,
    /// How often a broken connection was picked up again.
    pub resumed: u32,
}

impl Client {
    /// Downloads the archive of a request to this file. The file appears when all of it is there and has been checked; until
    /// then its bytes are in a file of the same name with `.part` behind it, which a failure removes.
    pub async fn download(&self, access_token: &str, id: RequestId, to: &Path) -> Result<Downloaded, Error> {
        self.download_watched(access_token, id, to, |_, _| {}).await
    }

    /// The same, and tells how many bytes have come, of how many if that is known.
    pub async fn download_watched(
        &self,
        access_token: &str,
        id: RequestId,
        to: &Path,
        mut watch: impl FnMut(u64, Option<u64>),
    ) -> Result<Downloaded, Error> {
        let mut part = Part::create(to).await?;
        let (mut failures, mut restarts, mut resumed) = (0, 0, 0);
        loop {
            let before = part.have;
            let Err(error) = self.piece(access_token, id, &mut part, &mut watch).await else { break };
            if part.have > before {
                failures = 0;
            }
            match error {
                Piece::Cut(error) => {
                    failures += 1;
                    let pause = self.pause_after(&error, failures);
                    if failures >= PATIENCE || pause > LONGEST_PAUSE {
                        return Err(error);
                    }
                    sleep(pause).await;
                    resumed += u32::from(part.have > 0);
                }
                Piece::Changed(error) => {
                    restarts += 1;
                    if restarts > RESTARTS {
                        return Err(error);
                    }
                    part.restart().await?;
                }
                Piece::Final(error) => return Err(error),
            }
        }
        part.finish(resumed).await
    }

    /// One request, for what is still missing.
    async fn piece(
        &self,
        access_token: &str,
        id: RequestId,
        part: &mut Part,
        watch: &mut impl FnMut(u64, Option<u64>),
    ) -> Result<(), Piece> {
        if part.have > 0 && part.etag.is_none() {
            // Nothing says that what comes next belongs to what has come.
            part.restart().await?;
        }
        let mut request = self.post_json("v2/user/data/download/", None, access_token, &json!({ "request_id": id }));
        if let Some(etag) = part.etag.as_deref().filter(|_| part.have > 0) {
            request = request.header(RANGE, format!("bytes={}-", part.have)).header(IF_RANGE, etag);
        }
        let mut response = self.in_time(request.send()).await?;
        self.accept(&mut response, part).await?;
        watch(part.have, part.total);
        loop {
            let Some(chunk) = self.in_time(response.chunk()).await? else { break };
            part.write(&chunk).await?;
            watch(part.have, part.total);
        }
        match part.total {
            Some(total) if part.have < total => {
                Err(Piece::Cut(Error::Damaged(format!("it ended after {} of {total} bytes", part.have))))
            }
            _ => Ok(()),
        }
    }

    /// Looks at the head of an answer: what it is the answer to, and how much is to come.
    async fn accept(&self, response: &mut Response, part: &mut Part) -> Result<(), Piece> {
        let head = Head::of(response);
        let announced = number(response.headers(), CONTENT_LENGTH.as_str());
        let is_json = text(response.headers(), CONTENT_TYPE.as_str()).is_some_and(|kind| kind.contains("json"));
        match head.status {
            StatusCode::OK if !is_json => {
                if part.have > 0 {
                    // The server has another archive now, or knows no ranges: this is the whole of it.
                    part.restart().await?;
                }
                part.total = announced;
                part.etag = text(response.headers(), ETAG.as_str()).filter(|etag| etag.starts_with('"')).map(Into::into);
                Ok(())
            }
            StatusCode::PARTIAL_CONTENT if part.have > 0 => {
                let range = text(response.headers(), CONTENT_RANGE.as_str()).unwrap_or_default();
                let fits = content_range(range).is_some_and(|(from, to, total)| {
                    let same_total = part.total.is_none() || total.is_none() || part.total == total;
                    from == part.have
                        && same_total
                        && announced.is_none_or(|announced| Some(announced) == (to + 1).checked_sub(from))
                });
                let etag = text(response.headers(), ETAG.as_str());
                if fits && etag.is_none_or(|etag| Some(etag) == part.etag.as_deref()) {
                    return Ok(());
                }
                let what = format!("the range {range:?} instead of the bytes from {} on", part.have);
                Err(Piece::Changed(Error::Unexpected { status: 206, what }))
            }
            StatusCode::RANGE_NOT_SATISFIABLE if part.have > 0 => {
                Err(Piece::Changed(Error::Unexpected { status: 416, what: "the archive has become shorter".into() }))
            }
            _ => {
                let body =
                    timeout(self.silence, calls::read(response)).await.map_or_else(|_| Vec::new(), Result::unwrap_or_default);
                let error = head.error(&body).unwrap_or_else(|| head.unexpected(&body));
                Err(if error.is_transient() { Piece::Cut(error) } else { Piece::Final(error) })
            }
        }
    }

    async fn in_time<T>(&self, step: impl Future<Output = Result<T, reqwest::Error>>) -> Result<T, Piece> {
        match timeout(self.silence, step).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(if error.is_builder() { Piece::Final(error.into()) } else { Piece::Cut(error.into()) }),
            Err(_) => Err(Piece::Cut(Error::Silence(self.silence))),
        }
    }
}

/// Why one request did not bring the rest.
enum Piece {
    /// Broken off, or the server could not just now: go on from here.
    Cut(Error),
    /// What the server has now does not continue what has come: begin anew.
    Changed(Error),
    /// Neither helps.
    Final(Error),
}

impl From<Error> for Piece {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// The file that is being filled; it is removed unless it was finished.
struct Part {
    file: BufWriter<File>,
    path: PathBuf,
    to: PathBuf,
    have: u64,
    total: Option<u64>,
    etag: Option<String>,
    hash: Sha256,
}

impl Part {
    async fn create(to: &Path) -> Result<Self, Error> {
        let mut path = to.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // It holds a person's data: nobody else on this machine needs to read it.
        #[cfg(unix)]
        options.mode(0o600);
        let file = options.open(&path).await.map_err(|cause| failed(&path, cause))?;
        // Large enough that a fast network does not wait for the file, small enough to be forgotten.
        let file = BufWriter::with_capacity(256 * 1024, file);
        Ok(Self { file, path, to: to.into(), have: 0, total: None, etag: None, hash: Sha256::new() })
    }

    async fn write(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.file.write_all(chunk).await.map_err(|cause| failed(&self.path, cause))?;
        self.hash.update(chunk);
        self.have += chunk.len() as u64;
        Ok(())
    }

    async fn restart(&mut self) -> Result<(), Error> {
        let emptied = async {
            // Flushes what is buffered first, so that nothing of the old archive is left anywhere.
            self.file.seek(std::io::SeekFrom::Start(0)).await?;
            self.file.get_mut().set_len(0).await
        };
        emptied.await.map_err(|cause| failed(&self.path, cause))?;
        (self.have, self.total, self.etag, self.hash) = (0, None, None, Sha256::new());
        Ok(())
    }

    async fn finish(mut self, resumed: u32) -> Result<Downloaded, Error> {
        if let Some(total) = self.total.filter(|total| *total != self.have) {
            return Err(Error::Damaged(format!("{} bytes instead of {total}", self.have)));
        }
        let sha256 = hex::encode(std::mem::take(&mut self.hash).finalize());
        let announced = self.etag.as_deref().and_then(announced_hash);
        if let Some(announced) = announced.filter(|announced| !announced.eq_ignore_ascii_case(&sha256)) {
            return Err(Error::Damaged(format!("its SHA-256 is {sha256} instead of {announced}")));
        }
        let hash_announced = announced.is_some();
        let kept = async {
            self.file.flush().await?;
            self.file.get_ref().sync_all().await?;
            tokio::fs::rename(&self.path, &self.to).await
        };
        kept.await.map_err(|cause| failed(&self.to, cause))?;
        self.path.clear();
        Ok(Downloaded { bytes: self.have, sha256, hash_announced, resumed })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // Failing, or abandoned by its caller: there is nobody left to tell if this fails too.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn failed(path: &Path, cause: std::io::Error) -> Error {
    Error::File { path: path.display().to_string(), cause }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name).and_then(|value| value.parse().ok())
}

/// First, last and total of `bytes 5-9/10`; the total may be unknown.
fn content_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < u64::MAX && total.is_none_or(|total| last < total)).then_some((first, last, total))
}

/// The hash in an ETag that is nothing but one.
fn announced_hash(etag: &str) -> Option<&str> {
    let inner = etag.strip_prefix('"')?.strip_suffix('"')?;
    (inner.len() == 64 && inner.bytes().all(|b| b.is_ascii_hexdigit())).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_hashes() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, 0, None)));
        for bad in [
            "",
            "bytes",
            "bytes */10",
            "bytes 5-4/10",
            "bytes 5-10/10",
            "items 1-2/3",
            "bytes -1-2/3",
            "bytes 0-18446744073709551615/*",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
        let hash = "ab".repeat(32);
        assert_eq!(announced_hash(&format!("\"{hash}\"")), Some(hash.as_str()));
        for other in [format!("W/\"{hash}\""), hash, "\"v1\"".into(), format!("\"{}\"", "xy".repeat(32))] {
            assert_eq!(announced_hash(&other), None, "{other}");
        }
    }
}
