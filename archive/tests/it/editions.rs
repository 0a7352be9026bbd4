//! Editions: what breaks readers is what a reader of the edition before could not read.

use archive::catalogue::contents::{CategoryContents, Contents, FieldContents, SectionContents, Type};
use archive::catalogue::edition::{Editions, Refusal, changes};
use archive::catalogue::schema;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const TYPES: [Type; 9] =
    [Type::String, Type::Integer, Type::Number, Type::Boolean, Type::Timestamp, Type::Date, Type::Json, Type::Any, Type::Rows];
const SHAPES: [&str; 6] = ["list", "object", "groups", "map", "value", "constant"];
const EMPTIES: [&str; 3] = ["null", "[]", "{}"];
const CATEGORIES: [&str; 3] = ["a", "b", "c"];

fn field(name: &str, kind: Type) -> FieldContents {
    let mut field: FieldContents = serde_json::from_value(json!({ "name": name, "type": kind.as_str() })).unwrap();
    match kind {
        Type::Timestamp => field.written = Some("%Y-%m-%d %H:%M:%S".to_owned()),
        Type::Date => field.written = Some("%Y-%m-%d".to_owned()),
        Type::Rows => field.fields = vec![self::field("inner", Type::String)],
        Type::Any => field.declared = false,
        _ => {}
    }
    field
}

fn contents() -> impl Strategy<Value = Contents> {
    let fields = prop::collection::vec((0..TYPES.len(), prop::option::of(Just("pseudonym"))), 1..4);
    let section =
        (0..SHAPES.len(), 0..EMPTIES.len(), fields, any::<bool>(), prop::sample::subsequence(CATEGORIES.to_vec(), 1..=3));
    prop::collection::vec(section, 1..4).prop_map(|sections| {
        let categories = CATEGORIES.iter().chain(&["all_data"]).map(|name| ((*name).to_owned(), category(name)));
        let sections = sections.into_iter().enumerate().map(|(at, (shape, empty, fields, open, categories))| {
            let mut fields: Vec<FieldContents> = fields
                .into_iter()
                .enumerate()
                .map(|(at, (kind, rule))| {
                    let mut field = field(&format!("f{at}"), TYPES[kind]);
                    if field.kind == Type::String {
                        field.rule = rule.map(str::to_owned);
                    }
                    field
                })
                .collect();
            if SHAPES[shape] == "value" {
                fields.truncate(1);
                fields.retain(|field| field.kind != Type::Rows);
            }
            SectionContents {
                path: vec!["Folder".to_owned(), format!("S{at}")],
                categories: categories.into_iter().map(str::to_owned).collect(),
                text: None,
                file: format!("Folder/S{at}"),
                shape: SHAPES[shape].to_owned(),
                empty: EMPTIES[empty].to_owned(),
                constant: (SHAPES[shape] == "constant").then(|| json!([1])),
                key: matches!(SHAPES[shape], "groups" | "map").then(|| field("k", Type::String)),
                ranged: false,
                open,
                fields: if SHAPES[shape] == "constant" { Vec::new() } else { fields },
            }
        });
        Contents {
            edition: "1".to_owned(),
            document: "data.json".to_owned(),
            text_root: "data".to_owned(),
            categories: categories.collect(),
            sections: sections.collect(),
        }
    })
}

fn category(name: &str) -> CategoryContents {
    let scope = format!("portability.{name}");
    serde_json::from_value(json!({ "scope": scope, "title": { "en": name }, "text": { "en": name } })).unwrap()
}

/// Every value that matters of a field, in turn; none stands for a field that is not there.
fn value(field: &FieldContents, turn: usize) -> Option<Value> {
    let anything = [json!(null), json!({ "a": 1 }), json!([1]), json!("text"), json!(5), json!(true), json!(1.5)];
    let of = |values: &[Value]| values.get(turn % values.len()).cloned();
    if !field.is_promised() && turn % 8 == 7 {
        return None;
    }
    match field.kind {
        Type::String if field.rule.is_some() => of(&[json!("0123456789abcdef01234567"), json!(null)]),
        Type::String | Type::Timestamp | Type::Date => of(&[json!("text"), json!(""), json!(null)]),
        Type::Integer => of(&[json!(5), json!(-7), json!(null)]),
        Type::Number => of(&[json!(1.5), json!("NaN"), json!(3), json!(null)]),
        Type::Boolean => of(&[json!(true), json!(false), json!(null)]),
        Type::Json | Type::Any => of(&anything),
        Type::Rows => {
            let rows: Vec<Value> = (0..turn % 3).map(|more| row(&field.fields, field.open, turn + more)).collect();
            Some(rows.into())
        }
    }
}

