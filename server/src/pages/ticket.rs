//! What the pages of tickets in the portal and in the console share: words, badges, threads, and forms with files.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::request::Parts;
use platform::tickets::{Kind, Message, State as Standing, Topic, Writing};
use platform::uploads::{self, Purpose, Upload};
use platform::{Fault, Millis};

use super::moment;
use super::parts::{Badge, Choice, Comment, Form, Tone};
use super::upload::{self, Owner};
use super::view::Moment;
use crate::state::State;

/// Where a ticket stands, for its developer.
pub(super) fn badge(standing: Standing) -> Badge {
    match standing {
        Standing::Open => Badge::new(Tone::Waiting, "We answer next"),
        Standing::Answered => Badge::new(Tone::Action, "Answered"),
        Standing::Closed => Badge::new(Tone::Off, "Closed"),
    }
}

/// Where a ticket stands, for staff.
pub(super) fn staff_badge(standing: Standing, late: bool) -> Badge {
    match standing {
        Standing::Open if late => Badge::new(Tone::Bad, "Late"),
        Standing::Open => Badge::new(Tone::Action, "Open"),
        Standing::Answered => Badge::new(Tone::Waiting, "Waits for the developer"),
        Standing::Closed => Badge::new(Tone::Off, "Closed"),
    }
}

/// Every topic, to choose from.
pub(super) fn topics() -> impl Iterator<Item = Choice> {
    Topic::ALL.iter().map(|topic| {
        let help = match topic {
            Topic::Portability => "Access to data, and mistakes in a submitted application.",
            Topic::AppReview => "The check of the app itself.",
            Topic::Login => "Sign-in, redirect URIs, tokens.",
            Topic::Webhooks => "Calls to your app.",
            Topic::Sandbox => "Developing against made-up people.",
            Topic::Account => "Your sign-in, your organisation and its members.",
            Topic::Other => "Anything else.",
        };
        Choice::new(topic.as_str(), topic.as_str()).help(help)
    })
}

/// A minute, as pages tell it.
pub(super) fn minute(at: Millis) -> Moment {
    Moment::minute(moment(at))
}

/// Who looks at a thread.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reader<'a> {
    /// A developer: staff are the operator, and what is internal is not there.
    Developer {
        /// Who.
        account_id: i64,
        /// What the operator calls itself.
        brand: &'a str,
    },
    /// Staff.
    Staff {
        /// Who.
        account_id: i64,
    },
}

/// The messages of a thread; those after number `seen` are marked as new.
pub(super) async fn thread(
    state: &State,
    messages: &[Message],
    reader: Reader<'_>,
    files: impl Fn(i64) -> Option<String>,
    seen: Option<i64>,
) -> Result<Vec<Comment>, Fault> {
    let mut tx = state.platform.db.read().await?;
    let mut comments = Vec::new();
    for message in messages {
        let (reader_id, own_side) = match reader {
            Reader::Developer { account_id, .. } => (account_id, !message.from_staff),
            Reader::Staff { account_id } => (account_id, message.from_staff),
        };
        if !message.visible && (!own_side || matches!(reader, Reader::Developer { .. })) {
            continue;
        }
        let name = message.name.clone().unwrap_or_default();
        let who = match reader {
            Reader::Developer { brand, .. } if message.from_staff => format!("{brand} support"),
            _ if message.account_id == Some(reader_id) => "You".to_owned(),
            _ => name,
        };
        let mut attached = Vec::new();
        for upload_id in message.uploads() {
            if let (Some(path), Some(upload)) = (files(upload_id), uploads::by_id(&mut tx, upload_id).await?) {
                attached.push((format!("{}, {}", upload.name, upload.weight()), path));
            }
        }
        let is_new = seen.is_some_and(|seen| platform::tickets::is_new(message, seen));
        comments.push(Comment {
            who,
            at: minute(message.at),
            text: words(message),
            badge: if is_new { Some(Badge::new(Tone::Action, "New")) } else { kind_badge(message) },
            own: own_side && message.visible,
            internal: !message.visible,
            files: attached,
        });
    }
    Ok(comments)
}

