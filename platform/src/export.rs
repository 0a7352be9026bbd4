//! The job that turns a request into an archive (design: the way of a request, 3 to 5).

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::clock::Millis;
use crate::jobs::{Attempt, Outcome};
use crate::requests::{self, Request, Standing};
use crate::vault::{self, ArchiveRow};
use crate::{Fault, Platform, World, apps, db, grants, media, pause, people, signing};

/// How often a running export looks how large it is,
const MEASURE_EVERY: Duration = Duration::from_millis(250);

/// and, in such steps, whether it is still wanted.
const LOOK_EVERY: u32 = 8;

/// How far the exports in this process have come, by request.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Mutex<HashMap<i64, Arc<archive::write::Progress>>>>);

impl Running {
    /// The progress of a request, while it runs here.
    pub fn of(&self, request_id: i64) -> Option<Arc<archive::write::Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&request_id).cloned()
    }

    fn begin(&self, request_id: i64) -> Arc<archive::write::Progress> {
        let progress = Arc::new(archive::write::Progress::default());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(request_id, Arc::clone(&progress));
        progress
    }

    /// Forgets the progress of an attempt, not that of another which has begun since.
    fn end(&self, request_id: i64, progress: &Arc<archive::write::Progress>) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.get(&request_id).is_some_and(|held| Arc::ptr_eq(held, progress)) {
            running.remove(&request_id);
        }
    }
}

/// One attempt at a request.
pub(crate) async fn run(platform: &Platform, request_id: i64, attempt: &Attempt) -> Result<Outcome, Fault> {
    match requests::may_build(platform, request_id, None).await? {
        Standing::Free | Standing::Gone => {}
        Standing::Frozen | Standing::NotLive => return held(platform, request_id).await,
    }
    let Some(request) = requests::begin(platform, request_id, attempt.number).await? else {
        tracing::info!(request_id, attempt = attempt.number, "export is no longer wanted");
        return Ok(Outcome::Done);
    };
    pause::at("export_begun").await;
    let progress = platform.progress.begin(request_id);
    let built = build(platform, &request, attempt, Arc::clone(&progress)).await;
    platform.progress.end(request_id, &progress);
    built
}

/// What is stopped waits, for as long as the operator lets requests wait.
async fn held(platform: &Platform, request_id: i64) -> Result<Outcome, Fault> {
    let mut tx = platform.db.read().await?;
    let request = requests::by_id(&mut tx, request_id).await?;
    drop::<db::Tx>(tx);
    let over = request.is_some_and(|request| request.applied_at + platform.settings.freezes.held.0 <= platform.now());
    Ok(if over {
        let detail = "what it asks for was frozen, or its app suspended, for longer than freezes.held";
        Outcome::GiveUp { reason: "held_too_long".into(), detail: detail.into() }
    } else {
        Outcome::Wait { detail: "its app, its data or everything is stopped" }
    })
}

