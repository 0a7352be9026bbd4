//! What surrounds the pages of the portal and of the console: who is signed in, where they are, and what was just done.

use std::ops::Deref;
use std::sync::Arc;

use platform::accounts::{Account, Role};
use platform::apps::AppStatus;

use super::access::{Developer, OfApp, Staff};
use super::parts::{Badge, Notice, Tone};
use super::view::{Face, Shell};
use crate::state::State;

/// The frame of a page of the portal or the console. A page's struct holds it as `shell`, so that `layout.html` finds in it what it
/// finds in a [`Shell`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    shell: Shell,
    /// The name of the account that is signed in.
    pub account: Option<String>,
    /// The roles of a member of staff, in words.
    pub roles: String,
    /// The app whose pages these are.
    pub app: Option<AppFrame>,
    done: Option<String>,
    area: &'static str,
    console: bool,
    /// Whether they say who is staff.
    administers: bool,
    /// Whether they read tickets.
    helps: bool,
}

/// The app that a page is about: its face and the sections of its pages.
#[derive(Clone, Debug)]
pub(crate) struct AppFrame {
    /// Its name.
    pub name: String,
    icon: String,
    /// Where it stands.
    pub badge: Badge,
    /// Its pages.
    pub sections: Vec<Item>,
}

/// An entry of a navigation.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Where it leads.
    pub path: String,
    /// What it is called.
    pub label: &'static str,
    /// Whether this page is it, or under it.
    pub current: bool,
    exact: bool,
}

impl Item {
    /// The word for `aria-current`: this very page, or somewhere under it.
    pub(crate) fn here(&self) -> &'static str {
        if self.exact { "page" } else { "true" }
    }
}

impl Deref for Frame {
    type Target = Shell;
    fn deref(&self) -> &Shell {
        &self.shell
    }
}

/// The sections of an app's pages: name, label.
const SECTIONS: [(&str, &str); 10] = [
    ("", "Overview"),
    ("details", "Details"),
    ("products", "Products"),
    ("credentials", "Credentials"),
    ("urls", "URL properties"),
    ("scopes", "Scopes"),
    ("review", "App review"),
    ("sandbox", "Sandbox"),
    ("webhooks", "Webhooks"),
    ("history", "History"),
];

impl Frame {
    fn new(state: &State) -> Self {
        let shell = Shell { brand: Arc::clone(&state.brand), banner: state.banner.clone(), signed_in: None, root: "" };
        Self { shell, ..Self::default() }
    }

    fn of(state: &State, account: &Account) -> Self {
        Self { account: Some(account.name.clone()), ..Self::new(state) }
    }

    /// A page of the portal that anyone may see; `developer` is who looks, if somebody is signed in.
    pub(crate) fn public(state: &State, developer: Option<&Developer>) -> Self {
        developer.map_or_else(|| Self::new(state), |developer| Self::developer(state, developer))
    }

    /// A page of the portal.
    pub(crate) fn developer(state: &State, developer: &Developer) -> Self {
        Self::of(state, &developer.account)
    }

    /// A page of the console that is seen before anybody is signed in.
    pub(crate) fn entrance(state: &State) -> Self {
        Self { console: true, ..Self::new(state) }
    }

    /// A page of the console.
    pub(crate) fn staff(state: &State, staff: &Staff) -> Self {
        let roles: Vec<&str> = staff.roles.iter().map(|role| role_words(*role)).collect();
        let administers = staff.is(Role::Administrator);
        let helps = staff.is(Role::Support) || staff.is(Role::Reviewer);
        Self { console: true, roles: roles.join(", "), administers, helps, ..Self::of(state, &staff.account) }
    }

    /// Which entry of the main navigation the page belongs to, by its path after `/developers/` or `/console/`: `apps`,
    /// `organisations`, `support`, `catalogue`, `account`; or `home`, `applications`, `apps`, `tickets`, `freezes`,
    /// `staff`.
    pub(crate) fn at(self, area: &'static str) -> Self {
        Self { area, ..self }
    }

