//! Forms: the questions of the Data Portability API Application. A form is a data file with a version; an application keeps the form it was begun
//! with. Two come along; operators add their own.

mod check;
mod language;
mod load;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

pub use check::{Context, Finding, check, is_email, is_relevant, relevant};
pub use language::{Language, known_language, language, readings};
pub use load::{FormError, FormFault, parse};

use crate::db::words;
use crate::settings::Applications;
use crate::uploads;

words! {
    /// How a question is answered.
    Kind {
        /// One line.
        Text = "text",
        /// Several lines.
        LongText = "long_text",
        /// A mail address.
        Email = "email",
        /// A web address.
        Url = "url",
        /// One of a few.
        Choice = "choice",
        /// Some of a few.
        Choices = "choices",
        /// Yes or no.
        YesNo = "yes_no",
        /// A day.
        Date = "date",
        /// Scopes of the catalogue.
        Scopes = "scopes",
        /// The number of the app that applies.
        AppId = "app_id",
        /// Files.
        Upload = "upload",
    }
}

words! {
    /// What a question means to the house beyond its words.
    Role {
        /// The person who applies.
        Applicant = "applicant",
        /// Where questions and the decision go; confirmed before submission.
        ContactEmail = "contact_email",
        /// The organisation's legal name.
        Organisation = "organisation",
        /// Its site.
        Website = "website",
        /// Why which scope is needed.
        UseCase = "use_case",
        /// What people will see.
        Mockups = "mockups",
    }
}

/// The one field of kind [`Kind::Scopes`] has this name in every form.
pub const SCOPES: &str = "scopes";

/// The questions of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// As `compatible`.
    pub name: String,
    /// Counted from 1; a form that was used is not changed, but followed by another version.
    pub version: u32,
    /// What it is called.
    pub title: String,
    /// What it is, in a sentence or two.
    pub text: String,
    /// Its parts, each a page.
    pub steps: Vec<Step>,
}

/// A part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// As in addresses.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// What it is about.
    pub text: String,
    /// Its questions.
    pub fields: Vec<Field>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As in answers.
    pub name: String,
    /// The question.
    pub label: String,
    /// How it is answered.
    pub kind: Kind,
    /// Whether it must be answered, if it is asked.
    pub required: bool,
    /// Most characters of a text, most files of an upload.
    pub max: usize,
    /// How tall a text's box is.
    pub rows: u8,
    /// What it means.
    pub role: Option<Role>,
    /// Asked only if another field has that value.
    pub when: Option<(String, String)>,
    /// To help with the answer.
    pub help: String,
    /// Why it is asked, and on which ground: no more may be asked than is needed.
    pub purpose: String,
    /// What reviewers look at.
    pub guidance: String,
    /// Value and label of what can be chosen.
    pub options: Vec<(String, String)>,
    /// What files of an upload are for.
    pub upload: uploads::Purpose,
    /// What the browser may fill in.
    pub autocomplete: String,
}

/// What can be answered: field to value. Texts and choices are strings; several choices and scopes are lists of strings; files are lists of the
/// numbers of uploads.
pub type Answers = Map<String, Value>;

impl Form {
    /// Name and version: `compatible.1`.
    pub fn key(&self) -> String {
        format!("{}.{}", self.name, self.version)
    }

    /// All questions in order.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.steps.iter().flat_map(|step| &step.fields)
    }

    /// A question by its name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields().find(|field| field.name == name)
    }

    /// The question that means something.
    pub fn of_role(&self, role: Role) -> Option<&Field> {
        self.fields().find(|field| field.role == Some(role))
    }

    /// The answer to the question that means something, without the spaces around it; empty if there is none.
    pub fn answer<'a>(&self, answers: &'a Answers, role: Role) -> &'a str {
        self.of_role(role).map(|field| field.text(answers)).unwrap_or_default()
    }

    /// The numbers of all uploads that answers name.
    pub fn uploads(&self, answers: &Answers) -> Vec<i64> {
        self.fields().flat_map(|field| field.uploads(answers)).collect()
    }

    /// The step of a field.
    pub fn step_of(&self, field: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.fields.iter().any(|held| held.name == field))
    }
}

impl Field {
    /// The answer as a text, without the spaces around it; empty if it is not one.
    pub fn text<'a>(&self, answers: &'a Answers) -> &'a str {
        answers.get(&self.name).and_then(Value::as_str).map(str::trim).unwrap_or_default()
    }

    /// What was chosen.
    pub fn chosen<'a>(&self, answers: &'a Answers) -> Vec<&'a str> {
        match answers.get(&self.name) {
            Some(Value::String(one)) if !one.is_empty() => vec![one.as_str()],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The numbers of the files that were handed in.
    pub fn uploads(&self, answers: &Answers) -> Vec<i64> {
        if self.kind != Kind::Upload {
            return Vec::new();
        }
        answers.get(&self.name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_i64).collect()
    }

    /// What can be chosen, with its words; scopes are the catalogue's.
    pub fn choices(&self, scopes: &[(String, String)]) -> Vec<(String, String)> {
        match self.kind {
            Kind::YesNo => vec![("yes".into(), "Yes".into()), ("no".into(), "No".into())],
            Kind::Scopes => scopes.to_vec(),
            _ => self.options.clone(),
        }
    }

    /// The answer in words, one line for each thing that was chosen; empty without an answer, and for files, which have names of their own.
    pub fn words(&self, answers: &Answers, scopes: &[(String, String)]) -> Vec<String> {
        match self.kind {
            Kind::Upload => Vec::new(),
            Kind::Choice | Kind::Choices | Kind::YesNo | Kind::Scopes => {
                let known = self.choices(scopes);
                let label = |value: &str| known.iter().find(|(held, _)| held == value).map(|(_, label)| label.clone());
                self.chosen(answers).into_iter().map(|value| label(value).unwrap_or_else(|| value.to_owned())).collect()
            }
            _ => {
                let text = self.text(answers);
                if text.is_empty() { Vec::new() } else { vec![text.to_owned()] }
            }
        }
    }
}

