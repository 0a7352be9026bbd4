//! What a developer writes about an app (contract 1.4), and what is wrong with it. A draft may hold anything; only its submission needs it to be
//! without a flaw.

use serde::{Deserialize, Serialize};
use url::Url;

use super::RedirectUri;
use crate::Platform;
use crate::db::words;

words! {
    /// Where an app runs.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    PlatformKind {
        /// In browsers.
        Web = "web",
        /// On computers.
        Desktop = "desktop",
        /// On Android devices.
        Android = "android",
        /// On Apple's phones and tablets.
        Ios = "ios",
    }
}

words! {
    /// What an app is given to work with.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    Product {
        /// People sign in to it and consent.
        Login = "login",
        /// It is told of events.
        Webhooks = "webhooks",
        /// It asks for people's data.
        Portability = "portability",
    }
}

/// An app's fields as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppDetails {
    /// Shown to people.
    pub name: String,
    /// One of the operator's list.
    pub category: String,
    /// Shown on the consent page.
    pub description: String,
    /// The picture.
    pub icon_upload: Option<i64>,
    /// Its terms.
    pub terms_url: String,
    /// Its privacy policy.
    pub privacy_url: String,
    /// Where it runs.
    pub platforms: Vec<PlatformKind>,
    /// In browsers.
    pub web: Site,
    /// On computers.
    pub desktop: Site,
    /// On Android devices.
    pub android: Android,
    /// On Apple's devices.
    pub ios: Ios,
    /// What it works with.
    pub products: Vec<Product>,
    /// Where its events go.
    pub webhook_url: String,
    /// What it may ask of user info, beside the basic profile.
    pub user_scopes: Vec<String>,
    /// Demo videos for its review.
    pub videos: Vec<i64>,
}

/// A platform with a site: web or desktop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Site {
    /// The official website.
    pub url: String,
    /// Where people come back to after consent.
    pub redirects: Vec<String>,
}

/// Android.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Android {
    /// `com.example.app`
    pub package: String,
    /// Its page in the Play Store.
    pub store_url: String,
    /// MD5, 32 hexadecimal digits without colons.
    pub signature_md5: String,
    /// SHA-256 of the signing certificate.
    pub certificate_sha256: String,
    /// App Links.
    pub redirects: Vec<String>,
}

/// Apple's phones and tablets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ios {
    /// Its page in the App Store.
    pub store_url: String,
    /// `com.example.app`
    pub bundle_id: String,
    /// Universal Links.
    pub redirects: Vec<String>,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Which, as the page names it: `web-url`.
    pub field: &'static str,
    /// What, for the developer.
    pub text: String,
}

/// The longest name of an app.
pub const NAME_LIMIT: usize = 50;
/// The longest description.
pub const DESCRIPTION_LIMIT: usize = 120;
/// Redirect URIs of one platform (contract 1.5).
pub const REDIRECT_LIMIT: usize = 10;
/// The longest address.
const URL_LIMIT: usize = 512;

/// A value that is kept as JSON in a column of text.
macro_rules! kept_as_json {
    ($name:ty) => {
        impl<DB: sqlx::Database> sqlx::Type<DB> for $name
        where
            str: sqlx::Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <str as sqlx::Type<DB>>::type_info()
            }
            fn compatible(ty: &DB::TypeInfo) -> bool {
                <str as sqlx::Type<DB>>::compatible(ty)
            }
        }

        impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for $name
        where
            &'r str: sqlx::Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                Ok(serde_json::from_str(<&str as sqlx::Decode<DB>>::decode(value)?)?)
            }
        }
    };
}
pub(super) use kept_as_json;

kept_as_json!(AppDetails);

