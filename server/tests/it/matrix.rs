//! The authorisation matrix: every act of the portal and the console tried by everybody over HTTP. What comes out is compared with
//! `docs/access.md`, which is this test's own table: a change of who may do what is a change of that file, to be looked at.
//!
//! `UPDATE_SNAPSHOTS=1 cargo nextest run -p portward-server matrix` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use reqwest::StatusCode;
use reqwest::header::LOCATION;
use testkit::dev::Dev;
use testkit::visitor::{Seen, Visitor};

use crate::support::binary;

/// Everybody, in the order of the table's columns.
const EVERYBODY: [&str; 11] = [
    "signed out",
    "person",
    "other organisation",
    "manager of another app",
    "manager",
    "admin",
    "owner",
    "reviewer",
    "support",
    "compliance",
    "administrator",
];

/// What the guard, or the handler behind it, said to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// It was done, or would have been with another form.
    Yes,
    /// Sign in first.
    SignIn,
    /// Not in your role.
    Forbidden,
    /// There is nothing here for you.
    Unknown,
}

impl Said {
    fn mark(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::SignIn => "sign in",
            Self::Forbidden => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// Tries an act with a form that no handler reads, so that what is allowed is not also done.
async fn attempt(who: &Visitor, method: &str, path: &str, entrance: &str) -> Said {
    let call = match method {
        "GET" => who.http().get(who.url(path)),
        _ => who.http().post(who.url(path)).header("origin", who.url("/").origin().ascii_serialization()).body("not a form"),
    };
    let answer = call.send().await.expect("the server answers");
    let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
    match answer.status() {
        StatusCode::FORBIDDEN => Said::Forbidden,
        StatusCode::NOT_FOUND => Said::Unknown,
        StatusCode::SEE_OTHER
            if to.strip_prefix(entrance).is_some_and(|rest| rest.starts_with('?')) && !to.contains("fresh=") =>
        {
            Said::SignIn
        }
        status => {
            assert!(!status.is_server_error(), "{method} {path} fails: {status}\n{}", answer.text().await.unwrap_or_default());
            Said::Yes
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_act_as_everybody() {
    let mut cast = Cast::gather().await;
    let mut rows: Vec<(String, String, String, [Said; EVERYBODY.len()])> = Vec::new();
    for (method, path, what) in acts() {
        let mut said = [Said::Unknown; EVERYBODY.len()];
        let real = cast.fill(&path);
        let entrance = if path.starts_with("/console") { "/console/login" } else { "/developers/login" };
        for (at, name) in EVERYBODY.into_iter().enumerate() {
            said[at] = attempt(&cast.visitors[name], &method, &real, entrance).await;
            if path.ends_with("/logout") {
                cast.sign_in(name).await;
            }
        }
        rows.push((method, path, what, said));
    }
    // As they are listed, not as they were tried.
    rows.sort_by_key(|(_, path, ..)| path.starts_with("/console"));
    assert!(rows.len() > 60, "only {} acts", rows.len());
    check_sense(&rows);
    compare(&table(&rows));
}

/// What must hold whatever the table says: nobody who is signed out, a person or of the other side gets at anything that is not for everybody.
fn check_sense(rows: &[(String, String, String, [Said; EVERYBODY.len()])]) {
    for (method, path, _, said) in rows {
        let of = |name: &str| said[EVERYBODY.iter().position(|known| *known == name).unwrap()];
        // What a mailed link or a half session opens says "unknown" to all without it.
        let public = of("signed out") != Said::SignIn;
        let act = format!("{method} {path}");
        assert_eq!(of("signed out"), of("person"), "{act}: a person's session opens nothing here");
        if public {
            continue;
        }
        if path.starts_with("/console") {
            for developer in ["other organisation", "manager of another app", "manager", "admin", "owner"] {
                assert_eq!(of(developer), Said::SignIn, "{act}: {developer}");
            }
        } else {
            for staff in ["reviewer", "support", "compliance", "administrator"] {
                assert_eq!(of(staff), Said::SignIn, "{act}: {staff} is no developer");
            }
            if ["{app}", "{organisation}", "{application}"].iter().any(|part| path.contains(part)) {
                assert_eq!(of("other organisation"), Said::Unknown, "{act}: another organisation must not learn of it");
            }
        }
    }
}

/// Method, path and name of every act, those last that take somebody out of the table.
fn acts() -> Vec<(String, String, String)> {
    let output = std::process::Command::new(binary()).args(["admin", "--json", "acts"]).output().expect("the binary runs");
    let acts: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("a list of acts");
    let text = |act: &serde_json::Value, key: &str| act[key].as_str().expect("a text").to_owned();
    let mut acts: Vec<_> = acts.iter().map(|act| (text(act, "method"), text(act, "path"), text(act, "what"))).collect();
    acts.sort_by_key(|(_, path, _)| path.ends_with("/leave"));
    acts
}

fn table(rows: &[(String, String, String, [Said; EVERYBODY.len()])]) -> String {
    let mut out = String::from(
        "# Who may do what\n\nWritten by the test `matrix::every_act_as_everybody`, which tries every act of the portal and the console over HTTP as\n\
         everybody. *yes*: done, or it would be with a right form; *no*: forbidden; *unknown*: not found, because it is not theirs to know of;\n\
         *sign in*: sent to the sign-in of that side. Acts on a row, such as a ticket or a file, are tried on one of the owner's.\n",
    );
    for (title, side) in [("The portal", "/developers"), ("The console", "/console")] {
        let shown: Vec<usize> = (0..EVERYBODY.len())
            .filter(|at| {
                let developer = (2..7).contains(at);
                let staff = *at >= 7;
                !(side == "/developers" && staff || side == "/console" && developer)
            })
            .collect();
        let _ = write!(out, "\n## {title}\n\n| act | |");
        for at in &shown {
            let _ = write!(out, " {} |", EVERYBODY[*at]);
        }
        let _ = write!(out, "\n|---|---|{}\n", "---|".repeat(shown.len()));
        for (method, path, what, said) in rows.iter().filter(|(_, path, ..)| path.starts_with("/console") == (side == "/console"))
        {
            let mut words = what.chars();
            let first: String = words.next().into_iter().flat_map(char::to_uppercase).collect();
            let _ = write!(out, "| {first}{} | `{method} {path}` |", words.as_str());
            for at in &shown {
                let _ = write!(out, " {} |", said[*at].mark());
            }
            out.push('\n');
        }
    }
    out
}

fn compare(table: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/access.md");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, table).expect("the table is written");
        return;
    }
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    for (line, (ours, theirs)) in table.lines().zip(known.lines().chain(std::iter::repeat(""))).enumerate() {
        assert_eq!(ours, theirs, "docs/access.md line {}: look whether that is meant, then UPDATE_SNAPSHOTS=1", line + 1);
    }
    assert_eq!(table.lines().count(), known.lines().count(), "docs/access.md");
}

/// Everybody of the table, signed in to the demonstration, and the things that the acts are tried on.
struct Cast {
    dev: Dev,
    visitors: BTreeMap<&'static str, Visitor>,
    /// Path parameter to number.
    ids: BTreeMap<&'static str, String>,
}

/// Where somebody of the table signs in, and by which address; both empty for those who do not.
fn who(name: &str) -> (&'static str, &'static str) {
    match name {
        "other organisation" => ("/developers/login", "henrik@halfmoon.example"),
        "manager of another app" => ("/developers/login", "gus@lumenlabs.example"),
        "manager" => ("/developers/login", "finn@lumenlabs.example"),
        "admin" => ("/developers/login", "emil@lumenlabs.example"),
        "owner" => ("/developers/login", "dana@lumenlabs.example"),
        "reviewer" => ("/console/login", "reviewer@clips.example"),
        "support" => ("/console/login", "support@clips.example"),
        "compliance" => ("/console/login", "compliance@clips.example"),
        "administrator" => ("/console/login", "administrator@clips.example"),
        _ => ("", ""),
    }
}

impl Cast {
    async fn gather() -> Self {
        let dev = Dev::start();
        let mut cast = Self { dev, visitors: BTreeMap::new(), ids: BTreeMap::new() };
        for name in EVERYBODY {
            cast.sign_in(name).await;
        }
        let owner = cast.visitors["owner"].clone();
        let app = number(&owner.open("/developers/apps").await, "/developers/apps/", "Momentmap");
        let page = owner.open(&format!("/developers/apps/{app}/scopes")).await;
        let application = number(&page, "/developers/applications/", "");
        let answers = owner.open(&format!("/developers/applications/{application}/print")).await;
        let ticket = number(&owner.open("/developers/support").await, "/developers/support/", "");
        let reviewer = &cast.visitors["reviewer"];
        let revision = number(&reviewer.open("/console/apps").await, "/console/apps/", "");
        let staff = number(&cast.visitors["administrator"].open("/console/staff").await, "/console/staff/", "");
        let form = reviewer.open("/console/freezes/new").await.form("/console/freezes");
        let form = form.set("what", "category").set("category", "direct_message").set("reason", "Tried in the matrix.");
        let made = reviewer.send(form).await;
        let freeze = made.url.path().strip_prefix("/console/freezes/").expect("a freeze").to_owned();
        let organisation = number(&owner.open("/developers/organisations").await, "/developers/organisations/", "");
        let upload = number(&answers, "/developers/uploads/", "");
        let page = owner.open(&format!("/developers/apps/{app}/urls")).await;
        let property = page.html.split(&format!("/developers/apps/{app}/urls/")).nth(1).expect("an address of ours");
        let property = property.chars().take_while(char::is_ascii_digit).collect::<String>();
        let delivery = undelivered(&cast.dev, &app);
        for (name, id) in [
            ("delivery", &delivery),
            ("property", &property),
            ("app", &app),
            ("organisation", &organisation),
            ("application", &application),
            ("case", &application),
            ("revision", &revision),
            ("staff", &staff),
            ("freeze", &freeze),
            ("ticket", &ticket),
            ("upload", &upload),
        ] {
            cast.ids.insert(name, id.clone());
        }
        cast
    }

    async fn sign_in(&mut self, name: &'static str) {
        let visitor = Visitor::new(&self.dev.info.base_url);
        let (entrance, email) = who(name);
        if name == "person" {
            let person = self.dev.info.person("typical").clone();
            let form = visitor.open("/login").await.form("/login");
            let seen = visitor.send(form.set("username", &person.username).set("password", &person.password)).await;
            assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
        } else if !entrance.is_empty() {
            let form = visitor.open(entrance).await.form(entrance);
            let seen = visitor.send(form.set("email", email).set("password", "open-sesame-portal")).await;
            assert!(seen.status == StatusCode::OK && !seen.url.path().ends_with("/login"), "{name}: {}", seen.text());
        }
        self.visitors.insert(name, visitor);
    }

    /// A path with the numbers of our things in it.
    fn fill(&self, path: &str) -> String {
        let mut filled = path.to_owned();
        for (name, id) in &self.ids {
            filled = filled.replace(&format!("{{{name}}}"), id);
        }
        filled = filled.replace("{step}", "scope").replace("{file}", "2026-08-28.zip");
        assert!(!filled.contains('{'), "the matrix does not know what to put into {path}");
        filled
    }
}

/// An event that did not arrive at an app: the demonstration has none.
fn undelivered(dev: &Dev, app: &str) -> String {
    let store = rusqlite::Connection::open(dev.info.data_dir.join("portward.db")).expect("the store");
    store.busy_timeout(std::time::Duration::from_secs(10)).expect("a time to wait");
    let text = "insert into deliveries (delivery_id, app_id, event, body, created_at, attempts, given_up_at)
                values (4711, ?1, 'portability.download.ready', '{}', 0, 0, 0)";
    store.execute(text, [app.parse::<i64>().expect("a number")]).expect("a delivery");
    "4711".into()
}

/// The number in the first link of a page that begins with a path and, if there is one, stands around the words.
fn number(page: &Seen, path: &str, words: &str) -> String {
    let links = page.html.split("href=\"").skip(1);
    let found = links.filter_map(|rest| {
        let (address, rest) = rest.split_once('"')?;
        let digits: String = address.strip_prefix(path)?.chars().take_while(char::is_ascii_digit).collect();
        let inside = rest.split("</a>").next().unwrap_or_default();
        (!digits.is_empty() && inside.contains(words)).then_some(digits)
    });
    found.into_iter().next().unwrap_or_else(|| panic!("{} has no link to {path} with {words:?}\n{}", page.url, page.text()))
}
