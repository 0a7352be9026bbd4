//! What the provider says of somebody, read by the names that the operator set.

use serde_json::{Map, Value};

use super::{Realm, key};
use crate::Fault;
use crate::accounts::Role;
use crate::people::Claimed;
use crate::settings;

/// A member of staff, as the provider says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaffMember {
    /// Issuer and subject identifier, with a space between: they never pass to somebody else.
    pub subject: String,
    /// Where mail goes; in lower case.
    pub email: String,
    /// How they call themselves.
    pub name: String,
    /// What they may do. None is told all the same, so that one who had roles loses them.
    pub roles: Vec<Role>,
}

/// The claim of that name, or at that pointer.
fn claim<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    let found = match name.strip_prefix('/') {
        Some(path) => {
            let (first, rest) = path.split_once('/').unwrap_or((path, ""));
            let first = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
            if rest.is_empty() { Some(first) } else { first.pointer(&format!("/{rest}")) }
        }
        None if name.is_empty() => None,
        None => claims.get(name),
    };
    found.filter(|value| !value.is_null())
}

/// A claim as one line of text. Numbers are taken as they are written, for subjects that are numbers.
fn text(claims: &Map<String, Value>, name: &str, longest: usize) -> Option<String> {
    let text = match claim(claims, name)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        _ => return None,
    };
    let fits = !text.is_empty() && text.len() <= longest && !text.chars().any(char::is_control);
    fits.then_some(text)
}

/// Whether every claim that is mapped is there, so that nothing needs to be asked for.
pub(super) fn has_all(realm: Realm, names: &settings::Claims, claims: &Map<String, Value>) -> bool {
    let wanted = match realm {
        Realm::People => [&names.subject, &names.username, &names.name, &names.avatar, &names.region, &names.birth_year].to_vec(),
        Realm::Staff => [&names.name, &names.email, &names.roles].to_vec(),
    };
    wanted.into_iter().all(|name| name.is_empty() || claim(claims, name).is_some())
}

/// Whether the settings of claims and roles can be meant.
pub(super) fn check(realm: Realm, settings: &settings::Provider) -> Result<(), Fault> {
    let refuse = |problem: String| Err(Fault::Setting(problem));
    if realm == Realm::People {
        if settings.claims.subject.is_empty() {
            return refuse("provider.people.claims.subject is empty: it says whose data somebody's is".into());
        }
        if !settings.roles.is_empty() {
            return refuse(
                "provider.people.roles means nothing: people have no roles. Did you mean provider.staff.roles?".into(),
            );
        }
    }
    if realm == Realm::Staff && settings.claims.roles.is_empty() {
        return refuse("provider.staff.claims.roles is empty: it says what staff may do".into());
    }
    if let Some(region) = settings.default_region.as_deref().filter(|region| self::region(region).is_empty()) {
        return refuse(format!("provider.{realm}.default_region: {region:?} is not an ISO 3166 code of two letters"));
    }
    match settings.roles.values().find(|role| Role::parse(role).is_none()) {
        Some(role) => {
            refuse(format!("provider.staff.roles: {role:?} is not a role: write reviewer, support, compliance or administrator"))
        }
        None => Ok(()),
    }
}

/// The code in upper case, or nothing.
fn region(code: &str) -> String {
    let fits = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    if fits { code.to_ascii_uppercase() } else { String::new() }
}

/// `1990`, `1990-05-03` or 1990. A year of nought is how OpenID Connect says that it is withheld.
fn year(claims: &Map<String, Value>, name: &str) -> Option<i16> {
    let text = text(claims, name, 40)?;
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let whole = text.len() == 4 || text.as_bytes().get(4) == Some(&b'-');
    digits.parse().ok().filter(|year| whole && (1850..=2200).contains(year))
}

pub(super) fn person(settings: &settings::Provider, claims: &Map<String, Value>) -> Option<Claimed> {
    let names = &settings.claims;
    let identifier = text(claims, "sub", 255)?;
    let subject = text(claims, &names.subject, 200)?;
    let mapped = |name: &str| !name.is_empty();
    let by_default = settings.default_region.as_deref().map(region);
    let said = text(claims, &names.region, 40).map(|code| region(&code));
    let avatar = || text(claims, &names.avatar, 2000).filter(|address| address.starts_with("https://")).unwrap_or_default();
    Some(Claimed {
        key: key(&settings.issuer, &identifier),
        subject,
        username: text(claims, &names.username, 200),
        name: text(claims, &names.name, 200),
        avatar: mapped(&names.avatar).then(avatar),
        region: if mapped(&names.region) { Some(said.or(by_default).unwrap_or_default()) } else { by_default },
        birth_year: year(claims, &names.birth_year),
    })
}

