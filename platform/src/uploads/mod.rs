//! Uploads: files that developers and staff hand in. What one is, is told by its bytes; it lies sealed in the vault, and is only ever handed out
//! as an attachment that nothing opens by itself.

pub mod pdf;
mod rows;
pub mod sniff;

use std::io::Seek;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use serde_json::json;

use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::words;
use crate::vault::{self, ObjectKey};
use crate::{Fault, Platform};

pub use pdf::{Inspector, Report};
pub use rows::{by_id, keep, of_app, release};

words! {
    /// What a file is handed in as.
    Purpose {
        /// An app's icon (contract 1.4).
        Icon = "icon",
        /// A film of how an app works, for app review.
        DemoVideo = "demo_video",
        /// What people will see, for the application (contract 1.10, field 9).
        Mockups = "mockups",
        /// What backs an answer.
        Evidence = "evidence",
        /// Something to show to support.
        TicketAttachment = "ticket_attachment",
    }
}

words! {
    /// What a file is.
    Kind {
        /// A document.
        Pdf = "PDF",
        /// A picture.
        Png = "PNG",
        /// A picture.
        Jpeg = "JPEG",
        /// A film.
        Mp4 = "MP4",
        /// A film.
        Mov = "MOV",
    }
}

impl Kind {
    /// As HTTP names it.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Mp4 => "video/mp4",
            Self::Mov => "video/quicktime",
        }
    }

    /// How names of such files end; the first is given to those that end otherwise.
    const fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Pdf => &["pdf"],
            Self::Png => &["png"],
            Self::Jpeg => &["jpg", "jpeg"],
            Self::Mp4 => &["mp4", "m4v"],
            Self::Mov => &["mov", "qt"],
        }
    }
}

const MEGABYTE: u64 = 1024 * 1024;

impl Purpose {
    /// What it takes (contract 1.4 and 1.10).
    pub const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Icon => &[Kind::Png, Kind::Jpeg],
            Self::DemoVideo => &[Kind::Mp4, Kind::Mov],
            Self::Mockups => &[Kind::Pdf],
            Self::Evidence | Self::TicketAttachment => &[Kind::Pdf, Kind::Png, Kind::Jpeg],
        }
    }

    /// The most bytes.
    pub const fn limit(self) -> u64 {
        match self {
            Self::DemoVideo => 50 * MEGABYTE,
            Self::Icon | Self::Mockups | Self::Evidence | Self::TicketAttachment => 5 * MEGABYTE,
        }
    }

    /// For the `accept` of a form's field.
    pub fn accept(self) -> String {
        self.kinds().iter().map(|kind| kind.media_type()).collect::<Vec<_>>().join(",")
    }

    /// What it takes, in words: "PDF, PNG or JPEG, at most 5 MB".
    pub fn words(self) -> String {
        let more = if self == Self::Icon { ", 1024 by 1024 pixels" } else { "" };
        format!("{}, at most {}{more}", names(self.kinds()), megabytes(self.limit()))
    }
}

fn names(kinds: &[Kind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / MEGABYTE)
}

/// Why a file is not taken, in words for whoever handed it in.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No bytes.
    #[error("The file is empty.")]
    Empty,
    /// More bytes than the purpose takes.
    #[error("The file is larger than {}.", megabytes(*.0))]
    TooLarge(u64),
    /// Another kind than the purpose takes, whatever its name says.
    #[error("The file is not a {}, whatever its name says.", names(.0.kinds()))]
    WrongType(Purpose),
    /// Two things at once.
    #[error("The file begins as a {0} and holds something else besides. Export it again and hand in the new file.")]
    Mixed(Kind),
    /// Cut off or damaged.
    #[error("The {0} cannot be read: it may be damaged or cut off. Export it again and hand in the new file.")]
    Broken(Kind),
    /// It could not be read at all.
    #[error("The file could not be read. Hand it in again.")]
    Unreadable,
    /// An icon of another size.
    #[error("The icon has {width} by {height} pixels; it must have 1024 by 1024.")]
    IconSize {
        /// Pixels.
        width: usize,
        /// Pixels.
        height: usize,
    },
    /// A picture that is too large to open.
    #[error("The picture has {width} by {height} pixels; at most 10,000 a side and 40 million in all can be taken.")]
    ImageSize {
        /// Pixels.
        width: usize,
        /// Pixels.
        height: usize,
    },
    /// A PDF with a password.
    #[error("The PDF is encrypted. Save it without a password or restrictions, and hand in the new file.")]
    Encrypted,
    /// A PDF with scripts.
    #[error("The PDF holds scripts. Print it to a new PDF, which leaves them out, and hand that in.")]
    Scripts,
    /// A PDF that acts.
    #[error(
        "The PDF would start programs, send forms or open other files. Print it to a new PDF, which leaves that out, and hand that in."
    )]
    Launches,
    /// A PDF with files in it.
    #[error("The PDF holds other files. Hand them in by themselves, and this one without them.")]
    Embedded,
    /// Too many at once.
    #[error("Too many files are being looked at just now. Hand it in again in a minute.")]
    Busy,
    /// Too many that nothing names.
    #[error("Too many files were handed in and not used. Those are deleted after a day; hand this one in then.")]
    TooMany,
    /// Too much in a day.
    #[error("So much was handed in within a day that nothing more is taken today. Hand this one in tomorrow.")]
    TooMuch,
    /// Ours.
    #[error("The file could not be kept. Hand it in again.")]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for Refusal {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// A file to be handed in.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Whose it will be: an app's owner, or the account itself.
    pub owner_id: i64,
    /// Who hands it in; none for an answer through a mailed link.
    pub account_id: Option<i64>,
    /// For which app; who works on it may see the file.
    pub app_id: Option<i64>,
    /// As what.
    pub purpose: Purpose,
    /// As its sender calls it.
    pub name: String,
}

