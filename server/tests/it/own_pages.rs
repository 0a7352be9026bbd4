//! An app's pages about its sandbox and its addresses, as its developer uses them.

use std::net::{IpAddr, Ipv4Addr};

use testkit::dns::Dns;
use testkit::mail::Mailbox;
use testkit::person::http;
use testkit::site::{Page, Site};
use testkit::visitor::Visitor;

use crate::scene::Scene;
use crate::support::{Engine, Plan};

/// A scene with a sandbox, and a developer with an app that was just made; gives where its pages are.
async fn stand(toml: &str) -> (Scene, Visitor, String) {
    let toml = format!("[accounts]\nstaff_second_factor = false\n{toml}");
    let mut portward = Plan::new(Engine::Sqlite).with_sandbox().toml(&toml).install();
    portward.serve(&[]);
    let mails = Mailbox::new(&portward.path("mail"));
    let scene = Scene { portward, mails };
    let developer = scene.developer("dora@clipkeeper.example", "Dora").await;
    let form = developer.open("/developers/apps/new").await.form("/developers/apps/new");
    let made = developer.send(form.set("name", "Clipkeeper")).await;
    let app = made.number_after("/developers/apps/");
    (scene, developer, format!("/developers/apps/{app}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_apps_sandbox_page_leads_all_the_way_to_a_code() {
    let (scene, developer, app) = stand("").await;
    let page = developer.open(&format!("{app}/sandbox")).await;
    page.must_say("Client key").must_say("Anna Lindner").must_say("open-sesame").must_say("heavy: 2,000 rows");
    let link = page.link("/v2/auth/authorize/");
    let key = link.split("client_key=").nth(1).and_then(|rest| rest.split('&').next()).expect("a key").to_owned();
    assert!(key.starts_with("sb") && key.len() == 18, "{key}");

    // The link, one press, consent: back on a page of ours that shows the code.
    let person = scene.visitor();
    let login = person.open(&link).await;
    login.must_say("Sandbox: the people and the data here are made up.").must_say("Sign in to");
    let consent = person.send(login.form("/sandbox/login").press("as", "anna").forge("username", "").forge("password", "")).await;
    consent.must_say("Sandbox: the people and the data here are made up.").must_say("Clipkeeper");
    let back = person
        .send(consent.form("/sandbox/consent").tick("scope", "portability.activity.single").press("decision", "allow"))
        .await;
    assert_eq!(back.url.path(), "/sandbox/callback", "{}", back.text());
    back.must_say("That worked.");
    let code = back.url.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();

    // The first command of the page, as it stands there, gives tokens.
    let text = page.text();
    let secret =
        text.split("client_secret=").nth(1).expect("the command").split_whitespace().next().expect("a secret").to_owned();
    let redirect = format!("{}/sandbox/callback", scene.portward.base);
    assert!(text.contains(&format!("redirect_uri={redirect}")), "{text}");
    let exchange = async |secret: &str, code: &str| {
        let form = [
            ("client_key", key.as_str()),
            ("client_secret", secret),
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect.as_str()),
        ];
        http().post(scene.portward.url("/v2/oauth/token/")).form(&form).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(exchange(&secret, &code).await, 200);

    // A new secret is shown beside the old one's time; both are taken meanwhile.
    let rotated = developer.send(page.form("/sandbox/secret")).await;
    rotated.must_say("There is a new secret.");
    assert!(!rotated.text().contains(&secret), "the old secret is still the one shown");
    let fresh =
        rotated.text().split("client_secret=").nth(1).expect("the command").split_whitespace().next().expect("one").to_owned();
    // Both are the app's: what is refused is the code, which was used.
    assert_eq!((exchange(&secret, &code).await, exchange(&fresh, &code).await, exchange("wrong", &code).await), (400, 400, 401));

    // It is nobody else's page.
    let other = scene.developer("eve@other.example", "Eve").await;
    assert_eq!(other.get(&format!("{app}/sandbox")).await.status, 404);
    assert_eq!(other.post(&format!("{app}/sandbox/secret"), &[]).await.status, 404);
    assert!(scene.visitor().get(&format!("{app}/sandbox")).await.url.path().ends_with("/developers/login"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_added_proved_and_removed_by_the_page() {
    let dns = Dns::start();
    let site = Site::start();
    dns.set_addresses("clips.test", &[IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    let toml = format!("[ownership]\nresolvers = [\"{}\"]\nallow = [\"clips.test\"]\ntimeout = \"2 s\"\n", dns.address());
    let (scene, developer, app) = stand(&toml).await;
    let path = format!("{app}/urls");
    let page = developer.open(&path).await;
    page.must_say("The app has no addresses yet");

    // What cannot be is told at its field, and nothing typed is lost.
    for (kind, value, told) in [
        ("domain", "co.uk", "A name under which anybody can register".to_owned()),
        ("domain", "", "Enter an address".to_owned()),
        ("prefix", "http://elsewhere.test/", "The URL must begin with https://".to_owned()),
        ("prefix", "<script>alert(1)</script>", "This is no URL".to_owned()),
    ] {
        let seen = developer.send(page.form("/urls").tick("kind", kind).set("value", value)).await;
        assert_eq!(seen.status, 422, "{value}");
        assert!(seen.text().to_lowercase().contains(&told.to_lowercase()), "{value}: {}", seen.text());
        assert_eq!(seen.form("/urls").value("value"), Some(value));
    }
    let unchosen = developer.send(page.form("/urls").set("value", "clips.test")).await;
    unchosen.must_say("Choose how you will prove it");

    // A domain.
    let added = developer.send(page.form("/urls").tick("kind", "domain").set("value", "Clips.TEST")).await;
    added.must_say("clips.test is added.").must_say("Not looked at yet");
    let text = added.text();
    let line = text
        .split_whitespace()
        .find(|word| word.starts_with("tiktok-developers-site-verification="))
        .expect("the record")
        .to_owned();
    let failed = developer.send(added.form("/urls/verify")).await;
    failed
        .must_say("clips.test could not be verified.")
        .must_say("clips.test has no such TXT record.")
        .must_say("Put the record on the domain itself");
    dns.add_txt("clips.test", "tiktok-developers-site-verification=<b>bold</b>");
    let other = developer.send(failed.form("/urls/verify")).await;
    other.must_say("There is a record of this kind, with another value.").must_say("<b>bold</b>");
    assert!(!other.html.contains("<b>bold</b>"), "an outsider's record is markup on our page");
    dns.add_txt("clips.test", &line);
    let proved = developer.send(other.form("/urls/verify")).await;
    proved.must_say("clips.test is proved to be yours.").must_not_say("another value");

    // The app's own addresses are covered by it, or not.
    let details = developer.open(&format!("{app}/details")).await.form("/details");
    let saved = developer
        .send(details.set("terms-url", "https://www.clips.test/terms").set("privacy-url", "https://evil-clips.test/privacy"))
        .await;
    assert_eq!(saved.status, 200, "{}", saved.text());
    let page = developer.open(&path).await;
    let text = page.text();
    let state =
        |address: &str| text.split(address).nth(1).map(|rest| rest.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
    assert!(state("https://www.clips.test/terms").is_some_and(|words| words.starts_with("Proved")), "{text}");
    assert_eq!(state("https://evil-clips.test/privacy").as_deref(), Some("To be proved"), "{text}");

    // A prefix, whose file is downloaded and put there.
    let removed = developer.send(page.form("/urls/remove")).await;
    removed.must_say("The address is removed from the list.").must_not_say("tiktok-developers-site-verification");
    let prefix = format!("http://clips.test:{}/app", site.port());
    let added = developer.send(removed.form("/urls").tick("kind", "prefix").set("value", &prefix)).await;
    let failed = developer.send(added.form("/urls/verify")).await;
    failed.must_say("The file was answered with status 404");
    let link = failed.link("/file");
    let file = developer.http().get(developer.url(&link)).send().await.expect("an answer");
    let name = file.headers()["content-disposition"].to_str().expect("text").split('"').nth(1).expect("a name").to_owned();
    assert_eq!(file.headers()["content-type"], "text/plain; charset=utf-8");
    let body = file.text().await.expect("a file");
    assert_eq!((body.len(), name.len()), (68, "tiktok.txt".len() + 32));
    failed.must_say(&format!("{prefix}/{name}"));
    site.put(&format!("/app/{name}"), Page::plain(body));
    developer.send(failed.form("/urls/verify")).await.must_say("is proved to be yours.");

    // Nobody else sees it, or uses its number; what is posted twice does no harm.
    let property = failed.form("/urls/verify").value("property").expect("a number").to_owned();
    let eve = scene.developer("eve@other.example", "Eve").await;
    let form = eve.open("/developers/apps/new").await.form("/developers/apps/new");
    let theirs = format!("/developers/apps/{}/urls", eve.send(form.set("name", "Other")).await.number_after("/developers/apps/"));
    for action in ["verify", "remove"] {
        assert_eq!(eve.post(&format!("{path}/{action}"), &[("property", &property)]).await.status, 404);
    }
    assert_eq!(eve.post(&format!("{theirs}/verify"), &[("property", &property)]).await.status, 404);
    eve.post(&format!("{theirs}/remove"), &[("property", &property)]).await.must_not_say("clips.test");
    assert_eq!(eve.get(&format!("{theirs}/{property}/file")).await.status, 404);
    assert_eq!(developer.post(&format!("{path}/verify"), &[("property", "x")]).await.status, 400);
    developer.open(&path).await.must_say(&format!("{prefix}/"));
    for _ in 0..2 {
        developer
            .post(&format!("{path}/remove"), &[("property", &property)])
            .await
            .must_say("The address is removed from the list.");
    }
}
