//! Organisations in the portal: members and their roles, invitations, apps that are offered, and the end.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::apps::transfer::{self, TransferError};
use platform::apps::{self, OwnerKind};
use platform::organisations::{self, Refusal, Seat};
use platform::{Fault, Millis};

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfOrganisation, act, see};
use crate::pages::frame::{Frame, app_badge};
use crate::pages::parts::{Badge, Choice, Copy, Empty, Form, Notice};
use crate::pages::view::Moment;
use crate::pages::{Page, form, moment, redirect};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/organisations", Needs::Developer, "See one's organisations", list),
        act("/developers/organisations", Needs::Developer, "Make an organisation", make),
        see("/developers/invitations", Needs::Developer, "See invitations to oneself", list),
        act("/developers/invitations", Needs::Developer, "Accept or reject an invitation", answer),
        see("/developers/organisations/{organisation}", Needs::Member, "See an organisation", show),
        act("/developers/organisations/{organisation}/invite", Needs::Admin, "Invite to an organisation", invite),
        act("/developers/organisations/{organisation}/cancel", Needs::Admin, "Cancel an invitation", cancel),
        act("/developers/organisations/{organisation}/remove", Needs::Admin, "Remove a member", remove),
        act("/developers/organisations/{organisation}/role", Needs::Admin, "Change the role of a member", role),
        act("/developers/organisations/{organisation}/managers", Needs::Admin, "Say who manages an app", manage),
        act("/developers/organisations/{organisation}/transfer", Needs::Admin, "Accept or reject an app that is offered", take),
        act("/developers/organisations/{organisation}/leave", Needs::Member, "Leave an organisation", leave),
        act("/developers/organisations/{organisation}/hand-over", Needs::Owner, "Hand an organisation to an admin", hand_over),
        act("/developers/organisations/{organisation}/delete", Needs::Owner, "Delete an organisation", delete),
    ]
}

/// What was just done, by the word in the address.
fn done(params: &Params) -> Option<&'static str> {
    Some(match params.get("done").ok().flatten()? {
        "made" => "The organisation is made.",
        "joined" => "You are a member now.",
        "rejected" => "You have rejected the invitation.",
        "invited" => "The invitation stands. If somebody is registered with this address, they get a mail.",
        "cancelled" => "The invitation is cancelled.",
        "removed" => "The member is removed.",
        "changed" => "The role is changed.",
        "managers" => "Saved.",
        "taken" => "The app is your organisation’s now. Prove its addresses and apply for its scopes.",
        "declined" => "You have declined the app.",
        "left" => "You have left the organisation.",
        "handed" => "The organisation is handed over. You are an admin of it now.",
        "deleted" => "The organisation is deleted.",
        _ => return None,
    })
}

fn query(request: &Request) -> Params {
    Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default()
}

async fn posted(page: &Page<'_>, request: Request) -> Result<Form, Box<Response>> {
    let (parts, body) = request.into_parts();
    match form(&parts, body).await {
        Ok(params) => Ok(Form::of(&params)),
        Err(status) => Err(Box::new(page.problem(status))),
    }
}

fn number(form: &Form, name: &str) -> i64 {
    form.value(name).parse().unwrap_or(-1)
}

fn path(of: &OfOrganisation) -> String {
    format!("/developers/organisations/{}", of.organisation.organisation_id)
}

// All of them, and what others ask.

#[derive(Debug, Template)]
#[template(path = "portal/organisations.html")]
struct ListPage {
    shell: Frame,
    form: Form,
    problem: Option<Notice>,
    organisations: Vec<Entry>,
    invitations: Vec<InvitationView>,
    empty: Empty,
}

#[derive(Debug)]
struct Entry {
    name: String,
    path: String,
    role: &'static str,
    members: String,
    apps: String,
}

#[derive(Debug)]
struct InvitationView {
    id: i64,
    organisation: String,
    email: String,
    role: String,
    by: String,
    sent: Moment,
    until: Moment,
    /// Whether who looks may cancel it.
    mine: bool,
}

