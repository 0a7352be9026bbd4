//! Accounts: who they are, how they are proved, and that nobody learns more than they should.

use platform::accounts::{
    self, Account, AccountKind, CloseError, EmailError, NewDeveloper, NewStaff, Outcome, ProviderRefusal, ResetError, Role,
    StaffError, VerifyError,
};
use platform::audit::Actor;
use platform::notices::Sent;
use totp_rs::{Builder, Secret};

use crate::db_test;
use crate::support::{DAY, Engine, HOUR, MINUTE, PASSWORD, SECOND, World};

pub(crate) const ANNA: &str = "anna@clipkeeper.example";
pub(crate) const OTHER: &str = "another lamp in june";

/// A world whose accounts are looked at.
pub(crate) struct Desk(pub(crate) World);

impl std::ops::Deref for Desk {
    type Target = World;
    fn deref(&self) -> &World {
        &self.0
    }
}

impl Desk {
    pub(crate) async fn new(engine: Engine) -> Self {
        Self(World::new(engine).await)
    }

    /// Signs up and gives the token that was mailed, or none if the mail said something else.
    async fn sign_up(&self, email: &str, password: &str) -> String {
        let new = NewDeveloper { email: email.into(), name: "Anna Q.".into(), password: password.into() };
        accounts::sign_up(&self.platform, new).await.unwrap().unwrap()
    }

    pub(crate) async fn developer(&self, email: &str) -> Account {
        let token = self.sign_up(email, PASSWORD).await;
        accounts::verify(&self.platform, &token, PASSWORD).await.unwrap()
    }

    pub(crate) async fn member(&self, email: &str, roles: &[Role]) -> Account {
        let new = NewStaff { email: email.into(), name: "Rita".into(), roles: roles.into(), password: Some(PASSWORD.into()) };
        accounts::create_staff(&self.platform, Actor::Operator, new, false).await.unwrap().0
    }

    pub(crate) async fn account(&self, id: i64) -> Account {
        let mut tx = self.platform.db.read().await.unwrap();
        accounts::by_id(&mut tx, id).await.unwrap().unwrap()
    }

    async fn roles(&self, id: i64) -> Vec<Role> {
        let mut tx = self.platform.db.read().await.unwrap();
        accounts::roles(&mut tx, id).await.unwrap()
    }

    pub(crate) async fn mails(&self, email: &str) -> Vec<Sent> {
        self.drain().await;
        self.outbox().to(email)
    }

    pub(crate) async fn was_told(&self, email: &str, kind: &str) -> bool {
        self.mails(email).await.iter().any(|mail| mail.kind.as_str() == kind)
    }

    /// The token of the last mail to an address that has a link of that path.
    pub(crate) async fn mailed(&self, email: &str, path: &str) -> String {
        let mails = self.mails(email).await;
        let link = mails.iter().rev().find_map(|mail| mail.link(path)).expect("a mail with that link");
        link.split_once("token=").expect("a token").1.to_owned()
    }

    async fn in_by(&self, email: &str, password: &str) -> bool {
        let found = accounts::sign_in(&self.platform, AccountKind::Developer, email, password).await.unwrap();
        matches!(found, Outcome::In(_))
    }

    pub(crate) async fn session(&self, account: &Account) -> (String, i64) {
        let token = accounts::begin_session(&self.platform, account, true, "a test").await.unwrap();
        let id = accounts::of_session(&self.platform, account.kind, &token).await.unwrap().unwrap().1.session_id;
        (token, id)
    }

    pub(crate) async fn lives_on(&self, account: &Account, token: &str) -> bool {
        accounts::of_session(&self.platform, account.kind, token).await.unwrap().is_some()
    }

    /// Switches the second factor on; gives its secret and the recovery codes.
    pub(crate) async fn enrol(&self, account: &Account) -> (Vec<u8>, Vec<String>) {
        accounts::begin_second_factor(&self.platform, account).await.unwrap();
        let enrolment = accounts::enrolment(&self.platform, account, "Clips").await.unwrap().unwrap();
        let secret = Secret::try_from_base32(enrolment.secret.replace(' ', "")).unwrap().as_bytes().to_vec();
        let code = self.code_of(&secret);
        let codes = accounts::confirm_second_factor(&self.platform, account, 0, &code).await.unwrap().unwrap();
        (secret, codes)
    }

    /// As an authenticator app shows it now.
    pub(crate) fn code_of(&self, secret: &[u8]) -> String {
        let totp = Builder::new().with_secret(Secret::new(secret.into())).with_account_name("x").build().unwrap();
        totp.generate(u64::try_from(self.platform.now().seconds()).unwrap()).to_string()
    }
}

