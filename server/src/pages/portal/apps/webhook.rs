//! The test of an app's webhook address: one signed event, sent at once, and what came back.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::webhooks::{self, NoTrial, Refused, Trial};

use super::products;
use crate::http::CallId;
use crate::pages::Page;
use crate::pages::access::{Act, Developer, Needs, OfApp, act};
use crate::pages::frame::Frame;
use crate::pages::parts::{Copy, Notice, parts};
use crate::pages::view::counted;
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![act("/developers/apps/{app}/webhook-test", Needs::Works, "Send a test event to the webhook address of an app", send)]
}

/// The part of a page with the button, and with what came of pressing it.
#[derive(Debug, Template)]
#[template(path = "portal/app_webhook_test.html")]
pub(super) struct WebhookTest {
    path: String,
    /// The address as it is saved; may be empty.
    address: String,
    /// What came of it.
    result: Option<Notice>,
    /// The beginning of what was answered.
    said: Option<Copy>,
}

parts!(WebhookTest);

impl WebhookTest {
    pub(super) fn new(path: &str, address: &str, tested: Option<(Notice, String)>) -> Self {
        let (result, said) = tested.unzip();
        let said = said.filter(|said| !said.is_empty()).map(|said| Copy::block("What was answered", said));
        Self { path: path.to_owned(), address: address.to_owned(), result, said }
    }
}

async fn send(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, _: Request) -> Response {
    let page = Page::new(&state, &id);
    let tried = webhooks::try_out(&state.platform, developer.account.actor(), of.app.app_id).await;
    let said = tried.as_ref().map(|trial| trial.said.clone()).unwrap_or_default();
    let (status, result) = match tried {
        Ok(trial) => (StatusCode::OK, told(&trial, &state)),
        Err(NoTrial::Unknown) => return page.problem(StatusCode::NOT_FOUND),
        Err(NoTrial::NoAddress) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            Notice::danger("No test was sent: there is no callback address").text("Enter one above and save it first."),
        ),
        Err(NoTrial::Often(wait)) => {
            let minutes = usize::try_from(wait.as_secs().div_ceil(60)).unwrap_or(1).max(1);
            let again = format!("Try again in {}.", counted(minutes, "minute", "minutes"));
            (
                StatusCode::TOO_MANY_REQUESTS,
                Notice::danger("No test was sent: there were too many within a short time").text(again),
            )
        }
        Err(NoTrial::Fault(fault)) => return page.fault(&fault),
    };
    let shell = Frame::developer(&state, &developer).of_app(&of, "products");
    match products::told(&state, &page, &of, shell, status, Some((result, said))).await {
        Ok(answer) => answer,
        Err(fault) => page.fault(&fault),
    }
}

/// What came back, in words, and what to do about it.
fn told(trial: &Trial, state: &State) -> Notice {
    let settings = &state.platform.settings.webhooks;
    let after = format!("after {} ms", trial.took.as_millis());
    match &trial.answer {
        Ok(200) => Notice::status(format!("Your address answered 200 {after}")).text("Events sent there count as delivered."),
        Ok(status @ 300..400) => Notice::danger(format!("Your address answered {status} {after}: it leads elsewhere"))
            .text("Redirects are not followed. Enter the address at which your program listens."),
        Ok(status) => Notice::danger(format!("Your address answered {status} {after}")).text(format!(
            "Only 200 counts as delivered; events that are answered otherwise are sent again for {}.",
            counted(usize::try_from(settings.retry_for.0.as_secs() / 3600).unwrap_or(0), "hour", "hours"),
        )),
        Err(Refused::Malformed | Refused::Scheme) => Notice::danger("No test was sent: events cannot go to this address")
            .text("It has to begin with https:// and to be complete, without a user name in it."),
        Err(Refused::Address) => Notice::danger("No test was sent: this address is not on the public Internet")
            .text("Its name leads to a private or special network address, which is never called."),
        Err(Refused::Slow) => Notice::danger(format!(
            "Nothing was answered within {}",
            counted(usize::try_from(settings.timeout.0.as_secs()).unwrap_or(0), "second", "seconds")
        ))
        .text("Answer 200 first, and do the work that an event asks for afterwards."),
        Err(Refused::Long | Refused::Call(_)) => Notice::danger(format!("No answer came back; the call failed {after}")).text(
            "Look whether the name is right and known, the port is open, the certificate is good, and what answers speaks HTTP.",
        ),
    }
}
