//! The applicant's copy, at any time: a page to print, and JSON.

use askama::Template;
use axum::extract::State as With;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::Fault;
use platform::applications::copy::{self, Answered, Dossier};
use platform::applications::{self, Application};

use super::tasks::{decided, history, questions};
use super::{OfApplication, badge, due, minute, path};
use crate::http::CallId;
use crate::pages::Page;
use crate::pages::access::{Act, Developer, Needs, OfApp, see};
use crate::pages::frame::Frame;
use crate::pages::parts::{Row, Summary, Thread, Timeline};
use crate::pages::view::Moment;
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/applications/{application}/print", Needs::Works, "See a copy of an application to print", print),
        see("/developers/applications/{application}/copy.json", Needs::Works, "Get a copy of an application as JSON", data),
    ]
}

async fn gathered(state: &State, of: &OfApp, application: Application) -> Result<Dossier, Fault> {
    let mut tx = state.platform.db.read().await?;
    copy::dossier(&state.platform, &mut tx, application, of.app.clone()).await
}

#[derive(Debug, Template)]
#[template(path = "portal/application_print.html")]
struct PrintPage {
    shell: Frame,
    path: String,
    reference: String,
    summary: Summary,
    /// Title and answers of the draft, if there is one.
    draft: Option<Vec<Section>>,
    versions: Vec<VersionView>,
    decisions: Vec<super::tasks::DecisionView>,
    questions: Thread,
    comments: Vec<(String, String)>,
    timeline: Timeline,
    made: Moment,
}

#[derive(Debug)]
struct Section {
    title: String,
    summary: Summary,
}

#[derive(Debug)]
struct VersionView {
    number: i32,
    at: Moment,
    terms: String,
    findings: Vec<(String, String)>,
    sections: Vec<Section>,
}

fn sections(answers: &[Answered]) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for answered in answers {
        let mut row = Row::new(answered.label.clone());
        for words in &answered.words {
            row = row.text(words.clone());
        }
        for file in &answered.files {
            row = row
                .link(format!("{}, {}", file.name, file.weight), format!("/developers/uploads/{}", file.upload_id))
                .text(format!("SHA-256 {}", file.sha256));
        }
        match sections.last_mut().filter(|section| section.title == answered.step) {
            Some(section) => section.summary.0.push(row),
            None => sections.push(Section { title: answered.step.clone(), summary: Summary(vec![row]) }),
        }
    }
    sections
}

async fn print(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of: OfApp,
    OfApplication(application): OfApplication,
) -> Response {
    let page = Page::new(&state, &id);
    let dossier = match gathered(&state, &of, application).await {
        Ok(dossier) => dossier,
        Err(fault) => return page.fault(&fault),
    };
    let application = &dossier.application;
    let when = |key: &str, at: Option<platform::Millis>| at.map(|at| Row::new(key).at(minute(at)));
    let mut rows = vec![
        Row::new("Reference").code(application.reference()),
        Row::new("App")
            .text(dossier.app.name.clone())
            .note(format!("App ID {}, client key {}", dossier.app.app_id, dossier.app.client_key)),
        Row::new("Form").text(application.form.clone()),
        Row::new("State").badge(badge(application)),
    ];
    rows.extend([when("Begun", Some(application.created_at)), when("Submitted", application.submitted_at)].into_iter().flatten());
    if application.due_at.is_some() {
        rows.push(Row::new("Usually decided by").text(due(&state, application.usual_at)));
        rows.push(Row::new("Decision due by").text(due(&state, application.due_at)));
    }
    rows.extend([when("Decided", application.decided_at), when("Ended", application.ended_at)].into_iter().flatten());
    let versions = dossier.versions.iter().map(|(version, answers)| VersionView {
        number: version.number,
        at: minute(version.submitted_at),
        terms: version.terms_version.clone(),
        findings: findings(&version.findings),
        sections: sections(answers),
    });
    let form = state.platform.forms.of(&application.form);
    let label = |name: &str| form.field(name).map_or_else(|| "The whole application".to_owned(), |field| field.label.clone());
    let told = PrintPage {
        shell: Frame::developer(&state, &developer).of_app(&of, "scopes"),
        path: path(application),
        reference: application.reference(),
        summary: Summary(rows),
        draft: (application.state.can_be_written() || dossier.versions.is_empty()).then(|| sections(&dossier.answers)),
        versions: versions.collect(),
        decisions: decided(&state, &dossier),
        questions: questions(&dossier),
        comments: dossier.comments.iter().map(|comment| (label(&comment.field), comment.text.clone())).collect(),
        timeline: history(&dossier),
        made: minute(state.platform.now()),
    };
    page.show(StatusCode::OK, &told)
}

/// What the machine found, and the applicant's word on it.
fn findings(text: &str) -> Vec<(String, String)> {
    let found: Vec<applications::submit::MachineFinding> = serde_json::from_str(text).unwrap_or_default();
    found.into_iter().map(|finding| (finding.text, finding.remark)).collect()
}

async fn data(With(state): With<State>, id: CallId, of: OfApp, OfApplication(application): OfApplication) -> Response {
    let page = Page::new(&state, &id);
    let name = format!("attachment; filename=\"application-{}.json\"", application.reference());
    let dossier = match gathered(&state, &of, application).await {
        Ok(dossier) => dossier,
        Err(fault) => return page.fault(&fault),
    };
    let Ok(body) = serde_json::to_string_pretty(&dossier.json()) else {
        return page.problem(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment")));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}