async fn build(
    platform: &Platform,
    request: &Request,
    attempt: &Attempt,
    progress: Arc<archive::write::Progress>,
) -> Result<Outcome, Fault> {
    let mut tx = platform.db.read().await?;
    let subject = people::by_id(&mut tx, request.person_id).await?.and_then(|person| person.subject);
    drop::<db::Tx>(tx);
    let Some(subject) = subject else {
        return Ok(Outcome::GiveUp { reason: "person_deleted".into(), detail: "the person was deleted".into() });
    };
    let order = archive::write::Order {
        subject,
        categories: request.categories()?,
        format: request.format()?,
        // The call's own time, so that another attempt at the same data gives the same bytes.
        at: moment(request.applied_at),
        since: request.since_at.map(moment),
        until: request.until_at.map(moment),
        identity: identity(platform, request).await?,
        level: platform.settings.requests.level,
        documents: documents(platform, request).await?,
    };
    // The file has no name: whatever ends this process, nothing readable is left.
    let scratch = tempfile::tempfile_in(&platform.scratch)?;
    let cancel = attempt.cancel.child_token();
    let stops = Stops::default();
    let watch = watch(platform, request, attempt, Arc::clone(&progress), cancel.clone(), &stops);
    let write = archive::write::write(
        Arc::clone(&platform.catalogue),
        &platform.sources,
        order,
        scratch.try_clone()?,
        Arc::clone(&progress),
        cancel.clone(),
    );
    let work = async {
        let summary = write.await?;
        tracing::info!(
            request_id = request.request_id,
            sections = summary.sections.len(),
            json_bytes = summary.json_bytes,
            "archive built"
        );
        stops.is_written.store(true, Ordering::Relaxed);
        pause::at("archive_built").await;
        let told = told(platform, request, &progress);
        Ok(keep(platform, request, attempt, scratch, told, &cancel).await)
    };
    let written = tokio::select! {
        written = work => written,
        () = watch => unreachable_watch(),
    };
    match written {
        Ok(Ok(true)) => Ok(Outcome::Done),
        Ok(Err(fault)) => Err(fault),
        Ok(Ok(false)) | Err(_) if attempt.cancel.is_cancelled() => Ok(Outcome::HandBack),
        Ok(Ok(false)) | Err(_) if stops.is_held.load(Ordering::Relaxed) => held(platform, request.request_id).await,
        Err(_) if stops.is_too_large.load(Ordering::Relaxed) => {
            tracing::info!(request_id = request.request_id, "export is large and waits for a place");
            Ok(Outcome::TooLarge)
        }
        Ok(Ok(false)) | Err(_) if cancel.is_cancelled() => {
            tracing::info!(request_id = request.request_id, "export stopped: the request is no longer wanted");
            Ok(Outcome::Done)
        }
        // Only what was cancelled stops while it is kept.
        Ok(Ok(false)) => Ok(Outcome::HandBack),
        Err(fault) => {
            let (reason, detail) = (fault.reason().to_owned(), fault.to_string());
            if reason == "owner_mismatch" {
                metrics::counter!("portward_owner_mismatch_total", "world" => platform.world.as_str()).increment(1);
                tracing::error!(
                    request_id = request.request_id,
                    detail,
                    alert = true,
                    "owner_mismatch: a row of somebody else was met; nothing is served"
                );
            }
            Ok(if fault.retryable() {
                Outcome::Retry { reason, detail, after: None }
            } else {
                Outcome::GiveUp { reason, detail }
            })
        }
    }
}

fn moment(at: Millis) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or_default()
}

/// What stands for the person and for others in an archive.
async fn identity(platform: &Platform, request: &Request) -> Result<archive::write::Identity, Fault> {
    let mut tx = platform.db.read().await?;
    let grant = grants::by_id(&mut tx, request.grant_id).await?;
    drop::<db::Tx>(tx);
    let mut identity = archive::write::Identity {
        open_id: grant.map(|grant| grant.open_id),
        links: media::links(platform, request).await?,
        ..Default::default()
    };
    if platform.catalogue.has_pseudonyms() {
        let secret = grants::pseudonym_secret(platform, request.grant_id).await?;
        let mut of_request = Sha256::new_with_prefix(*secret);
        of_request.update(request.request_id.to_be_bytes());
        identity.archive_secret = Some(of_request.finalize().into());
        identity.grant_secret = Some(*secret);
    }
    Ok(identity)
}

/// What the archive says of itself, where that is wanted.
async fn documents(platform: &Platform, request: &Request) -> Result<Option<archive::write::Documents>, Fault> {
    // Wanted by the operator for all archives, or (`/v1`) by the request.
    if !platform.settings.requests.documents && !request.documents {
        return Ok(None);
    }
    let mut tx = platform.db.read().await?;
    let app = apps::by_id(&mut tx, request.app_id).await?.ok_or_else(|| Fault::Row("a request without its app".into()))?;
    drop::<db::Tx>(tx);
    let site = &platform.settings.site;
    let name = match platform.world {
        World::Production => site.brand.clone(),
        World::Sandbox => format!("{} (sandbox, made-up people)", site.brand),
    };
    let clock = platform.clock.clone();
    Ok(Some(archive::write::Documents {
        request: request.request_id.to_string(),
        app: archive::manifest::App { name: app.name, client_key: Some(app.client_key) },
        operator: archive::manifest::Operator { name, keys: Some(format!("{}{}", site.base_url, signing::PUBLISHED_AT)) },
        signer: Some(signing::signer(platform).await?),
        now: Arc::new(move || jiff::Timestamp::from_millisecond(clock.now().0).unwrap_or_default()),
    }))
}

/// The watch never ends by itself; it cancels the export, which then ends.
fn unreachable_watch() -> Result<Result<bool, Fault>, archive::write::ExportError> {
    Err(archive::write::ExportError::Cancelled)
}