fn invitation(found: organisations::Invitation, seat: Option<Seat>) -> InvitationView {
    let day = |at: Millis| Moment::day(moment(at));
    InvitationView {
        id: found.invitation_id,
        organisation: found.organisation,
        email: found.email,
        role: match found.app {
            Some(app) => format!("{} of {app}", found.role.words()),
            None => found.role.words().to_owned(),
        },
        by: found.invited_by,
        sent: day(found.created_at),
        until: day(found.expires_at),
        mine: match seat {
            Some(Seat::Owner) => true,
            Some(Seat::Admin) => found.role == Seat::Manager,
            _ => false,
        },
    }
}

async fn list(With(state): With<State>, id: CallId, developer: Developer, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let shell = Frame::developer(&state, &developer).at("organisations").done(done(&query(&request)));
    lists(&state, &page, &developer, shell, StatusCode::OK, Form::new(), None).await
}

async fn lists(
    state: &State,
    page: &Page<'_>,
    developer: &Developer,
    shell: Frame,
    status: StatusCode,
    form: Form,
    problem: Option<Notice>,
) -> Response {
    let found = async {
        let mut tx = state.platform.db.read().await?;
        let organisations = organisations::of_account(&mut tx, developer.account.account_id).await?;
        let invitations = organisations::pending_of(&mut tx, developer.account.account_id, state.platform.now()).await?;
        Ok::<_, Fault>((organisations, invitations))
    };
    let counted = |count: i64, one, many| crate::pages::view::counted(usize::try_from(count).unwrap_or(0), one, many);
    match found.await {
        Ok((organisations, invitations)) => {
            let entries = organisations.into_iter().map(|found| Entry {
                path: format!("/developers/organisations/{}", found.organisation_id),
                name: found.name,
                role: found.role.words(),
                members: counted(found.members, "member", "members"),
                apps: counted(found.apps, "app", "apps"),
            });
            let empty = Empty {
                title: "You are in no organisation".into(),
                text: "An organisation owns apps together: with an owner, admins, and managers of single apps. We advise one for whatever goes live."
                    .into(),
                link: None,
            };
            let told = ListPage {
                shell,
                form,
                problem,
                organisations: entries.collect(),
                invitations: invitations.into_iter().map(|found| invitation(found, None)).collect(),
                empty,
            };
            page.show(status, &told)
        }
        Err(fault) => page.fault(&fault),
    }
}

async fn make(With(state): With<State>, id: CallId, developer: Developer, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let mut form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    match organisations::create(&state.platform, &developer.account, form.value("name")).await {
        Ok(made) => redirect(&format!("/developers/organisations/{}?done=made", made.organisation_id)),
        Err(Refusal::Name(words) | Refusal::Limit(words)) => {
            form.wrong("name", words);
            let shell = Frame::developer(&state, &developer).at("organisations");
            lists(&state, &page, &developer, shell, StatusCode::UNPROCESSABLE_ENTITY, form, None).await
        }
        Err(Refusal::Fault(fault)) => page.fault(&fault),
        Err(_) => page.problem(StatusCode::NOT_FOUND),
    }
}

async fn answer(With(state): With<State>, id: CallId, developer: Developer, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let invitation = number(&form, "invitation");
    let answered = match form.value("decision") {
        "accept" => organisations::accept(&state.platform, &developer.account, invitation)
            .await
            .map(|organisation| format!("/developers/organisations/{organisation}?done=joined")),
        "reject" => organisations::reject(&state.platform, &developer.account, invitation)
            .await
            .map(|()| "/developers/organisations?done=rejected".to_owned()),
        _ => return page.problem(StatusCode::BAD_REQUEST),
    };
    let words = match answered {
        Ok(next) => return redirect(&next),
        Err(Refusal::Fault(fault)) => return page.fault(&fault),
        Err(Refusal::Unknown) => return page.problem(StatusCode::NOT_FOUND),
        Err(refusal) => refusal.to_string(),
    };
    let shell = Frame::developer(&state, &developer).at("organisations");
    let problem = Notice::warn("This cannot be done now").text(words);
    lists(&state, &page, &developer, shell, StatusCode::CONFLICT, Form::new(), Some(problem)).await
}

