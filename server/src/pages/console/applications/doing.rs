//! What is done with a case. Each form names the version it was made on; who comes second gets the page as it is now with what they had written.

use axum::body::Body;
use axum::extract::{Path, Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::Fault;
use platform::applications::case::{self, Evidence};
use platform::applications::decide::{self, Decided, Outcome, Verdict};
use platform::applications::review::{self, Refusal};
use platform::applications::{self, canned, questions, rows};

use super::case::{Clash, load};
use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::Staff;
use crate::pages::cases::{self, Names};
use crate::pages::parts::Form;
use crate::pages::{Page, form, redirect};
use crate::state::State;

/// A form about a case.
struct Posted {
    state: State,
    id: CallId,
    staff: Staff,
    application_id: i64,
    params: Params,
}

impl Posted {
    async fn read(state: State, id: CallId, staff: Staff, case: &str, request: Request<Body>) -> Result<Self, Response> {
        let page = Page::new(&state, &id);
        let (parts, body) = request.into_parts();
        let params = form(&parts, body).await.map_err(|status| page.problem(status))?;
        let application_id = case.parse::<i64>().map_err(|_| page.problem(StatusCode::NOT_FOUND))?;
        Ok(Self { state, id, staff, application_id, params })
    }

    fn one<'a>(&'a self, name: &'a str) -> &'a str {
        self.params.all(name).next().unwrap_or_default().trim()
    }

    fn version(&self) -> i64 {
        self.one("version").parse().unwrap_or(-1)
    }

    fn to(&self, done: &str) -> Response {
        redirect(&format!("{}?done={done}", super::path(self.application_id)))
    }

    /// The page again, with what was typed.
    async fn again(&self, status: StatusCode, form: Form, clash: Option<Clash>) -> Response {
        let page = Page::new(&self.state, &self.id);
        let none = Params::from_pairs(Vec::new());
        match load(&self.state, &self.staff, self.application_id, &none, Some(form), clash).await {
            Ok(Some(view)) => page.show(status, &view),
            Ok(None) => page.problem(StatusCode::NOT_FOUND),
            Err(fault) => page.fault(&fault),
        }
    }

    /// What a refusal leads to. `names` says what the rules' fields are called on the page.
    async fn refused(&self, refusal: Refusal, names: &[(&str, &str)]) -> Response {
        let page = Page::new(&self.state, &self.id);
        let mut form = Form::of(&self.params);
        match refusal {
            Refusal::Fault(fault) => page.fault(&fault),
            Refusal::Unknown => page.problem(StatusCode::NOT_FOUND),
            Refusal::Invalid(wrong) => {
                for (field, why) in wrong {
                    let name = names.iter().find(|(ours, _)| *ours == field).map_or(field.as_str(), |(_, theirs)| theirs);
                    form.wrong(name, why);
                }
                self.again(StatusCode::UNPROCESSABLE_ENTITY, form, None).await
            }
            Refusal::Stale => match self.clash().await {
                Ok(clash) => self.again(StatusCode::CONFLICT, form, Some(clash)).await,
                Err(fault) => page.fault(&fault),
            },
            other => {
                form.wrong("case", format!("{}.", capital(&other.to_string())));
                self.again(StatusCode::CONFLICT, form, None).await
            }
        }
    }

    /// What they had written, and what happened meanwhile.
    async fn clash(&self) -> Result<Clash, Fault> {
        let platform = &self.state.platform;
        let mut tx = platform.db.read().await?;
        let events = rows::events(&mut tx, self.application_id).await?;
        let mut names = Names::default();
        let all = cases::timeline(&mut tx, &mut names, &events, true, true).await?;
        drop(tx);
        let words = ["words", "question", "note"].iter().map(|name| self.one(name)).find(|text| !text.is_empty());
        Ok(Clash {
            mine: cases::outcomes(platform, &self.outcomes(), platform.now()),
            words: words.unwrap_or_default().to_owned(),
            since: all.into_iter().take(3).collect(),
        })
    }

    /// The decision as it was typed. A family without a verdict is left out; the rules ask for it.
    fn outcomes(&self) -> Vec<Outcome> {
        let platform = &self.state.platform;
        let of = |name: &str, family: &str| {
            let name = format!("{name}.{family}");
            self.params.all(&name).next().unwrap_or_default().trim().to_owned()
        };
        let families = self.params.pairs().iter().filter_map(|(name, _)| name.strip_prefix("verdict."));
        let outcome = |family: &str| {
            let verdict = match of("verdict", family).as_str() {
                "approve" => Verdict::Approve,
                "conditions" => Verdict::Conditions {
                    text: of("conditions", family),
                    due_at: decide::end_of_day(platform, &of("deadline", family)).unwrap_or(0),
                },
                "refuse" => Verdict::Refuse { code: of("code", family), text: of("text", family) },
                _ => return None,
            };
            Some(Outcome { family: family.to_owned(), verdict })
        };
        families.filter_map(outcome).collect()
    }

    /// The text that was chosen in a list of texts.
    async fn chosen(&self, list: &str) -> Result<Option<canned::Canned>, Fault> {
        let texts = canned::texts(&self.state.platform).await?;
        let at: Option<usize> = self.one(list).parse().ok();
        Ok(at.and_then(|at| texts.get(at).cloned()))
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

macro_rules! posted {
    ($state:ident, $id:ident, $staff:ident, $case:ident, $request:ident) => {
        match Posted::read($state, $id, $staff, &$case, $request).await {
            Ok(posted) => posted,
            Err(response) => return response,
        }
    };
}

/// `POST /console/applications/{case}/triage`
pub(super) async fn triage(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(case): Path<String>,
    request: Request,
) -> Response {
    let it = posted!(state, id, staff, case, request);
    match review::triage(&it.state.platform, &it.staff.account, it.application_id, it.version()).await {
        Ok(_) => it.to("triage"),
        Err(refusal) => it.refused(refusal, &[]).await,
    }
}

/// `POST /console/applications/{case}/take`
pub(super) async fn take(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(case): Path<String>,
    request: Request,
) -> Response {
    let it = posted!(state, id, staff, case, request);
    match review::take(&it.state.platform, &it.staff.account, it.application_id, it.version()).await {
        Ok(_) => it.to("take"),
        Err(refusal) => it.refused(refusal, &[]).await,
    }
}

/// `POST /console/applications/{case}/assign`
pub(super) async fn assign(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(case): Path<String>,
    request: Request,
) -> Response {
    let it = posted!(state, id, staff, case, request);
    let to = it.one("to").parse().unwrap_or(0);
    match review::assign(&it.state.platform, &it.staff.account, it.application_id, it.version(), to, it.one("note")).await {
        Ok(_) => it.to("assign"),
        Err(refusal) => it.refused(refusal, &[]).await,
    }
}

/// `POST /console/applications/{case}/comment`
pub(super) async fn comment(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(case): Path<String>,
    request: Request,
) -> Response {
    let it = posted!(state, id, staff, case, request);
    let field = it.one("field").to_owned();
    let (text, seen) = (format!("comment.{field}"), format!("visible.{field}"));
    let visible = it.one(&seen) == "yes";
    let known = {
        let mut tx = match it.state.platform.db.read().await {
            Ok(tx) => tx,
            Err(fault) => return it.refused(Refusal::Fault(fault.into()), &[]).await,
        };
        match applications::by_id(&mut tx, it.application_id).await {
            Ok(Some(application)) => field.is_empty() || it.state.platform.forms.of(&application.form).field(&field).is_some(),
            Ok(None) => false,
            Err(fault) => return it.refused(Refusal::Fault(fault), &[]).await,
        }
    };
    if !known {
        return it.refused(Refusal::Unknown, &[]).await;
    }
    let (staff, id) = (&it.staff.account, it.application_id);
    match review::comment(&it.state.platform, staff, id, &field, visible, it.one(&text)).await {
        Ok(()) => redirect(&format!("{}?done=comment#field-{field}", super::path(id))),
        Err(refusal) => it.refused(refusal, &[("text", &text)]).await,
    }
}

/// `POST /console/applications/{case}/evidence`
pub(super) async fn evidence(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(case): Path<String>,
    request: Request,
) -> Response {
    let it = posted!(state, id, staff, case, request);
    match record(&it).await {
        Ok(()) => it.to("evidence"),
        Err(refusal) => it.refused(refusal, &[]).await,
    }
}

/// Records what differs from what is there.
async fn record(it: &Posted) -> Result<(), Refusal> {
    let mut tx = it.state.platform.db.read().await?;
    let there = case::evidence(&mut tx, it.application_id).await?;
    drop(tx);
    for kind in Evidence::ALL {
        let name = format!("evidence.{kind}");
        let text = it.one(&name);
        let text = if *kind == Evidence::Language && !text.is_empty() { "ticked" } else { text };
        let before = there.iter().find(|row| row.kind == *kind).map_or("", |row| row.text.as_str());
        if review::tidy(text).as_deref() != Ok(before) {
            review::record(&it.state.platform, &it.staff.account, it.application_id, *kind, text).await.map_err(|refusal| {
                match refusal {
                    Refusal::Invalid(wrong) => Refusal::Invalid(wrong.into_iter().map(|(_, why)| (name.clone(), why)).collect()),
                    other => other,
                }
            })?;
        }
    }
    Ok(())
}

/// `POST /console/applications/{case}/conflict`
pub(super) async fn conflict(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(case): Path<String>,
    request: Request,
) -> Response {
    let it = posted!(state, id, staff, case, request);
    match review::declare_conflict(&it.state.platform, &it.staff.account, it.application_id, it.one("conflict")).await {
        Ok(_) => it.to("conflict"),
        Err(refusal) => it.refused(refusal, &[]).await,
    }
}

/// `POST /console/applications/{case}/ask`. The button *Insert text* fills the question in and asks nothing.
pub(super) async fn ask(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(case): Path<String>,
    request: Request,
) -> Response {
    let it = posted!(state, id, staff, case, request);
    if it.one("fill") == "question" {
        let mut form = Form::of(&it.params);
        match it.chosen("question_text").await {
            Ok(Some(text)) => form.set("question", text.text),
            Ok(None) => form.wrong("question_text", "Choose a text."),
            Err(fault) => return it.refused(Refusal::Fault(fault), &[]).await,
        };
        return it.again(StatusCode::OK, form, None).await;
    }
    let fields: Vec<String> = it.params.all("fields").map(ToOwned::to_owned).collect();
    let (staff, id) = (&it.staff.account, it.application_id);
    match questions::ask(&it.state.platform, staff, id, it.version(), it.one("question"), &fields).await {
        Ok(_) => it.to("ask"),
        Err(refusal) => it.refused(refusal, &[]).await,
    }
}

/// `POST /console/applications/{case}/decide`. The button *Insert text* fills a text in and decides nothing.
pub(super) async fn decide(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(case): Path<String>,
    request: Request,
) -> Response {
    let it = posted!(state, id, staff, case, request);
    if !it.one("fill").is_empty() {
        return fill(&it).await;
    }
    let (staff, id) = (&it.staff.account, it.application_id);
    let outcomes = it.outcomes();
    told(&it, decide::decide(&it.state.platform, staff, id, it.version(), &outcomes, it.one("words")).await).await
}

async fn told(it: &Posted, decided: Result<Decided, Refusal>) -> Response {
    match decided {
        Ok(Decided::InForce(_)) => it.to("decide"),
        Ok(Decided::Waits(_)) => it.to("waits"),
        Ok(Decided::Disagrees(_)) => it.to("disagrees"),
        Err(refusal) => it.refused(refusal, &[("text", "words")]).await,
    }
}

/// A text from the list, into the family it was chosen for.
async fn fill(it: &Posted) -> Response {
    let mut form = Form::of(&it.params);
    let family = it.one("fill").to_owned();
    let list = format!("canned.{family}");
    match it.chosen(&list).await {
        Ok(None) => form.wrong(&list, "Choose a text."),
        Ok(Some(text)) => match text.code.as_str() {
            "APPROVED" => form.set(&format!("verdict.{family}"), "approve").set("words", text.text),
            "CONDITIONS" => form.set(&format!("verdict.{family}"), "conditions").set(&format!("conditions.{family}"), text.text),
            code => form
                .set(&format!("verdict.{family}"), "refuse")
                .set(&format!("code.{family}"), code)
                .set(&format!("text.{family}"), text.text),
        },
        Err(fault) => return it.refused(Refusal::Fault(fault), &[]).await,
    };
    it.again(StatusCode::OK, form, None).await
}

/// `POST /console/applications/{case}/agree`
pub(super) async fn agree(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(case): Path<String>,
    request: Request,
) -> Response {
    let it = posted!(state, id, staff, case, request);
    let decision_id = it.one("decision").parse().unwrap_or(0);
    let agreed = decide::agree(&it.state.platform, &it.staff.account, it.application_id, it.version(), decision_id, "").await;
    told(&it, agreed).await
}

/// `POST /console/applications/{case}/revoke`
pub(super) async fn revoke(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(case): Path<String>,
    request: Request,
) -> Response {
    let it = posted!(state, id, staff, case, request);
    let (code, text) = (it.one("revoke_code"), it.one("revoke_text"));
    let (staff, id) = (&it.staff.account, it.application_id);
    match applications::revoke(&it.state.platform, staff, id, it.version(), code, text).await {
        Ok(_) => it.to("revoke"),
        Err(refusal) => it.refused(refusal, &[("code", "revoke_code"), ("text", "revoke_text")]).await,
    }
}
