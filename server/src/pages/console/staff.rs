//! Who is staff: the list, inviting, roles, closing. Administrators only.

use askama::Template;
use axum::extract::{Path, Request, State as With};
use axum::http::request::Parts;
use axum::http::{Extensions, StatusCode};
use axum::response::Response;
use platform::Fault;
use platform::accounts::{self, Account, AccountKind, NewStaff, Role, StaffError};

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{ADMINISTRATORS, Act, Staff, act, see};
use crate::pages::entrance::account::flawed;
use crate::pages::entrance::{Console, FORM, Realm, WIDE, must_prove, one, query, show};
use crate::pages::frame::role_words;
use crate::pages::parts::{Badge, Choice, Form, Notice, Row, Summary, Tone};
use crate::pages::view::Moment;
use crate::pages::{Page, form, moment, redirect};
use crate::state::State;

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/console/staff", ADMINISTRATORS, "see who is staff", list),
        see("/console/staff/add", ADMINISTRATORS, "open the form for a new member of staff", add_form),
        act("/console/staff/add", ADMINISTRATORS, "invite a member of staff", add),
        see("/console/staff/{staff}", ADMINISTRATORS, "see a member of staff", member),
        act("/console/staff/{staff}/roles", ADMINISTRATORS, "say what a member of staff may do", set_roles),
        act("/console/staff/{staff}/welcome", ADMINISTRATORS, "mail a member of staff a link for a password", welcome),
        act("/console/staff/{staff}/reset-second-factor", ADMINISTRATORS, "take a lost second factor away", reset_second_factor),
        act("/console/staff/{staff}/disable", ADMINISTRATORS, "close a member of staff's account", disable),
        act("/console/staff/{staff}/enable", ADMINISTRATORS, "open a member of staff's account again", enable),
    ]
}

/// A member of staff in the list.
#[derive(Clone, Debug)]
struct Line {
    id: i64,
    name: String,
    email: String,
    roles: String,
    badge: Badge,
    second_factor: &'static str,
}

#[derive(Template)]
#[template(path = "accounts/staff.html")]
struct ListBody {
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "accounts/staff_add.html")]
struct AddBody {
    form: Form,
    roles: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "accounts/staff_member.html")]
struct MemberBody {
    id: i64,
    name: String,
    problem: Notice,
    summary: Summary,
    form: Form,
    roles: Vec<Choice>,
    /// Whether their password and their roles are ours to change.
    local: bool,
    open: bool,
    invited: bool,
    second_factor: bool,
    own: bool,
}

fn choices() -> Vec<Choice> {
    let help = |role: Role| match role {
        Role::Reviewer => "Decides about apps and applications.",
        Role::Support => "Answers tickets.",
        Role::Compliance => "Looks after those who were approved.",
        Role::Administrator => "Says who is staff.",
    };
    Role::ALL.iter().map(|role| Choice::new(role.as_str(), role_words(*role)).help(help(*role))).collect()
}

fn state_of(account: &Account) -> Badge {
    if account.disabled_at.is_some() {
        Badge::new(Tone::Off, "Closed")
    } else if account.verified_at.is_none() {
        Badge::new(Tone::Waiting, "Invited")
    } else {
        Badge::new(Tone::Good, "Open")
    }
}

fn second_factor_of(account: &Account) -> &'static str {
    match (account.provider_subject.is_some(), account.has_second_factor()) {
        (true, _) => "At the provider",
        (false, true) => "On",
        (false, false) => "Not set up",
    }
}

fn in_words(roles: &[Role]) -> String {
    roles.iter().map(|role| role_words(*role)).collect::<Vec<_>>().join(", ")
}

fn frame(state: &State, extensions: &Extensions, done: Option<&'static str>) -> crate::pages::frame::Frame {
    Console::frame(state, extensions).at("staff").done(done)
}

/// What was done, by the word in the address.
fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "added" => "A mail with a link for their password is on its way.",
        "roles" => "Their roles are changed, at once.",
        "welcome" => "A mail with a new link for their password is on its way.",
        "second-factor" => "Their second factor is taken away, and they are signed out. They set up another at the next sign-in.",
        "disabled" => "The account is closed. They are signed out.",
        "enabled" => "The account is open again.",
        _ => return None,
    })
}

