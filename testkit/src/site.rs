//! Somebody's web site on loopback: pages by path, and pages that misbehave.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// How a path answers.
#[derive(Debug, Clone)]
pub enum Page {
    /// With a status, a media type and a body.
    Is(u16, &'static str, Vec<u8>),
    /// 302 to an address.
    Leads(String),
    /// With a body that never ends, as fast as it can.
    Endless,
    /// With a body of which a byte comes now and then.
    Trickle,
    /// Never.
    Hangs,
    /// With what is no HTTP.
    Noise,
}

impl Page {
    /// A web page.
    pub fn html(text: &str) -> Self {
        Self::Is(200, "text/html; charset=utf-8", text.as_bytes().to_vec())
    }

    /// A file of plain text.
    pub fn plain(text: impl Into<Vec<u8>>) -> Self {
        Self::Is(200, "text/plain", text.into())
    }
}

#[derive(Debug, Default)]
struct Shared {
    pages: Mutex<BTreeMap<String, Page>>,
    /// Host header and path of each call.
    seen: Mutex<Vec<(String, String)>>,
    connections: AtomicUsize,
}

/// A site; it stops when it is dropped.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Site {
    /// Starts one on a free port; every path answers 404.
    pub fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let (stop, stopped) = oneshot::channel();
        let (told, telling) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async move {
                    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on loopback");
                    told.send(listener.local_addr().expect("the address just bound")).expect("the test still waits");
                    let serve = async {
                        while let Ok((stream, _)) = listener.accept().await {
                            shared.connections.fetch_add(1, Ordering::SeqCst);
                            tokio::spawn(answer(stream, Arc::clone(&shared)));
                        }
                    };
                    tokio::select! {
                        () = serve => {}
                        _ = stopped => {}
                    }
                });
            }
        });
        let address = telling.recv().expect("the site's thread started");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Says how a path answers from now on.
    pub fn put(&self, path: &str, page: Page) {
        self.shared.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), page);
    }

    /// Connections so far, also those on which nothing was asked.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Host and path of every call so far.
    pub fn seen(&self) -> Vec<(String, String)> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One call, then the connection is closed.
async fn answer(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await {
            Ok(length @ 1..) if head.len() < 64 * 1024 => head.extend_from_slice(&piece[..length]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let host = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host:").map(|host| host.trim().to_owned()));
    shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push((host.unwrap_or_default(), path.clone()));
    let page = shared.pages.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
    // Who hangs up early is part of some tests.
    let _ = send(stream, page.unwrap_or(Page::Is(404, "text/html", b"<h1>Not found</h1>".to_vec()))).await;
}

async fn send(mut stream: TcpStream, page: Page) -> std::io::Result<()> {
    match page {
        Page::Is(status, media_type, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            stream.shutdown().await
        }
        Page::Leads(to) => {
            let head = format!("HTTP/1.1 302 X\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.shutdown().await
        }
        Page::Endless => {
            stream.write_all(b"HTTP/1.1 200 X\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'x'; 16 * 1024]).await?;
            }
        }
        Page::Trickle => {
            stream.write_all(b"HTTP/1.1 200 X\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Page::Hangs => std::future::pending().await,
        Page::Noise => {
            stream.write_all(b"220 mail.example ESMTP\r\n").await?;
            stream.shutdown().await
        }
    }
}
