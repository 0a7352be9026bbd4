//! The listeners: one for the public, one for the operator's own tools; and how they stop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{ConnectInfo, State as With};
use axum::http::{Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tower_http::catch_panic::CatchPanicLayer;

use crate::http::{CallId, identify};
use crate::pages::Page;
use crate::state::State;
use crate::{api, pages, worlds};

/// How long a client may take to send its headers; without it slow ones would be held for ever.
const HEADER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may leave what we send lying: one that has stopped reading a download is not waited for.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything that the public listener answers.
pub(crate) fn public(state: State) -> Router {
    let production = world(&state, pages::routes(&state));
    match state.world.sandbox() {
        Some(sandbox) => worlds::router(production, world(sandbox, Router::new().nest(sandbox.world.root(), pages::of_people()))),
        None => production,
    }
}

/// Everything that one world answers: the wire, and its pages. Calls are counted and logged as its own.
fn world(state: &State, pages: Router<State>) -> Router {
    Router::new()
        .merge(api::routes())
        .merge(pages)
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::map_response_with_state(state.clone(), forbidden))
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a handler panicked");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }))
        .layer(axum::middleware::from_fn_with_state(state.clone(), identify))
        .with_state(state.clone())
}

async fn unknown(With(state): With<State>, id: CallId, uri: Uri) -> Response {
    api::not_found(uri.path(), &id).unwrap_or_else(|| Page::new(&state, &id).problem(StatusCode::NOT_FOUND))
}

async fn wrong_method(With(state): With<State>, id: CallId) -> Response {
    Page::new(&state, &id).problem(StatusCode::METHOD_NOT_ALLOWED)
}

/// The layer against cross-site forms answers with a bare 403; people get a page.
async fn forbidden(With(state): With<State>, id: CallId, response: Response) -> Response {
    if response.status() == StatusCode::FORBIDDEN && !response.headers().contains_key(header::CONTENT_TYPE) {
        return Page::new(&state, &id).problem(StatusCode::FORBIDDEN);
    }
    response
}

/// What the operations listener answers. It tells no secret, but is not meant for the public.
pub(crate) fn ops(state: State, metrics: PrometheusHandle, stop: CancellationToken) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move |state: With<State>| ready(state, stop.clone())))
        .route("/metrics", get(move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render()) }))
        .with_state(state)
}

/// Ready means: the metadata stores of both worlds answer, and nobody has asked us to stop.
async fn ready(With(state): With<State>, stop: CancellationToken) -> Response {
    if stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    for (state, told) in [
        (Some(&state), "the metadata store does not answer\n"),
        (state.world.sandbox(), "the sandbox's metadata store does not answer\n"),
    ] {
        if let Some(state) = state
            && let Err(fault) = answers(state).await
        {
            tracing::warn!(%fault, "not ready");
            return (StatusCode::SERVICE_UNAVAILABLE, told).into_response();
        }
    }
    "ready\n".into_response()
}

async fn answers(state: &State) -> Result<(), platform::Fault> {
    let mut tx = state.platform.db.read().await?;
    platform::apps::list(&mut tx, "", 1).await.map(drop)
}

/// Reads a certificate chain and its key, both PEM.
pub(crate) fn tls(cert: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let certs: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .with_context(|| format!("tls.cert {} is not a PEM file of certificates", cert.display()))?;
    let key =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("tls.key {} is not a PEM file of a key", key.display()))?;
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(certs, key).context("tls.cert and tls.key do not fit")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves a router until it is told to stop; open connections may then end within `grace`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
    grace: Duration,
) {
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(fault) => {
                    // Out of files, most likely: wait for some to be closed.
                    tracing::warn!(%fault, "a connection cannot be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
        tokio::spawn(async move { connection(stream, peer, router, tls, watcher).await });
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::info!("connections that were still open are cut");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    tls: Option<TlsAcceptor>,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => talk(stream, false, peer, router, watcher).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                talk(stream, h2, peer, router, watcher).await;
            }
            Ok(Err(fault)) => tracing::debug!(%fault, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        },
    }
}

async fn talk<S>(stream: S, h2: bool, peer: SocketAddr, router: Router, watcher: hyper_util::server::graceful::Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request.map(axum::body::Body::new))
    });
    // The version is known from the handshake. Guessing it from the first bytes would wait for them without a limit.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut builder = if h2 { builder.http2_only() } else { builder.http1_only() };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
    let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), service);
    if let Err(fault) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(fault, "connection broke off");
    }
}

/// Resolves when the system asks the program to end. It listens from when it is called, not only from when it is awaited: without an ear a
/// signal kills.
pub(crate) fn asked_to_stop() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        async move {
            if let [Ok(mut terminate), Ok(mut interrupt)] = signals {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            } else {
                let _ = tokio::signal::ctrl_c().await;
            }
        }
    }
    #[cfg(not(unix))]
    async {
        let _ = tokio::signal::ctrl_c().await;
    }
}
