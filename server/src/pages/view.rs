//! What the pages show: one struct for each template, filled by the handlers with plain data.
//!
//! Askama escapes every value on its way into HTML. What escaping cannot judge is judged here: addresses that came from
//! outsiders pass [`safe_url`], [`safe_image`] or [`local_path`], which refuse anything that could run or lead astray.
//! `docs/pages.md` tells how the pages are designed and how to add one.

mod brand;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use askama::Template;
use jiff::Timestamp;

use crate::sandbox::PASSWORD as SANDBOX_PASSWORD;

pub(crate) use brand::{DEFAULT_ACCENT, brand_css};

/// Where the sign-in form is shown (GET) and posted (POST: `username`, `password`, `next`).
pub(crate) const SIGN_IN: &str = "/login";
/// Where the sign-out button posts (`next` optional).
pub(crate) const SIGN_OUT: &str = "/logout";
/// Where the consent form posts (`scope` repeated, `decision`), with the ticket in its address.
pub(crate) const CONSENT: &str = "/consent";
/// A person's connections.
pub(crate) const CONNECTIONS: &str = "/connections";
/// Where a person is signed in.
pub(crate) const SESSIONS: &str = "/connections/sessions";
/// Where its buttons post (`session`, a number or `others`).
pub(crate) const SESSIONS_END: &str = "/connections/sessions/end";
/// Where a withdraw button posts (`grant`).
pub(crate) const WITHDRAW: &str = "/connections/withdraw";

/// What the operator sets: name, logo and links. The accent colour reaches the pages through [`brand_css`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Brand {
    /// The operator's name, as people know it.
    pub name: String,
    /// The operator's mark, shown beside the name; without one, a letter takes its place.
    pub logo_url: Option<String>,
    /// Label and address of each legal link in the footer.
    pub legal: Vec<(String, String)>,
    /// Label and address of the place to ask for help.
    pub support: Option<(String, String)>,
}

impl Brand {
    pub(crate) fn face(&self) -> Face<'_> {
        Face { tone: "own".to_owned(), ..Face::new(&self.name, self.logo_url.as_deref()) }
    }

    /// The footer's links: the legal ones, then the one for help.
    pub(crate) fn links(&self) -> Vec<(&str, &str)> {
        usable(self.legal.iter().chain(&self.support))
    }
}

/// What surrounds every page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shell {
    /// The operator's looks.
    pub brand: Arc<Brand>,
    /// A line across the top, such as that this is a development server.
    pub banner: Option<String>,
    /// The name of the person signed in.
    pub signed_in: Option<String>,
    /// What comes before the paths of people's pages: nothing, or `/sandbox`.
    pub root: &'static str,
}

impl Shell {
    /// A person's page, as it is in this world.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    /// The front page.
    pub(crate) fn home(&self) -> &str {
        if self.root.is_empty() { "/" } else { self.root }
    }
}

/// A point in time, once for machines and once for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// RFC 3339.
    pub iso: String,
    /// As written on the page.
    pub words: String,
}

impl Moment {
    /// The day alone: "3 May 2026".
    pub(crate) fn day(at: Timestamp) -> Moment {
        Moment { iso: at.to_string(), words: at.strftime("%-d %B %Y").to_string() }
    }

    /// Day and minute: "3 May 2026, 14:05 UTC".
    pub(crate) fn minute(at: Timestamp) -> Moment {
        Moment { iso: at.to_string(), words: at.strftime("%-d %B %Y, %H:%M UTC").to_string() }
    }
}

/// A third party's app as people see it.
#[derive(Debug, Clone, Default)]
pub(crate) struct App {
    /// Its name.
    pub name: String,
    /// Its icon: an `https:` address, a `data:image/` address or a path on this server; else a letter is drawn.
    pub icon_url: Option<String>,
    /// What it says it does; may be empty.
    pub description: String,
    /// The organisation behind it, where known.
    pub organisation: Option<String>,
    /// Its terms of service.
    pub terms_url: Option<String>,
    /// Its privacy policy.
    pub privacy_url: Option<String>,
}

impl App {
    fn face(&self) -> Face<'_> {
        Face::new(&self.name, self.icon_url.as_deref())
    }

    fn terms(&self) -> Option<&str> {
        self.terms_url.as_deref().and_then(safe_url)
    }

    fn privacy(&self) -> Option<&str> {
        self.privacy_url.as_deref().and_then(safe_url)
    }
}

/// How long a scope serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term {
    /// One copy, then it is used up (`.single`).
    Once,
    /// A new copy whenever the app asks (`.ongoing`).
    Ongoing,
    /// No copy at all: read through the API while the app is connected (`user.info.*`).
    Connected,
}

