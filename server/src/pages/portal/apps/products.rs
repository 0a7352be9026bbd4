//! Products of an app: Login Kit with its redirect URIs, Webhooks with its address, and the Data Portability API.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::Fault;
use platform::apps::{self, AppDetails, Change, PlatformKind, Product, SaveError, redirects_field};

use super::details::{FixedPage, fixed, is_fixed};
use super::webhook::WebhookTest;
use super::{base, done, follow, lines, query, refused, stale, version};
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::frame::Frame;
use crate::pages::parts::{Choice, Form, Notice};
use crate::pages::{Page, redirect};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/apps/{app}/products", Needs::Works, "See the products of an app", show),
        act("/developers/apps/{app}/products", Needs::Works, "Add and set up products of an app", save),
    ]
}

#[derive(Debug, Template)]
#[template(path = "portal/app_products.html")]
struct ProductsPage {
    shell: Frame,
    form: Form,
    path: String,
    notice: Option<Notice>,
    products: Vec<Choice>,
    /// Field, label and help of the redirect URIs of each chosen platform.
    redirects: Vec<(&'static str, String, &'static str)>,
    login: bool,
    portability: bool,
    version: i64,
    test: WebhookTest,
}

fn help(platform: PlatformKind) -> &'static str {
    match platform {
        PlatformKind::Web => {
            "One on each line, ten at most. https:// only, without query and fragment. It has to match to the letter."
        }
        PlatformKind::Desktop => {
            "One on each line, ten at most. http://localhost or http://127.0.0.1 with a port, or * for any: http://127.0.0.1:*/callback/"
        }
        PlatformKind::Android => "App Links, one on each line: https:// and a domain that is verified for your app.",
        PlatformKind::Ios => "Universal Links, one on each line: https:// and a domain that is associated with your app.",
    }
}

fn fill(details: &AppDetails) -> Form {
    let mut form = Form::new();
    for product in &details.products {
        form.add("products", product.as_str());
    }
    for platform in PlatformKind::ALL {
        form.set(redirects_field(*platform), details.redirects_of(*platform).join("\n"));
    }
    form.set("webhook-url", &details.webhook_url);
    form
}

/// What was typed, over what there is: fields that the page did not show stay as they were.
fn read(form: &Form, mut details: AppDetails) -> AppDetails {
    details.products = Product::ALL.iter().copied().filter(|product| form.has("products", product.as_str())).collect();
    for platform in PlatformKind::ALL {
        let field = redirects_field(*platform);
        let Some(text) = form.all(field).next() else { continue };
        let list = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect();
        match platform {
            PlatformKind::Web => details.web.redirects = list,
            PlatformKind::Desktop => details.desktop.redirects = list,
            PlatformKind::Android => details.android.redirects = list,
            PlatformKind::Ios => details.ios.redirects = list,
        }
    }
    if form.all("webhook-url").next().is_some() {
        details.webhook_url = form.value("webhook-url").to_owned();
    }
    details
}

async fn show(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let shell = Frame::developer(&state, &developer).of_app(&of, "products").done(done(&query(&request)));
    match told(&state, &page, &of, shell, StatusCode::OK, None).await {
        Ok(answer) => answer,
        Err(fault) => page.fault(&fault),
    }
}

/// The page, with what came of a test of the webhook.
pub(super) async fn told(
    state: &State,
    page: &Page<'_>,
    of: &OfApp,
    shell: Frame,
    status: StatusCode,
    tested: Option<(Notice, String)>,
) -> Result<Response, Fault> {
    let platform = &state.platform;
    let mut tx = platform.db.read().await?;
    let copy = apps::working_copy(&mut tx, of.app.app_id).await?;
    drop(tx);
    let path = base(&of.app);
    let test = WebhookTest::new(&path, &copy.details.webhook_url, tested);
    if is_fixed(&copy) {
        return Ok(page.show(status, &FixedPage { test: Some(test), ..fixed(shell, &copy, "Products", &path) }));
    }
    let details = &copy.details;
    let mut form = fill(details);
    let mut missing = 0;
    if !details.products.is_empty() {
        for flaw in details.flaws(platform).into_iter().filter(|flaw| apps::page_of(flaw.field) == "products") {
            form.wrong(flaw.field, flaw.text);
            missing += 1;
        }
    }
    let notice = (missing > 0).then(|| {
        let count = crate::pages::view::counted(missing, "thing on this page needs", "things on this page need");
        Notice::warn(format!("{count} your attention"))
            .text("The draft is saved as it is. Only submitting it for review waits until all is complete.")
    });
    let products = vec![
        Choice::new(Product::Login.as_str(), "Login Kit")
            .help("People sign in with their account and are asked what your app may have."),
        Choice::new(Product::Portability.as_str(), "Data Portability API")
            .help("Your app asks for people’s data, with their consent. Its scopes need an application; view them under Scopes."),
        Choice::new(Product::Webhooks.as_str(), "Webhooks")
            .help("Your app is told when an archive is ready and when somebody withdraws. Without it, ask with check."),
    ];
    let redirects = details.platforms.iter().map(|platform| {
        (redirects_field(*platform), format!("Redirect URIs, {}", lines::platform_words(*platform)), help(*platform))
    });
    let told = ProductsPage {
        shell,
        notice,
        products,
        redirects: redirects.collect(),
        login: details.has(Product::Login),
        portability: details.has(Product::Portability),
        version: copy.version,
        form,
        path,
        test,
    };
    Ok(page.show(status, &told))
}

async fn save(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match crate::pages::form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let form = Form::of(&params);
    let app_id = of.app.app_id;
    let before = async {
        let mut tx = state.platform.db.read().await?;
        apps::working_copy(&mut tx, app_id).await
    };
    let before = match before.await {
        Ok(copy) => copy.details,
        Err(fault) => return page.fault(&fault),
    };
    let change = Change::Details(Box::new(read(&form, before)));
    match apps::save(&state.platform, &developer.account, app_id, version(&form), change).await {
        Ok(_) => {
            follow(&state, app_id).await;
            redirect(&format!("{}/products?done=saved", base(&of.app)))
        }
        Err(SaveError::Stale(theirs)) => {
            let mine = lines::of(&read(&form, theirs.details.clone()));
            let shell = Frame::developer(&state, &developer).of_app(&of, "products");
            let saved = lines::of(&theirs.details);
            let action = format!("{}/products", base(&of.app));
            stale(&page, shell, &form, params.pairs(), (&saved, theirs.updated_at, theirs.version), &mine, action)
        }
        Err(refusal) => refused(&state, &page, &developer, &of, refusal),
    }
}
