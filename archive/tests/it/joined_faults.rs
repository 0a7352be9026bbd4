//! What a catalogue's author is told of keys, nested rows, look-ups and rules: each fault with its line and its cure.

use crate::support::{Engine, head, parse};

const KEY: &str = "[subject.key.customer]\nsource = \"db\"\ntype = \"text\"\nmany = true\nmissing = \"empty\"\nowner = \"user_id\"\n\
                   query = \"select user_id, no from links where user_id = :subject\"\n";

const SECTION: &str = "[[section]]\ncategories = [\"activity\"]\npath = [\"A\", \"B\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"no\"\n\
                       owner_is = \"customer\"\nquery = \"select id, no, x, p from t where no = :customer order by id\"\n";

const NEST: &str = "[[section.nest]]\nfield = \"Items\"\nowner = \"no\"\nowner_is = \"customer\"\non = { id = \"t_id\" }\n\
                    query = \"select t_id, no, y from lines where no = :customer order by t_id\"\n";

const LOOKUP: &str = "[[section.lookup]]\ncolumn = \"p\"\nsource = \"db\"\nkey = \"id\"\nfields = { name = \"Product\" }\nowner = \"unchecked\"\n\
                      owner_reason = \"products\"\nquery = \"select id, name from products where id in (:keys)\"\n";

const FIELDS: &str = "[section.fields]\nx = { type = \"string\", whose = \"other\", rule = \"pseudonym\", stable = \"grant\", meaning = \"m\", origin = \"derived\", format = \"name\" }\n";

fn faults(text: &str) -> Vec<String> {
    parse(text).err().map(|error| error.to_string().lines().map(str::to_owned).collect()).unwrap_or_default()
}

fn whole() -> String {
    head(Engine::Sqlite, "sqlite:data.db", "") + KEY + SECTION + FIELDS + NEST + LOOKUP
}

#[test]
fn a_right_one_is_right() {
    assert_eq!(faults(&whole()), [""; 0]);
    // The columns of both have one name.
    assert_eq!(faults(&whole().replace("{ id = \"t_id\" }", "[\"id\"]").replace("t_id", "id")), [""; 0]);
}

