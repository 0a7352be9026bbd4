//! Organisations: seats, invitations that tell nothing, limits, handing over, and the end.

use platform::accounts::Account;
use platform::apps::{self, App, AppStatus, Details, OwnerKind};
use platform::audit::Actor;
use platform::organisations::{self, Invitation, Organisation, Refusal, Seat};

use crate::applications::developer;
use crate::db_test;
use crate::support::{DAY, Engine, SECOND, World};

/// An organisation of Olga's, with an app.
struct House {
    w: World,
    olga: Account,
    organisation: Organisation,
    app: App,
}

impl House {
    async fn new(engine: Engine) -> Self {
        Self::with(engine, |_| {}).await
    }

    async fn with(engine: Engine, limits: impl FnOnce(&mut platform::settings::Organisations)) -> Self {
        let w = World::with(engine, |settings| limits(&mut settings.organisations)).await;
        let olga = developer(&w, "olga@app.example").await;
        let organisation = organisations::create(&w.platform, &olga, " Data \u{202e}Bridge\t GmbH ").await.unwrap();
        let owner = (OwnerKind::Organisation, organisation.organisation_id);
        let app = apps::create_for(&w.platform, &olga, owner, "Replay").await.unwrap();
        Self { w, olga, organisation, app }
    }

    fn id(&self) -> i64 {
        self.organisation.organisation_id
    }

    async fn seat(&self, account: &Account) -> Option<Seat> {
        organisations::seat(&mut self.w.platform.db.read().await.unwrap(), self.id(), account.account_id).await.unwrap()
    }

    async fn works(&self, account: &Account) -> Option<Seat> {
        let mut tx = self.w.platform.db.read().await.unwrap();
        organisations::seat_at_app(&mut tx, &self.app, account.account_id).await.unwrap()
    }

    async fn invite(&self, by: &Account, email: &str, role: Seat) -> Result<(), Refusal> {
        let app = (role == Seat::Manager).then_some(self.app.app_id);
        organisations::invite(&self.w.platform, by, self.id(), email, role, app).await
    }

    async fn pending(&self) -> Vec<Invitation> {
        let mut tx = self.w.platform.db.read().await.unwrap();
        organisations::pending(&mut tx, self.id(), self.w.platform.now()).await.unwrap()
    }

    async fn of(&self, account: &Account) -> Vec<Invitation> {
        let mut tx = self.w.platform.db.read().await.unwrap();
        organisations::pending_of(&mut tx, account.account_id, self.w.platform.now()).await.unwrap()
    }

    /// Invited and accepted.
    async fn join(&self, email: &str, role: Seat) -> Account {
        let account = developer(&self.w, email).await;
        self.invite(&self.olga, email, role).await.unwrap();
        let invitation = self.of(&account).await.remove(0);
        organisations::accept(&self.w.platform, &account, invitation.invitation_id).await.unwrap();
        account
    }

    async fn mails(&self) -> usize {
        self.w.drain().await;
        self.w.outbox().sent().len()
    }
}

fn words(refused: Result<(), Refusal>) -> String {
    refused.expect_err("it is refused").to_string()
}

db_test! {
    async fn whoever_makes_an_organisation_owns_it_and_its_name_is_what_can_be_seen(engine) {
        let h = House::new(engine).await;
        assert_eq!(h.organisation.name, "Data Bridge GmbH");
        assert_eq!((h.seat(&h.olga).await, h.works(&h.olga).await), (Some(Seat::Owner), Some(Seat::Owner)));
        for name in ["", "\u{202e}", &"x".repeat(101)] {
            assert!(matches!(organisations::create(&h.w.platform, &h.olga, name).await, Err(Refusal::Name(_))), "{name:?}");
        }
        // A name is not taken by having been used.
        assert!(organisations::create(&h.w.platform, &h.olga, "Data Bridge GmbH").await.is_ok());
        let mine = organisations::of_account(&mut h.w.platform.db.read().await.unwrap(), h.olga.account_id).await.unwrap();
        assert_eq!(mine.iter().map(|it| (it.members, it.apps)).collect::<Vec<_>>().len(), 2);
    }
}

