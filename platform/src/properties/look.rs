//! A look at a page of somebody's site: does it answer, what is it called, what does it say, where does it lead.

use html5gum::{DefaultEmitter, Token, Tokenizer};
use url::Url;

use super::{Found, Problem, Sites, prove};

/// The most of a page that is read.
const PAGE: usize = 2 * 1024 * 1024;
/// Steps to other addresses that are followed.
const STEPS: usize = 5;
/// Letters of text that are kept.
const TEXT: usize = 4000;
/// Links that are kept.
const LINKS: usize = 500;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Whether a page was answered with status 200.
    pub reachable: bool,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// Where it was in the end.
    pub url: String,
    /// What it calls itself.
    pub title: String,
    /// The beginning of what can be read on it.
    pub text: String,
    /// Where it leads.
    pub links: Vec<Link>,
    /// What stood in the way.
    pub problem: Option<Found>,
}

/// One link of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where to, absolute.
    pub url: String,
    /// Its words.
    pub words: String,
}

impl Looked {
    /// Whether the page links to an address; a last slash and a fragment make no difference.
    pub fn links_to(&self, address: &str) -> bool {
        let Some(wanted) = plain(address) else { return false };
        self.links.iter().any(|link| plain(&link.url).is_some_and(|url| url == wanted))
    }
}

fn plain(address: &str) -> Option<String> {
    let mut url = Url::parse(address.trim()).ok()?;
    url.set_fragment(None);
    let text: String = url.into();
    Some(text.trim_end_matches('/').to_owned())
}

pub(super) async fn look(sites: &Sites, address: &str) -> Looked {
    let mut seen = Looked { url: address.to_owned(), ..Looked::default() };
    for _ in 0..=STEPS {
        let got = match sites.get(&seen.url, PAGE).await {
            Ok(got) => got,
            Err(refused) => {
                seen.problem = Some(prove::found(&refused));
                return seen;
            }
        };
        seen.status = Some(got.status);
        if let Some(to) = got.location {
            let Some(onward) = Url::parse(&seen.url).ok().and_then(|from| from.join(&to).ok()) else {
                seen.problem = Some(Found::new(Problem::Elsewhere, to));
                return seen;
            };
            seen.url = onward.into();
            continue;
        }
        if got.status != 200 {
            seen.problem = Some(Found::new(Problem::NotThere, got.status.to_string()));
            return seen;
        }
        seen.reachable = true;
        let text = String::from_utf8_lossy(&got.body);
        if got.media_type.contains("html") || got.media_type.is_empty() {
            read(&text, &mut seen);
        } else if got.media_type.starts_with("text/") {
            seen.text = squeeze(&text, TEXT);
        }
        return seen;
    }
    seen.problem = Some(Found::new(Problem::Elsewhere, seen.url.clone()));
    seen
}

/// Reads a page: title, text and links, as far as they are kept.
fn read(html: &str, seen: &mut Looked) {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut base = Url::parse(&seen.url).ok();
    let (mut title, mut text, mut silent) = (None::<String>, String::new(), 0_usize);
    let mut link: Option<(String, String)> = None;
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        match token {
            Token::StartTag(tag) => {
                let href = || tag.attributes.get(&b"href"[..]).map(|value| String::from_utf8_lossy(&value.value.0).into_owned());
                match tag.name.0.as_slice() {
                    b"title" if title.is_none() => title = Some(String::new()),
                    b"script" | b"style" | b"template" | b"noscript" | b"svg" if !tag.self_closing => silent += 1,
                    b"base" => {
                        let joined = href().and_then(|href| base.as_ref().and_then(|base| base.join(&href).ok()));
                        base = joined.or(base);
                    }
                    b"a" | b"area" => {
                        keep(&mut seen.links, link.take(), base.as_ref());
                        link = href().map(|href| (href, String::new()));
                    }
                    _ => {}
                }
                text.push(' ');
            }
            Token::EndTag(tag) => {
                match tag.name.0.as_slice() {
                    b"title" => {
                        if let Some(words) = title.as_ref().filter(|_| seen.title.is_empty()) {
                            seen.title = squeeze(words, 300);
                        }
                        title = Some(String::new());
                    }
                    b"script" | b"style" | b"template" | b"noscript" | b"svg" => silent = silent.saturating_sub(1),
                    b"a" => keep(&mut seen.links, link.take(), base.as_ref()),
                    _ => {}
                }
                text.push(' ');
            }
            Token::String(words) if silent == 0 => {
                let words = String::from_utf8_lossy(&words.value.0);
                match (&mut title, seen.title.is_empty()) {
                    (Some(title), true) if text.trim().is_empty() => title.push_str(&words),
                    _ => {}
                }
                if let Some((_, label)) = &mut link {
                    label.push_str(&words);
                }
                if text.len() < 8 * TEXT {
                    text.push_str(&words);
                }
            }
            _ => {}
        }
    }
    keep(&mut seen.links, link, base.as_ref());
    seen.text = squeeze(&text, TEXT);
}

