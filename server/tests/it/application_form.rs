//! The application's form by its pages: what is handed in is looked at, what is typed is never lost, and nobody gets at what is not theirs.

use std::io::{Read, Write};

use handmade::{bomb, pdf, png};
use serde_json::Value;
use testkit::visitor::{Seen, Visitor};

use crate::scene::Scene;
use crate::support::{Engine, both, files};

/// PDFs and pictures made by hand.
mod handmade {
    use super::{Read, Write};

    /// A PDF of some pages with words on them and further objects, its table right.
    pub(super) fn pdf(pages: usize, words: &str, more: &[String]) -> Vec<u8> {
        let kids: Vec<String> = (0..pages).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
        let mut objects = vec![
            b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
            format!("<< /Type /Pages /Kids [{}] /Count {pages} >>", kids.join(" ")).into_bytes(),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec(),
        ];
        for page in 0..pages {
            let content = format!("BT /F1 12 Tf 20 100 Td (Screen {}: {words}) Tj ET", page + 1);
            let resources = "/Resources << /Font << /F1 3 0 R >> >>";
            let contents = 5 + 2 * page;
            objects.push(
                format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents {contents} 0 R {resources} >>")
                    .into_bytes(),
            );
            objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()).into_bytes());
        }
        objects.extend(more.iter().map(|object| object.clone().into_bytes()));
        assembled(&objects)
    }

    fn assembled(objects: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"%PDF-1.7\n".to_vec();
        let mut table = String::new();
        for (number, object) in (1..).zip(objects) {
            table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
            bytes.extend(format!("{number} 0 obj\n").bytes());
            bytes.extend(object);
            bytes.extend(b"\nendobj\n");
        }
        let (start, size) = (bytes.len(), objects.len() + 1);
        bytes.extend(format!("xref\n0 {size}\n0000000000 65535 f \n{table}").bytes());
        bytes.extend(format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").bytes());
        bytes
    }

    /// A PDF of a few hundred kilobytes whose pages inflate to gigabytes.
    pub(super) fn bomb() -> Vec<u8> {
        let size = 60 * 1024 * 1024_u32;
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        zip.start_file("x", options).unwrap();
        let piece = b"q Q ".repeat(256 * 1024);
        for _ in 0..size / 1024 / 1024 {
            zip.write_all(&piece).unwrap();
        }
        let whole = zip.finish().unwrap().into_inner();
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(whole)).unwrap();
        let mut deflated = Vec::new();
        archive.by_index_raw(0).unwrap().read_to_end(&mut deflated).unwrap();
        let stream = [&b"\x78\x9c"[..], &deflated, b"\0\0\0\0"].concat();
        let pages = 40;
        let kids: Vec<String> = (0..pages).map(|page| format!("{} 0 R", 4 + page)).collect();
        let head = format!("<< /Filter /FlateDecode /Length {} >>\nstream\n", stream.len());
        let mut objects = vec![
            b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
            format!("<< /Type /Pages /Kids [{}] /Count {pages} >>", kids.join(" ")).into_bytes(),
            [head.as_bytes(), &stream, b"\nendstream"].concat(),
        ];
        for _ in 0..pages {
            objects.push(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 3 0 R >>".to_vec());
        }
        assembled(&objects)
    }

    pub(super) fn png(width: u32, height: u32) -> Vec<u8> {
        let chunk =
            |name: &[u8], data: &[u8]| [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], name, data, &[0; 4]].concat();
        let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", b"x"), &chunk(b"IEND", b"")].concat()
    }
}

const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const GERMAN: &str = "Die Menschen verbinden ihr Konto einmal und sehen dann alles, was sie im letzten Jahr angesehen haben, Monat für Monat, mit \
    der Zeit, die sie dafür aufgewendet haben. Wir holen die Daten, wenn sie auf den Knopf drücken, und löschen unsere Kopie, wenn sie gehen.";

