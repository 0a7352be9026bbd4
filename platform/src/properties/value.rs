//! Domains and URLs: read once into one spelling, and compared label by label and segment by segment.

use url::{Host, Url};

/// Why a text is no address whose ownership can be proved. Its words are for the developer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    /// Nothing.
    #[error("enter an address")]
    Empty,
    /// Too long for a name or an address.
    #[error("this is longer than any address")]
    Long,
    /// A URL where a domain should be.
    #[error("this is a URL: enter the domain alone, such as example.com, or add it as a URL prefix")]
    NotADomain,
    /// Nothing that could be a domain.
    #[error("this is no domain: enter one such as example.com")]
    BadDomain,
    /// An IP address.
    #[error("an IP address is nobody's by name: enter a domain")]
    Number,
    /// A name of one label, or one under which everybody can register.
    #[error("{0} is a name under which anybody can register: enter the domain that is yours, such as example.{0}")]
    Public(String),
    /// Nothing that could be a URL.
    #[error("this is no URL: enter one such as https://example.com/app/")]
    BadUrl,
    /// Not https.
    #[error("the URL must begin with https://")]
    Scheme,
    /// With a user, a query or a fragment.
    #[error("leave out user names, everything from a question mark on, and everything from a # on")]
    Parts,
}

/// The longest URL that is taken.
const LONG: usize = 1000;

/// A domain in its one spelling: lower case, ASCII (RFC 5891), no point at the end.
pub(super) fn domain(text: &str) -> Result<String, BadValue> {
    let text = text.trim().trim_end_matches('.');
    if text.is_empty() {
        return Err(BadValue::Empty);
    }
    if text.len() > LONG {
        return Err(BadValue::Long);
    }
    if text.contains("://") || text.contains(['/', '?', '#', '@']) {
        return Err(BadValue::NotADomain);
    }
    if text.contains([':', '*', '%', '\\']) && text.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(BadValue::BadDomain);
    }
    let host = match Host::parse(text) {
        Ok(Host::Domain(host)) => host,
        Ok(_) => return Err(BadValue::Number),
        Err(_) if text.parse::<std::net::Ipv6Addr>().is_ok() => return Err(BadValue::Number),
        Err(_) => return Err(BadValue::BadDomain),
    };
    // What can be asked of a name server, and is a host's name.
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(fits) {
        return Err(BadValue::BadDomain);
    }
    // The list of public suffixes: co.uk, github.io. Of those that it does not know, the last label is one.
    if psl::domain_str(&host).is_none() {
        return Err(BadValue::Public(host));
    }
    Ok(host)
}

/// A URL prefix in its one spelling, with a slash at its end. `may_be_plain` says whether a host may be reached by plain http.
pub(super) fn prefix(text: &str, may_be_plain: impl Fn(&str) -> bool) -> Result<String, BadValue> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BadValue::Empty);
    }
    if text.len() > LONG {
        return Err(BadValue::Long);
    }
    let mut url = Url::parse(text).map_err(|_| BadValue::BadUrl)?;
    let host = match url.host() {
        Some(Host::Domain(host)) => host.to_owned(),
        Some(_) => return Err(BadValue::Number),
        None => return Err(BadValue::BadUrl),
    };
    let plain = url.scheme() == "http" && may_be_plain(&host);
    if url.scheme() != "https" && !plain {
        return Err(BadValue::Scheme);
    }
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if !bare || host.ends_with('.') {
        return Err(BadValue::Parts);
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url.into())
}

/// A URL that can be covered.
pub(super) fn read(text: &str) -> Option<Url> {
    let mut url = Url::parse(text.trim()).ok()?;
    if !matches!(url.scheme(), "https" | "http") || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    // The root's point changes nothing about whose the host is.
    let host = match url.host()? {
        Host::Domain(host) => host.trim_end_matches('.').to_owned(),
        _ => return None,
    };
    url.set_host(Some(&host)).ok()?;
    Some(url)
}

/// Whether a URL's host is a domain, or below it.
pub(super) fn is_on_or_below(url: &Url, domain: &str) -> bool {
    let Some(host) = url.host_str() else { return false };
    host == domain || host.strip_suffix(domain).is_some_and(|above| above.ends_with('.'))
}