/// The sign-in page.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignInPage {
    /// What surrounds it. `signed_in` is set when somebody else is still signed in ("Not you?").
    pub shell: Shell,
    /// Where to go afterwards, a path on this server; written into the hidden field `next`.
    pub next: String,
    /// The app that waits for a decision, when one comes from authorize.
    pub app: Option<App>,
    /// What was typed before, after an error.
    pub username: String,
    /// Why the page is shown again.
    pub problem: Option<SignInProblem>,
    /// A calm word above the form, such as "You have signed out."
    pub notice: Option<String>,
    /// The button that takes the place of the form where people sign in at the operator's provider.
    pub provider: Option<super::provider::Button>,
    /// In the sandbox: who can be chosen with one press.
    pub people: Vec<SandboxPerson>,
}

/// A synthetic person of the sandbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct SandboxPerson {
    /// By which they sign in.
    pub username: String,
    /// How they call themselves.
    pub name: String,
    /// How much there is of them, in words: "heavy, 20,000 rows".
    pub size: String,
    /// Where they live, and what that means: "DE", "US, not served".
    pub region: String,
}

/// Why a sign-in failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignInProblem {
    /// A field was empty.
    Missing,
    /// No such name, or a wrong password: never said which.
    Wrong,
    /// Too many failures of this account or address.
    Limited {
        /// Whole minutes to wait, at least 1.
        minutes: u32,
    },
}

impl SignInPage {
    fn next_path(&self) -> String {
        local_path(&self.next).map_or_else(|| self.shell.path(CONNECTIONS), ToOwned::to_owned)
    }

    /// Whether the fields themselves are at fault.
    fn fields_wrong(&self) -> bool {
        matches!(self.problem, Some(SignInProblem::Missing | SignInProblem::Wrong))
    }
}

/// The consent page: one form, nothing chosen beforehand, two equal buttons.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub(crate) struct ConsentPage {
    /// What surrounds it; `signed_in` names the person who decides.
    pub shell: Shell,
    /// For whom the page is and what the decision is about, percent-encoded for the form's address.
    pub ticket: String,
    /// Where "Not you?" leads: the sign-in page with a way back to here.
    pub not_you: String,
    /// The app that asks.
    pub app: App,
    /// Host (and port, where there is one) of the redirect address.
    pub return_host: String,
    /// The optional scopes, in the order they were asked for. `user.info.basic` is not among them.
    pub scopes: Vec<ScopeChoice>,
    /// When the permission ends at the latest; absent if only withdrawal ends it.
    pub ends: Option<Moment>,
    /// For how long a finished archive can be downloaded, in words: "4 days".
    pub archive_life: String,
}

/// One optional scope with its switch.
#[derive(Debug, Clone)]
pub(crate) struct ScopeChoice {
    /// The scope's name, the checkbox's value.
    pub name: String,
    /// What it is, in a few words: "Your activity".
    pub title: String,
    /// What it holds, as title and text of each category; the title may be empty when there is one only.
    pub holds: Vec<(String, String)>,
    /// Once or ongoing.
    pub term: Term,
    /// Especially private.
    pub sensitive: bool,
}

impl ConsentPage {
    /// The one question the page asks.
    pub(crate) fn question(&self) -> String {
        let (app, operator) = (&self.app.name, &self.shell.brand.name);
        if self.exports() {
            format!("Let {app} export your data from {operator}?")
        } else if self.scopes.is_empty() {
            format!("Sign in to {app} with your {operator} account?")
        } else {
            format!("Let {app} see your {operator} profile?")
        }
    }

    /// Whether any of the scopes lets data out as an archive.
    fn exports(&self) -> bool {
        self.scopes.iter().any(|scope| scope.term != Term::Connected)
    }

    /// Whether the redirect leads to a program on the person's own device.
    fn returns_to_device(&self) -> bool {
        let host = self.return_host.rsplit_once(':').map_or(self.return_host.as_str(), |(host, _)| host);
        matches!(host, "localhost" | "127.0.0.1" | "[::1]")
    }
}

/// Authorize was called with parameters that cannot be trusted, so nobody is redirected.
#[derive(Debug, Template)]
#[template(path = "oauth_error.html")]
pub(crate) struct OAuthErrorPage {
    /// What surrounds it.
    pub shell: Shell,
    /// The app's name, when the client key was known.
    pub app_name: Option<String>,
    /// The OAuth error code, such as `invalid_scope`.
    pub error: String,
    /// The faulty parameters.
    pub faults: Vec<ParameterFault>,
    /// To quote when asking for help.
    pub log_id: String,
}

