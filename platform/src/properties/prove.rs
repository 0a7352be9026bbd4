//! The two proofs: a TXT record, and a signature file.

use url::Url;

use super::{Found, Kind, Problem, Property};
use crate::Platform;
use crate::webhooks::Refused;

/// A signature file has 68 bytes; some editors add a mark and line ends.
const FILE: usize = 1024;

pub(super) async fn prove(platform: &Platform, property: &Property) -> Result<(), Found> {
    let line = property.line(platform);
    match property.kind {
        Kind::Domain => by_record(platform, &property.value, &line).await,
        Kind::Prefix => by_file(platform, property, &line).await,
    }
}

async fn by_record(platform: &Platform, domain: &str, line: &str) -> Result<(), Found> {
    let records = platform.sites.txt(domain).await?;
    // Some people copy the quotes of a zone file along.
    let records: Vec<&str> = records.iter().map(|record| record.trim().trim_matches('"').trim()).collect();
    if records.contains(&line) {
        return Ok(());
    }
    let ours = line.split_once('=').map_or(line, |(name, _)| name);
    match records.iter().find(|record| record.starts_with(ours)) {
        Some(other) => Err(Found::new(Problem::OtherRecord, *other)),
        None => Err(Found::new(Problem::NoRecord, "")),
    }
}

async fn by_file(platform: &Platform, property: &Property, line: &str) -> Result<(), Found> {
    let url = property.file_url(platform).unwrap_or_default();
    let mut got = fetch(platform, &url).await?;
    // One step to the same host over https is still the owner's doing: many servers add or take `www`-less slashes. Anything else is not looked at.
    if let Some(to) = got.location.clone() {
        let onward = Url::parse(&url).ok().and_then(|from| from.join(&to).ok().filter(|to| is_same_site(&from, to)));
        let Some(onward) = onward else { return Err(Found::new(Problem::Elsewhere, to)) };
        got = fetch(platform, onward.as_str()).await?;
        if let Some(to) = got.location {
            return Err(Found::new(Problem::Elsewhere, to));
        }
    }
    if got.status != 200 {
        return Err(Found::new(Problem::NotThere, got.status.to_string()));
    }
    let body = got.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&got.body);
    if body.trim_ascii() == line.as_bytes() {
        return Ok(());
    }
    let is_page = got.media_type.contains("html") || body.trim_ascii().starts_with(b"<");
    if is_page {
        return Err(Found::new(Problem::WebPage, ""));
    }
    Err(Found::new(Problem::OtherContent, String::from_utf8_lossy(body.get(..100).unwrap_or(body))))
}

/// The same host and port, and not back from TLS to plain http; or the step from plain http to TLS on the usual port.
fn is_same_site(from: &Url, to: &Url) -> bool {
    let same_host = from.host() == to.host();
    let upgraded = from.scheme() == "http" && to.scheme() == "https" && to.port().is_none();
    same_host && (from.origin() == to.origin() || upgraded)
}

async fn fetch(platform: &Platform, url: &str) -> Result<crate::webhooks::Got, Found> {
    platform.sites.get(url, FILE).await.map_err(|refused| found(&refused))
}

/// What a refusal of the guard means to the developer.
pub(super) fn found(refused: &Refused) -> Found {
    let problem = match refused {
        Refused::Malformed | Refused::Scheme | Refused::Address => Problem::NotPublic,
        Refused::Slow => Problem::TooSlow,
        Refused::Long => Problem::TooLong,
        Refused::Call(_) => Problem::NoConnection,
    };
    Found::new(problem, "")
}
