//! What needs me: the console's first page.

use askama::Template;
use axum::extract::State as With;
use axum::http::StatusCode;
use axum::response::Response;
use platform::Fault;
use platform::accounts::Role;
use platform::applications::queue::{self, Counts, Filter};

use super::applications::LineView;
use crate::http::CallId;
use crate::pages::Page;
use crate::pages::access::{ALL_STAFF, Act, Staff, see};
use crate::pages::frame::Frame;
use crate::pages::parts::Empty;
use crate::state::State;

/// Lines of a list.
const LINES: i64 = 8;

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    vec![see("/console", ALL_STAFF, "see what needs them", show)]
}

#[derive(Template)]
#[template(path = "console/home.html")]
struct HomePage {
    shell: Frame,
    name: String,
    reviewer: bool,
    numbers: Vec<Number>,
    lists: Vec<ListView>,
    quiet: Option<Empty>,
}

/// A number that leads to what it counts.
struct Number {
    count: i64,
    label: &'static str,
    path: &'static str,
    class: &'static str,
}

struct ListView {
    title: &'static str,
    id: &'static str,
    more: Option<String>,
    lines: Vec<LineView>,
    ended: bool,
}

/// `GET /console`
async fn show(With(state): With<State>, id: CallId, staff: Staff) -> Response {
    let page = Page::new(&state, &id);
    match load(&state, &staff).await {
        Ok(view) => page.show(StatusCode::OK, &view),
        Err(fault) => page.fault(&fault),
    }
}

async fn load(state: &State, staff: &Staff) -> Result<HomePage, Fault> {
    let platform = &state.platform;
    let (now, me) = (platform.now(), staff.account.account_id);
    let mut tx = platform.db.read().await?;
    let counts = queue::counts(&mut tx, me, now, platform::applications::to_be_taken_by(platform)).await?;
    let reviewer = staff.is(Role::Reviewer);
    let wanted: [(&str, &str, &str, Filter); 4] = [
        ("Waiting for you", "mine", "mine", Filter { assigned_to: Some(me), ..Filter::default() }),
        ("Second decisions waiting for you", "second", "second", Filter { second: Some(me), ..Filter::default() }),
        ("Late", "late", "late", Filter { late: Some(now), ..Filter::default() }),
        ("Nobody has these", "unassigned", "unassigned", Filter { unassigned: true, ..Filter::default() }),
    ];
    let mut lists = Vec::new();
    let mut seconds = 0;
    for (title, id, view, filter) in wanted {
        let mine = matches!(id, "mine" | "second");
        if mine && !reviewer {
            continue;
        }
        let mut lines = queue::list(&mut tx, &filter, None, LINES + 1).await?;
        if id == "second" {
            seconds = i64::try_from(lines.len()).unwrap_or(0);
        }
        let most = usize::try_from(LINES).unwrap_or(usize::MAX);
        let more = (lines.len() > most).then(|| format!("/console/applications?view={view}"));
        lines.truncate(most);
        if !lines.is_empty() {
            let lines = lines.iter().map(|line| LineView::of(state, staff, line)).collect();
            lists.push(ListView { title, id, more, lines, ended: false });
        }
    }
    drop(tx);
    let quiet = lists.is_empty().then(|| Empty {
        title: "Nothing needs you".into(),
        text: "New applications appear here as soon as they are submitted.".into(),
        link: Some(("The whole queue".into(), "/console/applications".into())),
    });
    Ok(HomePage {
        shell: Frame::staff(state, staff).at("home"),
        name: staff.account.name.clone(),
        reviewer,
        numbers: numbers(counts, seconds, reviewer),
        lists,
        quiet,
    })
}

fn numbers(counts: Counts, seconds: i64, reviewer: bool) -> Vec<Number> {
    let number = |count, label, path, bad: bool| Number { count, label, path, class: if bad && count > 0 { "late" } else { "" } };
    let mut numbers = Vec::new();
    if reviewer {
        numbers.push(number(counts.mine, "your move", "/console/applications?view=mine", false));
        numbers.push(number(counts.mine_waiting, "yours, applicant asked", "/console/applications?view=mine", false));
        numbers.push(number(seconds, "second decisions", "/console/applications?view=second", false));
    }
    numbers.push(number(counts.late, "late", "/console/applications?view=late", true));
    numbers.push(number(counts.untaken, "not taken up in time", "/console/applications?view=unassigned", true));
    numbers.push(number(counts.unassigned, "unassigned", "/console/applications?view=unassigned", false));
    numbers.push(number(counts.open, "open in all", "/console/applications", false));
    numbers
}