/// One faulty parameter of an authorize call.
#[derive(Debug, Clone)]
pub(crate) struct ParameterFault {
    /// Its name: `redirect_uri`.
    pub parameter: String,
    /// What is wrong with it.
    pub problem: String,
    /// What the developer can do.
    pub cure: String,
}

/// A person's connections.
#[derive(Debug, Template)]
#[template(path = "connections.html")]
pub(crate) struct ConnectionsPage {
    /// What surrounds it; `signed_in` is the person's name.
    pub shell: Shell,
    /// The name of the app that was just withdrawn from.
    pub withdrawn: Option<String>,
    /// One entry for each app, since withdrawing ends every grant of the pair.
    pub connections: Vec<Connection>,
}

/// One app that a person has let in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    /// The app.
    pub app: App,
    /// Any live grant of the pair; the hidden field `grant` of the withdraw form.
    pub grant: String,
    /// Each consent, newest first.
    pub consents: Vec<Consent>,
    /// When the app last asked for an archive.
    pub last_requested: Option<Moment>,
    /// When it last downloaded one.
    pub last_downloaded: Option<Moment>,
    /// Requests that are being prepared or wait for download.
    pub requests: Vec<OpenRequest>,
    /// Why the app cannot ask now, if it cannot.
    pub stopped: Option<&'static str>,
}

/// One consent given to an app.
#[derive(Debug, Clone, Default)]
pub(crate) struct Consent {
    /// When it was given.
    pub since: Moment,
    /// When it ends by itself.
    pub until: Option<Moment>,
    /// What was granted, beyond the basic profile.
    pub scopes: Vec<GrantedScope>,
}

/// One granted scope.
#[derive(Debug, Clone)]
pub(crate) struct GrantedScope {
    /// What it is, in a few words.
    pub title: String,
    /// What it holds; may be empty.
    pub text: String,
    /// Once or ongoing.
    pub term: Term,
    /// A one-time scope that is used up.
    pub used: bool,
}

/// A request that is not finished.
#[derive(Debug, Clone)]
pub(crate) struct OpenRequest {
    /// When the app asked.
    pub asked: Moment,
    /// What it asked for, in words: "Your activity, Your profile".
    pub what: String,
    /// Until when it can be downloaded; absent while it is being prepared.
    pub ready_until: Option<Moment>,
    /// Whether what it asks for is stopped for the moment.
    pub held: bool,
}

/// Any other refusal, and any failure.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub(crate) struct ProblemPage {
    /// What surrounds it.
    pub shell: Shell,
    /// What happened.
    pub problem: Problem,
    /// To quote when asking for help.
    pub log_id: String,
}

/// What a problem page can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// 400
    BadRequest,
    /// 403, such as a form sent from another site.
    Forbidden,
    /// 404
    NotFound,
    /// 405
    Method,
    /// 413
    TooLarge,
    /// 415
    MediaType,
    /// 429
    TooMany,
    /// 500
    Internal,
    /// 503
    Unavailable,
    /// 503, because the operator has stopped everything.
    Frozen,
}

impl Problem {
    /// The HTTP status that goes with it.
    pub(crate) fn status(self) -> u16 {
        match self {
            Problem::BadRequest => 400,
            Problem::Forbidden => 403,
            Problem::NotFound => 404,
            Problem::Method => 405,
            Problem::TooLarge => 413,
            Problem::MediaType => 415,
            Problem::TooMany => 429,
            Problem::Internal => 500,
            Problem::Unavailable | Problem::Frozen => 503,
        }
    }

    /// The problem page for an HTTP status; unknown ones are told as 400 or 500.
    pub(crate) fn of_status(status: u16) -> Problem {
        match status {
            403 => Problem::Forbidden,
            404 => Problem::NotFound,
            405 => Problem::Method,
            413 => Problem::TooLarge,
            415 => Problem::MediaType,
            429 => Problem::TooMany,
            503 => Problem::Unavailable,
            400..500 => Problem::BadRequest,
            _ => Problem::Internal,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Problem::BadRequest => "That request made no sense to us",
            Problem::Forbidden => "That was not allowed",
            Problem::NotFound => "There is no page here",
            Problem::Method => "This page cannot be used like that",
            Problem::TooLarge => "That was too much at once",
            Problem::MediaType => "That was sent in a form we cannot read",
            Problem::TooMany => "Too many tries, too fast",
            Problem::Internal => "Something went wrong on our side",
            Problem::Unavailable => "We are not ready at the moment",
            Problem::Frozen => "This is stopped for the moment",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Problem::BadRequest => "Go back and try again. If you followed a link, it may be incomplete.",
            Problem::Forbidden => {
                "The form did not come from this site, or the page was open for too long. Nothing was changed. \
                 Open the page anew and try again."
            }
            Problem::NotFound => "The address may be mistyped, or the page has moved.",
            Problem::Method => "Open the page from its start instead.",
            Problem::TooLarge => "What was sent is larger than this page accepts. Nothing was changed.",
            Problem::MediaType => "Use the form on the page itself. Nothing was changed.",
            Problem::TooMany => "Wait a minute, then try again.",
            Problem::Internal => "It has been written down. Try again in a moment; nothing you sent is half-done.",
            Problem::Unavailable => "Try again in a few minutes.",
            Problem::Frozen => {
                "All access to people's data has been stopped for now. Nothing was shared, and nothing was lost. Try again later."
            }
        }
    }
}

