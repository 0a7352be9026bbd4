//! History of an app: every version with what changed in it, when it was submitted, and what was said about it.

use askama::Template;
use axum::extract::State as With;
use axum::http::StatusCode;
use axum::response::Response;
use platform::apps::review::in_full;
use platform::apps::{self, Revision, RevisionState};
use platform::notices::Reason;
use platform::{Fault, accounts};

use super::lines;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, see};
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Event, Timeline, Tone};
use crate::pages::view::Moment;
use crate::pages::{Page, moment};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![see("/developers/apps/{app}/history", Needs::Works, "See the history of an app", show)]
}

#[derive(Debug, Template)]
#[template(path = "portal/app_history.html")]
struct HistoryPage {
    shell: Frame,
    versions: Vec<Version>,
    scopes: Timeline,
}

#[derive(Debug)]
struct Version {
    number: i32,
    badge: Badge,
    events: Timeline,
    reasons: Vec<Reason>,
    explanation: String,
    /// Label, before, after.
    changes: Vec<(String, String, String)>,
    first: bool,
}

async fn show(With(state): With<State>, id: CallId, developer: Developer, of: OfApp) -> Response {
    let page = Page::new(&state, &id);
    let shell = Frame::developer(&state, &developer).of_app(&of, "history");
    match told(&state, &of, shell).await {
        Ok(told) => page.show(StatusCode::OK, &told),
        Err(fault) => page.fault(&fault),
    }
}

async fn told(state: &State, of: &OfApp, shell: Frame) -> Result<HistoryPage, Fault> {
    let mut tx = state.platform.db.read().await?;
    let all = apps::revisions(&mut tx, of.app.app_id).await?;
    let mut names: Vec<(i64, String)> = Vec::new();
    let acted: Vec<i64> = all.iter().flat_map(|revision| [revision.created_by, revision.submitted_by]).flatten().collect();
    for account_id in acted {
        if !names.iter().any(|(known, _)| *known == account_id)
            && let Some(account) = accounts::by_id(&mut tx, account_id).await?
        {
            names.push((account_id, account.name));
        }
    }
    let approvals = apps::approvals(&mut tx, of.app.app_id).await?;
    drop(tx);
    let name = |account: Option<i64>| {
        let found = account.and_then(|id| names.iter().find(|(known, _)| *known == id));
        found.map(|(_, name)| name.clone()).unwrap_or_default()
    };
    let versions = all.iter().enumerate().map(|(place, revision)| {
        let before = all.get(place + 1).map(|before| lines::of(&before.details));
        let changes =
            before.as_deref().map(|before| lines::differences(before, &lines::of(&revision.details))).unwrap_or_default();
        Version {
            number: revision.number,
            badge: Badge::new(tone(revision), revision.state.words()),
            events: Timeline(events(revision, &name)),
            reasons: revision.reasons.0.iter().map(in_full).collect(),
            explanation: if revision.submitted_at.is_some() { revision.explanation.clone() } else { String::new() },
            changes: changes.into_iter().map(|(label, before, after)| (label.to_owned(), before, after)).collect(),
            first: before.is_none(),
        }
    });
    let scopes = approvals.iter().map(|approval| Event {
        at: Moment::minute(moment(approval.approved_at)),
        title: format!("{} approved", apps::pair(&approval.family)),
        text: approval.conditions.clone(),
        tone: Tone::Good,
        ..Event::default()
    });
    Ok(HistoryPage { shell, versions: versions.collect(), scopes: Timeline(scopes.collect()) })
}

fn tone(revision: &Revision) -> Tone {
    match revision.state {
        RevisionState::Draft => Tone::Draft,
        RevisionState::InReview => Tone::Waiting,
        RevisionState::Approved => Tone::Good,
        RevisionState::NotApproved => Tone::Bad,
        RevisionState::Recalled => Tone::Off,
    }
}

/// What happened to a version, the latest first.
fn events(revision: &Revision, name: &impl Fn(Option<i64>) -> String) -> Vec<Event> {
    let event = |at, title: &str, who: String, tone| Event {
        at: Moment::minute(moment(at)),
        title: title.to_owned(),
        who,
        tone,
        ..Event::default()
    };
    let mut events = Vec::new();
    if let Some(at) = revision.decided_at {
        let approved = revision.state == RevisionState::Approved;
        let title = if approved { "Approved: this version went live" } else { "Not approved" };
        events.push(event(at, title, "The review team".into(), if approved { Tone::Good } else { Tone::Bad }));
    }
    if revision.state == RevisionState::Recalled {
        events.push(event(revision.updated_at, "Recalled", String::new(), Tone::Off));
    }
    if let Some(at) = revision.escalated_at {
        events.push(event(at, "Limit missed; put before the administrators", String::new(), Tone::Bad));
    }
    if let Some(at) = revision.submitted_at {
        events.push(event(at, "Submitted for review", name(revision.submitted_by), Tone::Waiting));
    }
    if revision.state == RevisionState::Draft && revision.updated_at > revision.created_at {
        events.push(event(revision.updated_at, "Last saved", String::new(), Tone::Draft));
    }
    let begun = if revision.number == 1 { "App made" } else { "Begun" };
    events.push(event(revision.created_at, begun, name(revision.created_by), Tone::Plain));
    events
}
