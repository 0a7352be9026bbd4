//! What a catalogue's author is told: every fault, its line, and a cure.

use archive::catalogue::Catalogue;

use crate::support::{Engine, head, parse};

/// A section that is right, in eleven lines after the heading's.
const SECTION: &str = r#"[[section]]
categories = ["activity"]
path = ["A", "B", "List"]
source = "db"
shape = "list"
owner = "user_id"
query = "select user_id, x from t where user_id = :subject"
"#;

fn with(sections: &str) -> String {
    head(Engine::Sqlite, "sqlite:data.db", "") + sections
}

/// The line of the first line of `needle`.
fn line_of(text: &str, needle: &str) -> usize {
    let at = text.find(needle).unwrap_or_else(|| panic!("no {needle:?} in the text"));
    text[..at].matches('\n').count() + 1
}

fn faults(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn a_right_one_is_right() {
    assert_eq!(faults(&with(SECTION)), [""; 0]);
}

/// (what is replaced, by what, where the fault is, words that the message must have)
#[test]
fn each_fault_has_its_line_and_its_cure() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("format = 1", "format = 2", "format = 2", &["`format`", "is 2", "from 1 to 1"]),
        ("format = 1\n", "", "", &["no `format`", "write `format = 1`"]),
        ("edition = \"test\"", "edition = 3", "edition = 3", &["`edition`", "an integer", "a string"]),
        ("edition = \"test\"\n", "", "", &["no `edition`"]),
        ("document = \"data.json\"", "document = \"../data.json\"", "document", &["\"../data.json\"", "plain name"]),
        ("text_root = \"Data\"", "text_root = \"..\"", "text_root", &["cannot be a name in an archive"]),
        ("document = \"data.json\"", "document = \"Manifest.json\"", "document", &["\"Manifest.json\"", "beside the data"]),
        ("document = \"data.json\"", "document = \"schemas.json\"", "document", &["\"schemas\"", "choose another name"]),
        ("text_root = \"Data\"", "text_root = \"README.TXT\"", "text_root", &["\"README.TXT\"", "beside the data"]),
        ("type = \"integer\"", "type = \"int\"", "type = \"int\"", &["\"int\"", "\"integer\", \"text\", \"uuid\""]),
        (
            "[subject]\n",
            "[subject.key.customer]\nsource = \"db\"\n[subject]\n",
            "[subject.key.customer]",
            &["[subject.key.customer] has no `type`"],
        ),
        ("url = \"sqlite:data.db\"", "url = \"mysql://x/y\"", "url = \"mysql", &["does not fit its kind", "sqlite:"]),
        (
            "url = \"sqlite:data.db\"",
            "url = \"sqlite:data.db\"\nmax_line = \"1 MiB\"",
            "max_line",
            &["only for sources of kind \"http\""],
        ),
        ("kind = \"sqlite\"", "kind = \"oracle\"", "kind = \"oracle\"", &["\"oracle\"", "\"sqlite\", \"postgres\""]),
        ("url = \"sqlite:data.db\"", "", "[source.db]", &["no `url`", "url_file"]),
        ("url = \"sqlite:data.db\"", "url = \"postgres://x/y\"", "url = \"postgres", &["does not fit its kind"]),
        (
            "url = \"sqlite:data.db\"",
            "url = \"sqlite:data.db\"\nurl_file = \"u\"",
            "url_file",
            &["`url` and `url_file`", "keep one"],
        ),
        (
            "url = \"sqlite:data.db\"",
            "url = \"sqlite:data.db\"\nmax_concurrent = 0",
            "max_concurrent",
            &["is 0", "from 1 to 1000"],
        ),
        (
            "url = \"sqlite:data.db\"",
            "url = \"sqlite:data.db\"\nstatement_timeout = \"60\"",
            "statement_timeout",
            &["\"60\"", "\"60 s\""],
        ),
        (
            "url = \"sqlite:data.db\"",
            "url = \"sqlite:data.db\"\nsnapshot = \"all\"",
            "snapshot",
            &["\"request\", \"section\", \"none\""],
        ),
        (
            "url = \"sqlite:data.db\"",
            "url = \"sqlite:data.db\"\nsnapshots = \"none\"",
            "snapshots",
            &["unknown key `snapshots`", "did you mean `snapshot`"],
        ),
        ("name = \"activity\"", "name = \"Activity!\"", "name = \"Activity!\"", &["cannot be a category's name"]),
        (
            "aliases = [\"activities\"]",
            "aliases = [\"all_data\"]",
            "[[category]]\nname = \"activity\"",
            &["\"all_data\" names two categories"],
        ),
        (
            "scope = \"portability.activity\"",
            "scope = \"portability.activity.single\"",
            "scope = \"portability.activity.single\"",
            &["family of scopes", "without .single"],
        ),
        ("title = { en = \"Activity\" }", "title = { nl = \"Activiteit\" }", "title = { nl", &["no English words"]),
        ("title = { en = \"Activity\" }\n", "", "[[category]]\nname = \"activity\"", &["no `title`"]),
        ("title = { en = \"Activity\" }", "title = \"Activity\"", "title = \"Activity\"", &["`title`", "a string", "a table"]),
        (
            "categories = [\"activity\"]",
            "categories = [\"activty\"]",
            "[[section]]",
            &["`activty` that is not declared", "all_data, activity"],
        ),
        ("categories = [\"activity\"]", "categories = [\"activities\"]", "[[section]]", &["by its alias `activities`"]),
        (
            "categories = [\"activity\"]\n",
            "categories = []\n",
            "[[category]]\nname = \"activity\"",
            &["no section belongs to the category `activity`"],
        ),
        ("categories = [\"activity\"]\n", "", "[[section]]", &["no `categories`"]),
        ("path = [\"A\", \"B\", \"List\"]\n", "", "[[section]]", &["no `path`"]),
        ("path = [\"A\", \"B\", \"List\"]", "path = [\"A\", \"\"]", "path = ", &["none of them empty"]),
        ("path = [\"A\", \"B\", \"List\"]", "path = [\"A:\", \"B\"]", "path = ", &["cannot be a file", "text = "]),
        ("source = \"db\"", "source = \"bd\"", "[[section]]", &["a source `bd` that is not declared", "[source.bd]"]),
        ("shape = \"list\"", "shape = \"table\"", "shape = \"table\"", &["\"table\"", "\"groups\""]),
        ("shape = \"list\"", "shape = \"groups\"", "[[section]]", &["no `group`", "group = \"chat\""]),
        ("shape = \"list\"", "shape = \"list\"\ngroup = \"x\"", "group = ", &["only for the shapes"]),
        ("shape = \"list\"", "shape = \"list\"\nvalue = 3", "value = ", &["only for the shape \"constant\""]),
        ("shape = \"list\"", "shape = \"constant\"\nvalue = 0", "source = \"db\"\nshape", &["a constant has no `source`"]),
        ("shape = \"list\"", "shape = \"list\"\nempty = \"nothing\"", "empty = ", &["\"null\", \"[]\", \"{}\""]),
        ("owner = \"user_id\"\n", "", "[[section]]", &["no `owner`", "nobody else's rows", "owner_reason"]),
        ("owner = \"user_id\"", "owner = \"unchecked\"", "owner = ", &["nothing says why", "owner_reason"]),
        ("owner = \"user_id\"", "owner = \"user_id\"\nowner_reason = \"r\"", "owner = ", &["a reason is given"]),
        ("owner = \"user_id\"", "owner = \"user_id\"\ntime = \"t\"", "time = ", &["no :since", "TIME >= :since"]),
        ("owner = \"user_id\"", "owner = \"user_id\"\nkey = \"x\"", "key = ", &["`key`", "a string", "a list of strings"]),
        ("owner = \"user_id\"", "owner = \"user_id\"\nhidden = [3]", "hidden = ", &["only strings"]),
        (
            "owner = \"user_id\"",
            "owner = \"user_id\"\nchanged = \"t\"",
            "changed = ",
            &["`changed`", "not supported by this version"],
        ),
        ("owner = \"user_id\"", "owner = \"user_id\"\nfolder = \"t\"", "folder = ", &["unknown key `folder`", "known here are"]),
        ("owner = \"user_id\"", "owner = \"user_id\"\ntext = \"CON.txt\"", "text = \"CON", &["names a device"]),
        ("owner = \"user_id\"", "owner = \"user_id\"\ntext_line = \"{Date\"", "text_line", &["a brace that names no column"]),
        ("owner = \"user_id\"", "owner = \"user_id\"\ntext_title = \"a\\nb\"", "text_title", &["a line break"]),
        ("where user_id = :subject", "", "[[section]]", &["no :subject", "everybody's rows"]),
        ("user_id = :subject\"", "user_id = :subject; select 1\"", "[[section]]", &["two statements"]),
        ("user_id = :subject\"", "user_id = :subject and x = :person\"", "[[section]]", &["parameter `:person`", "use :subject"]),
        ("user_id = :subject\"", "user_id = ':subject\"", "[[section]]", &["does not end", "close it"]),
        ("select user_id, x from t where", "delete from t where", "[[section]]", &["not a select"]),
        (":subject\"\n", ":subject\"\n[section.fields]\nx = { type = \"time\" }\n", "x = { type", &["\"time\"", "\"timestamp\""]),
        (
            ":subject\"\n",
            ":subject\"\n[section.fields]\nx = { type = \"string\", as = \"%Y\" }\n",
            "x = { type",
            &["`as` is only for"],
        ),
        (
            ":subject\"\n",
            ":subject\"\n[section.fields]\nx = { type = \"timestamp\", as = \"%!\" }\n",
            "x = { type",
            &["not a strftime format"],
        ),
        (
            ":subject\"\n",
            ":subject\"\n[section.fields]\nx = { type = \"string\", whose = \"other\" }\n",
            "x = { type",
            &["somebody else's, and nothing says what becomes of it"],
        ),
        (":subject\"\n", ":subject\"\n[section.fields]\nx = \"string\"\n", "x = \"string\"", &["is not a table"]),
        (
            ":subject\"\n",
            ":subject\"\n[[section.nest]]\nfield = \"y\"\n",
            "[[section.nest]]",
            &["[[section.nest]] has no `query`"],
        ),
        (
            ":subject\"\n",
            ":subject\"\n[store.s3]\nurl = \"y\"\n",
            "url = \"y\"",
            &["`url` of [store.s3] names no store", "s3://"],
        ),
        ("categories = [\"activity\"]", "categories = [\"activity\"", "path = ", &["this is not TOML"]),
    ];
    let good = with(SECTION);
    for (old, new, place, words) in cases {
        let position = good.rfind(old).unwrap_or_else(|| panic!("no {old:?}"));
        let text = format!("{}{new}{}", &good[..position], &good[position + old.len()..]);
        let found = faults(&text);
        let line = line_of(&text, place);
        let hit = found
            .iter()
            .any(|fault| fault.starts_with(&format!("catalog.toml:{line}: ")) && words.iter().all(|word| fault.contains(word)));
        assert!(hit, "{new:?} at line {line} should say {words:?}, but says {found:#?}");
        assert!(found.iter().all(|fault| fault.contains("; ")), "no cure in {found:#?}");
    }
}