db_test! {
    async fn an_account_takes_the_mailed_link_and_the_password(engine) {
        let w = Desk::new(engine).await;
        w.sign_up(&format!("  {} ", ANNA.to_uppercase()), PASSWORD).await;
        assert!(!w.in_by(ANNA, PASSWORD).await, "no account before the address is proved");
        let token = w.mailed(ANNA, "/developers/verify?token=").await;
        assert!(matches!(accounts::verify(&w.platform, &token, OTHER).await, Err(VerifyError::Password)));
        let account = accounts::verify(&w.platform, &token, PASSWORD).await.unwrap();
        assert_eq!((account.email.as_str(), account.kind, account.name.as_str()), (ANNA, AccountKind::Developer, "Anna Q."));
        assert!(w.in_by(" Anna@ClipKeeper.example", PASSWORD).await);
        assert!(!w.in_by(ANNA, OTHER).await);
        assert!(matches!(accounts::verify(&w.platform, &token, PASSWORD).await, Err(VerifyError::Link)), "a link works once");
        assert_eq!(w.number("select count(*) from sign_ups").await, 0);
        assert!(w.actions().await.contains(&"account.made".to_owned()));
    }
}

db_test! {
    async fn a_link_that_a_stranger_asked_for_makes_nobodys_account(engine) {
        let w = Desk::new(engine).await;
        // The stranger signs up with Anna's address and a password of theirs; Anna signs up, too, and follows either link.
        w.sign_up(ANNA, OTHER).await;
        let strangers = w.mailed(ANNA, "/developers/verify?token=").await;
        let own = w.sign_up(ANNA, PASSWORD).await;
        assert!(matches!(accounts::verify(&w.platform, &strangers, PASSWORD).await, Err(VerifyError::Password)));
        accounts::verify(&w.platform, &own, PASSWORD).await.unwrap();
        assert!(matches!(accounts::verify(&w.platform, &strangers, OTHER).await, Err(VerifyError::Link)));
        assert!(!w.in_by(ANNA, OTHER).await);
    }
}

db_test! {
    async fn two_who_prove_one_address_at_once_make_one_account(engine) {
        let w = Desk::new(engine).await;
        let (one, two) = (w.sign_up(ANNA, PASSWORD).await, w.sign_up(ANNA, OTHER).await);
        let both = tokio::join!(accounts::verify(&w.platform, &one, PASSWORD), accounts::verify(&w.platform, &two, OTHER));
        assert!(both.0.is_ok() != both.1.is_ok(), "{both:?}");
        assert_eq!(w.number("select count(*) from accounts").await, 1);
    }
}

db_test! {
    async fn a_taken_address_takes_the_same_way_and_its_holder_is_told(engine) {
        let w = Desk::new(engine).await;
        w.developer(ANNA).await;
        let before = w.number("select count(*) from notices").await;
        let token = w.sign_up(ANNA, OTHER).await;
        assert_eq!(w.number("select count(*) from sign_ups").await, 1);
        assert_eq!(w.number("select count(*) from notices").await, before + 1);
        assert!(w.was_told(ANNA, "account_exists").await);
        let told: Vec<Sent> = w.mails(ANNA).await.into_iter().filter(|mail| mail.kind.as_str() == "account_exists").collect();
        assert!(told.len() == 1 && told[0].link("/developers/verify?token=").is_none());
        // Even with the token, which nobody is told.
        assert!(matches!(accounts::verify(&w.platform, &token, OTHER).await, Err(VerifyError::Link)));
        assert!(w.in_by(ANNA, PASSWORD).await && !w.in_by(ANNA, OTHER).await);
    }
}

