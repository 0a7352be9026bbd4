use serde::Deserialize;

use super::Span;

/// `[uploads]`: files that developers and staff hand in. Kinds and sizes are the contract's (1.4, 1.10).
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uploads {
    /// PDFs that are read at once, each in a process of its own.
    pub inspections: u32,
    /// How long a file is kept that nothing names: its form was never saved.
    pub loose: Span,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { inspections: 2, loose: Span::days(1) }
    }
}
