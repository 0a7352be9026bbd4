//! Invitations: by the address of a developer's account; accepted, rejected, cancelled, or ended by the clock (contract 1.2).
//!
//! | outcome | by | may follow on |
//! |---|---|---|
//! | accepted | the invited developer | pending |
//! | rejected | the invited developer | pending |
//! | cancelled | an owner or admin; the removal of who invited; the end of the organisation, the app, or an account of the two | pending |
//! | expired | the clock | pending |
//!
//! One guarded statement ends an invitation, so that of two acts at once one wins.

use super::{Refusal, Seat, here, room_for_admin, room_for_manager, rows, seat, seat_of, write};
use crate::accounts::{self, Account, AccountKind};
use crate::apps::{self, OwnerKind};
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::notices::{self, Notice};
use crate::{Fault, Platform};

words! {
    /// How an invitation ended.
    Outcome {
        /// The developer joined.
        Accepted = "accepted",
        /// The developer did not want to.
        Rejected = "rejected",
        /// Taken back.
        Cancelled = "cancelled",
        /// Nobody answered.
        Expired = "expired",
    }
}

/// An invitation that waits for an answer.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Invitation {
    /// Ours.
    pub invitation_id: i64,
    /// To which organisation.
    pub organisation_id: i64,
    /// Its name.
    pub organisation: String,
    /// To manage which app, if to be a manager.
    pub app_id: Option<i64>,
    /// Its name.
    pub app: Option<String>,
    /// The address that was typed.
    pub email: String,
    /// As what.
    pub role: Seat,
    /// Who invited.
    pub invited_by: String,
    /// When.
    pub created_at: Millis,
    /// Until when it can be accepted.
    pub expires_at: Millis,
}

/// Why nobody was invited.
pub type InviteError = Refusal;

/// Invites an address. The answer is the same whether or not an account is registered with it: the invitation is listed, and only a registered,
/// proved address gets a mail and can accept (contract 1.2).
pub async fn invite(
    platform: &Platform,
    account: &Account,
    organisation_id: i64,
    email: &str,
    role: Seat,
    app_id: Option<i64>,
) -> Result<(), InviteError> {
    let now = platform.now();
    let email = email.trim().to_lowercase();
    let shaped = email.len() <= 254
        && email.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.len() > 2 && domain.contains('.'))
        && !email.chars().any(|c| c.is_whitespace() || apps::is_disguise(c) || matches!(c, '<' | '>' | '"' | ','));
    if !shaped {
        return Err(Refusal::State("Give one e-mail address, such as ada@app.example."));
    }
    let mut tx = platform.db.begin().await?;
    let mine = seat_of(&mut tx, organisation_id, account.account_id).await?;
    let app = match (role, app_id) {
        (Seat::Owner, _) => return Err(Refusal::State("An organisation has one owner. Invite an admin, then hand it over.")),
        (Seat::Admin, _) if mine != Seat::Owner => return Err(Refusal::Forbidden("Only the owner invites admins.")),
        (Seat::Manager, _) if !mine.leads() => return Err(Refusal::Forbidden("Only the owner and admins invite.")),
        (Seat::Admin, _) => None,
        (Seat::Manager, None) => return Err(Refusal::State("Choose the app that the new member is to manage.")),
        (Seat::Manager, Some(app_id)) => {
            let app = apps::by_id(&mut tx, app_id).await?.filter(|app| app.deleted_at.is_none());
            Some(
                app.filter(|app| app.owner_kind == OwnerKind::Organisation && app.owner_id == organisation_id)
                    .ok_or(Refusal::State("Choose an app of this organisation."))?,
            )
        }
    };
    rows::expire_of(&mut tx, organisation_id, now).await?;
    let most = platform.settings.organisations.invitations;
    if rows::count_pending(&mut tx, organisation_id).await? >= i64::from(most) {
        let words = format!("{most} invitations wait for an answer, as many as may. Cancel one, or wait for answers.");
        return Err(Refusal::Limit(words));
    }
    match &app {
        Some(app) => room_for_manager(platform, &mut tx, app.app_id).await?,
        None => room_for_admin(platform, &mut tx, organisation_id).await?,
    }
    // Members are known to the inviter, so this tells nothing new.
    if let Some(member) = rows::member_by_email(&mut tx, organisation_id, &email).await? {
        match seat(&mut tx, organisation_id, member).await? {
            Some(Seat::Manager) if app.is_some() => {
                return Err(Refusal::State(
                    "This developer is an app manager of the organisation already. Add the app in the list of members.",
                ));
            }
            _ => return Err(Refusal::State("This developer is a member of the organisation already. Change the role instead.")),
        }
    }
    if rows::is_pending(&mut tx, organisation_id, &email).await? {
        return Err(Refusal::State("An invitation to this address waits for an answer already. Cancel it to send another."));
    }
    let known = accounts::by_email(&mut tx, AccountKind::Developer, &email).await?;
    let known = known.filter(|known| known.verified_at.is_some() && known.disabled_at.is_none());
    let new = rows::NewInvitation {
        invitation_id: platform.random.id(),
        organisation_id,
        app_id: app.as_ref().map(|app| app.app_id),
        account_id: known.as_ref().map(|known| known.account_id),
        email: &email,
        role,
        invited_by: account.account_id,
        expires_at: now + platform.settings.organisations.invitation_lives.0,
    };
    rows::insert_invitation(&mut tx, &new, now).await?;
    // Cancelled and sent again, an invitation is one more mail each time; it stands in the list of who is invited all the same.
    let known = match known {
        Some(known) if notices::may_send(platform, &mut tx, notices::Kind::Invitation, &known.email).await? => Some(known),
        _ => None,
    };
    if let Some(known) = known {
        let organisation = super::by_id(&mut tx, organisation_id).await?.ok_or(Refusal::Unknown)?;
        let role = app.map_or_else(|| "admin".to_owned(), |app| format!("app manager of {}", app.name));
        let told = Notice::Invitation {
            organisation: organisation.name,
            by: account.name.clone(),
            role,
            path: "/developers/invitations".into(),
        };
        notices::send(platform, &mut tx, &known.email, Some(organisation_id), told).await?;
    }
    write(platform, &mut tx, account, "organisation.invited", organisation_id, &format!("{} {role}", new.invitation_id)).await?;
    tx.commit().await?;
    Ok(())
}