/// A developer with an app and its application, begun.
struct Desk {
    scene: Scene,
    mara: Visitor,
    app: i64,
    application: i64,
}

async fn begin(scene: &Scene, email: &str) -> (Visitor, i64, i64) {
    let visitor = scene.developer(email, "Mara Lind").await;
    let form = visitor.open("/developers/apps/new").await.form("apps/new");
    let app = visitor.send(form.set("name", "Clipkeeper Two")).await.number_after("/apps/");
    let seen = visitor.post(&format!("/developers/apps/{app}/apply"), &[]).await;
    assert_eq!(seen.status, 200, "{}", seen.text());
    assert!(seen.url.path().contains("/edit/"), "{}", seen.url);
    (visitor, app, seen.number_after("/applications/"))
}

impl Desk {
    async fn begin(engine: Engine) -> Self {
        let scene = Scene::start(engine);
        let (mara, app, application) = begin(&scene, "mara@lantern.example").await;
        Self { scene, mara, app, application }
    }

    fn path(&self, rest: &str) -> String {
        format!("/developers/applications/{}{rest}", self.application)
    }

    async fn step(&self, step: &str) -> Seen {
        self.mara.open(&self.path(&format!("/edit/{step}"))).await
    }

    /// A step's form, filled in and sent.
    async fn save(&self, step: &str, values: &[(&str, &str)]) -> Seen {
        let form = self.step(step).await.form(&format!("/edit/{step}"));
        self.mara.send(values.iter().fold(form, |form, (name, value)| form.set(name, value))).await
    }

    async fn hand_in(&self, field: &str, name: &str, bytes: Vec<u8>) -> Seen {
        let step = if field == "mockups" { "scope" } else { "requests" };
        let form = self.step(step).await.form(&format!("/edit/{step}"));
        // Whatever its sender says, a file is what its bytes are.
        self.mara.send(form.attach(field, name, "application/pdf", bytes)).await
    }

    /// Everything that is needed, by the pages.
    async fn write_all(&self, email: &str) {
        let seen = self
            .save(
                "application",
                &[
                    ("applicant_email", email),
                    ("organization_name", "Lantern Labs"),
                    ("organization_website", "https://lantern.example"),
                ],
            )
            .await;
        assert!(seen.url.path().ends_with("/edit/scope"), "{}: {}", seen.url, seen.text());
        let form = seen.form("/edit/scope").tick("scopes", "portability.activity.single");
        let form = form.set("use_case", "Your activity is shown to you, month by month, on the third screen.");
        let seen = self.mara.send(form.attach("mockups", "mockups.pdf", "application/pdf", pdf(4, "connect", &[]))).await;
        assert!(seen.url.path().ends_with("/edit/requests"), "{}: {}", seen.url, seen.text());
        self.save("requests", &[("subject_requests", "https://lantern.example/privacy")]).await;
        let seen = self.save("protection", &[("data_protection", "Encrypted, in Frankfurt, for thirty days.")]).await;
        assert!(seen.url.path().ends_with("/check"), "{}: {}", seen.url, seen.text());
    }

    async fn submit(&self, check: &Seen) -> Seen {
        let form =
            ["accurate", "english", "checks", "terms"].iter().fold(check.form("/submit"), |form, box_| form.tick(box_, "yes"));
        self.mara.send(form).await
    }

    async fn copy(&self, visitor: &Visitor) -> (u16, Value) {
        let answer = visitor.http().get(visitor.url(&self.path("/copy.json"))).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }
}

