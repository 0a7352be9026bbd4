//! Everything that tables share: the cast, the crowd around it, the videos that go round, the chats, and the calendar.

use super::Plan;
use super::draw::{Dice, Span, Zipf, snowflake};
use super::people::{FRIENDS, Person, Volumes, cast, friend};
use super::words;

const YEAR: i64 = 365 * 86_400_000;
/// Longer than a live room or a sitting lasts: what begins this long before now also ends before now.
const MARGIN: i64 = 3 * 3_600_000;
/// Ids of the crowd start here, out of the way of the cast.
const CROWD: i64 = 1_000_001;

/// An account that nobody signs in to: other people's names, creators, viewers.
pub(super) struct Account {
    pub(super) id: i64,
    pub(super) username: String,
}

/// A video that goes round.
pub(super) struct Clip {
    pub(super) id: i64,
    pub(super) author: i64,
    pub(super) at: i64,
    pub(super) title: String,
}

/// A conversation, with the number of its messages.
pub(super) struct Chat {
    pub(super) id: i64,
    pub(super) kind: &'static str,
    pub(super) title: String,
    pub(super) members: Vec<i64>,
    pub(super) messages: u64,
}

/// One row to be made: its id, which of the person's rows of this table it is, and when it happened.
pub(super) struct Tick {
    pub(super) id: i64,
    pub(super) nth: u64,
    pub(super) at: i64,
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) span: Span,
    pub(super) people: Vec<Person>,
    pub(super) crowd: Vec<Account>,
    pub(super) clips: Vec<Clip>,
    pub(super) chats: Vec<Chat>,
    zipf: Zipf,
}

impl World {
    pub(super) fn new(plan: &Plan) -> World {
        let span = Span::new(plan.now - 3 * YEAR, plan.now - MARGIN);
        let people = cast(plan);
        // A prime number, so that a stride through the crowd meets everybody before it meets anybody twice.
        let crowd = if plan.heavy_rows > 1_000_000 { 10_007 } else { 2_003 };
        let crowd: Vec<Account> =
            (0..crowd).map(|nth| Account { id: CROWD + nth as i64, username: words::handle(nth) }).collect();
        let clips = clips(plan, &span, &crowd);
        let chats = chats(plan, &people, &crowd);
        World { seed: plan.seed, zipf: Zipf::new(clips.len()), span, people, crowd, clips, chats }
    }

    /// Rows in all, for the progress bar: exact but for what the cast shares.
    pub(super) fn expected(&self) -> u64 {
        let own: u64 = self.people.iter().map(|person| person.rows.total() + 8).sum();
        own + self.crowd.len() as u64 + self.clips.len() as u64
    }

    pub(super) fn dice(&self, who: i64, table: &str) -> Dice {
        Dice::new(self.seed, who, table)
    }

    /// A video that was already there at `at`, popular ones more often.
    pub(super) fn seen(&self, dice: &mut Dice, at: i64) -> &Clip {
        let there = self.clips.partition_point(|clip| clip.at < at).max(1);
        // The stride takes neighbours in rank apart in time.
        &self.clips[(self.zipf.draw(dice) * 7919 + 13) % self.clips.len() % there]
    }

    /// The one of the cast whom this person follows and is followed by, if both have room for that.
    pub(super) fn friend(&self, person: &Person) -> Option<i64> {
        let known = |id: i64| self.people.iter().any(|p| p.id == id && p.rows.following > 0 && p.rows.followers > 0);
        friend(person.id).filter(|other| known(person.id) && known(*other))
    }

    /// Somebody of the crowd.
    pub(super) fn anybody(&self, dice: &mut Dice) -> &Account {
        &self.crowd[dice.below(self.crowd.len() as u64) as usize]
    }

    /// The `nth` of one person's acquaintances of some kind, each another.
    pub(super) fn acquaintance(&self, start: u64, nth: u64) -> &Account {
        &self.crowd[((start + nth * 37) % self.crowd.len() as u64) as usize]
    }

    /// Makes the rows of one table, person by person, oldest first.
    pub(super) fn timeline(
        &self,
        table: &str,
        count: fn(&Volumes) -> u64,
        mut row: impl FnMut(&Person, &Tick, &mut Dice) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut id = 0;
        for person in &self.people {
            let mut dice = self.dice(person.id, table);
            let rows = count(&person.rows);
            for nth in 0..rows {
                id += 1;
                let at = self.span.moment(&mut dice, nth, rows);
                row(person, &Tick { id, nth, at }, &mut dice)?;
            }
        }
        Ok(())
    }
}

fn clips(plan: &Plan, span: &Span, crowd: &[Account]) -> Vec<Clip> {
    let mut dice = Dice::new(plan.seed, 0, "clips");
    let count = 8_000 + (plan.heavy_rows / 20).min(400_000);
    // A quarter of them is older than anything that anybody did.
    let older = Span::new(span.from - YEAR, span.to);
    (0..count)
        .map(|nth| {
            let at = older.moment(&mut dice, nth, count);
            let author = crowd[dice.below(crowd.len() as u64) as usize].id;
            let title = if dice.chance(30) { words::phrase(&mut dice) } else { String::new() };
            Clip { id: snowflake(at, nth), author, at, title }
        })
        .collect()
}

/// Each person's chats with the crowd, and the one between the two friends, which counts for both.
fn chats(plan: &Plan, people: &[Person], crowd: &[Account]) -> Vec<Chat> {
    let mut chats: Vec<Chat> = Vec::new();
    let shared = people
        .iter()
        .filter(|person| friend(person.id).is_some())
        .map(|person| person.rows.direct_messages / 8)
        .min()
        .unwrap_or(0);
    chats.push(Chat { id: 1, kind: "direct", title: String::new(), members: vec![FRIENDS.0, FRIENDS.1], messages: shared });
    for person in people {
        let mut dice = Dice::new(plan.seed, person.id, "chats");
        let mine = person.rows.direct_messages - friend(person.id).map_or(0, |_| shared);
        let start = dice.below(crowd.len() as u64);
        for (nth, messages) in shares(mine, 9 + mine / 1500).into_iter().enumerate() {
            let peer = crowd[(start as usize + nth * 37) % crowd.len()].id;
            chats.push(Chat {
                id: chats.len() as i64 + 1,
                kind: "direct",
                title: String::new(),
                members: vec![person.id, peer],
                messages,
            });
        }
        const GROUPS: &[&str] = &["Family 👨‍👩‍👧‍👦", "Quartett \"Saitenwind\"", "Поход 2025: палатка/еда"];
        for (nth, messages) in shares(person.rows.group_messages, 3).into_iter().enumerate() {
            let mut members = vec![person.id];
            members.extend((0..4).map(|more| crowd[(start as usize + 500 + nth * 50 + more * 11) % crowd.len()].id));
            chats.push(Chat { id: chats.len() as i64 + 1, kind: "group", title: GROUPS[nth].to_owned(), members, messages });
        }
    }
    // A chat nobody wrote in is no chat.
    chats.retain(|chat| chat.messages > 0);
    chats
}

/// Divides `all` among `parts`, each next one smaller, nothing lost.
fn shares(all: u64, parts: u64) -> Vec<u64> {
    let weight: u64 = (1..=parts).sum();
    let mut shares: Vec<u64> = (0..parts).map(|nth| all * (parts - nth) / weight).collect();
    let given: u64 = shares.iter().sum();
    if let Some(first) = shares.first_mut() {
        *first += all - given;
    }
    shares
}
