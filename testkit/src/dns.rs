//! A name server on loopback whose records can change mid-test. It knows as much of RFC 1035 as a resolver needs to believe it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UdpSocket;
use tokio::sync::oneshot;

const A: u16 = 1;
const TXT: u16 = 16;
const AAAA: u16 = 28;

/// What the server knows of a name.
#[derive(Debug, Clone, Default)]
struct Host {
    txt: Vec<Vec<String>>,
    /// Each list answers one question; the last one all that follow.
    addresses: Vec<Vec<IpAddr>>,
    /// Questions about it are not answered.
    is_silent: bool,
    /// Questions about it are answered with "server failure".
    is_broken: bool,
}

type Zone = BTreeMap<String, Host>;

/// A name server; it stops when it is dropped.
#[derive(Debug)]
pub struct Dns {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Dns {
    /// Starts one on a free port; it knows no names.
    pub fn start() -> Self {
        let zone: Arc<Mutex<Zone>> = Arc::default();
        let (stop, stopped) = oneshot::channel();
        let (told, telling) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let zone = Arc::clone(&zone);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async move {
                    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on loopback");
                    told.send(socket.local_addr().expect("the address just bound")).expect("the test still waits");
                    tokio::select! {
                        () = serve(socket, zone) => {}
                        _ = stopped => {}
                    }
                });
            }
        });
        let address = telling.recv().expect("the name server's thread started");
        Self { address, zone, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens, by UDP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Host)) {
        change(lock(&self.zone).entry(name.to_ascii_lowercase()).or_default());
    }

    /// Puts a TXT record beside those a name has.
    pub fn add_txt(&self, name: &str, text: &str) {
        self.change(name, |host| host.txt.push(vec![text.to_owned()]));
    }

    /// The same, in pieces, as long records are kept.
    pub fn add_txt_in_pieces(&self, name: &str, pieces: &[&str]) {
        self.change(name, |host| host.txt.push(pieces.iter().map(|piece| (*piece).to_owned()).collect()));
    }

    /// Sets the addresses of a name.
    pub fn set_addresses(&self, name: &str, addresses: &[IpAddr]) {
        self.set_addresses_in_turn(name, &[addresses]);
    }

    /// Sets what is answered to the first question about a name's addresses, to the second, and so on; the last holds for all after it.
    pub fn set_addresses_in_turn(&self, name: &str, turns: &[&[IpAddr]]) {
        self.change(name, |host| host.addresses = turns.iter().map(|turn| turn.to_vec()).collect());
    }

    /// Lets questions about a name go without an answer.
    pub fn silence(&self, name: &str) {
        self.change(name, |host| host.is_silent = true);
    }

    /// Answers questions about a name with "server failure".
    pub fn break_down(&self, name: &str) {
        self.change(name, |host| host.is_broken = true);
    }

    /// Forgets a name.
    pub fn forget(&self, name: &str) {
        lock(&self.zone).remove(&name.to_ascii_lowercase());
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(zone: &Mutex<Zone>) -> MutexGuard<'_, Zone> {
    zone.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buffer = [0; 1500];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let answer = buffer.get(..length).and_then(|question| answer(question, &mut lock(&zone)));
        if let Some(answer) = answer {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

fn answer(question: &[u8], zone: &mut Zone) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes(question.get(at..at + 2)?.try_into().ok()?);
    let asked = question.get(12..at + 4)?;
    let host = zone.get_mut(&labels.join("."));
    if host.as_ref().is_some_and(|host| host.is_silent) {
        return None;
    }
    let code = match &host {
        None => 3,
        Some(host) if host.is_broken => 2,
        Some(_) => 0,
    };
    let records: Vec<Vec<u8>> = match (host, kind) {
        (Some(host), TXT) => host.txt.iter().map(|pieces| pieces.iter().flat_map(|piece| text(piece)).collect()).collect(),
        (Some(host), A | AAAA) => {
            let now = host.addresses.first().cloned().unwrap_or_default();
            // One question of either kind is one turn when the name has addresses of that kind only; tests use one kind.
            let of_kind: Vec<Vec<u8>> = now
                .iter()
                .filter_map(|address| match (address, kind) {
                    (IpAddr::V4(address), A) => Some(address.octets().to_vec()),
                    (IpAddr::V6(address), AAAA) => Some(address.octets().to_vec()),
                    _ => None,
                })
                .collect();
            if !of_kind.is_empty() && host.addresses.len() > 1 {
                host.addresses.remove(0);
            }
            of_kind
        }
        _ => Vec::new(),
    };
    let count = u16::try_from(records.len()).ok()?;
    let mut answer = question.get(..2)?.to_vec();
    // A response, authoritative, recursion desired and available.
    answer.extend_from_slice(&[0x85, 0x80 | code, 0, 1]);
    answer.extend_from_slice(&count.to_be_bytes());
    answer.extend_from_slice(&[0, 0, 0, 0]);
    answer.extend_from_slice(asked);
    for data in records {
        // The name is a pointer to the question.
        answer.extend_from_slice(&[0xc0, 12]);
        answer.extend_from_slice(&kind.to_be_bytes());
        answer.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        answer.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
        answer.extend_from_slice(&data);
    }
    Some(answer)
}

fn text(piece: &str) -> Vec<u8> {
    let bytes = &piece.as_bytes()[..piece.len().min(255)];
    let length = u8::try_from(bytes.len()).unwrap_or(255);
    [&[length][..], bytes].concat()
}
