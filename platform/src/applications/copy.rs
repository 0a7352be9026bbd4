//! The applicant's copy: everything that was handed in, asked, answered and decided, as they may see it.

use serde_json::{Map, Value, json};

use super::case::{self, Comment, Question};
use super::decide::{Outcome, Verdict};
use super::rows::{self, EventRow, Version};
use super::{Application, Happened};
use crate::apps::App;
use crate::clock::Millis;
use crate::db::Tx;
use crate::forms::{self, Answers, Kind};
use crate::uploads::{self, Upload};
use crate::{Fault, Platform};

/// An answer in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// As in the data.
    pub field: String,
    /// The question.
    pub label: String,
    /// The title of the step.
    pub step: String,
    /// One line for each thing that was chosen, or the text; empty without an answer.
    pub words: Vec<String>,
    /// The files: number, name, type, bytes, SHA-256.
    pub files: Vec<FileOf>,
}

/// A file of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOf {
    /// Ours.
    pub upload_id: i64,
    /// As it was called.
    pub name: String,
    /// By its bytes.
    pub media_type: String,
    /// Bytes.
    pub size: i64,
    /// In words.
    pub weight: String,
    /// In lower-case hexadecimal.
    pub sha256: String,
}

/// A decision that took effect.
#[derive(Clone, Debug)]
pub struct Decided {
    /// When.
    pub at: Millis,
    /// About which version.
    pub number: i32,
    /// For each family.
    pub outcomes: Vec<Outcome>,
    /// Words to the applicant.
    pub text: String,
}

/// Everything an applicant may have of an application.
#[derive(Clone, Debug)]
pub struct Dossier {
    /// The row.
    pub application: Application,
    /// The app.
    pub app: App,
    /// What is being written or was handed in last, in words.
    pub answers: Vec<Answered>,
    /// Each submission, the first one first, in words.
    pub versions: Vec<(Version, Vec<Answered>)>,
    /// Decisions that took effect.
    pub decisions: Vec<Decided>,
    /// Questions and their answers.
    pub questions: Vec<Question>,
    /// Reviewers' words that the applicant may see.
    pub comments: Vec<Comment>,
    /// The timeline that the applicant may see.
    pub events: Vec<EventRow>,
}

/// Gathers it.
pub async fn dossier(platform: &Platform, tx: &mut Tx, application: Application, app: App) -> Result<Dossier, Fault> {
    let id = application.application_id;
    let mut versions = Vec::new();
    for version in rows::versions(tx, id).await? {
        let answers: Answers = serde_json::from_str(&version.answers).unwrap_or_default();
        let words = in_words(platform, tx, &application.form, &answers).await?;
        versions.push((version, words));
    }
    let decisions = case::decisions(tx, id).await?.into_iter().filter(|decision| decision.in_force).map(|decision| Decided {
        at: decision.at,
        number: decision.number,
        outcomes: decision.outcomes(),
        text: decision.text,
    });
    Ok(Dossier {
        answers: in_words(platform, tx, &application.form, &application.answers()).await?,
        versions,
        decisions: decisions.collect(),
        questions: case::questions(tx, id).await?,
        comments: case::comments(tx, id).await?.into_iter().filter(|comment| comment.visible).collect(),
        events: rows::events(tx, id).await?.into_iter().filter(|event| event.visible).collect(),
        application,
        app,
    })
}

/// Answers in words, in the form's order. Questions that are not asked are left out.
pub async fn in_words(platform: &Platform, tx: &mut Tx, form: &str, answers: &Answers) -> Result<Vec<Answered>, Fault> {
    let form = platform.forms.of(form);
    let scopes = forms::scopes(&platform.catalogue);
    let mut all = Vec::new();
    for step in &form.steps {
        for field in &step.fields {
            if !forms::is_relevant(form, field, answers) {
                continue;
            }
            let mut files = Vec::new();
            for id in field.uploads(answers) {
                files.extend(uploads::by_id(tx, id).await?.map(FileOf::from));
            }
            all.push(Answered {
                field: field.name.clone(),
                label: field.label.clone(),
                step: step.title.clone(),
                words: if field.kind == Kind::Upload { Vec::new() } else { field.words(answers, &scopes) },
                files,
            });
        }
    }
    Ok(all)
}

impl From<Upload> for FileOf {
    fn from(upload: Upload) -> Self {
        Self {
            weight: upload.weight(),
            upload_id: upload.upload_id,
            name: upload.name,
            media_type: upload.media_type,
            size: upload.size,
            sha256: upload.sha256,
        }
    }
}

/// Who did something, as the applicant reads it. Members of staff are not named.
pub fn who(actor: &str) -> &'static str {
    match actor.split(' ').next().unwrap_or_default() {
        "developer" | "app" => "Applicant",
        "staff" => "Reviewer",
        _ => "Portal",
    }
}