/// Whether a URL is under a prefix, or is the prefix itself, with or without its last slash.
pub(super) fn is_under(url: &Url, prefix: &str) -> bool {
    let Ok(prefix) = Url::parse(prefix) else { return false };
    let path = url.path();
    url.origin() == prefix.origin() && (path.starts_with(prefix.path()) || path == prefix.path().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_read_into_one_spelling() {
        for (text, expected) in [
            ("example.com", "example.com"),
            (" Example.COM. ", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("shop.example.co.uk", "shop.example.co.uk"),
            ("example.co.uk", "example.co.uk"),
            ("me.github.io", "me.github.io"),
            ("_apps.example.com", "_apps.example.com"),
            ("clips.test", "clips.test"),
        ] {
            assert_eq!(domain(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("", BadValue::Empty),
            ("https://example.com", BadValue::NotADomain),
            ("example.com/app", BadValue::NotADomain),
            ("me@example.com", BadValue::NotADomain),
            ("example.com:8443", BadValue::BadDomain),
            ("*.example.com", BadValue::BadDomain),
            ("exa mple.com", BadValue::BadDomain),
            ("exa\0mple.com", BadValue::BadDomain),
            ("example..com", BadValue::BadDomain),
            ("-a.example.com", BadValue::BadDomain),
            ("127.0.0.1", BadValue::Number),
            ("2130706433", BadValue::Number),
            ("0x7f.1", BadValue::Number),
            ("::1", BadValue::Number),
            ("com", BadValue::Public("com".into())),
            ("localhost", BadValue::Public("localhost".into())),
            ("co.uk", BadValue::Public("co.uk".into())),
            ("github.io", BadValue::Public("github.io".into())),
        ] {
            assert_eq!(domain(text), Err(expected), "{text}");
        }
        assert!(domain(&"a.".repeat(200)).is_err());
        assert!(domain(&"a".repeat(2000)).is_err());
    }

    #[test]
    fn prefixes_are_read_into_one_spelling() {
        let prefix = |text| super::prefix(text, |host| host == "site.internal");
        for (text, expected) in [
            ("https://example.com", "https://example.com/"),
            ("https://EXAMPLE.com:443/App", "https://example.com/App/"),
            ("https://example.com:8443/app/", "https://example.com:8443/app/"),
            ("https://example.com/a/../b/./c", "https://example.com/b/c/"),
            ("https://example.com/a/%2e%2e/b", "https://example.com/b/"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("http://site.internal:81", "http://site.internal:81/"),
        ] {
            assert_eq!(prefix(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("example.com/app", BadValue::BadUrl),
            ("http://example.com/", BadValue::Scheme),
            ("ftp://example.com/", BadValue::Scheme),
            ("javascript:alert(1)", BadValue::BadUrl),
            ("https://me@example.com/", BadValue::Parts),
            ("https://example.com/?a", BadValue::Parts),
            ("https://example.com/#a", BadValue::Parts),
            ("https://127.0.0.1/", BadValue::Number),
            ("https://[::1]/", BadValue::Number),
            ("https://2130706433/", BadValue::Number),
        ] {
            assert_eq!(prefix(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn what_is_covered_ends_at_labels_and_segments() {
        let on = |url: &str, domain: &str| read(url).is_some_and(|url| is_on_or_below(&url, domain));
        for (url, expected) in [
            ("https://example.com", true),
            ("https://EXAMPLE.com./x?y#z", true),
            ("http://example.com:8080/x", true),
            ("https://a.b.example.com/", true),
            ("https://evil-example.com/", false),
            ("https://evilexample.com/", false),
            ("https://example.com.evil.test/", false),
            ("https://example.co/", false),
            ("https://example.com@evil.test/", false),
            ("https://me@example.com/", false),
            ("ftp://example.com/", false),
            ("https://com/", false),
            ("https://127.0.0.1/", false),
            ("example.com", false),
            ("", false),
        ] {
            assert_eq!(on(url, "example.com"), expected, "{url}");
        }
        assert!(on("https://bücher.example/", "xn--bcher-kva.example"));
        let under = |url: &str| read(url).is_some_and(|url| is_under(&url, "https://example.com:8443/app/"));
        for (url, expected) in [
            ("https://example.com:8443/app/", true),
            ("https://example.com:8443/app", true),
            ("https://example.com:8443/app/terms?x=1", true),
            ("https://example.com:8443/application", false),
            ("https://example.com:8443/app/../private", false),
            ("https://example.com:8443/app/%2e%2e/private", false),
            ("https://example.com:8443/App/", false),
            ("https://example.com:8443/", false),
            ("https://example.com/app/", false),
            ("http://example.com:8443/app/", false),
            ("https://a.example.com:8443/app/", false),
        ] {
            assert_eq!(under(url), expected, "{url}");
        }
    }
}
