//! Tickets: whose move it is, who sees what, and that nothing is told twice.

use platform::accounts::{Account, Role};
use platform::apps::{self, App, OwnerKind};
use platform::organisations::{self, Seat};
use platform::tickets::{self, Filter, Kind, New, Refusal, State, Ticket, Topic, Writing};
use platform::uploads::{self, NewUpload, Purpose, Upload};
use platform::{Millis, applications};
use proptest::prelude::*;

use crate::applications::{Desk, developer, staff};
use crate::db_test;
use crate::support::{DAY, Engine, HOUR, World, runtime};
use crate::uploads::{file, pdf};

/// Support, a developer with an app and an application, and somebody else.
struct Counter {
    desk: Desk,
    ines: Account,
    omar: Account,
    stranger: Account,
}

impl Counter {
    async fn new(engine: Engine) -> Self {
        let desk = Desk::new(engine).await;
        let ines = staff(&desk.w, "Ines", &[Role::Support]).await;
        let omar = staff(&desk.w, "Omar", &[Role::Support, Role::Administrator]).await;
        let stranger = developer(&desk.w, "eve@elsewhere.example").await;
        Self { desk, ines, omar, stranger }
    }

    fn w(&self) -> &World {
        &self.desk.w
    }

    fn mara(&self) -> &Account {
        &self.desk.developer
    }

    async fn open(&self, topic: Topic, subject: &str) -> Ticket {
        tickets::open(&self.w().platform, self.mara(), new(topic, subject)).await.unwrap()
    }

    async fn now(&self, ticket: &Ticket) -> Ticket {
        let mut tx = self.w().platform.db.read().await.unwrap();
        tickets::by_id(&mut tx, ticket.ticket_id).await.unwrap().unwrap()
    }

    async fn answer(&self, by: &Account, ticket: &Ticket, text: &str) -> Result<Ticket, Refusal> {
        tickets::answer(&self.w().platform, by, ticket.ticket_id, ticket.version, say(text), false).await
    }

    async fn write(&self, ticket: &Ticket, text: &str) -> Result<Ticket, Refusal> {
        tickets::write(&self.w().platform, self.mara(), ticket.ticket_id, say(text)).await
    }

    async fn messages(&self, ticket: &Ticket) -> Vec<(Kind, String)> {
        let mut tx = self.w().platform.db.read().await.unwrap();
        let messages = tickets::messages(&mut tx, ticket.ticket_id).await.unwrap();
        messages.into_iter().map(|message| (message.kind, message.text)).collect()
    }

    /// The kinds of mails to an address so far, by name: those of one moment go out in any order.
    async fn mails(&self, to: &str) -> Vec<String> {
        self.w().drain().await;
        let mut kinds: Vec<_> = self.w().outbox().to(to).into_iter().map(|sent| sent.kind.to_string()).collect();
        kinds.sort();
        kinds
    }

    async fn sees(&self, ticket: &Ticket, account: &Account) -> bool {
        let mut tx = self.w().platform.db.read().await.unwrap();
        let one = tickets::for_developer(&mut tx, ticket.ticket_id, account.account_id).await.unwrap().is_some();
        let lines = tickets::of_account(&mut tx, account.account_id, None, 50).await.unwrap();
        assert_eq!(one, lines.iter().any(|line| line.ticket_id == ticket.ticket_id), "the list and the page agree");
        one
    }

    async fn audit(&self, ticket: &Ticket) -> Vec<String> {
        let id = ticket.ticket_id;
        self.w().texts(format!("select action || ' by ' || actor from audit where about_id = {id} order by at, action")).await
    }

    async fn file(&self, by: &Account) -> Upload {
        let new = NewUpload {
            owner_id: by.account_id,
            account_id: Some(by.account_id),
            app_id: None,
            purpose: Purpose::TicketAttachment,
            name: "screen.pdf".into(),
        };
        uploads::take(&self.w().platform, new, file(&pdf("a screen", &[]))).await.unwrap()
    }
}

fn say(text: &str) -> Writing {
    Writing { text: text.into(), ..Writing::default() }
}

fn new(topic: Topic, subject: &str) -> New {
    New { topic: Some(topic), subject: subject.into(), app_id: None, application_id: None, writing: say("It does not work.") }
}

