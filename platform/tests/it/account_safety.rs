//! What keeps accounts with their holders: staff's forgotten passwords, mail about the second factor, and closing at the same moment as anything else.

use platform::accounts::{self, Account, AccountKind, CloseError, Outcome, ResetError, Role};
use platform::apps::{self, MakeError, OwnerKind};
use platform::audit::Actor;
use platform::organisations::{self, Refusal, Seat};

use crate::accounts::{ANNA, Desk, OTHER};
use crate::db_test;
use crate::support::{HOUR, PASSWORD, SECOND};

const RITA: &str = "rita@clips.example";

impl Desk {
    async fn forgot(&self, kind: AccountKind, email: &str) {
        accounts::forgot(&self.platform, kind, email).await.unwrap();
    }

    async fn reset(&self, kind: AccountKind, token: &str) -> Result<Account, ResetError> {
        accounts::reset(&self.platform, kind, token, OTHER).await
    }

    /// The words of mails about the second factor that went to an address.
    async fn told(&self, email: &str) -> Vec<String> {
        let about = ["second_factor_on", "second_factor_off", "recovery_codes_renewed"];
        let kinds = self.mails(email).await.into_iter().map(|mail| mail.kind.to_string());
        let mut told: Vec<String> = kinds.filter(|kind| about.contains(&kind.as_str())).collect();
        // Jobs of one moment run in any order.
        told.sort();
        told
    }
}

db_test! {
    async fn staff_get_a_new_password_by_mail_and_keep_their_second_factor(engine) {
        let w = Desk::new(engine).await;
        let rita = w.member(RITA, &[Role::Reviewer]).await;
        // One address, two accounts: each side has links of its own.
        w.developer(RITA).await;
        w.enrol(&rita).await;
        let rita = w.account(rita.account_id).await;
        let (session, _) = w.session(&rita).await;
        w.forgot(AccountKind::Developer, RITA).await;
        let theirs = w.mailed(RITA, "/developers/reset?token=").await;
        assert!(matches!(w.reset(AccountKind::Staff, &theirs).await, Err(ResetError::Link)), "a developer's link");
        w.forgot(AccountKind::Staff, &RITA.to_uppercase()).await;
        let first = w.mailed(RITA, "/console/reset?token=").await;
        assert!(matches!(w.reset(AccountKind::Developer, &first).await, Err(ResetError::Link)), "a member of staff's link");
        w.forgot(AccountKind::Staff, RITA).await;
        let second = w.mailed(RITA, "/console/reset?token=").await;
        assert!(accounts::look_at_reset(&w.platform, AccountKind::Staff, &first).await.unwrap().is_none(), "a newer link ends the older");
        w.reset(AccountKind::Staff, &second).await.unwrap();
        assert!(matches!(w.reset(AccountKind::Staff, &second).await, Err(ResetError::Link)), "a link works once");
        assert!(!w.lives_on(&rita, &session).await, "every session ends");
        let enter = async |password: &str| accounts::sign_in(&w.platform, AccountKind::Staff, RITA, password).await.unwrap();
        assert!(matches!(enter(OTHER).await, Outcome::SecondFactor(_)), "the mailbox alone does not open the console");
        assert!(matches!(enter(PASSWORD).await, Outcome::Wrong));
        let told: Vec<_> = w.mails(RITA).await.into_iter().filter(|mail| mail.kind.as_str() == "password_changed").collect();
        assert!(told.len() == 1 && told[0].link("/console/forgot").is_some(), "{told:?}");
        assert!(w.actions().await.contains(&"account.password_reset".to_owned()));
        // It runs out.
        w.advance(HOUR + SECOND);
        w.forgot(AccountKind::Staff, RITA).await;
        let token = w.mailed(RITA, "/console/reset?token=").await;
        w.advance(HOUR);
        assert!(matches!(w.reset(AccountKind::Staff, &token).await, Err(ResetError::Link)));
    }
}

