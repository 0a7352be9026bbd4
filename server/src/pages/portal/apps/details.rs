//! Details of an app: what it is, where it runs, and its icon. A draft is saved whatever is wrong with it; what is wrong stands at its field.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::Fault;
use platform::apps::{self, AppDetails, Change, PlatformKind, Revision, RevisionState, SaveError};
use platform::uploads::Purpose;

use super::webhook::WebhookTest;
use super::{base, done, follow, lines, locked, posted, query, refused, stale, version};
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::frame::Frame;
use crate::pages::parts::{Choice, Form, Notice, Summary};
use crate::pages::upload::{self, Owner, Refused};
use crate::pages::{Page, icons, redirect};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/apps/{app}/details", Needs::Works, "See the details of an app", show),
        act("/developers/apps/{app}/details", Needs::Works, "Change the details of an app", save),
        act("/developers/apps/{app}/icon", Needs::Works, "Give an app an icon", icon),
    ]
}

#[derive(Debug, Template)]
#[template(path = "portal/app_details.html")]
struct DetailsPage {
    shell: Frame,
    form: Form,
    path: String,
    notice: Option<Notice>,
    categories: Vec<Choice>,
    platforms: Vec<Choice>,
    version: i64,
    icon: Option<String>,
    icon_accept: String,
    name: String,
}

/// What can only be looked at: in review, or in force.
#[derive(Debug, Template)]
#[template(path = "portal/app_fixed.html")]
pub(super) struct FixedPage {
    pub(super) shell: Frame,
    pub(super) title: &'static str,
    pub(super) notice: Notice,
    /// Where a revision of what is in force is begun.
    pub(super) begin: Option<String>,
    /// Where what is in review is recalled.
    pub(super) recall: Option<String>,
    pub(super) summary: Summary,
    /// The test of the webhook address, on the page of the products.
    pub(super) test: Option<WebhookTest>,
}

impl DetailsPage {
    fn name_help(&self) -> String {
        let brand = &self.shell.brand.name;
        format!("That of the product or website. It does not describe the app, and does not refer to {brand}.")
    }

    fn is_on(&self, platform: &str) -> bool {
        self.form.has("platforms", platform)
    }
}

/// The page for a working copy that cannot be written.
pub(super) fn fixed(shell: Frame, copy: &Revision, title: &'static str, path: &str) -> FixedPage {
    let in_review = copy.state == RevisionState::InReview;
    let notice = if in_review {
        Notice::info("In review").text("Nothing can be changed while staff look at it. Recall it to change something.")
    } else {
        Notice::info("This version is live")
            .text("Create a revision to change it. What is live stays as it is until the revision is approved.")
    };
    FixedPage {
        shell,
        title,
        notice,
        begin: (!in_review).then(|| format!("{path}/revision")),
        recall: in_review.then(|| format!("{path}/review/recall")),
        summary: Summary(lines::rows(&lines::of(&copy.details))),
        test: None,
    }
}

pub(super) fn is_fixed(copy: &Revision) -> bool {
    matches!(copy.state, RevisionState::InReview | RevisionState::Approved)
}

fn fill(details: &AppDetails) -> Form {
    let mut form = Form::new();
    for (name, value) in [
        ("name", &details.name),
        ("category", &details.category),
        ("description", &details.description),
        ("terms-url", &details.terms_url),
        ("privacy-url", &details.privacy_url),
        ("web-url", &details.web.url),
        ("desktop-url", &details.desktop.url),
        ("android-package", &details.android.package),
        ("android-store-url", &details.android.store_url),
        ("android-signature-md5", &details.android.signature_md5),
        ("android-certificate-sha256", &details.android.certificate_sha256),
        ("ios-store-url", &details.ios.store_url),
        ("ios-bundle-id", &details.ios.bundle_id),
    ] {
        form.set(name, value);
    }
    for platform in &details.platforms {
        form.add("platforms", platform.as_str());
    }
    form
}

fn read(form: &Form, mut details: AppDetails) -> AppDetails {
    let text = |name: &str| form.value(name).to_owned();
    details.name = text("name");
    details.category = text("category");
    details.description = text("description");
    details.terms_url = text("terms-url");
    details.privacy_url = text("privacy-url");
    details.platforms = PlatformKind::ALL.iter().copied().filter(|kind| form.has("platforms", kind.as_str())).collect();
    details.web.url = text("web-url");
    details.desktop.url = text("desktop-url");
    details.android.package = text("android-package");
    details.android.store_url = text("android-store-url");
    details.android.signature_md5 = text("android-signature-md5");
    details.android.certificate_sha256 = text("android-certificate-sha256");
    details.ios.store_url = text("ios-store-url");
    details.ios.bundle_id = text("ios-bundle-id");
    details
}

async fn show(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let params = query(&request);
    let shell = Frame::developer(&state, &developer).of_app(&of, "details").done(done(&params));
    match told(&state, &of, shell, None).await {
        Ok(answer) => answer.show(&page, StatusCode::OK),
        Err(fault) => page.fault(&fault),
    }
}