// One of them.

#[derive(Debug, Template)]
#[template(path = "portal/organisation.html")]
struct ShowPage {
    shell: Frame,
    form: Form,
    problem: Option<Notice>,
    name: String,
    path: String,
    number: Copy,
    seat: &'static str,
    leads: bool,
    owner: bool,
    members: Vec<MemberView>,
    admins: Vec<Choice>,
    apps: Vec<AppView>,
    invitations: Vec<InvitationView>,
    offers: Vec<OfferView>,
    roles: Vec<Choice>,
    app_choices: Vec<Choice>,
}

#[derive(Debug)]
struct MemberView {
    id: i64,
    name: String,
    email: String,
    role: &'static str,
    since: Moment,
    you: bool,
    /// The apps a manager works on, and those that could be added.
    manages: Vec<(i64, String)>,
    could: Vec<Choice>,
    can_remove: bool,
    /// The role that the owner could give instead.
    other_role: Option<(&'static str, &'static str)>,
}

#[derive(Debug)]
struct AppView {
    name: String,
    path: String,
    badge: Badge,
}

#[derive(Debug)]
struct OfferView {
    id: i64,
    app: String,
    by: String,
    until: Moment,
}

async fn show(With(state): With<State>, id: CallId, developer: Developer, of: OfOrganisation, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let shell = Frame::developer(&state, &developer).at("organisations").done(done(&query(&request)));
    match told(&state, &developer, &of, shell, Form::new()).await {
        Ok(told) => page.show(StatusCode::OK, &told),
        Err(fault) => page.fault(&fault),
    }
}

async fn told(state: &State, developer: &Developer, of: &OfOrganisation, shell: Frame, form: Form) -> Result<ShowPage, Fault> {
    let now = state.platform.now();
    let organisation = of.organisation.organisation_id;
    let me = developer.account.account_id;
    let mut tx = state.platform.db.read().await?;
    let members = organisations::members(&mut tx, organisation).await?;
    let managers = organisations::managers(&mut tx, organisation).await?;
    let all = apps::of_owner(&mut tx, OwnerKind::Organisation, organisation).await?;
    let seen = if of.seat.leads() { all.clone() } else { apps::managed_by(&mut tx, me, organisation).await? };
    let (invitations, offers) = if of.seat.leads() {
        (organisations::pending(&mut tx, organisation, now).await?, transfer::to_organisation(&mut tx, organisation, now).await?)
    } else {
        (Vec::new(), Vec::new())
    };
    drop(tx);
    let owner = of.seat == Seat::Owner;
    let choices = |of: &[&apps::App]| of.iter().map(|app| Choice::new(app.app_id.to_string(), &app.name)).collect::<Vec<_>>();
    let member_views = members.iter().map(|member| {
        let works_on = |app: &&apps::App| managers.contains(&(member.account_id, app.app_id));
        let manager = member.role == Seat::Manager;
        MemberView {
            id: member.account_id,
            name: member.name.clone(),
            email: if of.seat.leads() { member.email.clone() } else { String::new() },
            role: member.role.words(),
            since: Moment::day(moment(member.since)),
            you: member.account_id == me,
            manages: all.iter().filter(works_on).map(|app| (app.app_id, app.name.clone())).collect(),
            could: if manager && of.seat.leads() {
                choices(&all.iter().filter(|app| !works_on(app)).collect::<Vec<_>>())
            } else {
                Vec::new()
            },
            can_remove: member.account_id != me && (owner || (of.seat == Seat::Admin && manager)),
            other_role: match member.role {
                Seat::Admin if owner || member.account_id == me => Some((Seat::Manager.as_str(), "Make app manager")),
                Seat::Manager if owner => Some((Seat::Admin.as_str(), "Make admin")),
                _ => None,
            },
        }
    });
    let mut roles = vec![
        Choice::new(Seat::Manager.as_str(), "App manager").help("Works on one app: its details, scopes, application and review."),
    ];
    if owner {
        roles.push(
            Choice::new(Seat::Admin.as_str(), "Admin").help("Manages members and all apps, their credentials and their end."),
        );
    }
    let app_choices = std::iter::once(Choice::new("", "Choose an app")).chain(choices(&all.iter().collect::<Vec<_>>())).collect();
    Ok(ShowPage {
        shell,
        form,
        problem: None,
        name: of.organisation.name.clone(),
        path: path(of),
        number: Copy::line("Organisation ID", organisation.to_string()),
        seat: of.seat.words(),
        leads: of.seat.leads(),
        owner,
        admins: members
            .iter()
            .filter(|member| member.role == Seat::Admin)
            .map(|member| Choice::new(member.account_id.to_string(), &member.name))
            .collect(),
        members: member_views.collect(),
        apps: seen
            .iter()
            .map(|app| AppView {
                name: app.name.clone(),
                path: format!("/developers/apps/{}", app.app_id),
                badge: app_badge(app.status),
            })
            .collect(),
        invitations: invitations.into_iter().map(|found| invitation(found, Some(of.seat))).collect(),
        offers: offers
            .into_iter()
            .map(|offer| OfferView {
                id: offer.transfer_id,
                app: offer.app,
                by: offer.started_by,
                until: Moment::day(moment(offer.expires_at)),
            })
            .collect(),
        roles,
        app_choices,
    })
}

