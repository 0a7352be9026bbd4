//! A person at a browser, as far as the journey needs one: cookies, redirects, and the two forms of our own pages.

use anyhow::{Context, bail};
use reqwest::header::{LOCATION, ORIGIN};
use reqwest::redirect::Policy;
use url::Url;

/// A person and what they do.
pub(crate) struct Browser {
    http: reqwest::Client,
    username: String,
    password: String,
    /// The scopes they switch on.
    allow: Vec<String>,
}

/// One thing the browser did, for the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visit {
    /// `GET` or `POST`.
    pub(crate) method: &'static str,
    /// The address.
    pub(crate) url: Url,
    /// What came of it.
    pub(crate) outcome: Outcome,
}

/// What came of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The page where one signs in.
    SignIn,
    /// The page where one decides.
    Consent,
    /// On to another page.
    Onward,
    /// Back to the app.
    Back,
}

/// Pages between the app's link and the way back, beyond which the server sends in circles.
const MOST_VISITS: usize = 12;

impl Browser {
    /// A browser without cookies. `root_pem` is trusted besides the system's certificates.
    pub(crate) fn new(username: &str, password: &str, allow: &[String], root_pem: Option<&[u8]>) -> anyhow::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the demo visits its own server")]
        let http = reqwest::Client::builder().cookie_store(true).redirect(Policy::none()).no_proxy();
        // Without TLS no certificates are needed, and a machine may have none.
        let http = match root_pem {
            Some(pem) => http.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem).context("the root certificate")?),
            None => http.tls_certs_only([]),
        };
        Ok(Self { http: http.build()?, username: username.into(), password: password.into(), allow: allow.into() })
    }

    /// Opens the app's link, signs in, allows, and gives the address back at the app and all that was visited.
    pub(crate) async fn authorize(&self, link: Url, redirect_uri: &str) -> anyhow::Result<(Url, Vec<Visit>)> {
        let origin = link.origin().ascii_serialization();
        let mut visits = Vec::new();
        let mut next = (link, None::<Vec<(String, String)>>);
        while visits.len() < MOST_VISITS {
            let (url, form) = next;
            let method = if form.is_some() { "POST" } else { "GET" };
            let request = match &form {
                Some(fields) => self.http.post(url.clone()).header(ORIGIN, &origin).form(fields),
                None => self.http.get(url.clone()),
            };
            let response = request.send().await.with_context(|| format!("{method} {url}"))?;
            let status = response.status();
            if let Some(to) = response.headers().get(LOCATION) {
                let to = to.to_str().context("a redirect to an address that is not ASCII")?;
                let to = url.join(to).with_context(|| format!("a redirect to {to:?}"))?;
                let back = to.as_str().split(['?', '#']).next() == Some(redirect_uri);
                visits.push(Visit { method, url, outcome: if back { Outcome::Back } else { Outcome::Onward } });
                if back {
                    return Ok((to, visits));
                }
                next = (to, None);
                continue;
            }
            let page = response.text().await?;
            let forms = forms(&page);
            let Some((form, outcome, fields)) = forms.iter().find_map(|form| self.fill(form)) else {
                bail!("{method} {url} answered {status} and a page without the expected form: {}", words(&page));
            };
            if visits.iter().any(|visit| visit.outcome == outcome) {
                bail!("{method} {url} answered {status} and the same form again: {}", words(&page));
            }
            let to = url.join(&form.action).with_context(|| format!("a form that posts to {:?}", form.action))?;
            visits.push(Visit { method, url, outcome });
            next = (to, Some(fields));
        }
        bail!("the server sent the browser in circles")
    }

    fn fill<'a>(&self, form: &'a Form) -> Option<(&'a Form, Outcome, Filled)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let hidden = form.fields.iter().filter(|field| field.kind == "hidden");
        let mut fields: Vec<_> = hidden.map(|field| pair(&field.name, &field.value)).collect();
        let has = |name: &str| form.fields.iter().any(|field| field.name == name);
        if has("password") {
            fields.extend([pair("username", &self.username), pair("password", &self.password)]);
            return Some((form, Outcome::SignIn, fields));
        }
        if has("decision") {
            let boxes = form.fields.iter().filter(|field| field.kind == "checkbox" && field.name == "scope");
            fields.extend(boxes.filter(|field| self.allow.contains(&field.value)).map(|field| pair("scope", &field.value)));
            fields.push(pair("decision", "allow"));
            return Some((form, Outcome::Consent, fields));
        }
        None
    }
}

/// Names and values to be sent.
type Filled = Vec<(String, String)>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Form {
    action: String,
    fields: Vec<Field>,
}

