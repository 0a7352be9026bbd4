//! The address guard: calls to addresses that others name go to the public Internet only.
//!
//! The address that is checked is the one that is connected to: names are resolved once, by our own resolver, which drops what may not be
//! called; numbers in the URL are checked as they are; redirects are not followed; no proxy is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::Fault;
use crate::settings::Webhooks;

/// The way out.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: reqwest::Client,
    allowed: Arc<Allowed>,
    timeout: Duration,
}

/// What was answered to a webhook call.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// The status.
    pub status: u16,
    /// Its first bytes, as text.
    pub begun: String,
}

/// What was answered to a GET.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    /// The status.
    pub status: u16,
    /// In lower case, without parameters; empty if none was sent.
    pub media_type: String,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// The body, whole; empty for a redirect.
    pub body: Vec<u8>,
}

/// What the operator lists: addresses and names that may be called although they are not public.
#[derive(Debug, Default)]
struct Allowed {
    nets: Vec<IpNet>,
    names: Vec<String>,
}

/// Why a URL is not called.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Not an absolute URL with a host, or with a user in it.
    #[error("it must be an absolute https:// URL without a user")]
    Malformed,
    /// Plain http to a host that the operator does not list.
    #[error("it must begin with https://; plain http is for hosts that the operator lists")]
    Scheme,
    /// A private, loopback or other special address.
    #[error("it leads to an address that is not on the public Internet")]
    Address,
    /// No whole answer within the time.
    #[error("it took too long")]
    Slow,
    /// More was answered than is read.
    #[error("the answer is too long")]
    Long,
    /// Nothing answered as it should.
    #[error("the call failed: {0}")]
    Call(&'static str),
}

impl Refused {
    /// In one word, for records.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Scheme => "scheme",
            Self::Address => "address",
            Self::Slow => "slow",
            Self::Long => "long",
            Self::Call(_) => "no_answer",
        }
    }
}

impl Outbound {
    /// A client that calls what may be called. TLS trusts the system's authorities.
    pub fn new(settings: &Webhooks) -> Result<Self, Fault> {
        Self::build("webhooks.allow", &settings.allow, None, settings.timeout.0)
    }

    /// A client that looks at outsiders' sites. With `names` their addresses come from those name servers, else from the system.
    pub(crate) fn for_sites(allow: &[String], names: Option<TokioResolver>, timeout: Duration) -> Result<Self, Fault> {
        Self::build("ownership.allow", allow, names, timeout)
    }