async fn from_the_first_question_to_the_reference(engine: Engine) {
    let desk = Desk::begin(engine).await;
    desk.write_all("contact@lantern.example").await;
    let check = desk.mara.open(&desk.path("/check")).await;
    check.must_say("Confirm “Applicant email address”").must_say("mockups.pdf");
    let tried = desk.submit(&check).await;
    assert_eq!(tried.status, 422);
    tried.must_say("There is a problem").must_say("open the link that we have mailed to it");

    // Whoever reads mail there confirms it, without an account.
    let mail = desk.scene.mails.wait_for("contact@lantern.example", "/developers/confirm").await;
    let stranger = desk.scene.visitor();
    let page = stranger.open(&mail.link("/developers/confirm")).await;
    page.must_say("Lantern Labs").must_say("Clipkeeper Two");
    stranger.send(page.form("/developers/confirm")).await.must_say("The address is confirmed");
    let again = stranger.get(&mail.link("/developers/confirm")).await;
    assert_eq!(again.status, 410);

    let done = desk.submit(&desk.mara.open(&desk.path("/check")).await).await;
    assert!(done.url.path().ends_with("/submitted"), "{}: {}", done.url, done.text());
    done.must_say("Application submitted").must_say("Usually decided by").must_say("Decision due by").must_say("DP-");
    desk.scene.mails.wait_for("contact@lantern.example", "DP-").await;
    let copy = desk.copy(&desk.mara).await.1;
    assert_eq!(copy["versions"][0]["terms_version"], "1");
    assert_eq!(copy["state"], "submitted");
    assert!(copy["versions"][0]["findings"].as_array().unwrap().iter().any(|finding| finding["kind"] == "email"));
    let print = desk.mara.open(&desk.path("/print")).await;
    print.must_say("Version 1").must_say("Lantern Labs").must_say("SHA-256");
    // It is with staff now: the steps lead to its page, and nothing is saved.
    assert!(desk.mara.open(&desk.path("/edit/scope")).await.url.path().ends_with(&desk.path("")));
    assert!(desk.mara.post(&format!("/developers/apps/{}/apply", desk.app), &[]).await.url.path().ends_with(&desk.path("")));
}

async fn two_presses_are_one_submission(engine: Engine) {
    let desk = Desk::begin(engine).await;
    desk.write_all("mara@lantern.example").await;
    let check = desk.mara.open(&desk.path("/check")).await;
    let presses = futures_util::future::join_all((0..4).map(|_| desk.submit(&check))).await;
    for seen in &presses {
        assert_eq!(seen.status, 200, "{}", seen.text());
        assert!(seen.url.path().ends_with("/submitted") || seen.url.path().ends_with("/check"), "{}", seen.url);
    }
    assert!(desk.submit(&check).await.url.path().ends_with("/submitted"), "later presses too");
    let copy = desk.copy(&desk.mara).await.1;
    assert_eq!(copy["versions"].as_array().unwrap().len(), 1);
    let events = copy["events"].as_array().unwrap();
    assert_eq!(events.iter().filter(|event| event["what"] == "submitted").count(), 1);
}

