//! The pages' promises: what outsiders write stays text, and the forms keep the names others rely on.

use super::brand::{contrast, parse};
use super::*;
use crate::pages::provider::{Button, Ending, SignedOutPage, StopPage};
use crate::pages::sessions::{Entry, SessionsPage};

const HOSTILE: &str = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'>";

fn text(value: &str) -> String {
    value.to_owned()
}

fn hostile_app() -> App {
    App {
        name: text(HOSTILE),
        icon_url: Some(text("javascript:alert(1)")),
        description: text(HOSTILE),
        organisation: Some(text(HOSTILE)),
        terms_url: Some(text("javascript:alert(1)")),
        privacy_url: Some(text("https://app.example/\"onmouseover=alert(1)")),
    }
}

fn shell(name: &str) -> Shell {
    let brand = Brand {
        name: text(name),
        logo_url: Some(text("//elsewhere.example/logo.png")),
        legal: vec![(text(name), text("javascript:alert(1)"))],
        support: Some((text(name), text("mailto:help@clips.example"))),
    };
    Shell { brand: Arc::new(brand), banner: Some(text(name)), signed_in: Some(text(name)), root: "" }
}

fn scope(name: &str, term: Term) -> ScopeChoice {
    ScopeChoice {
        name: text(name),
        title: text("Your activity"),
        holds: vec![(text(""), text("What you watched"))],
        term,
        sensitive: true,
    }
}

fn consent(scopes: Vec<ScopeChoice>) -> ConsentPage {
    ConsentPage {
        shell: shell("Clips"),
        ticket: text("ticket-1"),
        not_you: text("/login?next=%2F"),
        app: App { name: text("Replay"), ..App::default() },
        return_host: text("replay.example"),
        scopes,
        ends: Some(Moment { iso: text("2027-05-21T10:00:00Z"), words: text("21 May 2027") }),
        archive_life: text("4 days"),
    }
}

fn html(page: &impl Template) -> String {
    page.render().expect("a page of plain data renders")
}

fn inputs<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let mark = format!("name=\"{name}\"");
    page.split('<').filter(|tag| (tag.starts_with("input") || tag.starts_with("button")) && tag.contains(&mark)).collect()
}

#[test]
fn what_outsiders_write_stays_text() {
    let moment = Moment::day(Timestamp::UNIX_EPOCH);
    let hostile_scope =
        ScopeChoice { holds: vec![(text(HOSTILE), text(HOSTILE)); 2], title: text(HOSTILE), ..scope(HOSTILE, Term::Once) };
    let connection = Connection {
        app: hostile_app(),
        grant: text(HOSTILE),
        consents: vec![Consent {
            since: moment.clone(),
            until: None,
            scopes: vec![GrantedScope { title: text(HOSTILE), text: text(HOSTILE), term: Term::Once, used: false }],
        }],
        requests: vec![OpenRequest { asked: moment, what: text(HOSTILE), ready_until: None, held: false }],
        ..Connection::default()
    };
    let pages = [
        html(&SignInPage {
            shell: shell(HOSTILE),
            next: text("javascript:alert(1)"),
            app: Some(hostile_app()),
            username: text(HOSTILE),
            problem: Some(SignInProblem::Wrong),
            notice: Some(text(HOSTILE)),
            provider: None,
            people: vec![SandboxPerson {
                username: text(HOSTILE),
                name: text(HOSTILE),
                size: text(HOSTILE),
                region: text(HOSTILE),
            }],
        }),
        html(&SignInPage {
            shell: shell(HOSTILE),
            next: text("/connections"),
            app: Some(hostile_app()),
            username: String::new(),
            problem: None,
            notice: None,
            provider: Some(Button { name: text(HOSTILE), path: text(HOSTILE) }),
            people: Vec::new(),
        }),
        html(&StopPage { shell: shell(HOSTILE), ending: Ending::Failed, again: text(HOSTILE), log_id: text(HOSTILE) }),
        html(&SignedOutPage { shell: shell(HOSTILE), name: text(HOSTILE), onward: text(HOSTILE) }),
        html(&SessionsPage {
            shell: shell(HOSTILE),
            sessions: vec![Entry {
                id: text(HOSTILE),
                device: text(HOSTILE),
                since: Moment { iso: text(HOSTILE), words: text(HOSTILE) },
                seen: Moment { iso: text(HOSTILE), words: text(HOSTILE) },
                own: false,
            }],
            done: None,
        }),
        html(&ConsentPage {
            shell: shell(HOSTILE),
            ticket: text(HOSTILE),
            app: hostile_app(),
            return_host: text(HOSTILE),
            archive_life: text(HOSTILE),
            ..consent(vec![hostile_scope])
        }),
        html(&OAuthErrorPage {
            shell: shell(HOSTILE),
            app_name: Some(text(HOSTILE)),
            error: text(HOSTILE),
            faults: vec![ParameterFault { parameter: text(HOSTILE), problem: text(HOSTILE), cure: text(HOSTILE) }],
            log_id: text(HOSTILE),
        }),
        html(&ConnectionsPage { shell: shell(HOSTILE), withdrawn: Some(text(HOSTILE)), connections: vec![connection] }),
        html(&ProblemPage { shell: shell(HOSTILE), problem: Problem::NotFound, log_id: text(HOSTILE) }),
        html(&HomePage {
            shell: shell(HOSTILE),
            categories: vec![(text(HOSTILE), text(HOSTILE))],
            eligible: Some(text(HOSTILE)),
            developer_links: vec![(text(HOSTILE), text("javascript:alert(1)"))],
        }),
        html(&CallbackPage {
            shell: shell(HOSTILE),
            allowed: true,
            parameters: vec![(text(HOSTILE), text(HOSTILE))],
            next_command: Some(text(HOSTILE)),
        }),
    ];
    for page in pages {
        assert!(page.contains("&#60;script"), "the name is on the page, as text");
        for forbidden in ["<script", "<img src=x", "javascript:", "style=", "\"onmouseover", "//elsewhere"] {
            assert!(!page.contains(forbidden), "{forbidden} in {page}");
        }
        assert_eq!(page.matches("</title>").count(), 1);
    }
}

