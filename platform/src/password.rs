//! Passwords of people and of accounts: argon2id, checked a few at a time, in memory that is given back.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::Fault;
use crate::ids::Random;

/// OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
/// Bytes of a hash.
const LENGTH: usize = 32;

/// The hash of a password that nobody knows, checked for unknown names, so that they take as long as wrong passwords.
pub(crate) const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlz$Yp1S5jv0Cq1uWZpXxQ0yq0m2rC3V4w5E6T7Y8U9I0O8";

/// Passwords are slow to check by design; no more of them at once than this, so that sign-in cannot take all the processors and memory.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Hashes a password with a salt of its own.
pub(crate) async fn hash(random: Random, password: String) -> Result<String, Fault> {
    let _permit = AT_ONCE.acquire().await;
    let hashed = tokio::task::spawn_blocking(move || -> Result<String, Fault> {
        let fault = |cause: String| Fault::Password(cause);
        let params = Params::new(MEMORY_KIB, 2, 1, Some(LENGTH)).map_err(|cause| fault(cause.to_string()))?;
        let salt: [u8; 16] = random.bytes();
        let output = derive(&params, password.as_bytes(), &salt).ok_or_else(|| fault("argon2 refused".into()))?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).map_err(|cause| fault(cause.to_string()))?,
            salt: Some(Salt::new(&salt).map_err(|cause| fault(cause.to_string()))?),
            hash: Some(Output::new(&output).map_err(|cause| fault(cause.to_string()))?),
        };
        Ok(hash.to_string())
    });
    hashed.await.map_err(|cause| Fault::Password(cause.to_string()))?
}

/// Whether a password is the one of a hash.
pub(crate) async fn matches(hash: String, password: String) -> bool {
    let _permit = AT_ONCE.acquire().await;
    let checked = tokio::task::spawn_blocking(move || {
        let hash = PasswordHash::new(&hash).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let (salt, expected) = (hash.salt?, hash.hash?);
        let output = derive(&params, password.as_bytes(), salt.as_ref())?;
        Some(bool::from(output.ct_eq(expected.as_bytes())))
    });
    checked.await.ok().flatten().unwrap_or(false)
}

fn derive(params: &Params, password: &[u8], salt: &[u8]) -> Option<[u8; LENGTH]> {
    // An allocation of more than 32 MiB is always mapped by itself and unmapped when freed; smaller ones of this size would stay with the
    // allocator after the first, once for each thread that ever hashed. Only what is filled is ever touched.
    let mut memory = Vec::with_capacity(33 << 10);
    memory.resize(params.block_count(), Block::new());
    let mut output = [0; LENGTH];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    argon2.hash_password_into_with_memory(password, salt, &mut output, &mut memory).ok()?;
    Some(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passwords_are_hashed_and_nobodys_hash_is_as_slow_as_any() {
        let hashed = hash(Random::seeded(1), "correct horse".into()).await.unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert!(matches(hashed.clone(), "correct horse".into()).await);
        assert!(!matches(hashed.clone(), "wrong".into()).await);
        assert!(!matches("nonsense".into(), "wrong".into()).await);
        let (nobody, somebody) = (PasswordHash::new(NOBODY).unwrap(), PasswordHash::new(&hashed).unwrap());
        assert_eq!(nobody.params, somebody.params);
        assert_eq!(nobody.hash.map(|hash| hash.len()), somebody.hash.map(|hash| hash.len()));
    }
}
