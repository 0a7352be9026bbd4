//! `[ownership]`: how developers prove that addresses are theirs.

use std::net::SocketAddr;

use serde::Deserialize;

use super::Span;

/// `[ownership]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ownership {
    /// The word in names: `WORD-developers-site-verification=..` and `WORD....txt`. Tools that are used to TikTok's look for `tiktok`.
    pub word: String,
    /// Name servers asked instead of the system's, for addresses too.
    pub resolvers: Vec<SocketAddr>,
    /// Addresses and host names that may be looked at although they are not on the public Internet, plain http included.
    pub allow: Vec<String>,
    /// How long one look may take in all, name and connection included.
    pub timeout: Span,
    /// Looks that one owner may ask for within the window.
    pub attempts: u32,
    /// The window.
    pub window: Span,
    /// Properties of one owner.
    pub most: u32,
}

impl Default for Ownership {
    fn default() -> Self {
        Self {
            word: "tiktok".into(),
            resolvers: Vec::new(),
            allow: Vec::new(),
            timeout: Span::seconds(10),
            attempts: 30,
            window: Span::minutes(15),
            most: 100,
        }
    }
}
