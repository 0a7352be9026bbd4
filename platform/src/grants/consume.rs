//! Which single scopes a request spends (contract 2.3), as a pure function.

use wire::{Scope, ScopeKind};

/// A scope of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub scope: Scope,
    /// Whether a request has used it up already; only singles can be.
    pub spent: bool,
}

/// What one asked category needs: a scope of its own family, or of the family that covers everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The category's family, such as `portability.activity`.
    pub family: String,
    /// The family that covers every category, if the catalogue has one.
    pub everything: Option<String>,
}

impl Need {
    fn met_by(&self, scope: &Scope) -> bool {
        self.family == scope.family() || self.everything.as_deref() == Some(scope.family())
    }
}

/// Why scopes do not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// They would, had singles not been used up.
    Spent,
    /// The person never granted what is needed.
    Missing,
}

/// The singles that a request for these needs spends, in the order they are held.
///
/// Needs that an ongoing scope meets cost nothing. For the rest, one single that meets them all is spent, the broadest first, so that the
/// others survive on the same token; if none does, one single for each family.
pub fn spend(held: &[Held], needs: &[Need]) -> Result<Vec<Scope>, Shortfall> {
    match choose(held.iter().filter(|held| !held.spent), needs) {
        Some(chosen) => Ok(chosen),
        None if choose(held.iter(), needs).is_some() => Err(Shortfall::Spent),
        None => Err(Shortfall::Missing),
    }
}

fn choose<'a>(held: impl Iterator<Item = &'a Held>, needs: &[Need]) -> Option<Vec<Scope>> {
    let (ongoing, single): (Vec<&Scope>, Vec<&Scope>) =
        held.map(|held| &held.scope).filter(|scope| scope.is_portability()).partition(|scope| scope.kind() == ScopeKind::Ongoing);
    let rest: Vec<&Need> = needs.iter().filter(|need| !ongoing.iter().any(|scope| need.met_by(scope))).collect();
    let Some(first) = rest.first() else { return Some(Vec::new()) };

    let whole = |scope: &&&Scope| rest.iter().all(|need| need.met_by(scope));
    let broadest = single.iter().filter(whole).find(|scope| first.everything.as_deref() == Some(scope.family()));
    if let Some(scope) = broadest.or_else(|| single.iter().find(whole)) {
        return Some(vec![(*scope).clone()]);
    }
    let one_each = rest.iter().all(|need| single.iter().any(|scope| scope.family() == need.family));
    let wanted = |scope: &&&Scope| rest.iter().any(|need| need.family == scope.family());
    one_each.then(|| single.iter().filter(wanted).map(|scope| (*scope).clone()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    use super::*;

    const SCOPES: [&str; 9] = [
        "user.info.basic",
        "p.all.single",
        "p.all.ongoing",
        "p.activity.single",
        "p.activity.ongoing",
        "p.posts.single",
        "p.posts.ongoing",
        "p.messages.single",
        "p.messages.ongoing",
    ];

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    fn hold(scopes: &[&str]) -> Vec<Held> {
        scopes.iter().map(|text| Held { scope: scope(text), spent: false }).collect()
    }

    fn needs(families: &[&str]) -> Vec<Need> {
        families.iter().map(|family| Need { family: format!("p.{family}"), everything: Some("p.all".into()) }).collect()
    }

    fn spent(held: &[&str], asked: &[&str]) -> Result<Vec<String>, Shortfall> {
        spend(&hold(held), &needs(asked)).map(|scopes| scopes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_contracts_example() {
        let both = ["p.all.single", "p.activity.single"];
        assert_eq!(spent(&both, &["activity", "posts"]).unwrap(), ["p.all.single"]);
        assert_eq!(spent(&["p.activity.single"], &["activity"]).unwrap(), ["p.activity.single"]);
    }

    #[test]
    fn ongoing_costs_nothing_and_singles_fill_what_it_leaves() {
        assert!(spent(&["p.all.ongoing", "p.all.single"], &["activity", "all"]).unwrap().is_empty());
        assert_eq!(spent(&["p.activity.ongoing", "p.posts.single"], &["activity", "posts"]).unwrap(), ["p.posts.single"]);
        assert_eq!(
            spent(&["p.activity.single", "p.messages.single"], &["activity", "messages"]).unwrap(),
            ["p.activity.single", "p.messages.single"]
        );
        assert_eq!(spent(&["p.activity.single"], &["activity", "posts"]), Err(Shortfall::Missing));
        assert_eq!(spent(&["p.activity.single", "p.posts.ongoing"], &["all"]), Err(Shortfall::Missing));
    }

    proptest! {
        #[test]
        fn every_need_is_met_and_nothing_is_spent_twice_or_in_vain(
            granted in subsequence(&SCOPES[..], 0..=9),
            calls in prop::collection::vec(subsequence(&["all", "activity", "posts", "messages"][..], 1..=4), 1..8),
        ) {
            let mut held = hold(&granted);
            for asked in calls {
                let needs = needs(&asked);
                let free = |held: &[Held]| -> Vec<Scope> {
                    held.iter().filter(|held| !held.spent).map(|held| held.scope.clone()).collect()
                };
                let before = free(&held);
                match spend(&held, &needs) {
                    Ok(chosen) => {
                        let ongoing = |need: &Need| before.iter().any(|s| s.kind() == ScopeKind::Ongoing && need.met_by(s));
                        for need in &needs {
                            prop_assert!(ongoing(need) || chosen.iter().any(|s| need.met_by(s)));
                        }
                        for s in &chosen {
                            prop_assert_eq!(s.kind(), ScopeKind::Single);
                            prop_assert!(before.contains(s), "spent what was not there");
                            prop_assert!(needs.iter().any(|need| !ongoing(need) && need.met_by(s)), "spent in vain");
                        }
                        if needs.iter().all(ongoing) {
                            prop_assert!(chosen.is_empty());
                        }
                        let alone = before.iter().any(|s| {
                            s.kind() == ScopeKind::Single && needs.iter().all(|need| ongoing(need) || need.met_by(s))
                        });
                        prop_assert!(!alone || chosen.len() <= 1, "one would have done");
                        for held in held.iter_mut().filter(|held| chosen.contains(&held.scope)) {
                            held.spent = true;
                        }
                    }
                    Err(shortfall) => {
                        for pick in [&before, &hold(&granted).into_iter().map(|held| held.scope).collect()] {
                            let met = needs.iter().all(|need| pick.iter().any(|s| s.is_portability() && need.met_by(s)));
                            let before = pick.len() == before.len();
                            let told = if before { !met } else { met == (shortfall == Shortfall::Spent) };
                            prop_assert!(told);
                        }
                    }
                }
            }
        }
    }
}