/// The end of an act: back to the page, or the page with what stands in the way.
async fn ended(
    state: &State,
    page: &Page<'_>,
    developer: &Developer,
    of: &OfOrganisation,
    done: Result<&'static str, Refusal>,
    mut form: Form,
    field: &str,
) -> Response {
    let (status, words) = match done {
        Ok(word) => return redirect(&format!("{}?done={word}", path(of))),
        Err(Refusal::Fault(fault)) => return page.fault(&fault),
        Err(Refusal::Unknown) => return page.problem(StatusCode::NOT_FOUND),
        Err(Refusal::Forbidden(words)) => (StatusCode::FORBIDDEN, words.to_owned()),
        Err(Refusal::State(words)) => (StatusCode::CONFLICT, words.to_owned()),
        Err(Refusal::Name(words) | Refusal::Limit(words)) => (StatusCode::CONFLICT, words),
    };
    let problem = if field.is_empty() {
        Some(Notice::warn("This cannot be done").text(words))
    } else {
        form.wrong(field, words);
        None
    };
    let status = if field.is_empty() { status } else { StatusCode::UNPROCESSABLE_ENTITY };
    let shell = Frame::developer(state, developer).at("organisations");
    match told(state, developer, of, shell, form).await {
        Ok(told) => page.show(status, &ShowPage { problem, ..told }),
        Err(fault) => page.fault(&fault),
    }
}

async fn invite(With(state): With<State>, id: CallId, developer: Developer, of: OfOrganisation, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let organisation = of.organisation.organisation_id;
    let seat = Seat::parse(form.value("role")).unwrap_or(Seat::Manager);
    let app = form.value("app").parse().ok();
    let invited = organisations::invite(&state.platform, &developer.account, organisation, form.value("email"), seat, app).await;
    ended(&state, &page, &developer, &of, invited.map(|()| "invited"), form, "email").await
}

async fn cancel(With(state): With<State>, id: CallId, developer: Developer, of: OfOrganisation, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let (organisation, invitation) = (of.organisation.organisation_id, number(&form, "invitation"));
    let cancelled = organisations::cancel(&state.platform, &developer.account, organisation, invitation).await;
    ended(&state, &page, &developer, &of, cancelled.map(|()| "cancelled"), Form::new(), "").await
}

