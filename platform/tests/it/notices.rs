//! Mails: what each says, and that each arrives once, whatever the mail server does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use platform::jobs;
use platform::notices::{self, Kind, Mail, Notice, NoticeRow, Reason, Rendered, Trouble};
use platform::settings::{self, Site};
use testkit::mail::Mailbox;

use crate::db_test;
use crate::support::{DAY, HOUR, MINUTE, START, World};

const TO: &str = "mara@lantern.example";

fn site() -> Site {
    Site { base_url: "https://clips.example".into(), brand: "Clips".into() }
}

/// Compares with a file under `tests/snapshots/`, or writes it when `UPDATE_SNAPSHOTS=1`.
fn assert_snapshot(name: &str, found: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/snapshots", name].iter().collect();
    if std::env::var("UPDATE_SNAPSHOTS").as_deref() == Ok("1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = expected.lines().zip(found.lines()).position(|(a, b)| a != b).unwrap_or(expected.lines().count());
    assert!(
        expected == found,
        "{} differs from line {}; look at it, then run with UPDATE_SNAPSHOTS=1\n{found}",
        path.display(),
        differs + 1
    );
}

fn snapshot(kind: Kind) {
    let notice = notices::sample(kind);
    assert_eq!(notice.kind(), kind, "the sample of {kind} is another mail");
    let Rendered { subject, text, html } = notice.render(&site()).unwrap();
    // The head is the same in all; it has a snapshot of its own.
    let body = html.split_once("<body>").unwrap().1;
    assert_snapshot(&format!("notices/{kind}.txt"), &format!("Subject: {subject}\n\n{text}\n<body>{body}"));
}

/// One test for each mail. The match has no other arm: a mail without a test does not compile.
macro_rules! snapshots {
    ($($test:ident: $kind:ident),+ $(,)?) => {
        mod says {
            use super::*;
            $(#[test]
            fn $test() {
                snapshot(Kind::$kind);
            })+

            #[test]
            fn every_mail_has_a_test() {
                for kind in Kind::ALL {
                    let name = match kind { $(Kind::$kind => stringify!($test)),+ };
                    assert_eq!(name, kind.as_str());
                }
            }
        }
    };
}

snapshots! {
    test: Test,
    verify_email: VerifyEmail,
    account_exists: AccountExists,
    reset_password: ResetPassword,
    change_email: ChangeEmail,
    email_changed: EmailChanged,
    password_changed: PasswordChanged,
    second_factor_on: SecondFactorOn,
    second_factor_off: SecondFactorOff,
    recovery_codes_renewed: RecoveryCodesRenewed,
    welcome_staff: WelcomeStaff,
    invitation: Invitation,
    transfer_offered: TransferOffered,
    app_submitted: AppSubmitted,
    app_late: AppLate,
    app_escalated: AppEscalated,
    app_decided: AppDecided,
    app_stopped: AppStopped,
    access_ended: AccessEnded,
    app_frozen: AppFrozen,
    app_freeze_late: AppFreezeLate,
    app_thawed: AppThawed,
    freeze_made: FreezeMade,
    freeze_late: FreezeLate,
    freeze_lifted: FreezeLifted,
    confirm_contact: ConfirmContact,
    application_submitted: ApplicationSubmitted,
    question: Question,
    question_reminder: QuestionReminder,
    question_answered: QuestionAnswered,
    case_returned: CaseReturned,
    case_handed: CaseHanded,
    application_revoked: ApplicationRevoked,
    application_decided: ApplicationDecided,
    decision_late: DecisionLate,
    escalated: Escalated,
    reopened: Reopened,
    correction_refused: CorrectionRefused,
    webhook_stopped: WebhookStopped,
    ticket_opened: TicketOpened,
    ticket_answered: TicketAnswered,
    ticket_closed: TicketClosed,
    ticket_replied: TicketReplied,
    ticket_handed: TicketHanded,
    ticket_late: TicketLate,
}

async fn send(w: &World, to: &str, notice: Notice) {
    let mut tx = w.platform.db.begin().await.unwrap();
    notices::send(&w.platform, &mut tx, to, Some(7), notice).await.unwrap();
    tx.commit().await.unwrap();
}

async fn rows(w: &World) -> Vec<NoticeRow> {
    let mut tx = w.platform.db.read().await.unwrap();
    notices::list(&mut tx, Some(7), 100).await.unwrap()
}

/// How many mails still have what they say.
async fn sealed(w: &World) -> i64 {
    w.number("select count(*) from notices where sealed is not null").await
}

/// Moves the clock to the next attempt, and makes it. Gives how long that was; none if there is no next.
async fn next(w: &World) -> Option<Duration> {
    let mut tx = w.platform.db.read().await.unwrap();
    let job = jobs::list(&mut tx, 10).await.unwrap().into_iter().find(|job| job.dead_at.is_none())?;
    drop(tx);
    let pause = job.run_at.since(w.platform.now());
    w.advance(pause);
    w.drain().await;
    Some(pause)
}

/// The header of a mail, folded lines joined.
fn headers(bytes: &[u8]) -> BTreeMap<String, Vec<String>> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let head = text.split_once("\r\n\r\n").unwrap().0.replace("\r\n ", " ");
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(": ").unwrap();
        found.entry(name.to_lowercase()).or_default().push(value.to_owned());
    }
    found
}

