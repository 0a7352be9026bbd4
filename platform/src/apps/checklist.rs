//! The one checklist of an app: app review and application are two decisions, in either order, and both are needed before the API answers in
//! production. It says where each stands, what is missing, and whose move it is.

use super::details::{Flaw, Product};
use super::review::{self, in_full};
use super::revisions::{Revision, RevisionState, was_live, working_copy};
use super::{App, AppStatus, approvals, by_id, scopes};
use crate::applications::{self, Application, State};
use crate::clock::Millis;
use crate::db::Tx;
use crate::{Fault, Platform, notices};

/// Whose move it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The developer's.
    Developer,
    /// Staff's.
    Staff,
    /// Nobody's: it is done.
    Nobody,
}

/// How far one of the two has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was done yet.
    NotStarted,
    /// The developer is at it.
    Preparing,
    /// Staff are.
    Waiting,
    /// Staff asked something.
    Asked,
    /// Refused; it can be tried again.
    Refused,
    /// Done.
    Approved,
    /// Stopped by the operator.
    Stopped,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub title: &'static str,
    /// Whether it is done.
    pub done: bool,
    /// Whether something else has to be done before it.
    pub later: bool,
    /// What is to be said of it.
    pub text: String,
    /// What is missing or wrong, with the page and field where it is mended.
    pub missing: Vec<(Flaw, String)>,
    /// Where it is done.
    pub link: String,
}

/// One of the two decisions.
#[derive(Clone, Debug)]
pub struct Track {
    /// `App review` or `Application for scopes`.
    pub title: &'static str,
    /// How far it has come.
    pub progress: Progress,
    /// The same in words.
    pub words: String,
    /// Whose move it is.
    pub whose: Move,
    /// What it is made of.
    pub parts: Vec<Part>,
    /// By when staff decide.
    pub due: Option<Millis>,
    /// Whether that time is over.
    pub late: bool,
    /// Why it was refused.
    pub reasons: Vec<notices::Reason>,
    /// What the developer does next, and where.
    pub next: Option<(String, String)>,
}

/// Both.
#[derive(Clone, Debug)]
pub struct Checklist {
    /// The app itself.
    pub app_review: Track,
    /// Its scopes.
    pub application: Track,
    /// Whether the API answers in production.
    pub answers: bool,
}

impl Checklist {
    /// The next step of the developer: what staff asked first, then what is missing; none while all waits for staff or is done.
    pub fn next(&self) -> Option<&(String, String)> {
        let asked = |track: &&Track| matches!(track.progress, Progress::Asked | Progress::Refused);
        let mine = |track: &&Track| track.whose == Move::Developer;
        let tracks = || [&self.app_review, &self.application].into_iter();
        tracks().find(asked).or_else(|| tracks().find(mine)).and_then(|track| track.next.as_ref())
    }
}

/// The page on which a field is mended.
pub fn page_of(field: &str) -> &'static str {
    match field {
        "products" | "webhook-url" | "web-redirects" | "desktop-redirects" | "android-redirects" | "ios-redirects" => "products",
        "user-scopes" => "scopes",
        "explanation" | "videos" => "review",
        _ => "details",
    }
}

/// Where an app stands with both, now.
pub async fn checklist(platform: &Platform, app_id: i64) -> Result<Checklist, Fault> {
    let mut tx = platform.db.read().await?;
    let app = by_id(&mut tx, app_id).await?.ok_or_else(|| Fault::Row(format!("app {app_id} is gone")))?;
    let copy = working_copy(&mut tx, app_id).await?;
    let on = scopes(&mut tx, app_id).await?.iter().any(wire::Scope::is_portability);
    let app_review = of_review(platform, &mut tx, &app, &copy).await?;
    let application = of_application(&mut tx, &app, &copy, on, platform.now()).await?;
    Ok(Checklist { answers: app.may_ask() && on, app_review, application })
}

