//! An installation with developers and staff, who do everything by its pages: as they would, without scripts.

use std::io::Write;
use std::process::Stdio;

use testkit::mail::Mailbox;
use testkit::visitor::{Seen, Visitor};

use crate::support::{Engine, Plan, Portward, text};

/// The password of every developer and member of staff.
pub(crate) const SECRET: &str = "a gorge, seven kites";

/// A running installation.
pub(crate) struct Scene {
    pub(crate) portward: Portward,
    pub(crate) mails: Mailbox,
}

impl Scene {
    /// With staff that need no second factor, mail in a folder, and no sandbox.
    pub(crate) fn start(engine: Engine) -> Self {
        Self::with(engine, "")
    }

    /// The same with further tables of `portward.toml`.
    pub(crate) fn with(engine: Engine, toml: &str) -> Self {
        let toml = format!("[accounts]\nstaff_second_factor = false\n{toml}");
        let mut portward = Plan::new(engine).toml(&toml).install();
        portward.serve(&[]);
        let mails = Mailbox::new(&portward.path("mail"));
        Self { portward, mails }
    }

    /// A browser of somebody's own.
    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::new(&self.portward.base)
    }

    /// A developer who has signed up by the pages and is signed in.
    pub(crate) async fn developer(&self, email: &str, name: &str) -> Visitor {
        let visitor = self.visitor();
        let form = visitor.open("/developers/sign-up").await.form("sign-up");
        let sent = visitor.send(form.set("name", name).set("email", email).set("password", SECRET)).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        let mail = self.mails.wait_for(email, "/developers/verify").await;
        let form = visitor.open(&mail.link("/developers/verify")).await.form("verify");
        let seen = visitor.send(form.set("password", SECRET)).await;
        assert_eq!(seen.status, 200, "{}", seen.text());
        assert!(seen.url.path().starts_with("/developers"), "{}", seen.url);
        visitor
    }

    /// A member of staff whom the operator added, signed in.
    pub(crate) async fn staff(&self, role: &str) -> Visitor {
        self.staff_named(&format!("{role}@clips.example"), role, &[role]).await
    }

    /// The same with a name and several roles.
    pub(crate) async fn staff_named(&self, email: &str, name: &str, roles: &[&str]) -> Visitor {
        let mut args = vec!["admin", "--json", "--config", "portward.toml", "staff", "add", "--password-stdin"];
        args.extend(["--email", email, "--name", name]);
        for role in roles {
            args.extend(["--role", role]);
        }
        let mut child =
            self.portward.command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(SECRET.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        self.sign_in("/console/login", email).await
    }

    /// Somebody signs in at `/developers/login` or `/console/login` with [`SECRET`].
    pub(crate) async fn sign_in(&self, entrance: &str, email: &str) -> Visitor {
        let visitor = self.visitor();
        let seen = self.sign_in_at(&visitor, entrance, email).await;
        assert_eq!(seen.status, 200, "{}", seen.text());
        assert!(!seen.url.path().ends_with("/login"), "{}", seen.text());
        visitor
    }

    /// The same at a browser that is there already; gives the page that comes then.
    pub(crate) async fn sign_in_at(&self, visitor: &Visitor, entrance: &str, email: &str) -> Seen {
        let form = visitor.open(entrance).await.form(entrance);
        visitor.send(form.set("email", email).set("password", SECRET)).await
    }
}
