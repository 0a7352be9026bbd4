//! A client and how it is set up.

use std::fmt;
use std::time::Duration;

use reqwest::Certificate;
use reqwest::redirect::Policy;
use url::{Host, Url};

use crate::Error;

/// One app at one server. Cheap to clone; connections are shared and kept.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) authorize_base: Url,
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) call_timeout: Duration,
    pub(crate) silence: Duration,
    pub(crate) poll: (Duration, Duration),
    pub(crate) back_off: Duration,
}

/// Never shows the secret.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).field("key", &self.key).finish_non_exhaustive()
    }
}

/// Settings that differ from the usual ones.
#[must_use]
pub struct ClientBuilder {
    base: String,
    authorize_base: Option<String>,
    key: String,
    secret: String,
    roots: Vec<Vec<u8>>,
    connect_timeout: Duration,
    call_timeout: Duration,
    silence: Duration,
    poll: (Duration, Duration),
    back_off: Duration,
}

impl Client {
    /// A client with the usual settings. `base_url` is where the API lives, such as `https://data.example.com`.
    pub fn new(base_url: &str, client_key: &str, client_secret: &str) -> Result<Self, Error> {
        Self::builder(base_url, client_key, client_secret).build()
    }

    /// A client whose settings can be changed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let app = portward_client::Client::builder("https://data.example.com", "key", "secret")
    ///     .call_timeout(Duration::from_secs(10))
    ///     .poll(Duration::from_secs(5), Duration::from_secs(60))
    ///     .build();
    /// ```
    pub fn builder(base_url: &str, client_key: &str, client_secret: &str) -> ClientBuilder {
        ClientBuilder {
            base: base_url.into(),
            authorize_base: None,
            key: client_key.into(),
            secret: client_secret.into(),
            roots: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            silence: Duration::from_secs(15),
            poll: (Duration::from_millis(250), Duration::from_secs(15)),
            back_off: Duration::from_millis(250),
        }
    }
}

impl ClientBuilder {
    /// Where the consent page lives, if on another host than the API, as TikTok's does.
    pub fn authorize_base(mut self, url: &str) -> Self {
        self.authorize_base = Some(url.into());
        self
    }

    /// Trusts the certificates of this PEM file's content besides the system's.
    pub fn root_certificate(mut self, pem: &[u8]) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// How long a connection may take: 5 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long a call may take, download excepted: 30 s.
    pub fn call_timeout(mut self, limit: Duration) -> Self {
        self.call_timeout = limit;
        self
    }

    /// How long a download may stand still before it is taken for broken: 15 s.
    pub fn silence(mut self, limit: Duration) -> Self {
        self.silence = limit;
        self
    }

    /// How long `wait` pauses after its first check, and to what the pause grows: 250 ms to 15 s.
    pub fn poll(mut self, first: Duration, most: Duration) -> Self {
        self.poll = (first, most.max(first));
        self
    }

    /// How long to pause after the first failure in a row; it doubles with each: 250 ms.
    pub fn back_off(mut self, first: Duration) -> Self {
        self.back_off = first;
        self
    }

    /// Checks the settings and makes the client.
    pub fn build(self) -> Result<Client, Error> {
        install_crypto();
        let base = base(&self.base)?;
        let authorize_base = self.authorize_base.as_deref().map(self::base).transpose()?.unwrap_or_else(|| base.clone());
        let mut roots = Vec::new();
        for pem in &self.roots {
            let read =
                Certificate::from_pem_bundle(pem).map_err(|error| Error::Settings(format!("root certificate: {error}")))?;
            if read.is_empty() {
                return Err(Error::Settings("root certificate: no certificate in it; it must be in PEM form".into()));
            }
            roots.extend(read);
        }
        #[expect(clippy::disallowed_methods, reason = "the address is the developer's own setting, not a stranger's")]
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("portward-client/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            // The API never redirects; following one would carry a token or an archive to somebody else.
            .redirect(Policy::none());
        // Without TLS the system's roots are not needed, and a machine that has none can do without them.
        http = if base.scheme() == "http" { http.tls_certs_only(roots) } else { http.tls_certs_merge(roots) };
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        Ok(Client {
            http: http.build()?,
            base,
            authorize_base,
            key: self.key,
            secret: self.secret,
            call_timeout: self.call_timeout,
            silence: self.silence,
            poll: self.poll,
            back_off: self.back_off,
        })
    }
}

/// Chooses the cryptography that TLS uses in this process (rustls with ring), unless the program has chosen already.
/// Building a client does so too.
pub fn install_crypto() {
    // An error means that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn base(text: &str) -> Result<Url, Error> {
    let bad = |why: &str| Error::Settings(format!("{text:?} cannot be the server's address: {why}"));
    let mut url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad("it must begin with https:// or http://"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it must not have a query or a fragment"));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_folder_and_bad_ones_say_why() {
        for (text, whole) in [("https://a.example", "https://a.example/"), ("http://[::1]:8080/api", "http://[::1]:8080/api/")] {
            assert_eq!(base(text).unwrap().as_str(), whole);
        }
        for text in ["", "a.example", "ftp://a.example", "https://", "https://a.example/?x", "data:,x"] {
            let error = Client::new(text, "k", "s").unwrap_err();
            assert!(matches!(&error, Error::Settings(message) if message.contains(&format!("{text:?}"))), "{error}");
        }
        let error = Client::builder("https://a.example", "k", "s").root_certificate(b"not PEM").build().unwrap_err();
        assert!(error.to_string().contains("PEM"), "{error}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", Client::new("http://127.0.0.1:1", "the key", "the secret").unwrap());
        assert!(shown.contains("the key") && !shown.contains("the secret"), "{shown}");
    }
}