async fn all_errors_at_once_each_at_its_field_and_nothing_typed_is_lost(engine: Engine) {
    let desk = Desk::begin(engine).await;
    let wrong = [
        ("applicant_name", ""),
        ("applicant_email", "not <b>an</b> address"),
        ("organization_name", "x\u{202e}<script>alert(1)</script>\u{7}"),
        ("organization_website", "javascript:alert(1)"),
        ("representative_email", "nobody@"),
        ("app_id", "awkey1234"),
    ];
    let seen = desk.save("application", &wrong).await;
    assert_eq!(seen.status, 200);
    seen.must_say("There are 5 problems");
    for (field, value) in wrong {
        let error = format!("href=\"#{field}\"");
        assert_eq!(seen.html.contains(&error), field != "organization_name", "{field}");
        assert_eq!(seen.form("/edit/application").value(field), Some(value), "what was typed is still there");
    }
    assert!(!seen.html.contains("<script>"), "markup stays text");
    // The application's page, the summary of all steps, and the submission tell the same.
    let tried = desk.submit(&desk.mara.open(&desk.path("/check")).await).await;
    assert_eq!(tried.status, 422);
    for step in ["application", "scope", "requests", "protection"] {
        assert!(tried.html.contains(&format!("/edit/{step}?check=1#")), "{step}");
    }
    tried.must_say("There are 10 problems");
    let tasks = desk.mara.open(&desk.path("/edit")).await;
    tasks.must_say("Has problems").must_say("Not started");

    // Too long is kept and told; more than a megabyte in all is refused, and what was there stays.
    let long = "a".repeat(9000);
    desk.save("scope", &[("use_case", &long)]).await.must_say("9000 characters; at most 8000");
    assert_eq!(desk.step("scope").await.form("/edit/scope").value("use_case"), Some(long.as_str()));
    let huge = desk.save("protection", &[("data_protection", &"b".repeat(1024 * 1024 - 100))]).await;
    assert_eq!(huge.status, 413);
    huge.must_say("What was saved before is still there");
    let beyond = desk.save("protection", &[("data_protection", &"b".repeat(3 * 1024 * 1024))]).await;
    assert_eq!(beyond.status, 413);
    assert_eq!(desk.step("protection").await.form("/edit/protection").value("data_protection"), Some(""));
    assert_eq!(desk.step("scope").await.form("/edit/scope").value("use_case"), Some(long.as_str()));
    let nul = desk.save("protection", &[("data_protection", "a\0b")]).await;
    assert_eq!(nul.status, 400);

    // Every button saves.
    for go in ["back", "leave"] {
        let text = format!("written before {go}");
        let form = desk.step("requests").await.form("/edit/requests").set("subject_requests", &text).press("_go", go);
        desk.mara.send(form).await;
        assert_eq!(desk.step("requests").await.form("/edit/requests").value("subject_requests"), Some(text.as_str()));
    }
}

async fn files_are_what_their_bytes_are(engine: Engine) {
    let desk = Desk::begin(engine).await;
    let script = pdf(1, "x", &["<< /S /JavaScript /JS (app.alert(1)) >>".to_owned()]);
    let launch = pdf(1, "x", &["<< /S /Launch /F (calc.exe) >>".to_owned()]);
    let encrypted = String::from_utf8_lossy(&pdf(
        1,
        "x",
        &["<< /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <00> /U <00> >>".to_owned()],
    ))
    .replace("/Root 1 0 R", "/Root 1 0 R /Encrypt 6 0 R /ID [<00> <00>]")
    .into_bytes();
    let cases: Vec<(&str, &str, Vec<u8>, &str)> = vec![
        ("mockups", "mockups.pdf", b"<html><script>alert(1)</script></html>".to_vec(), "not a PDF, whatever its name says"),
        ("mockups", "mockups.pdf", png(100, 100), "not a PDF, whatever its name says"),
        ("mockups", "mockups.pdf", b"MZ\x90\0a program".to_vec(), "not a PDF, whatever its name says"),
        ("mockups", "mockups.pdf", Vec::new(), "The file is empty"),
        ("mockups", "mockups.pdf", [&pdf(1, "x", &[])[..], ZIP].concat(), "holds something else besides"),
        ("mockups", "mockups.pdf", [b"<html>", &pdf(1, "x", &[])[..]].concat(), "not a PDF"),
        ("mockups", "mockups.pdf", b"%PDF-1.7 cut off".to_vec(), "cannot be read"),
        ("mockups", "mockups.pdf", b"%PDF-1.7\nnothing in it\n%%EOF\n".to_vec(), "cannot be read"),
        ("mockups", "mockups.pdf", script, "holds scripts"),
        ("mockups", "mockups.pdf", launch, "would start programs"),
        ("mockups", "mockups.pdf", encrypted, "is encrypted"),
        ("mockups", "mockups.pdf", vec![b'x'; 6 * 1024 * 1024], "larger than 5 MB"),
        ("subject_requests_evidence", "scan.png", png(60_000, 60_000), "at most 10,000 a side"),
        ("subject_requests_evidence", "scan.png", [&png(10, 10)[..], ZIP].concat(), "holds something else besides"),
        (
            "subject_requests_evidence",
            "scan.png",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec(),
            "is not a PDF, PNG or JPEG",
        ),
        ("subject_requests_evidence", "scan.zip", ZIP.to_vec(), "is not a PDF, PNG or JPEG"),
    ];
    for (field, name, bytes, words) in cases {
        let size = bytes.len();
        let seen = desk.hand_in(field, name, bytes).await;
        assert!([413, 422].contains(&seen.status.as_u16()), "{words} ({size} bytes): {} {}", seen.status, seen.text());
        seen.must_say(words);
        assert!(seen.html.contains(&format!("href=\"#{field}\"")), "told at its field");
    }
    assert!(files(&desk.scene.portward.path("vault")).is_empty(), "nothing of what is refused is kept");
    assert!(desk.scene.portward.scratch().is_empty());

    // What is typed beside a file that is refused is saved.
    let form = desk.step("scope").await.form("/edit/scope").set("use_case", "typed beside a bad file");
    desk.mara.send(form.attach("mockups", "mockups.pdf", "application/pdf", b"no".to_vec())).await.must_say("not a PDF");
    assert_eq!(desk.step("scope").await.form("/edit/scope").value("use_case"), Some("typed beside a bad file"));

    let seen = desk.hand_in("mockups", "..\\..\\etc/pass\u{202e}wd.exe", pdf(4, "connect", &[])).await;
    seen.must_not_say("not a PDF");
    let step = desk.step("scope").await;
    step.must_say("passwd.exe.pdf").must_say("4 pages");
}

