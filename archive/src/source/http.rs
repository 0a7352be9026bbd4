//! An internal service that streams one person's rows as NDJSON, page by page.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::error::Error as _;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, Url, Version};

use super::http_lines::{Line, Lines};
use super::{Cell, Later, Permit, Reading, Source, column_faults, fault_at, recycle};
use crate::catalogue::sql::{Bind, Dialect, scan};
use crate::catalogue::{Fault, Owner, Section, SourceSpec};
use crate::subject::Subject;
use crate::write::{Binds, Failure, Flow, Rows};

/// What a stream of JSON lines is called.
const TYPES: [&str; 4] = ["application/x-ndjson", "application/jsonl", "application/ndjson", "application/jsonlines"];

pub(super) struct HttpSource {
    spec: SourceSpec,
    service: Arc<Service>,
    token_file: Option<PathBuf>,
}

/// Where the service is, and how long it may take.
struct Service {
    base: Url,
    client: reqwest::Client,
    first_byte: Duration,
    idle: Duration,
    max_line: usize,
    max_pages: usize,
    longest_pause: Duration,
}

impl HttpSource {
    pub(super) fn new(spec: &SourceSpec, url: &str, base_dir: &Path) -> Result<Self, String> {
        let base: Url = url.parse().map_err(|_| "its address is not one of HTTP".to_owned())?;
        let plain =
            base.username().is_empty() && base.password().is_none() && base.query().is_none() && base.fragment().is_none();
        if !["http", "https"].contains(&base.scheme()) || !base.has_host() || !plain {
            return Err(
                "its address is not a plain one of HTTP: a token is in `token_file`, a query belongs to a section".to_owned()
            );
        }
        let token_file = spec.http.token_file.as_ref().map(|path| base_dir.join(path));
        if token_file.is_some() && base.scheme() == "http" {
            tracing::warn!(
                source = spec.name,
                "the token of this source goes over the network in clear: give it an https address"
            );
        }
        let service = Service {
            client: client(spec, base_dir)?,
            base,
            first_byte: spec.http.first_byte_timeout,
            idle: spec.http.idle_timeout,
            max_line: spec.http.max_line,
            max_pages: spec.http.max_pages,
            longest_pause: spec.statement_timeout,
        };
        Ok(Self { spec: spec.clone(), service: Arc::new(service), token_file })
    }

    async fn token(&self) -> Result<Option<HeaderValue>, Failure> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let text = tokio::fs::read_to_string(path)
            .await
            .map_err(|error| Failure::Down(format!("token_file {} cannot be read: {error}", path.display())))?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
            .map_err(|_| Failure::Down(format!("token_file {} does not hold a token", path.display())))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Asks after the service's health, if it has a path for that.
    async fn health(&self) -> Result<(), Failure> {
        let token = self.token().await?;
        let Some(path) = &self.spec.http.health else {
            tracing::warn!(
                source = self.spec.name,
                "the source has no `health`, so it was not asked; neither its address nor its token is checked"
            );
            return Ok(());
        };
        let url = self.service.url(path)?;
        let mut request = self.service.client.get(url);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let answer = self.service.send(request).await?;
        if answer.status().is_success() { Ok(()) } else { Err(refused(answer.status())) }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a service that the operator names, bounded here; others' addresses go through the guard"
)]
fn client(spec: &SourceSpec, base_dir: &Path) -> Result<reqwest::Client, String> {
    // Whoever comes first installs it; a second one is told, and does no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .connect_timeout(spec.connect_timeout)
        .pool_max_idle_per_host(spec.max_concurrent)
        .user_agent(concat!("Portward/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &spec.http.ca_file {
        let path = base_dir.join(path);
        let pem = std::fs::read(&path).map_err(|error| format!("ca_file {} cannot be read: {error}", path.display()))?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if roots.is_empty() {
            return Err(format!("ca_file {} holds no certificate", path.display()));
        }
        builder = builder.tls_certs_only(roots);
    }
    builder.build().map_err(|error| format!("it cannot be called: {}", root(&error)))
}

impl Source for HttpSource {
    fn check<'a>(&'a self, sections: Vec<&'a Section>, examples: &'a [Binds]) -> Later<'a, Vec<Fault>> {
        Box::pin(async move {
            let mut faults = Vec::new();
            if let Err(failure) = self.health().await {
                let what = format!("source `{}`: {failure}", self.spec.name);
                faults.push(fault_at(&self.spec.place, what, "correct `url`, `health` or `token_file`, or start the service"));
            }
            for section in sections {
                let names = columns(section);
                faults.extend(column_faults(section, &names.iter().map(String::as_str).collect::<Vec<_>>()));
                if let Some(Err(failure)) = examples.first().map(|binds| self.service.first_page(section, binds)) {
                    let what = format!("section \"{}\": {failure}", section.name());
                    faults.push(fault_at(&section.place, what, "correct the query"));
                }
            }
            faults
        })
    }

    fn begin<'a>(&'a self, permit: Permit) -> Later<'a, Result<Box<dyn Reading>, Failure>> {
        Box::pin(async move {
            let token = self.token().await?;
            Ok(Box::new(HttpReading { service: self.service.clone(), token, _permit: permit }) as Box<dyn Reading>)
        })
    }
}

