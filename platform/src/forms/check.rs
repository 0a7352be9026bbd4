//! What is wrong with answers: all of it at once, each at its field.

use serde_json::Value;

use super::{Answers, Field, Form, Kind, SCOPES};
use crate::uploads::Upload;

/// What answers are checked against.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The app that applies.
    pub app_id: i64,
    /// Scopes that can be asked for, each with its words.
    pub scopes: &'a [(String, String)],
    /// The files that answers may name: those of the app.
    pub uploads: &'a [Upload],
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// At which field.
    pub field: String,
    /// What, and what to do about it.
    pub message: String,
}

/// Whether a question is asked, as the other answers are.
pub fn is_relevant(form: &Form, field: &Field, answers: &Answers) -> bool {
    let Some((name, value)) = &field.when else { return true };
    // A condition names an earlier question, so this ends.
    let Some(other) = form.field(name) else { return true };
    is_relevant(form, other, answers) && other.chosen(answers).contains(&value.as_str())
}

/// The answers to the questions that are asked; what was typed into others stays in the draft only.
pub fn relevant(form: &Form, answers: &Answers) -> Answers {
    let asked = form.fields().filter(|field| is_relevant(form, field, answers));
    asked.filter_map(|field| Some((field.name.clone(), answers.get(&field.name)?.clone()))).collect()
}

/// Everything that is wrong, in the form's order.
pub fn check(form: &Form, answers: &Answers, context: &Context<'_>) -> Vec<Finding> {
    let asked = form.fields().filter(|field| is_relevant(form, field, answers));
    asked.filter_map(|field| Some(Finding { field: field.name.clone(), message: fault(field, answers, context)? })).collect()
}

fn fault(field: &Field, answers: &Answers, context: &Context<'_>) -> Option<String> {
    let label = &field.label;
    let given = match answers.get(&field.name) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    if !given {
        return field.required.then(|| match field.kind {
            Kind::Choice | Kind::Choices | Kind::YesNo => format!("Choose an answer to “{label}”"),
            Kind::Scopes => "Choose at least one scope".to_owned(),
            Kind::Upload => format!("Add a file to “{label}”"),
            _ => format!("Enter an answer to “{label}”"),
        });
    }
    let text = field.text(answers);
    let length = text.chars().filter(|c| *c != '\r').count();
    match field.kind {
        Kind::Text | Kind::LongText | Kind::Email | Kind::Url if length > field.max => {
            Some(format!("“{label}” has {length} characters; at most {} are taken", field.max))
        }
        Kind::Text if text.contains(['\n', '\r']) => Some(format!("“{label}” is one line")),
        Kind::Text | Kind::LongText => None,
        Kind::Email => (!is_email(text)).then(|| format!("“{label}” must be a mail address such as name@example.org")),
        Kind::Url => (!is_url(text)).then(|| format!("“{label}” must be a web address such as https://example.org")),
        Kind::Date => text.parse::<jiff::civil::Date>().is_err().then(|| format!("“{label}” must be a day such as 2026-11-30")),
        Kind::AppId => app_id(text, context.app_id),
        Kind::Choice | Kind::YesNo => {
            let known = field.choices(&[]);
            let fits = known.iter().any(|(value, _)| value == text);
            (!fits).then(|| format!("Choose one of the answers to “{label}”"))
        }
        Kind::Choices | Kind::Scopes => {
            let known = field.choices(context.scopes);
            let chosen = field.chosen(answers);
            let fits = !chosen.is_empty() && chosen.iter().all(|value| known.iter().any(|(held, _)| held == value));
            let unknown = if field.name == SCOPES { "Choose scopes from the list only" } else { "Choose from the list only" };
            (!fits).then(|| unknown.to_owned())
        }
        Kind::Upload => {
            let named = field.uploads(answers);
            let there = |id: &i64| {
                let upload = context.uploads.iter().find(|upload| upload.upload_id == *id);
                upload.is_some_and(|upload| upload.app_id == Some(context.app_id) && upload.purpose == field.upload)
            };
            if named.is_empty() || !named.iter().all(there) {
                Some(format!("A file of “{label}” is no longer there: add it again"))
            } else if named.len() > field.max {
                Some(format!("“{label}” takes at most {} files", field.max))
            } else {
                None
            }
        }
    }
}

fn app_id(text: &str, app_id: i64) -> Option<String> {
    match text.parse::<i64>() {
        Err(_) => Some("The App ID is a number; the client key is something else".to_owned()),
        Ok(number) if number != app_id => Some(format!("The App ID is not that of this app, which is {app_id}")),
        Ok(_) => None,
    }
}

/// Whether a text is a mail address to which something on the Internet can be sent.
pub fn is_email(text: &str) -> bool {
    let Ok(address) = text.parse::<lettre::Address>() else { return false };
    text.len() <= 254 && address.domain().contains('.') && !address.domain().ends_with('.') && text.is_ascii()
}

fn is_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.username().is_empty()
            && url.password().is_none()
            && url.host_str().is_some_and(|host| host.contains('.'))
    }) && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}