impl AppDetails {
    /// As it is kept.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".into())
    }

    /// Whether it runs there.
    pub fn runs_on(&self, platform: PlatformKind) -> bool {
        self.platforms.contains(&platform)
    }

    /// Whether it works with a product.
    pub fn has(&self, product: Product) -> bool {
        self.products.contains(&product)
    }

    /// The redirect URIs of a platform, as they were typed.
    pub fn redirects_of(&self, platform: PlatformKind) -> &[String] {
        match platform {
            PlatformKind::Web => &self.web.redirects,
            PlatformKind::Desktop => &self.desktop.redirects,
            PlatformKind::Android => &self.android.redirects,
            PlatformKind::Ios => &self.ios.redirects,
        }
    }

    /// The redirect URIs of the chosen platforms that may be registered.
    pub fn redirects(&self) -> Vec<RedirectUri> {
        let mut found: Vec<RedirectUri> = Vec::new();
        for platform in &self.platforms {
            for text in self.redirects_of(*platform).iter().take(REDIRECT_LIMIT) {
                if let Ok(uri) = redirect(*platform, text)
                    && !found.contains(&uri)
                {
                    found.push(uri);
                }
            }
        }
        found
    }

    /// The scopes of user info that it is to have: the basic profile comes with Login Kit.
    pub fn login_scopes(&self) -> Vec<String> {
        if !self.has(Product::Login) {
            return Vec::new();
        }
        let known = |scope: &&String| wire::UserField::ALL.iter().any(|field| field.scope == scope.as_str());
        let mut scopes = vec![wire::BASIC_SCOPE.to_owned()];
        scopes.extend(self.user_scopes.iter().filter(known).filter(|scope| *scope != wire::BASIC_SCOPE).cloned());
        scopes
    }

    /// The addresses whose ownership has to be proved before a review (contract 1.6): the field and the address.
    pub fn to_be_owned(&self) -> Vec<(&'static str, &str)> {
        let mut addresses = vec![("terms-url", self.terms_url.as_str()), ("privacy-url", self.privacy_url.as_str())];
        if self.runs_on(PlatformKind::Web) {
            addresses.push(("web-url", &self.web.url));
        }
        if self.runs_on(PlatformKind::Desktop) {
            addresses.push(("desktop-url", &self.desktop.url));
        }
        addresses.retain(|(_, address)| site(address).is_ok());
        addresses
    }

    /// Everything that is missing or wrong, field by field in the order of the pages. Ownership is not looked at.
    pub fn flaws(&self, platform: &Platform) -> Vec<Flaw> {
        let settings = &platform.settings.apps;
        let mut flaws = Flaws::default();
        flaws.note("name", name(&self.name, reserved(platform)));
        flaws.note("category", one_of(&self.category, &settings.categories));
        flaws.note("description", description(&self.description));
        if self.icon_upload.is_none() {
            flaws.add("icon", "Add an icon: 1024 by 1024 pixels, PNG or JPEG.");
        }
        flaws.note("terms-url", needed(&self.terms_url, "Give the address of the terms of service.").and_then(site));
        flaws.note("privacy-url", needed(&self.privacy_url, "Give the address of the privacy policy.").and_then(site));
        if self.platforms.is_empty() {
            flaws.add("platforms", "Choose at least one platform on which the app runs.");
        }
        if self.runs_on(PlatformKind::Web) {
            flaws.note("web-url", needed(&self.web.url, "Give the address of the official website.").and_then(site));
        }
        if self.runs_on(PlatformKind::Desktop) {
            flaws.note("desktop-url", needed(&self.desktop.url, "Give the address of the desktop app's website.").and_then(site));
        }
        if self.runs_on(PlatformKind::Android) {
            flaws.note("android-package", needed(&self.android.package, "Give the package name.").and_then(package));
            let store = needed(&self.android.store_url, "Give the app's address in the Play Store.");
            flaws.note("android-store-url", store.and_then(|address| play_store(address, &self.android.package)));
            let md5 = needed(&self.android.signature_md5, "Give the app signature: its MD5.");
            flaws.note("android-signature-md5", md5.and_then(signature));
            let sha256 = needed(&self.android.certificate_sha256, "Give the SHA-256 of the signing certificate.");
            flaws.note("android-certificate-sha256", sha256.and_then(certificate));
        }
        if self.runs_on(PlatformKind::Ios) {
            let store = needed(&self.ios.store_url, "Give the app's address in the App Store.");
            flaws.note("ios-store-url", store.and_then(app_store));
            flaws.note("ios-bundle-id", needed(&self.ios.bundle_id, "Give the bundle ID.").and_then(bundle));
        }
        if self.products.is_empty() {
            flaws.add("products", "Add at least one product.");
        }
        if self.has(Product::Portability) && !self.has(Product::Login) {
            flaws.add("products", "Add Login Kit too: it is how people are asked whether the app may have their data.");
        }
        if self.has(Product::Login) {
            self.redirect_flaws(&mut flaws);
            let known = |scope: &String| wire::UserField::ALL.iter().any(|field| field.scope == scope.as_str());
            if let Some(unknown) = self.user_scopes.iter().find(|scope| !known(scope)) {
                flaws.add("user-scopes", format!("There is no scope {unknown}."));
            }
        }
        if self.has(Product::Webhooks) {
            let address = needed(&self.webhook_url, "Give the address that events are sent to.");
            flaws.note("webhook-url", address.and_then(|text| webhook(platform, text)));
        }
        if self.videos.is_empty() && settings.require_video {
            flaws.add("videos", "Add a demo video that shows every product and scope in use, end to end.");
        }
        flaws.0
    }

    fn redirect_flaws(&self, flaws: &mut Flaws) {
        for platform in &self.platforms {
            let field = redirects_field(*platform);
            let typed = self.redirects_of(*platform);
            if typed.len() > REDIRECT_LIMIT {
                flaws.add(field, format!("A platform has at most {REDIRECT_LIMIT} redirect URIs."));
            }
            for text in typed {
                if let Err(problem) = redirect(*platform, text) {
                    flaws.add(field, format!("{text}: {problem}"));
                }
            }
        }
        if !self.platforms.is_empty() && self.platforms.iter().all(|platform| self.redirects_of(*platform).is_empty()) {
            let field = self.platforms.first().map_or("web-redirects", |platform| redirects_field(*platform));
            flaws.add(field, "Add at least one redirect URI: people come back to it after they were asked.");
        }
    }

    /// Whether a field can be put before people as it is.
    pub(super) fn is_fit(flaws: &[Flaw], field: &str) -> bool {
        flaws.iter().all(|flaw| flaw.field != field)
    }
}