fn row(fields: &[FieldContents], open: bool, turn: usize) -> Value {
    let mut row = Map::new();
    for field in fields {
        if let Some(value) = value(field, turn) {
            row.insert(field.name.clone(), value);
        }
    }
    if open && turn % 3 == 1 {
        row.insert("undeclared".to_owned(), json!([turn]));
    }
    row.into()
}

/// A category's document, the turn-th of them.
fn document(contents: &Contents, category: &str, turn: usize) -> Value {
    let mut folder = Map::new();
    for section in contents.sections_of(category) {
        let rows = || -> Vec<Value> { (0..3).map(|more| row(&section.fields, section.open, turn + more)).collect() };
        let value = match section.shape.as_str() {
            "constant" => section.constant.clone().unwrap(),
            _ if turn == 0 => serde_json::from_str(&section.empty).unwrap(),
            "list" => rows().into(),
            "object" => row(&section.fields, section.open, turn),
            "groups" => json!({ "x": rows(), "y": rows() }),
            "map" => json!({ "x": row(&section.fields, section.open, turn), "y": row(&section.fields, section.open, turn + 1) }),
            _ => match section.fields.first() {
                Some(field) => value(field, turn).unwrap_or(Value::Null),
                None => json!("anything"),
            },
        };
        folder.insert(section.path[1].clone(), value);
    }
    if folder.is_empty() { json!({}) } else { json!({ "Folder": folder }) }
}

/// The schema of a reader who passes over keys that they do not know.
fn lenient(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("additionalProperties").is_some_and(Value::is_boolean) {
                object.remove("additionalProperties");
            }
            object.values_mut().for_each(lenient);
        }
        Value::Array(items) => items.iter_mut().for_each(lenient),
        _ => {}
    }
}

/// Whether some document of the later contents is none to a reader of those before.
fn unreadable(before: &Contents, after: &Contents) -> bool {
    before.categories.keys().any(|name| {
        if after.category(name).is_none() {
            return true;
        }
        let mut schema = schema::category(before, name);
        lenient(&mut schema);
        let reader = jsonschema::draft202012::new(&schema).unwrap();
        (0..24).any(|turn| !reader.is_valid(&document(after, name, turn)))
    })
}

/// Whether the schema sees that one type became another.
fn is_within(new: Type, old: Type) -> bool {
    let texts = [Type::String, Type::Timestamp, Type::Date];
    new == old
        || matches!(old, Type::Json | Type::Any)
        || (old == Type::Number && new == Type::Integer)
        || (texts.contains(&old) && texts.contains(&new))
}