db_test! {
    async fn staff_of_the_provider_closed_ones_and_strangers_get_no_link_for_a_password(engine) {
        let w = Desk::new(engine).await;
        let sam = w.member("sam@clips.example", &[Role::Support]).await;
        let gone = w.member("gone@clips.example", &[Role::Support]).await;
        accounts::of_provider(&w.platform, AccountKind::Staff, "sub-1", RITA, "Rita R.", &[Role::Reviewer]).await.unwrap();
        // A link that is under way when the account is closed, or goes to the provider, ends with it.
        let mut links = Vec::new();
        for email in [&sam.email, &gone.email] {
            w.forgot(AccountKind::Staff, email).await;
            links.push(w.mailed(email, "/console/reset?token=").await);
        }
        accounts::link_provider(&w.platform, Actor::Operator, sam.account_id, "sub-2").await.unwrap();
        accounts::disable(&w.platform, Actor::Operator, gone.account_id).await.unwrap();
        accounts::enable(&w.platform, Actor::Operator, gone.account_id).await.unwrap();
        for link in links {
            assert!(matches!(w.reset(AccountKind::Staff, &link).await, Err(ResetError::Link)));
        }
        accounts::disable(&w.platform, Actor::Operator, gone.account_id).await.unwrap();
        let (mails, written) = (w.number("select count(*) from notices").await, w.number("select count(*) from links").await);
        for email in [RITA, &sam.email, &gone.email, "stranger@clips.example"] {
            w.forgot(AccountKind::Staff, email).await;
        }
        assert_eq!(w.number("select count(*) from notices").await, mails);
        assert_eq!(w.number("select count(*) from links").await, written + 4, "written as for one who has a password here");
    }
}

db_test! {
    async fn who_must_set_a_first_password_does_not_come_round_it(engine) {
        let w = Desk::new(engine).await;
        let new = accounts::NewStaff { email: RITA.into(), name: "Rita".into(), roles: vec![Role::Reviewer], password: None };
        accounts::create_staff(&w.platform, Actor::Operator, new, true).await.unwrap();
        w.forgot(AccountKind::Staff, RITA).await;
        assert!(!w.was_told(RITA, "reset_password").await);
        // A link for a first password and one for a new one: whichever is used ends the other.
        let sam = w.member("sam@clips.example", &[Role::Support]).await;
        let path = accounts::welcome(&w.platform, Actor::Operator, sam.account_id, false).await.unwrap();
        w.forgot(AccountKind::Staff, &sam.email).await;
        let token = w.mailed(&sam.email, "/console/reset?token=").await;
        w.reset(AccountKind::Staff, &token).await.unwrap();
        assert!(accounts::look_at_welcome(&w.platform, path.split_once("token=").unwrap().1).await.unwrap().is_none());
    }
}

db_test! {
    async fn a_second_factor_that_changes_is_told_to_the_accounts_holder(engine) {
        let w = Desk::new(engine).await;
        let anna = w.developer(ANNA).await;
        accounts::set_notify(&w.platform, &anna, false).await.unwrap();
        w.enrol(&anna).await;
        assert_eq!(w.told(ANNA).await, ["second_factor_on"], "whatever mail they want");
        accounts::new_recovery_codes(&w.platform, &anna).await.unwrap();
        assert_eq!(w.told(ANNA).await, ["recovery_codes_renewed", "second_factor_on"]);
        accounts::drop_second_factor(&w.platform, &anna).await.unwrap();
        accounts::drop_second_factor(&w.platform, &anna).await.unwrap();
        assert_eq!(w.told(ANNA).await, ["recovery_codes_renewed", "second_factor_off", "second_factor_on"], "once");
        // One that was begun and not confirmed is none.
        accounts::begin_second_factor(&w.platform, &anna).await.unwrap();
        accounts::drop_second_factor(&w.platform, &anna).await.unwrap();
        assert!(accounts::enrolment(&w.platform, &anna, "Clips").await.unwrap().is_none());
        assert_eq!(w.told(ANNA).await.len(), 3);

        let rita = w.member(RITA, &[Role::Reviewer]).await;
        accounts::reset_second_factor(&w.platform, Actor::Operator, rita.account_id).await.unwrap();
        assert!(w.told(RITA).await.is_empty(), "there was none");
        w.enrol(&rita).await;
        accounts::reset_second_factor(&w.platform, Actor::Operator, rita.account_id).await.unwrap();
        assert_eq!(w.told(RITA).await, ["second_factor_off", "second_factor_on"]);
        let mail = w.mails(RITA).await.into_iter().find(|mail| mail.kind.as_str() == "second_factor_off").unwrap();
        assert!(mail.rendered.text.contains("An administrator has taken the second step away") && mail.link("/console/forgot").is_some());
    }
}