/// The names that no app may carry.
fn reserved(platform: &Platform) -> impl Iterator<Item = &str> {
    let brand = std::iter::once(platform.settings.site.brand.as_str());
    brand.chain(platform.settings.apps.reserved_names.iter().map(String::as_str))
}

/// The field of a platform's redirect URIs.
pub const fn redirects_field(platform: PlatformKind) -> &'static str {
    match platform {
        PlatformKind::Web => "web-redirects",
        PlatformKind::Desktop => "desktop-redirects",
        PlatformKind::Android => "android-redirects",
        PlatformKind::Ios => "ios-redirects",
    }
}

#[derive(Default)]
struct Flaws(Vec<Flaw>);

impl Flaws {
    fn add(&mut self, field: &'static str, text: impl Into<String>) {
        self.0.push(Flaw { field, text: text.into() });
    }

    fn note(&mut self, field: &'static str, judged: Result<&str, String>) {
        if let Err(text) = judged {
            self.add(field, text);
        }
    }
}

fn needed<'a>(text: &'a str, missing: &str) -> Result<&'a str, String> {
    if text.is_empty() { Err(missing.to_owned()) } else { Ok(text) }
}

fn one_of<'a>(text: &'a str, list: &[String]) -> Result<&'a str, String> {
    let text = needed(text, "Choose the category that fits best.")?;
    if list.iter().any(|known| known == text) { Ok(text) } else { Err("Choose a category of the list.".into()) }
}