db_test! {
    async fn links_end(engine) {
        let w = Desk::new(engine).await;
        let token = w.sign_up(ANNA, PASSWORD).await;
        w.advance(DAY);
        assert!(accounts::look_at_sign_up(&w.platform, &token).await.unwrap().is_none());
        assert!(matches!(accounts::verify(&w.platform, &token, PASSWORD).await, Err(VerifyError::Link)));
        w.keep("forget").await;
        assert_eq!(w.number("select (select count(*) from sign_ups) + (select count(*) from links)").await, 0);

        let anna = w.developer(ANNA).await;
        accounts::forgot(&w.platform, AccountKind::Developer, ANNA).await.unwrap();
        let reset = w.mailed(ANNA, "/developers/reset?token=").await;
        w.advance(HOUR);
        assert!(matches!(accounts::reset(&w.platform, AccountKind::Developer, &reset, OTHER).await, Err(ResetError::Link)));
        accounts::forgot(&w.platform, AccountKind::Developer, ANNA).await.unwrap();
        let first = w.mailed(ANNA, "/developers/reset?token=").await;
        accounts::forgot(&w.platform, AccountKind::Developer, ANNA).await.unwrap();
        let second = w.mailed(ANNA, "/developers/reset?token=").await;
        assert!(accounts::look_at_reset(&w.platform, AccountKind::Developer, &first).await.unwrap().is_none(), "a newer link ends the older");
        assert_eq!(accounts::look_at_reset(&w.platform, AccountKind::Developer, &second).await.unwrap().unwrap().account_id, anna.account_id);
        // A link of one purpose is none of another.
        assert!(accounts::look_at_sign_up(&w.platform, &second).await.unwrap().is_none());
        assert!(accounts::look_at_welcome(&w.platform, &second).await.unwrap().is_none());
    }
}

db_test! {
    async fn a_new_password_ends_every_session_and_is_told(engine) {
        let w = Desk::new(engine).await;
        let anna = w.developer(ANNA).await;
        let (one, _) = w.session(&anna).await;
        let (two, _) = w.session(&anna).await;
        accounts::forgot(&w.platform, AccountKind::Developer, &ANNA.to_uppercase()).await.unwrap();
        let token = w.mailed(ANNA, "/developers/reset?token=").await;
        assert!(matches!(accounts::reset(&w.platform, AccountKind::Developer, &token, "short").await, Err(ResetError::Flaw(_))), "and the link is still good");
        accounts::reset(&w.platform, AccountKind::Developer, &token, OTHER).await.unwrap();
        assert!(!w.lives_on(&anna, &one).await && !w.lives_on(&anna, &two).await);
        assert!(w.in_by(ANNA, OTHER).await && !w.in_by(ANNA, PASSWORD).await);
        assert!(w.was_told(ANNA, "password_changed").await);
        assert!(matches!(accounts::reset(&w.platform, AccountKind::Developer, &token, PASSWORD).await, Err(ResetError::Link)), "a link works once");

        let (kept, kept_id) = w.session(&anna).await;
        let (other, _) = w.session(&anna).await;
        assert!(accounts::change_password(&w.platform, &anna, kept_id, PASSWORD).await.unwrap().is_ok());
        assert!(w.lives_on(&anna, &kept).await && !w.lives_on(&anna, &other).await);
    }
}

db_test! {
    async fn nobody_is_mailed_who_has_no_account_nor_too_often(engine) {
        let w = Desk::new(engine).await;
        for stranger in ["nobody@clipkeeper.example", "no address", "a\0b@clipkeeper.example"] {
            accounts::forgot(&w.platform, AccountKind::Developer, stranger).await.unwrap();
        }
        assert_eq!(w.number("select count(*) from notices").await, 0);
        assert_eq!(w.number("select count(*) from links").await, 1, "written as for one who has an account");
        for _ in 0..9 {
            w.sign_up(ANNA, PASSWORD).await;
        }
        assert_eq!(w.mails(ANNA).await.len(), 5);
        w.advance(HOUR + SECOND);
        w.sign_up(ANNA, PASSWORD).await;
        assert_eq!(w.mails(ANNA).await.len(), 6);
    }
}

db_test! {
    async fn what_cannot_be_an_account_is_refused_with_all_its_flaws(engine) {
        let w = Desk::new(engine).await;
        let new = NewDeveloper { email: "no\0where".into(), name: " ".into(), password: "short".into() };
        let flaws = accounts::sign_up(&w.platform, new).await.unwrap().unwrap_err();
        assert_eq!(flaws.iter().map(|flaw| flaw.field).collect::<Vec<_>>(), ["name", "email", "password"]);
        for password in ["x".repeat(1001), ANNA.to_owned(), "Anna Q. 1234".to_owned()] {
            let new = NewDeveloper { email: ANNA.into(), name: "Anna Q.".into(), password };
            assert!(accounts::sign_up(&w.platform, new).await.unwrap().is_err());
        }
        assert!(!w.in_by("no\0where", "no\0thing").await);
        assert!(!w.in_by(ANNA, &"x".repeat(1_000_000)).await);
    }
}

