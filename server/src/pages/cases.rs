//! What pages about an application have in common: its state as a badge, its answers by step, its dates, its timeline.

use std::collections::HashMap;

use platform::applications::decide::{Outcome, Verdict};
use platform::applications::rows::EventRow;
use platform::applications::submit::MachineFinding;
use platform::applications::{Application, Happened, State as Standing, clocks};
use platform::db::Tx;
use platform::forms::{Answers, Form, Kind, is_relevant};
use platform::uploads::{self, Upload};
use platform::{Fault, Millis, Platform, accounts};
use serde_json::Value;

use super::moment;
use super::parts::diff::Diff;
use super::parts::{Badge, Event, Icon, Thread, Tone};
use super::view::{Moment, safe_url};

/// An application's state. `ours` says who looks: staff, or the applicant.
pub(crate) fn badge(state: Standing, ours: bool) -> Badge {
    let tone = match (state, ours) {
        (Standing::Draft, _) | (Standing::NeedsInfo | Standing::Reopened, true) => Tone::Draft,
        (Standing::Submitted | Standing::Triage, true) | (Standing::NeedsInfo | Standing::Reopened, false) => Tone::Action,
        (Standing::InReview, _) | (Standing::Submitted | Standing::Triage, false) => Tone::Waiting,
        (Standing::Approved | Standing::ApprovedWithConditions, _) => Tone::Good,
        (Standing::Rejected | Standing::Revoked, _) => Tone::Bad,
        (Standing::Withdrawn | Standing::Expired, _) => Tone::Off,
    };
    let words = match (state, ours) {
        (Standing::NeedsInfo, true) => "Applicant asked",
        (Standing::Reopened, true) => "Being corrected",
        (Standing::Triage, true) => "In triage",
        (Standing::Submitted, true) => "New",
        _ => state.words(),
    };
    Badge::new(tone, words)
}

/// A day where the operator is, for people and for machines.
pub(crate) fn day(platform: &Platform, at: Millis) -> Moment {
    let calendar = platform.settings.review.calendar();
    Moment { iso: calendar.day(at).to_string(), words: calendar.day(at).strftime("%-d %B %Y").to_string() }
}

/// A due date, and how much is left of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Due {
    /// The day.
    pub(crate) day: Moment,
    /// Such as "3 working days left"; empty when it does not matter any more.
    pub(crate) left: String,
    /// The class of the words: `late`, `soon` or none.
    pub(crate) class: &'static str,
}

/// When an application is to be decided, as it stands now.
pub(crate) fn due(platform: &Platform, state: Standing, due_at: Option<Millis>, stopped_at: Option<Millis>) -> Option<Due> {
    let due_at = due_at?;
    let calendar = platform.settings.review.calendar();
    let now = platform.now();
    let clock = stopped_at.unwrap_or(now);
    let days = clocks::remaining_days(clock, due_at, &calendar);
    let (left, class) = if state.is_final() {
        (String::new(), "")
    } else if due_at < clock {
        let over = clocks::remaining_days(due_at, clock, &calendar);
        (if over == 0 { "limit missed".to_owned() } else { format!("{} late", working_days(over)) }, "late")
    } else if stopped_at.is_some() {
        (format!("clock stopped, {} left", working_days(days)), "")
    } else if days == 0 {
        ("today".to_owned(), "soon")
    } else {
        (format!("{} left", working_days(days)), if days <= 3 { "soon" } else { "" })
    };
    Some(Due { day: day(platform, due_at), left, class })
}

fn working_days(count: u32) -> String {
    if count == 1 { "1 working day".to_owned() } else { format!("{count} working days") }
}

/// The answers of one step of the form.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepView {
    /// Its name, for addresses on the page.
    pub(crate) name: String,
    /// What it is called.
    pub(crate) title: String,
    /// Its questions.
    pub(crate) fields: Vec<AnswerView>,
}

