//! Files that outsiders hand in: what is taken, where it lies, and when it goes.

use std::io::{Seek, Write};

use futures_util::TryStreamExt;
use platform::audit::Actor;
use platform::uploads::{self, Inspector, NewUpload, Purpose, Refusal, Upload};

use crate::db_test;
use crate::support::{DAY, HOUR, World};

/// A PDF of one page with some words and further objects, its table right.
pub(crate) fn pdf(words: &str, more: &[&str]) -> Vec<u8> {
    let content = format!("BT /F1 12 Tf 20 100 Td ({words}) Tj ET");
    let content = format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len());
    let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>";
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page,
        &content,
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ];
    objects.extend(more);
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut table = String::new();
    for (number, object) in (1..).zip(&objects) {
        table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
        bytes.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let (start, size) = (bytes.len(), objects.len() + 1);
    bytes.extend(
        format!(
            "xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
        )
        .bytes(),
    );
    bytes
}

pub(crate) fn file(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn new(w: &World, purpose: Purpose, name: &str) -> NewUpload {
    NewUpload { owner_id: w.app.owner_id, account_id: Some(7), app_id: Some(w.app.app_id), purpose, name: name.into() }
}

async fn take(w: &World, bytes: &[u8]) -> Result<Upload, Refusal> {
    uploads::take(&w.platform, new(w, Purpose::Mockups, "../mockups.pdf"), file(bytes)).await
}

async fn bytes_of(w: &World, upload: &Upload) -> Result<Vec<u8>, platform::Fault> {
    let stream = uploads::open(&w.platform, upload).await?;
    stream
        .try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
}

async fn is_there(w: &World, upload: &Upload) -> bool {
    uploads::by_id(&mut w.platform.db.read().await.unwrap(), upload.upload_id).await.unwrap().is_some()
}

async fn keep(w: &World, upload: &Upload) -> bool {
    let mut tx = w.platform.db.begin().await.unwrap();
    let kept = uploads::keep(&mut tx, upload.upload_id).await.unwrap();
    tx.commit().await.unwrap();
    kept
}

db_test! {
    async fn a_file_is_sealed_and_comes_back_as_it_was(engine) {
        let w = World::new(engine).await;
        let given = pdf("Connect your account", &[]);
        let upload = take(&w, &given).await.unwrap();
        assert_eq!((upload.name.as_str(), upload.media_type.as_str()), ("mockups.pdf", "application/pdf"));
        assert_eq!(upload.pages(), Some(1));
        assert!(upload.text().contains("Connect your account"));
        assert_eq!(bytes_of(&w, &upload).await.unwrap(), given);
        let objects = w.objects();
        assert!(matches!(objects.as_slice(), [one] if one.starts_with("uploads/")), "{objects:?}");
        let sealed = std::fs::read(w.vault_folder().join(&objects[0])).unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"Connect"), "what lies in the vault can be read");
    }
}

db_test! {
    async fn a_file_outlives_new_keys(engine) {
        let w = World::new(engine).await;
        let given = pdf("Connect", &[]);
        let upload = take(&w, &given).await.unwrap();
        w.platform.rotate_keys(Actor::Operator).await.unwrap();
        let mut tx = w.platform.db.read().await.unwrap();
        let resealed = uploads::by_id(&mut tx, upload.upload_id).await.unwrap().unwrap();
        drop(tx);
        assert_ne!(resealed.sealed_key, upload.sealed_key);
        assert_eq!(bytes_of(&w, &resealed).await.unwrap(), given);
    }
}

db_test! {
    async fn what_acts_or_lies_about_itself_is_refused_and_leaves_nothing(engine) {
        let w = World::new(engine).await;
        let script = pdf("x", &["<< /S /JavaScript /JS (app.alert(1)) >>"]);
        assert!(matches!(take(&w, &script).await, Err(Refusal::Scripts)));
        assert!(matches!(take(&w, b"<html><script>alert(1)</script>").await, Err(Refusal::WrongType(_))));
        assert!(matches!(take(&w, &[&pdf("x", &[])[..], b"PK\x03\x04"].concat()).await, Err(Refusal::Mixed(_))));
        assert!(matches!(take(&w, b"%PDF-1.7\nbroken\n%%EOF").await, Err(Refusal::Broken(_))));
        assert_eq!(w.number("select count(*) from uploads").await, 0);
        assert!(w.objects().is_empty());
    }
}