/// A file that was handed in.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Upload {
    /// Ours.
    pub upload_id: i64,
    /// Whose it is.
    pub owner_id: i64,
    /// Who handed it in.
    pub account_id: Option<i64>,
    /// For which app.
    pub app_id: Option<i64>,
    /// As what.
    pub purpose: Purpose,
    /// As its sender calls it, made harmless; for display only.
    pub name: String,
    /// By its bytes.
    pub media_type: String,
    /// Bytes.
    pub size: i64,
    /// In lower-case hexadecimal.
    pub sha256: String,
    /// Its name in the vault.
    pub object: String,
    /// Its key, sealed by the operator's.
    pub sealed_key: Vec<u8>,
    /// What was read out of it, as JSON: `pages` and `text` of a PDF, `width` and `height` of a picture.
    pub facts: String,
    /// When it was handed in.
    pub created_at: Millis,
    /// Set while something names it.
    pub kept_at: Option<Millis>,
}

impl Upload {
    fn key(&self, platform: &Platform) -> Result<ObjectKey, Fault> {
        vault::open_key(platform, &self.object, &self.sealed_key)
    }

    /// The text of a PDF; empty for anything else.
    pub fn text(&self) -> String {
        self.fact("text").as_str().unwrap_or_default().to_owned()
    }

    /// Pages of a PDF.
    pub fn pages(&self) -> Option<u64> {
        self.fact("pages").as_u64()
    }

    fn fact(&self, name: &str) -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(&self.facts)
            .ok()
            .and_then(|mut facts| facts.get_mut(name).map(serde_json::Value::take))
            .unwrap_or_default()
    }

    /// Size in words: "320 kB".
    pub fn weight(&self) -> String {
        let bytes = u64::try_from(self.size).unwrap_or(0);
        if bytes >= MEGABYTE {
            format!("{:.1} MB", bytes as f64 / MEGABYTE as f64)
        } else {
            format!("{} kB", bytes.div_ceil(1024))
        }
    }
}

/// A file without a name to put an upload into while it comes.
pub fn scratch(platform: &Platform) -> std::io::Result<std::fs::File> {
    tempfile::tempfile_in(&platform.scratch)
}

/// Files of one account that nothing names: more than a form takes in a day, and less than what fills a disk.
const LOOSE: i64 = 50;

/// Bytes that one account hands in within a day: four apps with all their films, or two hundred documents of the largest size. Tickets keep their files
/// for as long as they are open, so a count of what nothing names is not enough.
const DAILY: u64 = 1024 * MEGABYTE;
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Takes a file: looks at it, seals it into the vault and writes its row. Unless something names it by [`keep`], it is swept after a day.
pub async fn take(platform: &Platform, new: NewUpload, file: std::fs::File) -> Result<Upload, Refusal> {
    let purpose = new.purpose;
    if rows::count_loose(platform, new.account_id, new.owner_id).await? >= LOOSE {
        return Err(Refusal::TooMany);
    }
    let today = rows::bytes_since(platform, new.account_id, new.owner_id, platform.now() - DAY).await?;
    if u64::try_from(today).unwrap_or(0) >= DAILY {
        return Err(Refusal::TooMuch);
    }
    let (found, mut file) = blocking(move || {
        let mut file = file;
        let found = sniff::sniff(purpose, &mut file)?;
        Ok((found, file))
    })
    .await?;
    let mut facts = json!({});
    if let Some((width, height)) = found.pixels {
        facts = json!({ "width": width, "height": height });
    }
    if found.kind == Kind::Pdf {
        file.rewind().map_err(Fault::from)?;
        let report = platform.inspector.inspect(file.try_clone().map_err(Fault::from)?).await?;
        report.admit()?;
        facts = json!({ "pages": report.pages, "text": report.text });
    }
    file.rewind().map_err(Fault::from)?;
    let upload_id = platform.random.id();
    let object = format!("{FOLDER}/{upload_id}-{}", platform.random.uuid());
    let (key, sealed_key) = vault::new_key(platform, &object)?;
    let (size, sha256) = platform.vault.put(&object, &key, file).await?;
    let upload = Upload {
        upload_id,
        owner_id: new.owner_id,
        account_id: new.account_id,
        app_id: new.app_id,
        purpose,
        name: clean_name(&new.name, found.kind),
        media_type: found.kind.media_type().to_owned(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        sha256,
        object,
        sealed_key,
        facts: facts.to_string(),
        created_at: platform.now(),
        kept_at: None,
    };
    let mut tx = platform.db.begin().await?;
    rows::insert(&mut tx, &upload).await?;
    tx.commit().await?;
    Ok(upload)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Unreadable)?
}

