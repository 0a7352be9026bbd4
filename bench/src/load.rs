//! A load generator: some connections that are kept, each sending the next request when the last was answered. It speaks just
//! enough HTTP/1.1 to cost less than any server it measures.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clock::Stopwatch;

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Host and port.
    #[arg(long)]
    address: String,
    /// Path and query.
    #[arg(long)]
    path: String,
    #[arg(long)]
    token: String,
    #[arg(long)]
    body: String,
    #[arg(long)]
    seconds: u64,
    #[arg(long, default_value_t = 32)]
    connections: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Loaded {
    pub(crate) requests: u64,
    /// Answers with another status than 200.
    pub(crate) refused: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

pub(crate) fn run(args: LoadArgs) -> anyhow::Result<()> {
    // One thread: it has one core.
    let loaded = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(load(args))?;
    println!("{}", serde_json::to_string(&loaded)?);
    Ok(())
}

async fn load(args: LoadArgs) -> anyhow::Result<Loaded> {
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
        args.path,
        args.address,
        args.token,
        args.body.len(),
        args.body
    );
    let watch = Stopwatch::start();
    let limit = Duration::from_secs(args.seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..args.connections {
        let (address, request) = (args.address.clone(), request.clone());
        tasks.spawn(async move { connection(&address, request.as_bytes(), watch, limit).await });
    }
    let (mut spans, mut refused) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        let (more, not_ok) = done??;
        spans.extend(more);
        refused += not_ok;
    }
    let seconds = watch.elapsed().as_secs_f64();
    ensure!(!spans.is_empty(), "no request was answered within {} s", args.seconds);
    spans.sort_unstable();
    let at = |part: f64| f64::from(spans[((spans.len() - 1) as f64 * part) as usize]) / 1000.0;
    Ok(Loaded { requests: spans.len() as u64, refused, seconds, p50_ms: at(0.5), p99_ms: at(0.99) })
}

/// Microseconds of each answer, and how many were not 200.
async fn connection(address: &str, request: &[u8], watch: Stopwatch, limit: Duration) -> anyhow::Result<(Vec<u32>, u64)> {
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (mut spans, mut refused, mut buffer) = (Vec::with_capacity(100_000), 0, Vec::with_capacity(4096));
    while watch.elapsed() < limit {
        let one = Stopwatch::start();
        stream.write_all(request).await?;
        buffer.clear();
        let whole = loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                bail!("the server closed a connection");
            }
            if let Some(whole) = length(&buffer)? {
                break whole;
            }
        };
        while buffer.len() < whole {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the server closed a connection");
        }
        refused += u64::from(!buffer.starts_with(b"HTTP/1.1 200"));
        spans.push(u32::try_from(one.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok((spans, refused))
}

/// Length of head and body, once the head is there.
fn length(buffer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&buffer[..end]).context("the head of an answer")?;
    let body = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    Ok(Some(end + 4 + body.context("an answer without a length")??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_measured_to_their_end() {
        assert_eq!(length(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap(), None);
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").unwrap(), Some(41));
        assert!(length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
