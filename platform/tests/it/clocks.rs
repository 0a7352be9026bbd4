//! Whatever happens to applications in whatever order, their promises hold: a random walk over applicants, reviewers and the clock, with a look
//! at all rows after each step.

use std::collections::BTreeMap;
use std::time::Duration;

use platform::accounts::Account;
use platform::applications::case::{self, Evidence};
use platform::applications::decide::{self, Outcome, Verdict};
use platform::applications::questions::{self, By};
use platform::applications::{self, Application, State, clocks, review, rows};
use platform::apps::{self, App, OwnerKind};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Map, json};

use crate::applications::{developer, draft, hand_in, staff};
use crate::support::{DAY, Engine, HOUR, World, postgres_is_there, runtime};

/// What may happen. Numbers choose among what is there, wrapping around.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin {
        app: usize,
        sensitive: bool,
    },
    HandIn(usize),
    Triage {
        by: usize,
        which: usize,
    },
    Take {
        by: usize,
        which: usize,
    },
    Assign {
        by: usize,
        to: usize,
        which: usize,
    },
    Ask {
        by: usize,
        which: usize,
    },
    Answer {
        which: usize,
        change: bool,
    },
    Reopen {
        by: usize,
        which: usize,
    },
    Withdraw(usize),
    Record {
        by: usize,
        which: usize,
    },
    Conflict {
        by: usize,
        which: usize,
    },
    Decide {
        by: usize,
        which: usize,
        verdict: usize,
    },
    Revoke {
        by: usize,
        which: usize,
    },
    Pass(Duration),
    Keep,
    /// With the version of before: nothing may change.
    Stale {
        by: usize,
        which: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let by = 0..3usize;
    let which = 0..8usize;
    let pair = (by.clone(), which.clone());
    let hours = prop_oneof![4 => 0u64..30, 3 => 24u64..200, 2 => 300u64..900];
    prop_oneof![
        3 => (0..3usize, any::<bool>()).prop_map(|(app, sensitive)| Step::Begin { app, sensitive }),
        5 => which.clone().prop_map(Step::HandIn),
        1 => pair.clone().prop_map(|(by, which)| Step::Triage { by, which }),
        5 => pair.clone().prop_map(|(by, which)| Step::Take { by, which }),
        1 => (by.clone(), 0..3usize, which.clone()).prop_map(|(by, to, which)| Step::Assign { by, to, which }),
        4 => pair.clone().prop_map(|(by, which)| Step::Ask { by, which }),
        3 => (which.clone(), any::<bool>()).prop_map(|(which, change)| Step::Answer { which, change }),
        2 => pair.clone().prop_map(|(by, which)| Step::Reopen { by, which }),
        1 => which.clone().prop_map(Step::Withdraw),
        3 => pair.clone().prop_map(|(by, which)| Step::Record { by, which }),
        1 => pair.clone().prop_map(|(by, which)| Step::Conflict { by, which }),
        5 => (by, which.clone(), 0..3usize).prop_map(|(by, which, verdict)| Step::Decide { by, which, verdict }),
        1 => pair.clone().prop_map(|(by, which)| Step::Revoke { by, which }),
        4 => hours.prop_map(|hours| Step::Pass(hours as u32 * HOUR)),
        4 => Just(Step::Keep),
        1 => pair.prop_map(|(by, which)| Step::Stale { by, which }),
    ]
}

struct Walk {
    w: World,
    developer: Account,
    apps: Vec<App>,
    reviewers: Vec<Account>,
    made: Vec<i64>,
    seen: BTreeMap<i64, Application>,
}

impl Walk {
    async fn new(engine: Engine) -> Self {
        let w = World::new(engine).await;
        let developer = developer(&w, "mara@lantern.example").await;
        let (mut all, mut reviewers) = (Vec::new(), Vec::new());
        for name in ["One", "Two", "Three"] {
            let owner = (OwnerKind::Account, developer.account_id);
            all.push(apps::create_for(&w.platform, &developer, owner, name).await.unwrap());
        }
        for name in ["Rita", "Ruben", "Rosa"] {
            reviewers.push(staff(&w, name, &[platform::accounts::Role::Reviewer]).await);
        }
        Self { w, developer, apps: all, reviewers, made: Vec::new(), seen: BTreeMap::new() }
    }

    async fn get(&self, which: usize) -> Option<Application> {
        let id = (!self.made.is_empty()).then(|| self.made[which % self.made.len()])?;
        let mut tx = self.w.platform.db.read().await.unwrap();
        applications::by_id(&mut tx, id).await.unwrap()
    }

