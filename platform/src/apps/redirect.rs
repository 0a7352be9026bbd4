//! Redirect URIs: what may be registered, and what matches it (contract 1.5).

use url::Url;

/// A redirect URI that may be registered: https anywhere, or http to `localhost` or `127.0.0.1` with a port, where `*` stands for any.
/// No user, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(String);

/// Why a redirect URI may not be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRedirect {
    /// Too long.
    #[error("a redirect URI has fewer than 512 characters")]
    Long,
    /// Not an absolute URI.
    #[error("a redirect URI is absolute: a scheme, a host and a path")]
    Malformed,
    /// Another scheme, or plain http to a host that is not this machine.
    #[error("a redirect URI begins with https://, or with http:// for localhost and 127.0.0.1")]
    Scheme,
    /// A loopback address over plain http without a port.
    #[error("a redirect URI to this machine names a port, or * for any")]
    Port,
    /// A query, fragment or user.
    #[error("a redirect URI has no query, fragment or user")]
    Extra,
}

impl RedirectUri {
    /// Reads a URI to be registered.
    pub fn parse(text: &str) -> Result<Self, BadRedirect> {
        if text.len() >= 512 {
            return Err(BadRedirect::Long);
        }
        // Visible ASCII only: it goes into a header as it stands.
        if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return Err(BadRedirect::Malformed);
        }
        let authority = text.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        let wildcard = authority.ends_with(":*");
        let spelt = if wildcard { text.replacen(":*", ":1", 1) } else { text.to_owned() };
        let url = Url::parse(&spelt).map_err(|_| BadRedirect::Malformed)?;
        let Some(host) = url.host_str() else { return Err(BadRedirect::Malformed) };
        let loopback = matches!(host, "localhost" | "127.0.0.1");
        match url.scheme() {
            "https" if loopback || !wildcard => {}
            "http" if loopback => {
                // `Url::port` hides the scheme's own port, which counts as named here.
                let named = wildcard || url.port().is_some() || text.starts_with(&format!("http://{host}:80"));
                if !named {
                    return Err(BadRedirect::Port);
                }
            }
            _ => return Err(BadRedirect::Scheme),
        }
        let user = !url.username().is_empty() || url.password().is_some();
        if user || url.query().is_some() || url.fragment().is_some() {
            return Err(BadRedirect::Extra);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a URI that an app sends is this one: the same to the letter, but for a port in the place of `*`.
    pub fn matches(&self, sent: &str) -> bool {
        // Only a port can be a star; elsewhere in a path it is just that.
        let wildcard =
            self.0.split_once("://").is_some_and(|(_, rest)| rest.split('/').next().unwrap_or_default().ends_with(":*"));
        let Some((before, after)) = self.0.split_once(":*").filter(|_| wildcard) else { return self.0 == sent };
        let Some(rest) = sent.strip_prefix(before).and_then(|rest| rest.strip_prefix(':')) else { return false };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let port: Option<u16> = rest[..digits].parse().ok();
        port.is_some_and(|port| port > 0) && &rest[digits..] == after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        for good in [
            "https://app.example/callback",
            "https://app.example:8443/cb/",
            "http://localhost:3000/cb",
            "http://127.0.0.1:*/callback/",
            "http://localhost:80/cb",
            "https://localhost:*/cb",
            "http://127.0.0.1:*",
        ] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://app.example/cb", BadRedirect::Scheme),
            ("https://app.example:*/cb", BadRedirect::Scheme),
            ("custom://cb", BadRedirect::Scheme),
            ("javascript:alert(1)", BadRedirect::Malformed),
            ("http://localhost/cb", BadRedirect::Port),
            ("http://localhost/cb:*", BadRedirect::Port),
            ("https://m\u{fc}nchen.example/cb", BadRedirect::Malformed),
            ("https://app.example/cb?x=1", BadRedirect::Extra),
            ("https://app.example/cb?", BadRedirect::Extra),
            ("https://app.example/cb#x", BadRedirect::Extra),
            ("https://user@app.example/cb", BadRedirect::Extra),
            ("/cb", BadRedirect::Malformed),
            ("", BadRedirect::Malformed),
            ("https://app.example/a b", BadRedirect::Malformed),
            ("http://localhost.evil.example:3000/cb", BadRedirect::Scheme),
        ] {
            assert_eq!(RedirectUri::parse(bad), Err(why), "{bad}");
        }
        assert_eq!(RedirectUri::parse(&format!("https://a.example/{}", "x".repeat(500))), Err(BadRedirect::Long));
    }

    #[test]
    fn only_the_same_matches_but_for_the_wildcard_port() {
        let exact = RedirectUri::parse("https://app.example/cb").unwrap();
        assert!(exact.matches("https://app.example/cb"));
        for other in
            ["https://app.example/cb/", "https://app.example/CB", "https://app.example/cb?x", "https://app.example.evil/cb"]
        {
            assert!(!exact.matches(other), "{other}");
        }
        let any = RedirectUri::parse("http://127.0.0.1:*/cb/").unwrap();
        assert!(any.matches("http://127.0.0.1:49152/cb/"));
        for other in [
            "http://127.0.0.1/cb/",
            "http://127.0.0.1:/cb/",
            "http://127.0.0.1:0/cb/",
            "http://127.0.0.1:70000/cb/",
            "http://127.0.0.1:80@evil.example/cb/",
            "http://127.0.0.1:80/cb/x",
            "http://127.0.0.1:*/cb/",
            "http://localhost:80/cb/",
        ] {
            assert!(!any.matches(other), "{other}");
        }
    }
}
