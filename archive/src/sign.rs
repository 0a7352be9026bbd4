//! Signatures over manifests: Ed25519 (RFC 8032) over the exact bytes of `manifest.json`.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Who can sign.
#[derive(Clone)]
pub struct Signer {
    key: Arc<SigningKey>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public().kid())
    }
}

impl Signer {
    /// The signer whose secret this is: 32 random bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { key: Arc::new(SigningKey::from_bytes(secret)) }
    }

    /// What others verify with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Its length in bytes.
    pub const LENGTH: usize = 32;

    /// The key of these 32 bytes. None when they are no point of the curve, or one of the few that verify anything.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LENGTH] = bytes.try_into().ok()?;
        VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak()).map(Self)
    }

    /// The key of base64, with the URL alphabet or the other, padded or not.
    pub fn from_base64(text: &str) -> Option<Self> {
        let text = text.trim();
        let read = [URL_SAFE_NO_PAD, URL_SAFE, STANDARD, STANDARD_NO_PAD].iter().find_map(|form| form.decode(text).ok());
        read.and_then(|bytes| Self::from_bytes(&bytes))
    }

    /// Its 32 bytes.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        self.0.to_bytes()
    }

    /// Base64 with the URL alphabet and without padding, as in a JWK.
    pub fn to_base64url(self) -> String {
        URL_SAFE_NO_PAD.encode(self.to_bytes())
    }

    /// What it is called: the JWK thumbprint of RFC 7638, which follows from the key.
    pub fn kid(self) -> String {
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.to_base64url());
        URL_SAFE_NO_PAD.encode(Sha256::digest(jwk))
    }

    /// As `openssl` reads it.
    pub fn to_pem(self) -> String {
        // SubjectPublicKeyInfo (RFC 8410): the algorithm, and a bit string of 32 bytes.
        const HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let bytes = [&HEAD[..], &self.to_bytes()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(bytes))
    }

    /// Whether these bytes were signed by it.
    pub fn verifies(self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

/// What `/.well-known/portward-keys.json` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet {
    /// The keys, the newest first.
    pub keys: Vec<PublishedKey>,
}

/// A published key: a JWK (RFC 8037) with its times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKey {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// `EdDSA`.
    #[serde(default)]
    pub alg: String,
    /// `sig`.
    #[serde(default, rename = "use")]
    pub usage: String,
    /// What it is called.
    pub kid: String,
    /// The key, in base64url.
    pub x: String,
    /// Since when it signs.
    #[serde(default)]
    pub from: Option<String>,
    /// Until when it did; none while it does.
    #[serde(default)]
    pub until: Option<String>,
    /// Which world's archives it signs: `production` or `sandbox`.
    #[serde(default)]
    pub world: Option<String>,
    /// The same key, as `openssl` reads it.
    #[serde(default)]
    pub pem: Option<String>,
}

impl PublishedKey {
    /// As it is published.
    pub fn new(key: PublicKey, from: Option<String>, until: Option<String>, world: &str) -> Self {
        Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
            kid: key.kid(),
            x: key.to_base64url(),
            from,
            until,
            world: Some(world.to_owned()),
            pem: Some(key.to_pem()),
        }
    }

    /// The key itself. None when it is not of our kind, or its name is not its own.
    pub fn key(&self) -> Option<PublicKey> {
        let key = PublicKey::from_base64(&self.x)?;
        (self.kty == "OKP" && self.crv == "Ed25519" && self.kid == key.kid()).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_rfcs_have_it() {
        // RFC 8037, appendix A.
        let secret = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let signer = Signer::new(secret.as_slice().try_into().unwrap());
        assert_eq!(signer.public().to_base64url(), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(signer.public().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let signature = signer.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
        assert_eq!(
            URL_SAFE_NO_PAD.encode(signature),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn only_the_key_that_signed_verifies() {
        let (one, two) = (Signer::new(&[1; 32]), Signer::new(&[2; 32]));
        let signature = one.sign(b"manifest");
        assert!(one.public().verifies(b"manifest", &signature));
        assert!(!two.public().verifies(b"manifest", &signature));
        assert!(!one.public().verifies(b"manifesto", &signature));
        assert!(!one.public().verifies(b"manifest", &signature[..63]));
    }

    #[test]
    fn keys_are_read_in_every_spelling_and_published_under_their_own_name() {
        let key = Signer::new(&[7; 32]).public();
        for text in [key.to_base64url(), STANDARD.encode(key.to_bytes()), format!(" {}\n", URL_SAFE.encode(key.to_bytes()))] {
            assert_eq!(PublicKey::from_base64(&text), Some(key), "{text}");
        }
        assert_eq!(PublicKey::from_base64("AAAA"), None);
        assert_eq!(PublicKey::from_bytes(&[0; 32]), None, "a point that verifies anything");
        let published = PublishedKey::new(key, None, None, "production");
        assert_eq!(published.key(), Some(key));
        assert_eq!(PublishedKey { kid: "other".into(), ..published }.key(), None);
    }
}
