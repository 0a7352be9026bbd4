//! Reads the forms of a page, as far as tests need it: our own pages are the only ones it is used on.

/// One form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Where it posts to, as written.
    pub action: String,
    /// `get` or `post`, lower case.
    pub method: String,
    /// Whether it is sent as `multipart/form-data`.
    pub multipart: bool,
    /// Its named inputs, text areas, choices and buttons, in the order of the page.
    pub fields: Vec<Field>,
}

/// One named input or button.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// `text`, `hidden`, `checkbox`, `submit`, `textarea`, `option` ...
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// For boxes and options: ticked or selected as the page comes.
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

    /// What a browser would send if nothing were changed and no button pressed: files left out, and of a choice the first option unless
    /// another is selected.
    pub fn as_it_stands(&self) -> Vec<(String, String)> {
        let mut values: Vec<(String, String)> = Vec::new();
        for field in &self.fields {
            let sent = match field.kind.as_str() {
                "submit" | "reset" | "image" | "file" | "button" => false,
                "checkbox" | "radio" => field.checked,
                "option" => {
                    let options = || self.fields.iter().filter(|other| other.kind == "option" && other.name == field.name);
                    let chosen = options().find(|option| option.checked).or_else(|| options().next());
                    chosen.is_some_and(|chosen| std::ptr::eq(chosen, field))
                }
                _ => true,
            };
            if sent {
                values.push((field.name.clone(), field.value.clone()));
            }
        }
        values
    }
}

/// All forms of a page.
pub fn forms(html: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut open = false;
    let mut select = String::new();
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
                    multipart: get("enctype").is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data")),
                    fields: Vec::new(),
                });
            }
            "/form" => open = false,
            "textarea" => {
                let (text, after) = rest.split_once("</textarea").unwrap_or((rest, ""));
                rest = after;
                if let (true, Some(form), Some(name)) = (open, forms.last_mut(), get("name")) {
                    // The first line break belongs to the markup.
                    let value = unescape(text.strip_prefix('\n').unwrap_or(text));
                    form.fields.push(Field { kind: "textarea".into(), name, value, checked: false });
                }
            }
            "select" => select = get("name").unwrap_or_default(),
            "/select" => select.clear(),
            "option" => {
                if let (true, Some(form), false) = (open, forms.last_mut(), select.is_empty()) {
                    let value = get("value").unwrap_or_else(|| unescape(rest.split('<').next().unwrap_or_default().trim()));
                    let checked = get("selected").is_some();
                    form.fields.push(Field { kind: "option".into(), name: select.clone(), value, checked });
                }
            }
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

/// The words of a page: tags away, white space as one blank, references resolved.
pub fn text_of(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix("!--") {
            rest = after.find("-->").map_or("", |end| &after[end + 3..]);
            continue;
        }
        let (name, _, after) = tag(rest);
        rest = after;
        // What stands beside each other in a line stays one word.
        let inline = ["a", "abbr", "b", "bdi", "code", "del", "em", "i", "ins", "mark", "small", "span", "strong", "time"];
        if !inline.contains(&name.trim_start_matches('/')) {
            out.push(' ');
        }
    }
    out.push_str(rest);
    unescape(&out).split_whitespace().collect::<Vec<_>>().join(" ")
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

    #[test]
    fn text_areas_and_choices_are_sent_as_they_stand() {
        let html = "<form method=post enctype=multipart/form-data><textarea name=a>\nx &lt;b&gt; <i></textarea>\
          <select name=s><option value=1>One<option value=2 selected>Two</select><select name=t><option>First</option></select>\
          <input type=radio name=r value=1><input type=radio name=r value=2 checked><input type=file name=f><button name=go>Go</button></form>";
        let form = forms(html).remove(0);
        assert!(form.multipart);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(form.as_it_stands(), [pair("a", "x <b> <i>"), pair("s", "2"), pair("t", "First"), pair("r", "2")]);
        assert_eq!(text_of("<p>Let <bdi>A</bdi>&amp;B<br>go</p><!-- x --><b>on</b>e"), "Let A&B go one");
    }
}
