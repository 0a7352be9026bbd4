//! Apps in the portal: the list, a new one, and the page of one, which says where both decisions stand and what comes next.

mod credentials;
mod details;
mod history;
mod leaving;
pub(crate) mod lines;
mod products;
mod review;
mod scopes;
mod webhook;
mod webhooks;

use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use platform::apps::{
    self, App, AppStatus, ChangeError, Details, MakeError, Move, OwnerKind, Progress, RevisionState, SaveError,
};
use platform::organisations;
use platform::{Fault, Millis, Platform, freezes};

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::frame::{Frame, app_badge};
use crate::pages::parts::{Badge, Check, Checklist, Choice, Copy, Empty, Form, Notice, Tone};
use crate::pages::view::{Face, Moment};
use crate::pages::{Page, form, moment, redirect};
use crate::sandbox;
use crate::state::State;
use lines::Line;

/// What can be done with apps.
pub(super) fn acts() -> Vec<Act> {
    let own = vec![
        see("/developers/apps", Needs::Developer, "See one's apps", list),
        see("/developers/apps/new", Needs::Developer, "See the form for a new app", new),
        act("/developers/apps/new", Needs::Developer, "Make an app", make),
        see("/developers/apps/{app}", Needs::Works, "See an app", overview),
        act("/developers/apps/{app}/revision", Needs::Works, "Begin a revision of a live app", begin),
        act("/developers/apps/{app}/revert", Needs::Works, "Write the live version over the draft", revert),
    ];
    let rooms = [
        own,
        details::acts(),
        products::acts(),
        webhook::acts(),
        webhooks::acts(),
        credentials::acts(),
        scopes::acts(),
        review::acts(),
        history::acts(),
        leaving::acts(),
    ];
    rooms.into_iter().flatten().collect()
}

/// The query of a page.
fn query(request: &Request) -> Params {
    Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default()
}

/// The form that was posted, or the page that says why it cannot be read.
async fn posted(page: &Page<'_>, parts: &Parts, body: Body) -> Result<Form, Box<Response>> {
    match form(parts, body).await {
        Ok(params) => Ok(Form::of(&params)),
        Err(status) => Err(Box::new(page.problem(status))),
    }
}

/// The version of the working copy that a form was made from; one that no copy has, if it says none.
fn version(form: &Form) -> i64 {
    form.value("version").parse().unwrap_or(-1)
}

/// Where the pages of an app begin.
fn base(app: &App) -> String {
    format!("/developers/apps/{}", app.app_id)
}

/// What was just done, by the word in the address.
fn done(params: &Params) -> Option<&'static str> {
    Some(match params.get("done").ok().flatten()? {
        "saved" => "Saved.",
        "made" => "Your app is made, and its sandbox can be used now.",
        "begun" => "A revision is begun. The live version stays as it is until the revision is approved.",
        "reverted" => "The draft says what the live version says.",
        "submitted" => "Submitted for review.",
        "recalled" => "Recalled. You can change the app again.",
        "on" => "Switched on.",
        "off" => "Switched off. Nobody is asked for it any more; consents that were given stay.",
        "rotated" => "There is a new secret. Show it and keep it safe: it is shown once.",
        "ended" => "The secret has ended.",
        "resumed" => "Calls go out again. What did not arrive meanwhile can be sent again.",
        "missed" => "What did not arrive is being sent again.",
        "again" => "The event is being sent again.",
        "icon" => "The icon is saved.",
        "added" => "The video is added.",
        "removed" => "Removed.",
        "offered" => "The app is offered. The other organisation has been told.",
        "cancelled" => "The offer is taken back.",
        "deleted" => "The app is deleted.",
        "transferred" => "The app is handed over.",
        _ => return None,
    })
}

