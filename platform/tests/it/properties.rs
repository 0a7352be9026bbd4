//! Proofs of ownership, against a name server and sites that behave, misbehave and lie.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use platform::audit::Actor;
use platform::properties::{self, Kind, Problem, Property, Refusal};
use platform::settings::Span;
use testkit::dns::Dns;
use testkit::site::{Page, Site};

use crate::db_test;
use crate::support::{Engine, MINUTE, World};

const OWNER: i64 = 7_000_000_001;
const OTHER: i64 = 7_000_000_002;
const ACTOR: Actor = Actor::Developer(42);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A platform whose names come from a name server of the test, and a site whose host the operator lists.
struct Stand {
    w: World,
    dns: Dns,
    site: Site,
}

impl Stand {
    async fn new(engine: Engine) -> Self {
        let dns = Dns::start();
        let address = dns.address();
        let w = World::with(engine, |settings| {
            settings.ownership.resolvers = vec![address];
            settings.ownership.allow = vec!["clips.test".into()];
            settings.ownership.timeout = Span(Duration::from_millis(1500));
            settings.ownership.attempts = 20;
        })
        .await;
        dns.set_addresses("clips.test", &[HOME]);
        Self { w, dns, site: Site::start() }
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.site.port())
    }

    async fn add(&self, kind: Kind, value: &str) -> Property {
        properties::add(&self.w.platform, ACTOR, OWNER, kind, value).await.unwrap()
    }

    async fn verify(&self, property: &Property) -> Result<(), Problem> {
        let after = properties::verify(&self.w.platform, ACTOR, OWNER, property.property_id).await.unwrap();
        assert_eq!(after.checked_at, Some(self.w.platform.now()));
        match after.found() {
            None => Ok(()),
            Some(found) => Err(found.problem),
        }
    }

    /// For what may never answer: a look that has no end is a failure, not a test that hangs.
    async fn in_time(&self, property: &Property) -> Result<(), Problem> {
        tokio::time::timeout(Duration::from_secs(60), self.verify(property)).await.expect("a look ends by itself")
    }

    async fn covers(&self, owner: i64, url: &str) -> bool {
        properties::covers(&mut self.w.platform.db.read().await.unwrap(), owner, url).await.unwrap()
    }

    /// A prefix of the site, and where its file belongs.
    async fn prefix(&self) -> (Property, String) {
        let property = self.add(Kind::Prefix, &self.url("clips.test", "/app")).await;
        let path = format!("/app/{}", property.file_name(&self.w.platform));
        (property, path)
    }
}

