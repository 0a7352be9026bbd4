//! What is left to do while an application is written, and how the copy tells decisions, questions and history.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::Fault;
use platform::applications::copy::{self, Dossier};
use platform::applications::decide::Verdict;
use platform::applications::{self, Application, State as Stage, draft};
use platform::forms::Finding;

use super::{OfApplication, badge, due, faults, is_optional, minute, path, progress, query, step_path};
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, see};
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Comment, Event, Notice, Task, Tasks, Thread, Timeline, Tone};
use crate::pages::{Page, redirect};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![see("/developers/applications/{application}/edit", Needs::Works, "See what is left to do for an application", show)]
}

#[derive(Debug, Template)]
#[template(path = "portal/application_tasks.html")]
struct TasksPage {
    shell: Frame,
    path: String,
    reference: String,
    title: String,
    text: String,
    badge: Badge,
    /// Opened for correction: why, and until when it is best handed in.
    reopened: Notice,
    tasks: Tasks,
    done: usize,
    count: usize,
    /// The address that waits for its confirmation.
    unconfirmed: String,
    /// What was said about the application before this one.
    earlier: Vec<DecisionView>,
    earlier_path: String,
    saved: crate::pages::view::Moment,
}

/// A decision as the applicant reads it.
#[derive(Debug)]
pub(super) struct DecisionView {
    pub(super) at: crate::pages::view::Moment,
    pub(super) text: String,
    pub(super) outcomes: Vec<OutcomeView>,
}

/// What was decided about one family of scopes.
#[derive(Debug)]
pub(super) struct OutcomeView {
    pub(super) title: String,
    pub(super) family: String,
    pub(super) badge: Badge,
    pub(super) conditions: String,
    /// Code, title, text and cure of a refusal.
    pub(super) reason: Option<(String, String, String, String)>,
}

/// The decisions that took effect.
pub(super) fn decided(state: &State, dossier: &Dossier) -> Vec<DecisionView> {
    let platform = &state.platform;
    let title = |family: &str| {
        let category = platform.catalogue.categories().iter().find(|category| category.scope == family);
        category.map_or(family, |category| category.title.best("en")).to_owned()
    };
    let views = dossier.decisions.iter().map(|decision| DecisionView {
        at: minute(decision.at),
        text: decision.text.clone(),
        outcomes: decision
            .outcomes
            .iter()
            .map(|outcome| OutcomeView {
                title: title(&outcome.family),
                family: outcome.family.clone(),
                badge: Badge::new(
                    match outcome.verdict {
                        Verdict::Approve => Tone::Good,
                        Verdict::Conditions { .. } => Tone::Action,
                        Verdict::Refuse { .. } => Tone::Bad,
                    },
                    outcome.words(),
                ),
                conditions: outcome.conditions(platform),
                reason: outcome.reason().map(|reason| (reason.code, reason.title, reason.text, reason.cure)),
            })
            .collect(),
    });
    views.collect()
}

/// Questions and answers, the first one first.
pub(super) fn questions(dossier: &Dossier) -> Thread {
    let mut thread = Vec::new();
    for question in &dossier.questions {
        thread.push(Comment {
            who: "Reviewer".into(),
            at: minute(question.asked_at),
            text: question.text.clone(),
            ..Comment::default()
        });
        if let Some((at, answer)) = question.answered_at.zip(question.answer.as_ref()) {
            let text = if answer.is_empty() { "Answered by changing the application.".to_owned() } else { answer.clone() };
            thread.push(Comment { who: "Applicant".into(), at: minute(at), text, own: true, ..Comment::default() });
        }
    }
    Thread(thread)
}

/// The timeline, the latest first.
pub(super) fn history(dossier: &Dossier) -> Timeline {
    let event = |event: &applications::rows::EventRow| Event {
        at: minute(event.at),
        title: copy::what(event.kind).to_owned(),
        who: copy::who(&event.actor).to_owned(),
        text: event.text.clone(),
        tone: event.to_state.map_or(Tone::Plain, |to| match to {
            Stage::Approved | Stage::ApprovedWithConditions => Tone::Good,
            Stage::Rejected | Stage::Revoked => Tone::Bad,
            Stage::NeedsInfo | Stage::Reopened => Tone::Action,
            Stage::Withdrawn | Stage::Expired => Tone::Off,
            Stage::Draft => Tone::Draft,
            Stage::Submitted | Stage::Triage | Stage::InReview => Tone::Waiting,
        }),
        link: None,
    };
    Timeline(dossier.events.iter().rev().map(event).collect())
}