async fn of_review(platform: &Platform, tx: &mut Tx, app: &App, copy: &Revision) -> Result<Track, Fault> {
    let base = format!("/developers/apps/{}", app.app_id);
    let live = was_live(tx, app).await?;
    // What staff look at, or have looked at, is not judged anew: the operator's lists may have changed since.
    let open = matches!(copy.state, RevisionState::Draft | RevisionState::NotApproved | RevisionState::Recalled);
    let flaws = if open { review::flaws(platform, tx, app, copy).await? } else { Vec::new() };
    let owned = |flaw: &Flaw| flaw.text.starts_with("Prove that ");
    let part = |title, link: &str, text: &str, fields: &dyn Fn(&Flaw) -> bool| {
        let missing: Vec<(Flaw, String)> = flaws
            .iter()
            .filter(|flaw| fields(flaw))
            .map(|flaw| {
                let to =
                    if owned(flaw) { format!("{base}/urls") } else { format!("{base}/{}#{}", page_of(flaw.field), flaw.field) };
                (flaw.clone(), to)
            })
            .collect();
        Part { title, done: missing.is_empty(), later: false, text: text.to_owned(), missing, link: format!("{base}/{link}") }
    };
    let platform_field = |flaw: &Flaw| {
        flaw.field == "platforms" || ["web-", "desktop-", "android-", "ios-"].iter().any(|start| flaw.field.starts_with(start))
    };
    let mut parts = vec![
        part("App details", "details", "Name, category, description, icon, terms and privacy policy.", &|flaw| {
            page_of(flaw.field) == "details" && !platform_field(flaw) && !owned(flaw)
        }),
        part("Platforms", "details#platforms", "Where the app runs, and where it can be found.", &|flaw| {
            page_of(flaw.field) == "details" && platform_field(flaw) && !owned(flaw)
        }),
        part("Products", "products", "What the app works with, and where people and events go.", &|flaw| {
            matches!(page_of(flaw.field), "products" | "scopes")
        }),
        part("URL properties", "urls", "That the app's addresses are yours.", &|flaw| owned(flaw)),
    ];
    let told =
        part("Explanation and videos", "review", "How each product and scope is used.", &|flaw| page_of(flaw.field) == "review");
    parts.push(told);
    let step = |words: &str, to: &str| Some((words.to_owned(), format!("{base}{to}")));
    let first = parts.iter().find(|part| !part.done).map(|part| {
        let words = format!("{}: {}", part.title, part.missing.first().map_or("", |(flaw, _)| flaw.text.as_str()));
        (words, part.missing.first().map_or_else(|| part.link.clone(), |(_, to)| to.clone()))
    });
    let (progress, words, whose, next) = match (app.status, copy.state) {
        (AppStatus::Suspended, _) => {
            (Progress::Stopped, "Suspended by the operator", Move::Staff, Some(support("Ask support what to do", app)))
        }
        (AppStatus::Revoked, _) => {
            (Progress::Stopped, "Revoked by the operator", Move::Nobody, Some(support("Ask support why", app)))
        }
        (_, RevisionState::InReview) if live => (Progress::Waiting, "Live, and a revision is in review", Move::Staff, None),
        (_, RevisionState::InReview) => (Progress::Waiting, "In review", Move::Staff, None),
        (AppStatus::Live, RevisionState::Approved) => (Progress::Approved, "Approved: the app is live", Move::Nobody, None),
        (AppStatus::Live, RevisionState::NotApproved) => (
            Progress::Refused,
            "Live; the revision was not approved",
            Move::Developer,
            step("Mend the revision and submit it again, or leave the live version as it is", "/review"),
        ),
        (AppStatus::Live, _) => {
            let next = first.or_else(|| step("Submit the revision for review", "/review"));
            (Progress::Approved, "Live; a revision is being written", Move::Developer, next)
        }
        (_, RevisionState::NotApproved) => (
            Progress::Refused,
            "Not approved",
            Move::Developer,
            step("Read the review comments, mend what they name, and submit again", "/review"),
        ),
        // The operator has set an app back whose version was approved.
        (_, RevisionState::Approved) => {
            (Progress::Preparing, "Taken off by the operator", Move::Developer, step("Create a revision", ""))
        }
        _ => {
            let begun = copy.version > 1;
            let progress = if begun { Progress::Preparing } else { Progress::NotStarted };
            let words = if first.is_some() { "Draft: not complete yet" } else { "Draft: ready to be submitted" };
            (progress, words, Move::Developer, first.or_else(|| step("Submit for review", "/review")))
        }
    };
    let reasons = match copy.state {
        RevisionState::NotApproved => copy.reasons.0.iter().map(in_full).collect(),
        // A draft that began from a refusal still carries why.
        RevisionState::Draft => refused_before(tx, app.app_id, copy).await?,
        _ => Vec::new(),
    };
    Ok(Track {
        title: "App review",
        progress,
        words: words.to_owned(),
        whose,
        parts,
        due: copy.due_at.filter(|_| copy.state == RevisionState::InReview),
        late: copy.is_late(platform.now()),
        reasons,
        next,
    })
}

