//! Who is staff: invited by an administrator, or known to the operator's OpenID provider. There is always an administrator left, and nobody gives
//! themselves a role.

use super::sign_in::{self, ResetError};
use super::{Account, AccountKind, Flaw, Role, rows, rules, second_factor};
use crate::audit::{Actor, Entry};
use crate::db::Tx;
use crate::links::{self, Purpose};
use crate::notices::{self, Notice};
use crate::{Fault, Platform, password};

/// A member of staff to be added.
#[derive(Clone, Debug)]
pub struct NewStaff {
    /// Their address.
    pub email: String,
    /// How they are called.
    pub name: String,
    /// What they may do.
    pub roles: Vec<Role>,
    /// Without one they set it by a link.
    pub password: Option<String>,
}

/// Why something about staff was not done.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// Fields that cannot be so.
    #[error("{}", .0.iter().map(|flaw| flaw.message).collect::<Vec<_>>().join(" "))]
    Flaws(Vec<Flaw>),
    /// The address is another member's.
    #[error("there is a member of staff with that address already")]
    Taken,
    /// There is nobody of that number.
    #[error("there is no member of staff of that number")]
    Nobody,
    /// Somebody must be left who says who is staff.
    #[error("this is the last administrator: make somebody else one first")]
    LastAdministrator,
    /// An administrator who is not asked by another.
    #[error("nobody gives themselves a role: ask another administrator")]
    OwnRole,
    /// The operator's provider says what they may do.
    #[error("this account is kept by your OpenID provider: change it there")]
    Provider,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for StaffError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// An entry about a member of staff.
async fn audit(platform: &Platform, tx: &mut Tx, actor: Actor, account_id: i64, action: &str, detail: &str) -> Result<(), Fault> {
    Entry { about: Some(account_id), detail, ..Entry::new(actor, action) }.write(tx, &platform.random, platform.now()).await
}

/// The entry about a new account, with whose it is kept aside.
async fn added(
    platform: &Platform,
    tx: &mut Tx,
    actor: Actor,
    account: &Account,
    action: &str,
    detail: &str,
) -> Result<(), Fault> {
    let personal = Some(account.email.as_str());
    Entry { about: Some(account.account_id), detail, personal, ..Entry::new(actor, action) }
        .write(tx, &platform.random, platform.now())
        .await
}

fn words(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(",")
}

/// Adds a member of staff. Without a password, gives the path of the link by which they set their first; `mail` sends it to them as well.
pub async fn create_staff(
    platform: &Platform,
    actor: Actor,
    new: NewStaff,
    mail: bool,
) -> Result<(Account, Option<String>), StaffError> {
    let (email, name) = (rules::email(&new.email), rules::name(&new.name));
    let own_words = (email.as_deref().unwrap_or_default(), name.as_deref().unwrap_or_default());
    let password = new.password.as_deref().map_or(Ok(()), |password| rules::password(password, own_words.0, own_words.1));
    let roles = if new.roles.is_empty() { Err(Flaw { field: "roles", message: "Choose at least one role." }) } else { Ok(()) };
    let (email, name) = match (email, name, password, roles) {
        (Ok(email), Ok(name), Ok(()), Ok(())) => (email, name),
        (email, name, password, roles) => {
            let flaws = [name.err(), email.err(), password.err(), roles.err()];
            return Err(StaffError::Flaws(flaws.into_iter().flatten().collect()));
        }
    };
    let hash = match new.password {
        Some(password) => Some(password::hash(platform.random.clone(), password).await?),
        None => None,
    };
    let now = platform.now();
    let account = Account {
        account_id: platform.random.id(),
        kind: AccountKind::Staff,
        email,
        name,
        // By whoever gave the password; else by the link.
        verified_at: hash.as_ref().map(|_| now),
        provider_subject: None,
        totp_confirmed_at: None,
        notify: true,
        created_at: now,
        disabled_at: None,
    };
    let mut tx = platform.db.begin().await?;
    let has_password = hash.is_some();
    if !rows::insert(&mut tx, &account, hash).await? {
        return Err(StaffError::Taken);
    }
    rows::set_roles(&mut tx, account.account_id, &new.roles).await?;
    added(platform, &mut tx, actor, &account, "staff.added", &words(&new.roles)).await?;
    let path = if has_password { None } else { Some(make_welcome(platform, &mut tx, &account, mail).await?) };
    tx.commit().await?;
    Ok((account, path))
}

async fn make_welcome(platform: &Platform, tx: &mut Tx, account: &Account, mail: bool) -> Result<String, Fault> {
    let purpose = Purpose::WelcomeStaff;
    let token = links::make(platform, tx, purpose, account.account_id, &account.email, notices::lives(purpose)).await?;
    let path = format!("/console/welcome?token={token}");
    if mail {
        let notice = Notice::WelcomeStaff { name: account.name.clone(), path: path.clone() };
        notices::send(platform, tx, &account.email, Some(account.account_id), notice).await?;
    }
    Ok(path)
}