#[test]
fn all_faults_are_told_at_once_in_order() {
    let text = with(SECTION)
        .replace("edition = \"test\"", "edition = 1")
        .replace("shape = \"list\"", "shape = \"tree\"")
        .replace("owner = \"user_id\"\n", "");
    let found = faults(&text);
    assert_eq!(found.len(), 3, "{found:#?}");
    let lines: Vec<usize> = found.iter().map(|fault| fault.split(':').nth(1).unwrap().parse().unwrap()).collect();
    assert!(lines.is_sorted(), "{found:#?}");
}

#[test]
fn two_sections_cannot_claim_one_place() {
    let same = with(&format!("{SECTION}{SECTION}"));
    assert!(
        faults(&same)
            .iter()
            .any(|fault| fault.contains("two sections have the path \"A / B / List\", the first at catalog.toml:")),
        "{:#?}",
        faults(&same)
    );
    let through = with(&format!("{SECTION}{}", SECTION.replace("\"List\"]", "\"List\", \"Inner\"]")));
    assert!(faults(&through).iter().any(|fault| fault.contains("leads through the section at")), "{:#?}", faults(&through));
    let case = with(&format!("{SECTION}{}", SECTION.replace("\"B\", \"List\"]", "\"b\", \"List\"]")));
    assert!(faults(&case).iter().any(|fault| fault.contains("differ only by case")), "{:#?}", faults(&case));
    let folder = with(&format!("{SECTION}{}", SECTION.replace("\"A\", \"B\", \"List\"]", "\"C\"]\ntext = \"A/B.txt/C.txt\"")));
    assert!(faults(&folder).iter().any(|fault| fault.contains("is a folder at")), "{:#?}", faults(&folder));
}