/// Either page.
enum Told {
    Form(Box<DetailsPage>),
    Fixed(Box<FixedPage>),
}

impl Told {
    fn show(&self, page: &Page<'_>, status: StatusCode) -> Response {
        match self {
            Self::Form(told) => page.show(status, told.as_ref()),
            Self::Fixed(told) => page.show(status, told.as_ref()),
        }
    }
}

/// The page as things stand; `icon` says what is wrong with a file that was just handed in.
async fn told(state: &State, of: &OfApp, shell: Frame, icon: Option<String>) -> Result<Told, Fault> {
    let platform = &state.platform;
    let mut tx = platform.db.read().await?;
    let copy = apps::working_copy(&mut tx, of.app.app_id).await?;
    drop(tx);
    let path = base(&of.app);
    if is_fixed(&copy) {
        return Ok(Told::Fixed(Box::new(fixed(shell, &copy, "Details", &path))));
    }
    let mut form = fill(&copy.details);
    let mut missing = 0;
    // Nobody is told off before they have begun.
    if copy.version > 1 {
        for flaw in copy.details.flaws(platform).into_iter().filter(|flaw| apps::page_of(flaw.field) == "details") {
            form.wrong(flaw.field, flaw.text);
            missing += 1;
        }
    }
    if let Some(words) = icon {
        form.wrong("icon", words);
    }
    let notice = (missing > 0).then(|| {
        let count = crate::pages::view::counted(missing, "field on this page needs", "fields on this page need");
        Notice::warn(format!("{count} your attention"))
            .text("The draft is saved as it is. Only submitting it for review waits until all is complete.")
    });
    let categories = std::iter::once(Choice::new("", "Choose one"))
        .chain(platform.settings.apps.categories.iter().map(|name| Choice::new(name, name)))
        .collect();
    let platforms = PlatformKind::ALL.iter().map(|kind| Choice::new(kind.as_str(), lines::platform_words(*kind))).collect();
    Ok(Told::Form(Box::new(DetailsPage {
        shell,
        form,
        notice,
        categories,
        platforms,
        version: copy.version,
        icon: copy.details.icon_upload.map(|upload| icons::draft(&of.app, upload)),
        icon_accept: Purpose::Icon.accept(),
        name: copy.details.name,
        path,
    })))
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
            redirect(&format!("{}/details?done=saved", base(&of.app)))
        }
        Err(SaveError::Stale(theirs)) => {
            let mine = lines::of(&read(&form, theirs.details.clone()));
            let shell = Frame::developer(&state, &developer).of_app(&of, "details");
            let saved = lines::of(&theirs.details);
            let action = format!("{}/details", base(&of.app));
            stale(&page, shell, &form, params.pairs(), (&saved, theirs.updated_at, theirs.version), &mine, action)
        }
        Err(refusal) => refused(&state, &page, &developer, &of, refusal),
    }
}

async fn icon(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let owner = Owner { owner_id: of.app.owner_id, account_id: Some(developer.account.account_id), app_id: Some(of.app.app_id) };
    let (params, files) = match upload::receive(&state, &parts, body, Purpose::Icon, owner).await {
        Ok(received) => received,
        Err(Refused::Form(status)) => return page.problem(status),
        Err(Refused::File(refusal)) => {
            let shell = Frame::developer(&state, &developer).of_app(&of, "details");
            return match told(&state, &of, shell, Some(refusal.to_string())).await {
                Ok(told) => told.show(&page, upload::status(&refusal)),
                Err(fault) => page.fault(&fault),
            };
        }
    };
    let form = Form::of(&params);
    let Some(file) = files.first() else {
        if form.value("remove") != "yes" {
            let shell = Frame::developer(&state, &developer).of_app(&of, "details");
            return match told(&state, &of, shell, Some("Choose a file first.".into())).await {
                Ok(told) => told.show(&page, StatusCode::UNPROCESSABLE_ENTITY),
                Err(fault) => page.fault(&fault),
            };
        }
        return put_icon(&state, &page, &developer, &of, version(&form), None).await;
    };
    put_icon(&state, &page, &developer, &of, version(&form), Some(file.upload_id)).await
}

async fn put_icon(
    state: &State,
    page: &Page<'_>,
    developer: &Developer,
    of: &OfApp,
    version: i64,
    upload: Option<i64>,
) -> Response {
    match apps::save(&state.platform, &developer.account, of.app.app_id, version, Change::Icon(upload)).await {
        Ok(_) => redirect(&format!("{}/details?done={}", base(&of.app), if upload.is_some() { "icon" } else { "removed" })),
        Err(SaveError::Stale(_)) => {
            let words = "Somebody else has changed this app meanwhile. Open its details anew and hand the icon in again.";
            locked(state, page, developer, of, words)
        }
        Err(refusal) => refused(state, page, developer, of, refusal),
    }
}

/// What is posted besides, for the pages that share this form.
pub(super) async fn read_posted(page: &Page<'_>, request: Request) -> Result<Form, Box<Response>> {
    let (parts, body) = request.into_parts();
    posted(page, &parts, body).await
}