struct HttpReading {
    service: Arc<Service>,
    token: Option<HeaderValue>,
    _permit: Permit,
}

impl Reading for HttpReading {
    fn read<'a>(&'a mut self, section: &'a Section, binds: &'a Arc<Binds>, mut rows: Rows) -> Later<'a, Result<Rows, Failure>> {
        Box::pin(async move {
            let names = columns(section);
            rows.columns(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
            let mut line = Line::new(names);
            let mut next = Some(self.service.first_page(section, binds)?);
            let mut seen = HashSet::new();
            let mut number = 0;
            while let Some(url) = next {
                if !seen.insert(hash(url.as_str())) {
                    return Err(Failure::Query("the service's pages go in a circle".to_owned()));
                }
                if seen.len() > self.service.max_pages {
                    return Err(Failure::Query("the service has more pages than `max_pages` allows".to_owned()));
                }
                let Some(mut answer) = self.service.ask(&url, self.token.as_ref()).await? else { break };
                next = self.service.next_page(&url, answer.headers())?;
                let mut lines = Lines::new(self.service.max_line);
                loop {
                    while let Some(bytes) = lines.next()? {
                        number += 1;
                        if bytes.iter().all(u8::is_ascii_whitespace) {
                            continue;
                        }
                        let flow = take(&mut line, bytes, number, &mut rows)?;
                        if flow == Flow::Flush {
                            rows.flush().await?;
                        }
                    }
                    match tokio::time::timeout(self.service.idle, answer.chunk()).await {
                        Err(_) => return Err(Failure::Timeout("idle_timeout")),
                        Ok(Err(error)) => return Err(Failure::Down(format!("the answer broke off: {}", root(&error)))),
                        Ok(Ok(Some(chunk))) => lines.push(&chunk),
                        Ok(Ok(None)) => break,
                    }
                }
                if !lines.is_empty() {
                    return Err(Failure::Down("the answer ended in the middle of a line".to_owned()));
                }
            }
            if line.undeclared() > 0 {
                tracing::warn!(
                    section = section.name(),
                    keys = line.undeclared(),
                    "the service's rows have keys that the section does not declare; they were left out"
                );
            }
            Ok(rows)
        })
    }

    fn end(self: Box<Self>) -> Later<'static, ()> {
        // The client keeps its connections itself.
        Box::pin(async {})
    }
}

