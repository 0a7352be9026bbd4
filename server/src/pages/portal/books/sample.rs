//! The sample archive of the catalogue that is served: everything, of a person who does not exist.
//!
//! Where the catalogue is that of the sandbox, it is the archive of one of the sandbox's people. An operator's own catalogue has no made-up people; its sample
//! comes from the catalogue alone, with values that say they are made up, and is written by the same code as the real archives.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use anyhow::Context;
use archive::catalogue::{ALL_DATA, Catalogue};
use archive::source::Sources;
use archive::write::{Format, Identity, Order, Progress};
use platform::{editions, people};
use tokio_util::sync::CancellationToken;

use crate::state::State;

/// The sample of the edition that is served, made if there is none.
pub(super) async fn current(state: &State) -> anyhow::Result<Vec<u8>> {
    let platform = &state.platform;
    let edition = &platform.catalogue.edition;
    if let Some(kept) = editions::sample(platform, edition).await? {
        return Ok(kept);
    }
    let _alone = state.books.sample.lock().await;
    if let Some(kept) = editions::sample(platform, edition).await? {
        return Ok(kept);
    }
    let made = match of_sandbox(state).await? {
        Some(made) => made,
        None => made_up(&platform.catalogue, &platform.scratch).await?,
    };
    editions::keep_sample(platform, &made).await?;
    Ok(made)
}

/// The archive of the sandbox's typical person, if its catalogue is ours.
async fn of_sandbox(state: &State) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(sandbox) = state.world.sandbox() else { return Ok(None) };
    let theirs = &sandbox.platform;
    let names = |catalogue: &Catalogue| catalogue.sections().iter().map(archive::catalogue::Section::name).collect::<Vec<_>>();
    let ours = &state.platform.catalogue;
    if theirs.catalogue.edition != ours.edition || names(&theirs.catalogue) != names(ours) {
        return Ok(None);
    }
    let Some(typical) = sandbox.world.people().iter().find(|person| person.size == "typical") else { return Ok(None) };
    let person = people::by_username(&mut theirs.db.read().await?, &typical.username).await?;
    let Some(subject) = person.and_then(|person| person.subject) else { return Ok(None) };
    write(Arc::clone(&theirs.catalogue), &theirs.sources, subject, tempfile::tempfile_in(&theirs.scratch)?).await.map(Some)
}

/// An archive of made-up values for any catalogue.
async fn made_up(catalogue: &Catalogue, scratch: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let folder = tempfile::tempdir_in(scratch)?;
    let file = folder.path().join("empty.db");
    rusqlite::Connection::open(&file).and_then(|empty| empty.execute_batch("pragma user_version = 1"))?;
    let synthetic = catalogue.synthetic(&file);
    let sources = Sources::open(&synthetic, folder.path()).await?;
    let subject = match synthetic.subject.as_str() {
        "uuid" => "00000000-0000-4000-8000-000000000001",
        _ => "1",
    };
    write(Arc::new(synthetic), &sources, subject.to_owned(), tempfile::tempfile_in(scratch)?).await
}

async fn write(catalogue: Arc<Catalogue>, sources: &Sources, subject: String, mut file: File) -> anyhow::Result<Vec<u8>> {
    let categories = match catalogue.category(ALL_DATA) {
        Some(all) => vec![all.name.clone()],
        None => catalogue.categories().iter().map(|category| category.name.clone()).collect(),
    };
    // Made-up people need no secret, and the same sample is made each time.
    let identity = Identity {
        open_id: Some("sample-open-id".into()),
        grant_secret: Some([0; 32]),
        archive_secret: Some([1; 32]),
        links: None,
    };
    let at = jiff::Timestamp::UNIX_EPOCH;
    let order =
        Order { subject, categories, format: Format::Json, at, since: None, until: None, identity, level: 9, documents: None };
    let progress = Arc::new(Progress::default());
    let out = file.try_clone()?;
    archive::write::write(catalogue, sources, order, out, progress, CancellationToken::new())
        .await
        .context("the sample archive")?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_catalogue_has_a_sample_with_every_section_filled_by_made_up_values() {
        let folder = tempfile::tempdir().unwrap();
        crate::demo::catalog::write_catalog(
            folder.path(),
            crate::demo::catalog::Source::Sqlite(std::path::Path::new("nothing.db")),
        )
        .unwrap();
        let catalogue = Catalogue::load(&folder.path().join("catalog.toml")).unwrap();
        let bytes = made_up(&catalogue, folder.path()).await.unwrap();
        let mut container = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        let mut text = String::new();
        container.by_index(0).unwrap().read_to_string(&mut text).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for section in catalogue.sections().iter().filter(|section| section.query.is_some() && !section.columns().is_empty()) {
            let found = section.path.iter().try_fold(&document, |at, key| at.get(key));
            let filled = match found {
                Some(serde_json::Value::Array(rows)) => !rows.is_empty(),
                Some(serde_json::Value::Object(fields)) => !fields.is_empty(),
                Some(other) => !other.is_null(),
                None => false,
            };
            assert!(filled, "{} is empty: {found:?}", section.name());
        }
    }
}