db_test! {
    async fn a_whole_mail_as_it_travels(engine) {
        let w = World::with(engine, |settings| settings.site = site()).await;
        send(&w, TO, notices::sample(Kind::TicketAnswered)).await;
        w.drain().await;
        let sent = w.outbox().sent();
        assert_eq!(sent.len(), 1);
        let headers = headers(&sent[0].bytes);
        let one = |name: &str| {
            assert_eq!(headers[name].len(), 1, "{name}");
            headers[name][0].as_str()
        };
        assert_eq!(one("to"), TO);
        assert_eq!(one("from"), "Clips <no-reply@portward.example>");
        assert_eq!(one("date"), "Thu, 01 Jan 2026 00:00:00 +0000");
        assert_eq!(one("auto-submitted"), "auto-generated");
        assert_eq!(one("mime-version"), "1.0");
        assert!(one("message-id").starts_with("<ticket_answered.") && one("message-id").ends_with("@clips.example>"));
        assert!(one("content-type").starts_with("multipart/alternative; boundary="));
        let read = testkit::mail::Mail::read(&sent[0].bytes).unwrap();
        assert_eq!(read.subject, sent[0].rendered.subject);
        assert_eq!(read.text.replace("\r\n", "\n").trim_end(), sent[0].rendered.text.trim_end());
        assert_eq!(read.html.replace("\r\n", "\n").trim_end(), sent[0].rendered.html.trim_end());
        assert_eq!(read.link("/developers/support/answer"), "/developers/support/answer?token=lnk.EXAMPLE");
    }
}

#[test]
fn the_head_of_every_mail_is_the_same_and_loads_nothing() {
    let mut heads = Vec::new();
    for kind in Kind::ALL {
        let html = notices::sample(*kind).render(&site()).unwrap().html;
        let head = html.split_once("<title>").unwrap().0.to_owned()
            + html.split_once("</title>").unwrap().1.split_once("<body>").unwrap().0;
        heads.push(head);
        for loaded in ["<img", "<script", "<link", "url(", "<iframe", "src=", "@import"] {
            assert!(!html.contains(loaded), "{kind}: {loaded}");
        }
    }
    heads.dedup();
    assert_eq!(heads.len(), 1);
    assert!(heads[0].contains("prefers-color-scheme: dark"));
    assert_snapshot("notices/head.txt", &heads[0]);
}