/// The reasons of the refusal after which a draft was begun.
async fn refused_before(tx: &mut Tx, app_id: i64, draft: &Revision) -> Result<Vec<notices::Reason>, Fault> {
    let all = super::revisions::revisions(tx, app_id).await?;
    let before = all.iter().find(|revision| revision.number < draft.number && revision.state != RevisionState::Recalled);
    let before = before.filter(|revision| revision.state == RevisionState::NotApproved);
    Ok(before.map(|revision| revision.reasons.0.iter().map(in_full).collect()).unwrap_or_default())
}

fn support(words: &str, app: &App) -> (String, String) {
    (words.to_owned(), format!("/developers/support/new?app={}", app.app_id))
}

async fn of_application(tx: &mut Tx, app: &App, copy: &Revision, on: bool, now: Millis) -> Result<Track, Fault> {
    let base = format!("/developers/apps/{}", app.app_id);
    let newest = applications::of_owner(tx, app).await?.into_iter().next();
    let approved = approvals(tx, app.app_id).await?;
    let product =
        copy.details.has(Product::Portability) || app.products.split(',').any(|name| name == Product::Portability.as_str());
    let applied = newest.as_ref().is_some_and(|application| application.state != State::Draft) || !approved.is_empty();
    let scopes_page = format!("{base}/scopes");
    let part = |title, done, later, text: String, link: &str| Part {
        title,
        done,
        later,
        text,
        missing: Vec::new(),
        link: link.to_owned(),
    };
    let form = newest.as_ref().map_or_else(|| scopes_page.clone(), page);
    let parts = vec![
        part("Data Portability API", product, false, "The product is added to the app.".into(), &format!("{base}/products")),
        part(
            "Application form",
            applied,
            !product,
            "Which data, why, and how it is protected. It can be sent while the app is a draft.".into(),
            &form,
        ),
        part(
            "Approved scopes",
            !approved.is_empty(),
            true,
            match approved.len() {
                0 => "None yet.".into(),
                1 => "One pair of scopes is approved.".into(),
                many => format!("{many} pairs of scopes are approved."),
            },
            &scopes_page,
        ),
        part(
            "Scopes switched on",
            on,
            approved.is_empty(),
            "You choose which of the approved scopes the app uses.".into(),
            &scopes_page,
        ),
    ];
    let step = |words: &str, to: &str| Some((words.to_owned(), to.to_owned()));
    let apply = step("View scopes, and apply for those that you need", &scopes_page);
    let switch = || step("Switch on the approved scopes that you use", &scopes_page);
    let state = newest.as_ref().map(|application| application.state);
    let (progress, words, whose, next) = match state {
        Some(State::Draft) => (
            Progress::Preparing,
            "The form is being filled in".to_owned(),
            Move::Developer,
            step("Go on with the application", &form),
        ),
        Some(state) if state.waits_for_applicant() => {
            (Progress::Asked, state.words().to_owned(), Move::Developer, step("Answer the reviewer", &form))
        }
        Some(state) if state.waits_for_staff() => (Progress::Waiting, state.words().to_owned(), Move::Staff, None),
        _ if !approved.is_empty() && matches!(app.status, AppStatus::Suspended | AppStatus::Revoked) => (
            Progress::Stopped,
            "Approved, and stopped with the app".to_owned(),
            Move::Staff,
            Some(support("Ask support what to do", app)),
        ),
        _ if !approved.is_empty() && !on => {
            (Progress::Approved, "Approved: no scope is switched on yet".to_owned(), Move::Developer, switch())
        }
        _ if !approved.is_empty() => (Progress::Approved, state.map_or("Approved", State::words).to_owned(), Move::Nobody, None),
        Some(State::Rejected | State::Revoked) => (
            Progress::Refused,
            state.map_or("", State::words).to_owned(),
            Move::Developer,
            step("Read the decision, and apply again when it is mended", &form),
        ),
        None if !product => (
            Progress::NotStarted,
            "Not applied".to_owned(),
            Move::Developer,
            step("Add the product Data Portability API", &format!("{base}/products")),
        ),
        _ => (Progress::NotStarted, state.map_or("Not applied", State::words).to_owned(), Move::Developer, apply),
    };
    let due =
        newest.as_ref().filter(|application| application.state.waits_for_staff()).and_then(|application| application.due_at);
    let late = due.is_some_and(|due| due < now);
    Ok(Track { title: "Application for scopes", progress, words, whose, parts, due, late, reasons: Vec::new(), next })
}

fn page(application: &Application) -> String {
    format!("/developers/applications/{}", application.application_id)
}
