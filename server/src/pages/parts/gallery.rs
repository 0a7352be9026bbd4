//! Every part on three pages, with calm words and with hostile ones. With `PORTWARD_GALLERY=folder`, the pages are left there to be
//! looked at, beside the stylesheets.

use std::sync::Arc;

use askama::Template;

use super::diff::Diff;
use super::*;
use crate::pages::frame::Frame;
use crate::pages::view::{Brand, Shell, brand_css};

const HOSTILE: &str = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'>";

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"{% extends "portal.html" %}{% block title %}Error: Details{% endblock %}{% block width %}form{% endblock %}{% block main %}
{{ form.errors() }}
<div class="page-head"><h1>Details of <bdi>{{ name }}</bdi></h1><p class="lead">What people see on the consent page, and what reviewers read.</p></div>
<form class="card stack" method="post" action="/developers/apps/1/details">
  {{ form.text("name", "App name").max(50).help("As people know it.") }}
  {{ form.area("description", "Description").max(120).rows(3).purpose("It stands on the consent page.") }}
  {{ form.select("category", "Category", self.choices) }}
  {{ form.url("privacy", "Privacy policy").optional() }}
  {{ form.text("site", "Web site").optional() }}
  {{ form.radios("kind", "Kind of client", self.choices) }}
  {{ form.checks("platforms", "Platforms", self.choices).help("Choose all that apply.") }}
  {{ form.file("icon", "Icon", ".png,.jpg").help("PNG or JPEG, 1024 by 1024, at most 5 MB.") }}
  {{ form.password("password", "Password", "current-password") }}
  {{ form.code("code", "Code") }}
  {{ form.date("day", "Day") }}
  {{ form.check("terms", "I have read the terms of the programme") }}
  <div class="form-actions"><button class="button primary" type="submit">Save</button><a href="/developers/apps">Cancel</a></div>
</form>
<section class="danger-zone" aria-labelledby="delete"><h2 id="delete">Delete this app</h2><p>Its credentials stop working at once. This cannot be undone.</p><form method="post" action="/x"><button class="button danger">Delete <bdi>{{ name }}</bdi></button></form></section>
{% endblock %}"#
)]
struct FormPage {
    shell: Frame,
    name: String,
    form: Form,
    choices: Vec<Choice>,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"{% extends "portal.html" %}{% block title %}Parts{% endblock %}{% block main %}
<div class="title-bar"><div><p class="crumbs"><a class="back" href="/developers/apps">Manage apps</a></p><h1><bdi>{{ name }}</bdi></h1></div><div class="actions"><a class="button" href="/x">{{ Icon("pen") }}Create revision</a><a class="button primary" href="/y">Submit for review</a></div></div>
<section aria-labelledby="check"><h2 id="check">Before the API answers</h2>{{ checklist }}</section>
<section aria-labelledby="tasks"><h2 id="tasks">Your application</h2>{{ steps }}{{ tasks }}</section>
<section class="card" aria-labelledby="sum"><div class="card-head"><h2 id="sum">Credentials</h2>{{ Badge::new(Tone::Good, "Live") }}</div>{{ summary }}{{ Copy::line("Client key", name) }}{{ Copy::block("Fetch a token", "curl -X POST https://api.example/v2/oauth/token/ \\\n  -d client_key=aw1234567890abcd -d client_secret=… -d grant_type=authorization_code -d code=CODE") }}</section>
<section aria-labelledby="time"><h2 id="time">History</h2>{{ timeline }}</section>
{{ Notice::info("Usually decided in 10 working days.").text("The limit is 20.") }}
{{ Notice::warn("Answer by 3 December.") }}
{{ Notice::danger("The mail could not be sent.") }}
<section aria-labelledby="thread"><h2 id="thread">Messages</h2>{{ thread }}</section>
{{ tabs }}
{{ empty }}
{{ confirmation }}
{{ diff }}
{{ pager }}
{% endblock %}"#
)]
struct PartsPage {
    shell: Frame,
    name: String,
    checklist: Checklist,
    steps: Steps,
    tasks: Tasks,
    summary: Summary,
    timeline: Timeline,
    thread: Thread,
    tabs: Tabs,
    empty: Empty,
    confirmation: Confirmation,
    diff: Diff,
    pager: Pager,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"{% extends "console.html" %}{% block title %}Applications{% endblock %}{% block main %}
<div class="title-bar"><div><h1>Applications</h1><p class="lead">The next decision is due in 3 working days.</p></div></div>
<dl class="numbers"><div><dt>Waiting for you</dt><dd>4</dd></div><div><dt>Unassigned</dt><dd>12</dd></div><div><dt>Late</dt><dd>1</dd></div><div><dt>Decided in 30 days</dt><dd>37</dd></div></dl>
<form class="filters" method="get" action="/console/applications" role="search">
  {{ form.text("q", "Search") }}{{ form.select("state", "State", self.choices) }}<button class="button">Filter</button>
</form>
<div class="scroll" tabindex="0" role="group" aria-labelledby="queue"><table class="table dense">
<caption class="hidden" id="queue">Applications by due date</caption>
<thead><tr><th scope="col">Application</th><th scope="col">Organisation</th><th scope="col">Scopes</th><th scope="col">State</th><th scope="col">Assigned</th><th scope="col">Due</th></tr></thead>
<tbody>{% for badge in badges %}<tr><th scope="row"><a class="row" href="/console/applications/{{ loop.index }}"><bdi>{{ name }}</bdi></a></th><td><bdi>{{ name }} GmbH</bdi></td><td>Activity, Posts</td><td>{{ badge }}</td><td>Ada</td><td class="nowrap"><span class="late">2 days late</span></td></tr>{% endfor %}</tbody>
</table></div>
<div class="case"><div class="case-main"><section class="card"><h2>Answers</h2>{{ summary }}</section></div><div class="case-aside"><section class="card"><h2>Decide</h2>{{ form.radios("outcome", "Your activity", self.choices) }}{{ form.area("text", "Message to the applicant") }}<button class="button primary wide">Decide</button></section><section class="card"><h2>History</h2>{{ timeline }}</section></div></div>
{% endblock %}"#
)]
struct ConsolePage {
    shell: Frame,
    name: String,
    form: Form,
    choices: Vec<Choice>,
    badges: Vec<Badge>,
    summary: Summary,
    timeline: Timeline,
}