db_test! {
    async fn an_invitation_does_not_tell_who_is_registered(engine) {
        let h = House::new(engine).await;
        let anna = developer(&h.w, "anna@app.example").await;
        let before = h.mails().await;
        h.invite(&h.olga, "Anna@App.example ", Seat::Admin).await.unwrap();
        h.invite(&h.olga, "nobody@app.example", Seat::Admin).await.unwrap();
        let listed = h.pending().await;
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().all(|it| it.role == Seat::Admin && it.expires_at == listed[0].expires_at));
        assert_eq!(h.mails().await, before + 1, "only the registered address gets a mail");
        assert_eq!(h.of(&anna).await.len(), 1);
        // Once more is refused in the same words for both.
        let again = [h.invite(&h.olga, "anna@app.example", Seat::Manager).await, h.invite(&h.olga, "nobody@app.example", Seat::Manager).await];
        let [known, unknown] = again.map(words);
        assert_eq!(known, unknown);
        // Whoever registers later with the address has not been invited: an invitation is to an account.
        let late = developer(&h.w, "nobody@app.example").await;
        assert!(h.of(&late).await.is_empty());
        let forged = listed.iter().find(|it| it.email == "nobody@app.example").unwrap().invitation_id;
        assert!(matches!(organisations::accept(&h.w.platform, &late, forged).await, Err(Refusal::Unknown)));
        for bad in ["", "anna", "a b@app.example", "<x>@app.example", "a@b", "x@app.example\u{202e}"] {
            assert!(matches!(h.invite(&h.olga, bad, Seat::Admin).await, Err(Refusal::State(_))), "{bad:?}");
        }
    }
}

db_test! {
    async fn an_invitation_is_answered_once_by_whom_it_is_for(engine) {
        let h = House::new(engine).await;
        let anna = developer(&h.w, "anna@app.example").await;
        let ben = developer(&h.w, "ben@app.example").await;
        h.invite(&h.olga, "anna@app.example", Seat::Manager).await.unwrap();
        let id = h.of(&anna).await[0].invitation_id;
        assert!(matches!(organisations::accept(&h.w.platform, &ben, id).await, Err(Refusal::Unknown)));
        assert!(matches!(organisations::reject(&h.w.platform, &ben, id).await, Err(Refusal::Unknown)));
        organisations::reject(&h.w.platform, &anna, id).await.unwrap();
        assert!(matches!(organisations::accept(&h.w.platform, &anna, id).await, Err(Refusal::State(_))));
        assert_eq!(h.seat(&anna).await, None);

        h.invite(&h.olga, "anna@app.example", Seat::Manager).await.unwrap();
        let id = h.of(&anna).await[0].invitation_id;
        organisations::cancel(&h.w.platform, &h.olga, h.id(), id).await.unwrap();
        assert!(matches!(organisations::accept(&h.w.platform, &anna, id).await, Err(Refusal::State(_))));

        h.invite(&h.olga, "anna@app.example", Seat::Manager).await.unwrap();
        let id = h.of(&anna).await[0].invitation_id;
        h.w.advance(14 * DAY);
        assert!(h.of(&anna).await.is_empty() && h.pending().await.is_empty());
        assert!(matches!(organisations::accept(&h.w.platform, &anna, id).await, Err(Refusal::State(_))));
        h.w.keep("expire").await;
        assert_eq!(h.w.number("select count(*) from invitations where outcome = 'expired' and email = ''").await, 1);

        h.invite(&h.olga, "anna@app.example", Seat::Manager).await.unwrap();
        let id = h.of(&anna).await[0].invitation_id;
        assert_eq!(organisations::accept(&h.w.platform, &anna, id).await.unwrap(), h.id());
        assert_eq!((h.seat(&anna).await, h.works(&anna).await), (Some(Seat::Manager), Some(Seat::Manager)));
        assert_eq!(h.works(&ben).await, None);
        assert!(h.invite(&h.olga, "anna@app.example", Seat::Admin).await.is_err(), "members change roles, they are not invited");
    }
}