/// The sandbox follows the working copy. What goes wrong there is ours to mend, and stops nobody here.
pub(crate) async fn follow(state: &State, app_id: i64) {
    let followed = async {
        let mut tx = state.platform.db.read().await.map_err(Fault::from)?;
        let Some(app) = apps::by_id(&mut tx, app_id).await? else { return Ok(()) };
        let copy = apps::working_copy(&mut tx, app_id).await?.details;
        drop(tx);
        let details = Details {
            name: Some(copy.name.clone()),
            description: Some(copy.description.clone()),
            terms_url: Some(copy.terms_url.clone()),
            privacy_url: Some(copy.privacy_url.clone()),
            webhook_url: Some(if copy.has(apps::Product::Webhooks) { copy.webhook_url.clone() } else { String::new() }),
            redirects: Some(copy.redirects()),
            ..Details::default()
        };
        sandbox::sync(state, &app, details).await.map(drop)
    };
    let followed: Result<(), ChangeError> = followed.await;
    if let Err(fault) = followed {
        tracing::error!(app_id, %fault, "the sandbox does not follow its app");
    }
}

// The list.

#[derive(Debug, Template)]
#[template(path = "portal/apps.html")]
struct ListPage {
    shell: Frame,
    groups: Vec<Group>,
    empty: Empty,
}

/// The apps of one owner.
#[derive(Debug)]
struct Group {
    name: String,
    /// The organisation's page; none for the developer's own apps.
    path: Option<String>,
    apps: Vec<Entry>,
}

/// One app of the list.
#[derive(Debug)]
struct Entry {
    name: String,
    icon: String,
    path: String,
    badge: Badge,
    review: String,
    application: String,
    next: Option<(String, String)>,
    waits: bool,
}

impl Entry {
    fn face(&self) -> Face<'_> {
        crate::pages::parts::face(&self.name, &self.icon)
    }
}

async fn list(With(state): With<State>, id: CallId, developer: Developer, request: Request) -> Response {
    let page = Page::new(&state, &id);
    match groups(&state, developer.account.account_id).await {
        Ok(groups) => {
            let shell = Frame::developer(&state, &developer).at("apps").done(done(&query(&request)));
            let empty = Empty {
                title: "No apps yet".into(),
                text: "An app has sandbox credentials from its first minute: you can try every call with made-up people before anybody \
                       reviews anything."
                    .into(),
                link: Some(("Make an app".into(), "/developers/apps/new".into())),
            };
            page.show(StatusCode::OK, &ListPage { shell, groups, empty })
        }
        Err(fault) => page.fault(&fault),
    }
}

async fn groups(state: &State, account_id: i64) -> Result<Vec<Group>, Fault> {
    let platform = &state.platform;
    let mut tx = platform.db.read().await?;
    let mut found = vec![("Your own apps".to_owned(), None, apps::of_owner(&mut tx, OwnerKind::Account, account_id).await?)];
    for membership in organisations::of_account(&mut tx, account_id).await? {
        let id = membership.organisation_id;
        let apps = if membership.role.leads() {
            apps::of_owner(&mut tx, OwnerKind::Organisation, id).await?
        } else {
            apps::managed_by(&mut tx, account_id, id).await?
        };
        found.push((membership.name, Some(format!("/developers/organisations/{id}")), apps));
    }
    drop(tx);
    let mut groups = Vec::new();
    for (name, path, owned) in found.into_iter().filter(|(.., owned)| !owned.is_empty()) {
        let mut entries = Vec::new();
        for app in owned {
            let list = apps::checklist(platform, app.app_id).await?;
            entries.push(Entry {
                icon: crate::pages::icons::own(&app),
                path: base(&app),
                badge: app_badge(app.status),
                review: list.app_review.words.clone(),
                application: list.application.words.clone(),
                waits: [&list.app_review, &list.application].iter().any(|track| track.whose == Move::Staff),
                next: list.next().cloned(),
                name: app.name,
            });
        }
        groups.push(Group { name, path, apps: entries });
    }
    Ok(groups)
}

// A new one.

#[derive(Debug, Template)]
#[template(path = "portal/app_new.html")]
struct NewPage {
    shell: Frame,
    form: Form,
    owners: Vec<Choice>,
}

async fn owners(state: &State, developer: &Developer) -> Result<Vec<Choice>, Fault> {
    let mut tx = state.platform.db.read().await?;
    let mut owners =
        vec![Choice::new("account", "You alone").help("Nobody else can work on it. It can be handed to an organisation later.")];
    for membership in organisations::of_account(&mut tx, developer.account.account_id).await? {
        if membership.role.leads() {
            let people = crate::pages::view::counted(usize::try_from(membership.members).unwrap_or(0), "member", "members");
            owners.push(Choice::new(membership.organisation_id.to_string(), membership.name).help(people));
        }
    }
    Ok(owners)
}

