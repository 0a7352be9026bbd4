//! The stand-in: a real HTTP server on loopback that keeps what it was sent and answers as the test says.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use portward_client::{Client, ClientBuilder};
use tokio::net::TcpListener;

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url_pairs(std::str::from_utf8(&self.body).unwrap())
    }
}

pub(crate) fn url_pairs(text: &str) -> Vec<(String, String)> {
    let url = reqwest_url(&format!("http://x/?{text}"));
    url.query_pairs().into_owned().collect()
}

fn reqwest_url(text: &str) -> url::Url {
    text.parse().unwrap()
}

/// An answer to give.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// The connection breaks after so many bytes of the body.
    pub(crate) cut: Option<usize>,
    /// Nothing comes after so many bytes of the body, and the connection stays.
    pub(crate) hang: Option<usize>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self { status, headers: vec![("content-type", "application/json".into())], body: body.into(), ..Self::default() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn into_response(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        let Some(end) = self.cut.or(self.hang) else { return response.body(Body::from(self.body)).unwrap() };
        let mut parts: Vec<Bytes> = self.body[..end].chunks(4000).map(Bytes::copy_from_slice).collect();
        parts.reverse();
        let hangs = self.hang.is_some();
        let stream = futures_util::stream::unfold(parts, move |mut parts| async move {
            // While this waits, the server sends what it holds; an error would throw that away.
            tokio::time::sleep(Duration::from_millis(2)).await;
            if let Some(part) = parts.pop() {
                return Some((Ok(part), parts));
            }
            if hangs {
                std::future::pending::<()>().await;
            }
            Some((Err(std::io::Error::other("cut")), parts))
        });
        response.body(Body::from_stream(stream)).unwrap()
    }
}

pub(crate) struct Stand {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Stand {
    /// Starts one; the function is given each request and how many came before it.
    pub(crate) async fn start(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_body(move |seen, count| answer(seen, count).into_response()).await
    }

    pub(crate) async fn with_body(answer: impl Fn(&Seen, usize) -> Response<Body> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let kept = Arc::clone(&seen);
        let router = Router::new().fallback(move |request: Request| {
            let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
            async move {
                let (parts, body) = request.into_parts();
                let request = Seen {
                    method: parts.method.to_string(),
                    path: parts.uri.path().into(),
                    query: parts.uri.query().unwrap_or_default().into(),
                    headers: parts.headers,
                    body: axum::body::to_bytes(body, 1 << 20).await.unwrap(),
                };
                let mut kept = kept.lock().unwrap();
                let response = answer(&request, kept.len());
                kept.push(request);
                response
            }
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen, server }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// A client that does not pause for long.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let brief = Duration::from_millis(2);
        Client::builder(&self.address, "the key", "the secret").poll(brief, brief * 10).back_off(brief)
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.server.abort();
    }
}