db_test! {
    async fn a_ticket_goes_back_and_forth_and_says_whose_move_it_is(engine) {
        let c = Counter::new(engine).await;
        let opened = c.open(Topic::Webhooks, "No calls since Monday").await;
        assert_eq!((opened.state, opened.version, opened.assigned_to), (State::Open, 1, None));
        // Thursday 1 January 2026: two working days later is Monday, to its end.
        assert_eq!(opened.due_at, Some(Millis(1_767_657_599_999)));
        assert_eq!(c.now(&opened).await, opened);
        assert_eq!(c.mails("mara@lantern.example").await, ["ticket_opened"]);
        let mail = c.w().outbox().to("mara@lantern.example").pop().unwrap();
        assert!(mail.rendered.text.contains("Monday 5 January 2026") && mail.rendered.text.contains(&opened.reference()));

        c.w().advance(HOUR);
        let answered = c.answer(&c.ines, &opened, "Which address?").await.unwrap();
        assert_eq!((answered.state, answered.due_at, answered.assigned_to), (State::Answered, None, Some(c.ines.account_id)));
        assert_eq!(answered.first_answered_at, Some(c.w().platform.now()));

        c.w().advance(HOUR);
        let back = c.write(&answered, "https://hooks.lantern.example").await.unwrap();
        assert_eq!(back.state, State::Open);
        // Three working days for a later one.
        assert_eq!(back.due_at, Some(Millis(1_767_743_999_999)));
        assert_eq!(c.mails("ines@operator.example").await, ["ticket_replied"]);
        let more = c.write(&back, "One thing more").await.unwrap();
        assert_eq!((more.state, more.due_at), (State::Open, back.due_at), "a second message gives no other date");

        let closed = tickets::answer(&c.w().platform, &c.ines, more.ticket_id, more.version, say("Mended."), true).await.unwrap();
        assert_eq!((closed.state, closed.due_at, closed.closed_at.is_some()), (State::Closed, None, true));
        assert!(matches!(c.answer(&c.ines, &closed, "And?").await, Err(Refusal::NotNow(State::Closed))));
        let again = c.write(&closed, "Broken again").await.unwrap();
        assert_eq!((again.state, again.closed_at), (State::Open, None));
        let done = tickets::close(&c.w().platform, c.mara(), again.ticket_id).await.unwrap();
        assert_eq!(done.state, State::Closed);
        assert_eq!(c.messages(&done).await.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [
            Kind::Message, Kind::Answer, Kind::Message, Kind::Message, Kind::Answer, Kind::Closed, Kind::Message, Kind::Closed,
        ]);
        let ines = format!("staff {}", c.ines.account_id);
        let audit = c.audit(&done).await;
        for action in ["ticket.opened by developer", "ticket.written by developer", "ticket.closed by developer"] {
            assert!(audit.iter().any(|entry| entry.starts_with(action)), "{action}: {audit:?}");
        }
        assert!(audit.contains(&format!("ticket.answered by {ines}")) && audit.contains(&format!("ticket.closed by {ines}")));
        assert_eq!(c.mails("mara@lantern.example").await, ["ticket_answered", "ticket_answered", "ticket_closed", "ticket_opened"]);
    }
}

db_test! {
    async fn a_form_that_is_posted_twice_makes_one_ticket_and_one_message(engine) {
        let c = Counter::new(engine).await;
        let platform = &c.w().platform;
        let twice = || New { writing: Writing { form: "abcdef0123456789".into(), ..say("Hello") }, ..new(Topic::Other, "Twice") };
        c.w().warm().await;
        let (a, b, d) = tokio::join!(
            tickets::open(platform, c.mara(), twice()),
            tickets::open(platform, c.mara(), twice()),
            tickets::open(platform, c.mara(), twice()),
        );
        let ids = [a.unwrap().ticket_id, b.unwrap().ticket_id, d.unwrap().ticket_id];
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(c.w().number("select count(*) from tickets").await, 1);
        assert_eq!(c.mails("mara@lantern.example").await, ["ticket_opened"]);
        // The same token of somebody else's form is another form.
        let other = tickets::open(platform, &c.stranger, twice()).await.unwrap();
        assert_ne!(other.ticket_id, ids[0]);

        let ticket = c.open(Topic::Other, "x").await;
        let message = || Writing { form: "0123456789abcdef".into(), ..say("Once") };
        for _ in 0..2 {
            tickets::write(platform, c.mara(), ticket.ticket_id, message()).await.unwrap();
        }
        let now = c.now(&ticket).await;
        for _ in 0..2 {
            tickets::answer(platform, &c.ines, ticket.ticket_id, now.version, message(), false).await.unwrap();
        }
        let note = || Writing { form: "fedcba9876543210".into(), ..say("Note") };
        for _ in 0..2 {
            tickets::note(platform, &c.ines, ticket.ticket_id, note()).await.unwrap();
        }
        assert_eq!(c.messages(&ticket).await.len(), 4);
    }
}