    /// A page of an app; `section` is the last piece of its path (`details`), or empty for the overview.
    pub(crate) fn of_app(self, of: &OfApp, section: &'static str) -> Self {
        let path = format!("/developers/apps/{}", of.app.app_id);
        let sections = SECTIONS.iter().map(|(name, label)| Item {
            path: if name.is_empty() { path.clone() } else { format!("{path}/{name}") },
            label,
            current: *name == section,
            exact: true,
        });
        let app = AppFrame {
            name: of.app.name.clone(),
            icon: super::icons::own(&of.app),
            badge: app_badge(of.app.status),
            sections: sections.collect(),
        };
        Self { app: Some(app), area: "apps", ..self }
    }

    /// Says on top of the page what was just done: "Your changes are saved."
    pub(crate) fn done(self, words: Option<impl Into<String>>) -> Self {
        Self { done: words.map(Into::into), ..self }
    }

    /// What was just done, if anything.
    pub(crate) fn said(&self) -> Notice {
        Notice::status(self.done.clone().unwrap_or_default())
    }

    /// The main navigation.
    pub(crate) fn areas(&self) -> Vec<Item> {
        let item = |name: &'static str, path: &str, label| Item {
            path: path.to_owned(),
            label,
            current: self.area == name,
            exact: false,
        };
        if self.console {
            let mut items = vec![
                item("home", "/console", "My work"),
                item("applications", "/console/applications", "Applications"),
                item("apps", "/console/apps", "App reviews"),
            ];
            if self.helps {
                items.push(item("tickets", "/console/tickets", "Tickets"));
            }
            items.push(item("freezes", "/console/freezes", "Freezes"));
            if self.administers {
                items.push(item("staff", "/console/staff", "Staff"));
            }
            return items;
        }
        let catalogue = item("catalogue", "/developers/catalogue", "Catalogue");
        let api = item("docs", "/docs", "API");
        if self.account.is_none() {
            return vec![catalogue, item("review", "/developers/review", "How we review"), api];
        }
        vec![
            item("apps", "/developers/apps", "Manage apps"),
            item("organisations", "/developers/organisations", "Organisations"),
            item("support", "/developers/support", "Support"),
            catalogue,
            api,
            item("account", "/developers/account", "Account"),
        ]
    }

    /// The operator's mark.
    pub(crate) fn brand_face(&self) -> Face<'_> {
        self.shell.brand.face()
    }
}

impl AppFrame {
    /// Its icon, or letters.
    pub(crate) fn face(&self) -> Face<'_> {
        Face::new(&self.name, Some(&self.icon))
    }
}

/// A role as pages name it.
pub(crate) fn role_words(role: Role) -> &'static str {
    match role {
        Role::Reviewer => "Reviewer",
        Role::Support => "Support",
        Role::Compliance => "Compliance",
        Role::Administrator => "Administrator",
    }
}

/// Where an app stands, as pages name it.
pub(crate) fn app_badge(status: AppStatus) -> Badge {
    match status {
        AppStatus::Draft => Badge::new(Tone::Draft, "Draft"),
        AppStatus::InReview => Badge::new(Tone::Waiting, "In review"),
        AppStatus::NotApproved => Badge::new(Tone::Bad, "Not approved"),
        AppStatus::Live => Badge::new(Tone::Good, "Live"),
        AppStatus::Suspended => Badge::new(Tone::Action, "Suspended"),
        AppStatus::Revoked => Badge::new(Tone::Bad, "Revoked"),
    }
}

#[cfg(test)]
impl Frame {
    /// A frame of a page that no server shows.
    pub(crate) fn sample(shell: Shell, account: &str, area: &'static str, console: bool) -> Self {
        let roles = if console { "Reviewer, Administrator".to_owned() } else { String::new() };
        Self {
            shell,
            account: Some(account.to_owned()),
            roles,
            area,
            console,
            administers: console,
            helps: console,
            ..Self::default()
        }
    }

    /// The same, for a page of an app.
    pub(crate) fn sample_of_app(self, name: &str) -> Self {
        let sections = SECTIONS.map(|(path, label)| Item {
            path: format!("/developers/apps/1/{path}"),
            label,
            current: path == "details",
            exact: true,
        });
        let app = AppFrame {
            name: name.to_owned(),
            icon: String::new(),
            badge: app_badge(AppStatus::InReview),
            sections: sections.into(),
        };
        Self { app: Some(app), ..self }
    }
}
