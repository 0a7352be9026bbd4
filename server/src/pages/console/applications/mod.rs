//! Applications in the console: the queue, the case, and what is done with it.

mod case;
mod doing;
mod queue;
mod tickets;

use platform::accounts::Role;

pub(super) use queue::LineView;

use crate::pages::access::{ALL_STAFF, Act, Needs, REVIEWERS, act, see};

/// Who gives an application to somebody: reviewers, and administrators when somebody is away.
const ASSIGNERS: Needs = Needs::Staff(&[Role::Reviewer, Role::Administrator]);
/// Who takes an approval back.
const REVOKERS: Needs = Needs::Staff(&[Role::Compliance]);

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/console/applications", ALL_STAFF, "see the queue of applications", queue::show),
        see("/console/applications/{case}", ALL_STAFF, "see an application", case::show),
        act("/console/applications/{case}/triage", REVIEWERS, "say that an application is complete enough", doing::triage),
        act("/console/applications/{case}/take", REVIEWERS, "take an application", doing::take),
        act("/console/applications/{case}/assign", ASSIGNERS, "give an application to a reviewer", doing::assign),
        act("/console/applications/{case}/comment", REVIEWERS, "comment on an application", doing::comment),
        act("/console/applications/{case}/evidence", REVIEWERS, "record evidence about an organisation", doing::evidence),
        act("/console/applications/{case}/conflict", REVIEWERS, "declare a conflict of interest", doing::conflict),
        act("/console/applications/{case}/ask", REVIEWERS, "ask the applicant", doing::ask),
        act("/console/applications/{case}/decide", REVIEWERS, "decide about an application", doing::decide),
        act("/console/applications/{case}/agree", REVIEWERS, "agree with another reviewer's decision", doing::agree),
        act("/console/applications/{case}/revoke", REVOKERS, "take an approval back", doing::revoke),
    ]
}

/// The page of a case.
fn path(application_id: i64) -> String {
    format!("/console/applications/{application_id}")
}