db_test! {
    async fn of_two_who_answer_at_once_the_second_is_told(engine) {
        let c = Counter::new(engine).await;
        let ticket = c.open(Topic::Other, "x").await;
        c.w().warm().await;
        let (a, b) = tokio::join!(c.answer(&c.ines, &ticket, "From Ines"), c.answer(&c.omar, &ticket, "From Omar"));
        let stale = [&a, &b].iter().filter(|done| matches!(done, Err(Refusal::Stale))).count();
        assert_eq!(stale, 1, "{a:?} {b:?}");
        assert_eq!(c.messages(&ticket).await.len(), 2);
        assert_eq!(c.mails("mara@lantern.example").await, ["ticket_answered", "ticket_opened"]);
        // So is who answers what was written meanwhile, or noted.
        let seen = c.now(&ticket).await;
        c.write(&seen, "Wait").await.unwrap();
        assert!(matches!(c.answer(&c.ines, &seen, "Done").await, Err(Refusal::Stale)));
        let seen = c.now(&ticket).await;
        tickets::note(&c.w().platform, &c.omar, ticket.ticket_id, say("Mine")).await.unwrap();
        assert!(matches!(c.answer(&c.ines, &seen, "Done").await, Err(Refusal::Stale)));
        assert!(matches!(tickets::close_by_staff(&c.w().platform, &c.ines, ticket.ticket_id, seen.version).await, Err(Refusal::Stale)));
        let omar = Some(c.omar.account_id);
        assert!(matches!(tickets::assign(&c.w().platform, &c.ines, ticket.ticket_id, seen.version, omar, "").await, Err(Refusal::Stale)));
    }
}

db_test! {
    async fn the_developer_sees_no_notes_and_no_hand_over(engine) {
        let c = Counter::new(engine).await;
        let ticket = c.open(Topic::Other, "x").await;
        let platform = &c.w().platform;
        tickets::note(platform, &c.ines, ticket.ticket_id, say("They are angry")).await.unwrap();
        let now = c.now(&ticket).await;
        assert_eq!((now.state, now.due_at, now.first_answered_at), (State::Open, ticket.due_at, None), "a note is no answer");
        let given = tickets::assign(platform, &c.ines, ticket.ticket_id, now.version, Some(c.omar.account_id), "You know webhooks").await.unwrap();
        assert_eq!(given.assigned_to, Some(c.omar.account_id));
        assert_eq!(c.mails("omar@operator.example").await, ["ticket_handed"]);
        let reviewer = Some(c.desk.reviewers[0].account_id);
        assert!(matches!(tickets::assign(platform, &c.ines, ticket.ticket_id, given.version, reviewer, "").await, Err(Refusal::Invalid(_))));
        let developer = Some(c.mara().account_id);
        assert!(matches!(tickets::assign(platform, &c.ines, ticket.ticket_id, given.version, developer, "").await, Err(Refusal::Invalid(_))));
        let answered = c.answer(&c.omar, &given, "Hello").await.unwrap();
        let free = tickets::assign(platform, &c.ines, ticket.ticket_id, answered.version, None, "").await.unwrap();
        assert_eq!(free.assigned_to, None);

        let mut tx = platform.db.read().await.unwrap();
        let visible: Vec<_> =
            tickets::messages(&mut tx, ticket.ticket_id).await.unwrap().into_iter().filter(|message| message.visible).collect();
        assert_eq!(visible.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["It does not work.", "Hello"]);
        drop(tx);
        for mail in c.w().outbox().to("mara@lantern.example") {
            assert!(!mail.rendered.text.contains("angry") && !mail.rendered.text.contains("webhooks"));
        }
    }
}

async fn organisation_with(c: &Counter) -> (i64, App, Account) {
    let platform = &c.w().platform;
    let organisation = organisations::create(platform, c.mara(), "Lantern Labs").await.unwrap();
    let id = organisation.organisation_id;
    let app = apps::create_for(platform, c.mara(), (OwnerKind::Organisation, id), "Lanterns").await.unwrap();
    let colleague = developer(c.w(), "otto@lantern.example").await;
    (id, app, colleague)
}

async fn seat(c: &Counter, organisation_id: i64, account: &Account, role: Seat) {
    let account_id = account.account_id;
    c.w().execute(format!("delete from members where organisation_id = {organisation_id} and account_id = {account_id}")).await;
    c.w()
        .execute(format!(
            "insert into members (organisation_id, account_id, role, since) values ({organisation_id}, {account_id}, '{role}', 0)"
        ))
        .await;
}

