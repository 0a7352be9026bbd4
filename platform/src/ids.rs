//! Randomness, handed in as a value, and what is made of it: ids, tokens, keys.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};

/// A source of randomness fit for secrets.
#[derive(Clone, Debug)]
pub struct Random(Arc<Mutex<ChaCha20Rng>>);

/// The SHA-256 of a token: what the store keeps of it.
pub type TokenHash = Vec<u8>;

impl Random {
    /// Seeded by the operating system.
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the system for randomness")]
    pub fn system() -> Self {
        Self(Arc::new(Mutex::new(rand::make_rng())))
    }

    /// The same numbers each time, for tests and demonstrations of data, never for secrets that matter.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(ChaCha20Rng::seed_from_u64(seed))))
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // A thread that panicked while it held the lock leaves the generator usable: it has no state that could be half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }

    /// An id of 53 bits, above 2^32 so that it is never mistaken for a count, and not guessable from others
    /// (`client-rules.md` 1). Collisions are left to the primary key: at 10^8 rows one insert in 9 x 10^7 would be refused.
    pub fn id(&self) -> i64 {
        loop {
            let id = i64::from_le_bytes(self.bytes::<8>()) & ((1 << 53) - 1);
            if id > 1 << 32 {
                return id;
            }
        }
    }

    /// A token of 256 bits with its prefix, such as `act.`: 47 characters.
    pub fn token(&self, prefix: &str) -> String {
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(self.bytes::<32>()))
    }

    /// Lower-case letters and digits, such as those of a client key.
    pub fn word(&self, length: usize) -> String {
        self.pick(b"abcdefghijklmnopqrstuvwxyz0123456789", length)
    }

    /// Letters of both cases and digits, such as those of a client secret: 32 of them hold 190 bits.
    pub fn secret(&self, length: usize) -> String {
        self.pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", length)
    }

    /// Lower-case letters and digits that are not mistaken for each other, for people to type: 16 of them hold 79 bits.
    pub fn legible(&self, length: usize) -> String {
        self.pick(b"23456789abcdefghjkmnpqrstuvwxyz", length)
    }

    /// A random UUID (version 4) in its text form.
    pub fn uuid(&self) -> String {
        let mut bytes = self.bytes::<16>();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let text = hex::encode(bytes);
        format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
    }

    fn pick(&self, alphabet: &[u8], length: usize) -> String {
        let mut text = String::with_capacity(length);
        // Bytes beyond the last whole multiple of the alphabet are thrown away, so that no letter is likelier than another.
        let fair = 256 - 256 % alphabet.len();
        while text.len() < length {
            let byte = usize::from(self.bytes::<1>()[0]);
            if byte < fair {
                text.push(char::from(alphabet[byte % alphabet.len()]));
            }
        }
        text
    }
}

/// The hash under which a token, code or session is kept. They hold 256 random bits, so that a plain SHA-256 is right:
/// a slow hash would only let strangers spend our time.
pub fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_below_two_to_the_53_and_tokens_below_250_characters() {
        let random = Random::seeded(1);
        for _ in 0..10_000 {
            assert!(wire::RequestId::new(random.id()).is_some());
        }
        assert_eq!(random.token("act.").len(), 47);
        assert_eq!(random.secret(32).len(), 32);
        assert_eq!(random.uuid().len(), 36);
        assert_ne!(random.token(""), random.token(""));
    }
}