/// One answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerView {
    /// The field.
    pub(crate) name: String,
    /// The question.
    pub(crate) label: String,
    /// What reviewers look at.
    pub(crate) guidance: String,
    /// The answer, a line for each thing that was chosen.
    pub(crate) lines: Vec<String>,
    /// Where it leads, if it is an address.
    pub(crate) link: Option<String>,
    /// Files, with their paths and what is known of them.
    pub(crate) files: Vec<FileView>,
    /// What changed against the version it is compared with.
    pub(crate) diff: Option<Diff>,
    /// Names of files that are gone.
    pub(crate) gone: Vec<String>,
    /// Remarks of the machine and of the applicant on it.
    pub(crate) findings: Vec<Remark>,
    /// What reviewers wrote on it.
    pub(crate) comments: Thread,
}

/// A file of an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileView {
    /// Its name.
    pub(crate) name: String,
    /// Where it is downloaded.
    pub(crate) path: String,
    /// Its type, size and pages.
    pub(crate) about: String,
    /// Whether it was not there before.
    pub(crate) is_new: bool,
}

/// What was found in an answer, and what the applicant says to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remark {
    /// What was found.
    pub(crate) text: String,
    /// What the applicant remarked.
    pub(crate) remark: String,
    /// The field, empty for the whole.
    pub(crate) field: String,
    /// How much it matters.
    pub(crate) tone: Tone,
}

impl Remark {
    /// Its icon.
    pub(crate) fn icon(&self) -> Icon {
        self.tone.icon()
    }
}

impl AnswerView {
    /// Whether it was answered.
    pub(crate) fn is_given(&self) -> bool {
        !self.lines.is_empty() || !self.files.is_empty()
    }

    /// Whether it differs from what it is compared with.
    pub(crate) fn has_changed(&self) -> bool {
        self.diff.is_some() || !self.gone.is_empty() || self.files.iter().any(|file| file.is_new)
    }
}

/// The files that answers name.
pub(crate) async fn files(tx: &mut Tx, form: &Form, all: &[&Answers]) -> Result<HashMap<i64, Upload>, Fault> {
    let mut files = HashMap::new();
    for upload_id in all.iter().flat_map(|answers| form.uploads(answers)) {
        if let std::collections::hash_map::Entry::Vacant(place) = files.entry(upload_id)
            && let Some(upload) = uploads::by_id(tx, upload_id).await?
        {
            place.insert(upload);
        }
    }
    Ok(files)
}

/// A size as people read it.
fn size(bytes: i64) -> String {
    let tenths = |unit: i64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KB", tenths(1024)),
        _ => format!("{} MB", tenths(1_048_576)),
    }
}

fn about(upload: &Upload) -> String {
    let facts: Value = serde_json::from_str(&upload.facts).unwrap_or_default();
    let kind = match upload.media_type.as_str() {
        "application/pdf" => "PDF",
        "image/png" => "PNG",
        "image/jpeg" => "JPEG",
        other => other,
    };
    let pages = match facts.get("pages").and_then(Value::as_u64) {
        Some(1) => ", 1 page".to_owned(),
        Some(pages) => format!(", {pages} pages"),
        None => String::new(),
    };
    format!("{kind}, {}{pages}", size(upload.size))
}

/// All answers by step; with `before`, what changed since is marked. `path` is where files are downloaded: `/console/uploads/`.
pub(crate) fn steps(
    platform: &Platform,
    form: &Form,
    answers: &Answers,
    before: Option<&Answers>,
    uploads: &HashMap<i64, Upload>,
    path: &str,
) -> Vec<StepView> {
    let scopes = platform::forms::scopes(&platform.catalogue);
    let view = |field: &platform::forms::Field| {
        let lines = field.words(answers, &scopes);
        let text = lines.join("\n");
        let old = before.map(|before| field.words(before, &scopes).join("\n"));
        let old_files = before.map(|before| field.uploads(before));
        let ids = field.uploads(answers);
        let file = |upload_id: &i64| {
            let upload = uploads.get(upload_id);
            FileView {
                name: upload.map_or_else(|| "A file that is gone".to_owned(), |upload| upload.name.clone()),
                path: format!("{path}{upload_id}"),
                about: upload.map(about).unwrap_or_default(),
                is_new: old_files.as_ref().is_some_and(|old| !old.contains(upload_id)),
            }
        };
        let gone = old_files.iter().flatten().filter(|old| !ids.contains(old));
        AnswerView {
            name: field.name.clone(),
            label: field.label.clone(),
            guidance: field.guidance.clone(),
            link: (field.kind == Kind::Url).then(|| safe_url(&text).map(str::to_owned)).flatten(),
            files: ids.iter().map(file).collect(),
            diff: old.filter(|old| *old != text).map(|old| Diff::of(&old, &text)),
            gone: gone.filter_map(|gone| Some(uploads.get(gone)?.name.clone())).collect(),
            lines,
            ..AnswerView::default()
        }
    };
    let shown = |field: &&platform::forms::Field| {
        is_relevant(form, field, answers) || before.is_some_and(|before| is_relevant(form, field, before))
    };
    let step = |step: &platform::forms::Step| StepView {
        name: step.name.clone(),
        title: step.title.clone(),
        fields: step.fields.iter().filter(shown).map(view).collect(),
    };
    form.steps.iter().map(step).collect()
}