db_test! {
    async fn a_ticket_is_seen_by_its_author_and_by_those_who_own_its_app(engine) {
        let c = Counter::new(engine).await;
        let (organisation, app, otto) = organisation_with(&c).await;
        let platform = &c.w().platform;
        let about = New { app_id: Some(app.app_id), ..new(Topic::Login, "Sign-in fails") };
        let ticket = tickets::open(platform, c.mara(), about).await.unwrap();
        assert!(c.sees(&ticket, c.mara()).await);
        assert!(!c.sees(&ticket, &c.stranger).await && !c.sees(&ticket, &otto).await);
        seat(&c, organisation, &otto, Seat::Manager).await;
        assert!(!c.sees(&ticket, &otto).await, "whoever manages some apps does not own them");
        seat(&c, organisation, &otto, Seat::Admin).await;
        assert!(c.sees(&ticket, &otto).await);
        let own = c.open(Topic::Account, "My own affair").await;
        assert!(!c.sees(&own, &otto).await, "without an app it is its author's alone");

        // Otto writes, and is answered too.
        tickets::write(platform, &otto, ticket.ticket_id, say("Also for me")).await.unwrap();
        let now = c.now(&ticket).await;
        c.answer(&c.ines, &now, "Mended for both").await.unwrap();
        assert_eq!(c.mails("otto@lantern.example").await, ["ticket_answered"]);
        assert!(matches!(tickets::write(platform, &c.stranger, ticket.ticket_id, say("x")).await, Err(Refusal::Unknown)));
        assert!(matches!(tickets::close(platform, &c.stranger, ticket.ticket_id).await, Err(Refusal::Unknown)));

        // Another owner of the app does not get to see what was written to the one before.
        let other = organisations::create(platform, &c.stranger, "Elsewhere").await.unwrap().organisation_id;
        c.w().execute(format!("update apps set owner_id = {other} where app_id = {}", app.app_id)).await;
        assert!(!c.sees(&ticket, &c.stranger).await && !c.sees(&ticket, &otto).await && c.sees(&ticket, c.mara()).await);
        // Who has left does not read on, not even what they wrote for it.
        let (id, mara) = (organisation, c.mara().account_id);
        c.w().execute(format!("delete from members where organisation_id = {id} and account_id = {mara}")).await;
        assert!(!c.sees(&ticket, c.mara()).await);
        seat(&c, id, c.mara(), Seat::Owner).await;
        let now = c.now(&ticket).await;
        c.answer(&c.ines, &now, "Anything else?").await.unwrap();
        assert_eq!(c.mails("otto@lantern.example").await.len(), 1, "and who no longer sees it is no longer mailed");
    }
}

db_test! {
    async fn forged_numbers_of_apps_and_applications_do_not_exist(engine) {
        let c = Counter::new(engine).await;
        let platform = &c.w().platform;
        let application = c.desk.draft(&["portability.activity.single"]).await;
        let (_, app, _) = organisation_with(&c).await;
        for (app_id, application_id) in [
            (Some(c.desk.app.app_id), None),
            (Some(c.w().app.app_id), None),
            (Some(1), None),
            (None, Some(application.application_id)),
            (None, Some(1)),
        ] {
            let forged = New { app_id, application_id, ..new(Topic::Portability, "x") };
            assert!(matches!(tickets::open(platform, &c.stranger, forged).await, Err(Refusal::Unknown)), "{app_id:?} {application_id:?}");
        }
        let mixed = New { app_id: Some(app.app_id), application_id: Some(application.application_id), ..new(Topic::Portability, "x") };
        assert!(matches!(tickets::open(platform, c.mara(), mixed).await, Err(Refusal::Unknown)), "another app than the application's");
        assert_eq!(c.w().number("select count(*) from tickets").await, 0);
        let own = New { application_id: Some(application.application_id), ..new(Topic::Portability, "x") };
        let own = tickets::open(platform, c.mara(), own).await.unwrap();
        assert_eq!(own.app_id, Some(c.desk.app.app_id), "the application names its app");
    }
}

db_test! {
    async fn what_is_wrong_is_told_all_at_once_and_keeps_nothing(engine) {
        let c = Counter::new(engine).await;
        let platform = &c.w().platform;
        let bad = New { topic: None, subject: " \n ".into(), app_id: None, application_id: None, writing: Writing { text: "\u{1b}[2J".into(), ..Writing::default() } };
        let Err(Refusal::Invalid(found)) = tickets::open(platform, c.mara(), bad).await else { panic!("taken") };
        assert_eq!(found.iter().map(|(field, _)| *field).collect::<Vec<_>>(), ["topic", "subject", "text"]);
        let long = New { subject: "x".repeat(151), writing: say(&"y".repeat(10_001)), ..new(Topic::Other, "") };
        assert!(matches!(tickets::open(platform, c.mara(), long).await, Err(Refusal::Invalid(found)) if found.len() == 2));
        let folded = c.open(Topic::Other, "One\r\nBcc: all@example.org").await;
        assert_eq!(folded.subject, "One  Bcc: all@example.org");
        for n in 0..29 {
            c.write(&folded, &format!("{n}")).await.unwrap();
        }
        assert!(matches!(c.write(&folded, "one more").await, Err(Refusal::TooMany)));
        assert!(matches!(tickets::open(platform, c.mara(), new(Topic::Other, "x")).await, Err(Refusal::TooMany)));
        c.w().advance(HOUR + HOUR);
        c.write(&folded, "later").await.unwrap();
    }
}