/// Whether a character changes how others read without being seen: control characters, marks of direction, and blanks of no width.
/// Joiners stay, since Persian and Hindi are written with them.
pub fn is_disguise(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether there is something to be read in a name: blanks and joiners alone show nothing.
pub(super) fn is_seen(name: &str) -> bool {
    name.chars().any(char::is_alphanumeric)
}

fn name<'a, 'b>(text: &'a str, mut reserved: impl Iterator<Item = &'b str>) -> Result<&'a str, String> {
    let text = needed(text, "Give the app's name: that of the product or website.")?;
    if text.chars().count() > NAME_LIMIT {
        return Err(format!("A name has at most {NAME_LIMIT} characters; this one has {}.", text.chars().count()));
    }
    if text.chars().any(is_disguise) {
        return Err("A name holds no control characters and no marks of direction.".into());
    }
    if !is_seen(text) {
        return Err("A name holds at least one letter or digit.".into());
    }
    if let Some(brand) = reserved.find(|brand| refers_to(text, brand)) {
        return Err(format!("A name does not refer to {brand}: people would take the app for theirs."));
    }
    Ok(text)
}

/// Whether words of a name, put together, spell another name: "Tik Tok Saver" and "TikTokSaver" refer to TikTok, "Eclipse" not to Clips.
fn refers_to(name: &str, brand: &str) -> bool {
    let brand: String = brand.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if brand.is_empty() {
        return false;
    }
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_alphanumeric() {
            let fresh = !before.is_alphanumeric() || (before.is_lowercase() && c.is_uppercase());
            if fresh || words.is_empty() {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        before = c;
    }
    (0..words.len()).any(|first| {
        let mut joined = String::new();
        words.iter().skip(first).any(|word| {
            joined.push_str(word);
            joined == brand
        })
    })
}

fn description(text: &str) -> Result<&str, String> {
    let text = needed(text, "Describe the app: people read it where they are asked.")?;
    let length = text.chars().count();
    if length > DESCRIPTION_LIMIT {
        return Err(format!("A description has at most {DESCRIPTION_LIMIT} characters; this one has {length}."));
    }
    if text.chars().any(is_disguise) {
        return Err("A description is one line without control characters and marks of direction.".into());
    }
    Ok(text)
}

/// An address on the public web, in https.
fn site(text: &str) -> Result<&str, String> {
    let bad = || Err("Give a full address that begins with https://, such as https://app.example/terms.".to_owned());
    if text.len() > URL_LIMIT {
        return Err(format!("An address has at most {URL_LIMIT} characters."));
    }
    if text.chars().any(|c| is_disguise(c) || c.is_whitespace()) {
        return bad();
    }
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.username().is_empty() && url.password().is_none() => match url.host() {
            Some(url::Host::Domain(host)) if host.contains('.') => Ok(text),
            Some(_) => Err("Give an address with a domain name: its ownership has to be proved.".into()),
            None => bad(),
        },
        _ => bad(),
    }
}

fn package(text: &str) -> Result<&str, String> {
    let segment = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let good = text.len() <= 255 && text.contains('.') && text.split('.').all(segment);
    if good { Ok(text) } else { Err("A package name reads like com.example.app.".into()) }
}

fn play_store<'a>(text: &'a str, package: &str) -> Result<&'a str, String> {
    let url = Url::parse(site(text)?).map_err(|_| "Give a full address.".to_owned())?;
    let id = url.query_pairs().find(|(name, _)| name == "id").map(|(_, value)| value.into_owned());
    if url.host_str() != Some("play.google.com") || url.path() != "/store/apps/details" || id.is_none() {
        return Err("Give the app's own page: https://play.google.com/store/apps/details?id=com.example.app.".into());
    }
    if id.as_deref() == Some(package) { Ok(text) } else { Err("The id in the address is not the package name above.".into()) }
}

