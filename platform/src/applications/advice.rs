//! What reviewers would look at, looked at before the submission. It is advice: nothing here is ever in the way.

use std::time::Duration;

use super::submit::{self, MachineFinding};
use super::{Application, asked_scopes};
use crate::forms::{Answers, Form, Role};
use crate::properties::{self, Looked};
use crate::{Fault, Platform, apps};

/// How long everything together may take: a person waits.
const PATIENCE: Duration = Duration::from_secs(8);
/// Screens of a set of mockups (contract 1.10).
const SCREENS: u64 = 4;

/// Looks at everything, within a bounded time.
pub async fn advise(platform: &Platform, application: &Application) -> Result<Vec<MachineFinding>, Fault> {
    let form = platform.forms.of(&application.form);
    let answers = application.answers();
    let mut tx = platform.db.read().await?;
    let files = submit::files(&mut tx, form, &answers).await?;
    let app = apps::by_id(&mut tx, application.app_id).await?;
    drop(tx);
    let privacy = app.map(|app| app.privacy_url).unwrap_or_default();
    let mut found = Vec::new();
    found.extend(site(platform, application.owner_id, form, &answers, &privacy).await);
    found.extend(email(form, &answers));
    found.extend(scopes(platform, form, &answers));
    if let Some(field) = form.of_role(Role::Mockups) {
        let pages: u64 =
            field.uploads(&answers).iter().filter_map(|id| files.iter().find(|file| file.upload_id == *id)?.pages()).sum();
        found.extend((pages > 0).then(|| {
            if pages < SCREENS {
                finding(
                    "mockups",
                    &field.name,
                    "advice",
                    format!("The mockups have {pages} of the {SCREENS} pages that four screens usually take."),
                )
            } else {
                finding("mockups", &field.name, "good", format!("The mockups have {pages} pages."))
            }
        }));
    }
    Ok(found)
}

fn finding(kind: &str, field: &str, tone: &str, text: impl Into<String>) -> MachineFinding {
    MachineFinding { kind: kind.into(), field: field.into(), tone: tone.into(), text: text.into(), remark: String::new() }
}

/// Whether the site is live and leads to the privacy policy.
async fn site(platform: &Platform, owner_id: i64, form: &Form, answers: &Answers, privacy: &str) -> Vec<MachineFinding> {
    let Some(field) = form.of_role(Role::Website) else { return Vec::new() };
    let address = field.text(answers);
    if address.is_empty() {
        return Vec::new();
    }
    let at = |tone, text: String| finding("site", &field.name, tone, text);
    if !platform.sites.may_look(owner_id, platform.now()) {
        return vec![at("unknown", "The website was looked at often within ten minutes. Look again a little later.".into())];
    }
    let looked = match tokio::time::timeout(PATIENCE, properties::look(platform, address)).await {
        Ok(looked) => looked,
        Err(_) => return vec![at("advice", "The website did not answer in time. Reviewers must be able to open it.".into())],
    };
    if !looked.reachable {
        let why = match (&looked.status, &looked.problem) {
            (Some(status), _) => format!("it answers with the status {status}"),
            (None, Some(found)) => trouble(found.problem).to_owned(),
            (None, None) => "there is no answer".to_owned(),
        };
        let why = why.trim_end_matches('.');
        return vec![at("advice", format!("The website could not be opened: {why}. Reviewers must be able to open it."))];
    }
    let mut found = vec![at("good", "The website answers.".into())];
    if is_placeholder(&looked) {
        let text = "The website reads like one that is not finished. Reviewers need one that shows what you do.";
        found.push(at("advice", text.into()));
    }
    let text = "No link to a privacy policy was found on the website's first page. People must find it without opening a menu.";
    found.push(if leads_to_policy(&looked, privacy) {
        finding("policy", &field.name, "good", "The website links to a privacy policy.")
    } else {
        finding("policy", &field.name, "advice", text)
    });
    found
}

fn trouble(problem: properties::Problem) -> &'static str {
    use properties::Problem;
    match problem {
        Problem::TooLong => "its first page is too long",
        Problem::TooSlow => "it took too long",
        Problem::Elsewhere => "it leads from one address to the next without an end",
        Problem::NotPublic => "its host is not on the public Internet",
        Problem::NoConnection => "there is no connection, or no valid certificate",
        _ => "its name is not found, or nothing useful is answered",
    }
}