async fn new(With(state): With<State>, id: CallId, developer: Developer, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let owners = match owners(&state, &developer).await {
        Ok(owners) => owners,
        Err(fault) => return page.fault(&fault),
    };
    let asked = query(&request).get("organisation").ok().flatten().unwrap_or_default().to_owned();
    let first = owners.iter().map(|owner| &owner.value).find(|value| **value == asked);
    // With an organisation there, that is what most mean.
    let chosen = first.or_else(|| owners.get(1).map(|owner| &owner.value)).cloned().unwrap_or_else(|| "account".into());
    let mut form = Form::new();
    form.set("owner", chosen);
    let shell = Frame::developer(&state, &developer).at("apps");
    page.show(StatusCode::OK, &NewPage { shell, form, owners })
}

async fn make(With(state): With<State>, id: CallId, developer: Developer, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let mut form = match posted(&page, &parts, body).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let owner = match form.value("owner") {
        "account" => Some((OwnerKind::Account, developer.account.account_id)),
        other => other.parse().ok().map(|id| (OwnerKind::Organisation, id)),
    };
    let made = match owner {
        Some(owner) => Some(apps::create_for(&state.platform, &developer.account, owner, form.value("name")).await),
        None => None,
    };
    match made {
        Some(Ok(app)) => {
            follow(&state, app.app_id).await;
            return redirect(&format!("{}/credentials?done=made", base(&app)));
        }
        None => form.wrong("owner", "Choose whose app it is."),
        Some(Err(MakeError::Name(words))) => form.wrong("name", words),
        Some(Err(refusal @ MakeError::TooMany(_))) => form.wrong("owner", format!("{refusal}.")),
        // Forged, or no longer theirs.
        Some(Err(MakeError::Forbidden)) => return page.problem(StatusCode::NOT_FOUND),
        Some(Err(MakeError::Fault(fault))) => return page.fault(&fault),
    };
    match owners(&state, &developer).await {
        Ok(owners) => {
            let shell = Frame::developer(&state, &developer).at("apps");
            page.show(StatusCode::UNPROCESSABLE_ENTITY, &NewPage { shell, form, owners })
        }
        Err(fault) => page.fault(&fault),
    }
}

// The page of one.

#[derive(Debug, Template)]
#[template(path = "portal/app.html")]
struct OverviewPage {
    shell: Frame,
    frozen: Option<FrozenView>,
    name: String,
    owner: String,
    path: String,
    app_id: Copy,
    client_key: Copy,
    next: Option<(String, String)>,
    /// Whether all waits for staff.
    waits: bool,
    answers: bool,
    tracks: Vec<TrackView>,
    /// A live version whose next is not begun.
    can_begin: bool,
    /// A draft beside a live version.
    can_revert: bool,
    version: i64,
    owns: bool,
}

/// What keeps an app from asking for the moment.
#[derive(Debug)]
struct FrozenView {
    title: &'static str,
    text: &'static str,
    /// Why, in staff's words; empty where it is not about this app.
    reason: String,
    /// By when a second person looks at it, if nobody has.
    due: Option<Moment>,
    late: bool,
}

/// How an app stands to what is frozen.
async fn frozen(state: &State, app_id: i64) -> Result<Option<FrozenView>, Fault> {
    let platform = &state.platform;
    let living = freezes::living(platform).await?;
    let about_all = |title, text| Some(FrozenView { title, text, reason: String::new(), due: None, late: false });
    let names: Vec<&str> = platform.catalogue.categories().iter().map(|category| category.name.as_str()).collect();
    if living.app(app_id) {
        let mut tx = platform.db.read().await?;
        if let Some(freeze) = freezes::of_app(&mut tx, app_id).await? {
            let unseen = freeze.state() == freezes::State::Unconfirmed;
            return Ok(Some(FrozenView {
                title: "This app is frozen",
                text: "We have stopped it for the moment: its calls are refused, open requests wait, and archives cannot be downloaded. Nothing was deleted, and what people allowed stays allowed. When the freeze is lifted, what waited goes on by itself, and you get a mail.",
                reason: freeze.reason.clone(),
                due: unseen.then(|| crate::pages::cases::day(platform, freeze.due_at)),
                late: freeze.is_late(platform.now()),
            }));
        }
    }
    Ok(if living.everything() {
        about_all(
            "All access is stopped for the moment",
            "Every call of every app is answered with 503 and Retry-After. Open requests wait and go on by themselves. It is not about your app, and there is nothing for you to do.",
        )
    } else if living.data(&platform.catalogue, &names).is_some() {
        about_all(
            "Some data is stopped for the moment",
            "Calls that ask for it are answered with 503 and Retry-After; requests that are open wait and go on by themselves, and /v1 says of each whether it is held. It is not about your app, and there is nothing for you to do.",
        )
    } else {
        None
    })
}

