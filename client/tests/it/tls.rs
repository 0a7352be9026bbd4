//! A server with a certificate of its own. The files in `tls/` were made for these tests by openssl and are good for a hundred years;
//! the root's key was thrown away.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use portward_client::{Client, Error, install_crypto};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

const ROOT: &[u8] = include_bytes!("tls/root.pem");

struct Tls(TcpListener, TlsAcceptor);

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.0.accept().await.unwrap();
            // A client that does not trust the certificate hangs up here.
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

#[tokio::test]
async fn a_root_certificate_of_ones_own_is_trusted_when_given_and_only_then() {
    install_crypto();
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key.pem")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let listener = Tls(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), TlsAcceptor::from(Arc::new(config)));
    let address = format!("https://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(|| async { r#"{"access_token":"clt.z","expires_in":7200,"token_type":"Bearer"}"# });
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let trusting = Client::builder(&address, "k", "s").root_certificate(ROOT).build().unwrap();
    assert_eq!(trusting.client_token().await.unwrap().access_token, "clt.z");
    let wary = Client::new(&address, "k", "s").unwrap();
    let error = wary.client_token().await.err().unwrap();
    assert!(matches!(error, Error::Transport(_)) && error.to_string().contains("certificate"), "{error}");
    server.abort();
}