async fn a_file_that_inflates_without_end_breaks_its_reader_only(engine: Engine) {
    let desk = Desk::begin(engine).await;
    let bomb = bomb();
    assert!(bomb.len() < 1024 * 1024, "{}", bomb.len());
    let seen = crate::support::within(40, "a bomb", desk.hand_in("mockups", "mockups.pdf", bomb)).await;
    assert!([200, 422].contains(&seen.status.as_u16()), "{}", seen.status);
    assert!(desk.mara.open(&desk.path("/edit")).await.status.is_success(), "the server lives");
    desk.hand_in("mockups", "mockups.pdf", pdf(4, "connect", &[])).await;
    desk.step("scope").await.must_say("4 pages");
}

async fn a_hundred_megabytes_are_not_kept(engine: Engine) {
    let desk = Desk::begin(engine).await;
    let boundary = "b-o-u-n-d-a-r-y";
    let step = desk.step("scope").await.form("/edit/scope");
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"_version\"\r\n\r\n{}\r\n--{boundary}\r\nContent-Disposition: form-data; \
         name=\"_seen\"\r\n\r\n{}\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"use_case\"\r\n\r\nbefore the flood\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"mockups\"; filename=\"big.pdf\"\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.7\n",
        step.value("_version").unwrap(),
        step.value("_seen").unwrap(),
    );
    let flood = vec![b'x'; 1024 * 1024];
    let body = futures_util::stream::iter(
        std::iter::once(head.into_bytes())
            .chain(std::iter::repeat_n(flood, 100))
            .chain([format!("\r\n--{boundary}--\r\n").into_bytes()])
            .map(Ok::<_, std::io::Error>),
    );
    let url = desk.mara.url(&desk.path("/edit/scope"));
    let call = desk
        .mara
        .http()
        .post(url.clone())
        .header("origin", url.origin().ascii_serialization())
        .header("content-type", format!("multipart/form-data; boundary={boundary}"))
        .body(reqwest::Body::wrap_stream(body));
    let answer =
        crate::support::within(60, "a hundred megabytes", call.send()).await.expect("an answer, not a broken connection");
    assert_eq!(answer.status(), 413);
    let page = answer.text().await.unwrap();
    assert!(page.contains("The file is larger than 5 MB."), "{page}");
    assert!(files(&desk.scene.portward.path("vault")).is_empty());
    assert!(desk.scene.portward.scratch().is_empty());
    assert_eq!(desk.step("scope").await.form("/edit/scope").value("use_case"), Some("before the flood"));
}