    #[allow(clippy::disallowed_methods, reason = "the one guarded client; it is built here so that nothing else is")]
    fn build(setting: &str, allow: &[String], names: Option<TokioResolver>, timeout: Duration) -> Result<Self, Fault> {
        let mut allowed = Allowed::default();
        for entry in allow {
            match (entry.parse::<IpNet>(), entry.parse::<IpAddr>()) {
                (Ok(net), _) => allowed.nets.push(net),
                (_, Ok(address)) => allowed.nets.push(address.into()),
                _ if Host::parse(entry).is_err() || entry.contains('/') => {
                    return Err(Fault::Setting(format!("{setting}: {entry:?} is neither an address, a network nor a host name")));
                }
                _ => allowed.names.push(entry.to_ascii_lowercase()),
            }
        }
        let allowed = Arc::new(allowed);
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Guard { allowed: Arc::clone(&allowed), names })
            .connect_timeout(Duration::from_secs(5))
            .timeout(timeout)
            .user_agent(concat!("Portward/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|fault| Fault::Row(fault.to_string()))?;
        Ok(Self { client, allowed, timeout })
    }

    /// Checks a URL as far as it can be without asking the network.
    pub fn admit(&self, text: &str) -> Result<Url, Refused> {
        let url = Url::parse(text).map_err(|_| Refused::Malformed)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Malformed);
        }
        let listed = match url.host().ok_or(Refused::Malformed)? {
            Host::Domain(name) => self.allowed.names(name),
            Host::Ipv4(address) => self.allowed.address(address.into())?,
            Host::Ipv6(address) => self.allowed.address(address.into())?,
        };
        match url.scheme() {
            "https" => Ok(url),
            "http" if listed => Ok(url),
            _ => Err(Refused::Scheme),
        }
    }

    /// Posts JSON with some headers; gives the status and the beginning of what was answered. The status is what counts: an answer that comes
    /// slowly, breaks off or never ends is left as far as it came.
    pub(crate) async fn post(&self, url: &str, headers: &[(&'static str, String)], body: String) -> Result<Answered, Refused> {
        let url = self.admit(url)?;
        let call = self.client.post(url).header("content-type", "application/json").body(body);
        let call = headers.iter().fold(call, |call, (name, value)| call.header(*name, value));
        let mut answer = call.send().await.map_err(|fault| refusal(&fault))?;
        let mut begun = Vec::new();
        let read = async {
            while begun.len() < ANSWER_KEPT
                && let Ok(Some(piece)) = answer.chunk().await
            {
                begun.extend(piece.iter().take(ANSWER_KEPT - begun.len()));
            }
        };
        // Cut short or whole, what came is told.
        drop(tokio::time::timeout(ANSWER_WAIT, read).await);
        Ok(Answered { status: answer.status().as_u16(), begun: legible(&begun) })
    }
}

/// Bytes of an answer that are kept: enough for an error message.
const ANSWER_KEPT: usize = 2048;
/// How long the answer's body is waited for, once its status is there.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Bytes of an outsider as text that every engine stores: no NUL, and what is not UTF-8 replaced.
fn legible(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

impl Outbound {
    /// Whether the operator lists a host by its name.
    pub(crate) fn lists(&self, host: &str) -> bool {
        self.allowed.names(host)
    }

    /// Gets a URL: at most `most` bytes, within the time, no redirect followed.
    pub(crate) async fn get(&self, url: &str, most: usize) -> Result<Got, Refused> {
        let url = self.admit(url)?;
        // A limit on the whole: the client's own is one too, but a name server that is slow comes on top of it.
        match tokio::time::timeout(self.timeout, self.got(url, most)).await {
            Ok(got) => got,
            Err(_) => Err(Refused::Slow),
        }
    }

    async fn got(&self, url: Url, most: usize) -> Result<Got, Refused> {
        let refuse = |fault: reqwest::Error| refusal(&fault);
        let mut answer = self.client.get(url).header("accept-encoding", "identity").send().await.map_err(refuse)?;
        let text = |name: &str| answer.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let media_type = text("content-type").unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let status = answer.status();
        let location = if status.is_redirection() { text("location") } else { None };
        let mut body = Vec::new();
        if location.is_none() {
            while let Some(piece) = answer.chunk().await.map_err(refuse)? {
                if body.len() + piece.len() > most {
                    return Err(Refused::Long);
                }
                body.extend_from_slice(&piece);
            }
        }
        Ok(Got { status: status.as_u16(), media_type, location, body })
    }
}

/// Why a call came to nothing.
fn refusal(fault: &reqwest::Error) -> Refused {
    if fault.is_timeout() {
        return Refused::Slow;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(fault);
    while let Some(error) = cause {
        if matches!(error.downcast_ref::<Refused>(), Some(Refused::Address)) {
            return Refused::Address;
        }
        cause = error.source();
    }
    Refused::Call(if fault.is_connect() { "no connection" } else { "the connection broke, or the answer was not HTTP" })
}

impl Allowed {
    fn names(&self, name: &str) -> bool {
        self.names.iter().any(|listed| listed == &name.to_ascii_lowercase())
    }

    /// Whether an address is listed; one that is neither listed nor public is refused.
    fn address(&self, address: IpAddr) -> Result<bool, Refused> {
        let address = address.to_canonical();
        if self.nets.iter().any(|net| net.contains(&address)) {
            Ok(true)
        } else if is_public(address) {
            Ok(false)
        } else {
            Err(Refused::Address)
        }
    }
}

struct Guard {
    allowed: Arc<Allowed>,
    names: Option<TokioResolver>,
}

/// The addresses of a name.
async fn addresses(
    name: &str,
    names: Option<TokioResolver>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    Ok(match names {
        None => tokio::net::lookup_host((name, 0)).await?.collect(),
        // With its root's point, so that no search domain is tried.
        Some(names) => {
            let found = names.lookup_ip(format!("{}.", name.trim_end_matches('.'))).await?;
            found.iter().map(|address| SocketAddr::new(address, 0)).collect()
        }
    })
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (allowed, names) = (Arc::clone(&self.allowed), self.names.clone());
        Box::pin(async move {
            let found = addresses(name.as_str(), names).await?.into_iter();
            let listed = allowed.names(name.as_str());
            let kept: Vec<SocketAddr> = found.filter(|address| listed || allowed.address(address.ip()).is_ok()).collect();
            if kept.is_empty() {
                return Err(Box::new(Refused::Address) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public Internet: none of the special blocks of RFC 6890 and its successors.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0 // this network
        || a == 10 || a == 127
        || a == 100 && (64..128).contains(&b) // shared by carriers, RFC 6598
        || a == 169 && b == 254 // link-local; clouds keep their metadata there
        || a == 172 && (16..32).contains(&b)
        || a == 192 && b == 0 && c == 0 // protocol assignments
        || a == 192 && b == 0 && c == 2 // documentation
        || a == 192 && b == 88 && c == 99 // former 6to4 relays
        || a == 192 && b == 168
        || a == 198 && (b == 18 || b == 19) // benchmarks
        || a == 198 && b == 51 && c == 100 // documentation
        || a == 203 && b == 0 && c == 113 // documentation
        || a >= 224; // multicast, reserved, broadcast
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is given out; within it are blocks that carry another address or none.
    let global = a & 0xe000 == 0x2000;
    let special = match a {
        0x2001 => b < 0x0200 || b == 0x0db8, // Teredo, benchmarks, ORCHID and other assignments; documentation
        0x2002 => true,                      // 6to4: an IPv4 address within
        0x3fff => b < 0x1000,                // documentation
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_called() {
        for public in ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.0.0.1",
            "127.0.0.1",
            "127.8.8.8",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    fn outbound(allow: &[&str]) -> Outbound {
        let _ = rustls_provider();
        let allow = allow.iter().map(|entry| (*entry).to_owned()).collect();
        Outbound::new(&Webhooks { allow, ..Webhooks::default() }).unwrap()
    }

    fn rustls_provider() -> Result<(), impl std::fmt::Debug> {
        rustls::crypto::ring::default_provider().install_default()
    }

    #[test]
    fn urls_are_checked_before_they_are_kept() {
        let strict = outbound(&[]);
        assert!(strict.admit("https://hooks.example/x").is_ok());
        for (url, why) in [
            ("http://hooks.example/x", "https"),
            ("https://127.0.0.1/x", "public"),
            ("https://2130706433/x", "public"),
            ("https://0x7f.1/x", "public"),
            ("https://[::1]/x", "public"),
            ("https://[::ffff:169.254.169.254]/x", "public"),
            ("https://user:pw@hooks.example/x", "user"),
            ("ftp://hooks.example/x", "https"),
            ("/x", "absolute"),
        ] {
            let refused = strict.admit(url).unwrap_err().to_string();
            assert!(refused.contains(why), "{url}: {refused}");
        }
        let loose = outbound(&["127.0.0.0/8", "hooks.internal"]);
        assert!(loose.admit("http://127.0.0.1:9/x").is_ok());
        assert!(loose.admit("http://hooks.internal/x").is_ok());
        assert!(loose.admit("http://10.0.0.1/x").is_err());
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_not_called() {
        // `localhost` resolves to loopback, as a hostile name would.
        let refused = outbound(&[]).post("https://localhost:1/x", &[], "{}".into()).await.unwrap_err();
        assert!(matches!(refused, Refused::Address), "{refused:?}");
    }
}
