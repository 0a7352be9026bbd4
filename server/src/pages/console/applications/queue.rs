//! The queue of applications: by due date, filtered, searched, paged by key.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::applications::State as Standing;
use platform::applications::queue::{self, After, Filter, Line};
use platform::{Fault, Millis};

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::Staff;
use crate::pages::cases::{self, Due};
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Choice, Empty, Form, Pager, Tab, Tabs};
use crate::pages::view::Moment;
use crate::pages::{Page, moment};
use crate::state::State;

/// Lines of a page.
const PAGE: i64 = 50;

#[derive(Template)]
#[template(path = "console/queue.html")]
struct QueuePage {
    shell: Frame,
    tabs: Tabs,
    form: Form,
    states: Vec<Choice>,
    families: Vec<Choice>,
    view: String,
    lines: Vec<LineView>,
    ended: bool,
    filtered: bool,
    pager: Pager,
    empty: Empty,
}

/// One line, as it is shown.
pub(in crate::pages::console) struct LineView {
    pub(in crate::pages::console) path: String,
    pub(in crate::pages::console) app: String,
    pub(in crate::pages::console) owner: String,
    pub(in crate::pages::console) reference: String,
    pub(in crate::pages::console) badge: Badge,
    pub(in crate::pages::console) due: Option<Due>,
    pub(in crate::pages::console) reviewer: String,
    pub(in crate::pages::console) own: bool,
    pub(in crate::pages::console) sensitive: bool,
    pub(in crate::pages::console) waiting: bool,
    pub(in crate::pages::console) again: bool,
    pub(in crate::pages::console) submitted: Moment,
    pub(in crate::pages::console) ended: Moment,
}

impl LineView {
    pub(in crate::pages::console) fn of(state: &State, staff: &Staff, line: &Line) -> Self {
        let platform = &state.platform;
        Self {
            path: super::path(line.application_id),
            app: line.app.clone(),
            owner: line.owner.clone(),
            reference: platform::applications::reference(line.application_id),
            badge: cases::badge(line.state, true),
            due: cases::due(platform, line.state, line.due_at, line.stopped_at),
            reviewer: line.reviewer.clone().unwrap_or_default(),
            own: line.assigned_to == Some(staff.account.account_id),
            sensitive: line.sensitive,
            waiting: line.waiting > 0,
            again: line.submissions > 1,
            submitted: line.submitted_at.map(|at| cases::day(platform, at)).unwrap_or_default(),
            ended: line.ended_at.map(|at| Moment::day(moment(at))).unwrap_or_default(),
        }
    }
}

/// The views, as the tabs name them.
const VIEWS: [(&str, &str); 6] = [
    ("", "All open"),
    ("mine", "Mine"),
    ("unassigned", "Unassigned"),
    ("late", "Late"),
    ("second", "Second decision"),
    ("ended", "Ended"),
];

fn one<'a>(params: &'a Params, name: &'a str) -> &'a str {
    params.all(name).next().unwrap_or_default().trim()
}

/// A filter as the address says it.
fn filter(state: &State, staff: &Staff, params: &Params) -> (String, Filter) {
    let me = staff.account.account_id;
    let view = one(params, "view");
    let view = VIEWS.iter().map(|(name, _)| *name).find(|name| *name == view).unwrap_or_default();
    let family = one(params, "scope");
    let known = platform::apps::families(&state.platform).iter().any(|known| known == family);
    let filter = Filter {
        ended: view == "ended",
        state: Standing::parse(one(params, "state")).filter(|state| state.is_final() == (view == "ended")),
        assigned_to: (view == "mine").then_some(me),
        unassigned: view == "unassigned",
        late: (view == "late").then(|| state.platform.now()),
        sensitive: one(params, "sensitive") == "yes",
        second: (view == "second").then_some(me),
        family: known.then(|| family.to_owned()),
        words: one(params, "q").chars().filter(|c| !c.is_control()).take(200).collect(),
    };
    (view.to_owned(), filter)
}

