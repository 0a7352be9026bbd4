//! User info (contract 3.8).

use serde::{Deserialize, Serialize};

/// A field of user info and the scope it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserField {
    /// The name on the wire.
    pub name: &'static str,
    /// The scope without which it is left out.
    pub scope: &'static str,
}

impl UserField {
    /// Every field that can be asked for.
    pub const ALL: [Self; 15] = [
        Self::new("open_id", "user.info.basic"),
        Self::new("union_id", "user.info.basic"),
        Self::new("avatar_url", "user.info.basic"),
        Self::new("avatar_url_100", "user.info.basic"),
        Self::new("avatar_large_url", "user.info.basic"),
        Self::new("display_name", "user.info.basic"),
        Self::new("bio_description", "user.info.profile"),
        Self::new("profile_deep_link", "user.info.profile"),
        Self::new("profile_web_link", "user.info.profile"),
        Self::new("is_verified", "user.info.profile"),
        Self::new("username", "user.info.profile"),
        Self::new("follower_count", "user.info.stats"),
        Self::new("following_count", "user.info.stats"),
        Self::new("likes_count", "user.info.stats"),
        Self::new("video_count", "user.info.stats"),
    ];

    const fn new(name: &'static str, scope: &'static str) -> Self {
        Self { name, scope }
    }

    /// The field of that name; unknown names are ignored by the caller (`client-rules.md` 22).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name == name)
    }
}

/// `{"user": {..}}`: only what was asked for and allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Name and value of each field.
    pub user: serde_json::Map<String, serde_json::Value>,
}