async fn show(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of: OfApp,
    OfApplication(application): OfApplication,
    request: Request,
) -> Response {
    let page = Page::new(&state, &id);
    if !application.state.can_be_written() {
        return redirect(&path(&application));
    }
    let saved = query(&request).get("done").ok().flatten() == Some("saved");
    let done =
        saved.then_some("Everything you wrote is saved. You and everybody who works on the app can go on with it at any time.");
    let shell = Frame::developer(&state, &developer).of_app(&of, "scopes").done(done);
    match tasks(&state, &of, application, shell).await {
        Ok(told) => page.show(StatusCode::OK, &told),
        Err(fault) => page.fault(&fault),
    }
}

async fn tasks(state: &State, of: &OfApp, application: Application, shell: Frame) -> Result<TasksPage, Fault> {
    let platform = &state.platform;
    let form = platform.forms.of(&application.form);
    let wrong: Vec<Finding> = faults(state, &application).await?;
    let (email, confirmed) = draft::contact(platform, &application);
    let contact = form.of_role(platform::forms::Role::ContactEmail).map(|field| field.name.clone());
    // That the address waits for its confirmation has a line of its own.
    let in_steps: Vec<Finding> = wrong
        .iter()
        .filter(|finding| email.is_empty() || confirmed || Some(&finding.field) != contact.as_ref())
        .cloned()
        .collect();
    let task = |step: &platform::forms::Step| Task {
        title: step.title.clone(),
        path: Some(step_path(&application, &step.name)),
        hint: step.text.clone(),
        badge: progress(&application, step, &in_steps),
    };
    let mut list: Vec<Task> = form.steps.iter().map(task).collect();
    let is_done = |step: &&platform::forms::Step| {
        !in_steps.iter().any(|finding| step.fields.iter().any(|field| field.name == finding.field))
    };
    let needed = || form.steps.iter().filter(|step| !is_optional(step));
    let (done, count) = (needed().filter(is_done).count(), needed().count());
    list.push(Task {
        title: "Check your answers and submit".into(),
        path: Some(format!("{}/check", path(&application))),
        hint: "See everything on one page, with what reviewers would look at.".into(),
        badge: if wrong.is_empty() { Badge::new(Tone::Action, "Ready to submit") } else { Badge::new(Tone::Off, "Not yet") },
    });
    let mut tx = platform.db.read().await?;
    let mut earlier = (Vec::new(), String::new());
    if let Some(previous) = application.previous_id
        && let Some(previous) = applications::by_id(&mut tx, previous).await?
    {
        earlier.1 = path(&previous);
        let dossier = copy::dossier(platform, &mut tx, previous, of.app.clone()).await?;
        earlier.0 = decided(state, &dossier);
    }
    let reopened = match application.state {
        Stage::Reopened => {
            let events = applications::rows::events(&mut tx, application.application_id).await?;
            let said = events.into_iter().rev().find(|event| event.visible && event.kind == applications::Happened::Reopened);
            let until = due(state, application.answer_due_at);
            Notice::warn(format!("Correct it and submit it again by {until}. It keeps its place in the queue."))
                .text(said.map(|event| event.text).unwrap_or_default())
        }
        _ => Notice::default(),
    };
    Ok(TasksPage {
        shell,
        path: path(&application),
        reference: application.reference(),
        title: form.title.clone(),
        text: form.text.clone(),
        badge: badge(&application),
        reopened,
        tasks: Tasks(list),
        done,
        count,
        unconfirmed: if confirmed { String::new() } else { email },
        earlier: earlier.0,
        earlier_path: earlier.1,
        saved: minute(application.updated_at),
    })
}
