//! App review as the developer sees it: what is missing, the explanation and the demo videos, *Submit for review*, and the review comments.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::apps::review::{self, EXPLANATION_LIMIT, SubmitError};
use platform::apps::{self, Change, Revision, RevisionState, SaveError};
use platform::notices::Reason;
use platform::uploads::{self, Purpose};
use platform::{Fault, Millis};

use super::details::{is_fixed, read_posted};
use super::{base, done, lines, locked, query, refused, stale, version};
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::cases;
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Form, Tone};
use crate::pages::upload::{self, Owner, Refused};
use crate::pages::view::Moment;
use crate::pages::{Page, moment, redirect};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/apps/{app}/review", Needs::Works, "See the review of an app", show),
        act("/developers/apps/{app}/review", Needs::Works, "Submit an app for review", submit),
        act("/developers/apps/{app}/review/recall", Needs::Works, "Recall an app from review", recall),
        act("/developers/apps/{app}/videos", Needs::Works, "Add a demo video", video),
        act("/developers/apps/{app}/videos/remove", Needs::Works, "Remove a demo video", remove),
    ]
}

#[derive(Debug, Template)]
#[template(path = "portal/app_review.html")]
struct ReviewPage {
    shell: Frame,
    form: Form,
    path: String,
    badge: Badge,
    state: RevisionState,
    /// What stands in the way: text and where it is mended.
    missing: Vec<(String, String)>,
    reasons: Vec<Reason>,
    decided: Option<Moment>,
    submitted: Option<Moment>,
    due: Option<Moment>,
    late: bool,
    usual_days: u32,
    limit_days: u32,
    explanation_max: usize,
    explanation: String,
    videos: Vec<Video>,
    videos_max: u32,
    video_accept: String,
    needs_video: bool,
    live: bool,
    version: i64,
}

#[derive(Debug)]
struct Video {
    id: i64,
    name: String,
    weight: String,
}

impl ReviewPage {
    fn is_open(&self) -> bool {
        matches!(self.state, RevisionState::Draft | RevisionState::NotApproved | RevisionState::Recalled)
    }

    fn explain(&self) -> &'static str {
        if self.live {
            "What changed since the live version, and how each product and scope is used."
        } else {
            "What people do in the app, and where each product and scope comes in."
        }
    }

    fn video_help(&self) -> String {
        format!("MP4 or MOV, at most 50 MB. Up to {} videos.", self.videos_max)
    }

    fn in_review(&self) -> bool {
        self.state == RevisionState::InReview
    }
}

async fn show(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let shell = Frame::developer(&state, &developer).of_app(&of, "review").done(done(&query(&request)));
    match told(&state, &of, shell).await {
        Ok(told) => page.show(StatusCode::OK, &told),
        Err(fault) => page.fault(&fault),
    }
}

async fn told(state: &State, of: &OfApp, shell: Frame) -> Result<ReviewPage, Fault> {
    let platform = &state.platform;
    let list = apps::checklist(platform, of.app.app_id).await?.app_review;
    let mut tx = platform.db.read().await?;
    let copy = apps::working_copy(&mut tx, of.app.app_id).await?;
    let live = apps::approved_revision(&mut tx, of.app.app_id).await?.is_some();
    let mut videos = Vec::new();
    for upload_id in &copy.details.videos {
        if let Some(upload) = uploads::by_id(&mut tx, *upload_id).await? {
            videos.push(Video { id: upload.upload_id, weight: upload.weight(), name: upload.name });
        }
    }
    drop(tx);
    let missing = list.parts.into_iter().flat_map(|part| part.missing).map(|(flaw, to)| (flaw.text, to)).collect();
    let settings = &platform.settings.apps;
    let mut form = Form::new();
    form.set("explanation", &copy.explanation);
    let day = |at: Millis| Moment::day(moment(at));
    Ok(ReviewPage {
        shell,
        form,
        path: base(&of.app),
        badge: badge(&copy),
        state: copy.state,
        missing,
        reasons: list.reasons,
        decided: copy.decided_at.map(day),
        submitted: copy.submitted_at.map(|at| Moment::minute(moment(at))),
        due: copy.due_at.map(|at| cases::day(platform, at)),
        late: copy.is_late(platform.now()),
        usual_days: settings.usual_days,
        limit_days: settings.limit_days,
        explanation_max: EXPLANATION_LIMIT,
        explanation: copy.explanation,
        videos,
        videos_max: settings.videos,
        video_accept: Purpose::DemoVideo.accept(),
        needs_video: settings.require_video,
        live,
        version: copy.version,
    })
}

fn badge(copy: &Revision) -> Badge {
    let tone = match copy.state {
        RevisionState::Draft | RevisionState::Recalled => Tone::Draft,
        RevisionState::InReview => Tone::Waiting,
        RevisionState::Approved => Tone::Good,
        RevisionState::NotApproved => Tone::Bad,
    };
    Badge::new(tone, copy.state.words())
}