db_test! {
    async fn seats_bound_what_members_do_to_each_other(engine) {
        let h = House::new(engine).await;
        let (anna, ada) = (h.join("anna@app.example", Seat::Admin).await, h.join("ada@app.example", Seat::Admin).await);
        let max = h.join("max@app.example", Seat::Manager).await;
        let (p, id) = (&h.w.platform, h.id());
        let forbidden = |done: Result<(), Refusal>| matches!(done, Err(Refusal::Forbidden(_)));
        assert!(forbidden(h.invite(&anna, "new@app.example", Seat::Admin).await));
        assert!(forbidden(h.invite(&max, "new@app.example", Seat::Manager).await));
        assert!(forbidden(organisations::remove(p, &anna, id, ada.account_id).await));
        assert!(forbidden(organisations::remove(p, &max, id, anna.account_id).await));
        assert!(forbidden(organisations::change_role(p, &anna, id, max.account_id, Seat::Admin).await));
        assert!(forbidden(organisations::change_role(p, &anna, id, ada.account_id, Seat::Manager).await));
        assert!(forbidden(organisations::hand_over(p, &anna, id, anna.account_id).await));
        assert!(forbidden(organisations::delete(p, &anna, id).await));
        assert!(forbidden(organisations::manage(p, &max, id, h.app.app_id, max.account_id, true).await));
        assert!(matches!(organisations::remove(p, &anna, id, h.olga.account_id).await, Err(Refusal::State(_))));
        assert!(matches!(organisations::change_role(p, &h.olga, id, h.olga.account_id, Seat::Admin).await, Err(Refusal::State(_))));
        assert!(matches!(organisations::change_role(p, &h.olga, id, anna.account_id, Seat::Owner).await, Err(Refusal::State(_))));
        // Somebody of another house is nobody here.
        let stranger = developer(&h.w, "eve@evil.example").await;
        organisations::create(p, &stranger, "Evil").await.unwrap();
        assert!(matches!(organisations::remove(p, &stranger, id, max.account_id).await, Err(Refusal::Unknown)));
        assert!(matches!(h.invite(&stranger, "eve@evil.example", Seat::Manager).await, Err(Refusal::Unknown)));

        organisations::change_role(p, &anna, id, anna.account_id, Seat::Manager).await.unwrap();
        assert_eq!((h.seat(&anna).await, h.works(&anna).await), (Some(Seat::Manager), None), "an admin can lay it down, and has no app then");
        organisations::remove(p, &ada, id, max.account_id).await.unwrap();
        assert_eq!((h.seat(&max).await, h.works(&max).await), (None, None));
        organisations::leave(p, &ada, id).await.unwrap();
        assert_eq!(h.seat(&ada).await, None);
    }
}

db_test! {
    async fn there_is_always_one_owner(engine) {
        let h = House::new(engine).await;
        let anna = h.join("anna@app.example", Seat::Admin).await;
        let max = h.join("max@app.example", Seat::Manager).await;
        let (p, id) = (&h.w.platform, h.id());
        assert!(matches!(organisations::leave(p, &h.olga, id).await, Err(Refusal::State(_))));
        assert!(matches!(organisations::hand_over(p, &h.olga, id, max.account_id).await, Err(Refusal::State(_))));
        // Handed to two at once: one gets it.
        let ada = h.join("ada@app.example", Seat::Admin).await;
        let (to_anna, to_ada) = (anna.account_id, ada.account_id);
        let both = tokio::join!(organisations::hand_over(p, &h.olga, id, to_anna), organisations::hand_over(p, &h.olga, id, to_ada));
        assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|ok| **ok).count(), 1);
        assert_eq!(h.w.number(format!("select count(*) from members where organisation_id = {id} and role = 'owner'")).await, 1);
        assert_eq!(h.seat(&h.olga).await, Some(Seat::Admin));
        organisations::leave(p, &h.olga, id).await.unwrap();
    }
}