/// `GET /console/staff`
async fn list(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let found = async {
        let mut tx = state.platform.db.read().await?;
        let mut lines = Vec::new();
        for account in accounts::staff(&mut tx).await? {
            let roles = accounts::roles(&mut tx, account.account_id).await?;
            lines.push(Line {
                id: account.account_id,
                badge: state_of(&account),
                second_factor: second_factor_of(&account),
                roles: in_words(&roles),
                name: account.name,
                email: account.email,
            });
        }
        Ok::<_, Fault>(lines)
    };
    match found.await {
        Ok(mut lines) => {
            // Who can do something first.
            lines.sort_by_key(|line| line.roles.is_empty());
            show::<Console>(&page, StatusCode::OK, frame(&state, request.extensions(), None), "Staff", WIDE, &ListBody { lines })
        }
        Err(fault) => page.fault(&fault),
    }
}

fn add_page(state: &State, id: &CallId, extensions: &Extensions, status: StatusCode, form: Form) -> Response {
    let body = AddBody { form, roles: choices() };
    show::<Console>(&Page::new(state, id), status, frame(state, extensions, None), "Add a member of staff", FORM, &body)
}

/// `GET /console/staff/add`
async fn add_form(With(state): With<State>, id: CallId, staff: Staff, request: Request) -> Response {
    if let Some(proof) = must_prove::<Console>(&state, &staff.session, "/console/staff/add") {
        return proof;
    }
    add_page(&state, &id, request.extensions(), StatusCode::OK, Form::new())
}

/// The roles that were ticked.
fn ticked(params: &Params) -> Vec<Role> {
    Role::ALL.iter().copied().filter(|role| params.all("roles").any(|word| word == role.as_str())).collect()
}

/// `POST /console/staff/add`
async fn add(With(state): With<State>, id: CallId, staff: Staff, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    if let Some(proof) = must_prove::<Console>(&state, &staff.session, "/console/staff/add") {
        return proof;
    }
    let text = |name| one(&params, name).to_owned();
    let new = NewStaff { email: text("email"), name: text("name"), roles: ticked(&params), password: None };
    let mut form = Form::of(&params);
    match accounts::create_staff(&state.platform, staff.account.actor(), new, true).await {
        Ok((account, _)) => return redirect(&format!("/console/staff/{}?done=added", account.account_id)),
        Err(StaffError::Flaws(flaws)) => flawed(&mut form, flaws),
        Err(StaffError::Fault(fault)) => return page.fault(&fault),
        Err(refused) => {
            form.wrong("email", sentence(&refused));
        }
    }
    add_page(&state, &id, &parts.extensions, StatusCode::UNPROCESSABLE_ENTITY, form)
}

/// A refusal as a sentence.
fn sentence(refused: &StaffError) -> String {
    let text = refused.to_string();
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str().trim_end_matches('.')))
}

/// `GET /console/staff/{staff}`
async fn member(With(state): With<State>, id: CallId, Path(number): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    member_page(&state, &id, &parts, &number, StatusCode::OK, Notice::default()).await
}

async fn member_page(state: &State, id: &CallId, parts: &Parts, number: &str, status: StatusCode, problem: Notice) -> Response {
    let page = Page::new(state, id);
    let found = async {
        let Ok(account_id) = number.parse::<i64>() else { return Ok(None) };
        let mut tx = state.platform.db.read().await?;
        let account = accounts::by_id(&mut tx, account_id).await?.filter(|account| account.kind == AccountKind::Staff);
        let Some(account) = account else { return Ok(None) };
        let roles = accounts::roles(&mut tx, account_id).await?;
        Ok::<_, Fault>(Some((account, roles)))
    };
    let (account, roles) = match found.await {
        Ok(Some(found)) => found,
        Ok(None) => return page.problem(StatusCode::NOT_FOUND),
        Err(fault) => return page.fault(&fault),
    };
    let mut form = Form::new();
    for role in &roles {
        form.add("roles", role.as_str());
    }
    let own = parts.extensions.get::<Staff>().is_some_and(|staff| staff.account.account_id == account.account_id);
    let summary = Summary(vec![
        Row::new("State").badge(state_of(&account)),
        Row::new("E-mail address").text(&account.email),
        Row::new("Roles").text(in_words(&roles)),
        Row::new("Two-step sign-in").text(second_factor_of(&account)),
        Row::new("Since").at(Moment::day(moment(account.created_at))),
    ]);
    let body = MemberBody {
        id: account.account_id,
        name: account.name.clone(),
        problem,
        summary,
        form,
        roles: choices(),
        local: account.provider_subject.is_none(),
        open: account.disabled_at.is_none(),
        invited: account.verified_at.is_none(),
        second_factor: account.has_second_factor(),
        own,
    };
    let frame = frame(state, &parts.extensions, done(one(&query(parts), "done")));
    show::<Console>(&page, status, frame, &account.name, FORM, &body)
}

