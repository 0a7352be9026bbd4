//! The tickets that concern an application or its app, as its case lists them.

use platform::applications::Application;
use platform::db::Tx;
use platform::tickets::{self, Line};
use platform::{Fault, Millis};

use crate::pages::access::Staff;
use crate::pages::console::tickets::ROLES;
use crate::pages::parts::Badge;
use crate::pages::ticket;
use crate::pages::view::Moment;

/// How many are listed; the queue finds the others.
const SHOWN: i64 = 10;

/// One of them.
pub(super) struct TicketLine {
    pub(super) path: String,
    pub(super) reference: String,
    pub(super) subject: String,
    pub(super) badge: Badge,
    pub(super) at: Moment,
}

/// What the case shows of them.
#[derive(Default)]
pub(super) struct Concerned {
    /// Whether whoever looks may see tickets.
    pub(super) may: bool,
    pub(super) lines: Vec<TicketLine>,
    /// Where all are found, if there are more.
    pub(super) more: Option<String>,
}

/// Those that somebody may see, the latest first; nothing for who may see none.
pub(super) async fn of(tx: &mut Tx, staff: &Staff, application: &Application, now: Millis) -> Result<Concerned, Fault> {
    if !ROLES.iter().any(|role| staff.is(*role)) {
        return Ok(Concerned::default());
    }
    let mut found = tickets::concerning(tx, application.application_id, application.app_id, SHOWN + 1).await?;
    let shown = usize::try_from(SHOWN).unwrap_or(usize::MAX);
    let more = (found.len() > shown).then(|| format!("/console/tickets?q={}", application.app_id));
    found.truncate(shown);
    let line = |line: Line| TicketLine {
        path: format!("/console/tickets/{}", line.ticket_id),
        reference: tickets::reference(line.ticket_id),
        badge: ticket::staff_badge(line.state, line.due_at.is_some_and(|due| due < now)),
        at: ticket::minute(line.updated_at),
        subject: line.subject,
    };
    Ok(Concerned { may: true, lines: found.into_iter().map(line).collect(), more })
}