db_test! {
    async fn a_mailed_link_takes_one_answer(engine) {
        let c = Counter::new(engine).await;
        let platform = &c.w().platform;
        let ticket = c.open(Topic::Other, "x").await;
        let answered = c.answer(&c.ines, &ticket, "First").await.unwrap();
        c.answer(&c.ines, &answered, "Second").await.unwrap();
        c.w().drain().await;
        let tokens: Vec<String> = c.w().outbox().to("mara@lantern.example").iter()
            .filter_map(|sent| Some(sent.link("/developers/support/answer?token=")?.split_once('=')?.1.to_owned())).collect();
        assert_eq!(tokens.len(), 2);
        assert_ne!(tokens[0], tokens[1], "each answer has its own");
        let look = tickets::look_at_link(platform, &tokens[0]).await.unwrap().unwrap();
        assert_eq!((look.ticket.ticket_id, look.account.account_id), (ticket.ticket_id, c.mara().account_id));
        assert!(tickets::look_at_link(platform, &tokens[0]).await.unwrap().is_some(), "to look does not use it up");
        let wrong = tickets::write_by_link(platform, &tokens[0], say("  ")).await;
        assert!(matches!(wrong, Err(Refusal::Invalid(_))), "nor does what is wrong");
        let form = || Writing { form: "abcdef0123456789".into(), ..say("By mail") };
        let written = tickets::write_by_link(platform, &tokens[0], form()).await.unwrap();
        assert_eq!(written.state, State::Open);
        let pressed_twice = tickets::write_by_link(platform, &tokens[0], form()).await.unwrap();
        assert_eq!(pressed_twice.ticket_id, ticket.ticket_id);
        assert!(matches!(tickets::write_by_link(platform, &tokens[0], say("Once more")).await, Err(Refusal::Link)));
        assert_eq!(c.messages(&ticket).await.len(), 4);
        tickets::write_by_link(platform, &tokens[1], say("By the other")).await.unwrap();
        for forged in ["", "lnk.x", &tokens[0][..10]] {
            assert!(matches!(tickets::write_by_link(platform, forged, say("x")).await, Err(Refusal::Link)));
        }
        // A link that was mailed to an address that the account no longer has.
        let now = c.now(&ticket).await;
        c.answer(&c.ines, &now, "Third").await.unwrap();
        c.w().drain().await;
        let token = c.w().outbox().to("mara@lantern.example").pop().unwrap().link("/developers/support/answer?token=").unwrap();
        let token = token.split_once('=').unwrap().1;
        c.w().execute(format!("update accounts set email = 'mara@new.example' where account_id = {}", c.mara().account_id)).await;
        assert!(tickets::look_at_link(platform, token).await.unwrap().is_none());
        assert!(matches!(tickets::write_by_link(platform, token, say("x")).await, Err(Refusal::Link)));
    }
}

db_test! {
    async fn a_missing_first_answer_is_told_once_and_decides_nothing(engine) {
        let c = Counter::new(engine).await;
        let late = c.open(Topic::Other, "Late").await;
        let noted = c.open(Topic::Other, "Noted only").await;
        tickets::note(&c.w().platform, &c.ines, noted.ticket_id, say("Later")).await.unwrap();
        let in_time = c.open(Topic::Other, "In time").await;
        c.answer(&c.ines, &in_time, "Yes").await.unwrap();
        let taken_back = c.open(Topic::Other, "Taken back").await;
        tickets::close(&c.w().platform, c.mara(), taken_back.ticket_id).await.unwrap();
        c.w().advance(4 * DAY);
        c.w().keep("tickets").await;
        assert!(c.mails("omar@operator.example").await.is_empty(), "Thursday to Monday evening is not yet over");
        c.w().advance(DAY);
        for _ in 0..3 {
            c.w().keep("tickets").await;
            c.w().advance(HOUR);
        }
        assert_eq!(c.mails("omar@operator.example").await, ["ticket_late", "ticket_late"], "administrators, once for each");
        assert!(c.mails("ines@operator.example").await.is_empty());
        let now = c.now(&late).await;
        assert!(now.escalated_at.is_some() && now.is_late(c.w().platform.now()));
        assert_eq!((now.state, now.version), (late.state, late.version), "nothing else changed");
        assert!(c.audit(&late).await.contains(&"ticket.late by system".to_owned()));
        c.answer(&c.ines, &now, "Sorry").await.unwrap();
        c.w().advance(30 * DAY);
        c.w().keep("tickets").await;
        assert_eq!(c.mails("omar@operator.example").await.len(), 2);
    }
}