/// The words by which holding pages say that they are one.
fn is_placeholder(looked: &Looked) -> bool {
    let words = format!("{} {}", looked.title, looked.text).to_lowercase();
    let holding = ["coming soon", "under construction", "domain is parked", "buy this domain", "lorem ipsum"];
    holding.iter().any(|holding| words.contains(holding))
}

/// Whether a page links to the policy that the app names, or to one that calls itself so.
fn leads_to_policy(looked: &Looked, privacy: &str) -> bool {
    let calls_itself = |link: &properties::Link| {
        let words = format!("{} {}", link.words, link.url).to_lowercase();
        ["privacy", "data protection", "data-protection", "datenschutz"].iter().any(|policy| words.contains(policy))
    };
    (!privacy.is_empty() && looked.links_to(privacy)) || looked.links.iter().any(calls_itself)
}

/// Whether the contact writes from the organisation's domain.
fn email(form: &Form, answers: &Answers) -> Option<MachineFinding> {
    let field = form.of_role(Role::ContactEmail)?;
    let (_, domain) = field.text(answers).rsplit_once('@')?;
    let site = url::Url::parse(form.answer(answers, Role::Website)).ok()?;
    let (mail, site) = (registrable(domain)?, registrable(site.host_str()?)?);
    Some(if mail == site {
        finding("email", &field.name, "good", format!("The mail address is at the website's domain, {site}."))
    } else {
        let text = format!(
            "The mail address is at {mail} and the website at {site}. An address at the organisation's own domain shows that you write for it."
        );
        finding("email", &field.name, "advice", text)
    })
}

/// The part of a domain that somebody registered: `example.co.uk` of `www.example.co.uk`.
pub fn registrable(domain: &str) -> Option<String> {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    psl::domain_str(&domain).map(str::to_owned)
}

/// Whether the explanation speaks of each scope that was chosen.
fn scopes(platform: &Platform, form: &Form, answers: &Answers) -> Vec<MachineFinding> {
    let Some(field) = form.of_role(Role::UseCase) else { return Vec::new() };
    let text = field.text(answers).to_lowercase();
    if text.is_empty() {
        return Vec::new();
    }
    let mut silent: Vec<String> = Vec::new();
    for scope in asked_scopes(answers) {
        let family = wire::Scope::parse(&scope).map(|scope| scope.family().to_owned()).unwrap_or_else(|_| scope.clone());
        let category = platform.catalogue.categories().iter().find(|category| category.scope == family);
        let title = category.map(|category| category.title.best("en").to_lowercase()).unwrap_or_default();
        let short = family.trim_start_matches("portability.").to_lowercase();
        // The scope's name, or most words of what people read about it.
        let words: Vec<&str> =
            title.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3 && *word != "your").collect();
        let spoken = text.contains(&family.to_lowercase())
            || text.contains(&short)
            || (!words.is_empty() && words.iter().all(|word| text.contains(word.trim_end_matches('s'))))
            || (short == "all" && ["everything", "all data", "all of"].iter().any(|words| text.contains(words)));
        let name = category.map_or(family.as_str(), |category| category.title.best("en")).to_owned();
        if !spoken && !silent.contains(&name) {
            silent.push(name);
        }
    }
    vec![if silent.is_empty() {
        finding("scopes", &field.name, "good", "The explanation speaks of each scope.")
    } else {
        let text = format!("The explanation does not seem to speak of: {}. Each scope needs a reason.", silent.join(", "));
        finding("scopes", &field.name, "advice", text)
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_compared_by_who_registered_them() {
        assert_eq!(registrable("www.replay.example.co.uk").as_deref(), Some("example.co.uk"));
        assert_eq!(registrable("mail.replay.example").as_deref(), Some("replay.example"));
        assert_eq!(registrable("co.uk"), None);
        assert_ne!(registrable("a.github.io"), registrable("b.github.io"));
    }

    #[test]
    fn a_link_to_the_policy_is_found() {
        let page = |url: &str, words: &str| Looked {
            links: vec![properties::Link { url: url.into(), words: words.into() }],
            text: "Our privacy matters".into(),
            ..Looked::default()
        };
        assert!(leads_to_policy(&page("https://replay.example/legal/", "Legal"), "https://replay.example/legal"));
        assert!(leads_to_policy(&page("https://replay.example/x", "Our Privacy Policy"), ""));
        assert!(!leads_to_policy(&page("https://replay.example/about", "About"), "https://replay.example/legal"));
        assert!(!leads_to_policy(&Looked::default(), ""));
    }
}