    async fn take_step(&mut self, step: Step) {
        let platform = self.w.platform.clone();
        let refused = |refusal: review::Refusal| {
            assert!(!matches!(refusal, review::Refusal::Fault(_)), "{refusal:?}");
        };
        match step {
            Step::Begin { app, sensitive } => {
                let app = self.apps[app % self.apps.len()].clone();
                let mut tx = platform.db.read().await.unwrap();
                let open = applications::open_of_app(&mut tx, app.app_id).await.unwrap();
                drop(tx);
                if open.is_none() {
                    let scopes: &[&str] =
                        if sensitive { &["portability.profile.single"] } else { &["portability.activity.single"] };
                    self.made.push(draft(&self.w, &self.developer, &app, scopes).await.application_id);
                }
            }
            Step::HandIn(which) => {
                if let Some(application) = self.get(which).await {
                    hand_in(&self.w, &self.developer, &application).await;
                }
            }
            Step::Pass(by) => self.w.advance(by),
            Step::Keep => self.w.keep("review").await,
            Step::Withdraw(which) => {
                if let Some(a) = self.get(which).await {
                    let done = applications::withdraw(&platform, &self.developer, a.application_id, a.version).await;
                    let _ = done.map_err(refused);
                }
            }
            Step::Answer { which, change } => {
                let Some(a) = self.get(which).await else { return };
                let mut tx = platform.db.read().await.unwrap();
                let question = case::questions(&mut tx, a.application_id).await.unwrap().pop();
                drop(tx);
                let Some(question) = question else { return };
                let mut fields = Map::new();
                if change {
                    fields.insert("use_case".into(), json!(format!("at {}", platform.now().0)));
                }
                let by = By::Developer(&self.developer, question.question_id);
                let _ = questions::answer(&platform, by, "It is so.", fields).await.map_err(refused);
            }
            Step::Triage { by, which }
            | Step::Take { by, which }
            | Step::Ask { by, which }
            | Step::Reopen { by, which }
            | Step::Record { by, which }
            | Step::Conflict { by, which }
            | Step::Revoke { by, which }
            | Step::Stale { by, which }
            | Step::Assign { by, which, .. }
            | Step::Decide { by, which, .. } => {
                let Some(a) = self.get(which).await else { return };
                let (id, version) = (a.application_id, a.version);
                let staff = &self.reviewers[by % 3];
                let done = match step {
                    Step::Triage { .. } => review::triage(&platform, staff, id, version).await.map(drop),
                    Step::Take { .. } => review::take(&platform, staff, id, version).await.map(drop),
                    Step::Assign { to, .. } => {
                        let to = self.reviewers[to % 3].account_id;
                        review::assign(&platform, staff, id, version, to, "a note").await.map(drop)
                    }
                    Step::Ask { .. } => {
                        questions::ask(&platform, staff, id, version, "Why?", &["use_case".to_owned()]).await.map(drop)
                    }
                    Step::Reopen { .. } => applications::reopen(&platform, staff, id, "Mend it.").await.map(drop),
                    Step::Record { .. } => {
                        let all = [Evidence::Register, Evidence::Domain, Evidence::Site, Evidence::Contact, Evidence::Language];
                        for kind in all {
                            let _ = review::record(&platform, staff, id, kind, "seen").await.map_err(refused);
                        }
                        Ok(())
                    }
                    Step::Conflict { .. } => review::declare_conflict(&platform, staff, id, "A friend.").await.map(drop),
                    Step::Revoke { .. } => {
                        applications::revoke(&platform, staff, id, version, "TERMS_BREACHED", "Sold.").await.map(drop)
                    }
                    Step::Stale { .. } => {
                        let old = review::take(&platform, staff, id, version - 1).await;
                        assert!(old.is_err());
                        old.map(drop)
                    }
                    Step::Decide { verdict, .. } => {
                        let due_at = (platform.now() + 30 * DAY).0;
                        let verdict = match verdict {
                            0 => Verdict::Approve,
                            1 => Verdict::Conditions {
                                text: "Soon.".into(),
                                due_at: due_at - due_at % 86_400_000_000 + 86_400_000_000,
                            },
                            _ => Verdict::Refuse { code: "CTA_MISSING".into(), text: String::new() },
                        };
                        let outcomes: Vec<Outcome> = applications::asked_families(&a.answers())
                            .into_iter()
                            .map(|family| Outcome { family, verdict: verdict.clone() })
                            .collect();
                        decide::decide(&platform, staff, id, version, &outcomes, "").await.map(drop)
                    }
                    _ => Ok(()),
                };
                let _ = done.map_err(refused);
            }
        }
    }

