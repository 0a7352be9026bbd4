//! The data dictionary of a category: for people, as Markdown, and for programs, as JSON.

use serde_json::{Value, json};

use super::contents::{Contents, FieldContents, SectionContents, Type};
use super::schema::about;

/// The dictionary as data. Null when there is no such category.
pub fn as_json(contents: &Contents, category: &str) -> Value {
    let Some((name, words)) = contents.category(category) else { return Value::Null };
    let sections: Vec<&SectionContents> = contents.sections_of(name).collect();
    json!({ "edition": contents.edition, "document": contents.document, "name": name, "category": words, "sections": sections })
}

/// The dictionary as Markdown. Empty when there is no such category.
pub fn as_markdown(contents: &Contents, category: &str) -> String {
    let Some((name, words)) = contents.category(category) else { return String::new() };
    let english = |texts: &std::collections::BTreeMap<String, String>| texts.get("en").map_or(String::new(), |text| inline(text));
    let mut page = format!("# {}\n\n{}\n\n", english(&words.title), english(&words.text));
    page.push_str(&format!(
        "Category `{name}`, asked for by `{}`. Edition {} of {}.\n",
        words.scope,
        inline(&contents.edition),
        inline(&contents.document)
    ));
    for section in contents.sections_of(name) {
        page.push_str(&format!("\n## {}\n\n{}\n\n", inline(&section.name()), super::schema::words(section)));
        let mut files = vec![format!("`{0}.ndjson`, `{0}.csv`", section.file)];
        files.extend(section.text.as_ref().map(|text| format!("`{}/{text}`", contents.text_root)));
        page.push_str(&format!("Files: {}.\n", files.join(", ")));
        if let Some(constant) = &section.constant {
            page.push_str(&format!("\nIt is `{}`.\n", constant.to_string().replace('`', "'")));
        }
        if section.open {
            page.push_str("\nThe catalogue does not declare all of its fields: there may be others than these.\n");
        }
        let fields: Vec<(String, &FieldContents)> = all("", &section.fields);
        if fields.is_empty() && section.key.is_none() {
            continue;
        }
        page.push_str("\n| field | type | |\n|---|---|---|\n");
        if let Some(key) = &section.key {
            let of = if section.shape == "groups" {
                "The key of the group; in NDJSON and CSV a field."
            } else {
                "The key of the row; in NDJSON and CSV a field."
            };
            page.push_str(&format!("| {} | string | {} |\n", inline(&key.name), of));
        }
        for (within, field) in fields {
            let kind = match field.kind {
                Type::Rows => "list of objects",
                kind => kind.as_str(),
            };
            page.push_str(&format!("| {}{} | {kind} | {} |\n", inline(&within), inline(&field.name), inline(&about(field))));
        }
    }
    page
}

/// Every field, and those of nested rows behind the field that holds them.
fn all<'f>(within: &str, fields: &'f [FieldContents]) -> Vec<(String, &'f FieldContents)> {
    let mut found = Vec::new();
    for field in fields {
        found.push((within.to_owned(), field));
        found.extend(all(&format!("{within}{}.", field.name), &field.fields));
    }
    found
}

/// Text that stays on its line, and in which nothing is Markdown's.
pub(super) fn inline(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => written.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' => written.extend(['\\', c]),
            c => written.push(c),
        }
    }
    written
}
