//! Bad input, table by table, over every endpoint: the dialect's own error, never a 5xx, nothing half applied, and the server goes on.

mod data;
mod oauth;

use testkit::person::Answer;

use crate::support::Portward;

/// A megabyte.
const LONG: usize = 1_000_000;
const NESTED: [&str; 9] = [
    "access_token_invalid",
    "internal_error",
    "invalid_params",
    "permission_denied",
    "rate_limit_exceeded",
    "scope_not_authorized",
    "scope_permission_missed",
    "service_unavailable",
    "ok",
];
const FLAT: [&str; 9] = [
    "access_denied",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "temporarily_unavailable",
];

/// The failures of one table, so that one run tells them all.
#[derive(Default)]
struct Table {
    faults: Vec<String>,
    calls: usize,
}

impl Table {
    fn expect(&mut self, right: bool, what: &str, answer: &Answer) {
        if !right {
            let body: String = String::from_utf8_lossy(&answer.bytes).chars().take(300).collect();
            self.faults.push(format!("{what}: {} {:?} {body}", answer.status, answer.headers.get("content-type")));
        }
    }

    /// An error of the data calls (contract 6).
    fn nested(&mut self, what: &str, answer: &Answer, statuses: &[u16], code: &str) {
        self.calls += 1;
        let error = &answer.json["error"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        self.expect(statuses.contains(&answer.status), &format!("{what}: status, wanted {statuses:?}"), answer);
        self.expect(NESTED.contains(&answer.code()), &format!("{what}: a code of the catalogue"), answer);
        self.expect(code.is_empty() || answer.code() == code, &format!("{what}: code, wanted {code}"), answer);
        self.expect(text("message").len() > 5 || answer.status == 200, &format!("{what}: a message that helps"), answer);
        self.log_id(what, answer, &text("log_id"));
        self.expect(
            answer.json.get("error").is_some() && answer.json.get("error_description").is_none(),
            &format!("{what}: one dialect"),
            answer,
        );
    }

    /// An error of OAuth (contract 3.6).
    fn flat(&mut self, what: &str, answer: &Answer, statuses: &[u16], error: &str) {
        self.calls += 1;
        let text = |name: &str| answer.json[name].as_str().unwrap_or_default().to_owned();
        self.expect(statuses.contains(&answer.status), &format!("{what}: status, wanted {statuses:?}"), answer);
        self.expect(FLAT.contains(&text("error").as_str()), &format!("{what}: an error of the catalogue"), answer);
        self.expect(error.is_empty() || text("error") == error, &format!("{what}: error, wanted {error}"), answer);
        self.expect(text("error_description").len() > 8, &format!("{what}: a description that helps"), answer);
        self.log_id(what, answer, &text("log_id"));
    }

    /// A page of ours.
    fn page(&mut self, what: &str, answer: &Answer, statuses: &[u16]) {
        self.calls += 1;
        self.expect(statuses.contains(&answer.status), &format!("{what}: status, wanted {statuses:?}"), answer);
        let header = |name: &str| answer.headers.get(name).cloned().unwrap_or_default();
        self.expect(header("x-tt-logid").len() == 34, &format!("{what}: a log id"), answer);
        if answer.status != 303 {
            self.expect(header("content-type") == "text/html; charset=utf-8", &format!("{what}: a page"), answer);
            self.expect(
                header("content-security-policy").contains("frame-ancestors 'none'"),
                &format!("{what}: its policy"),
                answer,
            );
            self.expect(header("cache-control") == "no-store", &format!("{what}: not stored"), answer);
            self.expect(header("referrer-policy") == "no-referrer", &format!("{what}: no referrer"), answer);
            let html = String::from_utf8_lossy(&answer.bytes);
            self.expect(!html.contains("<script>alert"), &format!("{what}: nothing of the input runs"), answer);
        } else {
            let to = header("location");
            self.expect(
                to.starts_with('/') && !to.starts_with("//") && !to.contains('\\'),
                &format!("{what}: stays here, not {to}"),
                answer,
            );
        }
    }

    fn log_id(&mut self, what: &str, answer: &Answer, log_id: &str) {
        let header = answer.headers.get("x-tt-logid").cloned().unwrap_or_default();
        self.expect(log_id.len() == 34 && header == log_id, &format!("{what}: x-tt-logid is the log id"), answer);
        self.expect(
            answer.headers.get("content-type").is_some_and(|kind| kind.contains("json")),
            &format!("{what}: JSON"),
            answer,
        );
    }

    fn check(&self) {
        assert!(self.faults.is_empty(), "{} faults in {} calls:\n{}", self.faults.len(), self.calls, self.faults.join("\n"));
    }

    /// The server is none the worse.
    async fn end(self, portward: &mut Portward) {
        self.check();
        assert!(self.calls > 20, "the table is empty");
        assert!(portward.is_alive());
        let health = portward.http.get(format!("{}/readyz", portward.ops)).send().await.expect("an answer");
        assert_eq!(health.status(), 200);
        let log = portward.log();
        for sign in ["panicked", "\"ERROR\"", "call failed", "page failed"] {
            assert!(!log.contains(sign), "{sign}: {}", log.lines().find(|line| line.contains(sign)).unwrap_or_default());
        }
    }
}

/// What a parameter can be wrong by, percent-escaped, by name. `None` leaves it out; two of them repeat it.
fn wrongs(long: usize) -> Vec<(&'static str, Vec<String>)> {
    let one = |text: &str| vec![text.to_owned()];
    vec![
        ("absent", vec![]),
        ("repeated", vec!["a".into(), "b".into()]),
        ("empty", one("")),
        ("blank", one("%20")),
        ("a number", one("12345")),
        ("nul", one("a%00b")),
        ("not UTF-8", one("%ff%fe")),
        ("half an escape", one("%4")),
        ("line ends", one("a%0d%0aSet-Cookie:%20x=y")),
        ("markup", one("%22%3E%3Cscript%3Ealert(1)%3C/script%3E")),
        ("quotes of SQL", one("%27%20or%20%271%27=%271")),
        ("long", vec!["x".repeat(long)]),
    ]
}

/// A query or form with one of its parameters replaced.
fn with(good: &[(&str, String)], name: &str, values: &[String]) -> String {
    let mut pairs: Vec<String> =
        good.iter().filter(|(held, _)| *held != name).map(|(held, value)| format!("{held}={value}")).collect();
    pairs.extend(values.iter().map(|value| format!("{name}={value}")));
    pairs.join("&")
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn read(call: reqwest::RequestBuilder) -> Answer {
    Answer::read(call.send().await.expect("an answer")).await
}

fn body(portward: &Portward, call: &str, token: &str, kind: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    let post =
        portward.http.post(portward.url(&format!("/v2/user/data/{call}/?fields=request_id"))).bearer_auth(token).body(body);
    if kind.is_empty() { post } else { post.header("content-type", kind) }
}

const JSON: &str = "application/json";