db_test! {
    async fn a_code_works_once_and_so_does_each_recovery_code(engine) {
        let w = Desk::new(engine).await;
        let anna = w.developer(ANNA).await;
        let (token, _) = w.session(&anna).await;
        let (secret, codes) = w.enrol(&anna).await;
        assert!(!w.lives_on(&anna, &token).await, "sessions without the second factor end");
        let anna = w.account(anna.account_id).await;
        assert!(anna.has_second_factor());
        assert!(accounts::enrolment(&w.platform, &anna, "Clips").await.unwrap().is_none(), "the secret is not told any more");
        let found = accounts::sign_in(&w.platform, AccountKind::Developer, ANNA, PASSWORD).await.unwrap();
        assert!(matches!(found, Outcome::SecondFactor(_)), "{found:?}");

        let check = async |code: &str| accounts::check_code(&w.platform, &anna, code).await.unwrap();
        assert!(!check(&w.code_of(&secret)).await, "the code that confirmed it was used");
        w.advance(30 * SECOND);
        let code = w.code_of(&secret);
        let spaced = format!(" {} {} ", &code[..3], &code[3..]);
        assert!(check(&spaced).await);
        assert!(!check(&code).await, "replayed");
        // A code of the step before still works, unless a later one was used.
        w.advance(30 * SECOND);
        let now = w.code_of(&secret);
        w.advance(30 * SECOND);
        let later = w.code_of(&secret);
        assert!(check(&later).await);
        assert!(!check(&now).await, "older than one that was used");
        for wrong in ["", "000000", "abcdef", "1234567", "１２３４５６", "\0"] {
            assert!(!check(wrong).await, "{wrong}");
        }
        assert_eq!(codes.len(), 10);
        assert!(check(&codes[3].to_uppercase().replace('-', " ")).await);
        assert!(!check(&codes[3]).await, "used up");
        let left = accounts::recovery_codes_left(&mut w.platform.db.read().await.unwrap(), anna.account_id).await.unwrap();
        assert_eq!(left, 9);
        let others = w.developer("ben@clipkeeper.example").await;
        assert!(!accounts::check_code(&w.platform, &others, &codes[4]).await.unwrap(), "another account's");
        let new = accounts::new_recovery_codes(&w.platform, &anna).await.unwrap();
        assert!(!check(&codes[5]).await && check(&new[5]).await);
    }
}

db_test! {
    async fn of_many_at_once_with_one_code_one_gets_in(engine) {
        let w = Desk::new(engine).await;
        let anna = w.developer(ANNA).await;
        let (secret, codes) = w.enrol(&anna).await;
        w.advance(30 * SECOND);
        w.warm().await;
        for code in [w.code_of(&secret), codes[0].clone()] {
            let tries = (0..8).map(|_| accounts::check_code(&w.platform, &anna, &code));
            let right = futures_util::future::try_join_all(tries).await.unwrap();
            assert_eq!(right.iter().filter(|right| **right).count(), 1);
        }
    }
}

db_test! {
    async fn secrets_of_second_factors_outlive_a_rotation_of_keys(engine) {
        let w = Desk::new(engine).await;
        let anna = w.developer(ANNA).await;
        let (secret, _) = w.enrol(&anna).await;
        for _ in 0..3 {
            w.advance(2 * DAY);
            w.platform.rotate_keys(Actor::Operator).await.unwrap();
        }
        assert!(accounts::check_code(&w.platform, &anna, &w.code_of(&secret)).await.unwrap());
        assert_eq!(w.number("select count(*) from accounts where totp_sealed is null").await, 0);
    }
}

db_test! {
    async fn setting_up_begins_anew_with_another_secret(engine) {
        let w = Desk::new(engine).await;
        let anna = w.developer(ANNA).await;
        let secret = async || {
            accounts::begin_second_factor(&w.platform, &anna).await.unwrap();
            accounts::enrolment(&w.platform, &anna, "Cl:ips").await.unwrap().unwrap()
        };
        let (one, two) = (secret().await, secret().await);
        assert_ne!(*one.secret, *two.secret);
        assert!(two.uri.starts_with("otpauth://totp/Cl%20ips:anna%40clipkeeper.example?secret="), "{}", *two.uri);
        assert!(accounts::qr_svg(&two.uri).unwrap().contains("<svg"));
        assert!(accounts::confirm_second_factor(&w.platform, &anna, 0, "000000").await.unwrap().is_none());
        assert!(!w.account(anna.account_id).await.has_second_factor());
        w.enrol(&anna).await;
        // In force, it is not replaced by beginning again.
        accounts::begin_second_factor(&w.platform, &anna).await.unwrap();
        assert!(w.account(anna.account_id).await.has_second_factor());
        assert!(accounts::enrolment(&w.platform, &anna, "Clips").await.unwrap().is_none());
    }
}

