//! Reviews of apps that pass their due date, by the pages of those who wait and those who should have decided.

use crate::scene::Scene;
use crate::support::{Engine, both};

both!(a_late_app_review_is_shown_and_mailed_to_both_sides_and_decided_by_nobody);

const MARA: &str = "mara@lantern.example";

async fn a_late_app_review_is_shown_and_mailed_to_both_sides_and_decided_by_nobody(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let ada = scene.staff("administrator").await;
    let rita = scene.staff("reviewer").await;
    let made = mara.send(mara.open("/developers/apps/new").await.form("apps/new").set("name", "Replay")).await;
    let app = made.number_after("/apps/");
    scene.portward.execute(&format!(
        "update app_revisions
         set state = 'in_review', submitted_at = created_at, submitted_by = created_by, due_at = created_at + 86400000
         where app_id = {app};
         update apps set status = 'in_review' where app_id = {app}"
    ));
    let page = |name: &str| format!("/developers/apps/{app}{name}");
    mara.open(&page("/review")).await.must_say("We decide by").must_not_say("missed the date");
    mara.open(&page("")).await.must_say("at the latest").must_not_say("are late");
    scene.portward.execute(&format!("update app_revisions set due_at = 1767225600000 where app_id = {app}"));
    scene.portward.make_schedules_due();
    let told = scene.mails.wait_for(MARA, "The review of Replay is late").await;
    assert_eq!(told.link("/developers/apps/"), page("/review"));
    assert!(told.text.contains("neither approved nor refused"), "{}", told.text);
    let told = scene.mails.wait_for("administrator@clips.example", "Late: review of the app Replay").await;
    let case = told.link("/console/apps/");
    // Both sides read it on their pages.
    mara.open(&page("/review"))
        .await
        .must_say("We have missed the date for this decision.")
        .must_say("We should have decided by");
    mara.open(&page("")).await.must_say("and are late").must_say("the delay decides nothing").must_say("Our move");
    mara.open(&page("/history")).await.must_say("Limit missed; put before the administrators");
    for staff in [&ada, &rita] {
        staff.open(&case).await.must_say("The limit for this decision was missed.").must_say("were told");
    }
    rita.open("/console/apps").await.must_say("late");
    let rows = scene.portward.rows(&format!("select status from apps where app_id = {app}")).await;
    assert_eq!(rows[0]["status"], "in_review");
}
