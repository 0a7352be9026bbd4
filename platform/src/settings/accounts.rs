//! `[accounts]`: sign-in of developers and staff.

use serde::Deserialize;

use super::Span;

/// `[accounts]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// Whether staff with a password of ours must give a second factor.
    pub staff_second_factor: bool,
    /// How long a session lasts.
    pub session: Span,
    /// How long after the last sign-in the password is not asked for again, before what only the account's holder may do.
    pub fresh: Span,
    /// Failures of one account within the window after which it must wait: passwords.
    pub failures_per_account: u32,
    /// The same for codes of the second factor. A code has six digits, three of which are good at a time: five guesses find one in 70,000 times.
    pub code_failures: u32,
    /// Sign-ups and forgotten passwords from one address within the window.
    pub mails_per_address: u32,
    /// Mails of those kinds to one recipient within an hour; further ones are not sent, and the page does not say so.
    pub mails_per_recipient: u32,
    /// The window.
    pub window: Span,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            staff_second_factor: true,
            session: Span::hours(12),
            fresh: Span::minutes(15),
            failures_per_account: 10,
            code_failures: 5,
            mails_per_address: 30,
            mails_per_recipient: 5,
            window: Span::minutes(15),
        }
    }
}