async fn who_was_overtaken_is_shown_both_versions_and_chooses(engine: Engine) {
    let desk = Desk::begin(engine).await;
    let stale = desk.step("requests").await.form("/edit/requests");
    desk.save("requests", &[("subject_requests", "saved by a colleague")]).await;
    let seen = desk.mara.send(stale.set("subject_requests", "typed in the old tab").attach(
        "subject_requests_evidence",
        "proof.png",
        "image/png",
        png(10, 10),
    ));
    let seen = seen.await;
    assert_eq!(seen.status, 409);
    seen.must_say("saved by a colleague").must_say("typed in the old tab");
    assert_eq!(desk.step("requests").await.form("/edit/requests").value("subject_requests"), Some("saved by a colleague"));
    // Theirs is kept, and the file that was handed in with the old tab is not lost.
    let form = seen.form("/edit/requests").set("_pick-subject_requests", "theirs");
    desk.mara.send(form).await;
    let now = desk.step("requests").await;
    assert_eq!(now.form("/edit/requests").value("subject_requests"), Some("saved by a colleague"));
    now.must_say("proof.png");
    // Ours is taken the other way round.
    let stale = now.form("/edit/requests");
    desk.save("requests", &[("subject_requests", "once more by a colleague")]).await;
    let seen = desk.mara.send(stale.set("subject_requests", "mine, after all")).await;
    assert_eq!(seen.status, 409);
    desk.mara.send(seen.form("/edit/requests")).await;
    assert_eq!(desk.step("requests").await.form("/edit/requests").value("subject_requests"), Some("mine, after all"));
    // Who changes another step is not in the way.
    let stale = desk.step("protection").await.form("/edit/protection");
    desk.save("requests", &[("subject_requests", "elsewhere")]).await;
    let seen = desk.mara.send(stale.set("data_protection", "here")).await;
    assert_eq!(seen.status, 200, "{}", seen.text());
    assert_eq!(desk.step("protection").await.form("/edit/protection").value("data_protection"), Some("here"));
}

async fn numbers_of_others_open_nothing(engine: Engine) {
    let desk = Desk::begin(engine).await;
    desk.write_all("mara@lantern.example").await;
    let own = desk.step("scope").await;
    let upload = own.link("/developers/uploads/");
    let (eve, eves_app, eves) = begin(&desk.scene, "eve@other.example").await;
    for path in ["", "/edit", "/edit/scope", "/check", "/submitted", "/print", "/copy.json"] {
        assert_eq!(eve.get(&desk.path(path)).await.status, 404, "{path}");
    }
    for path in ["/edit/scope", "/submit", "/withdraw", "/confirm-email"] {
        assert_eq!(eve.post(&desk.path(path), &[("_version", "1"), ("use_case", "eve was here")]).await.status, 404, "{path}");
    }
    assert_eq!(eve.get(&upload).await.status, 404);
    assert_eq!(desk.scene.visitor().open(&upload).await.url.path(), "/developers/login");
    assert_eq!(desk.mara.get("/developers/uploads/12345").await.status, 404);
    assert_eq!(desk.mara.get("/developers/uploads/abc").await.status, 404);

    // A file of somebody else's cannot be taken into one's own application.
    let id = upload.rsplit('/').next().unwrap();
    let form = eve.open(&format!("/developers/applications/{eves}/edit/scope")).await.form("/edit/scope");
    eve.send(form.forge("_add", &format!("mockups:{id}"))).await;
    let form = eve.open(&format!("/developers/applications/{eves}/edit/scope")).await.form("/edit/scope");
    eve.send(form.forge("mockups", id)).await;
    eve.open(&format!("/developers/applications/{eves}/edit/scope")).await.must_not_say("mockups.pdf");
    assert_eq!(eve.get(&format!("/developers/apps/{}/scopes", desk.app)).await.status, 404);
    assert_ne!(eves_app, desk.app);

    // What is handed out is an attachment that nothing opens by itself.
    let answer = desk.mara.http().get(desk.mara.url(&upload)).send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/pdf");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-security-policy"), "sandbox; default-src 'none'");
    assert_eq!(header("cross-origin-resource-policy"), "same-origin");
    assert!(header("content-disposition").starts_with("attachment; filename=\"mockups.pdf\""));
    assert_eq!(answer.bytes().await.unwrap(), pdf(4, "connect", &[]));
    let reviewer = desk.scene.staff("reviewer").await;
    let seen = reviewer.http().get(reviewer.url(&upload.replace("/developers/", "/console/"))).send().await.unwrap();
    assert_eq!(seen.status(), 200);
}

