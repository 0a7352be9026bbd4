//! The parts that pages of the portal and the console are made of. Each is a small struct with a template of its own; a page's template
//! prints it with `{{ part }}`. `docs/pages.md` shows them all.
//!
//! Parts own their texts, so that a page can make one in passing: `{{ form.text("name", "Name").max(50) }}`.

pub(crate) mod diff;
pub(crate) mod form;
#[cfg(test)]
mod gallery;

use askama::Template;

use super::view::{Face, Moment, local_path, safe_url};
pub(crate) use form::{Choice, Form};

macro_rules! parts {
    ($($part:ty),+ $(,)?) => {$( impl askama::filters::HtmlSafe for $part {} )+};
}
pub(crate) use parts;

/// What a state means for the one who looks. Each has its colour and its icon; the words say the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing to say about it.
    #[default]
    Plain,
    /// Being written.
    Draft,
    /// Somebody else has the move.
    Waiting,
    /// The one who looks has the move.
    Action,
    /// Done, approved, in force.
    Good,
    /// Refused, failed, late.
    Bad,
    /// Over.
    Off,
}

impl Tone {
    /// The class in the stylesheet, which is also the icon's name.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Draft => "draft",
            Self::Waiting => "waiting",
            Self::Action => "action",
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Off => "off",
        }
    }

    /// Its icon.
    pub(crate) fn icon(self) -> Icon {
        Icon(self.class())
    }
}

/// An icon of the set in `templates/icons/`.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "parts/icon.html")]
pub(crate) struct Icon(pub &'static str);

/// Words, colour and icon of a state.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/badge.html")]
pub(crate) struct Badge {
    tone: Tone,
    words: String,
}

impl Badge {
    pub(crate) fn new(tone: Tone, words: impl Into<String>) -> Self {
        Self { tone, words: words.into() }
    }
}

/// A box with an icon and one or two sentences. Richer ones are written by hand: `<div class="notice warn">`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/notice.html")]
pub(crate) struct Notice {
    kind: &'static str,
    role: &'static str,
    icon: &'static str,
    title: String,
    text: String,
}

impl Notice {
    fn new(kind: &'static str, role: &'static str, icon: &'static str, title: impl Into<String>) -> Self {
        Self { kind, role, icon, title: title.into(), text: String::new() }
    }

    /// Something was done. Empty words make no box.
    pub(crate) fn status(words: impl Into<String>) -> Self {
        Self::new("ok", "status", "good", words)
    }

    /// Good to know.
    pub(crate) fn info(title: impl Into<String>) -> Self {
        Self::new("info", "", "info", title)
    }

    /// The one who looks has to do something.
    pub(crate) fn warn(title: impl Into<String>) -> Self {
        Self::new("warn", "", "action", title)
    }

    /// Something went wrong.
    pub(crate) fn danger(title: impl Into<String>) -> Self {
        Self::new("danger", "alert", "action", title)
    }

    /// A sentence below the first.
    pub(crate) fn text(self, text: impl Into<String>) -> Self {
        Self { text: text.into(), ..self }
    }
}

/// What happened, newest first or oldest first as the page gives it.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/timeline.html")]
pub(crate) struct Timeline(pub Vec<Event>);

/// One thing that happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Event {
    /// When.
    pub at: Moment,
    /// What: "Submitted".
    pub title: String,
    /// Who did it; may be empty.
    pub who: String,
    /// What was said; may be empty. Line breaks stay.
    pub text: String,
    /// Its colour.
    pub tone: Tone,
    /// Label and path of what it is about.
    pub link: Option<(String, String)>,
}

/// What there is to do before something can happen, and whose move each is.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/checklist.html")]
pub(crate) struct Checklist(pub Vec<Check>);

/// One line of a checklist.
#[derive(Clone, Debug, Default)]
pub(crate) struct Check {
    /// `Good` done, `Action` yours to do, `Waiting` somebody else's move, `Bad` refused, `Off` not yet.
    pub tone: Tone,
    /// The state in a word or two: "Done", "To do", "Waiting".
    pub state: String,
    /// What it is: "App review".
    pub title: String,
    /// What is missing, or what happens next; may be empty.
    pub text: String,
    /// Whose move it is: "Your move", "Our move"; may be empty.
    pub whose: String,
    /// Label and path of the next step.
    pub link: Option<(String, String)>,
}

/// The steps of a long task, each a page of its own, with the state of each.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/tasks.html")]
pub(crate) struct Tasks(pub Vec<Task>);

/// One step of a task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Task {
    /// What it is called.
    pub title: String,
    /// Where it is done; none while it cannot be started.
    pub path: Option<String>,
    /// A line below it; may be empty.
    pub hint: String,
    /// Its state.
    pub badge: Badge,
}