async fn remove(With(state): With<State>, id: CallId, developer: Developer, of: OfOrganisation, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let (organisation, member) = (of.organisation.organisation_id, number(&form, "member"));
    let removed = organisations::remove(&state.platform, &developer.account, organisation, member).await;
    ended(&state, &page, &developer, &of, removed.map(|()| "removed"), Form::new(), "").await
}

async fn role(With(state): With<State>, id: CallId, developer: Developer, of: OfOrganisation, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let Some(to) = Seat::parse(form.value("to")) else { return page.problem(StatusCode::BAD_REQUEST) };
    let (organisation, member) = (of.organisation.organisation_id, number(&form, "member"));
    let changed = organisations::change_role(&state.platform, &developer.account, organisation, member, to).await;
    ended(&state, &page, &developer, &of, changed.map(|()| "changed"), Form::new(), "").await
}

async fn manage(With(state): With<State>, id: CallId, developer: Developer, of: OfOrganisation, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let (organisation, member, app) = (of.organisation.organisation_id, number(&form, "member"), number(&form, "app"));
    let on = form.value("to") != "off";
    let managed = organisations::manage(&state.platform, &developer.account, organisation, app, member, on).await;
    ended(&state, &page, &developer, &of, managed.map(|()| "managers"), Form::new(), "").await
}

async fn take(With(state): With<State>, id: CallId, developer: Developer, of: OfOrganisation, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let accept = match form.value("decision") {
        "accept" => true,
        "reject" => false,
        _ => return page.problem(StatusCode::BAD_REQUEST),
    };
    let (organisation, offer) = (of.organisation.organisation_id, number(&form, "transfer"));
    let taken = match transfer::answer(&state.platform, &developer.account, organisation, offer, accept).await {
        Ok(app) => {
            if accept {
                super::apps::follow(&state, app.app_id).await;
            }
            Ok(if accept { "taken" } else { "declined" })
        }
        Err(TransferError::State(words)) => Err(Refusal::State(words)),
        Err(TransferError::Unknown) => Err(Refusal::State("This offer was taken back, answered before, or has run out.")),
        Err(TransferError::Fault(fault)) => Err(Refusal::Fault(fault)),
    };
    ended(&state, &page, &developer, &of, taken, Form::new(), "").await
}

async fn leave(With(state): With<State>, id: CallId, developer: Developer, of: OfOrganisation, request: Request) -> Response {
    let page = Page::new(&state, &id);
    if let Err(answer) = posted(&page, request).await {
        return *answer;
    }
    match organisations::leave(&state.platform, &developer.account, of.organisation.organisation_id).await {
        Ok(()) => redirect("/developers/organisations?done=left"),
        refused => ended(&state, &page, &developer, &of, refused.map(|()| "left"), Form::new(), "").await,
    }
}

async fn hand_over(With(state): With<State>, id: CallId, developer: Developer, of: OfOrganisation, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let (organisation, to) = (of.organisation.organisation_id, number(&form, "admin"));
    let handed = organisations::hand_over(&state.platform, &developer.account, organisation, to).await;
    ended(&state, &page, &developer, &of, handed.map(|()| "handed"), Form::new(), "").await
}

async fn delete(With(state): With<State>, id: CallId, developer: Developer, of: OfOrganisation, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    if form.value("name") != of.organisation.name {
        let words = "Type the name of the organisation as it stands above, to say that you mean this one.";
        return ended(&state, &page, &developer, &of, Err(Refusal::State(words)), form, "name").await;
    }
    match organisations::delete(&state.platform, &developer.account, of.organisation.organisation_id).await {
        Ok(()) => redirect("/developers/organisations?done=deleted"),
        refused => ended(&state, &page, &developer, &of, refused.map(|()| "deleted"), Form::new(), "").await,
    }
}
