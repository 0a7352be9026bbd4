//! Apps of developers, by the pages of the portal and the console: from nothing to live, and what forgers, stale tabs, double presses and two
//! reviewers come to.

use testkit::visitor::{Seen, Visitor};

use crate::scene::Scene;
use crate::support::Engine;

/// A picture of 1024 by 1024 pixels.
pub(crate) fn icon() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(1024_u32.to_be_bytes());
    bytes.extend(1024_u32.to_be_bytes());
    bytes.extend(b"\x08\x02\0\0\0\0\0\0\0");
    bytes.extend(b"\0\0\0\x04IDAT\0\0\0\0\0\0\0\0");
    bytes.extend(b"\0\0\0\0IEND\xae\x42\x60\x82");
    bytes
}

/// A developer's app and how to get at it.
struct Studio {
    scene: Scene,
    mara: Visitor,
    app: i64,
}

impl Studio {
    async fn new(engine: Engine) -> Self {
        let scene = Scene::start(engine);
        let mara = scene.developer("mara@lantern.example", "Mara").await;
        let made = mara.send(mara.open("/developers/apps/new").await.form("apps/new").set("name", "Replay")).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let app = made.number_after("/apps/");
        Self { scene, mara, app }
    }

    fn path(&self, page: &str) -> String {
        format!("/developers/apps/{}{page}", self.app)
    }

    async fn open(&self, page: &str) -> Seen {
        self.mara.open(&self.path(page)).await
    }

    /// Everything that a submission needs.
    async fn complete(&self) {
        let form = self.open("/details").await.form("/details");
        let form = form
            .set("name", "Replay")
            .set("category", "Productivity")
            .set("description", "Watch your own year again")
            .set("terms-url", "https://lantern.example/terms")
            .set("privacy-url", "https://lantern.example/privacy")
            .tick("platforms", "web")
            .set("web-url", "https://lantern.example/");
        self.mara.send(form).await.must_say("Saved.");
        let form = self.open("/details").await.form("/icon").attach("icon", "icon.png", "image/png", icon());
        self.mara.send(form).await.must_say("The icon is saved.");
        let form = self.open("/products").await.form("/products").tick("products", "login").tick("products", "portability");
        self.mara.send(form.set("web-redirects", "https://lantern.example/callback")).await.must_say("Saved.");
        let owner = self.scene.portward.number(&format!("select owner_id from apps where app_id = {}", self.app)).await;
        self.scene.portward.execute(&format!(
            "insert into url_properties (property_id, owner_id, kind, value, token, created_at, verified_at)
             values (9000000001, {owner}, 'domain', 'lantern.example', 'x', 1, 1)"
        ));
    }

    async fn submit(&self) -> Seen {
        let form = self.open("/review").await.form("/review").set("explanation", "People sign in; their year becomes a film.");
        self.mara.send(form.press("decision", "submit")).await
    }

    /// The page of the review in the console.
    async fn case(&self, reviewer: &Visitor) -> Seen {
        let queue = reviewer.open("/console/apps").await;
        reviewer.open(&queue.link("/console/apps/")).await
    }

    async fn live(&self, reviewer: &Visitor) {
        self.complete().await;
        self.submit().await.must_say("Submitted for review.");
        let case = self.case(reviewer).await;
        reviewer.send(case.form("/decide").set("outcome", "approve")).await.must_say("Decided.");
    }

    async fn status(&self) -> String {
        let rows = self.scene.portward.rows(&format!("select status from apps where app_id = {}", self.app)).await;
        rows[0]["status"].as_str().unwrap().to_owned()
    }

    /// What authorize answers for the app's production key.
    async fn authorize(&self, scopes: &str) -> String {
        let rows = self.scene.portward.rows(&format!("select client_key from apps where app_id = {}", self.app)).await;
        let key = rows[0]["client_key"].as_str().unwrap();
        let url = format!(
            "/v2/auth/authorize/?client_key={key}&response_type=code&scope={scopes}&state=s&redirect_uri=https%3A%2F%2Flantern.example%2Fcallback"
        );
        let seen = self.scene.visitor().get(&url).await;
        format!("{} {}", seen.url, seen.text())
    }
}

