//! The demo app's own little server: it receives webhooks, and people who come back from the consent page land on it.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Bytes;
use axum::extract::RawQuery;
use axum::http::HeaderMap;
use axum::response::Html;
use axum::routing::{get, post};
use client::webhook::SIGNATURE_HEADER;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Older calls are forgotten: the demo may be left running for days.
const KEPT: usize = 100;

/// A webhook call as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// The value of the signature header; empty without one.
    pub(crate) signature: String,
    /// The exact bytes.
    pub(crate) body: Bytes,
}

/// A server on loopback; it stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    calls: watch::Receiver<Vec<Received>>,
    server: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// Starts one, on this port of loopback if it is free, else on any.
    pub(crate) async fn start(port: u16) -> std::io::Result<Self> {
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
        };
        let address = listener.local_addr()?;
        let (told, calls) = watch::channel(Vec::new());
        let hook = move |headers: HeaderMap, body: Bytes| async move {
            let signature = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let call = Received { signature: signature.to_owned(), body };
            told.send_modify(|calls| {
                if calls.len() == KEPT {
                    calls.remove(0);
                }
                calls.push(call);
            });
        };
        let app = Router::new().route("/webhook", post(hook)).route("/callback", get(callback));
        let server = tokio::spawn(async move {
            // Ends with the task; a listener on loopback has no other reason to fail.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, calls, server })
    }

    /// Where the server sends webhooks.
    pub(crate) fn webhook_url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Where people come back to.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// Waits for a call that `pick` recognises. Calls that came before count.
    pub(crate) async fn wait_for<T>(&self, mut pick: impl FnMut(&Received) -> Option<T>) -> T {
        let mut calls = self.calls.clone();
        loop {
            if let Some(found) = calls.borrow_and_update().iter().find_map(&mut pick) {
                return found;
            }
            if calls.changed().await.is_err() {
                // The server's task has ended, so nothing will come: the caller's limit decides.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Says what came back. Nothing of the address is repeated in the page, so nothing in it can do harm.
async fn callback(RawQuery(query): RawQuery) -> Html<String> {
    let query = query.unwrap_or_default();
    let has = |name: &str| {
        query.split('&').any(|pair| pair.split_once('=').is_some_and(|(key, value)| key == name && !value.is_empty()))
    };
    let (title, text) = if has("code") {
        (
            "You are back at the app",
            "It has received a code, and would now exchange it for tokens and ask for your data. \
          This page belongs to the demo's app; a code lives for some minutes and then comes to nothing.",
        )
    } else if has("error") {
        ("You are back at the app", "You did not allow it, so it has received nothing but the word that you did not.")
    } else {
        ("The demo's app", "People come back to this page from the consent page.")
    };
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <body style=\"font:17px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem\">\
         <h1 style=\"font-size:1.5rem\">{title}</h1><p>{text}</p>"
    ))
}