/// (what is replaced, by what, where the fault is, words that the message must have)
#[test]
fn each_fault_has_its_line_and_its_cure() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("[subject.key.customer]", "[subject.key.since]", "[subject.key.since]", &["cannot be the name of a key"]),
        (
            "[subject.key.customer]",
            "[subject.key.\"Customer no\"]",
            "[subject.key.\"",
            &["cannot be the name of a key", "a to z"],
        ),
        ("type = \"text\"\n", "type = \"number\"\n", "type = \"number\"", &["\"integer\", \"text\", \"uuid\""]),
        ("many = true", "many = \"yes\"", "many = \"yes\"", &["true or false, without quotes"]),
        ("missing = \"empty\"", "missing = \"skip\"", "missing = \"skip\"", &["\"empty\", \"fail\""]),
        ("type = \"text\"\nmany", "type = \"text\"\nmayn = 1\nmany", "mayn", &["unknown key `mayn`"]),
        ("source = \"db\"\ntype", "source = \"bd\"\ntype", "[subject.key", &["a source `bd` that is not declared"]),
        ("links where user_id = :subject", "links", "[subject.key", &["reads everybody's rows"]),
        // A key that needs itself, and one that needs another.
        (
            "links where user_id = :subject",
            "links where user_id = :subject and no = :customer",
            "[subject.key",
            &["`:customer` that nothing fills", "by :subject alone"],
        ),
        (
            "links where user_id = :subject",
            "links where user_id = :subject and t > :since",
            "[subject.key",
            &["`:since` that nothing fills", "by :subject alone"],
        ),
        (
            "missing = \"empty\"\nowner = \"user_id\"\n",
            "missing = \"empty\"\n",
            "[subject.key",
            &["compared with the key `customer`", "owner = \"user_id\""],
        ),
        (
            "owner_is = \"customer\"\nquery = \"select id",
            "owner_is = \"costumer\"\nquery = \"select id",
            "[[section]]",
            &["`costumer` that is not declared", "[subject.key.costumer]"],
        ),
        ("from t where no = :customer", "from t where no = :subject", "[[section]]", &["the query has no :customer"]),
        (
            "from t where no = :customer",
            "from t where no = :customer and q = :who",
            "[[section]]",
            &["`:who` that nothing fills", "[subject.key.*]"],
        ),
        (
            "owner = \"no\"\nowner_is = \"customer\"\nquery = \"select id",
            "owner = \"unchecked\"\nreason = \"r\"\nowner_is = \"customer\"\nquery = \"select id",
            "owner_is",
            &["no column of the owner"],
        ),
        ("field = \"Items\"\n", "", "[[section.nest]]", &["no `field`"]),
        ("on = { id = \"t_id\" }\n", "", "[[section.nest]]", &["no `on`", "on = { id = \"order_id\" }"]),
        ("on = { id = \"t_id\" }", "on = []", "on = []", &["does not pair one to eight columns"]),
        ("on = { id = \"t_id\" }", "on = { id = 3 }", "on = { id", &["does not pair"]),
        ("owner = \"no\"\nowner_is = \"customer\"\non", "on", "[[section.nest]]", &["no `owner`"]),
        ("lines where no = :customer", "lines", "[[section.nest]]", &["reads everybody's rows"]),
        (
            "lines where no = :customer",
            "lines where no = :customer and i in (:keys)",
            "[[section.nest]]",
            &["`:keys` that nothing fills"],
        ),
        ("shape = \"list\"", "shape = \"value\"", "[[section]]", &["a value has no nested rows"]),
        ("shape = \"list\"", "shape = \"list\"\ntext_line = \"{x}\"", "[[section]]", &["no place for nested rows"]),
        ("field = \"Items\"", "field = \"Product\"", "[[section]]", &["two fields of the section are named `Product`"]),
        (
            "owner = \"no\"\nowner_is = \"customer\"\nquery = \"select id",
            "time = \"t\"\ntime_from = \"unix_s\"\nowner = \"no\"\nowner_is = \"customer\"\nquery = \"select :since, :until, id",
            "[[section.nest]]",
            &["its nested query has no :since and :until"],
        ),
        ("shape = \"list\"", "shape = \"list\"\ntime_from = \"unix_s\"", "time_from", &["`time_from` is given, but no `time`"]),
        ("column = \"p\"\n", "", "[[section.lookup]]", &["no `column`"]),
        ("fields = { name = \"Product\" }\n", "", "[[section.lookup]]", &["no `fields`"]),
        ("fields = { name = \"Product\" }", "fields = { name = 1 }", "fields = { name", &["is no name"]),
        (
            "owner = \"unchecked\"\nowner_reason = \"products\"\n",
            "",
            "[[section.lookup]]",
            &["no `owner`", "things and not of people"],
        ),
        ("owner = \"unchecked\"\nowner_reason = \"products\"\n", "owner = \"id\"\n", "owner = \"id\"", &["fetches by values"]),
        (
            "owner = \"unchecked\"\nowner_reason = \"products\"\n",
            "owner = \"unchecked\"\n",
            "owner = \"unchecked\"",
            &["nothing says why"],
        ),
        ("products where id in (:keys)", "products", "[[section.lookup]]", &["no :keys", "where id in (:keys)"]),
        (
            "products where id in (:keys)",
            "products where id in (:keys) and u = :subject",
            "[[section.lookup]]",
            &["`:subject` that nothing fills"],
        ),
        ("key = \"id\"\n", "key = \"id\"\nbatch = 0\n", "batch = 0", &["from 1 to 1000"]),
        (
            "url = \"sqlite:data.db\"",
            "url = \"sqlite:data.db\"\nmax_concurrent = 2",
            "[[section]]",
            &["3 queries of the source `db` at once", "max_concurrent to 3"],
        ),
        (", rule = \"pseudonym\", stable = \"grant\"", "", "x = {", &["nothing says what becomes of it"]),
        ("rule = \"pseudonym\", stable", "rule = \"hash\", stable", "x = {", &["\"pseudonym\""]),
        ("rule = \"pseudonym\"", "rule = \"omit\"", "x = {", &["`stable` is only for rule = \"pseudonym\""]),
        (
            "rule = \"pseudonym\", stable = \"grant\"",
            "rule = \"open_id\"",
            "x = {",
            &["not said to be theirs", "whose = \"self\""],
        ),
        (
            "rule = \"pseudonym\", stable = \"grant\", meaning = \"m\", origin = \"derived\", format = \"name\"",
            "rule = \"minimal\", format = \"uri\"",
            "x = {",
            &["e-mail addresses, telephone numbers and names only"],
        ),
        ("x = { type = \"string\"", "x = { type = \"integer\"", "x = {", &["writes a text, and its type is another"]),
        ("origin = \"derived\"", "origin = \"bought\"", "x = {", &["\"provided\", \"observed\", \"derived\""]),
        ("shape = \"list\"", "shape = \"groups\"\ngroup = \"x\"", "", &[]),
        (
            "path = [\"A\", \"B\"]\nsource = \"db\"\nshape = \"list\"",
            "path = [\"A\", \"B\"]\nsource = \"db\"\nshape = \"map\"\ngroup = \"x\"\ntext_group = \"{x}\"",
            "[[section]]",
            &["`text_group` names `x`"],
        ),
    ];
    for (old, new, place, words) in cases {
        let good = whole();
        let position = good.find(old).unwrap_or_else(|| panic!("no {old:?}"));
        let text = format!("{}{new}{}", &good[..position], &good[position + old.len()..]);
        let found = faults(&text);
        if words.is_empty() {
            assert_eq!(found, [""; 0]);
            continue;
        }
        let at = text.find(place).unwrap_or_else(|| panic!("no {place:?}"));
        let line = text[..at].matches('\n').count() + 1;
        let hit = found
            .iter()
            .any(|fault| fault.starts_with(&format!("catalog.toml:{line}: ")) && words.iter().all(|word| fault.contains(word)));
        assert!(hit, "{new:?} at line {line} should say {words:?}, but says {found:#?}");
        assert!(found.iter().all(|fault| fault.contains("; ")), "no cure in {found:#?}");
    }
}