    /// Looks at all rows, against how they were before the step.
    async fn promises(&mut self, step: Step) -> Result<(), TestCaseError> {
        let platform = self.w.platform.clone();
        let now = platform.now();
        let calendar = platform.settings.review.calendar();
        let mut tx = platform.db.read().await.unwrap();
        for id in &self.made {
            let a = applications::by_id(&mut tx, *id).await.unwrap().unwrap();
            prop_assert_eq!(a.ended_at.is_some(), a.state.is_final());
            prop_assert_eq!(
                a.stopped_at.is_some(),
                a.state.waits_for_applicant(),
                "the reviewer's clock runs while the applicant has the move"
            );
            prop_assert_eq!(a.answer_due_at.is_some(), a.state.waits_for_applicant());
            prop_assert_eq!(a.reopened_from.is_some(), a.state == State::Reopened);
            let events = rows::events(&mut tx, *id).await.unwrap();
            let decisions = case::decisions(&mut tx, *id).await.unwrap();
            let decided = decisions.iter().filter(|decision| decision.in_force).count();
            prop_assert_eq!(decided, usize::from(a.decided_at.is_some()), "decided once");
            let open = case::questions(&mut tx, *id).await.unwrap().iter().filter(|q| q.closed_at.is_none()).count();
            prop_assert_eq!(open, usize::from(a.state == State::NeedsInfo));
            let conflicts = case::conflicts(&mut tx, *id).await.unwrap();
            for conflict in &conflicts {
                prop_assert!(a.state.is_final() || a.assigned_to != Some(conflict.account_id));
            }
            if let Some(before) = self.seen.get(id) {
                if before.state != a.state {
                    let moved = a.state.may_come_from().contains(&before.state);
                    prop_assert!(moved, "{} to {} by {step:?}", before.state, a.state);
                    let told = events.iter().any(|event| {
                        event.at == now && event.from_state == Some(before.state) && event.to_state == Some(a.state)
                    });
                    prop_assert!(told, "a silent move");
                }
                prop_assert_eq!(before == &a, before.version == a.version, "what changes counts");
                prop_assert!(before.decided_at.is_none() || before.decided_at == a.decided_at);
                prop_assert!(before.ended_at.is_none() || before.ended_at == a.ended_at);
                prop_assert!(before.submitted_at.is_none() || before.submitted_at == a.submitted_at);
                prop_assert!(before.escalated_at.is_none() || before.escalated_at == a.escalated_at);
                if let (Some(due), Some(due_now)) = (before.due_at, a.due_at) {
                    let resumed = before.stopped_at.filter(|_| a.stopped_at.is_none());
                    match resumed {
                        None => prop_assert_eq!(due, due_now, "a due date moved by {:?}", step),
                        Some(stopped) if stopped > due => prop_assert_eq!(due, due_now, "what was missed stays missed"),
                        Some(stopped) => {
                            let left = clocks::remaining_days(stopped, due, &calendar);
                            let on_a_day_off = left == 0 && !calendar.works(calendar.day(now));
                            let left = if on_a_day_off { 1 } else { left };
                            prop_assert_eq!(clocks::remaining_days(now, due_now, &calendar), left, "days were lost or won");
                        }
                    }
                }
                if matches!(step, Step::Keep) {
                    prop_assert!(
                        before.state == a.state || before.state.waits_for_applicant() || a.state == State::Expired,
                        "the clock moved {} to {}",
                        before.state,
                        a.state
                    );
                }
            }
            self.seen.insert(*id, a);
        }
        if matches!(step, Step::Keep) {
            for a in self.seen.values() {
                let missed = a.state.waits_for_staff() && a.due_at.is_some_and(|due| due <= now);
                prop_assert!(!missed || a.escalated_at.is_some(), "a missed limit was not told");
                prop_assert!(a.answer_due_at.is_none_or(|due| due > now), "nobody waits beyond the limit");
            }
        }
        Ok(())
    }
}

fn walk(engine: Engine, cases: u32) {
    let mut runner = TestRunner::new(Config { cases, max_shrink_iters: 60, failure_persistence: None, ..Config::default() });
    let steps = proptest::collection::vec(step(), 20..60);
    runner
        .run(&steps, |steps| {
            runtime().block_on(async {
                let mut walk = Walk::new(engine).await;
                for step in steps {
                    walk.take_step(step).await;
                    walk.promises(step).await?;
                }
                Ok(())
            })
        })
        .unwrap();
}

mod any_order_of_events_keeps_states_and_clocks {
    use super::*;

    #[test]
    fn sqlite() {
        walk(Engine::Sqlite, 24);
    }

    #[test]
    fn postgres() {
        if postgres_is_there() {
            walk(Engine::Postgres, 12);
        }
    }
}