/// Line breaks, a header of one's own, markup, and characters that turn the direction.
const HOSTILE: &str = "Mo\r\nBcc: all@example.org\n\n<script>alert(1)</script>\u{202e}\u{2066}\u{0}\u{1b}[2J\"'&";

#[test]
fn what_outsiders_write_stays_text_in_every_mail() {
    let text = || HOSTILE.to_owned();
    let reason = Reason { code: text(), title: text(), text: text(), cure: text() };
    let path = || "/developers/x?token=lnk.abc\r\nBcc: x\" onclick=\"y".to_owned();
    let hostile = vec![
        Notice::VerifyEmail { name: text(), path: path() },
        Notice::Invitation { organisation: text(), by: text(), role: text(), path: path() },
        Notice::AppDecided { app: text(), approved: false, reasons: vec![reason.clone()], path: path() },
        Notice::Question { app: text(), reference: text(), question: text(), fields: vec![text()], due: text(), path: path() },
        Notice::ApplicationDecided {
            app: text(),
            reference: text(),
            outcomes: vec![(text(), text(), Some(reason), text())],
            text: text(),
            path: path(),
        },
        Notice::TicketAnswered { ticket: text(), subject: text(), text: text(), path: path() },
    ];
    for notice in hostile {
        let Rendered { subject, text, html } = notice.render(&site()).unwrap();
        let kind = notice.kind();
        assert!(!subject.chars().any(char::is_control) && subject.chars().count() <= 200, "{kind}: {subject:?}");
        for foul in ['\u{202e}', '\u{2066}', '\0', '\u{1b}', '\r'] {
            assert!(![&subject, &text, &html].iter().any(|said| said.contains(foul)), "{kind}: {foul:?}");
        }
        assert!(!html.contains("<script") && !html.contains("\" onclick"), "{kind}");
        assert!(text.contains("https://clips.example/developers/x?token=lnk.abc"), "{kind}");
    }
}

db_test! {
    async fn nothing_in_a_name_or_an_address_becomes_a_header(engine) {
        let w = World::with(engine, |settings| settings.site = Site { brand: HOSTILE.into(), ..site() }).await;
        let notice = || Notice::TicketOpened { ticket: "1".into(), subject: HOSTILE.into(), due: "now".into(), path: "/x".into() };
        send(&w, TO, notice()).await;
        for forged in ["mara@lantern.example\r\nBcc: all@example.org", "a@b.example, c@d.example", "no address", "", "a@b\u{0}.example"] {
            send(&w, forged, notice()).await;
        }
        w.drain().await;
        let sent = w.outbox().sent();
        assert_eq!(sent.len(), 1, "what is no single address gets no mail");
        let headers = headers(&sent[0].bytes);
        assert!(!headers.contains_key("bcc"));
        assert!(headers.values().all(|values| values.len() == 1));
        let given_up = rows(&w).await.into_iter().filter(|row| row.given_up_at.is_some()).count();
        assert_eq!(given_up, 5);
        assert_eq!(w.number("select count(*) from jobs").await, 0, "nor does it stay in the queue");
    }
}

db_test! {
    async fn a_mail_that_is_not_committed_is_not_sent(engine) {
        let w = World::new(engine).await;
        let mut tx = w.platform.db.begin().await.unwrap();
        notices::send(&w.platform, &mut tx, TO, Some(7), notices::sample(Kind::VerifyEmail)).await.unwrap();
        drop(tx);
        w.drain().await;
        assert!(w.outbox().sent().is_empty() && rows(&w).await.is_empty());
    }
}

db_test! {
    async fn a_mail_server_that_is_away_for_an_hour_loses_nothing_and_nothing_comes_twice(engine) {
        away(engine, HOUR).await;
    }
}

db_test! {
    async fn nor_does_one_that_is_away_for_three_days(engine) {
        away(engine, 3 * DAY).await;
    }
}

