//! `portward admin staff`: who is staff. The first administrator is made here; later ones can be invited in the console.

use std::path::Path;

use anyhow::Context;
use clap::{Args, Subcommand};
use platform::Platform;
use platform::accounts::{self, Account, AccountKind, NewStaff, Role};
use platform::audit::Actor;
use serde_json::{Value, json};

use super::{read_secret, time, words};

#[derive(Debug, Subcommand)]
pub(super) enum StaffVerb {
    /// Add a member of staff; prints a link by which they choose their password
    Add {
        /// Their address
        #[arg(long)]
        email: String,
        /// How they are called
        #[arg(long)]
        name: String,
        /// reviewer, support, compliance or administrator; repeat for more
        #[arg(long = "role", value_parser = role, required = true)]
        roles: Vec<Role>,
        #[command(flatten)]
        way: Way,
    },
    /// List the members of staff
    List,
    /// Say what a member of staff may do, in the place of what they might before
    Roles {
        /// Their address
        email: String,
        /// reviewer, support, compliance or administrator; repeat for more
        #[arg(long = "role", value_parser = role, required = true)]
        roles: Vec<Role>,
    },
    /// Give a member of staff another link for a password
    Welcome {
        /// Their address
        email: String,
        /// Mail the link instead of printing it
        #[arg(long)]
        mail: bool,
    },
    /// Close a member of staff's account; their sessions end
    Disable {
        /// Their address
        email: String,
    },
    /// Open a closed account again
    Enable {
        /// Their address
        email: String,
    },
    /// Take a lost second factor away; they set up another at the next sign-in
    ResetSecondFactor {
        /// Their address
        email: String,
    },
    /// Hand an account over to your OpenID provider: that subject signs in to it from now on, and nobody by password
    Link {
        /// Their address
        email: String,
        /// Who the provider says they are
        #[arg(long)]
        subject: String,
    },
}

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct Way {
    /// Mail the link instead of printing it
    #[arg(long)]
    mail: bool,
    /// Read their password from standard input; there is no link then
    #[arg(long)]
    password_stdin: bool,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| words(Role::ALL.iter().map(|word| word.as_str())))
}

pub(super) async fn staff(platform: &Platform, verb: StaffVerb) -> anyhow::Result<Value> {
    let operator = Actor::Operator;
    match verb {
        StaffVerb::Add { email, name, roles, way } => {
            let password = way.password_stdin.then(|| read_secret(Path::new("-"))).transpose()?;
            let new = NewStaff { email, name, roles, password };
            let (account, path) = accounts::create_staff(platform, operator, new, way.mail).await?;
            let mut told = value(platform, &account).await?;
            if let Some(path) = path.filter(|_| !way.mail) {
                told["link"] = json!(format!("{}{path}", platform.settings.site.base_url));
            }
            Ok(told)
        }
        StaffVerb::List => {
            let mut tx = platform.db.read().await?;
            let all = accounts::staff(&mut tx).await?;
            drop(tx);
            let mut told = Vec::new();
            for account in &all {
                told.push(value(platform, account).await?);
            }
            Ok(Value::Array(told))
        }
        StaffVerb::Roles { email, roles } => {
            let account = by_email(platform, &email).await?;
            accounts::set_roles(platform, operator, account.account_id, &roles).await?;
            again(platform, &account).await
        }
        StaffVerb::Welcome { email, mail } => {
            let account = by_email(platform, &email).await?;
            let path = accounts::welcome(platform, operator, account.account_id, mail).await?;
            let mut told = value(platform, &account).await?;
            if !mail {
                told["link"] = json!(format!("{}{path}", platform.settings.site.base_url));
            }
            Ok(told)
        }
        StaffVerb::Disable { email } => {
            let account = by_email(platform, &email).await?;
            accounts::disable(platform, operator, account.account_id).await?;
            again(platform, &account).await
        }
        StaffVerb::Enable { email } => {
            let account = by_email(platform, &email).await?;
            accounts::enable(platform, operator, account.account_id).await?;
            again(platform, &account).await
        }
        StaffVerb::ResetSecondFactor { email } => {
            let account = by_email(platform, &email).await?;
            accounts::reset_second_factor(platform, operator, account.account_id).await?;
            again(platform, &account).await
        }
        StaffVerb::Link { email, subject } => {
            let account = by_email(platform, &email).await?;
            accounts::link_provider(platform, operator, account.account_id, &subject).await?;
            again(platform, &account).await
        }
    }
}

async fn by_email(platform: &Platform, email: &str) -> anyhow::Result<Account> {
    let mut tx = platform.db.read().await?;
    accounts::by_email(&mut tx, AccountKind::Staff, email).await?.context("there is no member of staff with that address")
}

/// As it is after a change.
async fn again(platform: &Platform, account: &Account) -> anyhow::Result<Value> {
    let mut tx = platform.db.read().await?;
    let account = accounts::by_id(&mut tx, account.account_id).await?.context("the account is gone")?;
    drop(tx);
    value(platform, &account).await
}

async fn value(platform: &Platform, account: &Account) -> anyhow::Result<Value> {
    let mut tx = platform.db.read().await?;
    let roles = accounts::roles(&mut tx, account.account_id).await?;
    Ok(json!({
        "account_id": account.account_id.to_string(),
        "email": account.email,
        "name": account.name,
        "roles": roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
        "sign_in": if account.provider_subject.is_some() { "provider" } else { "password" },
        "second_factor": account.has_second_factor(),
        "created_at": time(account.created_at),
        "disabled_at": account.disabled_at.map(time),
    }))
}
