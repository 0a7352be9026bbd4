//! App reviews in the console: the queue by due date, and one revision beside what is live, with all that a decision rests on.

use askama::Template;
use axum::extract::{Path, Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::accounts::{self, Role};
use platform::applications::{self, codes};
use platform::apps::review::{self, DecideError, Queued, Reason, Verdict, Whose, in_full};
use platform::apps::{self, App, OwnerKind, Revision, RevisionState};
use platform::{Fault, Millis, freezes, organisations, uploads};

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Needs, REVIEWERS, Staff, act, see};
use crate::pages::cases;
use crate::pages::frame::{Frame, app_badge};
use crate::pages::parts::diff::Diff;
use crate::pages::parts::{Badge, Choice, Copy, Empty, Event, Form, Notice, Pager, Tab, Tabs, Timeline, Tone};
use crate::pages::portal::apps::lines::{self, Line};
use crate::pages::view::Moment;
use crate::pages::{Page, form, icons, moment, redirect};
use crate::state::State;

/// Who sees app reviews: those who decide, and those who answer questions about them.
const READERS: Needs = Needs::Staff(&[Role::Reviewer, Role::Support, Role::Compliance, Role::Administrator]);
/// Lines of a page.
const PAGE: i64 = 50;
/// Reasons that one decision can name.
const REASONS: usize = 4;

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/console/apps", READERS, "See the queue of app reviews", queue),
        see("/console/apps/{revision}", READERS, "See an app under review", show),
        act("/console/apps/{revision}/assign", REVIEWERS, "Take an app review, or give it to somebody", assign),
        act("/console/apps/{revision}/decide", REVIEWERS, "Decide about an app", decide),
    ]
}

fn path(revision_id: i64) -> String {
    format!("/console/apps/{revision_id}")
}

