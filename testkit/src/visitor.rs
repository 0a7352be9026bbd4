//! Somebody at a browser without scripts: opens pages, fills in forms as they stand on the page, hands in files, follows redirects.

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, StatusCode};
use url::Url;

use crate::page::{Form, forms, text_of};
use crate::person::http;

/// Somebody at a browser, with cookies of their own.
#[derive(Debug, Clone)]
pub struct Visitor {
    http: Client,
    base: Url,
}

/// A page as it was answered, after redirects within the site.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its status.
    pub status: StatusCode,
    /// Where it was in the end; the address elsewhere if it led away from the site.
    pub url: Url,
    /// Its text.
    pub html: String,
    /// The `Location` that led away from the site.
    pub away: Option<Url>,
}

/// A form being filled in.
#[derive(Debug, Clone)]
pub struct Filling {
    form: Form,
    page: Url,
    values: Vec<(String, String)>,
    files: Vec<File>,
}

#[derive(Debug, Clone)]
struct File {
    field: String,
    name: String,
    media_type: String,
    bytes: Vec<u8>,
}

impl Visitor {
    /// A browser without any session, at a site.
    pub fn new(base: &str) -> Self {
        Self { http: http(), base: Url::parse(base).unwrap_or_else(|error| panic!("{base}: {error}")) }
    }

    /// The client beneath, with the cookies.
    pub fn http(&self) -> &Client {
        &self.http
    }

    /// An address of the site.
    pub fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Opens a page.
    pub async fn get(&self, path: &str) -> Seen {
        let answer = self.http.get(self.url(path)).send().await.expect("the server answers");
        self.follow(answer).await
    }

    /// Opens a page that must be there.
    pub async fn open(&self, path: &str) -> Seen {
        let seen = self.get(path).await;
        assert_eq!(seen.status, StatusCode::OK, "{path} led to {}\n{}", seen.url, seen.text());
        seen
    }

    /// Posts fields without looking at a form first.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let call = self.http.post(self.url(path)).header("origin", self.base.origin().ascii_serialization()).form(fields);
        self.follow(call.send().await.expect("the server answers")).await
    }

    /// Sends a form with everything filled in.
    pub async fn send(&self, filling: Filling) -> Seen {
        let to =
            if filling.form.action.is_empty() { filling.page.clone() } else { self.join(&filling.page, &filling.form.action) };
        let origin = self.base.origin().ascii_serialization();
        let answer = if filling.form.method == "get" {
            let mut to = to;
            to.query_pairs_mut().clear().extend_pairs(&filling.values);
            self.http.get(to).send().await
        } else if filling.form.multipart {
            let boundary = "a-boundary-that-no-test-writes";
            let body = filling.multipart(boundary);
            let kind = format!("multipart/form-data; boundary={boundary}");
            self.http.post(to).header("origin", origin).header(CONTENT_TYPE, kind).body(body).send().await
        } else {
            assert!(filling.files.is_empty(), "the form at {to} takes no files");
            self.http.post(to).header("origin", origin).form(&filling.values).send().await
        };
        self.follow(answer.expect("the server answers")).await
    }

    fn join(&self, page: &Url, to: &str) -> Url {
        page.join(to).unwrap_or_else(|error| panic!("{to}: {error}"))
    }

    async fn follow(&self, mut answer: reqwest::Response) -> Seen {
        for _ in 0..12 {
            let here = answer.url().clone();
            let Some(to) = answer.headers().get(LOCATION) else {
                let status = answer.status();
                let bytes = answer.bytes().await.expect("a whole page");
                return Seen { status, url: here, html: String::from_utf8_lossy(&bytes).into_owned(), away: None };
            };
            let to = self.join(&here, to.to_str().expect("an address in ASCII"));
            if to.origin() != self.base.origin() {
                return Seen { status: answer.status(), url: to.clone(), html: String::new(), away: Some(to) };
            }
            answer = self.http.get(to).send().await.expect("the server answers");
        }
        panic!("more than twelve redirects");
    }
}

impl Seen {
    /// The words of the page, without its tags.
    pub fn text(&self) -> String {
        text_of(&self.html)
    }