fn words(message: &Message) -> String {
    match message.kind {
        Kind::Closed => "Closed the ticket.".to_owned(),
        _ => message.text.clone(),
    }
}

fn kind_badge(message: &Message) -> Option<Badge> {
    Some(match message.kind {
        Kind::Message | Kind::Answer => return None,
        Kind::Note => Badge::new(Tone::Plain, "Internal note"),
        Kind::HandedOver => Badge::new(Tone::Plain, "Handed over"),
        Kind::Closed => Badge::new(Tone::Off, "Closed"),
        Kind::CorrectionOpened => Badge::new(Tone::Good, "Opened for correction"),
        Kind::CorrectionRefused => Badge::new(Tone::Bad, "Correction refused"),
    })
}

/// A file that was handed in with a form that was not taken. It stays with the form.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub upload_id: i64,
    pub name: String,
    pub weight: String,
}

/// A form with files as it came: what was typed, and the message that it makes.
pub(super) struct Came {
    pub form: Form,
    pub writing: Writing,
    pub held: Vec<Held>,
}

/// Reads a form whose field `files` holds attachments and whose field `text` holds the message. Files that are refused are told at their field; those
/// that were taken, now or before, are held.
pub(super) async fn receive(state: &State, parts: &Parts, body: Body, account_id: i64, text: &str) -> Result<Came, StatusCode> {
    let owner = Owner { owner_id: account_id, account_id: Some(account_id), app_id: None };
    let purpose = |field: &str| (field == "files").then_some(Purpose::TicketAttachment);
    let (params, given) = upload::receive_each(state, parts, body, owner, purpose).await?;
    let mut form = Form::of(&params);
    let mut held = Vec::new();
    for upload_id in params.all("held").filter_map(|id| id.parse().ok()).take(10) {
        let found = async { uploads::by_id(&mut state.platform.db.read().await?, upload_id).await };
        let found = found.await.map_err(|fault: Fault| {
            tracing::error!(%fault, "an upload cannot be read");
            StatusCode::INTERNAL_SERVER_ERROR
        })?;
        let theirs = |upload: &Upload| {
            upload.account_id == Some(account_id) && upload.purpose == Purpose::TicketAttachment && upload.kept_at.is_none()
        };
        if let Some(upload) = found.filter(theirs)
            && params.all("drop").all(|dropped| dropped != upload_id.to_string())
        {
            held.push(hold(&upload));
        }
    }
    for file in given {
        match file.taken {
            Ok(upload) => held.push(hold(&upload)),
            Err(refusal) => {
                form.wrong("files", refusal.to_string());
            }
        }
    }
    let writing = Writing {
        text: form.value(text).to_owned(),
        uploads: held.iter().map(|held| held.upload_id).collect(),
        form: form.value("form").to_owned(),
    };
    Ok(Came { form, writing, held })
}

/// The same for a form whose files would be nobody's: they are not taken.
pub(super) async fn receive_without_files(state: &State, parts: &Parts, body: Body, text: &str) -> Result<Came, StatusCode> {
    let owner = Owner { owner_id: 0, account_id: None, app_id: None };
    let (params, _) = upload::receive_each(state, parts, body, owner, |_| None).await?;
    let form = Form::of(&params);
    let writing = Writing { text: form.value(text).to_owned(), uploads: Vec::new(), form: form.value("form").to_owned() };
    Ok(Came { form, writing, held: Vec::new() })
}

fn hold(upload: &Upload) -> Held {
    Held { upload_id: upload.upload_id, name: upload.name.clone(), weight: upload.weight() }
}

/// A fresh form: its token makes it one message, however often it is posted.
pub(super) fn fresh(state: &State) -> Form {
    let mut form = Form::new();
    form.set("form", state.platform.random.word(24));
    form
}

/// Which files a message takes, for the field's help.
pub(super) fn files_help() -> String {
    format!("Up to five. {}. Never send tokens, secrets or people's data.", Purpose::TicketAttachment.words())
}

/// Which files the browser offers.
pub(super) fn files_accept() -> String {
    Purpose::TicketAttachment.accept()
}
