//! The forms that an archive can have.

use std::fmt;
use std::str::FromStr;

use wire::DataFormat;

/// The form of an archive. The wire's calls know the first two; `/v1` knows them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One document with all of it.
    Json,
    /// Folders of text files.
    Text,
    /// A file for each section, with a JSON value on every line.
    Ndjson,
    /// A file for each section, as a table.
    Csv,
}

/// A word that names no form of an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no form of an archive: write json, txt, ndjson or csv")]
pub struct UnknownFormat(pub String);

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Json, Self::Text, Self::Ndjson, Self::Csv];

    /// The word that is stored, and that `/v1` reads: `json`, `txt`, `ndjson` or `csv`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "txt",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// What somebody who opens such an archive should know, for the README within it.
    pub const fn notes(self) -> &'static str {
        match self {
            Self::Json => "One JSON document, UTF-8.",
            Self::Text => "Text files, UTF-8.",
            Self::Ndjson => "A file for each section, UTF-8, with one JSON object on every line.",
            Self::Csv => {
                "A table for each section: UTF-8 without a byte order mark, commas, the names of the columns in the first line (RFC 4180). Nothing at \
                 all is null; \"\" is the empty text. Texts stand in quotes, numbers do not; lists and objects are JSON in quotes. A text that a \
                 spreadsheet might take for a formula, or that begins with an apostrophe, has an apostrophe before it: take one leading apostrophe \
                 away to have the exact text back."
            }
        }
    }

    /// The form as the wire's calls name it, if they know it.
    pub const fn on_the_wire(self) -> Option<DataFormat> {
        match self {
            Self::Json => Some(DataFormat::Json),
            Self::Text => Some(DataFormat::Text),
            Self::Ndjson | Self::Csv => None,
        }
    }
}

impl From<DataFormat> for Format {
    fn from(format: DataFormat) -> Self {
        match format {
            DataFormat::Json => Self::Json,
            DataFormat::Text => Self::Text,
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.as_str() == word).ok_or_else(|| UnknownFormat(word.to_owned()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
            assert_eq!(format.on_the_wire().map_or(format, Format::from), format);
        }
        assert_eq!("text".parse::<Format>(), Err(UnknownFormat("text".to_owned())));
    }
}