fn app_store(text: &str) -> Result<&str, String> {
    let url = Url::parse(site(text)?).map_err(|_| "Give a full address.".to_owned())?;
    let digits = |part: &str| part.strip_prefix("id").is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
    let named = url.path_segments().is_some_and(|mut parts| parts.any(digits));
    if matches!(url.host_str(), Some("apps.apple.com" | "itunes.apple.com")) && named {
        return Ok(text);
    }
    Err("Give the app's own page: https://apps.apple.com/app/id123456789.".into())
}

fn bundle(text: &str) -> Result<&str, String> {
    let segment = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let good = text.len() <= 155 && text.contains('.') && text.split('.').all(segment);
    if good { Ok(text) } else { Err("A bundle ID reads like com.example.app.".into()) }
}

fn signature(text: &str) -> Result<&str, String> {
    let good = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if good { Ok(text) } else { Err("An app signature is an MD5: 32 hexadecimal digits without colons.".into()) }
}

fn certificate(text: &str) -> Result<&str, String> {
    let bare: String = text.chars().filter(|c| *c != ':').collect();
    let spaced = text.len() == 64 || text.len() == 95 && text.split(':').all(|pair| pair.len() == 2);
    let good = spaced && bare.len() == 64 && bare.bytes().all(|b| b.is_ascii_hexdigit());
    if good { Ok(text) } else { Err("A SHA-256 is 64 hexadecimal digits; colons between pairs may stay.".into()) }
}

fn webhook<'a>(platform: &Platform, text: &'a str) -> Result<&'a str, String> {
    if text.len() > URL_LIMIT {
        return Err(format!("An address has at most {URL_LIMIT} characters."));
    }
    platform.outbound.admit(text).map(|_| text).map_err(|refusal| format!("Events cannot be sent there: {refusal}."))
}

