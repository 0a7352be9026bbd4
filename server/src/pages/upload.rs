//! Files in and out: forms with files, whose files go to scratch files without a name, and files that are handed out as attachments which nothing
//! opens by itself.

use std::io::Seek;
use std::time::Duration;

use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Request, State as With};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use platform::accounts::Role;
use platform::organisations;
use platform::uploads::{self, NewUpload, Purpose, Refusal, Upload};
use platform::{Fault, apps};
use tokio::io::AsyncWriteExt;

use super::access::{ALL_STAFF, Act, Developer, Needs, Staff, see};
use super::{Page, form};
use crate::api::Params;
use crate::http::{self, CallId};
use crate::state::State;

/// What is typed beside the files, all fields together.
const TEXT_LIMIT: usize = 1024 * 1024 + 64 * 1024;
/// Fields of a form.
const FIELDS: usize = 1000;
/// Files of one call.
const FILES: usize = 20;
/// How much of what is too large is read and thrown away before it is answered: a browser whose connection is closed on unread bytes shows an error of
/// its own instead of ours.
const THROWN_AWAY: u64 = 120 * 1024 * 1024;
/// How long a form with files may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(30);

/// Whose files of a form will be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    /// An app's owner, or the account itself.
    pub(crate) owner_id: i64,
    /// Who hands them in; none through a mailed link.
    pub(crate) account_id: Option<i64>,
    /// For which app.
    pub(crate) app_id: Option<i64>,
}

/// One file of a form.
#[derive(Debug)]
pub(crate) struct Given {
    /// The form's field.
    pub(crate) field: String,
    /// The file, or why it is not taken.
    pub(crate) taken: Result<Upload, Refusal>,
}

/// Why a form with files is not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A file, in words for a page.
    File(Refusal),
    /// The form itself.
    Form(StatusCode),
}

/// As what a page that tells a refusal is answered.
pub(crate) fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Reads a form whose files are all of one purpose; the first file that is refused refuses the form.
pub(crate) async fn receive(
    state: &State,
    parts: &Parts,
    body: Body,
    purpose: Purpose,
    owner: Owner,
) -> Result<(Params, Vec<Upload>), Refused> {
    let (params, given) = receive_each(state, parts, body, owner, |_| Some(purpose)).await.map_err(Refused::Form)?;
    let mut files = Vec::new();
    for given in given {
        match given.taken {
            Ok(upload) => files.push(upload),
            Err(refusal) => return Err(Refused::File(refusal)),
        }
    }
    Ok((params, files))
}