fn keep(links: &mut Vec<Link>, link: Option<(String, String)>, base: Option<&Url>) {
    let Some((href, words)) = link else { return };
    let url = match base {
        Some(base) => base.join(href.trim()).ok(),
        None => Url::parse(href.trim()).ok(),
    };
    if let Some(url) = url.filter(|url| matches!(url.scheme(), "https" | "http") && url.as_str().len() < 2000)
        && links.len() < LINKS
    {
        links.push(Link { url: url.into(), words: squeeze(&words, 200) });
    }
}

/// One space between words, no control characters, and no more than so many letters.
fn squeeze(text: &str, most: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut squeezed = String::new();
    for word in words {
        if !squeezed.is_empty() {
            squeezed.push(' ');
        }
        squeezed.push_str(word);
        if squeezed.len() > 4 * most {
            break;
        }
    }
    squeezed.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(html: &str) -> Looked {
        let mut seen = Looked { url: "https://site.example/home/".into(), ..Looked::default() };
        read(html, &mut seen);
        seen
    }

    #[test]
    fn title_text_and_links_are_read_and_scripts_are_not() {
        let looked = seen(
            "<!doctype html><html><head><title> Clip\n keeper &amp; co </title><style>p { x: 'y' }</style></head><body><svg><title>Arrow</title></svg>
             <h1>Keep&nbsp;clips</h1><script>var a = '<a href=\"/evil\">no</a>';</script>
             <p>Hello <b>there</b></p><a href='/privacy#top'>Privacy <i>policy</i></a><a href=terms>Terms</a>
             <a href='javascript:alert(1)'>x</a><a href='mailto:a@b.example'>m</a><a>none</a><a href='//other.example/x'>o",
        );
        assert_eq!(looked.title, "Clip keeper & co");
        assert_eq!(looked.text, "Clip keeper & co Keep clips Hello there Privacy policy Terms x m none o");
        let links: Vec<_> = looked.links.iter().map(|link| (link.url.as_str(), link.words.as_str())).collect();
        assert_eq!(
            links,
            [
                ("https://site.example/privacy#top", "Privacy policy"),
                ("https://site.example/home/terms", "Terms"),
                ("https://other.example/x", "o")
            ]
        );
        assert!(looked.links_to("https://site.example/privacy") && looked.links_to("https://site.example/home/terms/"));
        assert!(!looked.links_to("https://site.example/evil") && !looked.links_to("nonsense"));
    }

    #[test]
    fn huge_pages_are_kept_in_part() {
        let looked = seen(&"<a href='/x'>word </a>".repeat(20_000));
        assert_eq!(looked.links.len(), LINKS);
        assert_eq!(looked.text.chars().count(), TEXT);
    }

    proptest! {
        #[test]
        fn no_page_is_a_panic(html in "[<>/a-z\"'= !&;\u{0}-\u{20}é-]{0,300}") {
            let _ = seen(&html);
        }
    }
}