/// One line becomes one row.
fn take(line: &mut Line, bytes: &[u8], number: u64, rows: &mut Rows) -> Result<Flow, Failure> {
    let repaired;
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            rows.repaired(1);
            repaired = String::from_utf8_lossy(bytes).into_owned();
            &repaired
        }
    };
    // What is wrong is told by the number of the line, never by its words.
    let broken = |what: &str| Failure::Query(format!("line {number} of the answer {what}"));
    line.clear();
    let values = line.split(text).map_err(broken)?;
    rows.repaired(line.unescape(&values));
    let mut cells: Vec<Cell<'_>> = recycle(Vec::with_capacity(values.len()));
    line.fill(&values, &mut cells).map_err(broken)?;
    rows.row(&cells)
}

/// The columns of a section are those that it declares or names.
pub(super) fn columns(section: &Section) -> Vec<String> {
    let mut names: Vec<String> = section.fields.iter().map(|field| field.name.clone()).collect();
    let mut add = |name: &str| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    if let Some(group) = section.group_column() {
        add(group);
    }
    if let Some(query) = &section.query {
        if let Owner::Column(owner) = &query.owner {
            add(owner);
        }
        query.key.iter().chain(&query.hidden).for_each(|name| add(name));
    }
    names
}

/// A row as a service sends it.
pub(crate) type ServiceRow = serde_json::Map<String, serde_json::Value>;

/// The first rows that a service has for somebody, of one page at most, as they come: what a draft is made from.
pub(crate) async fn service_rows(
    spec: &SourceSpec,
    url: &str,
    base_dir: &Path,
    path: &str,
    subject: &Subject,
    most: usize,
) -> Result<Vec<ServiceRow>, Failure> {
    let source = HttpSource::new(spec, url, base_dir).map_err(Failure::Query)?;
    let (token, service) = (source.token().await?, &source.service);
    let page = service.page(path, &Binds::new(subject.clone(), None, None))?;
    let look = async {
        let mut rows = Vec::new();
        let Some(mut answer) = service.ask(&page, token.as_ref()).await? else { return Ok(rows) };
        let mut lines = Lines::new(service.max_line);
        loop {
            while let Some(bytes) = lines.next()? {
                if rows.len() == most {
                    return Ok(rows);
                }
                if !bytes.iter().all(u8::is_ascii_whitespace) {
                    let number = rows.len() + 1;
                    let row = serde_json::from_slice(bytes);
                    rows.push(row.map_err(|_| Failure::Query(format!("line {number} of the answer is no JSON object")))?);
                }
            }
            match tokio::time::timeout(service.idle, answer.chunk()).await {
                Err(_) => return Err(Failure::Timeout("idle_timeout")),
                Ok(Err(error)) => return Err(Failure::Down(format!("the answer broke off: {}", root(&error)))),
                Ok(Ok(Some(chunk))) => lines.push(&chunk),
                Ok(Ok(None)) if lines.is_empty() => return Ok(rows),
                Ok(Ok(None)) => return Err(Failure::Down("the answer ended in the middle of a line".to_owned())),
            }
        }
    };
    tokio::time::timeout(spec.statement_timeout, look).await.map_err(|_| Failure::Timeout("statement_timeout"))?
}

