//! The forms that come along, operators' own, and what is said about answers.

use platform::forms::{self, Answers, Context, Forms, Kind, Role, check, parse};
use platform::settings::Applications;
use serde_json::{Value, json};

const COMPATIBLE: &str = include_str!("../../forms/compatible.toml");
const FULL: &str = include_str!("../../forms/full.toml");

fn scopes() -> Vec<(String, String)> {
    vec![
        ("portability.activity.single".into(), "Your activity, one time".into()),
        ("portability.all.ongoing".into(), "All, ongoing".into()),
    ]
}

fn answers(value: Value) -> Answers {
    value.as_object().unwrap().clone()
}

#[test]
fn the_compatible_form_has_the_thirteen_questions_in_their_groups() {
    let form = parse("compatible.toml", COMPATIBLE, "Clips").unwrap();
    assert_eq!(form.key(), "compatible.1");
    let sizes: Vec<usize> = form.steps.iter().map(|step| step.fields.len()).collect();
    assert_eq!(sizes, [6, 3, 2, 2], "contract 1.10 groups 1-6, 7-9, 10-11, 12-13");
    let required: Vec<bool> = form.fields().map(|field| field.required).collect();
    assert_eq!(required, [true, true, true, true, false, true, true, true, true, true, false, true, false]);
    assert_eq!(form.field("representative_email").unwrap().label, "Clips representative email");
    let mockups = form.of_role(Role::Mockups).unwrap();
    assert_eq!(mockups.upload.words(), "PDF, at most 5 MB");
}

#[test]
fn the_full_form_has_twelve_sections_and_each_question_its_purpose() {
    let form = parse("full.toml", FULL, "Clips").unwrap();
    assert_eq!(form.steps.len(), 12);
    assert!(form.fields().count() > 80, "{}", form.fields().count());
    for text in [COMPATIBLE, FULL] {
        let form = parse("form.toml", text, "Clips").unwrap();
        for field in form.fields() {
            assert!(field.purpose.len() > 10 && !field.guidance.is_empty() && !field.help.is_empty(), "{}", field.name);
            assert!(!field.label.contains("TikTok") && !field.help.contains("TikTok"));
        }
    }
    // Every condition can come true, and nothing hangs on itself.
    for field in form.fields() {
        if let Some((other, value)) = &field.when {
            let mut held = Answers::new();
            held.insert(other.clone(), json!(value));
            assert!(forms::is_relevant(&form, field, &held), "{}", field.name);
            assert!(!forms::is_relevant(&form, field, &Answers::new()), "{}", field.name);
        }
    }
}

#[test]
fn all_faults_of_a_form_are_told_at_once_with_their_lines() {
    let text = r#"name = "Own form"
version = 0
title = "{brandd} form"
unknown = 1

[[step]]
name = "one"
title = "One"

[[step.field]]
name = "who"
label = "Who"
kind = "texts"
required = "yes"
help = "h"
purpose = ""
guidance = "g"
when = "later=yes"

[[step.field]]
name = "who"
label = "Which"
kind = "choice"
required = true
help = "h"
purpose = "p"
guidance = "g"

[[step.field]]
name = "why"
label = "Why"
kind = "long_text"
required = true
help = "h"
purpose = "p"
guidance = "g"
"#;
    let error = parse("own.toml", text, "Clips").unwrap_err();
    let lines: Vec<usize> = error.0.iter().map(|fault| fault.line).collect();
    let told = error.to_string();
    for (line, words) in [
        (1, "must begin with a small letter"),
        (2, "version must be a whole number"),
        (3, "the only placeholder is {brand}"),
        (4, "there is no key \"unknown\" here"),
        (13, "kind \"texts\" is none of"),
        (14, "required must be true or false"),
        (16, "purpose is empty"),
        (18, "there is no field \"later\" before this one"),
        (20, "another field \"who\" already"),
        (20, "options is missing"),
        (29, "max is missing"),
        (1, "the form has no field of kind scopes"),
        (1, "the form has no field with the role contact_email"),
        (1, "the form has no field with the role organisation"),
    ] {
        assert!(told.contains(words) && lines.contains(&line), "line {line}, {words}:\n{told}");
        let found = error.0.iter().any(|fault| fault.message.contains(words) && fault.line.abs_diff(line) <= 1);
        assert!(found, "line {line}, {words}:\n{told}");
    }
    assert!(parse("own.toml", "name = ", "Clips").unwrap_err().to_string().starts_with("own.toml:1: "));
}