db_test! {
    async fn a_closed_account_is_given_nothing(engine) {
        let w = Desk::new(engine).await;
        let (anna, ben) = (w.developer(ANNA).await, w.developer("ben@clipkeeper.example").await);
        let house = organisations::create(&w.platform, &ben, "Clipkeeper").await.unwrap();
        organisations::invite(&w.platform, &ben, house.organisation_id, ANNA, Seat::Admin, None).await.unwrap();
        let mut tx = w.platform.db.read().await.unwrap();
        let invited = organisations::pending_of(&mut tx, anna.account_id, w.platform.now()).await.unwrap().remove(0);
        drop(tx);
        // What a page knew of the account a moment ago does not count.
        w.execute(format!("update accounts set disabled_at = 1 where account_id = {}", anna.account_id)).await;
        let made = apps::create_for(&w.platform, &anna, (OwnerKind::Account, anna.account_id), "Late").await;
        assert!(matches!(made, Err(MakeError::Forbidden)), "{made:?}");
        let made = organisations::create(&w.platform, &anna, "Late").await;
        assert!(matches!(made, Err(Refusal::State(_))), "{made:?}");
        let joined = organisations::accept(&w.platform, &anna, invited.invitation_id).await;
        assert!(matches!(joined, Err(Refusal::State(_))), "{joined:?}");
        assert_eq!(w.number(format!("select count(*) from members where account_id = {}", anna.account_id)).await, 0);
    }
}

db_test! {
    async fn invitations_end_with_the_account_that_sent_them(engine) {
        let w = Desk::new(engine).await;
        let (anna, ben) = (w.developer(ANNA).await, w.developer("ben@clipkeeper.example").await);
        let house = organisations::create(&w.platform, &anna, "Clipkeeper").await.unwrap();
        organisations::invite(&w.platform, &anna, house.organisation_id, &ben.email, Seat::Admin, None).await.unwrap();
        let mut tx = w.platform.db.read().await.unwrap();
        assert_eq!(organisations::pending_of(&mut tx, ben.account_id, w.platform.now()).await.unwrap().len(), 1);
        accounts::close(&w.platform, &anna).await.unwrap();
        assert!(organisations::pending_of(&mut tx, ben.account_id, w.platform.now()).await.unwrap().is_empty(), "to nobody's house");
        drop(tx);
        w.keep("expire").await;
        assert_eq!(w.number("select count(*) from invitations where email <> '' or outcome <> 'cancelled'").await, 0);
    }
}

db_test! {
    async fn an_account_that_is_closed_while_it_gets_something_leaves_nothing_that_is_nobodys(engine) {
        let w = Desk::new(engine).await;
        w.warm().await;
        for round in 0..24 {
            let anna = w.developer(&format!("anna{round}@clipkeeper.example")).await;
            let close = accounts::close(&w.platform, &anna);
            let (closed, given) = if round % 2 == 0 {
                let owner = (OwnerKind::Account, anna.account_id);
                let (closed, made) = tokio::join!(close, apps::create_for(&w.platform, &anna, owner, "Late"));
                (closed, made.is_ok())
            } else {
                // Another joins her organisation while she closes her account with it.
                let ben = w.developer(&format!("ben{round}@clipkeeper.example")).await;
                let house = organisations::create(&w.platform, &anna, "Clipkeeper").await.unwrap();
                organisations::invite(&w.platform, &anna, house.organisation_id, &ben.email, Seat::Admin, None).await.unwrap();
                let mut tx = w.platform.db.read().await.unwrap();
                let invited = organisations::pending_of(&mut tx, ben.account_id, w.platform.now()).await.unwrap().remove(0);
                drop(tx);
                let (closed, joined) = tokio::join!(close, organisations::accept(&w.platform, &ben, invited.invitation_id));
                (closed, joined.is_ok())
            };
            match closed {
                Ok(()) => assert!(!given, "round {round}: closed, and given something"),
                Err(CloseError::OwnsApps | CloseError::OwnsOrganisation) => assert!(given, "round {round}"),
                Err(fault) => panic!("{fault}"),
            }
        }
    }
}