impl Service {
    /// Asks for a page until the service has time for it. No answer is one without content.
    async fn ask(&self, url: &Url, token: Option<&HeaderValue>) -> Result<Option<Response>, Failure> {
        let mut pause = Duration::from_secs(1);
        loop {
            let mut request = self
                .client
                .get(url.clone())
                .header(header::ACCEPT, "application/x-ndjson, application/jsonl")
                .header(header::ACCEPT_ENCODING, "identity");
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, token.clone());
            }
            let answer = self.send(request).await?;
            match answer.status() {
                StatusCode::OK => return streams(&answer).map(|()| Some(answer)),
                StatusCode::NO_CONTENT => return Ok(None),
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    let wanted = retry_after(answer.headers()).unwrap_or(pause);
                    if wanted > self.longest_pause {
                        let words =
                            format!("it asks to come again in {} s, which `statement_timeout` does not allow", wanted.as_secs());
                        return Err(Failure::Down(words));
                    }
                    drop(answer);
                    // The limit of the whole query watches over this.
                    tokio::time::sleep(wanted).await;
                    pause = (pause * 2).min(Duration::from_secs(30));
                }
                status => return Err(refused(status)),
            }
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, Failure> {
        match tokio::time::timeout(self.first_byte, request.send()).await {
            Err(_) => Err(Failure::Timeout("first_byte_timeout")),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.is_connect() && error.is_timeout() => Err(Failure::Timeout("connect_timeout")),
            Ok(Err(error)) if error.is_connect() => Err(Failure::Down(format!("no connection: {}", root(&error)))),
            Ok(Err(error)) => Err(Failure::Down(format!("no answer: {}", root(&error)))),
        }
    }

    /// A path below the service's address. What would lead elsewhere, as two dots do, is refused.
    fn url(&self, path: &str) -> Result<Url, Failure> {
        let base = self.base.as_str().trim_end_matches('/');
        let text = format!("{base}{path}");
        let wanted = text.split(['?', '#']).next().unwrap_or_default();
        match Url::parse(&text) {
            Ok(url) if url.as_str().split(['?', '#']).next() == Some(wanted) => Ok(url),
            _ => Err(Failure::Query("the person's subject cannot stand in a path".to_owned())),
        }
    }

    /// The path with its binds filled. A parameter for an edge of the range is left out where there is none.
    fn first_page(&self, section: &Section, binds: &Binds) -> Result<Url, Failure> {
        let Some(query) = &section.query else { return Err(Failure::Query("a constant has no path".to_owned())) };
        self.page(&query.sql, binds)
    }

    fn page(&self, query: &str, binds: &Binds) -> Result<Url, Failure> {
        let (path, parameters) = query.split_once('?').unwrap_or((query, ""));
        let mut filled = fill(path, binds);
        let mut glue = '?';
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let open = |bind: &Bind| matches!(bind, Bind::Since | Bind::Until) && binds.edge(bind).is_none();
            if !scan(parameter, Dialect::Path).binds.iter().any(|(_, bind)| open(bind)) {
                filled.push(glue);
                filled.push_str(&fill(parameter, binds));
                glue = '&';
            }
        }
        self.url(&filled)
    }

    /// The page after this one, as RFC 8288 names it; never at another address.
    fn next_page(&self, page: &Url, headers: &HeaderMap) -> Result<Option<Url>, Failure> {
        for value in headers.get_all(header::LINK) {
            let Some(target) = value.to_str().ok().and_then(next_link) else { continue };
            let url = page.join(target).map_err(|_| Failure::Query("the next page's address is none".to_owned()))?;
            if url.origin() != self.base.origin() || !url.username().is_empty() || url.password().is_some() {
                return Err(Failure::Query("the next page is at another address, which is not followed".to_owned()));
            }
            return Ok(Some(url));
        }
        Ok(None)
    }
}

fn fill(text: &str, binds: &Binds) -> String {
    let mut filled = String::with_capacity(text.len() + 16);
    let mut from = 0;
    for (range, bind) in scan(text, Dialect::Path).binds {
        filled.push_str(&text[from..range.start]);
        let value = match binds.edge(&bind) {
            Some(at) => at.to_string(),
            None => binds.value(&bind).map(|value| value.as_str().to_owned()).unwrap_or_default(),
        };
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                filled.push(char::from(byte));
            } else {
                filled.push_str(&format!("%{byte:02X}"));
            }
        }
        from = range.end;
    }
    filled.push_str(&text[from..]);
    filled
}

