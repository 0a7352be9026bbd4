//! What somebody tries who means harm, by the pages: a new owner who looks for what the one before wrote, and staff who look beyond their role.

use testkit::visitor::Seen;

use crate::review::{apply, pdf};
use crate::scene::Scene;
use crate::support::{Engine, both};

const MARA: &str = "mara@lantern.example";

#[track_caller]
fn ok(seen: Seen) -> Seen {
    assert_eq!(seen.status, 200, "{} {}", seen.url, seen.text());
    seen
}

both!(a_new_owner_finds_nothing_that_the_one_before_wrote);

async fn a_new_owner_finds_nothing_that_the_one_before_wrote(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let olga = scene.developer("olga@films.example", "Olga").await;
    let rita = scene.staff("reviewer").await;
    let applied = apply(&scene, &mara, MARA, "Replay", &["portability.activity.single"]).await;
    ok(mara.send(mara.open(&applied.portal()).await.form("/withdraw")).await);
    let mockups = mara.open(&format!("{}/print", applied.portal())).await.link("/developers/uploads/");
    ok(mara.get(&mockups).await);
    let house = olga.send(olga.open("/developers/organisations").await.form("organisations").set("name", "Lantern Films")).await;
    let house = house.number_after("/organisations/");
    let page = mara.open(&format!("/developers/apps/{}/transfer", applied.app)).await;
    ok(mara.send(page.form("/transfer").set("organisation", &house.to_string())).await);
    let offers = olga.open(&format!("/developers/organisations/{house}")).await;
    ok(olga.send(offers.form("/transfer").press("decision", "accept")).await);
    ok(olga.get(&format!("/developers/apps/{}", applied.app)).await).must_not_say("Withdrawn");
    for path in ["", "/print", "/copy.json", "/edit", "/check", "/submitted"] {
        assert_eq!(olga.get(&format!("{}{path}", applied.portal())).await.status, 404, "{path}");
        assert_eq!(mara.get(&format!("{}{path}", applied.portal())).await.status, 404, "the app is not hers any more: {path}");
    }
    assert_eq!(olga.get(&mockups).await.status, 404);
    for about in [format!("application-{}", applied.application), format!("app-{}", applied.app)] {
        let form = olga.open("/developers/support/new").await.form("/support/new").forge("about", &about);
        let sent = olga.send(form.set("topic", "Other").set("subject", "x").set("text", "y")).await;
        assert_eq!(sent.status, if about.starts_with("app-") { 200 } else { 404 }, "{about}");
    }
    let begun = ok(olga.post(&format!("/developers/apps/{}/apply", applied.app), &[]).await);
    assert_ne!(begun.number_after("/applications/"), applied.application);
    let own = format!("/developers/applications/{}", begun.number_after("/applications/"));
    let page = olga.open(&format!("{own}/print")).await;
    page.must_not_say("albums of the clips").must_not_say("mara@lantern.example").must_not_say("mockups.pdf");
    // Staff still see the whole story of the app.
    ok(rita.get(&applied.console()).await).must_say("albums of the clips");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_tickets_are_for_staff_who_see_tickets() {
    let scene = Scene::start(Engine::Sqlite);
    let mara = scene.developer(MARA, "Mara").await;
    let form = mara.open("/developers/support/new").await.form("/support/new").set("topic", "Other").set("subject", "A log");
    let form = form.set("text", "It is attached.").attach("files", "log.pdf", "application/pdf", pdf(1));
    ok(mara.send(form).await);
    let rows = scene.portward.rows("select upload_id from uploads").await;
    let id = rows[0]["upload_id"].as_i64().unwrap();
    for (role, status) in [("support", 200), ("reviewer", 200), ("compliance", 404), ("administrator", 404)] {
        let staff = scene.staff(role).await;
        let answer = staff.http().get(staff.url(&format!("/console/uploads/{id}"))).send().await.unwrap();
        assert_eq!(answer.status(), status, "{role}");
    }
}