db_test! {
    async fn another_address_is_proved_and_the_old_one_told(engine) {
        let w = Desk::new(engine).await;
        let anna = w.developer(ANNA).await;
        let ben = w.developer("ben@clipkeeper.example").await;
        let new = "anna@new.example";
        assert!(accounts::ask_for_email(&w.platform, &anna, ANNA).await.unwrap().is_err());
        accounts::ask_for_email(&w.platform, &anna, new).await.unwrap().unwrap();
        let token = w.mailed(new, "/developers/account/email/confirm?token=").await;
        assert!(matches!(accounts::confirm_email(&w.platform, &ben, &token).await, Err(EmailError::Link)), "another's link");
        assert_eq!(accounts::confirm_email(&w.platform, &anna, &token).await.unwrap(), new);
        assert!(w.in_by(new, PASSWORD).await && !w.in_by(ANNA, PASSWORD).await);
        assert!(w.was_told(ANNA, "email_changed").await);
        assert!(matches!(accounts::confirm_email(&w.platform, &anna, &token).await, Err(EmailError::Link)));

        // A taken one: the same answer, and its holder is told.
        accounts::ask_for_email(&w.platform, &anna, &ben.email).await.unwrap().unwrap();
        assert!(w.was_told(&ben.email, "account_exists").await);
        // One that is taken between the mail and the link.
        accounts::ask_for_email(&w.platform, &anna, "late@new.example").await.unwrap().unwrap();
        let token = w.mailed("late@new.example", "/developers/account/email/confirm?token=").await;
        w.developer("late@new.example").await;
        assert!(matches!(accounts::confirm_email(&w.platform, &anna, &token).await, Err(EmailError::Link)));
    }
}

db_test! {
    async fn a_closed_account_leaves_nothing_that_names_its_holder(engine) {
        let w = Desk::new(engine).await;
        let anna = w.developer(ANNA).await;
        w.enrol(&anna).await;
        let (token, _) = w.session(&anna).await;
        let id = anna.account_id;
        w.execute(format!(
            "insert into organisations (organisation_id, name, created_at) values (7, 'Clipkeeper', 0);
             insert into members (organisation_id, account_id, role, since) values (7, {id}, 'owner', 0);
             update apps set owner_kind = 'organisation', owner_id = 7 where app_id = {}", w.app.app_id
        ))
        .await;
        assert!(matches!(accounts::close(&w.platform, &anna).await, Err(CloseError::OwnsApps)));
        w.execute(format!("update apps set owner_kind = 'account', owner_id = {id}")).await;
        assert!(matches!(accounts::close(&w.platform, &anna).await, Err(CloseError::OwnsApps)));
        w.execute("update apps set deleted_at = 1").await;
        let ben = w.developer("ben@clipkeeper.example").await;
        w.execute(format!("insert into members (organisation_id, account_id, role, since) values (7, {}, 'admin', 0)", ben.account_id)).await;
        assert!(matches!(accounts::close(&w.platform, &anna).await, Err(CloseError::OwnsOrganisation)));
        assert!(w.lives_on(&anna, &token).await && w.in_by(&ben.email, PASSWORD).await, "a refusal changes nothing");
        w.execute(format!("delete from members where account_id = {}", ben.account_id)).await;

        assert_eq!(w.texts("select detail from audit_details where detail like '%@%' order by detail").await, [ANNA, "ben@clipkeeper.example"]);
        accounts::close(&w.platform, &anna).await.unwrap();
        assert_eq!(w.texts("select detail from audit_details where detail like '%@%'").await, ["ben@clipkeeper.example"]);
        assert!(!w.lives_on(&anna, &token).await && !w.in_by(ANNA, PASSWORD).await);
        let gone = w.account(id).await;
        assert_eq!((gone.email.as_str(), gone.name.as_str(), gone.notify), (format!("closed {id}").as_str(), "", false));
        let row = format!("select count(*) from accounts where account_id = {id} and password_hash is null and totp_sealed is null");
        assert_eq!(w.number(row).await, 1);
        for table in ["recovery_codes", "account_sessions", "members", "sign_ups"] {
            assert_eq!(w.number(format!("select count(*) from {table}")).await, 0, "{table}");
        }
        assert_eq!(w.number("select count(*) from organisations where deleted_at is null").await, 0);
        // The address is free again, for a new account that has nothing of the old.
        let again = w.developer(ANNA).await;
        assert_ne!(again.account_id, id);
    }
}