/// The gateway's front page.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub(crate) struct HomePage {
    /// What surrounds it.
    pub shell: Shell,
    /// What can be exported: title and text of each category of the catalogue.
    pub categories: Vec<(String, String)>,
    /// For whom, in words: "people in the European Economic Area and the United Kingdom".
    pub eligible: Option<String>,
    /// Label and address of pages for developers, such as the API reference.
    pub developer_links: Vec<(String, String)>,
}

impl HomePage {
    pub(crate) fn links(&self) -> Vec<(&str, &str)> {
        usable(self.developer_links.iter())
    }
}

/// Where a journey of the development server ends: its built-in callback page.
#[derive(Debug, Template)]
#[template(path = "callback.html")]
pub(crate) struct CallbackPage {
    /// What surrounds it.
    pub shell: Shell,
    /// Whether a code came back.
    pub allowed: bool,
    /// Every query parameter that came back, in order.
    pub parameters: Vec<(String, String)>,
    /// The command that comes next, to copy; such as the token call.
    pub next_command: Option<String>,
}

/// An icon, or the letters that stand in for one.
#[derive(Debug, Template)]
#[template(path = "face.html")]
pub(crate) struct Face<'a> {
    image: Option<&'a str>,
    letters: String,
    /// A number, or `own` for the operator's accent.
    tone: String,
}

impl askama::filters::HtmlSafe for Face<'_> {}

impl<'a> Face<'a> {
    pub(crate) fn new(name: &str, image: Option<&'a str>) -> Face<'a> {
        Face { image: image.and_then(safe_image), letters: monogram(name), tone: tone(name).to_string() }
    }
}

/// The first letters of the first two words, or a dot.
pub(crate) fn monogram(name: &str) -> String {
    let letters: String = name
        .split_whitespace()
        .filter_map(|word| word.chars().find(|letter| letter.is_alphanumeric()))
        .take(2)
        .flat_map(char::to_uppercase)
        .collect();
    if letters.is_empty() { "\u{2022}".to_owned() } else { letters }
}

/// One of six colours, the same for the same name.
fn tone(name: &str) -> u8 {
    name.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % 6
}

/// "1 request", "2 requests".
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// The address, if a link to it can do no harm: plain `https:` or `http:`.
pub(crate) fn safe_url(address: &str) -> Option<&str> {
    let clean = !address.chars().any(|c| c.is_control() || c.is_whitespace());
    (clean && (has_scheme(address, "https://") || has_scheme(address, "http://"))).then_some(address)
}

/// The address, if it can be an image's: `https:`, `data:image/`, or a path on this server.
pub(crate) fn safe_image(address: &str) -> Option<&str> {
    let clean = !address.chars().any(|c| c.is_control() || c.is_whitespace());
    let fits = has_scheme(address, "https://") || has_scheme(address, "data:image/") || local_path(address).is_some();
    (clean && fits).then_some(address)
}

fn usable<'a>(links: impl Iterator<Item = &'a (String, String)>) -> Vec<(&'a str, &'a str)> {
    links.filter_map(|(label, address)| Some((label.as_str(), operator_link(address)?))).collect()
}

/// The address, if the operator may set it as a link: [`safe_url`], [`local_path`], or `mailto:`.
pub(crate) fn operator_link(address: &str) -> Option<&str> {
    let mail = has_scheme(address, "mailto:") && !address.chars().any(char::is_control);
    safe_url(address).or_else(|| local_path(address)).or_else(|| mail.then_some(address))
}

/// The path, if it stays on this server. Browsers read `//host` and `/\host` as other servers, and skip tabs and line breaks.
pub(crate) fn local_path(path: &str) -> Option<&str> {
    let mut letters = path.chars();
    let rooted = letters.next() == Some('/') && !matches!(letters.next(), Some('/' | '\\'));
    (rooted && !path.chars().any(char::is_control)).then_some(path)
}

fn has_scheme(address: &str, scheme: &str) -> bool {
    address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}
