//! One made-up mail of each kind, for previews and snapshots.

use super::{Notice, Reason};

/// One of each, in the order of [`Notice`].
pub fn samples() -> Vec<Notice> {
    let path = |path: &str| path.to_owned();
    let (app, reference) = ("Clipkeeper".to_owned(), "4802113".to_owned());
    let question = "Which of your servers hold the data, and in which country are they?".to_owned();
    let fields = vec!["Where data is stored".to_owned(), "Security measures".to_owned()];
    let reason = Reason {
        code: "PURPOSE_UNCLEAR".into(),
        title: "The purpose is not clear".into(),
        text: "The answer says what the app does, not what it needs direct messages for.".into(),
        cure: "Name the feature that needs this data, and what people get from it.".into(),
    };
    let (ticket, subject) = ("5120077".to_owned(), "Wrong contact in our application".to_owned());
    let name = || "Mara Lindqvist".to_owned();
    let due = || "4 December 2026".to_owned();
    vec![
        Notice::VerifyEmail { name: name(), path: path("/developers/verify?token=lnk.EXAMPLE") },
        Notice::AccountExists { name: name() },
        Notice::ResetPassword { name: name(), path: path("/developers/reset?token=lnk.EXAMPLE") },
        Notice::ChangeEmail { name: name(), path: path("/developers/verify?token=lnk.EXAMPLE") },
        Notice::EmailChanged { name: name() },
        Notice::PasswordChanged { name: name() },
        Notice::WelcomeStaff { name: name(), path: path("/console/welcome?token=lnk.EXAMPLE") },
        Notice::Invitation {
            organisation: "Lantern Labs".into(),
            by: name(),
            role: "app manager".into(),
            path: path("/developers/invitations"),
        },
        Notice::AppSubmitted { app: app.clone(), due: due() },
        Notice::AppDecided {
            app: app.clone(),
            approved: false,
            reasons: vec![Reason {
                code: "REDIRECT_UNVERIFIED".into(),
                title: "A redirect URI is not on a site of yours".into(),
                text: "https://old.clipkeeper.example/callback".into(),
                cure: "Prove the site under URL properties, or take the address out.".into(),
            }],
            path: path("/developers/apps/4711"),
        },
        Notice::ConfirmContact {
            organisation: "Lantern Labs".into(),
            app: app.clone(),
            path: path("/developers/confirm?token=lnk.EXAMPLE"),
        },
        Notice::ApplicationSubmitted {
            app: app.clone(),
            reference: reference.clone(),
            usual: "4 December 2026".into(),
            due: "18 December 2026".into(),
            path: path("/developers/applications/4802113"),
        },
        Notice::Question {
            app: app.clone(),
            reference: reference.clone(),
            question: question.clone(),
            fields: fields.clone(),
            due: due(),
            path: path("/developers/answer?token=lnk.EXAMPLE"),
        },
        Notice::QuestionReminder {
            app: app.clone(),
            reference: reference.clone(),
            question,
            fields,
            due: due(),
            path: path("/developers/answer?token=lnk.EXAMPLE"),
            days_left: 3,
        },
        Notice::QuestionAnswered { app: app.clone(), reference: reference.clone(), path: path("/console/applications/4802113") },
        Notice::ApplicationDecided {
            app: app.clone(),
            reference: reference.clone(),
            outcomes: vec![
                ("portability.activity".into(), "approved".into(), None, String::new()),
                ("portability.postsandprofile".into(), "approved with conditions".into(), None, "Deleted within 30 days of a withdrawal.".into()),
                ("portability.directmessages".into(), "refused".into(), Some(reason), String::new()),
            ],
            text: "Thank you for the clear mockups.".into(),
            path: path("/developers/applications/4802113"),
        },
        Notice::DecisionLate {
            app: app.clone(),
            reference: reference.clone(),
            due: due(),
            path: path("/developers/applications/4802113"),
        },
        Notice::Escalated { reference: reference.clone(), due: due(), path: path("/console/applications/4802113") },
        Notice::Reopened {
            app: app.clone(),
            reference: reference.clone(),
            text: "You can change the contact now.".into(),
            path: path("/developers/applications/4802113"),
        },
        Notice::CorrectionRefused {
            app,
            reference,
            reason: "The new text asks for other data than the application does. Withdraw it and apply anew.".into(),
            path: path("/developers/support/5120077"),
        },
        Notice::TicketOpened {
            ticket: ticket.clone(),
            subject: subject.clone(),
            due: "24 November 2026".into(),
            path: path("/developers/support/5120077"),
        },
        Notice::TicketAnswered {
            ticket: ticket.clone(),
            subject: subject.clone(),
            text: "We have opened the application for correction.\nPlease change the contact and submit it again.".into(),
            path: path("/developers/support/answer?token=lnk.EXAMPLE"),
        },
        Notice::TicketClosed { ticket: ticket.clone(), subject: subject.clone(), path: path("/developers/support/5120077") },
        Notice::TicketReplied { ticket: ticket.clone(), subject: subject.clone(), path: path("/console/tickets/5120077") },
        Notice::TicketLate { ticket, subject, due: "24 November 2026".into(), path: path("/console/tickets/5120077") },
    ]
}