db_test! {
    async fn sessions_are_half_whole_fresh_and_ended(engine) {
        let w = Desk::new(engine).await;
        let anna = w.developer(ANNA).await;
        let of = async |token: &str| accounts::of_session(&w.platform, AccountKind::Developer, token).await.unwrap();
        let half = accounts::begin_session(&w.platform, &anna, false, "a\u{7}b").await.unwrap();
        let (_, session) = of(&half).await.unwrap();
        assert!(!session.complete && !accounts::is_fresh(&w.platform, &session));
        assert_eq!(session.agent, "ab");
        assert!(accounts::of_session(&w.platform, AccountKind::Staff, &half).await.unwrap().is_none(), "of the other kind");
        let whole = accounts::complete_session(&w.platform, &anna, &half).await.unwrap().unwrap();
        assert!(of(&half).await.is_none(), "the token before the second factor is of no use after it");
        assert!(accounts::complete_session(&w.platform, &anna, &half).await.unwrap().is_none());
        let (_, session) = of(&whole).await.unwrap();
        assert!(session.complete && accounts::is_fresh(&w.platform, &session));
        w.advance(15 * MINUTE);
        assert!(!accounts::is_fresh(&w.platform, &of(&whole).await.unwrap().1));
        assert!(accounts::proves_who_it_is(&w.platform, &anna, PASSWORD).await.unwrap());
        let fresh = accounts::freshen(&w.platform, &anna, &whole).await.unwrap().unwrap();
        assert!(of(&whole).await.is_none());
        assert!(accounts::is_fresh(&w.platform, &of(&fresh).await.unwrap().1));
        w.advance(12 * HOUR - 15 * MINUTE);
        assert!(of(&fresh).await.is_none(), "a session ends, however fresh it was");

        let late = accounts::begin_session(&w.platform, &anna, false, "").await.unwrap();
        w.advance(10 * MINUTE);
        assert!(of(&late).await.is_none() && accounts::complete_session(&w.platform, &anna, &late).await.unwrap().is_none());

        let ben = w.developer("ben@clipkeeper.example").await;
        let ((one, one_id), (two, _), (bens, bens_id)) = (w.session(&anna).await, w.session(&anna).await, w.session(&ben).await);
        assert_eq!(accounts::sessions(&mut w.platform.db.read().await.unwrap(), anna.account_id, w.platform.now()).await.unwrap().len(), 2);
        assert!(!accounts::end_session_of(&w.platform, &anna, bens_id).await.unwrap(), "another's session");
        assert!(accounts::end_session_of(&w.platform, &anna, one_id).await.unwrap());
        assert!(of(&one).await.is_none() && of(&two).await.is_some() && of(&bens).await.is_some());
        accounts::end_session(&w.platform, &two).await.unwrap();
        assert!(of(&two).await.is_none());
        w.keep("forget").await;
        assert_eq!(w.number("select count(*) from account_sessions").await, 1);
    }
}

db_test! {
    async fn the_last_administrator_stays_and_nobody_raises_themselves(engine) {
        let w = Desk::new(engine).await;
        let set = async |actor, id, roles: &[Role]| accounts::set_roles(&w.platform, actor, id, roles).await;
        let rita = w.member("rita@clips.example", &[Role::Administrator]).await;
        let sam = w.member("sam@clips.example", &[Role::Support]).await;
        assert!(matches!(set(Actor::Operator, rita.account_id, &[Role::Reviewer]).await, Err(StaffError::LastAdministrator)));
        assert!(matches!(accounts::disable(&w.platform, rita.actor(), rita.account_id).await, Err(StaffError::LastAdministrator)));
        let more = [Role::Administrator, Role::Reviewer];
        assert!(matches!(set(rita.actor(), rita.account_id, &more).await, Err(StaffError::OwnRole)));
        assert!(matches!(set(rita.actor(), sam.account_id, &[]).await, Err(StaffError::Flaws(_))));
        assert!(matches!(set(rita.actor(), 12_345, &more).await, Err(StaffError::Nobody)));
        assert_eq!(w.roles(rita.account_id).await, [Role::Administrator]);

        set(rita.actor(), sam.account_id, &[Role::Administrator, Role::Support]).await.unwrap();
        let found = accounts::with_role(&mut w.platform.db.read().await.unwrap(), Role::Administrator).await.unwrap();
        assert_eq!(found.iter().map(|account| account.account_id).collect::<Vec<_>>(), [rita.account_id, sam.account_id]);
        // Both take it from each other at once: one keeps it.
        w.warm().await;
        let both = tokio::join!(
            set(rita.actor(), sam.account_id, &[Role::Support]),
            set(sam.actor(), rita.account_id, &[Role::Reviewer])
        );
        assert!(both.0.is_ok() != both.1.is_ok(), "{both:?}");
        let left = "select count(*) from staff_roles where role = 'administrator'";
        assert_eq!(w.number(left).await, 1);
    }
}