db_test! {
    async fn what_nothing_names_goes_after_a_day_and_what_is_named_stays(engine) {
        let w = World::new(engine).await;
        let (loose, kept) = (take(&w, &pdf("a", &[])).await.unwrap(), take(&w, &pdf("b", &[])).await.unwrap());
        assert!(keep(&w, &kept).await);
        w.advance(23 * HOUR);
        w.keep("sweep").await;
        assert!(is_there(&w, &loose).await, "a form may still be open");
        w.advance(2 * HOUR);
        w.keep("sweep").await;
        assert!(!is_there(&w, &loose).await);
        assert!(is_there(&w, &kept).await);
        assert_eq!(w.objects().len(), 1);
        assert!(!keep(&w, &loose).await, "what is gone cannot be named");
        let mut tx = w.platform.db.begin().await.unwrap();
        uploads::release(&mut tx, kept.upload_id).await.unwrap();
        tx.commit().await.unwrap();
        w.keep("sweep").await;
        assert!(w.objects().is_empty());
    }
}

db_test! {
    async fn an_object_that_no_row_names_is_swept_and_others_are_left_alone(engine) {
        let w = World::new(engine).await;
        let kept = take(&w, &pdf("a", &[])).await.unwrap();
        keep(&w, &kept).await;
        let lost = w.vault_folder().join("uploads/1-12345678-1234-4234-8234-123456789abc");
        let part = w.vault_folder().join("uploads/1-12345678-1234-4234-8234-123456789abc#1");
        for path in [&lost, &part] {
            std::fs::write(path, b"killed before its row").unwrap();
        }
        // The clock of these tests is behind the files'.
        w.advance(400 * DAY * 10);
        w.keep("sweep").await;
        assert!(!lost.exists() && !part.exists());
        assert!(is_there(&w, &kept).await);
        assert_eq!(bytes_of(&w, &kept).await.unwrap(), pdf("a", &[]));
    }
}

db_test! {
    async fn one_account_cannot_fill_the_disk_with_what_nothing_names(engine) {
        let w = World::new(engine).await;
        let mut taken = 0;
        let refused = loop {
            match take(&w, &pdf("a", &[])).await {
                Ok(_) => taken += 1,
                Err(refusal) => break refusal,
            }
        };
        assert!(matches!(refused, Refusal::TooMany));
        assert_eq!(taken, 50);
        let other = NewUpload { account_id: Some(8), ..new(&w, Purpose::Mockups, "x.pdf") };
        uploads::take(&w.platform, other, file(&pdf("a", &[]))).await.unwrap();
    }
}

/// Programs in the place of the one that reads PDFs: one that hangs, one that crashes, one that talks nonsense, and one that is not there.
#[test]
fn a_reader_that_hangs_or_breaks_is_a_pdf_that_cannot_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let readers = [
        script("crash", "kill -9 $$"),
        script("hang", "exec sleep 60"),
        script("nonsense", "echo '{]'"),
        script("endless", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"),
        script("failure", "echo '{\"pages\":1}'; exit 1"),
        folder.path().join("nobody"),
    ];
    crate::support::run(async move {
        let w = World::new(crate::support::Engine::Sqlite).await;
        for reader in readers {
            let broken =
                w.another_inspector(Inspector::program(reader.clone(), 1).patience(std::time::Duration::from_millis(300))).await;
            let refused = uploads::take(&broken, new(&w, Purpose::Mockups, "a.pdf"), file(&pdf("a", &[]))).await;
            assert!(matches!(refused, Err(Refusal::Broken(_))), "{}: {refused:?}", reader.display());
        }
        let told = script_text(&folder);
        let good = w.another_inspector(Inspector::program(told, 1)).await;
        let upload = uploads::take(&good, new(&w, Purpose::Mockups, "a.pdf"), file(&pdf("a", &[]))).await.unwrap();
        assert_eq!(upload.pages(), Some(3));
        assert_eq!(w.objects().len(), 1);
    });
}

/// A reader that says what it was called with.
fn script_text(folder: &tempfile::TempDir) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.path().join("good");
    let text = "#!/bin/sh\ntest \"$1\" = inspect-pdf || exit 1\nread head\ncase $head in %PDF*) echo '{\"pages\":3,\"text\":\"read\"}';; esac\n";
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}