#[test]
fn includes_come_in_order_with_lines_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sections")).unwrap();
    let section = |name: &str| SECTION.replace("\"A\", \"B\"", &format!("\"{name}\", \"B\""));
    std::fs::write(folder.path().join("sections/b.toml"), section("FromB")).unwrap();
    std::fs::write(folder.path().join("sections/a.toml"), section("FromA")).unwrap();
    std::fs::write(folder.path().join("last.toml"), section("Last")).unwrap();
    let main = folder.path().join("catalog.toml");
    let text = with(&section("Main")).replace("format = 1", "format = 1\ninclude = [\"last.toml\", \"sections/*.toml\"]");
    std::fs::write(&main, &text).unwrap();
    let catalogue = Catalogue::load(&main).unwrap();
    let roots: Vec<&str> = catalogue.sections().iter().map(|section| section.path[0].as_str()).collect();
    assert_eq!(roots, ["Main", "Last", "FromA", "FromB"]);

    std::fs::write(folder.path().join("sections/b.toml"), "\n\nedition = \"x\"\n").unwrap();
    let error = Catalogue::load(&main).unwrap_err().to_string();
    assert!(error.contains("sections/b.toml:3: an included file has an unknown key `edition`"), "{error}");

    std::fs::write(&main, text.replace("\"sections/*.toml\"", "\"sections/*.tml\", \"none.toml\", \"*/a.toml\"")).unwrap();
    let error = Catalogue::load(&main).unwrap_err().to_string();
    for words in [
        "no file fits the pattern \"sections/*.tml\"",
        "\"none.toml\" cannot be included",
        "`*` may stand in the file's name only",
    ] {
        assert!(error.contains(words), "{error}");
    }
    let error = Catalogue::load(&folder.path().join("nowhere.toml")).unwrap_err().to_string();
    assert!(error.contains("nowhere.toml: cannot be read"), "{error}");
}