/// What all changes have in common: a form, a fresh sign-in, a number, and what comes of it.
async fn change(
    state: &State,
    id: &CallId,
    staff: &Staff,
    number: &str,
    request: Request,
    word: &str,
    make: impl AsyncFnOnce(i64, Params) -> Result<(), StaffError>,
) -> Response {
    let page = Page::new(state, id);
    let (parts, body) = request.into_parts();
    let Ok(account_id) = number.parse::<i64>() else { return page.problem(StatusCode::NOT_FOUND) };
    // A bare button posts a form without fields.
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    if let Some(proof) = must_prove::<Console>(state, &staff.session, &format!("/console/staff/{account_id}")) {
        return proof;
    }
    match make(account_id, params).await {
        Ok(()) => redirect(&format!("/console/staff/{account_id}?done={word}")),
        Err(StaffError::Nobody) => page.problem(StatusCode::NOT_FOUND),
        Err(StaffError::Fault(fault)) => page.fault(&fault),
        Err(refused) => {
            let problem = Notice::danger(sentence(&refused));
            member_page(state, id, &parts, number, StatusCode::CONFLICT, problem).await
        }
    }
}

/// `POST /console/staff/{staff}/roles`
async fn set_roles(With(state): With<State>, id: CallId, staff: Staff, Path(number): Path<String>, request: Request) -> Response {
    let (platform, actor) = (&state.platform, staff.account.actor());
    let make = async |account_id, params: Params| accounts::set_roles(platform, actor, account_id, &ticked(&params)).await;
    change(&state, &id, &staff, &number, request, "roles", make).await
}

/// `POST /console/staff/{staff}/welcome`
async fn welcome(With(state): With<State>, id: CallId, staff: Staff, Path(number): Path<String>, request: Request) -> Response {
    let (platform, actor) = (&state.platform, staff.account.actor());
    let make = async |account_id, _| accounts::welcome(platform, actor, account_id, true).await.map(drop);
    change(&state, &id, &staff, &number, request, "welcome", make).await
}

/// `POST /console/staff/{staff}/reset-second-factor`
async fn reset_second_factor(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(number): Path<String>,
    request: Request,
) -> Response {
    let (platform, actor) = (&state.platform, staff.account.actor());
    let make = async |account_id, _| accounts::reset_second_factor(platform, actor, account_id).await;
    change(&state, &id, &staff, &number, request, "second-factor", make).await
}

/// `POST /console/staff/{staff}/disable`
async fn disable(With(state): With<State>, id: CallId, staff: Staff, Path(number): Path<String>, request: Request) -> Response {
    let (platform, actor) = (&state.platform, staff.account.actor());
    let make = async |account_id, _| accounts::disable(platform, actor, account_id).await;
    change(&state, &id, &staff, &number, request, "disabled", make).await
}

/// `POST /console/staff/{staff}/enable`
async fn enable(With(state): With<State>, id: CallId, staff: Staff, Path(number): Path<String>, request: Request) -> Response {
    let (platform, actor) = (&state.platform, staff.account.actor());
    let make = async |account_id, _| accounts::enable(platform, actor, account_id).await;
    change(&state, &id, &staff, &number, request, "enabled", make).await
}