db_test! {
    async fn a_closed_account_of_staff_opens_nothing(engine) {
        let w = Desk(World::with(engine, |settings| settings.accounts.staff_second_factor = false).await);
        let rita = w.member("rita@clips.example", &[Role::Administrator]).await;
        let sam = w.member("sam@clips.example", &[Role::Support]).await;
        let (token, _) = w.session(&sam).await;
        let enters = async || {
            let found = accounts::sign_in(&w.platform, AccountKind::Staff, "sam@clips.example", PASSWORD).await.unwrap();
            matches!(found, Outcome::In(_))
        };
        assert!(enters().await);
        let as_developer = accounts::sign_in(&w.platform, AccountKind::Developer, "sam@clips.example", PASSWORD).await.unwrap();
        assert!(matches!(as_developer, Outcome::Wrong), "staff are not developers");
        accounts::disable(&w.platform, rita.actor(), sam.account_id).await.unwrap();
        assert!(!w.lives_on(&sam, &token).await && !enters().await);
        // Even a session that was just being begun.
        let late = accounts::begin_session(&w.platform, &sam, true, "").await.unwrap();
        assert!(!w.lives_on(&sam, &late).await);
        accounts::enable(&w.platform, rita.actor(), sam.account_id).await.unwrap();
        assert!(enters().await);
        assert_eq!(w.roles(sam.account_id).await, [Role::Support]);
    }
}

db_test! {
    async fn staff_choose_their_first_password_and_need_a_second_factor(engine) {
        let w = Desk::new(engine).await;
        let new = NewStaff { email: "Rita@Clips.example".into(), name: "Rita".into(), roles: vec![Role::Administrator], password: None };
        let (rita, path) = accounts::create_staff(&w.platform, Actor::Operator, new.clone(), true).await.unwrap();
        assert!(matches!(accounts::create_staff(&w.platform, Actor::Operator, new, true).await, Err(StaffError::Taken)));
        let token = w.mailed("rita@clips.example", "/console/welcome?token=").await;
        assert!(path.unwrap().ends_with(&token));
        assert!(matches!(accounts::first_password(&w.platform, &token, "rita").await, Err(ResetError::Flaw(_))));
        accounts::first_password(&w.platform, &token, PASSWORD).await.unwrap();
        assert!(matches!(accounts::first_password(&w.platform, &token, PASSWORD).await, Err(ResetError::Link)));
        let enter = async || accounts::sign_in(&w.platform, AccountKind::Staff, "rita@clips.example", PASSWORD).await.unwrap();
        assert!(matches!(enter().await, Outcome::Enrol(_)));
        // However its session began, it is half until there is a second factor.
        let (token, _) = w.session(&rita).await;
        let complete = async || accounts::of_session(&w.platform, AccountKind::Staff, &token).await.unwrap().unwrap().1.complete;
        assert!(!complete().await);
        accounts::begin_second_factor(&w.platform, &rita).await.unwrap();
        let enrolment = accounts::enrolment(&w.platform, &rita, "Clips").await.unwrap().unwrap();
        let secret = Secret::try_from_base32(enrolment.secret.replace(' ', "")).unwrap().as_bytes().to_vec();
        let session = accounts::of_session(&w.platform, AccountKind::Staff, &token).await.unwrap().unwrap().1.session_id;
        accounts::confirm_second_factor(&w.platform, &rita, session, &w.code_of(&secret)).await.unwrap().unwrap();
        assert!(complete().await);
        assert!(matches!(enter().await, Outcome::SecondFactor(_)));
        accounts::reset_second_factor(&w.platform, Actor::Operator, rita.account_id).await.unwrap();
        assert!(accounts::of_session(&w.platform, AccountKind::Staff, &token).await.unwrap().is_none());
        assert!(matches!(enter().await, Outcome::Enrol(_)));
        // A link of a time before the account was closed is of no use after it.
        let other = w.member("other@clips.example", &[Role::Administrator]).await;
        let link = accounts::welcome(&w.platform, other.actor(), rita.account_id, false).await.unwrap();
        accounts::disable(&w.platform, other.actor(), rita.account_id).await.unwrap();
        let link = link.split_once("token=").unwrap().1;
        assert!(accounts::look_at_welcome(&w.platform, link).await.unwrap().is_none());
    }
}

