//! A proxy before a database that cuts connections, or mixes them up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Mutex};

/// What happens to the bytes.
#[derive(Default)]
pub(crate) struct Plan {
    /// Connections that are still to be cut, each after so many bytes of the server's.
    pub(crate) cuts: AtomicUsize,
    pub(crate) after: AtomicI64,
    /// Whether two connections get each other's answers: all of them, whatever they are.
    pub(crate) swapped: AtomicBool,
    /// Answers with one of these words in them go to the other connection too, once both have one: no chance decides then.
    pub(crate) exchanged: std::sync::Mutex<Vec<&'static str>>,
    pub(crate) exchanges: AtomicUsize,
    meeting: Meeting,
    pub(crate) seen: AtomicUsize,
    /// Whether a cut also keeps new connections waiting, until somebody says otherwise.
    pub(crate) closing: AtomicBool,
    pub(crate) closed: AtomicBool,
    clients: Mutex<Vec<Arc<Mutex<OwnedWriteHalf>>>>,
}

/// Where two connections wait for each other.
struct Meeting(Barrier);

impl Default for Meeting {
    fn default() -> Self {
        Self(Barrier::new(2))
    }
}

impl Plan {
    fn is_exchanged(&self, bytes: &[u8]) -> bool {
        let words = self.exchanged.lock().unwrap();
        words.iter().any(|word| bytes.windows(word.len()).any(|part| part == word.as_bytes()))
    }
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) plan: Arc<Plan>,
}

impl Proxy {
    /// A proxy before the server that this URL names.
    pub(crate) async fn before(url: &str, plan: Plan) -> Self {
        let url: url::Url = url.parse().unwrap();
        let usual = if url.scheme() == "mysql" { 3306 } else { 5432 };
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(usual));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, plan) = (listener.local_addr().unwrap(), Arc::new(plan));
        let shared = plan.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(upstream) = TcpStream::connect(&server).await else { continue };
                tokio::spawn(carry(client, upstream, shared.clone()));
            }
        });
        Self { address, plan }
    }

    /// The URL with the proxy in the server's place.
    pub(crate) fn url(&self, url: &str) -> String {
        let mut url: url::Url = url.parse().unwrap();
        url.set_ip_host(self.address.ip()).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.to_string()
    }
}

async fn carry(client: TcpStream, upstream: TcpStream, plan: Arc<Plan>) {
    plan.seen.fetch_add(1, Ordering::Relaxed);
    while plan.closed.load(Ordering::Relaxed) {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let (mut from_client, to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let own = Arc::new(Mutex::new(to_client));
    let number = {
        let mut clients = plan.clients.lock().await;
        clients.push(own.clone());
        clients.len() - 1
    };
    let up = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    });
    let mut left = plan.after.load(Ordering::Relaxed);
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count) = from_server.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        left -= count as i64;
        if left < 0 && plan.cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |cuts| cuts.checked_sub(1)).is_ok() {
            plan.closed.store(plan.closing.load(Ordering::Relaxed), Ordering::Relaxed);
            // In the middle of whatever this was.
            let _ = own.lock().await.write_all(&buffer[..count / 2]).await;
            break;
        }
        let exchanged = plan.is_exchanged(&buffer[..count]);
        if exchanged {
            plan.meeting.0.wait().await;
            plan.exchanges.fetch_add(1, Ordering::Relaxed);
        }
        let target = if exchanged || plan.swapped.load(Ordering::Relaxed) {
            plan.clients.lock().await.get(number ^ 1).cloned()
        } else {
            None
        };
        if target.unwrap_or_else(|| own.clone()).lock().await.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    up.abort();
    let _ = own.lock().await.shutdown().await;
}
