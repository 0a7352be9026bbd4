//! An app's details line by line, for pages that show them, compare two of them, or tell what a change would do.

use platform::apps::{AppDetails, PlatformKind, Product};

use crate::pages::parts::Row;

/// One field as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it is called.
    pub(crate) label: &'static str,
    /// What it says; several values a line each.
    pub(crate) text: String,
    /// Whether it is an address that may be linked to.
    pub(crate) link: bool,
}

/// A product as pages name it.
pub(crate) fn product_words(product: Product) -> &'static str {
    match product {
        Product::Login => "Login Kit",
        Product::Webhooks => "Webhooks",
        Product::Portability => "Data Portability API",
    }
}

/// A platform as pages name it.
pub(crate) fn platform_words(platform: PlatformKind) -> &'static str {
    match platform {
        PlatformKind::Web => "Web",
        PlatformKind::Desktop => "Desktop",
        PlatformKind::Android => "Android",
        PlatformKind::Ios => "iOS",
    }
}

/// The fields of an app, in the order of its pages; those of platforms and products that are not chosen are left out.
pub(crate) fn of(details: &AppDetails) -> Vec<Line> {
    let line = |label, text: &str| Line { label, text: text.to_owned(), link: false };
    let link = |label, text: &str| Line { label, text: text.to_owned(), link: true };
    let mut lines = vec![
        line("Name", &details.name),
        line("Category", &details.category),
        line("Description", &details.description),
        line("Icon", &details.icon_upload.map(|id| format!("File {id}")).unwrap_or_default()),
        link("Terms of service", &details.terms_url),
        link("Privacy policy", &details.privacy_url),
        line("Platforms", &details.platforms.iter().map(|it| platform_words(*it)).collect::<Vec<_>>().join(", ")),
    ];
    if details.runs_on(PlatformKind::Web) {
        lines.push(link("Website", &details.web.url));
    }
    if details.runs_on(PlatformKind::Desktop) {
        lines.push(link("Website of the desktop app", &details.desktop.url));
    }
    if details.runs_on(PlatformKind::Android) {
        lines.push(line("Android package", &details.android.package));
        lines.push(link("Play Store", &details.android.store_url));
        lines.push(line("App signature (MD5)", &details.android.signature_md5));
        lines.push(line("Signing certificate (SHA-256)", &details.android.certificate_sha256));
    }
    if details.runs_on(PlatformKind::Ios) {
        lines.push(link("App Store", &details.ios.store_url));
        lines.push(line("Bundle ID", &details.ios.bundle_id));
    }
    lines.push(line("Products", &details.products.iter().map(|it| product_words(*it)).collect::<Vec<_>>().join(", ")));
    if details.has(Product::Login) {
        for platform in &details.platforms {
            let label = match platform {
                PlatformKind::Web => "Redirect URIs, web",
                PlatformKind::Desktop => "Redirect URIs, desktop",
                PlatformKind::Android => "Redirect URIs, Android",
                PlatformKind::Ios => "Redirect URIs, iOS",
            };
            lines.push(line(label, &details.redirects_of(*platform).join("\n")));
        }
        lines.push(line("User info scopes", &details.login_scopes().join("\n")));
    }
    if details.has(Product::Webhooks) {
        lines.push(line("Webhook address", &details.webhook_url));
    }
    lines.push(line("Demo videos", &details.videos.iter().map(|id| format!("File {id}")).collect::<Vec<_>>().join("\n")));
    lines
}

/// The fields in which two differ: label, before, after.
pub(crate) fn differences(before: &[Line], after: &[Line]) -> Vec<(&'static str, String, String)> {
    let text = |lines: &[Line], label: &str| {
        lines.iter().find(|line| line.label == label).map(|line| line.text.clone()).unwrap_or_default()
    };
    let mut labels: Vec<&'static str> = after.iter().map(|line| line.label).collect();
    labels.extend(before.iter().map(|line| line.label).filter(|label| !after.iter().any(|line| line.label == *label)));
    let found = labels.into_iter().map(|label| (label, text(before, label), text(after, label)));
    found.filter(|(_, before, after)| before != after).collect()
}

/// The lines as rows of a summary.
pub(crate) fn rows(lines: &[Line]) -> Vec<Row> {
    let row = |line: &Line| {
        let row = Row::new(line.label);
        if line.link && !line.text.is_empty() { row.link(&line.text, &line.text) } else { row.text(&line.text) }
    };
    lines.iter().map(row).collect()
}