/// What the machine found at a submission, and what the applicant remarked on it.
pub(crate) fn remarks(findings: &str) -> Vec<Remark> {
    let found: Vec<MachineFinding> = serde_json::from_str(findings).unwrap_or_default();
    let one = |finding: MachineFinding| Remark {
        tone: match finding.tone.as_str() {
            "good" => Tone::Good,
            "unknown" => Tone::Plain,
            _ => Tone::Action,
        },
        text: finding.text,
        remark: finding.remark,
        field: finding.field,
    };
    found.into_iter().map(one).collect()
}

/// The names of accounts, looked up once each.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<i64, String>);

impl Names {
    /// The name of an account.
    pub(crate) async fn of(&mut self, tx: &mut Tx, account_id: i64) -> Result<String, Fault> {
        if let Some(name) = self.0.get(&account_id) {
            return Ok(name.clone());
        }
        let name = accounts::by_id(tx, account_id).await?.map_or_else(|| "Somebody who left".to_owned(), |account| account.name);
        self.0.insert(account_id, name.clone());
        Ok(name)
    }

    /// Who an actor of the timeline is, in words. Applicants are not told which member of staff it was.
    async fn actor(&mut self, tx: &mut Tx, actor: &str, ours: bool) -> Result<String, Fault> {
        let number = |prefix: &str| actor.strip_prefix(prefix).and_then(|id| id.parse::<i64>().ok());
        Ok(match (number("staff "), number("developer ")) {
            (Some(id), _) if ours => self.of(tx, id).await?,
            (Some(_), _) => "Reviewers".to_owned(),
            (_, Some(id)) => self.of(tx, id).await?,
            _ if actor.starts_with("app ") => "Applicant, by the mailed link".to_owned(),
            _ => "Portward".to_owned(),
        })
    }
}

fn said(kind: Happened, ours: bool) -> (&'static str, Tone) {
    match kind {
        Happened::Submitted => ("Submitted", Tone::Waiting),
        Happened::Corrected => ("Corrected and submitted again", Tone::Waiting),
        Happened::Triaged => ("Looked at; complete enough for a reviewer", Tone::Plain),
        Happened::Taken => ("A reviewer began", Tone::Waiting),
        Happened::Assigned => ("Given to a reviewer", Tone::Plain),
        Happened::HandedOver => ("Handed over", Tone::Plain),
        Happened::Asked => (if ours { "Applicant asked" } else { "Question for you" }, Tone::Action),
        Happened::Reminded => ("Reminder sent", Tone::Plain),
        Happened::Answered => ("Question answered", Tone::Good),
        Happened::Unanswered => ("Not answered in time; back with the reviewers", Tone::Action),
        Happened::Commented => ("Comment", Tone::Plain),
        Happened::Evidence => ("Evidence recorded", Tone::Plain),
        Happened::Conflict => ("Conflict of interest declared", Tone::Action),
        Happened::Proposed => ("First of two decisions", Tone::Plain),
        Happened::Disagreed => ("The second decision differs", Tone::Action),
        Happened::Decided => ("Decided", Tone::Good),
        Happened::Withdrawn => ("Withdrawn", Tone::Off),
        Happened::Reopened => ("Opened for correction", Tone::Action),
        Happened::CorrectionRefused => ("Not opened for correction", Tone::Bad),
        Happened::Escalated => ("Limit missed; put before the administrators", Tone::Bad),
        Happened::Expired => ("Expired", Tone::Off),
        Happened::Revoked => ("Revoked", Tone::Bad),
    }
}