db_test! {
    async fn an_application_is_opened_for_correction_or_not_and_both_are_told(engine) {
        let c = Counter::new(engine).await;
        let platform = &c.w().platform;
        let application = c.desk.applied(&["portability.activity.single"]).await;
        let about = New { application_id: Some(application.application_id), ..new(Topic::Portability, "Wrong contact") };
        let ticket = tickets::open(platform, c.mara(), about.clone()).await.unwrap();
        assert!(ticket.is_about_correction());
        assert!(matches!(tickets::refuse_correction(platform, &c.ines, ticket.ticket_id, 1, " ").await, Err(Refusal::Invalid(_))));
        let refused = tickets::refuse_correction(platform, &c.ines, ticket.ticket_id, 1, "That is another purpose.").await.unwrap();
        assert_eq!(refused.state, State::Answered);
        assert_eq!(c.desk.now(&application).await, application, "it goes on as it was");
        let mut tx = platform.db.read().await.unwrap();
        let events = applications::rows::events(&mut tx, application.application_id).await.unwrap();
        drop(tx);
        let last = events.iter().find(|event| event.kind == applications::Happened::CorrectionRefused).unwrap();
        assert_eq!((last.kind, last.text.as_str()), (applications::Happened::CorrectionRefused, "That is another purpose."));
        assert!(last.visible && last.to_state.is_none(), "the applicant reads it in the timeline");
        assert_eq!(c.mails("mara@lantern.example").await, ["correction_refused", "ticket_opened"]);
        let stale = tickets::open_for_correction(platform, &c.ines, ticket.ticket_id, 1, "Go on").await;
        assert!(matches!(stale, Err(Refusal::Stale)));
        assert_eq!(c.desk.now(&application).await.state, applications::State::Submitted, "nor is it opened by an old page");

        let opened = tickets::open_for_correction(platform, &c.omar, ticket.ticket_id, refused.version, "Change the contact.").await.unwrap();
        let now = c.desk.now(&application).await;
        assert_eq!((now.state, now.due_at), (applications::State::Reopened, application.due_at), "it keeps its place");
        assert_eq!(c.messages(&opened).await.last().unwrap(), &(Kind::CorrectionOpened, "Change the contact.".to_owned()));
        let again = tickets::open_for_correction(platform, &c.omar, ticket.ticket_id, opened.version, "Once more").await;
        assert!(matches!(again, Err(Refusal::Application(_))), "{again:?}");
        assert_eq!(c.now(&ticket).await.version, opened.version, "and nothing is said that was not done");
        let audit = c.audit(&ticket).await;
        assert!(audit.contains(&format!("ticket.correction_opened by staff {}", c.omar.account_id)));
        assert!(audit.contains(&format!("ticket.correction_refused by staff {}", c.ines.account_id)));
        // The form's address is the author's own here: one mail of it is enough.
        let mails = c.mails("mara@lantern.example").await;
        assert_eq!(mails.iter().filter(|kind| *kind == "reopened").count(), 1);
        assert!(!mails.contains(&"ticket_answered".to_owned()), "{mails:?}");
        // Only with that topic, and with an application.
        let other = tickets::open(platform, c.mara(), New { topic: Some(Topic::Other), ..about }).await.unwrap();
        assert!(matches!(tickets::open_for_correction(platform, &c.ines, other.ticket_id, 1, "x").await, Err(Refusal::NotNow(_))));
    }
}