/// Reads a form with files of several purposes, by their fields; a file of any other field is not taken. Refused files are told beside the
/// others, and what was typed is there whatever became of the files.
pub(crate) async fn receive_each(
    state: &State,
    parts: &Parts,
    body: Body,
    owner: Owner,
    purpose: impl Fn(&str) -> Option<Purpose>,
) -> Result<(Params, Vec<Given>), StatusCode> {
    if http::media_type(&parts.headers).as_deref() != Some("multipart/form-data") {
        return Ok((form(parts, body).await?, Vec::new()));
    }
    let mut request = Request::from_parts(parts.clone(), body);
    // The limits are ours: by purpose, as the bytes come.
    DefaultBodyLimit::disable().apply(&mut request);
    let multipart = Multipart::from_request(request, state).await.map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut reading = Reading { state, owner, pairs: Vec::new(), typed: 0, given: Vec::new(), thrown: 0 };
    match tokio::time::timeout(PATIENCE, reading.all(multipart, purpose)).await {
        Ok(Ok(())) => Ok((Params::from_pairs(reading.pairs), reading.given)),
        Ok(Err(status)) => Err(status),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

struct Reading<'a> {
    state: &'a State,
    owner: Owner,
    pairs: Vec<(String, String)>,
    typed: usize,
    given: Vec<Given>,
    thrown: u64,
}

/// What came, unless nothing came for too long.
async fn heard<T>(coming: impl Future<Output = Result<T, MultipartError>>) -> Result<T, StatusCode> {
    match tokio::time::timeout(SILENCE, coming).await {
        Ok(Ok(came)) => Ok(came),
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

impl Reading<'_> {
    async fn all(&mut self, mut multipart: Multipart, purpose: impl Fn(&str) -> Option<Purpose>) -> Result<(), StatusCode> {
        let mut fields = 0;
        while let Some(field) = heard(multipart.next_field()).await? {
            fields += 1;
            if fields > FIELDS {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            let name = field.name().unwrap_or_default().to_owned();
            match field.file_name().map(str::to_owned) {
                None => self.text(name, field).await?,
                Some(file) => {
                    if !self.file(name, file, field, &purpose).await? {
                        // What follows is not read any more.
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    async fn text(&mut self, name: String, mut field: Field<'_>) -> Result<(), StatusCode> {
        let mut bytes = Vec::new();
        while let Some(piece) = heard(field.chunk()).await? {
            self.typed += piece.len();
            if self.typed <= TEXT_LIMIT {
                bytes.extend_from_slice(&piece);
            } else {
                bytes.clear();
                self.thrown += piece.len() as u64;
                if self.thrown > THROWN_AWAY {
                    break;
                }
            }
        }
        if self.typed > TEXT_LIMIT {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let text = String::from_utf8(bytes).map_err(|_| StatusCode::BAD_REQUEST)?;
        if name.contains('\0') || text.contains('\0') {
            return Err(StatusCode::BAD_REQUEST);
        }
        self.pairs.push((name, text));
        Ok(())
    }

    /// False once so much is too large that the rest is not read.
    async fn file(
        &mut self,
        name: String,
        file_name: String,
        mut field: Field<'_>,
        purpose: &impl Fn(&str) -> Option<Purpose>,
    ) -> Result<bool, StatusCode> {
        let purpose = purpose(&name).filter(|_| self.given.len() < FILES);
        let limit = purpose.map_or(0, Purpose::limit);
        let fault = |fault: std::io::Error| {
            tracing::error!(%fault, "a scratch file cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR
        };
        let mut scratch: Option<tokio::fs::File> = None;
        let mut size = 0;
        while let Some(piece) = heard(field.chunk()).await? {
            size += piece.len() as u64;
            if size > limit {
                scratch = None;
                self.thrown += piece.len() as u64;
                if self.thrown > THROWN_AWAY {
                    break;
                }
                continue;
            }
            if scratch.is_none() {
                scratch = Some(uploads::scratch(&self.state.platform).map_err(fault)?.into());
            }
            if let Some(file) = &mut scratch {
                file.write_all(&piece).await.map_err(fault)?;
            }
        }
        let going_on = self.thrown <= THROWN_AWAY;
        // A form's file field that was left alone comes as a file without name and bytes.
        let Some(purpose) = purpose.filter(|_| size > 0 || !file_name.is_empty()) else { return Ok(going_on) };
        let taken = match scratch {
            None if size > limit => Err(Refusal::TooLarge(limit)),
            None => Err(Refusal::Empty),
            Some(mut file) => {
                file.flush().await.map_err(fault)?;
                let mut file = file.into_std().await;
                file.rewind().map_err(fault)?;
                let Owner { owner_id, account_id, app_id } = self.owner;
                let new = NewUpload { owner_id, account_id, app_id, purpose, name: file_name };
                uploads::take(&self.state.platform, new, file).await
            }
        };
        if let Err(Refusal::Fault(fault)) = &taken {
            tracing::error!(%fault, "an upload cannot be kept");
        }
        self.given.push(Given { field: name, taken });
        Ok(going_on)
    }
}

/// Hands a file out: as an attachment, of the type its bytes have, and never as a page of ours.
pub(crate) async fn serve(state: &State, upload: &Upload) -> Result<Response, Fault> {
    let bytes = uploads::open(&state.platform, upload).await?;
    let mut response = Response::new(Body::from_stream(bytes));
    let headers = response.headers_mut();
    let text = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_TYPE, text(&upload.media_type));
    headers.insert(header::CONTENT_LENGTH, upload.size.into());
    headers.insert(header::CONTENT_DISPOSITION, text(&disposition(&upload.name)));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}

/// RFC 6266: a name of plain letters for old readers, and the whole name in UTF-8.
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') { c } else { '_' }).collect();
    let mut whole = String::new();
    for byte in name.bytes() {
        // attr-char of RFC 5987, less what is rare.
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            whole.push(char::from(byte));
        } else {
            whole.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

/// A file in the portal.
pub(crate) fn portal_acts() -> Vec<Act> {
    vec![see("/developers/uploads/{upload}", Needs::Developer, "Download a file that was handed in for an app", for_developer)]
}

/// A file in the console.
pub(crate) fn console_acts() -> Vec<Act> {
    vec![see("/console/uploads/{upload}", ALL_STAFF, "Download a file that was handed in", for_staff)]
}

async fn for_developer(With(state): With<State>, id: CallId, developer: Developer, Path(upload): Path<String>) -> Response {
    hand_out(&state, &id, &upload, Who::Developer(developer.account.account_id)).await
}

async fn for_staff(With(state): With<State>, id: CallId, staff: Staff, Path(upload): Path<String>) -> Response {
    hand_out(&state, &id, &upload, Who::Staff(&staff)).await
}

/// Who asks for a file.
enum Who<'a> {
    Developer(i64),
    Staff(&'a Staff),
}

fn is_of_application(upload: &Upload) -> bool {
    matches!(upload.purpose, Purpose::Mockups | Purpose::Evidence)
}

/// To staff, files of tickets only to those who see tickets; or to a developer who works on the app it was handed in for, or who handed it in for none.
async fn hand_out(state: &State, id: &CallId, upload: &str, who: Who<'_>) -> Response {
    let page = Page::new(state, id);
    let found = async {
        let Ok(upload_id) = upload.parse::<i64>() else { return Ok(None) };
        let mut tx = state.platform.db.read().await?;
        let Some(upload) = uploads::by_id(&mut tx, upload_id).await? else { return Ok(None) };
        let account_id = match who {
            Who::Developer(account_id) => account_id,
            Who::Staff(staff) => {
                let sees = upload.purpose != Purpose::TicketAttachment || staff.is(Role::Support) || staff.is(Role::Reviewer);
                drop(tx);
                if sees {
                    uploads::note_opened(&state.platform, staff.account.actor(), upload.upload_id).await?;
                }
                return Ok(sees.then_some(upload));
            }
        };
        let theirs = match upload.app_id {
            // An app takes its icon and its videos along to another owner; what backed an application stays with whom it is about.
            Some(app_id) => match apps::by_id(&mut tx, app_id).await?.filter(|app| app.deleted_at.is_none()) {
                Some(app) if app.owner_id != upload.owner_id && is_of_application(&upload) => false,
                Some(app) => organisations::seat_at_app(&mut tx, &app, account_id).await?.is_some(),
                None => false,
            },
            None => upload.account_id == Some(account_id),
        };
        Ok::<_, Fault>(theirs.then_some(upload))
    };
    match found.await {
        Ok(Some(upload)) => match serve(state, &upload).await {
            Ok(response) => response,
            Err(fault) => page.fault(&fault),
        },
        Ok(None) => page.problem(StatusCode::NOT_FOUND),
        Err(fault) => page.fault(&fault),
    }
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn names_reach_the_header_whole_and_harmless() {
        assert_eq!(disposition("mock ups.pdf"), "attachment; filename=\"mock ups.pdf\"; filename*=UTF-8''mock%20ups.pdf");
        assert_eq!(
            disposition("Über\";x=.pdf"),
            "attachment; filename=\"_ber__x_.pdf\"; filename*=UTF-8''%C3%9Cber%22%3Bx%3D.pdf"
        );
        assert!(disposition("a\r\nb.pdf").is_ascii());
        assert!(!disposition("a\r\nb.pdf").contains(['\r', '\n']));
    }
}