/// Whether the answer is lines of JSON, in a form that shows when it is cut.
fn streams(answer: &Response) -> Result<(), Failure> {
    let headers = answer.headers();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !TYPES.contains(&kind.as_str()) {
        let kind: String = kind.chars().filter(|c| c.is_ascii_graphic()).take(60).collect();
        let kind = if kind.is_empty() { "no content type" } else { &kind };
        return Err(Failure::Query(format!("the service answers with {kind}, not with {}", TYPES[0])));
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return Err(Failure::Query("the service answers compressed, which was not asked for".to_owned()));
    }
    let chunked = headers.get(header::TRANSFER_ENCODING).is_some();
    if answer.version() < Version::HTTP_11 || !(chunked || headers.contains_key(header::CONTENT_LENGTH)) {
        return Err(Failure::Query(
            "the answer has neither a length nor chunks, so nobody could see that it was cut short".to_owned(),
        ));
    }
    Ok(())
}

fn refused(status: StatusCode) -> Failure {
    let words = match status.as_u16() {
        300..=399 => format!("the service answers {status}: redirects are not followed"),
        404 | 410 => format!("the service answers {status}: a person without rows has an empty answer with 200, or 204"),
        401 | 403 => return Failure::Down(format!("the service answers {status}: see `token_file`")),
        _ => format!("the service answers {status}"),
    };
    // Later it may be another answer.
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT { Failure::Down(words) } else { Failure::Query(words) }
}

/// Seconds, or a moment on the service's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    Some(then.duration_since(now).unwrap_or_default())
}

/// The target of the first link with `rel="next"`.
fn next_link(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let open = rest.find('<')?;
        let close = open + rest[open..].find('>')?;
        let target = &rest[open + 1..close];
        let (mut is_next, mut first) = (false, true);
        rest = &rest[close + 1..];
        // The parameters, up to the comma that ends them outside of quotes.
        loop {
            rest = rest.trim_start();
            let Some(parameter) = rest.strip_prefix(';') else { break };
            let name_end = parameter.find(['=', ';', ',']).unwrap_or(parameter.len());
            let name = parameter[..name_end].trim();
            rest = &parameter[name_end..];
            let Some(value) = rest.strip_prefix('=') else { continue };
            let value = value.trim_start();
            let (found, after) = match value.strip_prefix('"') {
                Some(quoted) => {
                    let end = quoted.find('"')?;
                    (&quoted[..end], &quoted[end + 1..])
                }
                None => value.split_at(value.find([';', ',']).unwrap_or(value.len())),
            };
            rest = after;
            // Of several only the first counts.
            if name.eq_ignore_ascii_case("rel") && std::mem::take(&mut first) {
                is_next = found.split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"));
            }
        }
        if is_next {
            return Some(target);
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The innermost reason: the words around it repeat the address, and the address names the person.
fn root(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(inner) = cause.and_then(|cause| cause.source()) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "the connection broke".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::SubjectType;

    #[test]
    fn links_by_the_letter() {
        for (text, wanted) in [
            ("</a?page=2>; rel=\"next\"", Some("/a?page=2")),
            ("</a>; rel=prev, </b>; title=\"x, y; <z>\"; rel=\"last next\"", Some("/b")),
            ("</a>;rel=next;rel=prev", Some("/a")),
            ("</a>; rel=prev; rel=next", None),
            ("</a>; REL = NEXT", Some("/a")),
            ("</a>; REL=NEXT", Some("/a")),
            ("</a>; rel=\"next", None),
            ("</a>", None),
            ("</a", None),
            ("", None),
        ] {
            assert_eq!(next_link(text), wanted, "{text}");
        }
    }

    #[test]
    fn when_to_come_again() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("7"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:47 GMT"));
        assert_eq!(retry_after(&headers), None);
        headers.insert(header::DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(10)));
    }

    #[test]
    fn subjects_are_encoded() {
        let subject = Subject::parse(SubjectType::Text, "a/b?c&d=é %.:1").unwrap();
        assert_eq!(fill("/p/:subject/x", &Binds::new(subject, None, None)), "/p/a%2Fb%3Fc%26d%3D%C3%A9%20%25.%3A1/x");
    }
}
