//! Links to people's media. An archive of one member names pictures and films by links; each is served for as long as the archive itself can be
//! read, and to whoever holds it, as with the archive's own bytes. A link tells nobody what lies behind it, cannot be made by anybody else, and
//! is the same whenever the archive is made again.

use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use archive::write::Links;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::grants;
use crate::requests::{self, Request, Standing};
use crate::{Fault, Platform};

/// Bytes of the nonce.
const NONCE: usize = 12;
/// The longest link that is looked at: a key has at most 1024 bytes.
const LONGEST: usize = 2048;

/// What a link leads to.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The request whose archive names it.
    pub request: Request,
    /// The store's name.
    pub store: String,
    /// The object's key.
    pub key: String,
}

/// What seals the links of one request.
struct Seal {
    request_id: i64,
    cipher: Aes256Gcm,
    nonces: Hmac<Sha256>,
}

impl Seal {
    fn new(secret: &[u8; 32], request_id: i64) -> Result<Self, Fault> {
        let derive = |what: &[u8]| -> Result<Zeroizing<[u8; 32]>, Fault> {
            let mut mac = keyed(secret)?;
            mac.update(what);
            mac.update(&request_id.to_be_bytes());
            Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
        };
        let (sealing, nonces) = (derive(b"media link")?, derive(b"media nonce")?);
        Ok(Self { request_id, cipher: Aes256Gcm::new((&*sealing).into()), nonces: keyed(&nonces)? })
    }

    /// The nonce comes from what is sealed: the same link for the same object, and no nonce for two.
    fn seal(&self, store: &str, key: &str) -> Option<String> {
        let plain = [store.as_bytes(), &[0], key.as_bytes()].concat();
        let code = self.nonces.clone().chain_update(&plain).finalize().into_bytes();
        let nonce: [u8; NONCE] = code.get(..NONCE)?.try_into().ok()?;
        let payload = Payload { msg: &plain, aad: &self.request_id.to_be_bytes() };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    fn open(&self, token: &str) -> Option<(String, String)> {
        let bytes = (token.len() <= LONGEST).then(|| URL_SAFE_NO_PAD.decode(token).ok())??;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: &self.request_id.to_be_bytes() };
        let plain = String::from_utf8(self.cipher.decrypt(&Nonce::from(*nonce), payload).ok()?).ok()?;
        let (store, key) = plain.split_once('\0')?;
        Some((store.to_owned(), key.to_owned()))
    }
}

fn keyed(key: &[u8; 32]) -> Result<Hmac<Sha256>, Fault> {
    <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).map_err(|_| Fault::Row("a grant's secret".into()))
}

/// What makes the links of a request's archive; none where the catalogue has no media.
pub(crate) async fn links(platform: &Platform, request: &Request) -> Result<Option<Links>, Fault> {
    if !platform.catalogue.has_media() {
        return Ok(None);
    }
    let secret = grants::pseudonym_secret(platform, request.grant_id).await?;
    let seal = Seal::new(&secret, request.request_id)?;
    let root = format!("{}/media/{}/", platform.settings.site.base_url.trim_end_matches('/'), request.request_id);
    Ok(Some(Arc::new(move |store: &str, key: &str| format!("{root}{}", seal.seal(store, key).unwrap_or_default()))))
}

/// What a link leads to; none if it is not ours, or its archive can no longer be read. What is frozen is asked about only for links that are ours.
pub async fn open(platform: &Platform, request_id: i64, token: &str) -> Result<Option<(Linked, Standing)>, Fault> {
    let standing = requests::may_read(platform, request_id).await?;
    if !matches!(standing, Standing::Free | Standing::Frozen) {
        return Ok(None);
    }
    let mut tx = platform.db.read().await?;
    let request = requests::by_id(&mut tx, request_id).await?;
    drop(tx);
    let Some(request) = request else { return Ok(None) };
    let secret = grants::pseudonym_secret(platform, request.grant_id).await?;
    let opened = Seal::new(&secret, request_id)?.open(token);
    Ok(opened.map(|(store, key)| (Linked { request, store, key }, standing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_for_its_request_alone() {
        let seal = Seal::new(&[7; 32], 1).unwrap();
        let token = seal.seal("pictures", "people/7/a.jpg").unwrap();
        assert_eq!(token, seal.seal("pictures", "people/7/a.jpg").unwrap(), "the same link each time");
        assert_ne!(token, seal.seal("pictures", "people/7/b.jpg").unwrap());
        assert_eq!(seal.open(&token), Some(("pictures".to_owned(), "people/7/a.jpg".to_owned())));
        assert_eq!(Seal::new(&[7; 32], 2).unwrap().open(&token), None, "another request");
        assert_eq!(Seal::new(&[8; 32], 1).unwrap().open(&token), None, "another grant");
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert!(other == token || seal.open(&other).is_none(), "{at}");
        }
        for nothing in ["", "A", "====", &"A".repeat(5000)] {
            assert_eq!(seal.open(nothing), None);
        }
    }
}