/// Names and values, with a link to change each: what was answered, what is known.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/summary.html")]
pub(crate) struct Summary(pub Vec<Row>);

/// One line of a summary.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    key: String,
    values: Vec<Value>,
    change: Option<String>,
    note: String,
}

#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Code(String),
    Link(String, String),
    At(Moment),
    Badge(Badge),
}

impl Row {
    /// A line that says "Not given" until it has a value.
    pub(crate) fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), ..Self::default() }
    }

    fn value(mut self, value: Value) -> Self {
        self.values.push(value);
        self
    }

    /// Adds a text; line breaks stay. An empty one adds nothing.
    pub(crate) fn text(self, text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { self } else { self.value(Value::Text(text)) }
    }

    /// Adds an identifier, to be copied.
    pub(crate) fn code(self, text: impl Into<String>) -> Self {
        self.value(Value::Code(text.into()))
    }

    /// Adds a link to a page of ours, or to an outsider's address; what cannot be linked to safely stays text.
    pub(crate) fn link(self, label: impl Into<String>, address: impl Into<String>) -> Self {
        let (label, address) = (label.into(), address.into());
        let safe = local_path(&address).or_else(|| safe_url(&address)).is_some();
        self.value(if safe { Value::Link(label, address) } else { Value::Text(label) })
    }

    /// Adds a time.
    pub(crate) fn at(self, at: Moment) -> Self {
        self.value(Value::At(at))
    }

    /// Adds a state.
    pub(crate) fn badge(self, badge: Badge) -> Self {
        self.value(Value::Badge(badge))
    }

    /// Adds a quiet line below the values.
    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// Adds a "Change" link.
    pub(crate) fn change(self, path: impl Into<String>) -> Self {
        Self { change: Some(path.into()), ..self }
    }
}

/// Ways to the pages before and after this one of a list that goes by key.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/pager.html")]
pub(crate) struct Pager {
    /// The path of the newer ones, or of the first page.
    pub newer: Option<String>,
    /// The path of the older ones.
    pub older: Option<String>,
}

/// What people wrote to each other.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/thread.html")]
pub(crate) struct Thread(pub Vec<Comment>);

/// One message or comment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comment {
    /// Who wrote it.
    pub who: String,
    /// When.
    pub at: Moment,
    /// What. Line breaks stay.
    pub text: String,
    /// Such as "Internal".
    pub badge: Option<Badge>,
    /// Whether the one who looks wrote it.
    pub own: bool,
    /// Whether the applicant cannot see it.
    pub internal: bool,
    /// Label and path of each attachment.
    pub files: Vec<(String, String)>,
}

/// An identifier or a command that is selected by one press, to be copied.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/copy.html")]
pub(crate) struct Copy {
    label: String,
    text: String,
    block: bool,
}

impl Copy {
    /// One line, with a label above it; an empty label is not shown.
    pub(crate) fn line(label: impl Into<String>, text: impl Into<String>) -> Self {
        Self { label: label.into(), text: text.into(), block: false }
    }

    /// Several lines.
    pub(crate) fn block(label: impl Into<String>, text: impl Into<String>) -> Self {
        Self { block: true, ..Self::line(label, text) }
    }
}

/// Where one is in a row of steps.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/steps.html")]
pub(crate) struct Steps {
    /// Label of each, and its path if one can go there.
    pub steps: Vec<(String, Option<String>)>,
    /// Which one this is, from 0.
    pub at: usize,
}

/// Views of one thing, each a page of its own.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/tabs.html")]
pub(crate) struct Tabs {
    /// What they are views of, for those who do not see them.
    pub label: String,
    /// Each.
    pub tabs: Vec<Tab>,
}

/// One view.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tab {
    /// What it is called.
    pub label: String,
    /// Where it is.
    pub path: String,
    /// How many things are in it.
    pub count: Option<u64>,
    /// Whether it is this page.
    pub current: bool,
}

/// Nothing is here yet, and what to do about it.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/empty.html")]
pub(crate) struct Empty {
    /// What is not here: "No apps yet".
    pub title: String,
    /// What would be; may be empty.
    pub text: String,
    /// Label and path of the first step.
    pub link: Option<(String, String)>,
}

/// It is done: a big panel with a number to quote.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/confirmation.html")]
pub(crate) struct Confirmation {
    /// What was done: "Application submitted". It is the page's `h1`.
    pub title: String,
    /// The number to quote.
    pub reference: String,
    /// A sentence below it; may be empty.
    pub text: String,
}

/// A picture beside a name, as [`super::view::App::face`] gives for apps.
pub(crate) fn face<'a>(name: &str, icon: &'a str) -> Face<'a> {
    Face::new(name, Some(icon))
}

parts!(Icon, Badge, Notice, Timeline, Checklist, Tasks, Summary, Pager, Thread, Copy, Steps, Tabs, Empty, Confirmation);