db_test! {
    async fn files_are_the_writers_own_and_seen_with_their_message(engine) {
        let c = Counter::new(engine).await;
        let platform = &c.w().platform;
        let (own, foreign, internal) = (c.file(c.mara()).await, c.file(&c.stranger).await, c.file(&c.ines).await);
        let with = |files: &[i64]| Writing { uploads: files.to_vec(), ..say("See there") };
        let opening = |files: &[i64]| New { writing: with(files), ..new(Topic::Other, "x") };
        for forged in [vec![foreign.upload_id], vec![1], vec![own.upload_id, own.upload_id]] {
            assert!(matches!(tickets::open(platform, c.mara(), opening(&forged)).await, Err(Refusal::Invalid(_))), "{forged:?}");
        }
        assert!(matches!(tickets::open(platform, c.mara(), opening(&[1, 2, 3, 4, 5, 6])).await, Err(Refusal::Invalid(_))));
        assert_eq!(c.w().number("select count(*) from tickets").await, 0);
        let ticket = tickets::open(platform, c.mara(), opening(&[own.upload_id])).await.unwrap();
        assert!(matches!(tickets::write(platform, c.mara(), ticket.ticket_id, with(&[own.upload_id])).await, Err(Refusal::Invalid(_))), "named already");
        tickets::note(platform, &c.ines, ticket.ticket_id, with(&[internal.upload_id])).await.unwrap();
        let mut tx = platform.db.read().await.unwrap();
        let id = ticket.ticket_id;
        assert_eq!(tickets::file(&mut tx, id, own.upload_id, false).await.unwrap().unwrap().name, "screen.pdf");
        assert!(tickets::file(&mut tx, id, internal.upload_id, false).await.unwrap().is_none(), "not that of a note");
        assert!(tickets::file(&mut tx, id, internal.upload_id, true).await.unwrap().is_some());
        assert!(tickets::file(&mut tx, id, foreign.upload_id, true).await.unwrap().is_none());
        drop(tx);
        // Two years after it was closed the ticket is gone, and its files are swept.
        tickets::close(platform, c.mara(), id).await.unwrap();
        c.w().advance(731 * DAY);
        c.w().keep("forget").await;
        assert_eq!(c.w().number("select count(*) from ticket_messages").await, 0);
        assert_eq!(c.w().number("select count(*) from tickets").await, 0);
        assert_eq!(c.w().number("select count(*) from uploads where kept_at is not null").await, 0);
    }
}

db_test! {
    async fn the_queue_pages_by_due_date_and_finds_by_words(engine) {
        let c = Counter::new(engine).await;
        let platform = &c.w().platform;
        let mut ids = Vec::new();
        for (n, name) in ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"].into_iter().enumerate() {
            ids.push(c.open(if n % 2 == 0 { Topic::Webhooks } else { Topic::Login }, &format!("The {name} of 100% SEVEN")).await.ticket_id);
            c.w().advance(DAY);
        }
        let list = async |filter: Filter, after| {
            let mut tx = platform.db.read().await.unwrap();
            tickets::list(&mut tx, &filter, after, 3).await.unwrap()
        };
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = list(Filter::new(State::Open), after).await;
            let Some(last) = page.last() else { break };
            after = Some(last.key());
            seen.extend(page.iter().map(|line| (line.due_at, line.ticket_id)));
        }
        assert_eq!(seen.len(), 7);
        assert!(seen.is_sorted(), "by due date");
        let words = async |words: &str| list(Filter { words: words.into(), ..Filter::new(State::Open) }, None).await;
        assert_eq!(words("seven 100% epsilon").await.len(), 1);
        assert_eq!(words("100_").await.len(), 0, "a wildcard is a letter");
        assert_eq!(words("mara@lantern").await.len(), 3);
        assert_eq!(words(&tickets::reference(ids[2])).await[0].ticket_id, ids[2]);
        assert_eq!(words(&tickets::reference(ids[2]).replace('-', "").to_lowercase()).await.len(), 1);
        let topic = Filter { topic: Some(Topic::Login), ..Filter::new(State::Open) };
        assert!(list(topic, None).await.iter().all(|line| line.topic == Topic::Login));
        let late = Filter { late: Some(platform.now()), ..Filter::new(State::Open) };
        assert!(list(late, None).await.iter().all(|line| line.due_at < Some(platform.now())));

        let mut tx = platform.db.read().await.unwrap();
        let first = tickets::by_id(&mut tx, ids[0]).await.unwrap().unwrap();
        drop(tx);
        c.answer(&c.ines, &first, "Done").await.unwrap();
        assert_eq!(list(Filter::new(State::Answered), None).await[0].ticket_id, ids[0]);
        c.write(&first, "Not done").await.unwrap();
        let mine = Filter { assigned_to: Some(c.ines.account_id), ..Filter::new(State::Open) };
        assert_eq!(list(mine, None).await.len(), 1);
        let free = Filter { unassigned: true, words: "alpha".into(), ..Filter::new(State::Open) };
        assert!(list(free, None).await.is_empty());
        let mut tx = platform.db.read().await.unwrap();
        let (open, late, mine) = tickets::numbers(&mut tx, c.ines.account_id, platform.now()).await.unwrap();
        assert_eq!((open, mine), (7, 1));
        assert!((1..7).contains(&late), "{late}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Write,
    WriteByLink,
    Answer { stale: bool, close: bool },
    Note,
    Assign { to: Option<bool> },
    Close,
    CloseByStaff { stale: bool },
    Wait,
    Clock,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => Just(Deed::Write),
        1 => Just(Deed::WriteByLink),
        3 => (any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(stale, close)| Deed::Answer { stale, close }),
        1 => Just(Deed::Note),
        1 => prop::option::of(any::<bool>()).prop_map(|to| Deed::Assign { to }),
        1 => Just(Deed::Close),
        1 => any::<bool>().prop_map(|stale| Deed::CloseByStaff { stale }),
        1 => Just(Deed::Wait),
        1 => Just(Deed::Clock),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever happens in whichever order: moves are lawful, somebody has the move unless it is closed, nothing stale is done, and what was said stays.
    #[test]
    fn any_order_of_deeds_keeps_a_ticket_sound(deeds in prop::collection::vec(deed(), 1..25)) {
        runtime().block_on(walk(deeds));
    }
}

