//! Who makes the rows of which table. A function is named like its table and passes the columns in the schema's order.

pub(in crate::demo::platform) mod account;
pub(in crate::demo::platform) mod content;
pub(in crate::demo::platform) mod money;
pub(in crate::demo::platform) mod social;

/// A JSON text, with non-ASCII letters as they are.
fn json(value: serde_json::Value) -> String {
    value.to_string()
}