#[derive(Debug)]
struct TrackView {
    title: &'static str,
    badge: Badge,
    whose: &'static str,
    due: Option<Moment>,
    late: bool,
    parts: Checklist,
    reasons: Vec<platform::notices::Reason>,
    link: (&'static str, String),
}

/// Whose move it is, in words.
fn whose(of: Move) -> &'static str {
    match of {
        Move::Developer => "Your move",
        Move::Staff => "Our move",
        Move::Nobody => "",
    }
}

fn tone(progress: Progress) -> Tone {
    match progress {
        Progress::NotStarted => Tone::Off,
        Progress::Preparing => Tone::Draft,
        Progress::Waiting => Tone::Waiting,
        Progress::Asked => Tone::Action,
        Progress::Refused | Progress::Stopped => Tone::Bad,
        Progress::Approved => Tone::Good,
    }
}

/// A title within a sentence: "URL properties" and "Data Portability API" stay, "App details" becomes "app details".
fn in_sentence(title: &str) -> String {
    let mut letters = title.chars();
    match letters.next() {
        Some(first) if !letters.as_str().contains(char::is_uppercase) => first.to_lowercase().chain(letters).collect(),
        _ => title.to_owned(),
    }
}

fn track(platform: &Platform, of: &apps::Track, link: (&'static str, String)) -> TrackView {
    let waiting = of.whose == Move::Staff;
    let parts = of.parts.iter().map(|part| {
        let missing = match part.missing.as_slice() {
            [] => String::new(),
            [(only, _)] => only.text.clone(),
            [(first, _), rest @ ..] => format!("{} And {} more.", first.text, rest.len()),
        };
        let todo = !part.done && !waiting && !part.later;
        let (tone, state) = match (part.done, waiting) {
            (true, _) => (Tone::Good, "Done"),
            (false, true) => (Tone::Waiting, "Waiting"),
            (false, false) if part.later => (Tone::Off, "Later"),
            (false, false) => (Tone::Action, "To do"),
        };
        let to = part.missing.first().map_or(&part.link, |(_, to)| to);
        Check {
            tone,
            state: state.into(),
            title: part.title.into(),
            text: if missing.is_empty() { part.text.clone() } else { missing },
            whose: String::new(),
            link: todo.then(|| (format!("Go to {}", in_sentence(part.title)), to.clone())),
        }
    });
    TrackView {
        title: of.title,
        badge: Badge::new(tone(of.progress), of.words.clone()),
        whose: whose(of.whose),
        due: of.due.map(|due| crate::pages::cases::day(platform, due)),
        late: of.late,
        parts: Checklist(parts.collect()),
        reasons: of.reasons.clone(),
        link,
    }
}

async fn overview(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let shown = async {
        let list = apps::checklist(&state.platform, of.app.app_id).await?;
        let mut tx = state.platform.db.read().await?;
        let copy = apps::working_copy(&mut tx, of.app.app_id).await?;
        let approved = apps::approved_revision(&mut tx, of.app.app_id).await?;
        let owner = match of.app.owner_kind {
            OwnerKind::Organisation => {
                organisations::by_id(&mut tx, of.app.owner_id).await?.map(|found| found.name).unwrap_or_default()
            }
            _ => "You alone".to_owned(),
        };
        Ok::<_, Fault>((list, copy, approved, owner))
    };
    let (list, copy, approved, owner) = match shown.await {
        Ok(shown) => shown,
        Err(fault) => return page.fault(&fault),
    };
    let frozen = match frozen(&state, of.app.app_id).await {
        Ok(frozen) => frozen,
        Err(fault) => return page.fault(&fault),
    };
    let path = base(&of.app);
    let told = OverviewPage {
        frozen,
        shell: Frame::developer(&state, &developer).of_app(&of, "").done(done(&query(&request))),
        name: of.app.name.clone(),
        owner,
        app_id: Copy::line("App ID", of.app.app_id.to_string()),
        client_key: Copy::line("Client key", of.app.client_key.clone()),
        next: list.next().cloned(),
        waits: [&list.app_review, &list.application].iter().any(|track| track.whose == Move::Staff),
        answers: list.answers,
        tracks: vec![
            track(&state.platform, &list.app_review, ("Open app review", format!("{path}/review"))),
            track(&state.platform, &list.application, ("View scopes", format!("{path}/scopes"))),
        ],
        can_begin: copy.state == RevisionState::Approved && of.app.status == AppStatus::Live,
        can_revert: copy.state == RevisionState::Draft && approved.is_some(),
        version: copy.version,
        owns: of.seat.leads(),
        path,
    };
    page.show(StatusCode::OK, &told)
}

async fn begin(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    if let Err(answer) = details::read_posted(&page, request).await {
        return *answer;
    }
    match apps::begin_revision(&state.platform, &developer.account, of.app.app_id).await {
        Ok(_) => redirect(&format!("{}/details?done=begun", base(&of.app))),
        Err(refusal) => refused(&state, &page, &developer, &of, refusal),
    }
}

async fn revert(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let form = match posted(&page, &parts, body).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    match apps::revert(&state.platform, &developer.account, of.app.app_id, version(&form)).await {
        Ok(_) => {
            follow(&state, of.app.app_id).await;
            redirect(&format!("{}?done=reverted", base(&of.app)))
        }
        Err(refusal) => refused(&state, &page, &developer, &of, refusal),
    }
}

// What stands in the way of a change.

/// A change that cannot be made as things stand.
#[derive(Debug, Template)]
#[template(path = "portal/app_locked.html")]
struct LockedPage {
    shell: Frame,
    notice: Notice,
    path: String,
}

/// Somebody else was faster: both versions, and the choice between them.
#[derive(Debug, Template)]
#[template(path = "portal/app_stale.html")]
struct StalePage {
    shell: Frame,
    lines: Vec<(String, String, String)>,
    /// Where the form goes once more, with everything that was typed and the version that is there now.
    action: String,
    fields: Vec<(String, String)>,
    back: String,
    at: Moment,
}

/// The page for a change that was refused and of which nothing typed is left to show.
fn refused(state: &State, page: &Page<'_>, developer: &Developer, of: &OfApp, refusal: SaveError) -> Response {
    let words = match refusal {
        SaveError::Fault(fault) => return page.fault(&fault),
        SaveError::Unknown => return page.problem(StatusCode::NOT_FOUND),
        SaveError::Stale(_) => {
            "Somebody else has changed this app meanwhile. Look at it as it is now, and do it again.".to_owned()
        }
        SaveError::Locked(words) => words.to_owned(),
    };
    locked(state, page, developer, of, &words)
}

fn locked(state: &State, page: &Page<'_>, developer: &Developer, of: &OfApp, words: &str) -> Response {
    let shell = Frame::developer(state, developer).of_app(of, "");
    let notice = Notice::warn("This cannot be done now").text(words);
    page.show(StatusCode::CONFLICT, &LockedPage { shell, notice, path: base(&of.app) })
}

/// The page with both versions: what is saved now, and what was typed. `mine` is what would be saved.
fn stale(
    page: &Page<'_>,
    shell: Frame,
    form: &Form,
    params: &[(String, String)],
    theirs: (&[Line], Millis, i64),
    mine: &[Line],
    action: String,
) -> Response {
    let (saved, at, version) = theirs;
    let lines = lines::differences(saved, mine).into_iter().map(|(label, before, after)| (label.to_owned(), before, after));
    let mut fields: Vec<(String, String)> = params.iter().filter(|(name, _)| name != "version").cloned().collect();
    fields.push(("version".into(), version.to_string()));
    debug_assert!(form.value("version") != version.to_string());
    let told = StalePage { shell, lines: lines.collect(), back: action.clone(), action, fields, at: Moment::minute(moment(at)) };
    page.show(StatusCode::CONFLICT, &told)
}