/// What is done to an edition, whether that breaks it, and whether its schemas see it.
fn changed(before: &Contents, what: usize, where_: usize, how: usize) -> Option<(Contents, bool, bool)> {
    let mut after = before.clone();
    let count = after.sections.len();
    let at = where_ % count;
    let section = &mut after.sections[at];
    let fields = section.fields.len();
    let of_rows = matches!(section.shape.as_str(), "list" | "object" | "groups" | "map");
    let verdict = match what {
        // Added: fine.
        0 => {
            let mut twin = section.clone();
            twin.path[1] = "New".to_owned();
            twin.file = "Folder/New".to_owned();
            after.sections.push(twin);
            (false, false)
        }
        1 if of_rows => {
            section.fields.insert(how % (fields + 1), field("new", TYPES[how % TYPES.len()]));
            (false, false)
        }
        2 => {
            after.categories.insert("d".to_owned(), category("d"));
            (false, false)
        }
        3 => {
            after.categories.get_mut("a")?.title.insert("nl".to_owned(), "Iets".to_owned());
            (false, false)
        }
        4 if fields > 0 => {
            section.fields[how % fields].meaning = Some("Something".to_owned());
            (false, false)
        }
        // Taken away.
        5 => {
            after.sections.remove(at);
            (true, true)
        }
        6 if of_rows && fields > 0 => {
            let gone = section.fields.remove(how % fields);
            (true, gone.is_promised())
        }
        7 if of_rows && fields > 0 => {
            let renamed = &mut section.fields[how % fields];
            renamed.name = "renamed".to_owned();
            (true, renamed.is_promised())
        }
        8 if !section.categories.is_empty() => {
            section.categories.pop();
            (true, true)
        }
        9 => {
            after.categories.remove("b");
            (true, true)
        }
        // Become something else.
        10 if fields > 0 && of_rows => {
            let old = &mut section.fields[how % fields];
            let new = field(&old.name, TYPES[(how / 7) % TYPES.len()]);
            if old.rule.is_some() || new.kind == old.kind {
                return None;
            }
            let was = std::mem::replace(old, new);
            // Nobody was told the type of what was not declared.
            let told = was.declared;
            (told, told && (!is_within(old.kind, was.kind) || !old.is_promised()))
        }
        11 => {
            let shape = SHAPES[how % 4];
            if !of_rows || section.shape == shape {
                return None;
            }
            section.shape = shape.to_owned();
            section.key = matches!(shape, "groups" | "map").then(|| field("k", Type::String));
            // One row and rows by their keys may look alike where nothing is promised of a row.
            let alike = section.fields.iter().all(|field| !field.is_promised());
            if alike {
                return None;
            }
            (true, true)
        }
        12 if section.shape != "constant" => {
            let empty = EMPTIES[how % 3];
            if section.empty == empty || section.shape == "value" || (section.shape == "object" && empty == "{}") {
                return None;
            }
            section.empty = empty.to_owned();
            (true, true)
        }
        13 if section.shape == "constant" => {
            section.constant = Some(json!("else"));
            (true, true)
        }
        14 if fields > 0 && of_rows && section.fields[how % fields].kind == Type::String => {
            let field = &mut section.fields[how % fields];
            let kept = field.rule.is_none();
            field.rule = kept.then(|| "pseudonym".to_owned());
            // A pseudonym may be missing, and other texts are no pseudonyms.
            (true, true)
        }
        // What schemas do not see, and readers of other forms do.
        15 => {
            section.file.push('2');
            (true, false)
        }
        16 => {
            after.document = "other.json".to_owned();
            (true, false)
        }
        17 if fields > 0 && section.fields[how % fields].written.is_some() => {
            section.fields[how % fields].written = Some("%s".to_owned());
            (true, false)
        }
        _ => return None,
    };
    Some((after, verdict.0, verdict.1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn one_change_is_judged_as_its_documents_are(before in contents(), what in 0..18_usize, where_ in 0..9_usize, how in 0..81_usize) {
        prop_assert!(!unreadable(&before, &before), "its own documents");
        prop_assert_eq!(changes(&before, &before), vec![]);
        if let Some((after, breaks, seen)) = changed(&before, what, where_, how) {
            let told = changes(&before, &after);
            prop_assert!(!told.is_empty(), "change {} is not told", what);
            prop_assert_eq!(told.iter().any(|change| change.breaking), breaks, "change {}: {:?}", what, told);
            prop_assert_eq!(unreadable(&before, &after), seen, "change {}: {:?}", what, told);
        }
    }

    #[test]
    fn what_is_said_to_be_readable_is(before in contents(), many in prop::collection::vec((0..18_usize, 0..9_usize, 0..81_usize), 1..5)) {
        let mut after = before.clone();
        for (what, where_, how) in many {
            if !after.sections.is_empty() {
                after = changed(&after, what, where_, how).map_or(after, |(after, _, _)| after);
            }
        }
        let told = changes(&before, &after);
        if unreadable(&before, &after) {
            prop_assert!(told.iter().any(|change| change.breaking), "{:?}", told);
        }
        // What was told is what the file holds.
        let text = serde_json::to_string(&after).unwrap();
        prop_assert_eq!(serde_json::from_str::<Contents>(&text).unwrap(), after);
    }
}

fn small(edition: &str, fields: &[&str]) -> Contents {
    let fields: Vec<Value> = fields.iter().map(|name| json!({ "name": name, "type": "string" })).collect();
    serde_json::from_value(json!({
        "edition": edition, "document": "data.json", "text_root": "data",
        "categories": { "all_data": { "scope": "p.all", "title": { "en": "All" }, "text": { "en": "All" } } },
        "sections": [{ "path": ["L"], "categories": [], "file": "L", "shape": "list", "empty": "[]", "fields": fields }],
    }))
    .unwrap()
}

#[test]
fn editions_are_frozen_and_follow_one_another() {
    let today: Date = date(2026, 11, 22);
    let first = Editions::default().publish(small("1", &["a", "b"]), None, today).unwrap().unwrap();
    assert_eq!((first.after.as_deref(), first.published, first.changes.as_slice()), (None, today, [].as_slice()));
    let one = Editions::in_order(vec![first.clone()]).unwrap();
    assert_eq!(one.publish(small("1", &["a", "b"]), None, today), Ok(None));
    let frozen = one.publish(small("1", &["a", "b", "c"]), None, today).unwrap_err();
    assert!(matches!(&frozen, Refusal::Frozen { changes, .. } if changes.len() == 1), "{frozen:?}");
    // More may come at any time, under another name.
    let second = one.publish(small("2", &["a", "b", "c"]), None, today).unwrap().unwrap();
    assert_eq!(second.after.as_deref(), Some("1"));
    // Less only on a day that was said before.
    let two = one.clone().with(second.clone());
    let breaking = two.publish(small("3", &["a", "c"]), None, today).unwrap_err();
    assert!(matches!(&breaking, Refusal::Breaking { before, .. } if before == "2"), "{breaking:?}");
    let past = two.publish(small("3", &["a", "c"]), Some(date(2026, 11, 21)), today).unwrap_err();
    assert_eq!(past, Refusal::Past { from: date(2026, 11, 21), today });
    let third = two.publish(small("3", &["a", "c"]), Some(date(2027, 1, 1)), today).unwrap().unwrap();
    let log = two.clone().with(third.clone()).changelog();
    assert!(
        log.contains("## 3\n\nPublished on 2026-11-22; holds from 2027-01-01.\n\n- **Breaking.** L / b: It is gone.\n"),
        "{log}"
    );
    assert!(log.contains("- L / c: It is new, and is string.\n"), "{log}");
    // Files come in any order; what does not fit together is told.
    let text = |edition| serde_json::to_string_pretty(edition).unwrap();
    let read = |text: &str| serde_json::from_str(text).unwrap();
    let all = Editions::in_order(vec![read(&text(&third)), read(&text(&first)), read(&text(&second))]).unwrap();
    assert_eq!(all.all(), [first.clone(), second.clone(), third.clone()]);
    assert!(all.publish(small("3", &["a", "c"]), Some(date(2027, 2, 1)), today).is_err(), "another day is another promise");
    assert_eq!(all.publish(small("3", &["a", "c"]), Some(date(2027, 1, 1)), today), Ok(None));
    assert!(Editions::in_order(vec![first.clone(), third.clone()]).is_err());
    // On some systems two names that differ by case are one file.
    let small_b = Editions::default().publish(small("b", &["a"]), None, today).unwrap().unwrap();
    let capital = Editions::default().with(small_b).publish(small("B", &["a", "b"]), None, today).unwrap_err();
    assert!(capital.to_string().contains("differ only by case"), "{capital}");
    let twin = one.publish(small("2b", &["a", "b", "c"]), None, today).unwrap().unwrap();
    assert!(Editions::in_order(vec![first.clone(), second, twin]).is_err());
    for name in ["../x", "a/b", "con", "", ".hidden"] {
        assert!(matches!(Editions::default().publish(small(name, &[]), None, today), Err(Refusal::Name { .. })), "{name}");
    }
}

#[test]
fn names_that_are_asked_for_stay_and_orders_may_change() {
    let of = |aliases: Value, sections: [&str; 2]| -> Contents {
        let sections: Vec<Value> = sections
            .iter()
            .map(|name| json!({ "path": [name], "categories": [], "file": name, "shape": "list", "empty": "[]", "fields": [] }))
            .collect();
        serde_json::from_value(json!({
            "edition": "1", "document": "data.json", "text_root": "data",
            "categories": { "all_data": { "scope": "p.all", "aliases": aliases, "title": { "en": "All" }, "text": { "en": "All" } } },
            "sections": sections,
        }))
        .unwrap()
    };
    let was = of(json!(["everything"]), ["A", "B"]);
    for (is, breaking, what) in [
        (of(json!([]), ["A", "B"]), true, "Its other name everything is gone."),
        (of(json!(["everything", "all"]), ["A", "B"]), false, "It has the other name all."),
        (of(json!(["everything"]), ["B", "A"]), false, "Its sections come in another order."),
    ] {
        let told: Vec<_> = changes(&was, &is).into_iter().map(|one| (one.breaking, one.what)).collect();
        assert_eq!(told, [(breaking, what.to_owned())]);
    }
}