async fn away(engine: crate::support::Engine, long: Duration) {
    let w = World::new(engine).await;
    w.outbox().trouble(Some(Trouble::Later));
    for kind in [Kind::VerifyEmail, Kind::Question, Kind::TicketAnswered] {
        send(&w, TO, notices::sample(kind)).await;
    }
    let mut longest = Duration::ZERO;
    while w.platform.now() < START + long {
        longest = longest.max(next(&w).await.unwrap());
    }
    assert!(longest <= 20 * MINUTE, "it is looked at often enough: {longest:?}");
    assert!(w.outbox().sent().is_empty());
    assert_eq!(sealed(&w).await, 3);
    w.outbox().trouble(None);
    while next(&w).await.is_some() {}
    let sent = w.outbox().sent();
    let mut kinds: Vec<_> = sent.iter().map(|sent| sent.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["question", "ticket_answered", "verify_email"], "each once");
    assert!(
        sent.iter().all(|sent| headers(&sent.bytes)["date"] == ["Thu, 01 Jan 2026 00:00:00 +0000"]),
        "with the time of what it tells"
    );
    assert_eq!(sealed(&w).await, 0, "and what it said is erased");
    assert!(rows(&w).await.iter().all(|row| row.sent_at.is_some() && row.last_error.is_none() && row.attempts > 1));
}

db_test! {
    async fn after_five_days_a_mail_is_given_up_and_erased(engine) {
        let w = World::new(engine).await;
        w.outbox().trouble(Some(Trouble::Later));
        send(&w, TO, notices::sample(Kind::VerifyEmail)).await;
        while next(&w).await.is_some() {
            assert!(w.platform.now() < START + 6 * DAY);
        }
        let tried_for = w.platform.now().since(START);
        assert!(tried_for > 5 * DAY - HOUR && tried_for <= 5 * DAY, "{tried_for:?}");
        let row = rows(&w).await.pop().unwrap();
        assert!(row.given_up_at.is_some() && row.sent_at.is_none());
        assert_eq!(row.last_error.as_deref(), Some("the mail server is not there"));
        assert_eq!(sealed(&w).await, 0);
    }
}

db_test! {
    async fn a_refusal_for_good_ends_it_at_once(engine) {
        let w = World::new(engine).await;
        w.outbox().trouble(Some(Trouble::Never));
        send(&w, TO, notices::sample(Kind::VerifyEmail)).await;
        w.drain().await;
        w.outbox().trouble(None);
        assert_eq!(next(&w).await, None);
        assert_eq!(w.outbox().tried(), 1);
        let row = rows(&w).await.pop().unwrap();
        assert!(row.given_up_at.is_some() && row.attempts == 1);
        assert_eq!(sealed(&w).await, 0);
    }
}

db_test! {
    async fn a_mail_that_may_have_arrived_is_sent_again_as_the_very_same(engine) {
        let w = World::new(engine).await;
        // The server takes it, and the connection breaks before it says so.
        w.outbox().trouble(Some(Trouble::Lost));
        send(&w, TO, notices::sample(Kind::Question)).await;
        w.drain().await;
        w.outbox().trouble(None);
        while next(&w).await.is_some() {}
        let sent = w.outbox().sent();
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0].bytes, sent[1].bytes, "by its Message-ID a mailbox knows it again");
        send(&w, TO, notices::sample(Kind::Question)).await;
        w.drain().await;
        assert_ne!(w.outbox().sent()[2].message_id, sent[0].message_id, "another mail has another");
    }
}

db_test! {
    async fn an_attempt_that_comes_late_sends_nothing_again(engine) {
        let w = World::new(engine).await;
        send(&w, TO, notices::sample(Kind::Question)).await;
        let id = rows(&w).await.pop().unwrap().notice_id;
        w.drain().await;
        // The job is there again, as after a lease that ran out while the row was written.
        let payload = format!("{{\"job\":\"mail\",\"notice_id\":{id}}}");
        w.execute(format!(
            "insert into jobs (job_id, lane, payload, priority, run_at, attempt, max_attempts, created_at) values (1, 'mail', '{payload}', 0, 0, 1, 10, 0)"
        ))
        .await;
        w.drain().await;
        assert_eq!(w.outbox().sent().len(), 1);
        assert_eq!(w.number("select count(*) from jobs").await, 0);
    }
}