#[test]
fn rules_know_where_they_cannot_hold() {
    let with = |old: &str, new: &str| faults(&whole().replace(old, new)).join("\n");
    let groups = "shape = \"groups\"\ngroup = \"x\"";
    let told = with("shape = \"list\"", groups);
    assert_eq!(told, "");
    let omitted =
        whole().replace("shape = \"list\"", groups).replace("rule = \"pseudonym\", stable = \"grant\"", "rule = \"omit\"");
    assert!(faults(&omitted).join("\n").contains("two groups could become one"), "{omitted}");
    let second = format!("{}{}", KEY.replace("key.customer", "key.account"), "");
    let both = whole()
        .replace(KEY, &(KEY.to_owned() + &second))
        .replace("from t where no = :customer", "from t where no = :customer or a = :account");
    assert!(faults(&both).join("\n").contains("customer and account, which may each have many values"), "{:?}", faults(&both));
    let unlike = both
        .replace("from t where no = :customer or a = :account", "from t where no = :customer")
        .replace("lines where no = :customer", "lines where no = :customer and a = :account");
    assert!(
        faults(&unlike).join("\n").contains("runs for each value of `account`, and the section's does not"),
        "{:?}",
        faults(&unlike)
    );
}

/// A sample of archives is made from a catalogue alone, with nested rows, looked-up fields and no secret.
#[tokio::test]
async fn a_made_up_archive_has_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch("pragma user_version = 1").unwrap();
    let catalogue = parse(&whole()).unwrap();
    assert_eq!(catalogue.sections()[0].columns(), ["id", "no", "x", "p", "Product", "Items"]);
    let made_up = std::sync::Arc::new(catalogue.synthetic(&file));
    let sources = archive::source::Sources::open(&made_up, folder.path()).await.unwrap();
    let (made, summary) = crate::support::export(&made_up, &sources, "activity", "1", wire::DataFormat::Json).await.unwrap();
    assert_eq!((summary.sections[0].rows, summary.sections[0].nested[0].1), (3, 3));
    let row = &made.value()["A"]["B"][2];
    assert_eq!(row["Product"], "Made-up Product 3");
    assert_eq!(row["x"], "Made-up x 3");
    assert_eq!(row["Items"][0]["y"], "Made-up y 3");
}
