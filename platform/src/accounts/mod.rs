//! Accounts: developers and staff, their second factor and their sessions. The operator's people are another room.

mod change;
mod rows;
mod rules;
mod second_factor;
mod sessions;
mod sign_in;
mod sign_up;
mod staff;

use crate::audit::Actor;
use crate::clock::Millis;
use crate::db::words;
use crate::{Fault, Platform};

pub use change::{
    CloseError, EmailError, PendingEmail, ask_for_email, change_password, close, confirm_email, look_at_email, rename, set_notify,
};
pub(crate) use rows::hold;
pub use rows::{by_email, by_id, recovery_codes_left, roles, sessions, staff, with_role};
pub use rules::Flaw;
pub use second_factor::{
    Enrolment, begin_second_factor, check_code, confirm_second_factor, drop_second_factor, enrolment, new_recovery_codes, qr_svg,
};
pub use sessions::{
    Session, begin_session, complete_session, end_other_sessions, end_session, end_session_of, end_sessions_but, freshen,
    is_fresh, of_session,
};
pub use sign_in::{Outcome, ResetError, forgot, look_at_reset, proves_who_it_is, reset, sign_in};
pub use sign_up::{NewDeveloper, PendingSignUp, VerifyError, look_at_sign_up, sign_up, verify};
pub use staff::{
    NewStaff, ProviderRefusal, StaffError, create_staff, disable, enable, first_password, link_provider, look_at_welcome,
    of_provider, reset_second_factor, set_roles, welcome,
};

words! {
    /// Whose account it is. One address may have one of each.
    AccountKind {
        /// Of a third party.
        Developer = "developer",
        /// Of the operator.
        Staff = "staff",
    }
}

words! {
    /// What a member of staff may do.
    Role {
        /// Decides about apps and applications.
        Reviewer = "reviewer",
        /// Answers tickets.
        Support = "support",
        /// Looks after those who were approved.
        Compliance = "compliance",
        /// Says who is staff.
        Administrator = "administrator",
    }
}

/// A developer's or a member of staff's account.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Account {
    /// Ours.
    pub account_id: i64,
    /// Whose it is.
    pub kind: AccountKind,
    /// Where mail goes; in lower case.
    pub email: String,
    /// How they call themselves.
    pub name: String,
    /// When the address was proved.
    pub verified_at: Option<Millis>,
    /// Who the operator's OpenID provider says they are; none for accounts with a password of ours.
    pub provider_subject: Option<String>,
    /// When the second factor was switched on.
    pub totp_confirmed_at: Option<Millis>,
    /// Whether they want mail beyond what they must know.
    pub notify: bool,
    /// When it was made.
    pub created_at: Millis,
    /// When it was closed.
    pub disabled_at: Option<Millis>,
}

impl AccountKind {
    /// The page on which a new password is asked for.
    pub const fn forgot_path(self) -> &'static str {
        match self {
            Self::Developer => "/developers/forgot",
            Self::Staff => "/console/forgot",
        }
    }

    /// The page that a mailed link for a new password opens.
    const fn reset_path(self) -> &'static str {
        match self {
            Self::Developer => "/developers/reset",
            Self::Staff => "/console/reset",
        }
    }
}

impl Account {
    /// As the audit names it.
    pub fn actor(&self) -> Actor {
        match self.kind {
            AccountKind::Developer => Actor::Developer(self.account_id),
            AccountKind::Staff => Actor::Staff(self.account_id),
        }
    }

    /// Whether a code is asked for after the password.
    pub fn has_second_factor(&self) -> bool {
        self.totp_confirmed_at.is_some()
    }

    /// Whether the account may not be without a second factor: staff with a password of ours, unless the operator has set otherwise. Who comes
    /// from the operator's provider gave theirs there.
    pub fn needs_second_factor(&self, platform: &Platform) -> bool {
        self.kind == AccountKind::Staff && self.provider_subject.is_none() && platform.settings.accounts.staff_second_factor
    }

    /// Whether it needs a second factor that it has not set up yet.
    pub fn must_enrol(&self, platform: &Platform) -> bool {
        !self.has_second_factor() && self.needs_second_factor(platform)
    }
}

/// Seals every secret of a second factor anew that was not sealed by the newest key; gives how many.
pub(crate) async fn reseal(platform: &Platform) -> Result<u64, Fault> {
    second_factor::reseal(platform).await
}

/// Forgets sessions and sign-ups whose time is over.
pub(crate) async fn forget(platform: &Platform) -> Result<u64, Fault> {
    let mut tx = platform.db.begin().await?;
    let forgotten = rows::forget(&mut tx, platform.now()).await?;
    tx.commit().await?;
    Ok(forgotten)
}