async fn submit(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match crate::pages::form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let form = Form::of(&params);
    let app_id = of.app.app_id;
    let handing_in = form.value("decision") == "submit";
    let text = form.value("explanation").replace("\r\n", "\n");
    let before = async {
        let mut tx = state.platform.db.read().await?;
        apps::working_copy(&mut tx, app_id).await
    };
    let before = match before.await {
        Ok(copy) => copy,
        Err(fault) => return page.fault(&fault),
    };
    // Pressed twice: it is in review, as was wanted.
    if handing_in && before.state == RevisionState::InReview && before.explanation == text {
        return redirect(&format!("{}/review", base(&of.app)));
    }
    let mut version = version(&form);
    if before.explanation != text || !handing_in {
        let change = Change::Explanation(text.clone());
        match apps::save(&state.platform, &developer.account, app_id, version, change).await {
            Ok(saved) => version = saved.version,
            Err(SaveError::Stale(theirs)) => {
                let line = |text: &str| vec![lines::Line { label: "Explanation", text: text.to_owned(), link: false }];
                let (saved, mine) = (line(&theirs.explanation), line(&text));
                let shell = Frame::developer(&state, &developer).of_app(&of, "review");
                let action = format!("{}/review", base(&of.app));
                return stale(&page, shell, &form, params.pairs(), (&saved, theirs.updated_at, theirs.version), &mine, action);
            }
            Err(refusal) => return refused(&state, &page, &developer, &of, refusal),
        }
    }
    if !handing_in {
        return redirect(&format!("{}/review?done=saved", base(&of.app)));
    }
    match review::submit(&state.platform, &developer.account, app_id, version).await {
        Ok(_) => redirect(&format!("{}/review?done=submitted", base(&of.app))),
        Err(SubmitError::Flawed(flaws)) => {
            let shell = Frame::developer(&state, &developer).of_app(&of, "review");
            match told(&state, &of, shell).await {
                Ok(mut told) => {
                    for flaw in flaws {
                        let field = if flaw.field == "explanation" { flaw.field } else { "missing" };
                        told.form.wrong(field, flaw.text);
                    }
                    page.show(StatusCode::UNPROCESSABLE_ENTITY, &told)
                }
                Err(fault) => page.fault(&fault),
            }
        }
        Err(SubmitError::Save(refusal)) => refused(&state, &page, &developer, &of, refusal),
    }
}

async fn recall(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    if let Err(answer) = read_posted(&page, request).await {
        return *answer;
    }
    match review::recall(&state.platform, &developer.account, of.app.app_id).await {
        Ok(_) => redirect(&format!("{}/review?done=recalled", base(&of.app))),
        Err(refusal) => refused(&state, &page, &developer, &of, refusal),
    }
}

async fn video(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let (app_id, account) = (of.app.app_id, &developer.account);
    // Looked at before fifty megabytes are read.
    let before = async {
        let mut tx = state.platform.db.read().await?;
        apps::working_copy(&mut tx, app_id).await
    };
    match before.await {
        Ok(copy) if is_fixed(&copy) => {
            return locked(
                &state,
                &page,
                &developer,
                &of,
                "Videos can be added while the app is a draft. Recall it, or create a revision.",
            );
        }
        Ok(_) => {}
        Err(fault) => return page.fault(&fault),
    }
    let owner = Owner { owner_id: of.app.owner_id, account_id: Some(account.account_id), app_id: Some(app_id) };
    let wrong = async |status: StatusCode, words: String| {
        let shell = Frame::developer(&state, &developer).of_app(&of, "review");
        match told(&state, &of, shell).await {
            Ok(mut told) => {
                told.form.wrong("video", words);
                page.show(status, &told)
            }
            Err(fault) => page.fault(&fault),
        }
    };
    let (params, files) = match upload::receive(&state, &parts, body, Purpose::DemoVideo, owner).await {
        Ok(received) => received,
        Err(Refused::Form(status)) => return page.problem(status),
        Err(Refused::File(refusal)) => return wrong(upload::status(&refusal), refusal.to_string()).await,
    };
    let Some(file) = files.first() else { return wrong(StatusCode::UNPROCESSABLE_ENTITY, "Choose a file first.".into()).await };
    let version = version(&Form::of(&params));
    match apps::save(&state.platform, account, app_id, version, Change::AddVideo(file.upload_id)).await {
        Ok(_) => redirect(&format!("{}/review?done=added", base(&of.app))),
        Err(refusal) => refused(&state, &page, &developer, &of, refusal),
    }
}

async fn remove(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match read_posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let Ok(upload_id) = form.value("video").parse() else { return page.problem(StatusCode::BAD_REQUEST) };
    let change = Change::RemoveVideo(upload_id);
    match apps::save(&state.platform, &developer.account, of.app.app_id, version(&form), change).await {
        Ok(_) => redirect(&format!("{}/review?done=removed", base(&of.app))),
        Err(refusal) => refused(&state, &page, &developer, &of, refusal),
    }
}
