//! `[apps]` and `[organisations]`

use serde::Deserialize;

use super::Span;

/// `[apps]`: what developers may say of their apps, and how long their review takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Apps {
    /// The categories that an app can be of (contract 1.4).
    pub categories: Vec<String>,
    /// Names that no app may carry, beside the operator's own: people must not take an app for the operator's.
    pub reserved_names: Vec<String>,
    /// Whether an app can be submitted without a demo video.
    pub require_video: bool,
    /// Demo videos of one app (contract 1.4).
    pub videos: u32,
    /// The working days in which an app is usually reviewed.
    pub usual_days: u32,
    /// The working days by which its review is due.
    pub limit_days: u32,
    /// Apps that one organisation or one developer may have: each holds a sandbox.
    pub of_one_owner: u32,
    /// How long the earlier secret goes on after a rotation, unless the developer says otherwise.
    pub secret_overlap: Span,
    /// How long the other organisation may take to accept an app that is handed over.
    pub transfer_lives: Span,
}

impl Default for Apps {
    fn default() -> Self {
        let categories = [
            "Business",
            "Education",
            "Entertainment",
            "Finance",
            "Games",
            "Health and fitness",
            "Lifestyle",
            "News",
            "Photo and video",
            "Productivity",
            "Research",
            "Shopping",
            "Social",
            "Travel",
            "Utilities",
        ];
        Self {
            categories: categories.map(ToOwned::to_owned).into(),
            reserved_names: Vec::new(),
            require_video: false,
            videos: 5,
            usual_days: 10,
            limit_days: 20,
            of_one_owner: 100,
            secret_overlap: Span::hours(24),
            transfer_lives: Span::days(14),
        }
    }
}

/// `[organisations]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Organisations {
    /// Admins beside the owner (contract 1.2).
    pub admins: u32,
    /// Managers of one app (contract 1.2).
    pub managers_per_app: u32,
    /// Invitations that wait for an answer, of one organisation: each may send a mail.
    pub invitations: u32,
    /// How long an invitation can be accepted.
    pub invitation_lives: Span,
    /// Organisations that one developer may own.
    pub owned: u32,
}

impl Default for Organisations {
    fn default() -> Self {
        Self { admins: 20, managers_per_app: 20, invitations: 50, invitation_lives: Span::days(14), owned: 20 }
    }
}