/// Gives a member of staff another link for a password, such as when it is forgotten; the password there was goes on until the link is used.
pub async fn welcome(platform: &Platform, actor: Actor, account_id: i64, mail: bool) -> Result<String, StaffError> {
    let mut tx = platform.db.begin().await?;
    let account = local(&mut tx, account_id).await?;
    let path = make_welcome(platform, &mut tx, &account, mail).await?;
    audit(platform, &mut tx, actor, account_id, "staff.welcomed", "").await?;
    tx.commit().await?;
    Ok(path)
}

/// Whose first password a link sets, without using it up.
pub async fn look_at_welcome(platform: &Platform, token: &str) -> Result<Option<Account>, Fault> {
    sign_in::whose(platform, links::look(platform, Purpose::WelcomeStaff, token).await?, AccountKind::Staff).await
}

/// Sets a member of staff's password by the link that was mailed.
pub async fn first_password(platform: &Platform, token: &str, password: &str) -> Result<Account, ResetError> {
    let account = look_at_welcome(platform, token).await?.ok_or(ResetError::Link)?;
    sign_in::set_by_link(platform, Purpose::WelcomeStaff, token, &account, password, "staff.password_set").await?;
    Ok(account)
}

/// A member of staff, open or closed.
async fn member(tx: &mut Tx, account_id: i64) -> Result<Account, StaffError> {
    rows::by_id(tx, account_id).await?.filter(|account| account.kind == AccountKind::Staff).ok_or(StaffError::Nobody)
}

/// A member of staff whose password and roles are ours to change.
async fn local(tx: &mut Tx, account_id: i64) -> Result<Account, StaffError> {
    let account = member(tx, account_id).await?;
    if account.provider_subject.is_some() { Err(StaffError::Provider) } else { Ok(account) }
}

/// Says what a member of staff may do. Their sessions go on: roles are looked up at every step.
pub async fn set_roles(platform: &Platform, actor: Actor, account_id: i64, roles: &[Role]) -> Result<(), StaffError> {
    if roles.is_empty() {
        return Err(StaffError::Flaws(vec![Flaw { field: "roles", message: "Choose at least one role, or close the account." }]));
    }
    let mut tx = platform.db.begin().await?;
    rows::hold_administrators(&mut tx).await?;
    local(&mut tx, account_id).await?;
    let before = rows::roles(&mut tx, account_id).await?;
    if actor == Actor::Staff(account_id) && roles.iter().any(|role| !before.contains(role)) {
        return Err(StaffError::OwnRole);
    }
    if before.contains(&Role::Administrator) && !roles.contains(&Role::Administrator) {
        another_administrator(&mut tx, account_id).await?;
    }
    rows::set_roles(&mut tx, account_id, roles).await?;
    audit(platform, &mut tx, actor, account_id, "staff.roles_set", &words(roles)).await?;
    tx.commit().await?;
    Ok(())
}

async fn another_administrator(tx: &mut Tx, account_id: i64) -> Result<(), StaffError> {
    if rows::other_administrators(tx, account_id).await? == 0 { Err(StaffError::LastAdministrator) } else { Ok(()) }
}

/// Ends the mailed links that set a password.
async fn end_links(tx: &mut Tx, account_id: i64) -> Result<(), Fault> {
    for purpose in [Purpose::WelcomeStaff, Purpose::ResetPassword] {
        links::end(tx, purpose, account_id).await?;
    }
    Ok(())
}