/// What waits for an answer in an organisation, the newest first.
pub async fn pending(tx: &mut Tx, organisation_id: i64, now: Millis) -> Result<Vec<Invitation>, Fault> {
    rows::pending(tx, organisation_id, now).await
}

/// What waits for the answer of a developer, the newest first.
pub async fn pending_of(tx: &mut Tx, account_id: i64, now: Millis) -> Result<Vec<Invitation>, Fault> {
    rows::pending_of(tx, account_id, now).await
}

/// Joins. Whoever is a member already gets the greater of the two seats.
pub async fn accept(platform: &Platform, account: &Account, invitation_id: i64) -> Result<i64, Refusal> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    here(&mut tx, account.account_id).await?;
    let seen = rows::invitation(&mut tx, invitation_id, account.account_id).await?.ok_or(Refusal::Unknown)?;
    // The organisation is held before the invitation ends: limits and seats are looked at behind it.
    if !super::hold(&mut tx, seen.organisation_id).await? {
        return Err(Refusal::Unknown);
    }
    if !rows::end_invitation(&mut tx, invitation_id, Outcome::Accepted, now).await? {
        return Err(Refusal::State("This invitation was cancelled, answered before, or has run out. Ask for a new one."));
    }
    let before = seat(&mut tx, seen.organisation_id, account.account_id).await?;
    match (seen.role, before) {
        (Seat::Owner, _) => return Err(Fault::Row("an invitation to be owner".into()).into()),
        (_, Some(Seat::Owner | Seat::Admin)) => {}
        (Seat::Admin, before) => {
            room_for_admin(platform, &mut tx, seen.organisation_id).await?;
            match before {
                Some(_) => rows::set_seat(&mut tx, seen.organisation_id, account.account_id, Seat::Admin).await?,
                None => rows::seat_at(&mut tx, seen.organisation_id, account.account_id, Seat::Admin, now).await?,
            }
            rows::drop_managers(&mut tx, seen.organisation_id, account.account_id).await?;
        }
        (Seat::Manager, before) => {
            let app_id = seen.app_id.ok_or(Refusal::Unknown)?;
            let app = apps::by_id(&mut tx, app_id).await?.filter(|app| app.deleted_at.is_none());
            app.filter(|app| app.owner_kind == OwnerKind::Organisation && app.owner_id == seen.organisation_id)
                .ok_or(Refusal::State("The app is not the organisation's any more."))?;
            room_for_manager(platform, &mut tx, app_id).await?;
            if before.is_none() {
                rows::seat_at(&mut tx, seen.organisation_id, account.account_id, Seat::Manager, now).await?;
            }
            rows::add_manager(&mut tx, app_id, account.account_id, now).await?;
        }
    }
    write(platform, &mut tx, account, "organisation.joined", seen.organisation_id, &invitation_id.to_string()).await?;
    tx.commit().await?;
    Ok(seen.organisation_id)
}

/// Does not join; a fresh invitation is needed for that later.
pub async fn reject(platform: &Platform, account: &Account, invitation_id: i64) -> Result<(), Refusal> {
    let mut tx = platform.db.begin().await?;
    let seen = rows::invitation(&mut tx, invitation_id, account.account_id).await?.ok_or(Refusal::Unknown)?;
    if !rows::end_invitation(&mut tx, invitation_id, Outcome::Rejected, platform.now()).await? {
        return Err(Refusal::State("This invitation was cancelled, answered before, or has run out."));
    }
    write(platform, &mut tx, account, "organisation.rejected", seen.organisation_id, &invitation_id.to_string()).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes an invitation back: those to be admin the owner, others an admin too.
pub async fn cancel(platform: &Platform, account: &Account, organisation_id: i64, invitation_id: i64) -> Result<(), Refusal> {
    let mut tx = platform.db.begin().await?;
    let mine = seat_of(&mut tx, organisation_id, account.account_id).await?;
    let role = rows::role_of_invitation(&mut tx, organisation_id, invitation_id).await?.ok_or(Refusal::Unknown)?;
    if !mine.leads() || (role == Seat::Admin && mine != Seat::Owner) {
        return Err(Refusal::Forbidden("Only the owner cancels an invitation to be admin."));
    }
    if !rows::end_invitation(&mut tx, invitation_id, Outcome::Cancelled, platform.now()).await? {
        return Err(Refusal::State("This invitation was answered, cancelled before, or has run out."));
    }
    write(platform, &mut tx, account, "organisation.invitation_cancelled", organisation_id, &invitation_id.to_string()).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends invitations that nobody answered, and forgets the addresses of those that have ended.
pub(crate) async fn expire(platform: &Platform) -> Result<u64, Fault> {
    let mut tx = platform.db.begin().await?;
    let ended = rows::expire(&mut tx, platform.now()).await?;
    tx.commit().await?;
    Ok(ended)
}
