//! A webhook receiver on loopback that keeps what it got and whose answer can change mid-test.
//!
//! It runs on a thread of its own, so that a test's runtime may be paused or blocked meanwhile.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

/// How the receiver answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// At once, with this status and no body.
    Status(u16),
    /// With this status after a while.
    Late(Duration, u16),
    /// 302 to this address.
    Redirect(String),
    /// Never; the connection stays open.
    Hang,
    /// 200 with a body of so many bytes.
    Huge(usize),
    /// This status and this body.
    Says(u16, String),
}

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The exact bytes of the body.
    pub body: Bytes,
}

impl Received {
    /// A header's value, or the empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }
}

#[derive(Debug)]
struct Shared {
    answer: Mutex<Answer>,
    received: watch::Sender<Vec<Received>>,
}

impl Shared {
    fn answer(&self) -> MutexGuard<'_, Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A receiver; it stops when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Receiver {
    /// Starts one on a free port; it answers 200.
    pub fn start() -> Self {
        let shared = Arc::new(Shared { answer: Mutex::new(Answer::Status(200)), received: watch::Sender::default() });
        let (stop, stopped) = oneshot::channel();
        let (told, telling) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async move {
                    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on loopback");
                    told.send(listener.local_addr().expect("the address just bound")).expect("the test still waits");
                    tokio::select! {
                        () = serve(listener, shared) => {}
                        _ = stopped => {}
                    }
                });
            }
        });
        let address = telling.recv().expect("the receiver's thread started");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// The address to register: `http://127.0.0.1:PORT/hook`.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers so from now on.
    pub fn answer(&self, answer: Answer) {
        *self.shared.answer() = answer;
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.borrow().clone()
    }

    /// Waits until so many requests have come in, and gives them all.
    ///
    /// # Panics
    /// When they do not come within the limit.
    pub async fn wait(&self, count: usize, limit: Duration) -> Vec<Received> {
        let mut received = self.shared.received.subscribe();
        let enough = tokio::time::timeout(limit, received.wait_for(|all| all.len() >= count)).await;
        match enough {
            Ok(all) => all.expect("the receiver lives as long as its sender").clone(),
            Err(_) => panic!("{count} webhook calls expected within {limit:?}, got {:#?}", self.received()),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(request, Arc::clone(&shared)));
            // A caller that hangs up early is part of some tests.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let received = Received { method: parts.method.to_string(), path: parts.uri.to_string(), headers: parts.headers, body };
    // The answer is chosen before the call is told, so that a test which changes it on the n-th call sees no race.
    let answer = shared.answer().clone();
    shared.received.send_modify(|all| all.push(received));
    let plain = |status: u16| Response::builder().status(status).body(Full::default()).expect("a response from a lawful status");
    Ok(match answer {
        Answer::Status(status) => plain(status),
        Answer::Late(wait, status) => {
            tokio::time::sleep(wait).await;
            plain(status)
        }
        Answer::Redirect(to) => {
            let mut response = plain(302);
            response.headers_mut().insert(hyper::header::LOCATION, to.parse().expect("an address fit for a header"));
            response
        }
        Answer::Hang => std::future::pending().await,
        Answer::Huge(size) => Response::new(Full::new(Bytes::from(vec![b'x'; size]))),
        Answer::Says(status, text) => {
            let mut response = plain(status);
            *response.body_mut() = Full::new(text.into());
            response
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_exact_bytes_and_changes_its_answer() {
        let receiver = Receiver::start();
        let http = crate::person::http();
        let first = http.post(receiver.url()).header("x-a", "b").body("{\"a\": 1 }").send().await.expect("an answer");
        assert_eq!(first.status(), 200);
        receiver.answer(Answer::Status(503));
        let second = http.post(receiver.url()).body("x").send().await.expect("an answer");
        assert_eq!(second.status(), 503);
        receiver.answer(Answer::Redirect("http://127.0.0.1:9/".into()));
        let third = http.post(receiver.url()).body("y").send().await.expect("an answer");
        assert_eq!(third.status(), 302);
        let all = receiver.wait(3, Duration::from_secs(5)).await;
        assert_eq!(all[0].body, "{\"a\": 1 }");
        assert_eq!(all[0].header("x-a"), "b");
        assert_eq!(all[0].path, "/hook");
    }
}