/// The timeline, the latest first: all of it, or what the applicant sees. `ours` says whether staff look, who are told names.
pub(crate) async fn timeline(
    tx: &mut Tx,
    names: &mut Names,
    events: &[EventRow],
    all: bool,
    ours: bool,
) -> Result<Vec<Event>, Fault> {
    let mut shown: Vec<Event> = Vec::new();
    for event in events.iter().rev().filter(|event| all || event.visible) {
        let (title, mut tone) = said(event.kind, ours);
        if event.to_state == Some(Standing::Rejected) {
            tone = Tone::Bad;
        }
        let title = match event.to_state.filter(|state| event.kind == Happened::Decided && state.is_final()) {
            Some(state) => state.words().to_owned(),
            None => title.to_owned(),
        };
        let who = names.actor(tx, &event.actor, ours).await?;
        // Evidence is recorded in one go: one line for all of it.
        if event.kind == Happened::Evidence
            && let Some(last) = shown.last_mut().filter(|last| last.title == title && last.who == who)
        {
            last.text = format!("{}, {}", event.text.replace('_', " "), last.text);
            continue;
        }
        shown.push(Event {
            at: Moment::minute(moment(event.at)),
            title,
            who,
            text: if event.kind == Happened::Evidence { event.text.replace('_', " ") } else { event.text.clone() },
            tone,
            link: None,
        });
    }
    Ok(shown)
}

/// A decision about one family, as it is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutcomeView {
    /// `portability.activity`.
    pub(crate) family: String,
    /// How it came out.
    pub(crate) badge: Badge,
    /// The code, if it was refused.
    pub(crate) code: String,
    /// The code in words.
    pub(crate) title: String,
    /// What was said.
    pub(crate) text: String,
    /// What cures it.
    pub(crate) cure: String,
    /// What would show it.
    pub(crate) evidence: String,
    /// Until when one can appeal.
    pub(crate) appeal: Option<Moment>,
    /// What has to be done, and by when.
    pub(crate) conditions: String,
}

/// Outcomes as they are shown; `at` is when it was decided.
pub(crate) fn outcomes(platform: &Platform, outcomes: &[Outcome], at: Millis) -> Vec<OutcomeView> {
    let view = |outcome: &Outcome| {
        let tone = if outcome.is_approval() { Tone::Good } else { Tone::Bad };
        let reason = outcome.reason();
        let code = match &outcome.verdict {
            Verdict::Refuse { code, .. } => platform::applications::codes::find(code),
            Verdict::Approve | Verdict::Conditions { .. } => None,
        };
        let appeal = code.map(|code| at + std::time::Duration::from_secs(u64::from(code.appeal_days) * 24 * 3600));
        OutcomeView {
            family: outcome.family.clone(),
            badge: Badge::new(tone, outcome.words()),
            code: reason.as_ref().map(|reason| reason.code.clone()).unwrap_or_default(),
            title: reason.as_ref().map(|reason| reason.title.clone()).unwrap_or_default(),
            text: reason.as_ref().map(|reason| reason.text.clone()).unwrap_or_default(),
            cure: reason.map(|reason| reason.cure).unwrap_or_default(),
            evidence: code.map(|code| code.evidence.to_owned()).unwrap_or_default(),
            appeal: appeal.map(|until| day(platform, until)),
            conditions: outcome.conditions(platform),
        }
    };
    outcomes.iter().map(view).collect()
}

/// The name of whoever owns the app: its organisation, or the developer.
pub(crate) async fn owner(tx: &mut Tx, names: &mut Names, application: &Application) -> Result<String, Fault> {
    match platform::organisations::by_id(tx, application.owner_id).await? {
        Some(organisation) => Ok(organisation.name),
        None => names.of(tx, application.owner_id).await,
    }
}