/// Closes a member of staff's account: their sessions and links end. What they did stays told under their name.
pub async fn disable(platform: &Platform, actor: Actor, account_id: i64) -> Result<(), StaffError> {
    let mut tx = platform.db.begin().await?;
    rows::hold_administrators(&mut tx).await?;
    member(&mut tx, account_id).await?;
    if rows::roles(&mut tx, account_id).await?.contains(&Role::Administrator) {
        another_administrator(&mut tx, account_id).await?;
    }
    if rows::set_disabled(&mut tx, account_id, Some(platform.now())).await? {
        rows::end_sessions(&mut tx, account_id, None).await?;
        end_links(&mut tx, account_id).await?;
        audit(platform, &mut tx, actor, account_id, "staff.disabled", "").await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Opens a closed account of staff again, with the roles and the password it had.
pub async fn enable(platform: &Platform, actor: Actor, account_id: i64) -> Result<(), StaffError> {
    let mut tx = platform.db.begin().await?;
    member(&mut tx, account_id).await?;
    if rows::set_disabled(&mut tx, account_id, None).await? {
        audit(platform, &mut tx, actor, account_id, "staff.enabled", "").await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Takes a lost second factor away: their sessions end, and at the next sign-in they set up another.
pub async fn reset_second_factor(platform: &Platform, actor: Actor, account_id: i64) -> Result<(), StaffError> {
    let mut tx = platform.db.begin().await?;
    let account = local(&mut tx, account_id).await?;
    let was_on = rows::drop_totp(&mut tx, account_id).await?;
    rows::end_sessions(&mut tx, account_id, None).await?;
    audit(platform, &mut tx, actor, account_id, "staff.second_factor_reset", "").await?;
    if was_on && account.disabled_at.is_none() {
        let off = |name, path| Notice::SecondFactorOff { name, by_administrator: true, path };
        second_factor::tell(platform, &mut tx, &account, off).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Why somebody who comes from the operator's provider is not let in.
#[derive(Debug, thiserror::Error)]
pub enum ProviderRefusal {
    /// The claim names no role of ours.
    #[error("the provider names no role for this account")]
    NoRole,
    /// An administrator has closed the account.
    #[error("the account was closed")]
    Disabled,
    /// An account with a password of ours, or of another subject, has the address. The operator links it: `portward admin staff link`.
    #[error("the address belongs to another account")]
    AddressTaken,
    /// A claim that cannot be kept.
    #[error("{}", .0.message)]
    Flaw(Flaw),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for ProviderRefusal {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// The account of somebody whom the operator's OpenID provider has just signed in: made at the first time; name, address and roles are those of the
/// claims each time. The subject alone says who it is: an address may be anybody's claim.
pub async fn of_provider(
    platform: &Platform,
    kind: AccountKind,
    subject: &str,
    email: &str,
    name: &str,
    roles: &[Role],
) -> Result<Account, ProviderRefusal> {
    let email = rules::email(email).map_err(ProviderRefusal::Flaw)?;
    let name = rules::name(name).map_err(ProviderRefusal::Flaw)?;
    if subject.is_empty() || subject.len() > 255 || subject.contains('\0') {
        return Err(ProviderRefusal::Flaw(Flaw { field: "subject", message: "The subject has 1 to 255 characters." }));
    }
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let known = rows::by_provider(&mut tx, kind, subject).await?;
    if known.as_ref().is_some_and(|account| account.disabled_at.is_some()) {
        return Err(ProviderRefusal::Disabled);
    }
    if kind == AccountKind::Staff && roles.is_empty() {
        if let Some(account) = known {
            // They had roles once, and open sessions perhaps.
            rows::set_roles(&mut tx, account.account_id, &[]).await?;
            rows::end_sessions(&mut tx, account.account_id, None).await?;
            audit(platform, &mut tx, Actor::System, account.account_id, "staff.roles_set", "").await?;
            tx.commit().await?;
        }
        return Err(ProviderRefusal::NoRole);
    }
    let account = match known {
        Some(account) => {
            if account.email != email && !rows::set_email(&mut tx, &account, &email).await? {
                return Err(ProviderRefusal::AddressTaken);
            }
            if account.name != name {
                rows::set_name(&mut tx, account.account_id, &name).await?;
            }
            Account { email, name, ..account }
        }
        None => {
            let account = Account {
                account_id: platform.random.id(),
                kind,
                email,
                name,
                verified_at: Some(now),
                provider_subject: Some(subject.to_owned()),
                totp_confirmed_at: None,
                notify: true,
                created_at: now,
                disabled_at: None,
            };
            if !rows::insert(&mut tx, &account, None).await? {
                return Err(ProviderRefusal::AddressTaken);
            }
            let action = if kind == AccountKind::Staff { "staff.added" } else { "account.made" };
            added(platform, &mut tx, Actor::System, &account, action, "").await?;
            account
        }
    };
    if kind == AccountKind::Staff {
        let mut wanted: Vec<Role> = Role::ALL.iter().copied().filter(|role| roles.contains(role)).collect();
        wanted.sort_by_key(|role| role.as_str());
        if rows::roles(&mut tx, account.account_id).await? != wanted {
            rows::set_roles(&mut tx, account.account_id, &wanted).await?;
            audit(platform, &mut tx, Actor::System, account.account_id, "staff.roles_set", &words(&wanted)).await?;
        }
    }
    tx.commit().await?;
    Ok(account)
}

/// Hands an account with a password of ours over to the operator's provider: from now on that subject signs in to it, and nobody by password.
pub async fn link_provider(platform: &Platform, actor: Actor, account_id: i64, subject: &str) -> Result<(), StaffError> {
    if subject.is_empty() || subject.len() > 255 || subject.contains('\0') {
        return Err(StaffError::Flaws(vec![Flaw { field: "subject", message: "The subject has 1 to 255 characters." }]));
    }
    let mut tx = platform.db.begin().await?;
    local(&mut tx, account_id).await?;
    if rows::by_provider(&mut tx, AccountKind::Staff, subject).await?.is_some() {
        return Err(StaffError::Taken);
    }
    rows::set_provider(&mut tx, account_id, subject).await?;
    rows::drop_totp(&mut tx, account_id).await?;
    rows::end_sessions(&mut tx, account_id, None).await?;
    end_links(&mut tx, account_id).await?;
    audit(platform, &mut tx, actor, account_id, "staff.linked", "").await?;
    tx.commit().await?;
    Ok(())
}