db_test! {
    async fn a_domain_is_proved_by_its_record_and_clears_what_is_below(engine) {
        let s = Stand::new(engine).await;
        let platform = &s.w.platform;
        let property = s.add(Kind::Domain, " Example.COM ").await;
        let line = property.line(platform);
        assert_eq!(property.value, "example.com");
        assert_eq!(line.len(), "tiktok-developers-site-verification=".len() + 32);
        assert!(line.starts_with("tiktok-developers-site-verification=") && property.token.bytes().all(|byte| byte.is_ascii_alphanumeric()));

        assert_eq!(s.verify(&property).await, Err(Problem::NoDomain));
        s.dns.add_txt("example.com", "v=spf1 -all");
        assert_eq!(s.verify(&property).await, Err(Problem::NoRecord));
        s.dns.add_txt("example.com", "tiktok-developers-site-verification=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(s.verify(&property).await, Err(Problem::OtherRecord));
        // Another case of the token is another token; a record of a name below is no record of the domain.
        s.dns.add_txt("example.com", &line.to_ascii_lowercase());
        s.dns.add_txt("www.example.com", &line);
        assert_eq!(s.verify(&property).await, Err(Problem::OtherRecord));
        assert!(!s.covers(OWNER, "https://example.com/terms").await, "nothing is proved yet");
        let (one, two) = line.split_at(40);
        s.dns.add_txt_in_pieces("example.com", &[one, two]);
        assert_eq!(s.verify(&property).await, Ok(()));

        for (url, expected) in [
            ("https://example.com/terms", true),
            ("https://www.EXAMPLE.com:8443/privacy?x", true),
            ("https://evil-example.com/", false),
            ("https://example.com.evil.test/", false),
            ("https://com/", false),
            ("nonsense", false),
            ("https://exa\0mple.com/", false),
        ] {
            assert_eq!(s.covers(OWNER, url).await, expected, "{url}");
            assert!(!s.covers(OTHER, url).await, "{url} of another owner");
        }

        // A proof that is lost is told, and stays until somebody decides about it; given again, it is as before.
        s.dns.forget("example.com");
        let after = properties::recheck(platform, property.property_id).await.unwrap().unwrap();
        assert_eq!(after.found().map(|found| found.problem), Some(Problem::NoDomain));
        assert!(after.verified_at.is_some() && s.covers(OWNER, "https://example.com/").await);
        s.dns.add_txt("example.com", &format!(" \"{line}\" "));
        assert_eq!(properties::recheck(platform, property.property_id).await.unwrap().unwrap().problem, None);

        // Nobody else's to look at or to remove; removed, nothing is covered any more.
        let theirs = properties::verify(platform, ACTOR, OTHER, property.property_id).await;
        assert!(matches!(theirs, Err(Refusal::Unknown)), "{theirs:?}");
        assert!(!properties::remove(platform, ACTOR, OTHER, property.property_id).await.unwrap());
        assert!(properties::remove(platform, ACTOR, OWNER, property.property_id).await.unwrap());
        assert!(!s.covers(OWNER, "https://example.com/terms").await);
        assert!(properties::recheck(platform, property.property_id).await.unwrap().is_none());
    }
}

db_test! {
    async fn the_list_has_each_address_once_and_not_too_many(engine) {
        let s = Stand::new(engine).await;
        let platform = &s.w.platform;
        let first = s.add(Kind::Domain, "bücher.example").await;
        assert_eq!(first.value, "xn--bcher-kva.example");
        let again = properties::add(platform, ACTOR, OWNER, Kind::Domain, "XN--BCHER-KVA.example.").await;
        assert!(matches!(again, Err(Refusal::There)), "{again:?}");
        let other = properties::add(platform, ACTOR, OTHER, Kind::Domain, "bücher.example").await.unwrap();
        assert_ne!(other.token, first.token, "each owner has a token of their own");
        for (kind, value) in [
            (Kind::Domain, "co.uk"),
            (Kind::Domain, "https://a.example/"),
            (Kind::Domain, "127.0.0.1"),
            (Kind::Prefix, "http://other.test/"),
            (Kind::Prefix, "https://127.0.0.1/"),
            (Kind::Prefix, "https://a.example/\0"),
        ] {
            let refused = properties::add(platform, ACTOR, OWNER, kind, value).await;
            assert!(matches!(refused, Err(Refusal::Value(_))) || value.contains('\0'), "{value}: {refused:?}");
        }
        let have = properties::list(&mut platform.db.read().await.unwrap(), OWNER).await.unwrap().len();
        for nth in have..100 {
            s.add(Kind::Domain, &format!("d{nth}.example")).await;
        }
        let full = properties::add(platform, ACTOR, OWNER, Kind::Domain, "last.example").await;
        assert!(matches!(full, Err(Refusal::Full(100))), "{full:?}");
    }
}

#[test]
fn a_prefix_is_proved_by_its_file() {
    crate::support::run(async {
        let s = Stand::new(Engine::Sqlite).await;
        let (property, path) = s.prefix().await;
        assert_eq!(path, format!("/app/tiktok{}.txt", property.token));
        assert_eq!(s.verify(&property).await, Err(Problem::NotThere));
        let line = property.line(&s.w.platform);
        assert_eq!(line.len(), 68);
        for (body, expected) in [
            (format!("{line}x"), Err(Problem::OtherContent)),
            (line.to_ascii_lowercase(), Err(Problem::OtherContent)),
            (format!("some words\n{line}"), Err(Problem::OtherContent)),
            (String::new(), Err(Problem::OtherContent)),
            (format!("\u{feff}{line}\r\n"), Ok(())),
            (format!("{line}\n"), Ok(())),
            (line.clone(), Ok(())),
        ] {
            s.site.put(&path, Page::plain(body.clone()));
            assert_eq!(s.verify(&property).await, expected, "{body:?}");
        }
        // A page in its place, whatever the status says; but a server that knows no type of the file is no obstacle.
        s.site.put(&path, Page::html(&format!("<p>{line}</p>")));
        assert_eq!(s.verify(&property).await, Err(Problem::WebPage));
        s.site.put(&path, Page::Is(200, "application/octet-stream", line.clone().into_bytes()));
        assert_eq!(s.verify(&property).await, Ok(()));
        s.site.put(&path, Page::Is(403, "text/plain", line.clone().into_bytes()));
        assert_eq!(s.verify(&property).await, Err(Problem::NotThere));
        // The host is told as it is, with its port.
        assert!(s.site.seen().iter().all(|(host, _)| *host == format!("clips.test:{}", s.site.port())));

        for (below, expected) in [("/app/terms", true), ("/app", true), ("/application", false), ("/", false)] {
            assert_eq!(s.covers(OWNER, &s.url("clips.test", below)).await, expected, "{below}");
        }
        assert!(!s.covers(OWNER, "http://clips.test/app/terms").await, "another port is another site");
    });
}

#[test]
fn a_site_that_misbehaves_ends_in_a_finding_in_time() {
    crate::support::run(async {
        let s = Stand::new(Engine::Sqlite).await;
        let (property, path) = s.prefix().await;
        let line = property.line(&s.w.platform);
        s.site.put("/elsewhere", Page::plain(line.clone()));
        let private = format!("http://127.0.0.1:{}/elsewhere", s.site.port());
        s.dns.set_addresses("other.test", &[HOME]);
        for (page, expected) in [
            (Page::Endless, Err(Problem::TooLong)),
            (Page::plain("x".repeat(2000)), Err(Problem::TooLong)),
            (Page::Trickle, Err(Problem::TooSlow)),
            (Page::Hangs, Err(Problem::TooSlow)),
            (Page::Noise, Err(Problem::NoConnection)),
            (Page::Leads("https://attacker.example/".into()), Err(Problem::Elsewhere)),
            (Page::Leads(private), Err(Problem::Elsewhere)),
            (Page::Leads(s.url("other.test", "/elsewhere")), Err(Problem::Elsewhere)),
            (Page::Leads("http://169.254.169.254/latest/meta-data/".into()), Err(Problem::Elsewhere)),
            (Page::Leads("file:///etc/passwd".into()), Err(Problem::Elsewhere)),
            (Page::Leads(path.clone()), Err(Problem::Elsewhere)),
            (Page::Leads("/elsewhere".into()), Ok(())),
        ] {
            s.site.put(&path, page.clone());
            assert_eq!(s.in_time(&property).await, expected, "{page:?}");
        }
        let found = properties::list(&mut s.w.platform.db.read().await.unwrap(), OWNER).await.unwrap();
        assert_eq!(found[0].problem, None);
    });
}

#[test]
fn names_that_lead_home_are_not_looked_at() {
    crate::support::run(async {
        let s = Stand::new(Engine::Sqlite).await;
        let platform = &s.w.platform;
        let prefix = |host: &str| format!("https://{host}:{}/", s.site.port());
        let inner: IpAddr = "10.0.0.7".parse().unwrap();
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        let metadata: IpAddr = "169.254.169.254".parse().unwrap();
        let public: IpAddr = "93.184.216.34".parse().unwrap();
        for (host, turns) in [
            ("home.example", vec![vec![HOME]]),
            ("inner.example", vec![vec![inner, HOME]]),
            ("mapped.example", vec![vec![mapped]]),
            ("meta.example", vec![vec![metadata]]),
        ] {
            let turns: Vec<&[IpAddr]> = turns.iter().map(Vec::as_slice).collect();
            s.dns.set_addresses_in_turn(host, &turns);
            let property = s.add(Kind::Prefix, &prefix(host)).await;
            assert_eq!(s.verify(&property).await, Err(Problem::NotPublic), "{host}");
        }
        // Rebinding: public when it is looked at first, home ever after. The address that was judged is the one that is called.
        s.dns.set_addresses_in_turn("flip.example", &[&[public], &[HOME]]);
        let property = s.add(Kind::Prefix, &prefix("flip.example")).await;
        for _ in 0..3 {
            let found = s.verify(&property).await.unwrap_err();
            assert!(matches!(found, Problem::TooSlow | Problem::NoConnection | Problem::NotPublic), "{found}");
        }
        // Of a mixture only what is public is called.
        s.dns.set_addresses("mixed.example", &[HOME, public]);
        let property = s.add(Kind::Prefix, &prefix("mixed.example")).await;
        assert!(matches!(s.verify(&property).await, Err(Problem::TooSlow | Problem::NoConnection)));
        let looked = properties::look(platform, &prefix("home.example")).await;
        assert_eq!((looked.reachable, looked.problem.map(|found| found.problem)), (false, Some(Problem::NotPublic)));
        assert_eq!(s.site.connections(), 0, "the site at home was called");
    });
}

#[test]
fn name_servers_that_do_not_answer_end_in_a_finding() {
    crate::support::run(async {
        let s = Stand::new(Engine::Sqlite).await;
        s.dns.silence("silent.example");
        s.dns.break_down("broken.example");
        for (domain, expected) in
            [("silent.example", Problem::TooSlow), ("broken.example", Problem::NoAnswer), ("never.example", Problem::NoDomain)]
        {
            let property = s.add(Kind::Domain, domain).await;
            assert_eq!(s.in_time(&property).await, Err(expected), "{domain}");
        }
    });
}

#[test]
fn failed_looks_are_limited_and_others_do_not_wait_for_them() {
    crate::support::run(async {
        let s = Stand::new(Engine::Sqlite).await;
        let platform = &s.w.platform;
        let property = s.add(Kind::Domain, "example.com").await;
        for _ in 0..20 {
            assert_eq!(s.verify(&property).await, Err(Problem::NoDomain));
        }
        let often = properties::verify(platform, ACTOR, OWNER, property.property_id).await.unwrap_err();
        assert_eq!(often.to_string(), "too many checks within a short time: wait 15 minutes, then try again");
        let other = properties::add(platform, ACTOR, OTHER, Kind::Domain, "example.com").await.unwrap();
        assert!(properties::verify(platform, ACTOR, OTHER, other.property_id).await.is_ok());
        s.w.advance(15 * MINUTE);
        s.dns.add_txt("example.com", &property.line(platform));
        for _ in 0..30 {
            assert_eq!(s.verify(&property).await, Ok(()), "what succeeds is not counted");
        }
    });
}

#[test]
fn a_site_is_looked_at_and_what_is_on_it_is_told() {
    crate::support::run(async {
        let s = Stand::new(Engine::Sqlite).await;
        let platform = &s.w.platform;
        s.site.put("/", Page::Leads("/home".into()));
        s.site.put("/home", Page::html("<title>Clips</title><p>All your clips</p><a href='/privacy'>Privacy</a>"));
        let looked = properties::look(platform, &s.url("clips.test", "/")).await;
        assert!(looked.reachable, "{looked:?}");
        assert_eq!(
            (looked.status, looked.title.as_str(), looked.text.as_str()),
            (Some(200), "Clips", "Clips All your clips Privacy")
        );
        assert_eq!(looked.url, s.url("clips.test", "/home"));
        assert!(looked.links_to(&s.url("clips.test", "/privacy/")));
        for (path, page, expected) in [
            ("/gone", Page::Is(410, "text/html", Vec::new()), Problem::NotThere),
            ("/round", Page::Leads("/round".into()), Problem::Elsewhere),
            ("/out", Page::Leads("http://127.0.0.1/".into()), Problem::NotPublic),
            ("/plain", Page::Leads("http://other.example/".into()), Problem::NotPublic),
            ("/endless", Page::Endless, Problem::TooLong),
            ("/trickle", Page::Trickle, Problem::TooSlow),
        ] {
            s.site.put(path, page);
            let looked = properties::look(platform, &s.url("clips.test", path)).await;
            assert_eq!((looked.reachable, looked.problem.map(|found| found.problem)), (false, Some(expected)), "{path}");
        }
        assert!(properties::look(platform, "nonsense").await.problem.is_some());
    });
}

#[test]
fn the_word_is_the_operators() {
    crate::support::run(async {
        let w = World::with(Engine::Sqlite, |settings| settings.ownership.word = "clips".into()).await;
        let property = properties::add(&w.platform, ACTOR, OWNER, Kind::Prefix, "https://a.example/x").await.unwrap();
        assert!(property.line(&w.platform).starts_with("clips-developers-site-verification="));
        assert_eq!(property.file_url(&w.platform).unwrap(), format!("https://a.example/x/clips{}.txt", property.token));
        let bad = platform::settings::Ownership { word: "Not a word".into(), ..Default::default() };
        assert!(platform::properties::Sites::open(&bad).is_err());
        let bad = platform::settings::Ownership { allow: vec!["http://x/".into()], ..Default::default() };
        assert!(platform::properties::Sites::open(&bad).unwrap_err().to_string().starts_with("ownership.allow"));
    });
}