/// A redirect URI as its platform takes it (contract 1.5).
fn redirect(platform: PlatformKind, text: &str) -> Result<RedirectUri, String> {
    let uri = RedirectUri::parse(text).map_err(|bad| bad.to_string())?;
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let loopback = matches!(host, "localhost" | "127.0.0.1");
    match platform {
        PlatformKind::Web if scheme != "https" => Err("a redirect URI of a website begins with https://".into()),
        PlatformKind::Web if port == Some("*") => Err("a redirect URI of a website names its port, or none".into()),
        PlatformKind::Desktop if !loopback => {
            Err("a redirect URI of a desktop app leads to localhost or 127.0.0.1, such as http://127.0.0.1:*/callback/".into())
        }
        PlatformKind::Desktop if port.is_none() => Err("a redirect URI of a desktop app names a port, or * for any".into()),
        PlatformKind::Android if scheme != "https" || loopback => {
            Err("a redirect URI of an Android app is an App Link: https:// and your domain".into())
        }
        PlatformKind::Ios if scheme != "https" || loopback => {
            Err("a redirect URI of an iOS app is a Universal Link: https:// and your domain".into())
        }
        _ => Ok(uri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_refer_to_the_operator() {
        for (name, brand) in [
            ("TikTok app", "TikTok"),
            ("My Tik Tok Saver", "TikTok"),
            ("TikTokSaver", "tiktok"),
            ("Clips", "Clips"),
            ("Export (Clips!)", "Clips"),
            ("the video land reader", "Video-Land"),
        ] {
            assert!(refers_to(name, brand), "{name} {brand}");
        }
        for (name, brand) in
            [("Eclipse", "Clips"), ("Paper clip sorter", "Clips"), ("Replay", "Clips"), ("Anything", ""), ("!", "Clips")]
        {
            assert!(!refers_to(name, brand), "{name} {brand}");
        }
    }

    #[test]
    fn names_and_descriptions_are_what_they_seem() {
        let none = || std::iter::empty();
        assert!(name("Replay – \u{1f3ac} ویدیو\u{200c}ها", none()).is_ok());
        for bad in [
            "",
            "a\u{202e}b",
            "a\0b",
            "a\u{200b}b",
            "a\nb",
            "\u{2066}x\u{2069}",
            "\u{200d}",
            "a\u{ad}b",
            "\u{e0041}",
            &"x".repeat(51),
        ] {
            assert!(name(bad, none()).is_err(), "{bad:?}");
        }
        assert!(name(&"ü".repeat(50), none()).is_ok());
        assert!(description(&"ü".repeat(120)).is_ok());
        for bad in ["", &"x".repeat(121), "two\nlines", "a\u{202a}b"] {
            assert!(description(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_https_with_a_domain_name() {
        for good in ["https://app.example/terms", "https://app.example", "https://www.app.example:8443/a?b#c"] {
            assert!(site(good).is_ok(), "{good}");
        }
        for bad in [
            "http://app.example/terms",
            "app.example",
            "https://",
            "https://10.0.0.1/",
            "https://[::1]/",
            "https://intranet/",
            "https://user@app.example/",
            "https://app.example/a b",
            "javascript:alert(1)",
            "https://app.example/\u{202e}",
            &format!("https://app.example/{}", "x".repeat(500)),
        ] {
            assert!(site(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_platform_takes_its_own_redirects() {
        use PlatformKind::{Android, Desktop, Ios, Web};
        for (platform, good) in [
            (Web, "https://app.example/cb"),
            (Web, "https://app.example:8443/cb/"),
            (Web, "https://localhost/cb"),
            (Desktop, "http://127.0.0.1:*/callback/"),
            (Desktop, "http://localhost:3000/cb"),
            (Desktop, "https://localhost:3000/cb"),
            (Android, "https://app.example/link"),
            (Ios, "https://app.example/link"),
        ] {
            assert!(redirect(platform, good).is_ok(), "{platform} {good}");
        }
        for (platform, bad) in [
            (Web, "http://localhost:3000/cb"),
            (Web, "https://localhost:*/cb"),
            (Web, "https://app.example/cb?x=1"),
            (Desktop, "https://app.example/cb"),
            (Desktop, "https://localhost/cb"),
            (Desktop, "http://localhost/cb"),
            (Android, "myapp://cb"),
            (Android, "http://localhost:1/cb"),
            (Ios, "https://localhost/cb"),
            (Ios, "http://127.0.0.1:*/cb"),
        ] {
            assert!(redirect(platform, bad).is_err(), "{platform} {bad}");
        }
    }

    #[test]
    fn what_stores_and_signatures_look_like() {
        assert!(package("com.example.app_2").is_ok());
        for bad in ["app", "com..app", "com.2app", "com.ex ample.app", ".com.app"] {
            assert!(package(bad).is_err(), "{bad}");
        }
        let store = "https://play.google.com/store/apps/details?hl=en&id=com.example.app";
        assert!(play_store(store, "com.example.app").is_ok());
        assert!(play_store(store, "com.example.other").is_err());
        assert!(
            play_store("https://play.google.com.evil.example/store/apps/details?id=com.example.app", "com.example.app").is_err()
        );
        assert!(app_store("https://apps.apple.com/de/app/replay/id123456").is_ok());
        assert!(app_store("https://apps.apple.com/de/developer/replay").is_err());
        assert!(bundle("com.example.app-1").is_ok() && bundle("example").is_err());
        assert!(signature(&"a1".repeat(16)).is_ok() && signature(&"a1:".repeat(16)).is_err());
        assert!(certificate(&"A1".repeat(32)).is_ok());
        assert!(certificate(&["A1"; 32].join(":")).is_ok());
        assert!(certificate(&["A1"; 31].join(":")).is_err());
    }
}
