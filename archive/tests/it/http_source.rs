//! Services that stream NDJSON: as they should be, and as they should not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use archive::catalogue::Catalogue;
use archive::source::Sources;
use archive::write::{ExportError, Summary};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wire::DataFormat;

use crate::support::{Made, export, parse};

/// What the service does after a request's head has come.
pub(crate) enum Step {
    Say(Vec<u8>),
    Wait(Duration),
}

fn say(text: impl AsRef<[u8]>) -> Step {
    Step::Say(text.as_ref().to_vec())
}

/// An answer with a length.
pub(crate) fn answer(body: impl AsRef<[u8]>) -> Vec<Step> {
    with("200 OK", "content-type: application/x-ndjson\r\n", body)
}

fn with(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<Step> {
    let body = body.as_ref();
    vec![say(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len())), say(body)]
}

/// A service on a port of its own.
pub(crate) struct Service {
    pub(crate) url: String,
    pub(crate) folder: tempfile::TempDir,
    asked: Arc<AtomicUsize>,
}

impl Service {
    /// `talk` is given the head of a request and its number, from 0.
    pub(crate) async fn start(talk: impl Fn(&str, usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/", listener.local_addr().unwrap());
        let (talk, asked) = (Arc::new(talk), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, talk.clone(), count.clone()));
            }
        });
        Self { url, folder: tempfile::tempdir().unwrap(), asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn catalogue(&self, settings: &str, section: &str) -> Arc<Catalogue> {
        Arc::new(parse(&text(&self.url, settings, section)).unwrap_or_else(|error| panic!("{error}")))
    }

    async fn export(&self, settings: &str, section: &str, subject: &str) -> Result<(Made, Summary), ExportError> {
        let catalogue = self.catalogue(settings, section);
        let sources = Sources::open(&catalogue, self.folder.path()).await.unwrap();
        let making = export(&catalogue, &sources, "activity", subject, DataFormat::Json);
        tokio::time::timeout(Duration::from_secs(30), making).await.expect("it went on")
    }

    /// The reason and the words of a failure.
    async fn refused(&self, settings: &str) -> (&'static str, String) {
        match self.export(settings, ORDERS, "1").await {
            Ok((made, _)) => panic!("served: {}", made.json()),
            Err(error) => (error.reason(), error.to_string()),
        }
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    talk: Arc<impl Fn(&str, usize) -> Vec<Step>>,
    count: Arc<AtomicUsize>,
) {
    let mut head = Vec::new();
    loop {
        // Requests have no body; one may follow the other.
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read_buf(&mut head).await {
                Ok(more) if more > 0 => {}
                _ => return,
            }
        }
        let steps = talk(&String::from_utf8(std::mem::take(&mut head)).unwrap(), count.fetch_add(1, Ordering::Relaxed));
        let whole = steps.len() == 2;
        for step in steps {
            match step {
                Step::Say(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Wait(time) => tokio::time::sleep(time).await,
            }
        }
        if !whole {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

const ORDERS: &str = "
[[section]]
categories = [\"activity\"]
path = [\"Orders\"]
source = \"people\"
shape = \"list\"
owner = \"customer\"
key = [\"id\"]
hidden = [\"id\"]
time = \"Date\"
query = \"/people/:subject/orders?since=:since&v=2&until=:until\"
[section.fields]
Date = { type = \"timestamp\", from = \"text\" }
Total = { type = \"number\" }
Number = { type = \"integer\" }
Notes = { type = \"json\" }
";

fn text(url: &str, settings: &str, section: &str) -> String {
    format!(
        "format = 1\nedition = \"test\"\ndocument = \"data.json\"\n[subject]\ntype = \"integer\"\n[source.people]\nkind = \"http\"\nurl = \"{url}\"\n{settings}\n\
         [[category]]\nname = \"activity\"\nscope = \"portability.activity\"\ntitle = {{ en = \"A\" }}\ntext = {{ en = \"B\" }}\n{section}"
    )
}

fn row(customer: &str, number: usize) -> String {
    format!("{{\"customer\":{customer},\"id\":{number},\"Number\":{number}}}\n")
}

#[tokio::test]
async fn rows_come_with_all_their_digits() {
    let service = Service::start(|head, _| {
        assert!(head.starts_with("GET /api/people/1/orders?v=2 HTTP/1.1\r\n"), "{head}");
        let lower = head.to_lowercase();
        assert!(lower.contains("authorization: bearer s3cret\r\n") && lower.contains("accept-encoding: identity\r\n"), "{head}");
        answer(
            "{\"id\":1,\"customer\":1,\"Total\":12345678901234567890.10,\"Number\":9007199254740993,\"Date\":\"2026-01-02T03:04:05Z\",\"Notes\":{\"a\":[1.0]},\"Secret\":\"x\"}\n\n\
             {\"customer\":\"1\",\"Notes\":\"{}\"}\r\n",
        )
    })
    .await;
    std::fs::write(service.folder.path().join("token"), "s3cret\n").unwrap();
    let (made, summary) = service.export("token_file = \"token\"", ORDERS, "1").await.unwrap();
    assert_eq!(
        made.json(),
        r#"{"Orders":[{"Date":"2026-01-02 03:04:05","Total":12345678901234567890.10,"Number":9007199254740993,"Notes":{"a":[1.0]}},{"Date":null,"Total":null,"Number":null,"Notes":{}}]}"#
    );
    assert_eq!(summary.sections[0].rows, 2);
}

#[tokio::test]
async fn pages_follow_one_another() {
    let service = Service::start(|head, number| {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        match (path.as_str(), number) {
            ("/api/people/1/orders?v=2", 0) => with(
                "200 OK",
                "content-type: application/jsonl; charset=utf-8\r\nlink: </x>; rel=prev, <?page=2>; rel=\"next\"\r\n",
                row("1", 1),
            ),
            ("/api/people/1/orders?page=2", 1) => {
                with("200 OK", "content-type: application/x-ndjson\r\nlink: </elsewhere>; rel=next\r\n", "")
            }
            ("/elsewhere", 2) => answer(row("1", 2)),
            other => panic!("{other:?}"),
        }
    })
    .await;
    let (made, _) = service.export("", ORDERS, "1").await.unwrap();
    assert_eq!(made.value()["Orders"].as_array().unwrap().len(), 2);
    assert_eq!(service.asked(), 3);
    // Nothing at all is an answer too.
    let service = Service::start(|_, _| vec![say("HTTP/1.1 204 No Content\r\n\r\n"), say("")]).await;
    assert_eq!(service.export("", ORDERS, "1").await.unwrap().0.json(), r#"{"Orders":[]}"#);
}

#[tokio::test]
async fn pages_that_lead_astray() {
    let link = |target: &'static str| {
        move |_: &str, _: usize| {
            with("200 OK", &format!("content-type: application/x-ndjson\r\nlink: <{target}>; rel=\"next\"\r\n"), row("1", 1))
        }
    };
    for (target, words) in [
        ("http://127.0.0.1:1/api/", "at another address"),
        ("https://evil.example/", "at another address"),
        ("?v=2", "in a circle"),
    ] {
        let service = Service::start(link(target)).await;
        let (reason, told) = service.refused("").await;
        assert!(reason == "query_failed" && told.contains(words), "{told}");
    }
    let service = Service::start(|_, number| {
        with("200 OK", &format!("content-type: application/x-ndjson\r\nlink: <?page={number}>; rel=\"next\"\r\n"), "")
    })
    .await;
    let (_, told) = service.refused("max_pages = 20").await;
    assert!(told.contains("max_pages"), "{told}");
    assert_eq!(service.asked(), 20);
}

#[tokio::test]
async fn somebody_elses_rows_are_not_served() {
    for (body, reason) in [
        (row("1", 1) + &row("2", 2), "owner_mismatch"),
        (row("2", 1), "owner_mismatch"),
        (row("null", 1), "owner_mismatch"),
        (row("1.0", 1), "owner_mismatch"),
        (row("[1]", 1), "owner_mismatch"),
        // No owner is nobody; two owners are not one.
        ("{\"Number\":1}\n".to_owned(), "owner_mismatch"),
        ("{\"customer\":1,\"Number\":1,\"customer\":2}\n".to_owned(), "query_failed"),
    ] {
        let service = Service::start(move |_, _| answer(&body)).await;
        let (found, told) = service.refused("").await;
        assert_eq!(found, reason, "{told}");
    }
    // A subject that would lead elsewhere.
    let service = Service::start(|head, _| {
        assert!(head.starts_with("GET /api/people/a%2F..%2Fb%3Fx%3D1/orders?v=2 "), "{head}");
        answer(b"{\"customer\":\"a/../b?x=1\",\"Number\":1}\n")
    })
    .await;
    for (subject, served) in [("a/../b?x=1", true), ("..", false), (".", false)] {
        let changed = text(&service.url, "", ORDERS).replace("type = \"integer\"\n[source", "type = \"text\"\n[source");
        let catalogue = Arc::new(parse(&changed).unwrap());
        let sources = Sources::open(&catalogue, service.folder.path()).await.unwrap();
        let made = export(&catalogue, &sources, "activity", subject, DataFormat::Json).await;
        assert_eq!(made.is_ok(), served, "{subject}");
    }
    assert_eq!(service.asked(), 1);
}

/// A key that was found wrongly, or a service that takes one customer for another.
#[tokio::test]
async fn somebody_elses_key_serves_nothing() {
    for (key, customer, served) in [
        ("select user_id, no from links where user_id = :subject", "C-1", Ok(1)),
        // The service answers with another customer's rows.
        ("select user_id, no from links where user_id = :subject", "C-2", Err(("owner_mismatch", 1))),
        ("select user_id, no from links where user_id = :subject", "c-1", Err(("owner_mismatch", 1))),
        // The key's query returns another person's number: the service is not even asked.
        (
            "select user_id, no from links where user_id = :subject or user_id = 2 order by user_id desc",
            "C-2",
            Err(("owner_mismatch", 0)),
        ),
    ] {
        let service = Service::start(move |head, _| {
            assert!(head.starts_with("GET /api/customers/C-1/orders "), "{head}");
            answer(row(&format!("\"{customer}\""), 1))
        })
        .await;
        let links = "create table links (user_id integer, no text); insert into links values (1, 'C-1'), (2, 'C-2');";
        rusqlite::Connection::open(service.folder.path().join("links.db")).unwrap().execute_batch(links).unwrap();
        let keys = format!(
            "[source.links]\nkind = \"sqlite\"\nurl = \"sqlite:links.db\"\n[subject.key.customer]\nsource = \"links\"\ntype = \"text\"\n\
             owner = \"user_id\"\nquery = \"{key}\"\n"
        );
        let section = ORDERS
            .replace("/people/:subject/orders?since=:since&v=2&until=:until", "/customers/:customer/orders")
            .replace("time = \"Date\"\n", "")
            .replace("owner = \"customer\"", "owner = \"customer\"\nowner_is = \"customer\"");
        match (service.export("", &(keys + &section), "1").await, served) {
            (Ok((made, _)), Ok(number)) => assert_eq!(made.value()["Orders"][0]["Number"], number),
            (Err(error), Err((reason, asked))) => {
                assert_eq!((error.reason(), service.asked()), (reason, asked), "{error}");
                assert!(!error.to_string().contains("C-"), "{error}");
            }
            (Ok((made, _)), Err(_)) => panic!("served: {}", made.json()),
            (Err(error), Ok(_)) => panic!("{error}"),
        }
    }
}

/// Connections that are kept and mixed up: an answer that was left on one, and two people's answers that change places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_up_answers_serve_nothing() {
    // Behind hers lies another answer, as if somebody had asked for it. Whoever comes next is given their own, or nothing.
    let one = |who: &str| {
        let body = row(who, 1);
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let service = Service::start(move |head, _| {
        let who = if head.starts_with("GET /api/people/1/") { "1" } else { "2" };
        // Two steps: the connection is kept.
        vec![say(one(who) + &one("1")), say("")]
    })
    .await;
    let catalogue = service.catalogue("", ORDERS);
    let sources = Sources::open(&catalogue, service.folder.path()).await.unwrap();
    for _ in 0..5 {
        assert!(export(&catalogue, &sources, "activity", "1", DataFormat::Json).await.is_ok());
        match export(&catalogue, &sources, "activity", "2", DataFormat::Json).await {
            // The service's row of the person who asked: it was a connection of its own.
            Ok((_, summary)) => assert_eq!(summary.sections[0].rows, 1),
            Err(error) => assert_eq!(error.reason(), "owner_mismatch", "{error}"),
        }
    }
    // Two at once, each answered with what is the other's.
    let both = Arc::new(std::sync::Barrier::new(2));
    let service = Service::start(move |head, _| {
        // Both have asked before anybody is answered.
        tokio::task::block_in_place(|| both.wait());
        answer(row(if head.starts_with("GET /api/people/1/") { "2" } else { "1" }, 1))
    })
    .await;
    let catalogue = service.catalogue("", ORDERS);
    let sources = Sources::open(&catalogue, service.folder.path()).await.unwrap();
    let (one, two) = tokio::join!(
        export(&catalogue, &sources, "activity", "1", DataFormat::Json),
        export(&catalogue, &sources, "activity", "2", DataFormat::Json)
    );
    for made in [one, two] {
        assert_eq!(made.map(|(made, _)| made.json()).expect_err("served").reason(), "owner_mismatch");
    }
}

/// Nobody listens; and a row of a hundred megabytes, which the service's limit on lines does not allow.
#[tokio::test]
async fn nobody_and_too_much() {
    let catalogue = Arc::new(parse(&text("http://127.0.0.1:1/", "", ORDERS)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::open(&catalogue, folder.path()).await.unwrap();
    let Err(error) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await else { panic!("served") };
    assert_eq!((error.reason(), error.retryable()), ("source_down", true), "{error}");
    let service = Service::start(|_, _| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-length: 104857700\r\n\r\n{\"customer\":1,\"Notes\":\"";
        std::iter::once(say(head)).chain((0..100).map(|_| say("x".repeat(1 << 20)))).collect()
    })
    .await;
    let (reason, told) = service.refused("max_line = \"64 MiB\"").await;
    assert!(reason == "query_failed" && told.contains("max_line"), "{told}");
}

#[tokio::test]
async fn answers_that_are_none() {
    let ndjson = "content-type: application/x-ndjson\r\n";
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>".to_vec(),
            "query_failed",
            "answers with text/html",
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(), "query_failed", "no content type"),
        (
            format!("HTTP/1.1 200 OK\r\n{ndjson}content-length: 7\r\n\r\n<html>\n").into_bytes(),
            "query_failed",
            "line 1 of the answer is not a JSON object",
        ),
        (
            format!("HTTP/1.1 200 OK\r\n{ndjson}content-encoding: gzip\r\ncontent-length: 1\r\n\r\nx").into_bytes(),
            "query_failed",
            "compressed",
        ),
        (format!("HTTP/1.1 200 OK\r\n{ndjson}\r\n{}", row("1", 1)).into_bytes(), "query_failed", "neither a length nor chunks"),
        (
            b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n".to_vec(),
            "query_failed",
            "redirects are not followed",
        ),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(), "query_failed", "a person without rows"),
        (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_vec(), "source_down", "token_file"),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_vec(), "source_down", "500"),
        (b"what is this\r\n\r\n".to_vec(), "source_down", "no answer"),
        (
            format!("HTTP/1.1 200 OK\r\n{ndjson}content-length: 100\r\n\r\n{}", row("1", 1)).into_bytes(),
            "source_down",
            "broke off",
        ),
        (
            format!("HTTP/1.1 200 OK\r\n{ndjson}content-length: 12\r\n\r\n{{\"customer\":").into_bytes(),
            "source_down",
            "middle of a line",
        ),
    ];
    for (bytes, reason, words) in cases {
        let service = Service::start(move |_, _| vec![say(&bytes)]).await;
        let (found, told) = service.refused("statement_timeout = \"20 s\"").await;
        assert!(found == reason && told.contains(words), "{found}: {told}, wanted {words}");
        assert!(!told.contains("/people/"), "the person is named: {told}");
    }
}

#[tokio::test]
async fn services_that_take_their_time() {
    let start = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
    let minute = || Step::Wait(Duration::from_secs(60));
    let service = Service::start(move |_, _| vec![minute()]).await;
    assert!(service.refused("first_byte_timeout = \"200 ms\"").await.1.contains("first_byte_timeout"));
    let service = Service::start(move |_, _| vec![say(start), minute()]).await;
    assert!(service.refused("idle_timeout = \"200 ms\"").await.1.contains("idle_timeout"));
    // A line that never ends, and lines that never end.
    let endless = |piece: &'static str| {
        move |_: &str, _: usize| {
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            std::iter::once(say(start))
                .chain((0..20_000).map(|_| say(&chunk)))
                .chain([Step::Wait(Duration::from_secs(60))])
                .collect()
        }
    };
    let service = Service::start(endless("xxxxxxxxxxxxxxxx")).await;
    let (reason, told) = service.refused("max_line = \"64 KiB\"").await;
    assert!(reason == "query_failed" && told.contains("max_line"), "{told}");
    let service = Service::start(endless("{\"customer\":1}\n")).await;
    assert!(service.refused("statement_timeout = \"2 s\"").await.1.contains("statement_timeout"));
}

#[tokio::test]
async fn come_again_later() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let service = Service::start(
            move |_, number| if number < 2 { with(status, "retry-after: 0\r\n", "") } else { answer(row("1", 1)) },
        )
        .await;
        service.export("", ORDERS, "1").await.unwrap();
        assert_eq!(service.asked(), 3);
        let service = Service::start(move |_, _| with(status, "retry-after: 3600\r\n", "")).await;
        let (reason, told) = service.refused("statement_timeout = \"2 s\"").await;
        assert!(reason == "source_down" && told.contains("3600 s"), "{told}");
        let service = Service::start(move |_, _| with(status, "retry-after: 1\r\n", "")).await;
        assert_eq!(service.refused("statement_timeout = \"1500 ms\"").await.0, "timeout");
    }
}

/// A body that is cut is asked for again, and what has gone on its way does not go twice.
#[tokio::test]
async fn cut_bodies_are_asked_for_again() {
    const ROWS: usize = 20_000;
    let whole: String = (0..ROWS).map(|number| row("1", number)).collect();
    let sent = whole.clone();
    let service = Service::start(move |_, number| {
        let mut steps = answer(&sent);
        if number < 3
            && let Some(Step::Say(body)) = steps.last_mut()
        {
            body.truncate(body.len() - 1_000 * (number + 1));
            steps.push(say(""));
        }
        steps
    })
    .await;
    let (made, summary) = service.export("", ORDERS, "1").await.unwrap();
    assert_eq!((summary.sections[0].rows, service.asked()), (ROWS as u64, 4));
    let value = made.value();
    let numbers: Vec<usize> =
        value["Orders"].as_array().unwrap().iter().map(|row| row["Number"].as_u64().unwrap() as usize).collect();
    assert_eq!(numbers, (0..ROWS).collect::<Vec<_>>());
    // Other rows the second time.
    let service = Service::start(move |_, number| {
        if number == 0 {
            vec![
                say(format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
                    whole.len() + 1
                )),
                say(&whole),
                say(""),
            ]
        } else {
            answer((0..ROWS).map(|number| row("1", number + 1)).collect::<String>())
        }
    })
    .await;
    let (reason, told) = service.refused("").await;
    assert!(reason == "query_failed" && told.contains("had changed"), "{told}");
}

#[tokio::test]
async fn invalid_utf8_is_repaired_and_counted() {
    let service =
        Service::start(|_, _| answer(b"{\"customer\":1,\"Words\":\"a\xffb\"}\n{\"customer\":1,\"Words\":\"\\ud800\"}\n")).await;
    let section = ORDERS
        .replace("Notes = { type = \"json\" }", "Words = { type = \"string\" }")
        .replace("hidden = [\"id\"]", "hidden = [\"id\", \"Number\"]")
        .replace("Number = { type = \"integer\" }\n", "");
    let (made, summary) = service.export("", &section, "1").await.unwrap();
    assert_eq!(summary.sections[0].repaired, 2);
    assert_eq!(made.value()["Orders"][0]["Words"], "a\u{fffd}b");
    assert_eq!(made.value()["Orders"][1]["Words"], "\u{fffd}");
}

#[tokio::test]
async fn check_asks_for_health() {
    let service =
        Service::start(
            |head, _| {
                if head.starts_with("GET /api/health ") { with("200 OK", "", "fine") } else { with("500 No", "", "") }
            },
        )
        .await;
    for (settings, words) in [
        ("health = \"/health\"", None),
        ("", None),
        ("health = \"/other\"", Some("500")),
        ("token_file = \"none\"", Some("token_file")),
    ] {
        let catalogue = service.catalogue(settings, ORDERS);
        let sources = Sources::open(&catalogue, service.folder.path()).await.unwrap();
        let faults = sources.check(&catalogue).await;
        assert_eq!(faults.is_empty(), words.is_none(), "{faults:?}");
        assert!(words.is_none_or(|words| faults[0].to_string().contains(words)), "{faults:?}");
    }
    let catalogue = Arc::new(parse(&text("http://127.0.0.1:1/", "health = \"/\"", ORDERS)).unwrap());
    let sources = Sources::open(&catalogue, service.folder.path()).await.unwrap();
    assert!(sources.check(&catalogue).await[0].to_string().contains("the source is down: no connection"));
}

#[test]
fn catalogues_of_services() {
    let fields = ORDERS.split("[section.fields]").next().unwrap();
    for (from, to, words) in [
        ("/people/:subject/orders", "people/:subject/orders", "not a path"),
        ("/people/:subject/orders", "//evil.example/:subject", "not a path"),
        ("/people/:subject/orders", "/people/:subject/../orders", "not a path"),
        ("/people/:subject/orders", "/people/:subject/%2e%2e/orders", "not a path"),
        ("/people/:subject/orders", "/people/orders", "no :subject"),
        ("/people/:subject/orders", "/people/:subject/:since/orders", "not the value of a parameter"),
        ("v=2", "v=:who", "`:who` that nothing fills"),
        ("v=2", "v=a:since", "not the value of a parameter"),
        ("", "", ""),
    ] {
        let section = ORDERS.replace(from, to);
        let parsed = parse(&text("https://people.internal/", "", &section));
        match parsed {
            Ok(_) => assert_eq!(words, "", "{to}"),
            Err(error) => assert!(!words.is_empty() && error.to_string().contains(words), "{to}: {error}"),
        }
    }
    for (url, settings, section, words) in [
        ("https://people.internal/", "snapshot = \"request\"", ORDERS, "no snapshots"),
        ("postgres://x/y", "", ORDERS, "does not fit its kind"),
        ("https://people.internal/", "", fields, "declares no fields"),
        ("https://people.internal/", "max_line = \"2\"", ORDERS, "MiB"),
        ("https://people.internal/", "health = \"health\"", ORDERS, "not a path"),
    ] {
        let error = parse(&text(url, settings, section)).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

/// The certificate is one that nobody's system trusts, until the operator does.
#[tokio::test]
async fn certificates_are_checked() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let certificate = CertificateDer::from_pem_slice(include_bytes!("../../../client/tests/it/tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../../client/tests/it/tls/server.key.pem")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let (listener, acceptor) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TlsAcceptor::from(Arc::new(config)));
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream, Arc::new(|_: &str, _: usize| answer(row("1", 1))), Arc::default()));
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("root.pem"), include_bytes!("../../../client/tests/it/tls/root.pem")).unwrap();
    for (settings, served) in [("ca_file = \"root.pem\"", true), ("", false)] {
        let catalogue = Arc::new(parse(&text(&url, settings, ORDERS)).unwrap());
        let sources = Sources::open(&catalogue, folder.path()).await.unwrap();
        match export(&catalogue, &sources, "activity", "1", DataFormat::Json).await {
            Ok(_) => assert!(served, "a stranger's certificate was trusted"),
            Err(error) => {
                assert!(!served && error.reason() == "source_down" && error.to_string().contains("certificate"), "{error}")
            }
        }
    }
    for (settings, words) in [("ca_file = \"none.pem\"", "cannot be read"), ("ca_file = \"empty.pem\"", "holds no certificate")] {
        std::fs::write(folder.path().join("empty.pem"), "").unwrap();
        let catalogue = parse(&text(&url, settings, ORDERS)).unwrap();
        let Err(error) = Sources::open(&catalogue, folder.path()).await else { panic!("opened: {settings}") };
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn an_archive_is_compared_with_what_the_service_says_now() {
    use archive::compare::{Question, compare};
    let rows = Arc::new(std::sync::Mutex::new(row("1", 1) + &row("1", 2)));
    let told = rows.clone();
    let service = Service::start(move |_, _| answer(told.lock().unwrap().as_str())).await;
    let section = ORDERS.replace("hidden = [\"id\"]\n", "");
    let (made, _) = service.export("", &section, "1").await.unwrap();
    let catalogue = service.catalogue("", &section);
    let sources = Sources::open(&catalogue, service.folder.path()).await.unwrap();
    for (now, wanted) in [
        (row("1", 1) + &row("1", 2), (0, 0, 0)),
        (row("1", 1), (0, 1, 0)),
        (row("1", 1) + &row("1", 2) + &row("1", 3), (1, 0, 0)),
        (row("1", 1) + &row("1", 2).replace("\"Number\":2", "\"Number\":3"), (0, 0, 1)),
    ] {
        *rows.lock().unwrap() = now;
        let at = "2026-04-01T00:00:00Z".parse().unwrap();
        let question = Question { person: "1".into(), categories: None, manifest: None, at };
        let found = compare(catalogue.clone(), &sources, &made.file.reopen().unwrap(), question).await.unwrap();
        let orders = &found.sections[0];
        assert_eq!((orders.missing, orders.extra, orders.changed), wanted, "{found:#?}");
        assert_eq!(found.is_same(), wanted == (0, 0, 0));
    }
}