async fn another_language_needs_a_word_to_the_reviewer(engine: Engine) {
    let desk = Desk::begin(engine).await;
    desk.write_all("mara@lantern.example").await;
    desk.save("protection", &[("data_protection", GERMAN)]).await;
    let check = desk.mara.open(&desk.path("/check")).await;
    check.must_say("“Data protection policy and processes” reads as German");
    let tried = desk.submit(&check).await;
    assert_eq!(tried.status, 422);
    tried.must_say("applications are in English");
    let form = ["accurate", "english", "checks", "terms"].iter().fold(tried.form("/submit"), |form, name| form.tick(name, "yes"));
    let done = desk.mara.send(form.set("remark-data_protection", "It is our published policy, word for word.")).await;
    assert!(done.url.path().ends_with("/submitted"), "{}", done.text());
    let copy = desk.copy(&desk.mara).await.1;
    let remarks = copy["versions"][0]["findings"].as_array().unwrap().iter().filter(|finding| finding["kind"] == "language");
    assert!(remarks.into_iter().any(|finding| finding["remark"] == "It is our published policy, word for word."));
}

both!(
    from_the_first_question_to_the_reference,
    two_presses_are_one_submission,
    all_errors_at_once_each_at_its_field_and_nothing_typed_is_lost,
    files_are_what_their_bytes_are,
    who_was_overtaken_is_shown_both_versions_and_chooses,
    numbers_of_others_open_nothing,
    another_language_needs_a_word_to_the_reviewer,
);

/// These look at files and processes only; one engine is enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_and_floods() {
    a_file_that_inflates_without_end_breaks_its_reader_only(Engine::Sqlite).await;
    a_hundred_megabytes_are_not_kept(Engine::Sqlite).await;
}

/// An operator's own form, the fuller one, and what is wrong with a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_choose_the_form_and_hear_what_is_wrong_with_theirs() {
    let scene = Scene::with(Engine::Sqlite, "[applications]\nform = \"full\"\nterms = { version = \"7\" }\n");
    let (visitor, _, application) = begin(&scene, "mara@lantern.example").await;
    let page = visitor.open(&format!("/developers/applications/{application}/edit")).await;
    page.must_say("0 of 10 steps completed").must_say("Compliance history");
    let step = visitor.open(&format!("/developers/applications/{application}/edit/purpose")).await;
    step.must_say("Only if the answer to “Is the data used to train models?” is “Yes”");
    visitor.open("/developers/terms").await.must_say("version 7");
    std::fs::create_dir(scene.portward.path("forms")).unwrap();
    std::fs::write(scene.portward.path("forms/ours.toml"), "name = \"Ours\"\nversion = 1\n").unwrap();
    let toml = std::fs::read_to_string(scene.portward.path("portward.toml")).unwrap();
    std::fs::write(scene.portward.path("portward.toml"), toml.replace("form = \"full\"", "forms = \"forms\"\nform = \"ours\""))
        .unwrap();
    let output = scene.portward.run(&["check", "--config", "portward.toml"]);
    let told = format!("{}{}", crate::support::text(&output.stdout), crate::support::text(&output.stderr));
    assert!(!output.status.success(), "{told}");
    assert!(told.contains("ours.toml:1: name") && told.contains("title is missing"), "{told}");
}