#[test]
fn consent_posts_what_is_fixed() {
    let page = html(&consent(vec![
        scope("portability.activity.single", Term::Once),
        scope("portability.activity.ongoing", Term::Ongoing),
    ]));
    assert_eq!(page.matches("<form").count(), 1, "one form");
    let scopes = inputs(&page, "scope");
    assert_eq!(scopes.len(), 3);
    assert!(scopes[0].contains("type=\"hidden\"") && scopes[0].contains("value=\"user.info.basic\""));
    assert!(scopes[1].contains("type=\"checkbox\"") && scopes[1].contains("value=\"portability.activity.single\""));
    assert!(scopes[2].contains("type=\"checkbox\"") && scopes[2].contains("value=\"portability.activity.ongoing\""));
    assert!(!page.contains(" checked"), "nothing is chosen beforehand");
    assert!(page.contains("action=\"/consent?ticket=ticket-1\""));
    assert!(page.contains("One copy, then this permission is used up."));
    assert!(page.contains("21 May 2027"));
}

#[test]
fn the_two_decisions_weigh_the_same() {
    let page = html(&consent(vec![scope("portability.activity.single", Term::Once)]));
    let decisions = inputs(&page, "decision");
    assert_eq!(decisions.len(), 2);
    let bare: Vec<String> = decisions
        .iter()
        .map(|tag| tag.split('>').next().unwrap_or_default().replace("\"allow\"", "").replace("\"deny\"", ""))
        .collect();
    assert_eq!(bare[0], bare[1], "the buttons differ in their value only");
    assert!(decisions[0].contains("value=\"deny\"") && decisions[1].contains("value=\"allow\""));
}

#[test]
fn the_question_fits_what_is_asked() {
    assert_eq!(consent(vec![scope("a", Term::Once)]).question(), "Let Replay export your data from Clips?");
    assert_eq!(consent(vec![scope("a", Term::Connected)]).question(), "Let Replay see your Clips profile?");
    assert_eq!(consent(vec![]).question(), "Sign in to Replay with your Clips account?");
    let basic = html(&consent(vec![]));
    assert!(!basic.contains("switched on"), "nothing to switch, no word of switches");
}

#[test]
fn sign_in_posts_what_is_fixed() {
    let page = SignInPage {
        shell: Shell { signed_in: None, ..shell("Clips") },
        next: text("/consent?ticket=a&b=c"),
        app: None,
        username: text("ana"),
        problem: Some(SignInProblem::Limited { minutes: 1 }),
        notice: None,
        provider: None,
        people: Vec::new(),
    };
    let shown = html(&page);
    assert_eq!(shown.matches("<form").count(), 1);
    for name in ["username", "password", "next"] {
        assert_eq!(inputs(&shown, name).len(), 1, "{name}");
    }
    assert!(shown.contains("Wait 1 minute, then"));
    assert!(inputs(&shown, "next")[0].contains("value=\"/consent?ticket=a&#38;b=c\""));
    let elsewhere = html(&SignInPage { next: text("//elsewhere.example"), ..page });
    assert!(inputs(&elsewhere, "next")[0].contains("value=\"/connections\""));
}

