//! What each mail says: what happened, what to do next, by when. Plain words, one thing a mail.

use std::time::Duration;

use super::clean::{line, name, text};
use super::letter::{Block, Letter};
use super::{Notice, Reason, ScopeOutcome, lives};
use crate::links::Purpose;
use crate::settings::Site;

const ACCOUNT: &str = "You get this mail because this address belongs to an account, or was given for one.";
const APP: &str = "You get this mail because you work on this app.";
const FORM: &str = "You get this mail because this address stands on the application's form.";
const STAFF: &str = "You get this mail because you are a member of staff.";
const TICKET: &str = "You get this mail because the ticket is yours.";

/// A mail under construction.
struct Draft<'a> {
    site: &'a Site,
    blocks: Vec<Block>,
}

impl Draft<'_> {
    fn say(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    fn say_if(self, condition: bool, text: &str) -> Self {
        if condition { self.say(text) } else { self }
    }

    fn head(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Heading(text.into()));
        self
    }

    fn quote(mut self, words: &str) -> Self {
        let words = text(words);
        if !words.is_empty() {
            self.blocks.push(Block::Quote(words));
        }
        self
    }

    fn facts(mut self, facts: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.blocks.push(Block::Facts(facts.into_iter().collect()));
        self
    }

    fn points(mut self, points: impl IntoIterator<Item = String>) -> Self {
        self.blocks.push(Block::Points(points.into_iter().collect()));
        self
    }

    fn open(mut self, label: &'static str, path: &str) -> Self {
        let path: String = path.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
        let slash = if path.starts_with('/') { "" } else { "/" };
        self.blocks.push(Block::Action(label, format!("{}{slash}{path}", self.site.base_url)));
        self
    }

    fn reasons(mut self, reasons: &[Reason]) -> Self {
        for reason in reasons {
            self = self.reason(reason);
        }
        self
    }

    fn reason(self, reason: &Reason) -> Self {
        let cure = format!("What mends it: {}", line(&reason.cure));
        self.say(format!("{} ({})", line(&reason.title), line(&reason.code)))
            .quote(&reason.text)
            .say_if(!reason.cure.trim().is_empty(), &cure)
    }

    fn done(self, subject: impl AsRef<str>, why: &'static str) -> Letter {
        Letter { subject: line(subject.as_ref()), blocks: self.blocks, why }
    }
}

/// A length of time as people say it.
fn span(length: Duration) -> String {
    let hours = length.as_secs() / 3600;
    match hours {
        1 => "one hour".into(),
        2..=48 => format!("{hours} hours"),
        _ => format!("{} days", hours / 24),
    }
}

fn once(purpose: Purpose) -> String {
    format!("The link works once, and for {}.", span(lives(purpose)))
}

