//! Token answers and PKCE (contract 3.1, 3.3; `client-rules.md` 14 and 16).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The flat answer that carries a person's tokens.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// `act.` and random characters.
    pub access_token: String,
    /// Seconds.
    pub expires_in: i64,
    /// The person, as this app knows them.
    pub open_id: String,
    /// Seconds.
    pub refresh_expires_in: i64,
    /// `rft.` and random characters.
    pub refresh_token: String,
    /// What is granted now: a comma list.
    pub scope: String,
    /// `Bearer`
    pub token_type: String,
}

/// The flat answer that carries an app's own token.
#[derive(Clone, Serialize, Deserialize)]
pub struct ClientTokenAnswer {
    /// `clt.` and random characters.
    pub access_token: String,
    /// Seconds.
    pub expires_in: i64,
    /// `Bearer`
    pub token_type: String,
}

/// Whether the challenge is base64url(SHA-256) or hex(SHA-256), in either case, of the verifier.
pub fn challenge_matches(challenge: &str, verifier: &str) -> bool {
    let digest = Sha256::digest(verifier.as_bytes());
    let hexadecimal = challenge.to_ascii_lowercase().as_bytes().ct_eq(hex::encode(digest).as_bytes());
    let base64url = challenge.trim_end_matches('=').as_bytes().ct_eq(base64url(&digest).as_bytes());
    (hexadecimal | base64url).into()
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn both_encodings_match_and_nothing_else() {
        let hexadecimal = hex::encode(Sha256::digest(VERIFIER.as_bytes()));
        for challenge in [CHALLENGE, &hexadecimal, &hexadecimal.to_uppercase(), &format!("{CHALLENGE}=")] {
            assert!(challenge_matches(challenge, VERIFIER), "{challenge}");
            assert!(!challenge_matches(challenge, "other"), "{challenge}");
        }
        assert!(!challenge_matches(&CHALLENGE.to_lowercase(), VERIFIER));
    }
}
