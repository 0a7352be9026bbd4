//! The address on the form is confirmed by a mailed link; and the programme's terms.

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::Fault;
use platform::applications::draft::{self, SaveError};
use platform::apps;

use super::{OfApplication, path, query};
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, act, see};
use crate::pages::frame::Frame;
use crate::pages::{Page, form, redirect};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        act(
            "/developers/applications/{application}/confirm-email",
            Needs::Works,
            "Have the link that confirms the address on a form mailed again",
            mail,
        ),
        see("/developers/confirm", Needs::Anyone, "See what a mailed link confirms", look),
        act("/developers/confirm", Needs::Anyone, "Confirm the address on a form by a mailed link", confirm),
        see("/developers/terms", Needs::Anyone, "Read the terms of the programme", terms),
    ]
}

async fn mail(With(state): With<State>, id: CallId, developer: Developer, OfApplication(application): OfApplication) -> Response {
    let page = Page::new(&state, &id);
    let sent = draft::send_confirmation(&state.platform, &developer.account, application.application_id).await;
    let done = match sent {
        Ok(true) => "?done=mailed",
        Ok(false) => "",
        Err(SaveError::TooManyMails) => "?done=often",
        Err(SaveError::Fault(fault)) => return page.fault(&fault),
        Err(_) => return redirect(&path(&application)),
    };
    redirect(&format!("{}/check{done}", path(&application)))
}

#[derive(Debug, Template)]
#[template(path = "portal/application_confirm.html")]
struct ConfirmPage {
    shell: Frame,
    /// The link's token, while there is something to confirm.
    token: Option<String>,
    email: String,
    app: String,
    organisation: String,
    confirmed: bool,
    /// The application, for who is signed in.
    path: Option<String>,
    brand: String,
}

impl ConfirmPage {
    fn over(state: &State, developer: Option<&Developer>) -> Self {
        Self {
            shell: Frame::public(state, developer),
            token: None,
            email: String::new(),
            app: String::new(),
            organisation: String::new(),
            confirmed: false,
            path: None,
            brand: state.brand.name.clone(),
        }
    }
}

async fn look(With(state): With<State>, id: CallId, developer: Option<Extension<Developer>>, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let token = query(&request).get("token").ok().flatten().unwrap_or_default().to_owned();
    let over = ConfirmPage::over(&state, developer.as_deref());
    let found = async {
        let Some(application) = draft::behind(&state.platform, &token).await? else { return Ok(None) };
        let mut tx = state.platform.db.read().await?;
        let app = apps::by_id(&mut tx, application.app_id).await?.map(|app| app.name).unwrap_or_default();
        let form = state.platform.forms.of(&application.form);
        let organisation = form.answer(&application.answers(), platform::forms::Role::Organisation).chars().take(200).collect();
        let (email, _) = draft::contact(&state.platform, &application);
        Ok::<_, Fault>(Some((app, organisation, email)))
    };
    match found.await {
        Ok(Some((app, organisation, email))) => {
            page.show(StatusCode::OK, &ConfirmPage { token: Some(token), app, organisation, email, ..over })
        }
        Ok(None) => page.show(StatusCode::GONE, &over),
        Err(fault) => page.fault(&fault),
    }
}

async fn confirm(With(state): With<State>, id: CallId, developer: Option<Extension<Developer>>, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let token = params.get("token").ok().flatten().unwrap_or_default();
    let over = ConfirmPage::over(&state, developer.as_deref());
    match draft::confirm_contact(&state.platform, token).await {
        Ok(Some(application)) => {
            let path = developer.is_some().then(|| format!("{}/check", path(&application)));
            page.show(StatusCode::OK, &ConfirmPage { confirmed: true, email: application.email, path, ..over })
        }
        Ok(None) => page.show(StatusCode::GONE, &over),
        Err(fault) => page.fault(&fault),
    }
}

#[derive(Debug, Template)]
#[template(path = "portal/terms.html")]
struct TermsPage {
    shell: Frame,
    version: String,
    url: Option<String>,
    /// Whether it is a heading, and its words.
    paragraphs: Vec<(bool, String)>,
    brand: String,
}

async fn terms(With(state): With<State>, id: CallId, developer: Option<Extension<Developer>>) -> Response {
    let terms = &state.platform.forms.terms;
    let text = terms.text.replace("\r\n", "\n");
    let paragraph = |words: &str| match words.trim().strip_prefix("# ") {
        Some(heading) => (true, heading.trim().to_owned()),
        None => (false, words.trim().to_owned()),
    };
    let told = TermsPage {
        shell: Frame::public(&state, developer.as_deref()),
        version: terms.version.clone(),
        url: terms.url.clone(),
        paragraphs: text.split("\n\n").filter(|words| !words.trim().is_empty()).map(paragraph).collect(),
        brand: state.brand.name.clone(),
    };
    Page::new(&state, &id).show(StatusCode::OK, &told)
}
