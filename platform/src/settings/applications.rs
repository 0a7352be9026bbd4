use std::path::PathBuf;

use serde::Deserialize;

/// `[applications]`: the form by which apps ask for portability scopes.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Applications {
    /// The form of new applications, by its name; the highest version of it is taken.
    pub form: String,
    /// A folder with forms of the operator's own.
    pub forms: Option<PathBuf>,
    /// Languages in which applications are taken, as ISO 639 codes.
    pub languages: Vec<String>,
    /// What every submission accepts.
    pub terms: TermsFile,
}

/// `[applications.terms]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TermsFile {
    /// Its number; kept with each submission. Raise it whenever the words change.
    pub version: String,
    /// Where they stand, if that is not here.
    pub url: Option<String>,
    /// A text file: paragraphs apart by empty lines, headings after `# `. Without one, the terms that come along.
    pub file: Option<PathBuf>,
}

impl Default for Applications {
    fn default() -> Self {
        Self { form: "compatible".into(), forms: None, languages: vec!["en".into()], terms: TermsFile::default() }
    }
}

impl Default for TermsFile {
    fn default() -> Self {
        Self { version: "1".into(), url: None, file: None }
    }
}