db_test! {
    async fn a_mail_that_waits_outlives_a_rotation_of_keys(engine) {
        let w = World::new(engine).await;
        w.outbox().trouble(Some(Trouble::Later));
        send(&w, TO, notices::sample(Kind::VerifyEmail)).await;
        w.drain().await;
        for _ in 0..3 {
            w.advance(DAY + HOUR);
            w.platform.rotate_keys(platform::audit::Actor::Operator).await.unwrap();
        }
        w.outbox().trouble(None);
        while next(&w).await.is_some() {}
        assert_eq!(w.outbox().to(TO).len(), 1);
    }
}

db_test! {
    async fn rows_of_mails_are_forgotten_after_their_time_but_not_those_that_wait(engine) {
        let w = World::with(engine, |settings| settings.mail.retry_for = settings::Span::days(1000)).await;
        send(&w, TO, notices::sample(Kind::VerifyEmail)).await;
        w.drain().await;
        w.outbox().trouble(Some(Trouble::Later));
        send(&w, TO, notices::sample(Kind::Question)).await;
        w.drain().await;
        w.advance(91 * DAY);
        w.keep("forget").await;
        let left: Vec<_> = rows(&w).await.into_iter().map(|row| row.kind).collect();
        assert_eq!(left, [Kind::Question]);
    }
}

#[tokio::test]
async fn into_a_folder_a_mail_is_written_whole_and_once() {
    let w = World::new(crate::support::Engine::Sqlite).await;
    let folder = w.folder.path().join("mail");
    let mut own = Arc::into_inner(w.another(|_| {}).await).unwrap();
    own.mail = Mail::Folder(folder.clone());
    send(&w, TO, notices::sample(Kind::VerifyEmail)).await;
    jobs::drain(&Arc::new(own)).await.unwrap();
    let mails = Mailbox::new(&folder).to(TO);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].link("verify"), "/developers/verify?token=lnk.EXAMPLE");
    assert!(
        std::fs::read_dir(&folder).unwrap().all(|entry| entry.unwrap().path().extension().unwrap() == "eml"),
        "nothing half written"
    );
    assert!(w.outbox().sent().is_empty());
}

#[test]
fn settings_by_which_no_mail_could_be_sent_are_refused_at_the_start() {
    let here = Path::new("/nowhere");
    let smtp = || settings::Mail { host: Some("mail.clips.example".into()), ..settings::Mail::default() };
    let told = |settings: settings::Mail| Mail::open(&settings, here).unwrap_err().to_string();
    let secret = || Some(settings::Secret("x".into()));
    assert!(told(settings::Mail { from: "nobody".into(), ..smtp() }).starts_with("mail.from \"nobody\" is not a sender"));
    assert!(told(settings::Mail { user: Some("a".into()), ..smtp() }).contains("needed together"));
    assert!(told(settings::Mail { password: secret(), ..smtp() }).contains("needed together"));
    assert!(
        told(settings::Mail { user: Some("a".into()), password_file: Some("absent".into()), ..smtp() })
            .contains("/nowhere/absent")
    );
    let open = settings::Mail { user: Some("a".into()), password: secret(), tls: settings::MailTls::None, ..smtp() };
    assert!(told(open.clone()).contains("in the open"));
    assert!(
        Mail::open(&settings::Mail { host: Some("127.0.0.1".into()), ..open }, here).is_ok(),
        "on the same machine nobody listens"
    );
    assert!(Mail::open(&smtp(), here).unwrap().is_real());
    assert!(!Mail::open(&settings::Mail::default(), here).unwrap().is_real());
    assert_eq!(format!("{:?}", secret().unwrap()), "***");
}