/// How far an export is, by the categories that were asked for.
pub fn told(platform: &Platform, request: &Request, progress: &archive::write::Progress) -> Option<requests::Told> {
    let by_section = progress.by_section();
    let catalogue = &platform.catalogue;
    let share = |name: &String| {
        let mut share = requests::ToldCategory { name: name.clone(), ..Default::default() };
        for section in catalogue.sections_of(std::slice::from_ref(name)) {
            if let Some((rows, bytes)) = by_section.get(&section.path) {
                share.rows += rows;
                share.bytes += bytes;
            }
        }
        share
    };
    let categories = request.categories().ok()?.iter().map(share).collect();
    let (rows, bytes) = by_section.values().fold((0, 0), |(rows, bytes), (r, b)| (rows + r, bytes + b));
    Some(requests::Told { rows, bytes, categories })
}

/// Why an export was stopped by its watch, and how far it was.
#[derive(Debug, Default)]
struct Stops {
    /// What it is for is stopped, for now.
    is_held: AtomicBool,
    /// It has grown too large for its place, and there is no other.
    is_too_large: AtomicBool,
    /// It is written, and only to be kept: it grows no more.
    is_written: AtomicBool,
}

/// Tells how far an export is; cancels it when its request is cancelled, another attempt has begun, what it is for is stopped, or it has grown too
/// large for its place and there is no other.
async fn watch(
    platform: &Platform,
    request: &Request,
    attempt: &Attempt,
    progress: Arc<archive::write::Progress>,
    cancel: CancellationToken,
    stops: &Stops,
) {
    let request_id = request.request_id;
    let jobs = &platform.settings.jobs;
    let mut place = attempt.place.as_ref();
    let mut last = None;
    for looks in 1u32.. {
        tokio::time::sleep(MEASURE_EVERY).await;
        let is_large = progress.bytes.load(Ordering::Relaxed) >= jobs.heavy_bytes || MEASURE_EVERY * looks >= jobs.heavy_after.0;
        if let Some(held) = place.filter(|_| is_large && !stops.is_written.load(Ordering::Relaxed)) {
            if held.grow() {
                place = None;
            } else {
                stops.is_too_large.store(true, Ordering::Relaxed);
                cancel.cancel();
                return std::future::pending().await;
            }
        }
        if looks % LOOK_EVERY != 0 {
            continue;
        }
        let now = told(platform, request, &progress);
        if let (Some(told), true) = (&now, now != last) {
            match requests::tell(platform, request_id, attempt.number, told).await {
                Ok(()) => last = now,
                Err(fault) => tracing::warn!(request_id, %fault, "cannot tell how far an export is"),
            }
        }
        match requests::may_build(platform, request_id, Some(attempt.number)).await {
            Ok(Standing::Free) => {}
            Ok(other) => {
                stops.is_held.store(other != Standing::Gone, Ordering::Relaxed);
                cancel.cancel();
                return std::future::pending().await;
            }
            Err(fault) => tracing::warn!(request_id, %fault, "cannot look whether an export is still wanted"),
        }
    }
}

/// Puts the archive into the vault and makes the request ready, if this attempt is still the one. `false` if it was cancelled on the way.
async fn keep(
    platform: &Platform,
    request: &Request,
    attempt: &Attempt,
    mut scratch: File,
    told: Option<requests::Told>,
    cancel: &CancellationToken,
) -> Result<bool, Fault> {
    scratch.seek(SeekFrom::Start(0))?;
    let object = vault::new_name(platform, request.request_id, attempt.number);
    let (key, sealed_key) = vault::new_key(platform, &object)?;
    let (size, sha256) = tokio::select! {
        put = platform.vault.put(&object, &key, scratch) => put?,
        // What is cut off here has no name that a row knows; the sweep takes it away.
        () = cancel.cancelled() => return Ok(false),
    };
    pause::at("after_put").await;
    let row = ArchiveRow {
        request_id: request.request_id,
        attempt: attempt.number,
        object: object.clone(),
        sealed_key,
        size: i64::try_from(size).map_err(|_| Fault::Row("an archive of more than 2^63 bytes".into()))?,
        sha256,
        created_at: platform.now(),
    };
    if requests::finish(platform, request, &row, told.as_ref()).await? {
        metrics::counter!("portward_archives_total", "world" => platform.world.as_str()).increment(1);
        tracing::info!(request_id = request.request_id, size, attempt = attempt.number, "request ready");
    } else {
        tracing::info!(
            request_id = request.request_id,
            attempt = attempt.number,
            "archive thrown away: the request was cancelled, or another attempt won"
        );
        platform.vault.delete(&object).await?;
    }
    Ok(true)
}