    /// Whether the words stand on the page.
    pub fn says(&self, words: &str) -> bool {
        self.text().contains(words)
    }

    /// Fails with the page unless the words stand on it.
    #[track_caller]
    pub fn must_say(&self, words: &str) -> &Self {
        assert!(self.says(words), "{} {} does not say {words:?}\n{}", self.status, self.url, self.text());
        self
    }

    /// Fails with the page if the words stand on it.
    #[track_caller]
    pub fn must_not_say(&self, words: &str) -> &Self {
        assert!(!self.says(words), "{} {} says {words:?}\n{}", self.status, self.url, self.text());
        self
    }

    /// All forms of the page.
    pub fn forms(&self) -> Vec<Form> {
        forms(&self.html)
    }

    /// The form whose action holds these words; an empty action is the page's own address.
    #[track_caller]
    pub fn form(&self, action: &str) -> Filling {
        let own = self.url.path().to_owned();
        let forms = self.forms();
        let names: Vec<_> = forms.iter().map(|form| form.action.clone()).collect();
        let form = forms
            .into_iter()
            .find(|form| if form.action.is_empty() { own.contains(action) } else { form.action.contains(action) });
        let Some(form) = form else {
            panic!("{} {} has no form for {action:?}, but {names:?}\n{}", self.status, self.url, self.text())
        };
        let values = form.as_it_stands();
        Filling { form, page: self.url.clone(), values, files: Vec::new() }
    }

    /// The first link whose address holds these words.
    #[track_caller]
    pub fn link(&self, part: &str) -> String {
        let found =
            self.html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).find(|address| address.contains(part));
        let Some(found) = found else { panic!("{} has no link with {part:?}\n{}", self.url, self.text()) };
        crate::page::unescape(found)
    }

    /// The number that follows a piece of the page's address: the 7 of `/apps/7/details` for `/apps/`.
    #[track_caller]
    pub fn number_after(&self, part: &str) -> i64 {
        let rest = self.url.path().split_once(part).map(|(_, rest)| rest).unwrap_or_default();
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("{} has no number after {part}", self.url))
    }
}

impl Filling {
    /// Writes a value over what stands in a field.
    #[track_caller]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        assert!(self.form.fields.iter().any(|field| field.name == name), "the form has no field {name}: {:?}", self.form);
        self.values.retain(|(held, _)| held != name);
        self.values.push((name.into(), value.into()));
        self
    }

    /// Ticks one box of a name, beside those that are ticked.
    pub fn tick(mut self, name: &str, value: &str) -> Self {
        let pair = (name.to_owned(), value.to_owned());
        assert!(
            self.form.fields.iter().any(|field| field.name == name && field.value == value),
            "the form has no box {name}={value}: {:?}",
            self.form
        );
        if !self.values.contains(&pair) {
            self.values.push(pair);
        }
        self
    }

    /// Takes every value of a name away.
    pub fn clear(mut self, name: &str) -> Self {
        self.values.retain(|(held, _)| held != name);
        self
    }

    /// Presses the button of that name and value instead of the first.
    pub fn press(mut self, name: &str, value: &str) -> Self {
        let buttons: Vec<_> =
            self.form.fields.iter().filter(|field| field.kind == "submit").map(|field| field.name.clone()).collect();
        assert!(buttons.iter().any(|button| button == name), "the form has no button {name}: {buttons:?}");
        self.values.push((name.into(), value.into()));
        self
    }

    /// Hands in a file.
    pub fn attach(mut self, field: &str, name: &str, media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push(File { field: field.into(), name: name.into(), media_type: media_type.into(), bytes: bytes.into() });
        self
    }

    /// Sends a value that the form does not offer, as a forger would.
    pub fn forge(mut self, name: &str, value: &str) -> Self {
        self.values.retain(|(held, _)| held != name);
        self.values.push((name.into(), value.into()));
        self
    }

    /// What stands in a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    fn multipart(&self, boundary: &str) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in &self.values {
            body.extend(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
        }
        for file in &self.files {
            let head = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
                file.field, file.name, file.media_type
            );
            body.extend(head.bytes());
            body.extend(&file.bytes);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{boundary}--\r\n").bytes());
        body
    }
}