fn shell(name: &str) -> Shell {
    let brand = Brand { name: name.to_owned(), ..Brand::default() };
    Shell { brand: Arc::new(brand), banner: Some(format!("{name}: a development server")), ..Shell::default() }
}

fn pages(word: &str) -> [(&'static str, String); 3] {
    let text = || word.to_owned();
    let at = Moment { iso: "2026-11-22T10:00:00Z".into(), words: "22 November 2026, 10:00 UTC".into() };
    let link = || Some(("Open".to_owned(), "/x".to_owned()));
    let mut form = Form::new();
    form.set("name", word).set("description", "Shows what you watched, month by month. ".repeat(4)).add("platforms", "b");
    form.wrong("name", format!("{word} is taken")).wrong("description", "The description is too long");
    form.wrong("kind", "Choose one").wrong("terms", "Accept the terms").wrong("icon", "Choose a file");
    let choices = vec![
        Choice::new("a", word),
        Choice::new("b", "Confidential").help("A server that can keep a secret."),
        Choice::new("c", "Public"),
    ];
    let tones = [Tone::Draft, Tone::Waiting, Tone::Action, Tone::Good, Tone::Bad, Tone::Off, Tone::Plain];
    let summary = Summary(vec![
        Row::new("App name").text(word).change("/change"),
        Row::new("Client key").code(word),
        Row::new("Privacy policy").link(word, "https://replay.example/privacy").change("/change"),
        Row::new("Bad link").link(word, "javascript:alert(1)"),
        Row::new("Web site").change("/change").note("Needed before app review."),
        Row::new("Submitted").at(at.clone()).badge(Badge::new(Tone::Waiting, "In review")),
    ]);
    let timeline = Timeline(
        tones
            .iter()
            .map(|tone| Event { at: at.clone(), title: text(), who: text(), text: text(), tone: *tone, link: link() })
            .collect(),
    );
    let check = |tone, state: &str, whose: &str| Check {
        tone,
        state: state.into(),
        title: text(),
        text: "A sentence about what is missing and what happens next.".into(),
        whose: whose.into(),
        link: link(),
    };
    let badge = |tone| Badge::new(tone, word);
    let parts = PartsPage {
        shell: Frame::sample(shell(word), word, "apps", false).sample_of_app(word).done(Some(word)),
        name: text(),
        checklist: Checklist(vec![
            check(Tone::Good, "Done", ""),
            check(Tone::Action, "To do", "Your move"),
            check(Tone::Waiting, "In review", "Our move"),
            check(Tone::Bad, "Refused", "Your move"),
            Check { link: None, ..check(Tone::Off, "Not yet", "") },
        ]),
        steps: Steps { steps: vec![(text(), Some("/1".into())), (text(), None), ("Check your answers".into(), None)], at: 1 },
        tasks: Tasks(
            tones
                .iter()
                .map(|tone| Task { title: text(), path: Some("/task".into()), hint: text(), badge: badge(*tone) })
                .collect(),
        ),
        summary: summary.clone(),
        timeline: timeline.clone(),
        thread: Thread(vec![
            Comment { who: text(), at: at.clone(), text: text(), files: vec![(text(), "/f".into())], ..Comment::default() },
            Comment { who: "You".into(), at: at.clone(), text: "One.\nTwo.".into(), own: true, ..Comment::default() },
            Comment { who: text(), at, text: text(), badge: Some(badge(Tone::Plain)), internal: true, ..Comment::default() },
        ]),
        tabs: Tabs {
            label: text(),
            tabs: vec![
                Tab { label: text(), path: "/1".into(), count: Some(12), current: true },
                Tab { label: "Closed".into(), path: "/2".into(), ..Tab::default() },
            ],
        },
        empty: Empty { title: text(), text: text(), link: link() },
        confirmation: Confirmation { title: text(), reference: text(), text: text() },
        diff: Diff::of("we keep it for a year", &format!("we keep {word} for ninety days")),
        pager: Pager { newer: Some("/newer".into()), older: Some("/older".into()) },
    };
    let form_page = FormPage {
        shell: Frame::sample(shell(word), word, "apps", false).sample_of_app(word),
        name: text(),
        form: form.clone(),
        choices: choices.clone(),
    };
    let console = ConsolePage {
        shell: Frame::sample(shell(word), word, "applications", true),
        name: text(),
        form: Form::new(),
        choices,
        badges: tones.into_iter().map(badge).collect(),
        summary,
        timeline,
    };
    let html = |page: Result<String, askama::Error>| page.expect("a page of plain data renders");
    [("parts", html(parts.render())), ("form", html(form_page.render())), ("console", html(console.render()))]
}

#[test]
fn what_outsiders_write_stays_text_in_every_part() {
    for (name, html) in pages(HOSTILE) {
        for bad in ["<script", "<img src=x", "javascript:", "onerror=alert(1)>\""] {
            assert!(!html.contains(bad), "{name} holds {bad}");
        }
        assert!(!html.contains(" style="), "{name} has an inline style, which the policy forbids");
    }
}

#[test]
fn every_field_has_a_label_and_every_error_leads_to_its_field() {
    let (_, html) = pages("Replay").into_iter().find(|(name, _)| *name == "form").expect("the page of the form");
    for field in ["name", "description", "category", "privacy", "kind", "platforms", "icon", "password", "code", "day", "terms"] {
        assert!(html.contains(&format!("id=\"{field}\"")), "{field} has no id");
        assert!(html.contains(&format!("for=\"{field}\"")), "{field} has no label");
    }
    for wrong in ["name", "description", "kind", "terms", "icon"] {
        assert!(html.contains(&format!("href=\"#{wrong}\"")), "the summary does not lead to {wrong}");
        assert!(html.contains(&format!("id=\"{wrong}-error\"")), "{wrong} has no error");
    }
    assert!(html.contains("160 characters, 40 too many."), "the counter");
}

#[test]
fn a_gallery_to_look_at() {
    let Some(folder) = std::env::var_os("PORTWARD_GALLERY").map(std::path::PathBuf::from) else { return };
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("the folder can be written");
    for (name, html) in pages("Replay") {
        write(&format!("{name}.html"), &html.replace("/assets/", ""));
    }
    write("portward.css", include_str!("../../../assets/portward.css"));
    write("portal.css", include_str!("../../../assets/portal.css"));
    write("brand.css", &brand_css("#0a6a6e").unwrap_or_default());
}