/// What happened, as the applicant reads it.
pub const fn what(kind: Happened) -> &'static str {
    match kind {
        Happened::Submitted => "Submitted",
        Happened::Corrected => "Submitted again, corrected",
        Happened::Triaged => "Found complete enough to be reviewed",
        Happened::Taken => "Review began",
        Happened::Assigned => "Given to a reviewer",
        Happened::HandedOver => "Handed over to another reviewer",
        Happened::Asked => "Question from the reviewer",
        Happened::Reminded => "Reminder of the question",
        Happened::Answered => "Question answered",
        Happened::Unanswered => "Question not answered in time",
        Happened::Commented => "Comment from the reviewer",
        Happened::Evidence => "Evidence recorded",
        Happened::Conflict => "Conflict of interest declared",
        Happened::Proposed => "First of two decisions",
        Happened::Disagreed => "The two decisions differ",
        Happened::Decided => "Decided",
        Happened::Withdrawn => "Withdrawn",
        Happened::Reopened => "Open for correction",
        Happened::Escalated => "The limit passed without a decision; told to those responsible",
        Happened::Expired => "Ended by time",
        Happened::Revoked => "Access revoked",
        Happened::CorrectionRefused => "A correction was asked for and refused",
    }
}

impl Dossier {
    /// As JSON, for other programs and for later.
    pub fn json(&self) -> Value {
        let application = &self.application;
        let versions = self.versions.iter().map(|(version, answers)| {
            json!({
                "number": version.number,
                "submitted_at": time(version.submitted_at),
                "terms_version": version.terms_version,
                "declarations": parsed(&version.declarations),
                "findings": parsed(&version.findings),
                "answers": answers.iter().map(answer_json).collect::<Vec<_>>(),
                "data": parsed(&version.answers),
            })
        });
        let decisions = self.decisions.iter().map(|decision| {
            json!({
                "decided_at": time(decision.at),
                "version": decision.number,
                "text": decision.text,
                "outcomes": decision.outcomes.iter().map(outcome_json).collect::<Vec<_>>(),
            })
        });
        let questions = self.questions.iter().map(|question| {
            json!({
                "asked_at": time(question.asked_at),
                "text": question.text,
                "fields": question.fields(),
                "due_at": time(question.due_at),
                "answered_at": question.answered_at.map(time),
                "answer": question.answer,
                "changes": question.changes(),
            })
        });
        let comments = self.comments.iter().map(
            |comment| json!({ "at": time(comment.at), "version": comment.number, "field": comment.field, "text": comment.text }),
        );
        let events = self.events.iter().map(|event| {
            json!({
                "at": time(event.at),
                "who": who(&event.actor).to_lowercase(),
                "what": event.kind.as_str(),
                "from": event.from_state.map(super::State::as_str),
                "to": event.to_state.map(super::State::as_str),
                "code": event.code,
                "text": event.text,
            })
        });
        json!({
            "format": "portward-application/1",
            "reference": application.reference(),
            "application_id": application.application_id.to_string(),
            "app": { "app_id": self.app.app_id.to_string(), "name": self.app.name, "client_key": self.app.client_key },
            "form": application.form,
            "state": application.state.as_str(),
            "created_at": time(application.created_at),
            "updated_at": time(application.updated_at),
            "submitted_at": application.submitted_at.map(time),
            "usual_at": application.usual_at.map(time),
            "due_at": application.due_at.map(time),
            "decided_at": application.decided_at.map(time),
            "ended_at": application.ended_at.map(time),
            "contact_email": application.email,
            "previous": application.previous_id.map(super::reference),
            "answers": self.answers.iter().map(answer_json).collect::<Vec<_>>(),
            "data": application.answers(),
            "versions": versions.collect::<Vec<_>>(),
            "decisions": decisions.collect::<Vec<_>>(),
            "questions": questions.collect::<Vec<_>>(),
            "comments": comments.collect::<Vec<_>>(),
            "events": events.collect::<Vec<_>>(),
        })
    }
}

fn time(at: Millis) -> String {
    at.to_string()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn answer_json(answered: &Answered) -> Value {
    let mut answer = Map::new();
    answer.insert("field".into(), answered.field.clone().into());
    answer.insert("label".into(), answered.label.clone().into());
    answer.insert("answer".into(), answered.words.clone().into());
    if !answered.files.is_empty() {
        let files = answered.files.iter().map(|file| {
            json!({
                "name": file.name,
                "media_type": file.media_type,
                "size": file.size,
                "sha256": file.sha256,
                "path": format!("/developers/uploads/{}", file.upload_id),
            })
        });
        answer.insert("files".into(), files.collect::<Vec<_>>().into());
    }
    answer.into()
}

fn outcome_json(outcome: &Outcome) -> Value {
    let reason = outcome.reason();
    let (conditions, due_at) = match &outcome.verdict {
        Verdict::Conditions { text, due_at } => (Some(text.clone()), Some(time(Millis(*due_at)))),
        _ => (None, None),
    };
    json!({
        "scope": outcome.family,
        "outcome": outcome.words(),
        "code": reason.as_ref().map(|reason| reason.code.clone()),
        "title": reason.as_ref().map(|reason| reason.title.clone()),
        "text": reason.as_ref().map(|reason| reason.text.clone()),
        "cure": reason.as_ref().map(|reason| reason.cure.clone()),
        "conditions": conditions,
        "conditions_due_at": due_at,
    })
}
