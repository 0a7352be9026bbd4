//! The queue: which applications there are, for staff, by due date; filters, search, and what is counted. Lists page by key.

use super::State;
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};

/// One line of the queue.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Line {
    /// Which application.
    pub application_id: i64,
    /// Which app.
    pub app_id: i64,
    /// The app's name.
    pub app: String,
    /// Whose it is: an organisation's name, or a developer's.
    pub owner: String,
    /// Where it stands.
    pub state: State,
    /// Whether two reviewers decide.
    pub sensitive: bool,
    /// How often it was handed in.
    pub submissions: i32,
    /// The reviewer.
    pub assigned_to: Option<i64>,
    /// The reviewer's name.
    pub reviewer: Option<String>,
    /// When it was first handed in.
    pub submitted_at: Option<Millis>,
    /// By when most are decided.
    pub usual_at: Option<Millis>,
    /// By when it is to be decided.
    pub due_at: Option<Millis>,
    /// Since when the applicant has the move.
    pub stopped_at: Option<Millis>,
    /// Until when they should have answered.
    pub answer_due_at: Option<Millis>,
    /// When it was last changed.
    pub updated_at: Millis,
    /// When it was decided.
    pub decided_at: Option<Millis>,
    /// When it came into a final state.
    pub ended_at: Option<Millis>,
    /// Decisions of its present version that wait for another reviewer.
    pub waiting: i64,
}

/// Which of them.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those that have ended, the latest first, instead of the open ones.
    pub ended: bool,
    /// In one state.
    pub state: Option<State>,
    /// Of one reviewer.
    pub assigned_to: Option<i64>,
    /// Those that nobody has.
    pub unassigned: bool,
    /// Those whose limit was missed, at this time.
    pub late: Option<Millis>,
    /// Those about which two decide.
    pub sensitive: bool,
    /// Those that wait for a decision by this member of staff as the second.
    pub second: Option<i64>,
    /// Those that ask for a family of scopes.
    pub family: Option<String>,
    /// Words that all have to occur: of the organisation, the app, the reference, the address.
    pub words: String,
}

/// After which line a page begins: its due date (or its end, among the ended), and its number.
pub type After = (Millis, i64);

/// Words that are looked for beyond which no further are.
const MAX_WORDS: usize = 4;

