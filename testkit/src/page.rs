//! Reads the forms of a page, as far as tests need it: our own pages are the only ones it is used on.

/// One form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Where it posts to, as written.
    pub action: String,
    /// `get` or `post`, lower case.
    pub method: String,
    /// Its named inputs and buttons, in the order of the page.
    pub fields: Vec<Field>,
}

/// One named input or button.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// `text`, `hidden`, `checkbox`, `submit`, ...
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// For boxes: ticked as the page comes.
    pub checked: bool,
}

impl Form {
    /// The values of all fields with this name.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|field| field.name == name).map(|field| field.value.as_str()).collect()
    }

    /// The hidden fields, which a browser sends back as they are.
    pub fn hidden(&self) -> Vec<(String, String)> {
        let hidden = self.fields.iter().filter(|field| field.kind == "hidden");
        hidden.map(|field| (field.name.clone(), field.value.clone())).collect()
    }
}

/// All forms of a page.
pub fn forms(html: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut open = false;
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix("!--") {
            rest = after.find("-->").map_or("", |end| &after[end + 3..]);
            continue;
        }
        let (name, attributes, after) = tag(rest);
        rest = after;
        let get = |key: &str| attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        match name.as_str() {
            "form" => {
                open = true;
                forms.push(Form {
                    action: get("action").unwrap_or_default(),
                    method: get("method").unwrap_or_else(|| "get".into()).to_lowercase(),
                    fields: Vec::new(),
                });
            }
            "/form" => open = false,
            "input" | "button" => {
                if let (true, Some(form), Some(field)) = (open, forms.last_mut(), get("name")) {
                    let default = if name == "button" { "submit" } else { "text" };
                    let kind = get("type").unwrap_or_else(|| default.into()).to_lowercase();
                    let value = get("value").unwrap_or_else(|| if kind == "checkbox" { "on" } else { "" }.into());
                    form.fields.push(Field { kind, name: field, value, checked: get("checked").is_some() });
                }
            }
            _ => {}
        }
    }
    forms
}

/// Name, attributes and what follows, of a tag whose `<` is already eaten.
fn tag(text: &str) -> (String, Vec<(String, String)>, &str) {
    let end = text.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(text.len());
    let name = text[..end].trim_end_matches('/').to_lowercase();
    let name = if text.starts_with('/') { format!("/{}", name.trim_start_matches('/')) } else { name };
    let mut attributes = Vec::new();
    let mut rest = text[end..].trim_start();
    while !rest.is_empty() && !rest.starts_with('>') {
        if let Some(after) = rest.strip_prefix('/') {
            rest = after.trim_start();
            continue;
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(rest.len());
        let key = rest[..end].to_lowercase();
        rest = rest[end..].trim_start();
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (raw, next) = match quote {
                Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                None => after.split_at(after.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(after.len())),
            };
            value = unescape(raw);
            rest = next.trim_start();
        }
        attributes.push((key, value));
    }
    (name, attributes, rest.strip_prefix('>').unwrap_or(rest))
}

/// Turns the character references that templates write back into characters.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let Some(end) = rest.find(';').filter(|end| *end < 12) else {
            out.push('&');
            rest = &rest[1..];
            continue;
        };
        let name = &rest[1..end];
        let number = name
            .strip_prefix("#x")
            .or_else(|| name.strip_prefix("#X"))
            .map(|hex| u32::from_str_radix(hex, 16))
            .or_else(|| name.strip_prefix('#').map(str::parse));
        let character = match (name, number) {
            ("amp", _) => Some('&'),
            ("lt", _) => Some('<'),
            ("gt", _) => Some('>'),
            ("quot", _) => Some('"'),
            ("apos", _) => Some('\''),
            ("nbsp", _) => Some('\u{a0}'),
            (_, Some(Ok(code))) => char::from_u32(code),
            _ => None,
        };
        match character {
            Some(character) => out.push(character),
            None => out.push_str(&rest[..=end]),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_browser_would_send() {
        let html = r#"<!doctype html><!-- <form> --><p>x</p><form method=POST action="/a?b=1&amp;c=2">
          <input type="hidden" name="csrf" value="&quot;&#x2F;&#39;"><input name='user' required />
          <input type=checkbox name=scope value="a.b" checked><input type=checkbox name=scope value=c>
          <button name="decision" value="allow">Yes &amp; go</button><button>unnamed</button></form>
          <input name="outside"><form action="/other"></form>"#;
        let forms = forms(html);
        assert_eq!(forms.len(), 2);
        assert_eq!((forms[0].action.as_str(), forms[0].method.as_str()), ("/a?b=1&c=2", "post"));
        assert_eq!(forms[0].hidden(), [("csrf".to_owned(), "\"/'".to_owned())]);
        assert_eq!(forms[0].values("scope"), ["a.b", "c"]);
        let ticked: Vec<_> = forms[0].fields.iter().map(|field| field.checked).collect();
        assert_eq!(ticked, [false, false, true, false, false]);
        assert_eq!(forms[0].fields[4].kind, "submit");
        assert_eq!((forms[1].action.as_str(), forms[1].method.as_str()), ("/other", "get"));
    }
}