pub(super) fn staff_member(settings: &settings::Provider, claims: &Map<String, Value>) -> Option<StaffMember> {
    let names = &settings.claims;
    let identifier = text(claims, "sub", 255)?;
    let email = text(claims, &names.email, 254)?.to_lowercase();
    let (local, host) = email.rsplit_once('@')?;
    let local = local.to_owned();
    if local.is_empty() || host.is_empty() || email.chars().any(char::is_whitespace) {
        return None;
    }
    let values: Vec<&str> = match claim(claims, &names.roles) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let role = |value: &str| match settings.roles.is_empty() {
        true => Role::parse(value),
        false => settings.roles.get(value).and_then(|role| Role::parse(role)),
    };
    let roles: Vec<Role> =
        Role::ALL.iter().copied().filter(|held| values.iter().any(|value| role(value) == Some(*held))).collect();
    Some(StaffMember {
        subject: format!("{} {identifier}", settings.issuer),
        // A name with an address in it would be refused as one.
        name: text(claims, &names.name, 200).unwrap_or(local),
        email,
        roles,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(text: &str) -> settings::Provider {
        toml::from_str(&format!("issuer = \"https://id.example\"\nclient_id = \"portward\"\n{text}")).unwrap()
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn claims_are_mapped_and_what_cannot_be_is_left_out() {
        let settings = settings(
            "default_region = \"de\"\n[claims]\nsubject = \"https://id.example/customer\"\nregion = \"/address/country\"\n",
        );
        let said = map(json!({
            "sub": "a1", "https://id.example/customer": 4711, "preferred_username": " anna ", "name": "Anna \u{0} A.",
            "picture": "javascript:alert(1)", "address": { "country": "fr" }, "birthdate": "1990-05-03",
        }));
        let anna = person(&settings, &said).unwrap();
        assert_eq!((anna.subject.as_str(), anna.username.as_deref(), anna.name), ("4711", Some("anna"), None));
        assert_eq!((anna.avatar.as_deref(), anna.region.as_deref(), anna.birth_year), (Some(""), Some("FR"), Some(1990)));
        let other = map(json!({ "sub": "a2", "https://id.example/customer": "4712", "birthdate": "0000-05-03" }));
        let other = person(&settings, &other).unwrap();
        assert_eq!((other.region.as_deref(), other.birth_year), (Some("DE"), None));
        assert_ne!(anna.key, other.key);
    }

    #[test]
    fn nobody_comes_in_without_a_subject() {
        let settings = settings("[claims]\nsubject = \"customer\"\n");
        for said in [
            json!({ "sub": "a1" }),
            json!({ "sub": "a1", "customer": null }),
            json!({ "sub": "a1", "customer": "" }),
            json!({ "sub": "a1", "customer": ["1"] }),
            json!({ "sub": "a1", "customer": 1.5 }),
            json!({ "sub": "a1", "customer": "1\u{0}" }),
            json!({ "customer": "1" }),
        ] {
            assert!(person(&settings, &map(said.clone())).is_none(), "{said}");
        }
    }

    #[test]
    fn roles_are_those_of_the_claim_and_no_others() {
        let mapped = settings(
            "[claims]\nroles = \"/realm_access/roles\"\n[roles]\n\"pw-review\" = \"reviewer\"\n\"pw-admin\" = \"administrator\"\n",
        );
        let said_of =
            |roles: Value| map(json!({ "sub": "s1", "email": "Rita@Clips.example", "realm_access": { "roles": roles } }));
        let rita = staff_member(&mapped, &said_of(json!(["pw-review", "other", "support"]))).unwrap();
        assert_eq!(rita.roles, [Role::Reviewer]);
        assert_eq!((rita.email.as_str(), rita.subject.as_str()), ("rita@clips.example", "https://id.example s1"));
        assert_eq!(rita.name, "rita", "without a name, a part of the address that can be one");
        let roles = |said: Value| staff_member(&mapped, &said_of(said)).unwrap().roles;
        assert_eq!(roles(json!("pw-admin")), [Role::Administrator]);
        for nothing in [
            json!(["support", "reviewer"]),
            json!({ "pw-admin": true }),
            json!(null),
            json!([["pw-admin"]]),
            json!("pw-admin pw-review"),
        ] {
            assert!(roles(nothing.clone()).is_empty(), "{nothing}");
        }
        let plain = settings("");
        let said = |email: &str| map(json!({ "sub": "s1", "email": email, "roles": ["support", "root"] }));
        assert_eq!(staff_member(&plain, &said("s@clips.example")).unwrap().roles, [Role::Support]);
        for email in ["", "nobody", "@clips.example", "a b@clips.example"] {
            assert!(staff_member(&plain, &said(email)).is_none(), "{email}");
        }
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        assert!(check(Realm::Staff, &settings("[roles]\nx = \"root\"\n")).is_err());
        assert!(check(Realm::Staff, &settings("[claims]\nroles = \"\"\n")).is_err());
        assert!(check(Realm::People, &settings("[roles]\nx = \"support\"\n")).is_err());
        assert!(check(Realm::People, &settings("[claims]\nsubject = \"\"\n")).is_err());
        assert!(check(Realm::People, &settings("default_region = \"Germany\"\n")).is_err());
        assert!(check(Realm::People, &settings("")).is_ok());
        assert!(check(Realm::Staff, &settings("")).is_ok());
    }
}
