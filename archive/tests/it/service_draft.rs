//! A draft for a service: from what it answers for one person to a catalogue that serves another.

use std::sync::Arc;

use archive::catalogue::Catalogue;
use archive::discover::{DiscoverError, Draft, Head, ServiceWish, draft_of_service};
use archive::source::Sources;
use archive::write::Format;

use crate::http_source::{Service, Step, answer};
use crate::support::{export, parse};

/// Orders, one account, and a path whose rows do not say whose they are; all of them only with a token.
fn talk(head: &str, _: usize) -> Vec<Step> {
    assert!(head.to_lowercase().contains("authorization: bearer s3cret\r\n"), "{head}");
    let path = head.split(' ').nth(1).unwrap();
    let person = path.split(['/', '?']).nth(3).unwrap();
    answer(match path.split(['/', '?']).nth(4).unwrap_or_default() {
        "orders" => format!(
            "{{\"id\":41,\"customer_id\":{person},\"placed_at\":\"2026-01-02T03:04:05Z\",\"total\":1.50,\"paid\":true,\"lines\":[{{\"a\":1}}],\"token\":\"t\",\"what\":1}}\n\
             {{\"id\":42,\"customer_id\":{person},\"placed_at\":\"2026-01-03T03:04:05Z\",\"total\":2,\"paid\":false,\"lines\":[],\"gift\":null,\"what\":\"x\"}}\n"
        ),
        "" => format!("{{\"user\":{person},\"name\":\"Very Secret Ada\",\"born\":\"1990-01-01\"}}\n"),
        "visits" => "{\"page\":\"home\"}\n".to_owned(),
        _ => String::new(),
    })
}

async fn draft(service: &Service, paths: &[&str]) -> Result<Draft, DiscoverError> {
    std::fs::write(service.folder.path().join("token"), "s3cret\n").unwrap();
    let wish = ServiceWish {
        url: service.url.clone(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        person: "7".into(),
        token_file: Some("token".into()),
        ca_file: None,
        head: Head { edition: "1".into(), source: "people".into(), address: Default::default() },
    };
    draft_of_service(&wish, service.folder.path()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_answers_becomes_a_catalogue_that_serves() {
    let service = Service::start(talk).await;
    let paths = [
        "/people/:subject/orders?since=:since&until=:until",
        "/people/:subject",
        "/people/:subject/visits",
        "/people/:subject/none",
    ];
    let draft = draft(&service, &paths).await.unwrap();
    let text = &draft.text;
    assert_eq!((draft.sections, draft.categories), (2, 2), "{text}");
    for wanted in [
        "type = \"integer\"\n",
        "owner = \"customer_id\"\nkey = [\"id\"]\ntime = \"placed_at\"\nquery = \"/people/:subject/orders?since=:since&until=:until\"",
        "\"placed_at\" = { type = \"timestamp\", from = \"text\" }",
        "\"total\" = { type = \"number\" }",
        "\"paid\" = { type = \"boolean\" }",
        "\"lines\" = { type = \"json\" }",
        "\"what\" = { type = \"any\" }",
        "# unsure: gift was null wherever it was seen",
        "# left out, because nobody is to have them: token",
        "shape = \"object\"\nowner = \"user\"",
        "# unsure: /people/:subject/visits: no key of its rows",
        "# unsure: /people/:subject/none: no key of its rows",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    for value in ["Secret Ada", "1990", "2026-01-02", "s3cret", "\"home\""] {
        assert!(!text.contains(value), "{value} in {text}");
    }
    assert_eq!(draft.unsure, text.lines().filter(|line| line.starts_with("# unsure:")).count());

    // It serves somebody else.
    let catalogue: Arc<Catalogue> = Arc::new(parse(text).unwrap_or_else(|error| panic!("{error}\n{text}")));
    let sources = Sources::open(&catalogue, service.folder.path()).await.unwrap();
    assert_eq!(sources.check(&catalogue).await.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    let (made, _) = export(&catalogue, &sources, "all_data", "8", Format::Ndjson).await.unwrap();
    let members = made.members();
    assert!(
        members[0].1.starts_with("{\"id\":41,\"placed_at\":\"2026-01-02 03:04:05\",\"total\":1.50,\"paid\":true"),
        "{members:?}"
    );
    assert_eq!(members[1].1, "{\"name\":\"Very Secret Ada\",\"born\":\"1990-01-01\"}\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_none_is_told() {
    let html = Service::start(|_, _| {
        vec![
            Step::Say(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 1\r\n\r\n".to_vec()),
            Step::Say(b"x".to_vec()),
        ]
    })
    .await;
    let told = draft(&html, &["/people/:subject/orders"]).await.unwrap_err().to_string();
    assert!(told.contains("/people/:subject/orders") && told.contains("text/html"), "{told}");
    let words = Service::start(|_, _| answer("[1]\n")).await;
    let told = draft(&words, &["/people/:subject/orders"]).await.unwrap_err().to_string();
    assert!(told.contains("line 1 of the answer is no JSON object"), "{told}");
    // Nobody is asked what the catalogue would refuse.
    for path in ["/people", "people/:subject", "/../:subject", "/p/:since/:subject"] {
        let told = draft(&words, &[path]).await.unwrap_err();
        assert!(matches!(told, DiscoverError::Address(_)), "{path}: {told}");
    }
}
