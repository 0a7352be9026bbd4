//! The one place of this crate that asks the machine for randomness: a library for others cannot have it handed in by all.

use base64::Engine;

/// A fresh value for `state`: 256 bits, in characters that need no encoding.
pub fn random_state() -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random_bytes())
}

#[expect(clippy::disallowed_methods, reason = "a library for others; whoever wants repeatable values uses Pkce::from_bytes")]
pub(crate) fn random_bytes() -> [u8; 32] {
    rand::random()
}