pub(super) fn letter(notice: &Notice, site: &Site) -> Letter {
    let new = || Draft { site, blocks: Vec::new() };
    let hello = |who: &str| new().say(if who.trim().is_empty() { "Hello,".to_owned() } else { format!("Hello {},", name(who)) });
    let brand = line(&site.brand);
    match notice {
        Notice::Test { at } => new()
            .say(format!("This is a test. It was sent from the command line of {brand} at {}. If you can read it, mail arrives.", line(at)))
            .say("There is nothing to do.")
            .done(format!("A test mail from {brand}"), STAFF),
        Notice::VerifyEmail { name: who, path } => hello(who)
            .say(format!("A developer account was made at {brand} with this address. Confirm that the address is yours to use the account."))
            .open("Confirm the address", path)
            .say(once(Purpose::VerifyEmail))
            .say("If it was not you, do nothing: without this step nobody can use the account.")
            .done("Confirm your address", ACCOUNT),
        Notice::AccountExists { name: who } => hello(who)
            .say(format!("Somebody, perhaps you, wanted to make a developer account at {brand} with this address. It has one already, so nothing was changed."))
            .open("Sign in", "/developers/login")
            .say("If you no longer know the password, the sign-in page leads to a new one. If it was not you, there is nothing to do.")
            .done("You already have an account", ACCOUNT),
        Notice::ResetPassword { name: who, path } => hello(who)
            .say(format!("Somebody, perhaps you, asked for a new password for your account at {brand}."))
            .open("Set a new password", path)
            .say(once(Purpose::ResetPassword))
            .say("If it was not you, do nothing: the password stays as it is.")
            .done("Set a new password", ACCOUNT),
        Notice::ChangeEmail { name: who, path } => hello(who)
            .say(format!("Your account at {brand} is to use this address from now on. Confirm that the address is yours; until then the old one holds."))
            .open("Confirm the new address", path)
            .say(once(Purpose::ChangeEmail))
            .say("If it was not you, do nothing.")
            .done("Confirm your new address", ACCOUNT),
        Notice::EmailChanged { name: who } => hello(who)
            .say(format!("Your account at {brand} now uses another address. Mail no longer comes here."))
            .say("If it was not you, write to support at once: somebody else can sign in to your account.")
            .open("Support", "/developers/support/new?topic=Account")
            .done("Your address was changed", ACCOUNT),
        Notice::PasswordChanged { name: who, path } => hello(who)
            .say(format!("The password of your account at {brand} was changed, and every other session was ended."))
            .say("If it was you, there is nothing to do. If it was not, set a new password at once.")
            .open("Set a new password", path)
            .done("Your password was changed", ACCOUNT),
        Notice::SecondFactorOn { name: who, path } => hello(who)
            .say(format!("Two-step sign-in was switched on for your account at {brand}, and every other session was ended. From now on a code is asked for after the password."))
            .say("Keep the recovery codes that were shown where you find them when your authenticator app is lost.")
            .say("If it was not you, set a new password at once, and write to support: somebody else can sign in to your account.")
            .open("Set a new password", path)
            .done("Two-step sign-in was switched on", ACCOUNT),
        Notice::SecondFactorOff { name: who, by_administrator: false, path } => hello(who)
            .say(format!("Two-step sign-in was switched off for your account at {brand}. Unless you set up another second step, the password alone opens it; the recovery codes are of no use any more."))
            .say("If it was you, there is nothing to do. If it was not, set a new password at once.")
            .open("Set a new password", path)
            .done("Two-step sign-in was switched off", ACCOUNT),
        Notice::SecondFactorOff { name: who, by_administrator: true, path } => hello(who)
            .say(format!("An administrator has taken the second step away from your account at {brand}, and every session was ended. At the next sign-in you set up another."))
            .say("If you have not asked for it, set a new password at once, and tell an administrator.")
            .open("Set a new password", path)
            .done("Your second step was taken away", STAFF),
        Notice::RecoveryCodesRenewed { name: who, path } => hello(who)
            .say(format!("New recovery codes were made for your account at {brand}. The earlier ones are of no use any more."))
            .say("If it was you, there is nothing to do. If it was not, set a new password at once.")
            .open("Set a new password", path)
            .done("Your recovery codes were renewed", ACCOUNT),
        Notice::WelcomeStaff { name: who, path } => hello(who)
            .say(format!("You are now a member of staff at {brand}. Set your password to sign in to the console."))
            .open("Set your password", path)
            .say(once(Purpose::WelcomeStaff))
            .say("Should it have ended before you came to it, ask an administrator for another.")
            .done(format!("Your account in the console of {brand}"), STAFF),
        Notice::Invitation { organisation, by, role, path } => new()
            .say(format!("{} invites you to join the organisation {} at {brand} as {}.", name(by), name(organisation), line(role)))
            .open("See the invitation", path)
            .say(format!("It can be accepted for {}. If you do not want to join, decline it or do nothing.", span(lives(Purpose::Invitation))))
            .done(format!("Join {}", line(organisation)), ACCOUNT),
        Notice::TransferOffered { app, organisation, by, path } => new()
            .say(format!("{} offers the app {} to the organisation {} at {brand}.", name(by), name(app), name(organisation)))
            .say("Its owner or an admin can accept it. Scopes that were approved for the app end then: your organisation applies for them anew.")
            .open("See the offer", path)
            .done(format!("{} is offered to {}", line(app), line(organisation)), ACCOUNT),
        Notice::AppSubmitted { app, due } => new()
            .say(format!("The app {} was submitted for review.", name(app)))
            .facts([("A decision is due by", line(due))])
            .say("There is nothing to do until then. You can recall the submission on the app's page to change something.")
            .open("Your apps", "/developers/apps")
            .done(format!("{} is in review", line(app)), APP),
        Notice::AppLate { app, due, path } => new()
            .say(format!("The app {} should have been decided about by {}. It was not, and that is our fault.", name(app), line(due)))
            .say("It was put before the administrators. The delay decides nothing: the app is neither approved nor refused by it, and keeps its place. There is nothing for you to do.")
            .open("The app's review", path)
            .done(format!("The review of {} is late", line(app)), APP),
        Notice::AppEscalated { app, due, path } => new()
            .say(format!("The app {} was due by {} and is not decided about. The developer has been told.", name(app), line(due)))
            .say("See who holds it, and hand it over if they cannot decide it now.")
            .open("The app's review", path)
            .done(format!("Late: review of the app {}", line(app)), STAFF),
        Notice::AppDecided { app, approved: true, reasons, path } => new()
            .say(format!("The app {} was approved.", name(app)))
            .reasons(reasons)
            .say("The app's page says what, if anything, is still missing before it can ask for people's data.")
            .open("The app's page", path)
            .done(format!("{} was approved", line(app)), APP),
        Notice::AppDecided { app, approved: false, reasons, path } => new()
            .say(format!("The app {} was not approved. This is why:", name(app)))
            .reasons(reasons)
            .say("Change what is named above and submit the app again, at any time.")
            .open("The app's page", path)
            .done(format!("{} was not approved", line(app)), APP),
        Notice::AppStopped { app, revoked: true, path } => new()
            .say(format!("The app {} was revoked. Everything that people allowed it has ended: its tokens are dead, its open requests are cancelled, and archives that waited are deleted. The people concerned are told.", name(app)))
            .say("Delete what the app holds of people who ask you to, and write to support if you want to know more or apply again.")
            .open("The app's page", path)
            .done(format!("{} was revoked", line(app)), APP),
        Notice::AppStopped { app, revoked: false, path } => new()
            .say(format!("The app {} was suspended. Until this ends its calls are refused, requests that are open wait, and archives cannot be downloaded. Nothing was deleted, and what people allowed stays allowed.", name(app)))
            .say("Write to support to learn what is needed for it to go on.")
            .open("The app's page", path)
            .done(format!("{} was suspended", line(app)), APP),
        Notice::AccessEnded { app, path } => new()
            .say(format!("You had let the app {} get data of yours from {}. We have ended its access: it was stopped for good. You need not do anything.", name(app), site.brand))
            .say("Copies that waited for it here are deleted. What it had fetched before is with the app's makers: ask them to delete it.")
            .open("Your connections", path)
            .done(format!("{} can no longer get your data", line(app)), "You get this mail because you had let this app in."),
        Notice::AppFrozen { app, reason, due, path } => new()
            .say(format!("The app {} was stopped for the moment. Until this ends its calls are refused, requests that are open wait, and archives cannot be downloaded. Nothing was deleted, and what people allowed stays allowed.", name(app)))
            .say("This is why:")
            .quote(reason)
            .say(format!("A second person looks at it by {} and either lifts it or confirms it. You are told when it is lifted. If you have something to say on it, write to support.", line(due)))
            .open("The app's page", path)
            .done(format!("{} was frozen", line(app)), APP),
        Notice::AppFreezeLate { app, due, path } => new()
            .say(format!("By {} a second person should have looked at the freeze of the app {}. Nobody has, and that is our fault.", line(due), name(app)))
            .say("Those who can were told again. The app stays frozen until they have looked: what was stopped for people's safety does not start by itself. If it keeps you from something urgent, write to support.")
            .open("The app's page", path)
            .done(format!("The look at the freeze of {} is late", line(app)), APP),
        Notice::AppThawed { app, why, path } => new()
            .say(format!("The app {} is no longer frozen. Its calls are answered again, and requests that waited go on by themselves.", name(app)))
            .quote(why)
            .open("The app's page", path)
            .done(format!("{} is no longer frozen", line(app)), APP),
        Notice::FreezeMade { what, reason, due, path } => new()
            .say(format!("Stopped at once: {}. A second person is to look at it by {}: confirm it, or lift it.", line(what), line(due)))
            .quote(reason)
            .open("The freeze", path)
            .done(format!("Frozen: {}", line(what)), STAFF),
        Notice::FreezeLate { what, due, path } => new()
            .say(format!("Still stopped, and by {} a second person should have looked at it: {}. Nobody has.", line(due), line(what)))
            .say("It goes on until somebody confirms or lifts it. Look at it now: people and developers wait for it.")
            .open("The freeze", path)
            .done(format!("Late: the freeze of {}", line(what)), STAFF),
        Notice::FreezeLifted { what, why, path } => new()
            .say(format!("A freeze that you made was lifted: {}.", line(what)))
            .quote(why)
            .open("The freeze", path)
            .done(format!("Lifted: the freeze of {}", line(what)), STAFF),
        Notice::ConfirmContact { organisation, app, path } => new()
            .say(format!("{} names this address as its contact in the application of the app {} for access to people's data at {brand}.", name(organisation), name(app)))
            .say("Confirm that the address is right. Questions about the application, and the decision, will come here.")
            .open("Confirm the address", path)
            .say(once(Purpose::ConfirmContact))
            .say("If you know nothing of it, do nothing: the application cannot be submitted with an address that was not confirmed.")
            .done("Confirm that you are the contact", FORM),
        Notice::ApplicationSubmitted { app, reference, usual, due, path } => new()
            .say(format!("The application of {} for the Data Portability API was submitted.", name(app)))
            .facts([
                ("Reference", line(reference)),
                ("Usually decided by", line(usual)),
                ("Decided at the latest by", line(due)),
            ])
            .say("If the reviewers have a question, it comes to this address; while it is open, their time stands still. You need not do anything until then.")
            .say("Found a mistake? Open a ticket with the topic Data Portability API: the application can be opened for correction and keeps its place.")
            .open("The application", path)
            .done(format!("Application {} was submitted", line(reference)), FORM),
        Notice::Question { app, reference, question, fields, due, path } => {
            asked(new(), app, question, fields, due, path).done(format!("A question about application {}", line(reference)), FORM)
        }
        Notice::QuestionReminder { app, reference, question, fields, due, path, days_left } => {
            let left = match days_left {
                0 => "today is the last day".to_owned(),
                1 => "one day is left".to_owned(),
                days => format!("{days} days are left"),
            };
            asked(new().say(format!("This question is still open; {left}.")), app, question, fields, due, path)
                .say("Without an answer by then the application goes back to the reviewers as it is. That refuses nothing by itself, but they decide without your answer.")
                .done(format!("Still open: a question about application {}", line(reference)), FORM)
        }
        Notice::QuestionAnswered { app, reference, path } => new()
            .say(format!("Your question about application {} of {} was answered. Your time runs again.", line(reference), name(app)))
            .open("The application", path)
            .done(format!("Answered: application {}", line(reference)), STAFF),
        Notice::CaseReturned { app, reference, what, path } => new()
            .say(format!("Application {} of {} {}. The move is yours again.", line(reference), name(app), line(what)))
            .open("The application", path)
            .done(format!("Back with you: application {}", line(reference)), STAFF),
        Notice::CaseHanded { case, by, text, path } => new()
            .say(format!("{} handed {} to you.", name(by), line(case)))
            .quote(text)
            .open("The case", path)
            .done(format!("Yours now: {}", line(case)), STAFF),
        Notice::ApplicationRevoked { app, reference, reason, path } => new()
            .say(format!("The approval of the application of {} for the Data Portability API was taken back. The scopes that it gave are switched off.", name(app)))
            .facts([("Reference", line(reference))])
            .say("The reason:")
            .reason(reason)
            .say("You can apply again at any time, from the same answers: View scopes and Apply on the app's page. If you think that this is wrong, open a ticket with the topic Data Portability API.")
            .open("The application", path)
            .done(format!("The approval of application {} was taken back", line(reference)), FORM),
        Notice::ApplicationDecided { app, reference, outcomes, text, path } => {
            let opening = new()
                .say(format!("The application of {} for the Data Portability API was decided.", name(app)))
                .facts([("Reference", line(reference))]);
            let refused = outcomes.iter().any(|(_, _, reason, _)| reason.is_some());
            outcomes
                .iter()
                .fold(opening, outcome)
                .say_if(!text.trim().is_empty(), "The reviewers add:")
                .quote(text)
                .say_if(refused, "You can apply again at any time, from the same answers: View scopes and Apply on the app's page. If you think that a decision is wrong, open a ticket with the topic Data Portability API.")
                .say_if(outcomes.iter().any(|(_, _, reason, _)| reason.is_none()), "Next, choose on the app's page, under View scopes, which approved scopes are to be switched on.")
                .open("The whole decision", path)
                .done(format!("Application {} was decided", line(reference)), FORM)
        }
        Notice::DecisionLate { app, reference, due, path } => new()
            .say(format!("The application of {} should have been decided by {}. It was not, and that is our fault.", name(app), line(due)))
            .facts([("Reference", line(reference))])
            .say("It was put before the administrators. The delay decides nothing: the application is neither approved nor refused by it, and keeps its place. There is nothing for you to do.")
            .open("The application", path)
            .done(format!("Application {} is late", line(reference)), FORM),
        Notice::Escalated { reference, due, path } => new()
            .say(format!("Application {} was due by {} and is not decided. The applicant has been told.", line(reference), line(due)))
            .say("See who holds it, and hand it over if they cannot decide it now.")
            .open("The application", path)
            .done(format!("Late: application {}", line(reference)), STAFF),
        Notice::Reopened { app, reference, text, path } => new()
            .say(format!("The application of {} is open for correction. It keeps its place in the queue.", name(app)))
            .facts([("Reference", line(reference))])
            .quote(text)
            .say("Correct it and submit it again. Until then the reviewers' time stands still.")
            .open("Correct the application", path)
            .done(format!("Application {} can be corrected", line(reference)), FORM),
        Notice::CorrectionRefused { app, reference, reason, path } => new()
            .say(format!("The application of {} was not opened for correction. It goes on as it was submitted.", name(app)))
            .facts([("Reference", line(reference))])
            .say("The reason:")
            .quote(reason)
            .say("If you see it otherwise, answer on the ticket.")
            .open("The ticket", path)
            .done(format!("Application {} was not opened for correction", line(reference)), TICKET),
        Notice::WebhookStopped { app, days, path } => new()
            .say(format!("Every call to the webhook of {} has failed for {days} days. No more are made.", name(app)))
            .say("Events are kept meanwhile. The app's page shows each call with what was answered; when your address works again, resume there, and have sent what was missed.")
            .open("The webhook's log", path)
            .done(format!("Webhook stopped: {}", line(app)), APP),
        Notice::TicketOpened { ticket, subject, due, path } => new()
            .say("We have your ticket. Somebody will answer it.")
            .facts([("Ticket", line(ticket)), ("Subject", line(subject)), ("First answer by", line(due))])
            .say("The answer comes by mail and stands on the ticket's page, where you can add to it meanwhile.")
            .open("The ticket", path)
            .done(format!("Ticket {ticket}: {}", line(subject)), TICKET),
        Notice::TicketAnswered { ticket, subject, text, path } => new()
            .say("Your ticket was answered:")
            .quote(text)
            .facts([("Ticket", line(ticket)), ("Subject", line(subject))])
            .say("If that settles it, there is nothing to do. Otherwise write back by the link below; you need not sign in.")
            .open("Write back", path)
            .say(format!("The link takes one answer, within {}. After that, use the ticket's page.", span(lives(Purpose::AnswerTicket))))
            .done(format!("Answered: ticket {ticket}: {}", line(subject)), TICKET),
        Notice::TicketClosed { ticket, subject, path } => new()
            .say("Your ticket was closed.")
            .facts([("Ticket", line(ticket)), ("Subject", line(subject))])
            .say("If something is still open, write on the ticket's page: that opens it again.")
            .open("The ticket", path)
            .done(format!("Closed: ticket {ticket}: {}", line(subject)), TICKET),
        Notice::TicketReplied { ticket, subject, path } => new()
            .say("The developer wrote on a ticket that is yours. It is your move.")
            .facts([("Ticket", line(ticket)), ("Subject", line(subject))])
            .open("The ticket", path)
            .done(format!("New on ticket {ticket}: {}", line(subject)), STAFF),
        Notice::TicketHanded { ticket, subject, by, text, path } => new()
            .say(format!("{} handed this ticket to you.", name(by)))
            .facts([("Ticket", line(ticket)), ("Subject", line(subject))])
            .quote(text)
            .open("The ticket", path)
            .done(format!("Yours now: ticket {ticket}: {}", line(subject)), STAFF),
        Notice::TicketLate { ticket, subject, due, path } => new()
            .say(format!("This ticket should have had a first answer by {}. It has none.", line(due)))
            .facts([("Ticket", line(ticket)), ("Subject", line(subject))])
            .say("Answer it, or see who can.")
            .open("The ticket", path)
            .done(format!("Late: ticket {ticket}: {}", line(subject)), STAFF),
    }
}

/// A reviewer's question.
fn asked<'a>(draft: Draft<'a>, app: &str, question: &str, fields: &[String], due: &str, path: &str) -> Draft<'a> {
    let draft = draft.say(format!("The reviewers of the application of {} ask:", name(app))).quote(question);
    let draft = if fields.is_empty() {
        draft
    } else {
        draft.say("It is about these answers:").points(fields.iter().map(|field| line(field)))
    };
    draft
        .facts([("Answer by", line(due))])
        .open("Answer the question", path)
        .say("The link works without an account, for one answer. Until you have answered, the reviewers' time stands still.")
}

/// What was decided about one scope.
fn outcome<'a>(draft: Draft<'a>, (scope, outcome, reason, conditions): &ScopeOutcome) -> Draft<'a> {
    let mut draft = draft.head(format!("{}: {}", line(scope), line(outcome)));
    if !conditions.trim().is_empty() {
        draft = draft.say("Under these conditions:").quote(conditions);
    }
    match reason {
        Some(reason) => draft.reason(reason),
        None => draft,
    }
}