#[test]
fn an_operators_folder_adds_forms_and_its_newest_version_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("forms")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join("forms").join(name), text).unwrap();
    let own = COMPATIBLE.replace("name = \"compatible\"", "name = \"ours\"");
    write("ours1.toml", &own);
    write("ours2.toml", &own.replace("version = 1", "version = 2").replace("Applicant name", "Your name"));
    let settings = Applications { form: "ours".into(), forms: Some("forms".into()), ..Applications::default() };
    let forms = Forms::open(&settings, "Clips", folder.path()).unwrap();
    assert_eq!(forms.current().key(), "ours.2");
    assert_eq!(forms.of("ours.1").field("applicant_name").unwrap().label, "Applicant name");
    assert_eq!(forms.of("gone.7").key(), "ours.2", "a form that is gone is shown by the current one");

    write("broken1.toml", "name = 1");
    write("broken2.toml", "version = []");
    let mut settings = Applications { languages: vec!["en".into(), "klingon".into()], ..settings };
    settings.terms.file = Some("terms.txt".into());
    let told = Forms::open(&settings, "Clips", folder.path()).unwrap_err().to_string();
    for part in ["broken1.toml:1: ", "broken2.toml:1: ", "klingon", "terms.txt"] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    let none = Applications { form: "none".into(), ..Applications::default() };
    assert!(Forms::open(&none, "Clips", folder.path()).unwrap_err().to_string().contains("there is no form \"none\""));
}

#[test]
fn everything_wrong_with_answers_is_told_at_once_each_at_its_field() {
    let form = parse("compatible.toml", COMPATIBLE, "Clips").unwrap();
    let known = scopes();
    let context = Context { app_id: 77, scopes: &known, uploads: &[] };
    let told = check(&form, &Answers::new(), &context);
    let fields: Vec<&str> = told.iter().map(|finding| finding.field.as_str()).collect();
    let required: Vec<&str> = form.fields().filter(|field| field.required).map(|field| field.name.as_str()).collect();
    assert_eq!(fields, required);

    let wrong = answers(json!({
        "applicant_name": "x".repeat(101),
        "applicant_email": "anna@localhost",
        "organization_name": "Two\nlines",
        "organization_website": "javascript:alert(1)",
        "representative_email": "not a mail address",
        "app_id": "awabcdef12345678",
        "scopes": ["portability.everything.single"],
        "use_case": "y".repeat(8001),
        "mockups": [5],
        "subject_requests": "   ",
        "data_protection": ["a list"],
    }));
    let told = check(&form, &wrong, &context);
    let fields: Vec<&str> = told.iter().map(|finding| finding.field.as_str()).collect();
    for field in [
        "applicant_name",
        "applicant_email",
        "organization_name",
        "organization_website",
        "representative_email",
        "app_id",
        "scopes",
        "use_case",
        "mockups",
        "subject_requests",
    ] {
        assert!(fields.contains(&field), "{field}: {told:?}");
    }
    let at = |field: &str| told.iter().find(|finding| finding.field == field).unwrap().message.clone();
    assert_eq!(at("applicant_name"), "“Applicant name” has 101 characters; at most 100 are taken");
    assert_eq!(at("app_id"), "The App ID is a number; the client key is something else");
    let another = answers(json!({ "app_id": "78" }));
    assert!(
        check(&form, &another, &context)
            .iter()
            .any(|finding| finding.message == "The App ID is not that of this app, which is 77")
    );
}

#[test]
fn a_question_that_is_not_asked_is_neither_needed_nor_handed_in() {
    let form = parse("full.toml", FULL, "Clips").unwrap();
    let known = scopes();
    let context = Context { app_id: 77, scopes: &known, uploads: &[] };
    let has = |given: &Answers, field: &str| check(&form, given, &context).iter().any(|finding| finding.field == field);
    let no = answers(json!({ "has_parent": "no", "parent": "x".repeat(1000) }));
    assert!(!has(&no, "parent"));
    assert!(!forms::relevant(&form, &no).contains_key("parent"));
    let yes = answers(json!({ "has_parent": "yes" }));
    assert!(has(&yes, "parent"));
    assert!(has(&answers(json!({ "has_parent": "perhaps" })), "has_parent"));
}

#[test]
fn mail_addresses() {
    for good in ["anna@replay.example", "a.b+c@sub.replay.example"] {
        assert!(forms::is_email(good), "{good}");
    }
    for bad in [
        "",
        "anna",
        "anna@",
        "@replay.example",
        "anna@localhost",
        "a b@replay.example",
        "a@b@c.example",
        "a@replay.example\r\nBcc: x@y.example",
        "anna@replay.example.",
    ] {
        assert!(!forms::is_email(bad), "{bad}");
    }
}

#[test]
fn answers_in_words() {
    let form = parse("full.toml", FULL, "Clips").unwrap();
    let given = answers(
        json!({ "size": "1", "has_dpo": "no", "scopes": ["portability.all.ongoing", "gone.single"], "applicant_name": " Anna " }),
    );
    let words = |name: &str| form.field(name).unwrap().words(&given, &scopes());
    assert_eq!(words("size"), ["1 to 9"]);
    assert_eq!(words("has_dpo"), ["No"]);
    assert_eq!(words("scopes"), ["All, ongoing", "gone.single"]);
    assert_eq!(words("applicant_name"), ["Anna"]);
    assert!(words("dpo").is_empty());
    assert_eq!(form.field("mockups").unwrap().kind, Kind::Upload);
}