db_test! {
    async fn the_provider_says_who_is_staff_and_what_they_may_do(engine) {
        let w = Desk::new(engine).await;
        let come = async |subject: &str, email: &str, roles: &[Role]| {
            accounts::of_provider(&w.platform, AccountKind::Staff, subject, email, "Rita R.", roles).await
        };
        let rita = come("sub-1", "Rita@Clips.example", &[Role::Reviewer, Role::Administrator]).await.unwrap();
        assert_eq!(w.roles(rita.account_id).await, [Role::Administrator, Role::Reviewer]);
        assert!(!rita.must_enrol(&w.platform), "the second factor is the provider's");
        let (token, _) = w.session(&rita).await;
        assert!(accounts::of_session(&w.platform, AccountKind::Staff, &token).await.unwrap().unwrap().1.complete);
        // The same subject, with another address and other roles.
        let again = come("sub-1", "rita@new.example", &[Role::Support]).await.unwrap();
        assert_eq!((again.account_id, again.email.as_str()), (rita.account_id, "rita@new.example"));
        assert_eq!(w.roles(rita.account_id).await, [Role::Support]);
        // An address is anybody's claim: it makes nobody somebody else.
        let sam = w.member("sam@clips.example", &[Role::Administrator]).await;
        for taken in ["rita@new.example", "sam@clips.example"] {
            assert!(matches!(come("sub-2", taken, &[Role::Reviewer]).await, Err(ProviderRefusal::AddressTaken)), "{taken}");
        }
        assert!(matches!(come("sub-1", "sam@clips.example", &[Role::Support]).await, Err(ProviderRefusal::AddressTaken)));
        for nonsense in ["", "a\0b", &"x".repeat(256)] {
            assert!(matches!(come(nonsense, "x@clips.example", &[Role::Support]).await, Err(ProviderRefusal::Flaw(_))));
        }
        // Nobody changes here what is kept there.
        let refused = accounts::set_roles(&w.platform, sam.actor(), rita.account_id, &[Role::Reviewer]).await;
        assert!(matches!(refused, Err(StaffError::Provider)));
        assert!(matches!(accounts::welcome(&w.platform, sam.actor(), rita.account_id, false).await, Err(StaffError::Provider)));
        let by_password = accounts::sign_in(&w.platform, AccountKind::Staff, "rita@new.example", PASSWORD).await.unwrap();
        assert!(matches!(by_password, Outcome::Wrong));
        // No role any more: out, at once.
        assert!(matches!(come("sub-1", "rita@new.example", &[]).await, Err(ProviderRefusal::NoRole)));
        assert!(!w.lives_on(&rita, &token).await && w.roles(rita.account_id).await.is_empty());
        assert!(matches!(come("sub-3", "new@clips.example", &[]).await, Err(ProviderRefusal::NoRole)));
        come("sub-1", "rita@new.example", &[Role::Support]).await.unwrap();
        accounts::disable(&w.platform, sam.actor(), rita.account_id).await.unwrap();
        assert!(matches!(come("sub-1", "rita@new.example", &[Role::Support]).await, Err(ProviderRefusal::Disabled)));
        // A local account is handed over by the operator's own act.
        accounts::link_provider(&w.platform, Actor::Operator, sam.account_id, "sub-9").await.unwrap();
        let linked = come("sub-9", "sam@clips.example", &[Role::Administrator]).await.unwrap();
        assert_eq!(linked.account_id, sam.account_id);
        let by_password = accounts::sign_in(&w.platform, AccountKind::Staff, "sam@clips.example", PASSWORD).await.unwrap();
        assert!(matches!(by_password, Outcome::Wrong));
    }
}

db_test! {
    async fn the_record_tells_acts_and_names_nobody(engine) {
        let w = Desk::new(engine).await;
        let anna = w.developer(ANNA).await;
        w.enrol(&anna).await;
        accounts::rename(&w.platform, &anna, "Anna Other").await.unwrap().unwrap();
        accounts::set_notify(&w.platform, &anna, false).await.unwrap();
        let told = w.texts("select actor || ' ' || action || ' ' || detail from audit").await.join("\n");
        for action in ["account.made", "account.renamed", "account.notify_set", "account.second_factor_on"] {
            assert!(told.contains(&format!("developer {} {action}", anna.account_id)), "{action} in {told}");
        }
        for name in ["anna@", "Anna", "lnk.", "ses."] {
            assert!(!told.contains(name), "{name} in {told}");
        }
    }
}