pub(crate) fn secret_on(page: &Seen) -> Option<String> {
    page.html.split("Client secret").nth(1)?.split('>').find_map(|piece| {
        let word = piece.split('<').next()?.trim();
        (word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| word.to_owned())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_decisions_are_needed_before_the_api_answers_in_production() {
    let s = Studio::new(Engine::Postgres).await;
    let rita = s.scene.staff("reviewer").await;
    let both = "user.info.basic,portability.activity.single";
    s.open("").await.must_say("Two decisions, in either order").must_say("Your move");
    assert!(s.authorize(both).await.contains("not live"), "a draft's key is not taken");
    s.complete().await;
    // A page without an explanation cannot be submitted: all that is missing is told, nothing typed is lost.
    let form = s.open("/review").await.form("/review").set("explanation", " ").press("decision", "submit");
    let refused = s.mara.send(form).await;
    assert_eq!(refused.status, 422);
    refused.must_say("Explain how each product and scope is used");
    s.submit().await.must_say("Submitted for review.").must_say("We decide by");
    assert_eq!(s.status().await, "in_review");
    s.mara.open(&s.path("")).await.must_say("Our move");
    let case = s.case(&rita).await;
    case.must_say("Ownership of addresses").must_say("Proved").must_say("their year becomes a film");
    rita.send(case.form("/decide").set("outcome", "approve")).await.must_say("Decided.");
    assert_eq!(s.status().await, "live");
    s.scene.mails.wait_for("mara@lantern.example", "/developers/apps/").await;
    // Live, and still no data: nothing is approved, so nothing can be switched on, by the page or by a forged form.
    let scopes = s.open("/scopes").await;
    scopes.must_say("Need to apply");
    // The pair as it is written elsewhere, with a place where a narrow page may break it.
    assert!(scopes.html.contains("portability.activity.single,<wbr>portability.activity.ongoing"), "{}", scopes.html);
    assert!(scopes.forms().iter().any(|form| form.action.contains("/apply")));
    let forged = s.mara.post(&s.path("/scopes/switch"), &[("family", "portability.activity"), ("to", "on")]).await;
    assert_eq!(forged.status, 409, "{}", forged.text());
    assert!(s.authorize(both).await.contains("scope"), "{}", s.authorize(both).await);
    assert!(!s.authorize("user.info.basic").await.contains("error="), "signing in works");
    // The other decision; then the developer's switch.
    s.scene.portward.execute(&format!(
        "insert into app_approvals (app_id, family, application_id, conditions, approved_at)
         values ({}, 'portability.activity', 1, 'Delete within 30 days', 1)",
        s.app
    ));
    assert!(s.authorize(both).await.contains("error="), "approved is not switched on");
    let scopes = s.open("/scopes").await;
    scopes.must_say("Approved, off").must_say("Delete within 30 days");
    s.mara.send(scopes.form("/scopes/switch")).await.must_say("Switched on.").must_say("Approved, on");
    assert!(!s.authorize(both).await.contains("error="), "{}", s.authorize(both).await);
    s.mara.open(&s.path("")).await.must_say("the API answers in production");
    s.mara.open("/developers/apps").await.must_say("Approved: the app is live");
    // And the end of either ends it.
    s.scene.portward.execute("update app_approvals set ended_at = 2");
    assert!(s.authorize(both).await.contains("error="), "an approval that ended switches off what was on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_shown_once() {
    let s = Studio::new(Engine::Sqlite).await;
    let page = s.open("/credentials").await;
    assert_eq!(secret_on(&page), None, "a page that is only opened shows none");
    let reveal = || page.form("/credentials/reveal");
    let shown = s.mara.send(reveal()).await;
    let secret = secret_on(&shown).unwrap_or_else(|| panic!("no secret\n{}", shown.text()));
    let again = s.mara.send(reveal()).await;
    assert_eq!(again.status, 409);
    assert!(!again.html.contains(&secret) && !s.open("/credentials").await.html.contains(&secret));
    // Rotated, pressed twice; the earlier one goes on, then is ended.
    let rotate = s.open("/credentials").await.form("/credentials/rotate").set("overlap", "24 h");
    let twice = s.open("/credentials").await.form("/credentials/rotate").set("overlap", "24 h");
    s.mara.send(rotate).await.must_say("There is a new secret");
    assert_eq!(s.mara.send(twice).await.status, 409);
    let page = s.open("/credentials").await;
    page.must_say("Ending");
    let new = secret_on(&s.mara.send(page.form("/credentials/reveal")).await).expect("the new secret");
    assert_ne!(new, secret);
    s.mara
        .send(s.open("/credentials").await.form("/credentials/end"))
        .await
        .must_say("The secret has ended.")
        .must_not_say("Ending");
    assert!(!s.scene.portward.log().contains(&secret) && !s.scene.portward.log().contains(&new));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_find_nothing_and_change_nothing() {
    let s = Studio::new(Engine::Sqlite).await;
    let eve = s.scene.developer("eve@evil.example", "Eve").await;
    for page in ["", "/details", "/products", "/credentials", "/scopes", "/review", "/history", "/transfer", "/delete"] {
        assert_eq!(eve.get(&s.path(page)).await.status, 404, "{page}");
    }
    for (page, fields) in [
        ("/details", &[("version", "1"), ("name", "Mine")][..]),
        ("/products", &[("version", "1"), ("products", "login")]),
        ("/review", &[("version", "1"), ("decision", "submit")]),
        ("/revision", &[("x", "y")]),
        ("/credentials/reveal", &[("secret", "1")]),
        ("/credentials/rotate", &[("newest", "1"), ("overlap", "24 h")]),
        ("/transfer", &[("organisation", "1")]),
        ("/delete", &[("name", "Replay")]),
    ] {
        assert_eq!(eve.post(&s.path(page), fields).await.status, 404, "{page}");
    }
    // Her own app, with the numbers of another's things in its forms.
    let made = eve.send(eve.open("/developers/apps/new").await.form("apps/new").set("name", "Evil")).await;
    let hers = made.number_after("/apps/");
    let secret = s.scene.portward.number(&format!("select secret_id from app_secrets where app_id = {}", s.app)).await;
    let forged = eve.post(&format!("/developers/apps/{hers}/credentials/reveal"), &[("secret", &secret.to_string())]).await;
    assert_eq!((forged.status.as_u16(), secret_on(&forged)), (409, None));
    let forged = eve.post("/developers/apps/new", &[("name", "Theirs"), ("owner", "4761931576280550")]).await;
    assert_eq!(forged.status, 404);
    let house =
        s.mara.send(s.mara.open("/developers/organisations").await.form("organisations").set("name", "Lantern Films")).await;
    let house = house.number_after("/organisations/");
    let forged = eve.post("/developers/apps/new", &[("name", "Theirs"), ("owner", &house.to_string())]).await;
    assert_eq!(forged.status, 404);
    for act in ["", "/invite", "/remove", "/role", "/managers", "/transfer", "/leave", "/hand-over", "/delete"] {
        let path = format!("/developers/organisations/{house}{act}");
        let answer = if act.is_empty() { eve.get(&path).await } else { eve.post(&path, &[("member", "1"), ("name", "x")]).await };
        assert_eq!(answer.status, 404, "{act}");
    }
    // A draft's picture is nobody else's, and not the world's.
    let form = s.open("/details").await.form("/icon").attach("icon", "icon.png", "image/png", icon());
    s.mara.send(form).await.must_say("The icon is saved.");
    let upload = s.scene.portward.number("select upload_id from uploads").await;
    assert_eq!(s.mara.get(&s.path(&format!("/icon/{upload}"))).await.status, 200);
    assert_eq!(eve.get(&format!("/developers/apps/{hers}/icon/{upload}")).await.status, 404);
    assert_eq!(s.scene.visitor().get(&format!("/icons/{}", s.app)).await.status, 404);
    assert_eq!(s.scene.portward.number("select count(*) from apps where name = 'Mine'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_keeps_everything_typed_and_a_stale_tab_sees_both_versions() {
    let s = Studio::new(Engine::Sqlite).await;
    let first = s.open("/details").await.form("/details");
    let second = s.open("/details").await.form("/details");
    let hostile = "<script>alert(1)</script>\u{202e}";
    let seen = s.mara.send(first.set("name", hostile).set("description", &"x".repeat(130)).set("terms-url", "http://nope")).await;
    seen.must_say("Saved.").must_say("need your attention").must_say("10 too many");
    assert!(!seen.html.contains("<script>alert"), "what was typed stays text");
    let again = s.open("/details").await.form("/details");
    assert_eq!(again.value("name"), Some(hostile));
    assert_eq!(again.value("terms-url"), Some("http://nope"));
    let stale = s.mara.send(second.set("name", "Typed in the second tab")).await;
    assert_eq!(stale.status, 409);
    stale.must_say("Somebody else was faster").must_say("Typed in the second tab").must_say("Saved now");
    assert_eq!(s.open("/details").await.form("/details").value("name"), Some(hostile), "nothing was overwritten");
    // Whoever has seen both can choose.
    s.mara.send(stale.form("/details")).await.must_say("Saved.");
    assert_eq!(s.open("/details").await.form("/details").value("name"), Some("Typed in the second tab"));
    let shown = s.scene.portward.rows("select name from apps").await;
    assert!(shown.iter().any(|row| row["name"] == "Typed in the second tab"), "{shown:?}");
    // A picture that is none, and one that is too small.
    for bytes in [b"<svg onload=alert(1)>".to_vec(), b"GIF89a".to_vec()] {
        let form = s.open("/details").await.form("/icon").attach("icon", "icon.png", "image/png", bytes);
        let refused = s.mara.send(form).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pressed_twice_is_submitted_once_and_of_two_reviewers_one_decides() {
    let s = Studio::new(Engine::Postgres).await;
    let rita = s.scene.staff("reviewer").await;
    let rolf = s.scene.staff_named("rolf@clips.example", "Rolf", &["reviewer"]).await;
    let sue = s.scene.staff("support").await;
    s.complete().await;
    let page = s.open("/review").await;
    let form = || page.form("/review").set("explanation", "A film.").press("decision", "submit");
    let (one, two) = tokio::join!(s.mara.send(form()), s.mara.send(form()));
    assert!(one.status == 200 || two.status == 200, "{}\n{}", one.text(), two.text());
    assert_eq!(s.scene.portward.number("select count(*) from app_revisions where state = 'in_review'").await, 1);
    assert_eq!(s.scene.portward.number("select count(*) from app_revisions").await, 1);
    assert_eq!(s.scene.portward.number("select count(*) from notices where kind = 'app_submitted'").await, 1);
    s.open("/details").await.must_say("Nothing can be changed while staff look at it");

    let (left, right) = (s.case(&rita).await, s.case(&rolf).await);
    left.must_say("Decide");
    let forms = s.case(&sue).await.forms();
    assert!(forms.iter().all(|form| !form.action.contains("/decide")), "support looks, and does not decide");
    let decide =
        left.form("/decide").set("outcome", "refuse").set("code-1", "SITE_NOT_LIVE").set("text-1", "It shows a login page.");
    let nothing = rita.send(left.form("/decide").set("outcome", "refuse")).await;
    assert_eq!(nothing.status, 422);
    nothing.must_say("Choose at least one reason");
    rita.send(decide).await.must_say("Decided.");
    let late = rolf.send(right.form("/decide").set("outcome", "approve")).await;
    assert_eq!(late.status, 409);
    late.must_say("Not decided by you").must_say("Somebody has refused it meanwhile");
    assert_eq!(s.status().await, "not_approved");
    s.open("").await.must_say("Review comments").must_say("It shows a login page.");
    let mail = s.scene.mails.wait_for("mara@lantern.example", "It shows a login page.").await;
    assert!(mail.text.contains("SITE_NOT_LIVE"), "{}", mail.text);
    // Cured on the site; submitted again without a change.
    s.submit().await.must_say("Submitted for review.");
    s.mara.send(s.open("/review").await.form("/recall")).await.must_say("Recalled.");
    assert_eq!(s.status().await, "draft");
    s.open("/history").await.must_say("Version 1").must_say("It shows a login page.").must_say("Recalled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_app_is_untouched_by_its_draft() {
    let s = Studio::new(Engine::Sqlite).await;
    let rita = s.scene.staff("reviewer").await;
    s.live(&rita).await;
    let app = s.app;
    let picture = s.scene.visitor().http().get(s.mara.url(&format!("/icons/{app}"))).send().await.unwrap();
    assert_eq!(picture.status(), 200);
    let header = |name: &str| picture.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    assert_eq!((header("content-type").as_str(), header("x-content-type-options").as_str()), ("image/png", "nosniff"));
    assert!(header("content-security-policy").contains("sandbox") && header("cache-control").contains("max-age"));

    let before = s.scene.portward.rows("select name, description, status from apps where status = 'live'").await;
    let fixed = s.open("/details").await;
    fixed.must_say("This version is live");
    s.mara.send(fixed.form("/revision")).await.must_say("A revision is begun");
    s.mara.send(s.open("/details").await.form("/details").set("name", "Rewind")).await.must_say("Saved.");
    assert_eq!(s.scene.portward.rows("select name, description, status from apps where status = 'live'").await, before);
    let form = s.open("/review").await.form("/review").set("explanation", "A new name.").press("decision", "submit");
    s.mara.send(form).await.must_say("Submitted for review.");
    assert_eq!(s.scene.portward.rows("select name, description, status from apps where status = 'live'").await, before);
    let case = s.case(&rita).await;
    case.must_say("Beside the live version").must_say("Changed").must_say("Rewind");
    let refuse = case.form("/decide").set("outcome", "refuse").set("code-1", "SITE_MISMATCH");
    rita.send(refuse).await.must_say("Decided.");
    assert_eq!(s.scene.portward.rows("select name, description, status from apps where status = 'live'").await, before);
    s.open("").await.must_say("the revision was not approved");
    s.submit().await.must_say("Submitted for review.");
    let case = s.case(&rita).await;
    rita.send(case.form("/decide").set("outcome", "approve")).await.must_say("Decided.");
    assert_eq!(s.scene.portward.number("select count(*) from apps where name = 'Rewind' and status = 'live'").await, 1);

    // Deleted: typed wrong, nothing happens; typed right, the key is unknown at once.
    let wrong = s.mara.send(s.open("/delete").await.form("/delete").set("name", "Replay")).await;
    assert_eq!(wrong.status, 422);
    assert!(!s.authorize("user.info.basic").await.contains("error="));
    s.mara.send(s.open("/delete").await.form("/delete").set("name", "Rewind")).await.must_say("The app is deleted.");
    assert!(s.authorize("user.info.basic").await.contains("no app with this key"));
    assert_eq!(s.scene.visitor().get(&format!("/icons/{app}")).await.status, 404);
    assert_eq!(s.mara.get(&s.path("")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_changes_hands_by_the_pages_of_both_organisations() {
    let s = Studio::new(Engine::Sqlite).await;
    let olga = s.scene.developer("olga@films.example", "Olga").await;
    let house = olga.send(olga.open("/developers/organisations").await.form("organisations").set("name", "Lantern Films")).await;
    let house = house.number_after("/organisations/");
    let page = s.open("/transfer").await;
    let wrong = s.mara.send(page.form("/transfer").set("organisation", "12")).await;
    assert_eq!(wrong.status, 422);
    s.mara.send(page.form("/transfer").set("organisation", &house.to_string())).await.must_say("Offered to");
    s.scene.mails.wait_for("olga@films.example", &format!("/developers/organisations/{house}")).await;
    let offers = olga.open(&format!("/developers/organisations/{house}")).await;
    olga.send(offers.form("/transfer").press("decision", "accept")).await.must_say("organisation’s now");
    assert_eq!(s.mara.get(&s.path("")).await.status, 404);
    olga.open(&s.path("")).await.must_say("Lantern Films");
    // Invitations by the pages: the same answer for an address that is registered and one that is not.
    let mut answers = Vec::new();
    for email in ["mara@lantern.example", "nobody@lantern.example"] {
        let form = olga.open(&format!("/developers/organisations/{house}")).await.form("/invite");
        let seen = olga.send(form.set("email", email).set("role", "manager").set("app", &s.app.to_string())).await;
        seen.must_say("The invitation stands");
        answers.push(seen.status);
    }
    assert_eq!(answers[0], answers[1]);
    let invited = s.mara.open("/developers/invitations").await;
    s.mara.send(invited.form("/invitations").press("decision", "accept")).await.must_say("You are a member now.");
    s.mara.open(&s.path("")).await.must_say("Replay");
    assert_eq!(s.mara.get(&s.path("/transfer")).await.status, 403, "a manager works on it, and does not own it");
    let house_page = olga.open(&format!("/developers/organisations/{house}")).await;
    olga.send(house_page.form("/remove")).await.must_say("The member is removed.");
    assert_eq!(s.mara.get(&s.path("")).await.status, 404);
}