/// The place after which a page begins, as its address says it: `1764547199999-4503599627370496`.
fn after(text: &str) -> Option<After> {
    let (at, id) = text.rsplit_once('-')?;
    Some((Millis(at.parse().ok()?), id.parse().ok()?))
}

fn address(params: &Params, view: &str, change: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if !view.is_empty() {
        query.append_pair("view", view);
    }
    for name in ["state", "scope", "sensitive", "q"] {
        let value = one(params, name);
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    if let Some(after) = change {
        query.append_pair("after", after);
    }
    let query = query.finish();
    if query.is_empty() { "/console/applications".to_owned() } else { format!("/console/applications?{query}") }
}

/// `GET /console/applications`
pub(super) async fn show(With(state): With<State>, id: CallId, staff: Staff, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let Ok(params) = Params::parse(request.uri().query().unwrap_or_default().as_bytes()) else {
        return page.problem(StatusCode::BAD_REQUEST);
    };
    match load(&state, &staff, &params).await {
        Ok(view) => page.show(StatusCode::OK, &view),
        Err(fault) => page.fault(&fault),
    }
}

async fn load(state: &State, staff: &Staff, params: &Params) -> Result<QueuePage, Fault> {
    let (view, filter) = filter(state, staff, params);
    let start = after(one(params, "after"));
    let mut tx = state.platform.db.read().await?;
    let mut lines = queue::list(&mut tx, &filter, start, PAGE + 1).await?;
    drop(tx);
    let more = lines.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    lines.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let last = lines.last().filter(|_| more).and_then(|line| {
        let at = if filter.ended { line.ended_at } else { line.due_at };
        Some(format!("{}-{}", at?.0, line.application_id))
    });
    let mut form = Form::new();
    for name in ["q", "state", "scope", "sensitive"] {
        form.set(name, one(params, name));
    }
    let tabs = VIEWS.iter().map(|(name, label)| Tab {
        label: (*label).to_owned(),
        path: address(&Params::from_pairs(Vec::new()), name, None),
        count: None,
        current: view == *name,
    });
    let mut states = vec![Choice::new("", "Any state")];
    let shown = Standing::ALL.iter().filter(|state| **state != Standing::Draft && state.is_final() == filter.ended);
    states.extend(shown.map(|state| Choice::new(state.as_str(), state.words())));
    let mut families = vec![Choice::new("", "Any scope")];
    families.extend(platform::apps::families(&state.platform).into_iter().map(|family| Choice::new(family.clone(), family)));
    let filtered = filter.state.is_some() || filter.sensitive || filter.family.is_some() || !filter.words.is_empty();
    let empty = if filtered {
        Empty { title: "Nothing fits".into(), text: "No application in this view has all of that.".into(), link: None }
    } else {
        let (title, text) = match view.as_str() {
            "mine" => ("Nothing is yours", "Take an application from the unassigned ones."),
            "unassigned" => ("Everything is taken", "Every open application has a reviewer."),
            "late" => ("Nothing is late", "No limit was missed."),
            "second" => (
                "No second decision waits for you",
                "Applications for sensitive categories appear here once a first reviewer has decided.",
            ),
            "ended" => ("Nothing has ended yet", "Decided and withdrawn applications stay here."),
            _ => ("The queue is empty", "Applications appear here as soon as they are submitted."),
        };
        Empty { title: title.into(), text: text.into(), link: None }
    };
    Ok(QueuePage {
        shell: Frame::staff(state, staff).at("applications"),
        tabs: Tabs { label: "Views of the queue".into(), tabs: tabs.collect() },
        states,
        families,
        lines: lines.iter().map(|line| LineView::of(state, staff, line)).collect(),
        ended: filter.ended,
        filtered,
        pager: Pager {
            newer: start.map(|_| address(params, &view, None)),
            older: last.map(|after| address(params, &view, Some(&after))),
        },
        form,
        view,
        empty,
    })
}
