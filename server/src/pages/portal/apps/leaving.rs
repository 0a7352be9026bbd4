//! How an app leaves: handed to another organisation, or deleted. Neither can be undone.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::apps::transfer::{self, TransferError};
use platform::apps::{self, App, ChangeError};
use platform::{Fault, organisations};

use super::details::read_posted;
use super::{base, done, query};
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::frame::Frame;
use crate::pages::parts::Form;
use crate::pages::view::Moment;
use crate::pages::{Page, moment, redirect};
use crate::sandbox;
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/apps/{app}/transfer", Needs::Owns, "See where an app can be transferred", show_transfer),
        act("/developers/apps/{app}/transfer", Needs::Owns, "Offer an app to another organisation", offer),
        act("/developers/apps/{app}/transfer/cancel", Needs::Owns, "Take the offer of an app back", cancel),
        see("/developers/apps/{app}/delete", Needs::Owns, "See what the deletion of an app ends", show_delete),
        act("/developers/apps/{app}/delete", Needs::Owns, "Delete an app", delete),
    ]
}

#[derive(Debug, Template)]
#[template(path = "portal/app_transfer.html")]
struct TransferPage {
    shell: Frame,
    form: Form,
    path: String,
    /// To which organisation, by whom, until when.
    offered: Option<(String, String, Moment)>,
    /// Name and number of the developer's own organisations.
    own: Vec<(String, String)>,
}

async fn show_transfer(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let shell = Frame::developer(&state, &developer).of_app(&of, "").done(done(&query(&request)));
    match told(&state, &developer, &of.app, shell, Form::new()).await {
        Ok(told) => page.show(StatusCode::OK, &told),
        Err(fault) => page.fault(&fault),
    }
}

async fn told(state: &State, developer: &Developer, app: &App, shell: Frame, form: Form) -> Result<TransferPage, Fault> {
    let mut tx = state.platform.db.read().await?;
    let offered = transfer::of_app(&mut tx, app.app_id, state.platform.now()).await?;
    let own = organisations::of_account(&mut tx, developer.account.account_id).await?;
    Ok(TransferPage {
        shell,
        form,
        path: base(app),
        offered: offered.map(|offer| (offer.organisation, offer.started_by, Moment::day(moment(offer.expires_at)))),
        own: own
            .into_iter()
            .filter(|own| own.organisation_id != app.owner_id)
            .map(|own| (own.name, own.organisation_id.to_string()))
            .collect(),
    })
}

async fn offer(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let mut form = match read_posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let words = match form.value("organisation").parse() {
        Err(_) => "Enter the organisation ID: a number, which its members see on its page.".to_owned(),
        Ok(organisation_id) => match transfer::offer(&state.platform, &developer.account, of.app.app_id, organisation_id).await {
            Ok(_) => return redirect(&format!("{}/transfer?done=offered", base(&of.app))),
            Err(TransferError::State(words)) => words.to_owned(),
            Err(TransferError::Unknown) => return page.problem(StatusCode::NOT_FOUND),
            Err(TransferError::Fault(fault)) => return page.fault(&fault),
        },
    };
    form.wrong("organisation", words);
    let shell = Frame::developer(&state, &developer).of_app(&of, "");
    match told(&state, &developer, &of.app, shell, form).await {
        Ok(told) => page.show(StatusCode::UNPROCESSABLE_ENTITY, &told),
        Err(fault) => page.fault(&fault),
    }
}

async fn cancel(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    if let Err(answer) = read_posted(&page, request).await {
        return *answer;
    }
    match transfer::cancel(&state.platform, &developer.account, of.app.app_id).await {
        // Accepted, ended or taken back meanwhile: the page says how it stands.
        Ok(()) | Err(TransferError::Unknown | TransferError::State(_)) => {
            redirect(&format!("{}/transfer?done=cancelled", base(&of.app)))
        }
        Err(TransferError::Fault(fault)) => page.fault(&fault),
    }
}

#[derive(Debug, Template)]
#[template(path = "portal/app_delete.html")]
struct DeletePage {
    shell: Frame,
    form: Form,
    path: String,
    name: String,
    live: bool,
}

async fn show_delete(With(state): With<State>, id: CallId, developer: Developer, of: OfApp) -> Response {
    let page = Page::new(&state, &id);
    page.show(StatusCode::OK, &deletion(&state, &developer, &of, Form::new()))
}

fn deletion(state: &State, developer: &Developer, of: &OfApp, form: Form) -> DeletePage {
    let shell = Frame::developer(state, developer).of_app(of, "");
    DeletePage { shell, form, path: base(&of.app), name: of.app.name.clone(), live: of.app.may_ask() }
}

async fn delete(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let mut form = match read_posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    if form.value("name") != of.app.name.trim() {
        form.wrong("name", "Type the name of the app as it stands above, to say that you mean this one.");
        return page.show(StatusCode::UNPROCESSABLE_ENTITY, &deletion(&state, &developer, &of, form));
    }
    match apps::delete(&state.platform, developer.account.actor(), of.app.app_id).await {
        Ok(_) => {
            end_sandbox(&state, &of.app).await;
            redirect("/developers/apps?done=deleted")
        }
        Err(fault) => page.fault(&fault),
    }
}

/// The app's double ends with it. What goes wrong there is ours to mend.
async fn end_sandbox(state: &State, app: &App) {
    let ended: Result<(), ChangeError> = sandbox::end(state, app).await;
    if let Err(fault) = ended {
        tracing::error!(app_id = app.app_id, %fault, "the sandbox of a deleted app goes on");
    }
}