/// A pattern that finds a text wherever it stands, and nothing else.
fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in word.to_lowercase().chars().filter(|c| !c.is_control()).take(100) {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

fn patterns(filter: &Filter) -> [String; MAX_WORDS] {
    let mut words = filter.words.split_whitespace().map(pattern);
    std::array::from_fn(|_| words.next().unwrap_or_else(|| "%".into()))
}

/// One page. The statement reads the index of what is open (or ended) in the order of the page, and stops when it is full.
pub async fn list(tx: &mut Tx, filter: &Filter, after: Option<After>, limit: i64) -> Result<Vec<Line>, Fault> {
    let [a, b, c, d] = patterns(filter);
    let family = filter.family.as_deref().map_or_else(|| "%".into(), |family| pattern(&format!(" scope:{family} ")));
    if filter.ended {
        let (at, id) = after.unwrap_or((Millis(i64::MAX), i64::MAX));
        return Ok(sql!(
            tx,
            all Line,
            "select a.application_id, a.app_id, p.name as app, coalesce(o.name, w.name, '') as owner, a.state, a.sensitive, a.submissions,
                    a.assigned_to, r.name as reviewer, a.submitted_at, a.usual_at, a.due_at, a.stopped_at, a.answer_due_at,
                    a.updated_at, a.decided_at, a.ended_at, cast(0 as bigint) as waiting
             from applications a
             join apps p on p.app_id = a.app_id
             left join organisations o on o.organisation_id = a.owner_id
             left join accounts w on w.account_id = a.owner_id
             left join accounts r on r.account_id = a.assigned_to
             where a.ended_at is not null and (a.ended_at, a.application_id) < ($1, $2)
               and a.submissions > 0
               and ($3 is null or a.state = $3)
               and ($4 is null or a.assigned_to = $4)
               and (not $5 or a.sensitive)
               and a.search like $6 escape '\\' and a.search like $7 escape '\\'
               and a.search like $8 escape '\\' and a.search like $9 escape '\\' and a.search like $10 escape '\\'
             order by a.ended_at desc, a.application_id desc
             limit $11",
            at,
            id,
            filter.state,
            filter.assigned_to,
            filter.sensitive,
            a,
            b,
            c,
            d,
            family,
            limit,
        )?);
    }
    let (at, id) = after.unwrap_or((Millis(i64::MIN), 0));
    Ok(sql!(
        tx,
        all Line,
        "select a.application_id, a.app_id, p.name as app, coalesce(o.name, w.name, '') as owner, a.state, a.sensitive, a.submissions,
                a.assigned_to, r.name as reviewer, a.submitted_at, a.usual_at, a.due_at, a.stopped_at, a.answer_due_at,
                a.updated_at, a.decided_at, a.ended_at,
                (select count(*) from application_decisions d
                 where d.application_id = a.application_id and d.number = a.submissions and not d.in_force) as waiting
         from applications a
         join apps p on p.app_id = a.app_id
         left join organisations o on o.organisation_id = a.owner_id
         left join accounts w on w.account_id = a.owner_id
         left join accounts r on r.account_id = a.assigned_to
         where a.ended_at is null and (a.due_at, a.application_id) > ($1, $2)
           and ($3 is null or a.state = $3)
           and ($4 is null or a.assigned_to = $4)
           and (not $5 or a.assigned_to is null)
           and ($6 is null or (a.due_at <= $6 and (a.stopped_at is null or a.due_at < a.stopped_at)))
           and (not $7 or a.sensitive)
           and ($8 is null or (a.state = 'in_review' and a.sensitive
                and exists (select 1 from application_decisions d
                            where d.application_id = a.application_id and d.number = a.submissions and not d.in_force
                              and d.account_id <> $8)
                and not exists (select 1 from application_decisions d
                                where d.application_id = a.application_id and d.number = a.submissions
                                  and d.account_id = $8)
                and not exists (select 1 from application_conflicts f
                                where f.application_id = a.application_id and f.account_id = $8)))
           and a.search like $9 escape '\\' and a.search like $10 escape '\\'
           and a.search like $11 escape '\\' and a.search like $12 escape '\\' and a.search like $13 escape '\\'
         order by a.due_at, a.application_id
         limit $14",
        at,
        id,
        filter.state,
        filter.assigned_to,
        filter.unassigned,
        filter.late,
        filter.sensitive,
        filter.second,
        a,
        b,
        c,
        d,
        family,
        limit,
    )?)
}

/// What needs somebody, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct Counts {
    /// Open ones, drafts not counted.
    pub open: i64,
    /// Those whose move is staff's.
    pub ours: i64,
    /// Those of this member of staff whose move is theirs.
    pub mine: i64,
    /// Those of this member of staff in which the applicant has the move.
    pub mine_waiting: i64,
    /// Those that nobody has.
    pub unassigned: i64,
    /// Those whose limit was missed.
    pub late: i64,
    /// Those that nobody has taken up within the time for that.
    pub untaken: i64,
}

/// Counts for one member of staff. `taken_by`: what was handed in before this should have been taken up.
pub async fn counts(tx: &mut Tx, account_id: i64, now: Millis, taken_by: Millis) -> Result<Counts, Fault> {
    Ok(sql!(
        tx,
        one Counts,
        "select count(*) as open,
                count(case when stopped_at is null then 1 end) as ours,
                count(case when assigned_to = $1 and stopped_at is null then 1 end) as mine,
                count(case when assigned_to = $1 and stopped_at is not null then 1 end) as mine_waiting,
                count(case when assigned_to is null then 1 end) as unassigned,
                count(case when due_at <= $2 and (stopped_at is null or due_at < stopped_at) then 1 end) as late,
                count(case when assigned_to is null and submitted_at < $3 and stopped_at is null then 1 end) as untaken
         from applications
         where ended_at is null and due_at is not null",
        account_id,
        now,
        taken_by,
    )?)
}

/// An earlier application, for rule 8: what was asked before, and what became of it.
pub async fn earlier(tx: &mut Tx, app_id: i64, owner_id: i64, but: i64, limit: i64) -> Result<Vec<Line>, Fault> {
    Ok(sql!(
        tx,
        all Line,
        "select a.application_id, a.app_id, p.name as app, '' as owner, a.state, a.sensitive, a.submissions,
                a.assigned_to, r.name as reviewer, a.submitted_at, a.usual_at, a.due_at, a.stopped_at, a.answer_due_at,
                a.updated_at, a.decided_at, a.ended_at, cast(0 as bigint) as waiting
         from applications a
         join apps p on p.app_id = a.app_id
         left join accounts r on r.account_id = a.assigned_to
         where a.submissions > 0 and a.application_id <> $3 and (a.app_id = $1 or a.owner_id = $2)
         order by a.created_at desc, a.application_id desc
         limit $4",
        app_id,
        owner_id,
        but,
        limit,
    )?)
}