/// Staff open a file of a developer's: who did is on record.
pub async fn note_opened(platform: &Platform, actor: Actor, upload_id: i64) -> Result<(), Fault> {
    let mut tx = platform.db.begin().await?;
    let entry = Entry { about: Some(upload_id), ..Entry::new(actor, "upload.opened") };
    entry.write(&mut tx, &platform.random, platform.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// The bytes of a file, opened as they are read.
pub async fn open(
    platform: &Platform,
    upload: &Upload,
) -> Result<impl Stream<Item = Result<Bytes, Fault>> + Send + 'static + use<>, Fault> {
    let key = upload.key(platform)?;
    let size = u64::try_from(upload.size).unwrap_or(0);
    Ok(platform.vault.read(&upload.object, &key, size, 0..size))
}

/// The folder of the vault in which uploads lie.
const FOLDER: &str = "uploads";

/// A name as it may be shown and handed out again: the last part of a path, without characters that act, at most 150 of them, and ending as files of
/// its kind do.
pub fn clean_name(name: &str, kind: Kind) -> String {
    const LONGEST: usize = 150;
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let harmless = |c: &char| !c.is_control() && !is_invisible(*c);
    let words = last.chars().filter(harmless).map(|c| if r#"<>:"|?*;"#.contains(c) { '_' } else { c }).collect::<String>();
    let words = words.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let (stem, ending) = words.rsplit_once('.').unwrap_or((words, ""));
    let fits = kind.endings().iter().any(|known| known.eq_ignore_ascii_case(ending));
    let (stem, ending) = if fits { (stem, ending) } else { (words, kind.endings()[0]) };
    let stem: String = stem.chars().take(LONGEST - 1 - ending.len()).collect();
    let stem = if stem.trim().is_empty() { "file" } else { stem.trim_end_matches(['.', ' ']) };
    format!("{stem}.{ending}")
}

/// Characters that turn the direction of text or cannot be seen: by them `gpj.exe` reads as something else.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Deletes files that nothing names a day after they were handed in, and what a process left that was killed between putting one and saying so.
pub(crate) async fn sweep(platform: &Platform) -> Result<(), Fault> {
    let now = platform.now();
    let mut swept = 0;
    loop {
        let loose = rows::loose(platform, now - platform.settings.uploads.loose.0).await?;
        if loose.is_empty() {
            break;
        }
        for object in loose {
            platform.vault.delete(&object).await?;
            swept += 1;
        }
    }
    let before = now - platform.settings.retention.orphans.0;
    let mut objects = std::pin::pin!(platform.vault.older_than(before));
    while let Some(object) = objects.try_next().await? {
        if object.starts_with("uploads/") && !rows::is_named(platform, &object).await? {
            platform.vault.delete(&object).await?;
            swept += 1;
        }
    }
    if swept > 0 {
        tracing::info!(swept, "deleted uploads that nothing names");
    }
    Ok(())
}

/// Seals the keys of all uploads anew under the newest key. Gives how many there were to do.
pub(crate) async fn reseal(platform: &Platform) -> Result<u64, Fault> {
    rows::reseal(platform).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_paths_and_what_acts() {
        for (given, kept) in [
            ("mockups.pdf", "mockups.pdf"),
            ("../../etc/passwd", "passwd.pdf"),
            ("C:\\Users\\anna\\mock ups.PDF", "mock ups.PDF"),
            ("a\u{202e}fdp.exe", "afdp.exe.pdf"),
            ("line\r\nContent-Type: x.pdf", "lineContent-Type_ x.pdf"),
            ("", "file.pdf"),
            ("...", "file.pdf"),
            (".pdf", "pdf.pdf"),
            ("a\0b.pdf", "ab.pdf"),
            ("\"><script>.pdf", "___script_.pdf"),
            ("Übersicht über alles.pdf", "Übersicht über alles.pdf"),
            ("شاشات.pdf", "شاشات.pdf"),
        ] {
            assert_eq!(clean_name(given, Kind::Pdf), kept, "{given:?}");
        }
        let long = clean_name(&"ä".repeat(400), Kind::Jpeg);
        assert_eq!(long.chars().count(), 150);
        assert!(long.ends_with(".jpg"));
    }

    #[test]
    fn words_of_purposes() {
        assert_eq!(Purpose::Evidence.words(), "PDF, PNG or JPEG, at most 5 MB");
        assert_eq!(Purpose::Icon.words(), "PNG or JPEG, at most 5 MB, 1024 by 1024 pixels");
        assert_eq!(Purpose::DemoVideo.accept(), "video/mp4,video/quicktime");
        assert_eq!(Refusal::WrongType(Purpose::Mockups).to_string(), "The file is not a PDF, whatever its name says.");
        assert_eq!(Refusal::TooLarge(Purpose::Mockups.limit()).to_string(), "The file is larger than 5 MB.");
    }
}