fn query(request: &Request) -> Params {
    Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn badge(state: RevisionState) -> Badge {
    let tone = match state {
        RevisionState::Draft => Tone::Draft,
        RevisionState::InReview => Tone::Action,
        RevisionState::Approved => Tone::Good,
        RevisionState::NotApproved => Tone::Bad,
        RevisionState::Recalled => Tone::Off,
    };
    Badge::new(tone, state.words())
}

// The queue.

#[derive(Debug, Template)]
#[template(path = "console/app_queue.html")]
struct QueuePage {
    shell: Frame,
    tabs: Tabs,
    form: Form,
    view: String,
    lines: Vec<LineView>,
    decided: bool,
    waiting: i64,
    late: i64,
    pager: Pager,
    empty: Empty,
}

#[derive(Debug)]
struct LineView {
    path: String,
    app: String,
    owner: String,
    version: i32,
    badge: Badge,
    reviewer: String,
    own: bool,
    submitted: Option<Moment>,
    due: Option<Moment>,
    decided: Option<Moment>,
    late: bool,
}

const VIEWS: [(&str, &str); 4] = [("", "All in review"), ("mine", "Mine"), ("unassigned", "Unassigned"), ("decided", "Decided")];

async fn queue(With(state): With<State>, id: CallId, staff: Staff, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let params = query(&request);
    let form = Form::of(&params);
    let view = VIEWS.iter().find(|(word, _)| *word == form.value("view")).map_or("", |(word, _)| word);
    let after = form.value("after").split_once('.').and_then(|(at, id)| Some((Millis(at.parse().ok()?), id.parse().ok()?)));
    let words = form.value("q").to_owned();
    let found = async {
        let mut tx = state.platform.db.read().await?;
        let load = review::load(&mut tx, state.platform.now()).await?;
        let whose = match view {
            "mine" => Whose::Of(staff.account.account_id),
            "unassigned" => Whose::Nobodys,
            _ => Whose::All,
        };
        // One more than is shown says whether there is another page.
        let lines = if view == "decided" {
            review::decided(&mut tx, &words, after, PAGE + 1).await?
        } else {
            review::queue(&mut tx, whose, &words, after, PAGE + 1).await?
        };
        Ok::<_, Fault>((load, lines))
    };
    let ((waiting, late), mut lines) = match found.await {
        Ok(found) => found,
        Err(fault) => return page.fault(&fault),
    };
    let more = lines.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    lines.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let here = |after: Option<String>| {
        let after = after.map(|key| format!("&after={key}")).unwrap_or_default();
        format!("/console/apps?view={view}&q={}{after}", escaped(&words))
    };
    let key = |line: &Queued| {
        line.due_at.filter(|_| view != "decided").or(line.decided_at).map(|at| format!("{}.{}", at.0, line.revision_id))
    };
    let pager =
        Pager { newer: after.map(|_| here(None)), older: lines.last().filter(|_| more).and_then(key).map(|key| here(Some(key))) };
    let tabs = VIEWS.iter().map(|(word, label)| Tab {
        label: (*label).to_owned(),
        path: format!("/console/apps{}", if word.is_empty() { String::new() } else { format!("?view={word}") }),
        count: word.is_empty().then(|| u64::try_from(waiting).unwrap_or(0)),
        current: *word == view,
    });
    let told = QueuePage {
        shell: Frame::staff(&state, &staff).at("apps"),
        tabs: Tabs { label: "App reviews".into(), tabs: tabs.collect() },
        view: view.to_owned(),
        lines: lines.iter().map(|line| told_line(&state, &staff, line)).collect(),
        decided: view == "decided",
        waiting,
        late,
        pager,
        empty: Empty {
            title: if words.is_empty() { "Nothing here".into() } else { "Nothing found".into() },
            text: if words.is_empty() {
                "Apps that developers submit stand here, by the day they are due.".into()
            } else {
                String::new()
            },
            link: None,
        },
        form,
    };
    page.show(StatusCode::OK, &told)
}

fn told_line(state: &State, staff: &Staff, line: &Queued) -> LineView {
    let day = |at: Millis| Moment::day(moment(at));
    LineView {
        path: path(line.revision_id),
        app: line.app_name.clone(),
        owner: line.owner.clone().unwrap_or_default(),
        version: line.number,
        badge: badge(line.state),
        reviewer: line.reviewer.clone().unwrap_or_default(),
        own: line.assigned_to == Some(staff.account.account_id),
        submitted: line.submitted_at.map(day),
        due: line.due_at.map(|at| cases::day(&state.platform, at)),
        decided: line.decided_at.map(day),
        late: line.state == RevisionState::InReview && line.due_at.is_some_and(|due| due < state.platform.now()),
    }
}

// One revision.

#[derive(Debug, Template)]
#[template(path = "console/app_review.html")]
struct ReviewPage {
    shell: Frame,
    /// Where the app is frozen, or its freeze is seen; none once it was deleted.
    brake: Option<(String, &'static str)>,
    form: Form,
    problem: Option<Notice>,
    path: String,
    name: String,
    owner: String,
    owner_kind: &'static str,
    badge: Badge,
    app_badge: Badge,
    number: i32,
    version: i64,
    can_decide: bool,
    app_id: Copy,
    client_key: Copy,
    submitted: Option<Moment>,
    submitted_by: String,
    due: Option<Moment>,
    late: bool,
    /// Whether the missed limit was told.
    told: bool,
    reviewer: String,
    mine: bool,
    reviewers: Vec<Choice>,
    explanation: String,
    compared: bool,
    lines: Vec<LineOfTwo>,
    icon: Option<String>,
    icon_before: Option<String>,
    owned: Vec<(String, bool)>,
    videos: Vec<(String, String, String)>,
    applications: Vec<(String, String, Badge)>,
    approved_scopes: String,
    reasons: Vec<platform::notices::Reason>,
    history: Timeline,
    codes: Vec<Choice>,
    rows: Vec<ReasonRow>,
}

/// Names and labels of the fields of one reason.
#[derive(Debug)]
struct ReasonRow {
    code: String,
    code_label: String,
    text: String,
    text_label: String,
}

impl ReviewPage {
    fn outcomes(&self) -> Vec<Choice> {
        let live = if self.compared { "This version takes the place of the live one." } else { "The app goes live." };
        let not = if self.compared { "The live version stays as it is." } else { "The developer can mend it and submit again." };
        vec![Choice::new("approve", "Approve").help(live), Choice::new("refuse", "Do not approve").help(not)]
    }

    /// More than one reason was given.
    fn more_reasons(&self) -> bool {
        let mut more = self.rows.iter().skip(1);
        more.any(|row| !self.form.value(&row.code).is_empty() || !self.form.value(&row.text).is_empty())
    }
}

/// A field in both versions.
#[derive(Debug)]
struct LineOfTwo {
    label: &'static str,
    before: String,
    after: String,
    link: Option<String>,
    diff: Option<Diff>,
}

/// The fields of what is asked for, each beside what is in force.
fn beside(before: Option<&[Line]>, after: &[Line]) -> Vec<LineOfTwo> {
    let Some(before) = before else {
        let line = |line: &Line| LineOfTwo {
            label: line.label,
            before: String::new(),
            after: line.text.clone(),
            link: line.link.then(|| crate::pages::view::safe_url(&line.text).map(ToOwned::to_owned)).flatten(),
            diff: None,
        };
        return after.iter().map(line).collect();
    };
    let text = |lines: &[Line], label: &str| {
        lines.iter().find(|line| line.label == label).map(|line| line.text.clone()).unwrap_or_default()
    };
    let mut labels: Vec<(&'static str, bool)> = after.iter().map(|line| (line.label, line.link)).collect();
    for line in before {
        if !labels.iter().any(|(label, _)| *label == line.label) {
            labels.push((line.label, line.link));
        }
    }
    let two = |(label, link): (&'static str, bool)| {
        let (was, is) = (text(before, label), text(after, label));
        LineOfTwo {
            label,
            diff: (was != is).then(|| Diff::of(&was, &is)),
            link: link.then(|| crate::pages::view::safe_url(&is).map(ToOwned::to_owned)).flatten(),
            before: was,
            after: is,
        }
    };
    labels.into_iter().map(two).collect()
}

async fn show(With(state): With<State>, id: CallId, staff: Staff, Path(revision): Path<String>, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let Ok(revision_id) = revision.parse() else { return page.problem(StatusCode::NOT_FOUND) };
    let done = match query(&request).get("done").ok().flatten() {
        Some("decided") => Some("Decided. The developer gets a mail."),
        Some("assigned") => Some("Saved."),
        _ => None,
    };
    answer(&state, &page, &staff, revision_id, StatusCode::OK, Form::new(), None, done).await
}

#[allow(clippy::too_many_arguments, reason = "one page, with what each act has to say on it")]
async fn answer(
    state: &State,
    page: &Page<'_>,
    staff: &Staff,
    revision_id: i64,
    status: StatusCode,
    form: Form,
    problem: Option<Notice>,
    done: Option<&'static str>,
) -> Response {
    match told(state, staff, revision_id, form, problem, done).await {
        Ok(Some(told)) => page.show(status, &told),
        Ok(None) => page.problem(StatusCode::NOT_FOUND),
        Err(fault) => page.fault(&fault),
    }
}

async fn told(
    state: &State,
    staff: &Staff,
    revision_id: i64,
    form: Form,
    problem: Option<Notice>,
    done: Option<&'static str>,
) -> Result<Option<ReviewPage>, Fault> {
    let platform = &state.platform;
    let mut tx = platform.db.read().await?;
    // Drafts are the developer's own.
    let Some(revision) = apps::revision(&mut tx, revision_id).await?.filter(|revision| revision.submitted_at.is_some()) else {
        return Ok(None);
    };
    let Some(app) = apps::by_id(&mut tx, revision.app_id).await? else { return Ok(None) };
    let all = apps::revisions(&mut tx, app.app_id).await?;
    let live = all.iter().find(|other| other.state == RevisionState::Approved && other.number < revision.number);
    let (owner, owner_kind) = owner(&mut tx, &app).await?;
    let mut owned = Vec::new();
    for (_, address) in revision.details.to_be_owned() {
        owned.push((address.to_owned(), review::is_owned(&mut tx, &app, address).await?));
    }
    let mut videos = Vec::new();
    for upload_id in &revision.details.videos {
        if let Some(upload) = uploads::by_id(&mut tx, *upload_id).await? {
            videos.push((format!("/console/uploads/{upload_id}"), upload.weight(), upload.name));
        }
    }
    let mut names = Vec::new();
    let acted: Vec<i64> =
        all.iter().flat_map(|other| [other.submitted_by, other.decided_by, other.assigned_to]).flatten().collect();
    for account_id in acted {
        if let Some(account) = accounts::by_id(&mut tx, account_id).await? {
            names.push((account_id, account.name));
        }
    }
    let found = applications::of_app(&mut tx, app.app_id).await?;
    let approved = apps::approvals(&mut tx, app.app_id).await?;
    let reviewers = applications::review::staff_with(&mut tx, Role::Reviewer).await?;
    let brake = match freezes::of_app(&mut tx, app.app_id).await? {
        _ if app.deleted_at.is_some() => None,
        Some(freeze) => Some((format!("/console/freezes/{}", freeze.freeze_id), "It is frozen: see the freeze")),
        None => Some((format!("/console/freezes/new?app={}", app.app_id), "Freeze this app")),
    };
    drop(tx);
    let name = |account: Option<i64>| {
        let found = account.and_then(|id| names.iter().find(|(known, _)| *known == id));
        found.map(|(_, name)| name.clone()).unwrap_or_default()
    };
    let in_review = revision.state == RevisionState::InReview && app.deleted_at.is_none();
    let before = live.map(|live| lines::of(&live.details));
    let reviewer_choices = std::iter::once(Choice::new("", "Nobody"))
        .chain(reviewers.iter().map(|(id, name, _)| Choice::new(id.to_string(), name)))
        .collect();
    let mut form = form;
    if form.value("to").is_empty() {
        form.set("to", revision.assigned_to.map(|id| id.to_string()).unwrap_or_default());
    }
    Ok(Some(ReviewPage {
        shell: Frame::staff(state, staff).at("apps").done(done),
        brake,
        problem,
        path: path(revision_id),
        name: revision.details.name.clone(),
        owner,
        owner_kind,
        badge: badge(revision.state),
        app_badge: app_badge(app.status),
        number: revision.number,
        version: revision.version,
        can_decide: in_review && staff.is(Role::Reviewer),
        app_id: Copy::line("App ID", app.app_id.to_string()),
        client_key: Copy::line("Client key", app.client_key.clone()),
        submitted: revision.submitted_at.map(|at| Moment::minute(moment(at))),
        submitted_by: name(revision.submitted_by),
        due: revision.due_at.map(|at| cases::day(platform, at)),
        late: in_review && revision.is_late(platform.now()),
        told: revision.escalated_at.is_some(),
        reviewer: name(revision.assigned_to),
        mine: revision.assigned_to == Some(staff.account.account_id),
        reviewers: reviewer_choices,
        explanation: revision.explanation.clone(),
        compared: live.is_some(),
        lines: beside(before.as_deref(), &lines::of(&revision.details)),
        icon: revision.details.icon_upload.map(icons::reviewed),
        icon_before: live
            .and_then(|live| live.details.icon_upload)
            .filter(|before| Some(*before) != revision.details.icon_upload)
            .map(icons::reviewed),
        owned,
        videos,
        applications: found
            .iter()
            .filter(|application| application.submissions > 0)
            .map(|application| {
                let tone = if application.state.waits_for_staff() { Tone::Action } else { Tone::Plain };
                let to = format!("/console/applications/{}", application.application_id);
                (application.reference(), to, Badge::new(tone, application.state.words()))
            })
            .collect(),
        approved_scopes: approved.iter().map(|approval| approval.family.as_str()).collect::<Vec<_>>().join(", "),
        reasons: revision.reasons.0.iter().map(in_full).collect(),
        history: Timeline(
            all.iter().filter(|other| other.submitted_at.is_some()).map(|other| event(other, revision_id, &name)).collect(),
        ),
        codes: std::iter::once(Choice::new("", "None"))
            .chain(codes::CODES.iter().map(|code| Choice::new(code.code, format!("{}: {}", code.code, code.title))))
            .collect(),
        rows: (1..=REASONS)
            .map(|row| ReasonRow {
                code: format!("code-{row}"),
                code_label: format!("Code {row}"),
                text: format!("text-{row}"),
                text_label: format!("Text {row}"),
            })
            .collect(),
        form,
    }))
}

fn event(of: &Revision, current: i64, name: &impl Fn(Option<i64>) -> String) -> Event {
    let at = of.decided_at.or(of.submitted_at).unwrap_or(of.updated_at);
    let said = of.reasons.0.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>().join(", ");
    Event {
        at: Moment::minute(moment(at)),
        title: format!("Version {}: {}", of.number, of.state.words()),
        who: name(of.decided_by.or(of.submitted_by)),
        text: said,
        tone: match of.state {
            RevisionState::Approved => Tone::Good,
            RevisionState::NotApproved => Tone::Bad,
            RevisionState::Recalled => Tone::Off,
            _ => Tone::Waiting,
        },
        link: (of.revision_id != current).then(|| ("Open".to_owned(), path(of.revision_id))),
    }
}

async fn owner(tx: &mut platform::db::Tx, app: &App) -> Result<(String, &'static str), Fault> {
    Ok(match app.owner_kind {
        OwnerKind::Organisation => {
            let found = organisations::by_id(tx, app.owner_id).await?;
            (found.map(|found| found.name).unwrap_or_else(|| "A deleted organisation".into()), "Organisation")
        }
        OwnerKind::Account => {
            let found = accounts::by_id(tx, app.owner_id).await?;
            (found.map(|found| found.name).unwrap_or_default(), "A single developer")
        }
        OwnerKind::Operator => ("You".into(), "Operator"),
    })
}

async fn posted(page: &Page<'_>, request: Request) -> Result<Form, Box<Response>> {
    let (parts, body) = request.into_parts();
    match form(&parts, body).await {
        Ok(params) => Ok(Form::of(&params)),
        Err(status) => Err(Box::new(page.problem(status))),
    }
}

async fn assign(With(state): With<State>, id: CallId, staff: Staff, Path(revision): Path<String>, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let Ok(revision_id) = revision.parse::<i64>() else { return page.problem(StatusCode::NOT_FOUND) };
    let to = match form.value("to") {
        "" => None,
        "me" => Some(staff.account.account_id),
        other => match other.parse() {
            Ok(account_id) => Some(account_id),
            Err(_) => return page.problem(StatusCode::BAD_REQUEST),
        },
    };
    if let Some(account_id) = to {
        let reviewer = async {
            let mut tx = state.platform.db.read().await?;
            Ok::<_, Fault>(accounts::roles(&mut tx, account_id).await?.contains(&Role::Reviewer))
        };
        match reviewer.await {
            Ok(true) => {}
            Ok(false) => return page.problem(StatusCode::BAD_REQUEST),
            Err(fault) => return page.fault(&fault),
        }
    }
    match review::assign(&state.platform, &staff.account, revision_id, to).await {
        Ok(true) => redirect(&format!("{}?done=assigned", path(revision_id))),
        Ok(false) => {
            let problem = Notice::warn("This review is over").text("It was decided about or recalled meanwhile.");
            answer(&state, &page, &staff, revision_id, StatusCode::CONFLICT, Form::new(), Some(problem), None).await
        }
        Err(fault) => page.fault(&fault),
    }
}

async fn decide(With(state): With<State>, id: CallId, staff: Staff, Path(revision): Path<String>, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let mut form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let Ok(revision_id) = revision.parse::<i64>() else { return page.problem(StatusCode::NOT_FOUND) };
    let reasons: Vec<Reason> = (1..=REASONS)
        .map(|row| Reason {
            code: form.value(&format!("code-{row}")).to_owned(),
            text: form.value(&format!("text-{row}")).replace("\r\n", "\n"),
        })
        .filter(|reason| !reason.code.is_empty() || !reason.text.is_empty())
        .collect();
    let verdict = match form.value("outcome") {
        "approve" if reasons.is_empty() => Verdict::Approve,
        "approve" => {
            form.wrong("outcome", "An approval names no reasons. Take them away, or choose not to approve.");
            return answer(&state, &page, &staff, revision_id, StatusCode::UNPROCESSABLE_ENTITY, form, None, None).await;
        }
        "refuse" => Verdict::Refuse(reasons),
        _ => {
            form.wrong("outcome", "Choose whether the app is approved.");
            return answer(&state, &page, &staff, revision_id, StatusCode::UNPROCESSABLE_ENTITY, form, None, None).await;
        }
    };
    let version = form.value("version").parse().unwrap_or(-1);
    match review::decide(&state.platform, &staff.account, revision_id, version, verdict).await {
        Ok(decided) => {
            crate::pages::portal::apps::follow(&state, decided.app_id).await;
            redirect(&format!("{}?done=decided", path(revision_id)))
        }
        Err(DecideError::Invalid(words)) => {
            let field = if form.value("outcome") == "refuse" { "code-1" } else { "outcome" };
            form.wrong(field, words);
            answer(&state, &page, &staff, revision_id, StatusCode::UNPROCESSABLE_ENTITY, form, None, None).await
        }
        Err(DecideError::Moved(now)) => {
            let words = match now.state {
                RevisionState::Approved => "Somebody has approved it meanwhile. What you chose was not taken.",
                RevisionState::NotApproved => {
                    "Somebody has refused it meanwhile, for the reasons below. What you chose was not taken."
                }
                RevisionState::Recalled => "The developer has recalled it meanwhile. What you chose was not taken.",
                _ => "It was changed meanwhile. Look at it as it is now, and decide again.",
            };
            let problem = Notice::danger("Not decided by you").text(words);
            answer(&state, &page, &staff, revision_id, StatusCode::CONFLICT, form, Some(problem), None).await
        }
        Err(DecideError::Unknown) => page.problem(StatusCode::NOT_FOUND),
        Err(DecideError::Fault(fault)) => page.fault(&fault),
    }
}