db_test! {
    async fn limits_hold_even_when_all_come_at_once(engine) {
        let h = House::with(engine, |limits| {
            (limits.admins, limits.managers_per_app, limits.invitations, limits.owned) = (2, 1, 4, 2);
        })
        .await;
        let p = &h.w.platform;
        let mut invited = Vec::new();
        for name in ["a", "b", "c"] {
            let email = format!("{name}@app.example");
            invited.push(developer(&h.w, &email).await);
            h.invite(&h.olga, &email, Seat::Admin).await.unwrap();
        }
        h.invite(&h.olga, "d@app.example", Seat::Manager).await.unwrap();
        assert!(matches!(h.invite(&h.olga, "e@app.example", Seat::Manager).await, Err(Refusal::Limit(_))), "four wait");
        let mut ids = Vec::new();
        for account in &invited {
            ids.push(h.of(account).await[0].invitation_id);
        }
        let accepted = tokio::join!(
            organisations::accept(p, &invited[0], ids[0]),
            organisations::accept(p, &invited[1], ids[1]),
            organisations::accept(p, &invited[2], ids[2]),
        );
        let accepted = [accepted.0.is_ok(), accepted.1.is_ok(), accepted.2.is_ok()];
        assert_eq!(accepted.iter().filter(|ok| **ok).count(), 2, "{accepted:?}");
        // Who came too late can still accept when there is room.
        let late = accepted.iter().position(|ok| !ok).unwrap();
        let first = accepted.iter().position(|ok| *ok).unwrap();
        organisations::remove(p, &h.olga, h.id(), invited[first].account_id).await.unwrap();
        organisations::accept(p, &invited[late], ids[late]).await.unwrap();
        assert!(matches!(h.invite(&h.olga, "f@app.example", Seat::Admin).await, Err(Refusal::Limit(_))));
        organisations::create(p, &h.olga, "Second").await.unwrap();
        assert!(matches!(organisations::create(p, &h.olga, "Third").await, Err(Refusal::Limit(_))));
    }
}

db_test! {
    async fn what_a_removed_admin_invited_to_is_void(engine) {
        let h = House::new(engine).await;
        let anna = h.join("anna@app.example", Seat::Admin).await;
        let max = developer(&h.w, "max@app.example").await;
        h.invite(&anna, "max@app.example", Seat::Manager).await.unwrap();
        let id = h.of(&max).await[0].invitation_id;
        organisations::remove(&h.w.platform, &h.olga, h.id(), anna.account_id).await.unwrap();
        assert!(h.pending().await.is_empty());
        assert!(matches!(organisations::accept(&h.w.platform, &max, id).await, Err(Refusal::State(_))));
    }
}

db_test! {
    async fn an_organisation_with_a_live_app_is_not_deleted(engine) {
        let h = House::new(engine).await;
        let (p, id) = (&h.w.platform, h.id());
        let set = async |status| {
            let details = Details { status: Some(status), ..Details::default() };
            apps::change(p, Actor::Operator, &h.app.client_key, details).await.unwrap();
        };
        for status in [AppStatus::Live, AppStatus::InReview, AppStatus::Suspended, AppStatus::Revoked] {
            set(status).await;
            assert!(matches!(organisations::delete(p, &h.olga, id).await, Err(Refusal::State(_))), "{status}");
        }
        set(AppStatus::Draft).await;
        let max = developer(&h.w, "max@app.example").await;
        h.invite(&h.olga, "max@app.example", Seat::Manager).await.unwrap();
        let invitation = h.of(&max).await[0].invitation_id;
        h.w.advance(SECOND);
        organisations::delete(p, &h.olga, id).await.unwrap();
        let mut tx = p.db.read().await.unwrap();
        assert!(organisations::by_id(&mut tx, id).await.unwrap().is_none());
        assert!(apps::by_client_key(&mut tx, &h.app.client_key).await.unwrap().is_none(), "its drafts go with it");
        drop(tx);
        assert!(organisations::accept(p, &max, invitation).await.is_err());
        assert!(matches!(h.invite(&h.olga, "x@app.example", Seat::Admin).await, Err(Refusal::Unknown)));
        assert!(h.w.actions().await.contains(&"organisation.deleted".to_owned()));
    }
}