#[test]
fn withdrawing_is_one_press_for_each_app() {
    let connection = |name: &str, grant: &str| Connection {
        app: App { name: text(name), ..App::default() },
        grant: text(grant),
        consents: vec![Consent::default(), Consent::default()],
        ..Connection::default()
    };
    let connections = vec![connection("Replay", "7"), connection("Memory", "8")];
    let page = html(&ConnectionsPage { shell: shell("Clips"), withdrawn: None, connections });
    assert_eq!(page.matches("action=\"/connections/withdraw\"").count(), 2);
    let grants = inputs(&page, "grant");
    assert!(grants[0].contains("value=\"7\"") && grants[1].contains("value=\"8\""));
}

#[test]
fn addresses_that_could_run_or_lead_astray_are_refused() {
    for good in ["https://a.example/x?y=1#z", "HTTP://a.example"] {
        assert_eq!(safe_url(good), Some(good));
    }
    for bad in [
        "",
        "javascript:alert(1)",
        " https://a.example",
        "java\nscript:x",
        "data:text/html,x",
        "/path",
        "https:/a",
        "https://a b",
        "htté",
    ] {
        assert_eq!(safe_url(bad), None, "{bad}");
    }
    for good in ["/assets/logo.svg", "https://a.example/i.png", "data:image/png;base64,AAAA"] {
        assert_eq!(safe_image(good), Some(good));
    }
    for bad in ["//a.example/i.png", "http://a.example/i.png", "data:text/html,x", ""] {
        assert_eq!(safe_image(bad), None, "{bad}");
    }
    for bad in ["", "login", "//a.example", "/\\a.example", "/\t/a.example", "https://a.example"] {
        assert_eq!(local_path(bad), None, "{bad}");
    }
    assert_eq!(local_path("/"), Some("/"));
    assert_eq!(operator_link("mailto:help@a.example"), Some("mailto:help@a.example"));
    assert_eq!(operator_link("javascript:alert(1)"), None);
}

#[test]
fn any_accent_becomes_readable() {
    let written = |css: &str| -> Vec<[u8; 3]> { css.split(['(', ',', ')']).filter_map(|part| parse(part.trim())).collect() };
    let channels = [0x00, 0x33, 0x66, 0x80, 0x99, 0xcc, 0xff];
    for r in channels {
        for g in channels {
            for b in channels {
                let css = brand_css(&format!("#{r:02x}{g:02x}{b:02x}")).expect("a colour");
                let [light, dark, on_light, on_dark] = written(&css)[..] else { panic!("four colours in {css}") };
                assert!(contrast(light, [0xf3, 0xf5, 0xf4]) >= 5.5, "{css}");
                assert!(contrast(dark, [0x1b, 0x23, 0x22]) >= 7.5, "{css}");
                assert!(contrast(light, on_light) >= 4.5 && contrast(dark, on_dark) >= 4.5, "{css}");
            }
        }
    }
    assert!(brand_css(DEFAULT_ACCENT).is_some_and(|css| css.contains(DEFAULT_ACCENT)), "a colour that reads well is kept");
    for bad in ["", "teal", "#12", "#12345g", "#1234567", "#fff;}", "#ééé"] {
        assert_eq!(brand_css(bad), None, "{bad}");
    }
}

#[test]
fn letters_stand_in_for_icons() {
    assert_eq!(monogram("Replay studio deluxe"), "RS");
    assert_eq!(monogram("  élan"), "É");
    assert_eq!(monogram("<b>"), "B");
    assert_eq!(monogram("!!!"), "\u{2022}");
    assert_eq!(monogram(""), "\u{2022}");
}

#[test]
fn every_refusal_has_its_page() {
    for status in [400, 403, 404, 405, 413, 415, 429, 500, 503] {
        assert_eq!(Problem::of_status(status).status(), status);
    }
    assert_eq!(Problem::of_status(418).status(), 400);
    assert_eq!(Problem::of_status(502).status(), 500);
}

#[test]
fn moments_are_written_for_people() {
    let at: Timestamp = "2026-05-03T14:05:59Z".parse().expect("a time stamp");
    assert_eq!(Moment::day(at).words, "3 May 2026");
    assert_eq!(Moment::minute(at).words, "3 May 2026, 14:05 UTC");
    assert_eq!(Moment::minute(at).iso, "2026-05-03T14:05:59Z");
}
