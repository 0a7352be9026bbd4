//! One made-up mail of each kind, for previews and snapshots.

use super::{Kind, Notice, Reason};

/// A sample of a mail.
pub fn sample(kind: Kind) -> Notice {
    let path = |path: &str| path.to_owned();
    let (app, reference) = ("Clipkeeper".to_owned(), "DP-04S9-KQ2M-7T1".to_owned());
    let question = "Which of your servers hold the data, and in which country are they?".to_owned();
    let fields = vec!["Where data is stored".to_owned(), "Security measures".to_owned()];
    let reason = Reason {
        code: "PURPOSE_UNCLEAR".into(),
        title: "The purpose is not clear".into(),
        text: "The answer says what the app does, not what it needs direct messages for.".into(),
        cure: "Name the feature that needs this data, and what people get from it.".into(),
    };
    let (ticket, subject) = ("T-0BX4-9QH2-M6C".to_owned(), "Wrong contact in our application".to_owned());
    let name = || "Mara Lindqvist".to_owned();
    let due = || "4 December 2026".to_owned();
    match kind {
        Kind::Test => Notice::Test { at: "2026-11-20T09:00:00Z".into() },
        Kind::VerifyEmail => Notice::VerifyEmail { name: name(), path: path("/developers/verify?token=lnk.EXAMPLE") },
        Kind::AccountExists => Notice::AccountExists { name: name() },
        Kind::ResetPassword => Notice::ResetPassword { name: name(), path: path("/developers/reset?token=lnk.EXAMPLE") },
        Kind::ChangeEmail => Notice::ChangeEmail { name: name(), path: path("/developers/verify?token=lnk.EXAMPLE") },
        Kind::EmailChanged => Notice::EmailChanged { name: name() },
        Kind::PasswordChanged => Notice::PasswordChanged { name: name(), path: path("/developers/forgot") },
        Kind::SecondFactorOn => Notice::SecondFactorOn { name: name(), path: path("/developers/forgot") },
        Kind::SecondFactorOff => {
            Notice::SecondFactorOff { name: name(), by_administrator: false, path: path("/developers/forgot") }
        }
        Kind::RecoveryCodesRenewed => Notice::RecoveryCodesRenewed { name: name(), path: path("/console/forgot") },
        Kind::WelcomeStaff => Notice::WelcomeStaff { name: name(), path: path("/console/welcome?token=lnk.EXAMPLE") },
        Kind::Invitation => Notice::Invitation {
            organisation: "Lantern Labs".into(),
            by: name(),
            role: "app manager".into(),
            path: path("/developers/invitations"),
        },
        Kind::TransferOffered => Notice::TransferOffered {
            app,
            organisation: "Lantern Labs".into(),
            by: name(),
            path: path("/developers/organisations/4761931576280550"),
        },
        Kind::AppSubmitted => Notice::AppSubmitted { app, due: due() },
        Kind::AppLate => Notice::AppLate { app, due: due(), path: path("/developers/apps/4711/review") },
        Kind::AppEscalated => Notice::AppEscalated { app, due: due(), path: path("/console/apps/4802114") },
        Kind::AppDecided => Notice::AppDecided {
            app,
            approved: false,
            reasons: vec![Reason {
                code: "REDIRECT_UNVERIFIED".into(),
                title: "A redirect URI is not on a site of yours".into(),
                text: "https://old.clipkeeper.example/callback".into(),
                cure: "Prove the site under URL properties, or take the address out.".into(),
            }],
            path: path("/developers/apps/4711"),
        },
        Kind::AppStopped => Notice::AppStopped { app, revoked: true, path: path("/developers/apps/4711") },
        Kind::AccessEnded => Notice::AccessEnded { app, path: path("/connections") },
        Kind::AppFrozen => Notice::AppFrozen {
            app,
            reason: "Archives of several people were fetched from one address within minutes. We have to see why.".into(),
            due: due(),
            path: path("/developers/apps/4711"),
        },
        Kind::AppFreezeLate => Notice::AppFreezeLate { app, due: due(), path: path("/developers/apps/4711") },
        Kind::AppThawed => Notice::AppThawed {
            app,
            why: "The address was your own migration. Nothing was wrong.".into(),
            path: path("/developers/apps/4711"),
        },
        Kind::FreezeMade => Notice::FreezeMade {
            what: "the app Clipkeeper".into(),
            reason: "Archives of several people were fetched from one address within minutes.".into(),
            due: due(),
            path: path("/console/freezes/4802115"),
        },
        Kind::FreezeLate => {
            Notice::FreezeLate { what: "the source clips".into(), due: due(), path: path("/console/freezes/4802116") }
        }
        Kind::FreezeLifted => Notice::FreezeLifted {
            what: "the app Clipkeeper".into(),
            why: "It was their own migration.".into(),
            path: path("/console/freezes/4802115"),
        },
        Kind::ConfirmContact => Notice::ConfirmContact {
            organisation: "Lantern Labs".into(),
            app,
            path: path("/developers/confirm?token=lnk.EXAMPLE"),
        },
        Kind::ApplicationSubmitted => Notice::ApplicationSubmitted {
            app,
            reference,
            usual: "4 December 2026".into(),
            due: "18 December 2026".into(),
            path: path("/developers/applications/4802113"),
        },
        Kind::Question => {
            Notice::Question { app, reference, question, fields, due: due(), path: path("/developers/answer?token=lnk.EXAMPLE") }
        }
        Kind::QuestionReminder => Notice::QuestionReminder {
            app,
            reference,
            question,
            fields,
            due: due(),
            path: path("/developers/answer?token=lnk.EXAMPLE"),
            days_left: 3,
        },
        Kind::QuestionAnswered => Notice::QuestionAnswered { app, reference, path: path("/console/applications/4802113") },
        Kind::CaseReturned => {
            Notice::CaseReturned { app, reference, what: "was corrected".into(), path: path("/console/applications/4802113") }
        }
        Kind::CaseHanded => Notice::CaseHanded {
            case: format!("application {reference} of {app}"),
            by: "Ines Okafor".into(),
            text: "The mockups are in Finnish; you read it.".into(),
            path: path("/console/applications/4802113"),
        },
        Kind::ApplicationRevoked => {
            Notice::ApplicationRevoked { app, reference, reason, path: path("/developers/applications/4802113") }
        }
        Kind::ApplicationDecided => Notice::ApplicationDecided {
            app,
            reference,
            outcomes: vec![
                ("portability.activity".into(), "approved".into(), None, String::new()),
                (
                    "portability.postsandprofile".into(),
                    "approved with conditions".into(),
                    None,
                    "Deleted within 30 days of a withdrawal.".into(),
                ),
                ("portability.directmessages".into(), "refused".into(), Some(reason), String::new()),
            ],
            text: "Thank you for the clear mockups.".into(),
            path: path("/developers/applications/4802113"),
        },
        Kind::DecisionLate => Notice::DecisionLate { app, reference, due: due(), path: path("/developers/applications/4802113") },
        Kind::Escalated => Notice::Escalated { reference, due: due(), path: path("/console/applications/4802113") },
        Kind::Reopened => Notice::Reopened {
            app,
            reference,
            text: "You can change the contact now.".into(),
            path: path("/developers/applications/4802113"),
        },
        Kind::CorrectionRefused => Notice::CorrectionRefused {
            app,
            reference,
            reason: "The new text asks for other data than the application does. Withdraw it and apply anew.".into(),
            path: path("/developers/support/5120077"),
        },
        Kind::WebhookStopped => Notice::WebhookStopped { app, days: 5, path: path("/developers/apps/4711/webhooks") },
        Kind::TicketOpened => {
            Notice::TicketOpened { ticket, subject, due: "24 November 2026".into(), path: path("/developers/support/5120077") }
        }
        Kind::TicketAnswered => Notice::TicketAnswered {
            ticket,
            subject,
            text: "We have opened the application for correction.\nPlease change the contact and submit it again.".into(),
            path: path("/developers/support/answer?token=lnk.EXAMPLE"),
        },
        Kind::TicketClosed => Notice::TicketClosed { ticket, subject, path: path("/developers/support/5120077") },
        Kind::TicketReplied => Notice::TicketReplied { ticket, subject, path: path("/console/tickets/5120077") },
        Kind::TicketHanded => Notice::TicketHanded {
            ticket,
            subject,
            by: "Ines Okafor".into(),
            text: "They wrote in German; you read it.".into(),
            path: path("/console/tickets/5120077"),
        },
        Kind::TicketLate => {
            Notice::TicketLate { ticket, subject, due: "24 November 2026".into(), path: path("/console/tickets/5120077") }
        }
    }
}
