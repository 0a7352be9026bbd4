//! The application in the portal: written in steps that save themselves, checked, handed in, followed, and copied.

mod check;
mod contact;
mod copies;
mod tasks;
mod wizard;

use axum::extract::{FromRequestParts, Path, Request, State as With};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use platform::applications::{self, Application, clocks, submit};
use platform::forms::{Finding, Form as Questions, Step};
use platform::{Fault, Millis};

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act};
use crate::pages::parts::{Badge, Tone};
use crate::pages::view::Moment;
use crate::pages::{Page, moment, redirect};
use crate::state::State;

/// What can be done with applications.
pub(super) fn acts() -> Vec<Act> {
    let own = vec![act("/developers/apps/{app}/apply", Needs::Works, "Begin or continue an application", apply)];
    [own, wizard::acts(), check::acts(), tasks::acts(), copies::acts(), contact::acts()].into_iter().flatten().collect()
}

/// The application in the path. The guard has seen that it is of an app of theirs.
pub(super) struct OfApplication(pub(super) Application);

impl FromRequestParts<State> for OfApplication {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Response> {
        let id = CallId::from_request_parts(parts, state).await.unwrap_or_else(|never| match never {});
        let page = Page::new(state, &id);
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let number = path.ok().and_then(|Path(pairs)| pairs.into_iter().find(|(name, _)| name == "application")?.1.parse().ok());
        let Some(number) = number else { return Err(page.problem(StatusCode::NOT_FOUND)) };
        match read(state, number).await {
            Ok(Some(application)) => Ok(Self(application)),
            Ok(None) => Err(page.problem(StatusCode::NOT_FOUND)),
            Err(fault) => Err(page.fault(&fault)),
        }
    }
}

async fn read(state: &State, application_id: i64) -> Result<Option<Application>, Fault> {
    let mut tx = state.platform.db.read().await?;
    applications::by_id(&mut tx, application_id).await
}

fn query(request: &Request) -> Params {
    Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default()
}

/// Where what is left to do is told.
fn tasks_path(application: &Application) -> String {
    format!("{}/edit", path(application))
}

/// Where the pages of an application are.
fn path(application: &Application) -> String {
    format!("/developers/applications/{}", application.application_id)
}

fn step_path(application: &Application, step: &str) -> String {
    format!("{}/edit/{step}", path(application))
}

/// A time, to the minute.
fn minute(at: Millis) -> Moment {
    Moment::minute(moment(at))
}

/// A due date, in the operator's working days.
fn due(state: &State, at: Option<Millis>) -> String {
    at.map(|at| clocks::in_words(at, &state.platform.settings.review.calendar())).unwrap_or_default()
}

/// A state as the applicant reads it.
fn badge(application: &Application) -> Badge {
    use applications::State as Stage;
    let tone = match application.state {
        Stage::Draft => Tone::Draft,
        Stage::Submitted | Stage::Triage | Stage::InReview => Tone::Waiting,
        Stage::NeedsInfo | Stage::Reopened => Tone::Action,
        Stage::Approved | Stage::ApprovedWithConditions => Tone::Good,
        Stage::Rejected | Stage::Revoked => Tone::Bad,
        Stage::Withdrawn | Stage::Expired => Tone::Off,
    };
    Badge::new(tone, application.state.words())
}

/// `POST /developers/apps/{app}/apply`
async fn apply(With(state): With<State>, id: CallId, developer: Developer, of: OfApp) -> Response {
    let page = Page::new(&state, &id);
    let begun = async {
        let application = applications::begin(&state.platform, &developer.account, &of.app).await?;
        let wrong = faults(&state, &application).await?;
        Ok::<_, Fault>((application, wrong))
    };
    match begun.await {
        Ok((application, wrong)) if application.state.can_be_written() => {
            let form = state.platform.forms.of(&application.form);
            let first = wrong.first().and_then(|finding| form.step_of(&finding.field)).or(form.steps.first());
            redirect(&step_path(&application, first.map_or("", |step| step.name.as_str())))
        }
        // It is with staff already; its page says so.
        Ok((application, _)) => redirect(&path(&application)),
        Err(fault) => page.fault(&fault),
    }
}

/// All that is wrong with the answers.
async fn faults(state: &State, application: &Application) -> Result<Vec<Finding>, Fault> {
    let mut tx = state.platform.db.read().await?;
    submit::faults(&state.platform, &mut tx, application).await
}

/// How far a step is.
fn progress(application: &Application, step: &Step, wrong: &[Finding]) -> Badge {
    let answers = application.answers();
    let begun = step.fields.iter().any(|field| answers.contains_key(&field.name));
    let missing = |field: &str| !answers.contains_key(field);
    let (mut bad, mut open) = (false, false);
    for finding in wrong.iter().filter(|finding| step.fields.iter().any(|field| field.name == finding.field)) {
        if missing(&finding.field) { open = true } else { bad = true }
    }
    if !begun && is_optional(step) {
        return Badge::new(Tone::Off, "Optional");
    }
    match (bad, open) {
        (true, _) => Badge::new(Tone::Bad, "Has problems"),
        (false, true) if begun => Badge::new(Tone::Draft, "In progress"),
        (false, true) => Badge::new(Tone::Off, "Not started"),
        (false, false) => Badge::new(Tone::Good, "Completed"),
    }
}

/// Whether nothing in a step has to be answered.
fn is_optional(step: &Step) -> bool {
    step.fields.iter().all(|field| !field.required)
}

/// The step after one, or none after the last.
fn next<'a>(form: &'a Questions, step: &Step) -> Option<&'a Step> {
    form.steps.iter().skip_while(|held| held.name != step.name).nth(1)
}

/// The step before one.
fn previous<'a>(form: &'a Questions, step: &Step) -> Option<&'a Step> {
    form.steps.iter().take_while(|held| held.name != step.name).last()
}