async fn walk(deeds: Vec<Deed>) {
    let c = Counter::new(Engine::Sqlite).await;
    let platform = &c.w().platform;
    let mut before = c.open(Topic::Other, "Walk").await;
    let id = before.ticket_id;
    for deed in deeds {
        let version = |stale: bool| if stale { before.version - 1 } else { before.version };
        let said = c.messages(&before).await;
        let done: Result<Ticket, Refusal> = match deed {
            Deed::Write => c.write(&before, "More").await,
            Deed::WriteByLink => {
                c.w().drain().await;
                let links: Vec<_> = c
                    .w()
                    .outbox()
                    .to("mara@lantern.example")
                    .iter()
                    .filter_map(|sent| sent.link("/developers/support/answer?token="))
                    .collect();
                match links.last() {
                    Some(link) => tickets::write_by_link(platform, link.split_once('=').unwrap().1, say("By link")).await,
                    None => Err(Refusal::Link),
                }
            }
            Deed::Answer { stale, close } => tickets::answer(platform, &c.ines, id, version(stale), say("Answer"), close).await,
            Deed::Note => tickets::note(platform, &c.ines, id, say("Note")).await,
            Deed::Assign { to } => {
                let to = to.map(|ines| if ines { c.ines.account_id } else { c.omar.account_id });
                tickets::assign(platform, &c.ines, id, before.version, to, "").await
            }
            Deed::Close => tickets::close(platform, c.mara(), id).await,
            Deed::CloseByStaff { stale } => tickets::close_by_staff(platform, &c.ines, id, version(stale)).await,
            Deed::Wait => {
                c.w().advance(DAY);
                Ok(before.clone())
            }
            Deed::Clock => {
                c.w().keep("tickets").await;
                Ok(c.now(&before).await)
            }
        };
        let after = c.now(&before).await;
        if let Err(refusal) = &done {
            assert!(!matches!(refusal, Refusal::Fault(_)), "{deed:?}: {refusal:?}");
            assert_eq!(after, before, "{deed:?} was refused and changed something");
        }
        if matches!(deed, Deed::Answer { stale: true, .. } | Deed::CloseByStaff { stale: true }) {
            assert!(done.is_err(), "{deed:?} from an old page");
        }
        assert!(
            after.state == before.state || after.state.may_come_from().contains(&before.state),
            "{deed:?}: {} to {}",
            before.state,
            after.state
        );
        assert_eq!(after.state == State::Open, after.due_at.is_some(), "{deed:?}");
        assert_eq!(after.state == State::Closed, after.closed_at.is_some(), "{deed:?}");
        let now_said = c.messages(&before).await;
        assert!(now_said.starts_with(&said), "{deed:?}: what was said stays");
        assert_eq!(now_said.len() as i64, after.version, "each change says something");
        before = after;
    }
}

#[tokio::test]
async fn canned_texts_are_the_operators_if_they_have_some() {
    let w = World::new(Engine::Sqlite).await;
    assert!(tickets::texts(&w.platform, Topic::Sandbox).await.unwrap().iter().any(|text| text.title == "Sandbox credentials"));
    let file = w.folder.path().join("answers.toml");
    std::fs::write(&file, "[[text]]\ntitle = \"Ours\"\ntext = \"Hello [name]\"\n").unwrap();
    let own = w.another(|settings| settings.tickets.canned_texts = Some(file.clone())).await;
    assert_eq!(tickets::texts(&own, Topic::Sandbox).await.unwrap()[0].title, "Ours");
    std::fs::write(&file, "[[text]]\ntopic = \"Weather\"\ntitle = \"a\"\ntext = \"b\"\n").unwrap();
    let told = tickets::texts(&own, Topic::Sandbox).await.unwrap_err().to_string();
    assert!(told.contains("tickets.canned_texts") && told.contains("Weather"), "{told}");
}