#[derive(Debug, PartialEq, Eq)]
struct Field {
    kind: String,
    name: String,
    value: String,
}

/// The forms of a page and their named inputs and buttons. Our pages are the only ones it is used on: it knows tags,
/// attributes in any quotes and the references that templates write, and no more of HTML.
fn forms(page: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    for piece in page.split('<').skip(1) {
        let name_ends = piece.find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/').unwrap_or(piece.len());
        let (name, rest) = piece.split_at(name_ends);
        let attributes = attributes(rest);
        let get = |key: &str| attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        match name.to_ascii_lowercase().as_str() {
            "form" => forms.push(Form { action: get("action").unwrap_or_default(), fields: Vec::new() }),
            kind @ ("input" | "button") => {
                if let (Some(form), Some(name)) = (forms.last_mut(), get("name")) {
                    let kind = get("type").unwrap_or_else(|| if kind == "input" { "text" } else { "submit" }.into());
                    form.fields.push(Field { kind, name, value: get("value").unwrap_or_default() });
                }
            }
            _ => {}
        }
    }
    forms
}

/// Names and values up to the end of the tag.
fn attributes(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return found;
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let mut value = "";
        rest = after.trim_ascii_start();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_ascii_start();
            (value, rest) = match after.strip_prefix(['"', '\'']) {
                // The quote that opened is one byte long.
                Some(inner) => inner.split_once(&after[..1]).unwrap_or((inner, "")),
                None => after.split_at(after.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(after.len())),
            };
        }
        found.push((name.to_ascii_lowercase(), unescape(value)));
        if name.is_empty() && value.is_empty() {
            // A stray character: step over it.
            rest = rest.get(1..).unwrap_or_default();
        }
    }
}

/// Turns the references that templates write back into characters.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pieces = text.split('&');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let decoded = piece.split_once(';').and_then(|(name, rest)| {
            let character = match name {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => {
                    let number = name.strip_prefix('#')?;
                    let hexadecimal = number.strip_prefix(['x', 'X']);
                    let code = hexadecimal.map_or_else(|| number.parse(), |digits| u32::from_str_radix(digits, 16));
                    code.ok().and_then(char::from_u32)
                }
            };
            character.map(|character| (character, rest))
        });
        match decoded {
            Some((character, rest)) => {
                out.push(character);
                out.push_str(rest);
            }
            None => {
                out.push('&');
                out.push_str(piece);
            }
        }
    }
    out
}

/// The first words of a page, without its tags, for an error message.
fn words(page: &str) -> String {
    let body = page.split_once("<body").map_or(page, |(_, body)| body);
    let text: Vec<_> = body.split('<').filter_map(|piece| piece.split_once('>').map(|(_, text)| text)).collect();
    let text = unescape(&text.join(" ").split_whitespace().take(60).collect::<Vec<_>>().join(" "));
    if text.is_empty() { "an empty page".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: &str, name: &str, value: &str) -> Field {
        Field { kind: kind.into(), name: name.into(), value: value.into() }
    }

    #[test]
    fn forms_are_read_as_a_browser_would() {
        let page = r#"<!doctype html><form method=post action="/a?b=1&amp;c=&#x2F;">
          <input type="hidden" name="next" value="/v2/?a=&quot;&#39;&amp;amp;&lt;b&gt;"><input name='user' required/>
          <input type=checkbox name=scope value=c><button name="decision" value="deny">Don’t</button><button>x</button></form>
          <form><input name = "q" value = 'a > b'>"#;
        assert_eq!(
            forms(page),
            [
                Form {
                    action: "/a?b=1&c=/".into(),
                    fields: vec![
                        field("hidden", "next", "/v2/?a=\"'&amp;<b>"),
                        field("text", "user", ""),
                        field("checkbox", "scope", "c"),
                        field("submit", "decision", "deny"),
                    ],
                },
                Form { action: String::new(), fields: vec![field("text", "q", "a > b")] },
            ]
        );
    }

    #[test]
    fn broken_pages_neither_panic_nor_hang() {
        for page in [
            "<",
            "<form",
            "<form =",
            "<form = =/ =\"",
            "<form><input name=",
            "<form><input name='x",
            "<form ÿ=é name=\"ü",
            "&#x110000;",
            "&",
            "&;",
        ] {
            forms(page);
            attributes(page);
            unescape(page);
            words(page);
        }
        assert_eq!(unescape("a&b&amp;&#x110000;&x;"), "a&b&&#x110000;&x;");
        assert_eq!(words("<title>t</title><body class=x><p>Too&nbsp;many <b>attempts</b></p>"), "Too&nbsp;many attempts");
    }
}