/// Every scope that can be asked for with its words: name, and "Your activity, one time (portability.activity.single)".
pub fn scopes(catalogue: &archive::catalogue::Catalogue) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for category in catalogue.categories() {
        for (kind, words) in [("single", "one time"), ("ongoing", "ongoing")] {
            let name = format!("{}.{kind}", category.scope);
            if !all.iter().any(|(known, _)| *known == name) {
                let title = category.title.best("en");
                all.push((name, format!("{title}, {words}")));
            }
        }
    }
    all
}

/// The forms there are, and the programme's terms.
#[derive(Clone, Debug)]
pub struct Forms {
    known: BTreeMap<String, Arc<Form>>,
    current: Arc<Form>,
    /// What every submission accepts.
    pub terms: Terms,
}

/// The operator's programme terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its number; kept with each submission.
    pub version: String,
    /// Where they stand, if that is elsewhere.
    pub url: Option<String>,
    /// What they say: paragraphs apart by empty lines; one that begins with `# ` is a heading.
    pub text: String,
}

const COMPATIBLE: &str = include_str!("../../forms/compatible.toml");
const FULL: &str = include_str!("../../forms/full.toml");
const TERMS: &str = include_str!("../../forms/terms.txt");

impl Forms {
    /// The two that come along and those of the operator's folder; relative paths begin at `base`. All faults of all files are told at once.
    pub fn open(settings: &Applications, brand: &str, base: &Path) -> Result<Self, FormError> {
        let mut files = vec![("compatible.toml".to_owned(), COMPATIBLE.to_owned()), ("full.toml".to_owned(), FULL.to_owned())];
        let mut faults = Vec::new();
        if let Some(folder) = &settings.forms {
            match own(&base.join(folder)) {
                Ok(own) => files.extend(own),
                Err(fault) => faults.push(FormFault {
                    file: folder.display().to_string(),
                    line: 0,
                    message: format!("cannot be read: {fault}"),
                }),
            }
        }
        let (mut known, mut newest): (BTreeMap<String, Arc<Form>>, Option<Arc<Form>>) = Default::default();
        for (file, text) in &files {
            match parse(file, text, brand) {
                Ok(form) => {
                    let form = Arc::new(form);
                    if form.name == settings.form && newest.as_ref().is_none_or(|newest| newest.version < form.version) {
                        newest = Some(Arc::clone(&form));
                    }
                    if known.insert(form.key(), Arc::clone(&form)).is_some() {
                        let message =
                            format!("there is another form {} already; raise the version or change the name", form.key());
                        faults.push(FormFault { file: file.clone(), line: 1, message });
                    }
                }
                Err(error) => faults.extend(error.0),
            }
        }
        for code in &settings.languages {
            if known_language(code).is_none() {
                let message = format!(
                    "applications.languages: {code:?} is not a language that can be detected; write codes such as \"en\""
                );
                faults.push(FormFault { file: "portward.toml".into(), line: 0, message });
            }
        }
        let terms = match &settings.terms.file {
            Some(file) => std::fs::read_to_string(base.join(file)).unwrap_or_else(|fault| {
                faults.push(FormFault { file: file.display().to_string(), line: 0, message: format!("cannot be read: {fault}") });
                String::new()
            }),
            None => TERMS.to_owned(),
        };
        if newest.is_none() {
            let message = format!("applications.form: there is no form {:?}", settings.form);
            faults.push(FormFault { file: "portward.toml".into(), line: 0, message });
        }
        match newest {
            Some(current) if faults.is_empty() => {
                let terms = Terms {
                    version: settings.terms.version.clone(),
                    url: settings.terms.url.clone(),
                    text: terms.replace("{brand}", brand),
                };
                Ok(Self { known, current, terms })
            }
            _ => Err(FormError(faults)),
        }
    }

    /// The one that new applications are begun with.
    pub fn current(&self) -> &Arc<Form> {
        &self.current
    }

    /// The form of an application by name and version; the current one if that form is gone.
    pub fn of(&self, key: &str) -> &Arc<Form> {
        self.known.get(key).unwrap_or(&self.current)
    }
}

fn own(folder: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            files.push((path.display().to_string(), std::fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}
