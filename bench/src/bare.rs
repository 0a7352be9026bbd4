//! The least that any server can do for a check: hyper reads the request and gives a fixed answer of the same size.

use std::convert::Infallible;
use std::io::Write;
use std::net::Ipv4Addr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// As long as the answer to a check with all fields.
const ANSWER: &[u8] = br#"{"data":{"apply_time":1793491200,"category_selection_list":["all_data"],"collect_time":1793491201,"data_format":"json","request_id":4503599627370497,"status":"downloading"},"error":{"code":"ok","message":"","log_id":"20261101000000D4C4606E87F0A61BE502AA"}}"#;

/// Serves until it is killed; the first line on standard output is the port.
pub(crate) fn serve() -> anyhow::Result<()> {
    // The kind of runtime that Portward has, with as many threads as there are cores to it.
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        std::io::stdout().flush()?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new();
                // A client that goes away ends its connection, nothing else.
                let _ = connection.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            });
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