/// Files that include each other or themselves, folders that lead back: each is told, and none is read for ever.
#[test]
fn includes_in_a_circle() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sections")).unwrap();
    let main = folder.path().join("catalog.toml");
    let with_include = |include: &str| with(SECTION).replace("format = 1", &format!("format = 1\ninclude = [{include}]"));
    for (include, other, words) in [
        // Itself, by whatever name.
        ("\"catalog.toml\"", "", "catalog.toml:2: an included file has an unknown key `format`"),
        ("\"*.toml\"", "", "catalog.toml:2: an included file has an unknown key `format`"),
        ("\"sections/../catalog.toml\"", "", "catalog.toml:2: an included file has an unknown key `format`"),
        // A file that includes the one that includes it.
        (
            "\"sections/a.toml\"",
            "include = [\"../catalog.toml\"]\n",
            "sections/a.toml:1: an included file has an unknown key `include`",
        ),
        // The same file twice.
        (
            "\"sections/a.toml\", \"sections/a.toml\"",
            &SECTION.replace("\"A\"", "\"Z\""),
            "two sections have the path \"Z / B / List\"",
        ),
    ] {
        std::fs::write(&main, with_include(include)).unwrap();
        std::fs::write(folder.path().join("sections/a.toml"), other).unwrap();
        let error = Catalogue::load(&main).expect_err(include).to_string();
        assert!(error.contains(words), "{include}: {error}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let text =
        with(SECTION).replace("kind = \"sqlite\"", "kind = \"postgres\"").replace("sqlite:data.db", "postgres://u:hunter2@h/d");
    let catalogue = parse(&text).unwrap();
    assert!(!format!("{catalogue:?}").contains("hunter2"));
}
