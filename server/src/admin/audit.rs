//! `portward admin audit`: reads the record, and verifies its chain.

use clap::{Args, Subcommand};
use platform::audit::{self, KnownHead, Listed, Wanted};
use platform::{Millis, Platform};
use serde_json::{Value, json};

use super::time;

#[derive(Debug, Subcommand)]
pub(super) enum AuditVerb {
    /// List entries, newest first
    List(Box<ListArgs>),
    /// Go over the whole chain: find entries that were altered, taken out or moved, and count those not sealed yet. Fails if anything is found
    Verify {
        /// A head that was kept elsewhere, such as in the log: PLACE:VALUE. The chain must have that value at that place. Repeat for more
        #[arg(long = "head", value_parser = known_head)]
        heads: Vec<KnownHead>,
    },
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// What the action begins with, such as grant. or application.decided
    #[arg(long, default_value = "")]
    action: String,
    /// Who, such as "staff 4503599627370497" or operator
    #[arg(long, default_value = "")]
    actor: String,
    /// About an app, by its number
    #[arg(long)]
    app: Option<i64>,
    /// About a person, by their number
    #[arg(long)]
    person: Option<i64>,
    /// About another thing: an application, an account, an organisation, a ticket
    #[arg(long)]
    about: Option<i64>,
    /// Not before: 2026-11-22 or 2026-11-22T10:00:00Z
    #[arg(long, value_parser = moment)]
    since: Option<Millis>,
    /// Before: 2026-11-22 or 2026-11-22T10:00:00Z
    #[arg(long, value_parser = moment)]
    until: Option<Millis>,
    /// Older than this entry, by its number: the last of the page before
    #[arg(long)]
    before: Option<i64>,
    /// Show the personal detail that is kept aside
    #[arg(long)]
    personal: bool,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
}

/// How many findings are told one by one; all are counted.
const TOLD: usize = 100;

/// What was listed or found, and whether all is well.
pub(super) async fn audit(platform: &Platform, verb: AuditVerb) -> anyhow::Result<(Value, bool)> {
    match verb {
        AuditVerb::List(args) => {
            let wanted = Wanted {
                action: args.action,
                actor: args.actor,
                app: args.app,
                person: args.person,
                about: args.about,
                since: args.since,
                until: args.until,
                before: args.before,
                limit: args.limit,
            };
            let listed = audit::list(&mut platform.db.read().await?, &wanted).await?;
            Ok((listed.iter().map(|entry| entry_value(entry, args.personal)).collect(), true))
        }
        AuditVerb::Verify { heads } => {
            let mut told = Vec::new();
            let report = audit::verify(platform, &heads, |finding| {
                if told.len() < TOLD {
                    told.push(finding.to_string());
                }
            })
            .await?;
            let value = json!({
                "findings": report.findings,
                "found": told,
                "sealed": report.sealed,
                "unsealed": report.unsealed,
                "cut_up_to": report.anchor,
                "heads_too_old": report.too_old,
                "head": format!("{}:{}", report.head.position, report.head.chain),
            });
            Ok((value, report.findings == 0))
        }
    }
}

fn entry_value(entry: &Listed, personal: bool) -> Value {
    let id = |id: Option<i64>| id.map(|id| id.to_string());
    let mut value = json!({
        "audit_id": entry.audit_id.to_string(),
        "at": time(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "app": id(entry.app),
        "person": id(entry.person),
        "grant": id(entry.grant),
        "request": id(entry.request),
        "about": id(entry.about),
        "detail": entry.detail,
        "place": entry.position,
    });
    if personal {
        let erased = entry.had_personal.then(|| "(erased)".to_owned());
        value["personal"] = json!(entry.personal.clone().or(erased));
    }
    value
}

fn known_head(text: &str) -> Result<KnownHead, String> {
    let wrong = || "write PLACE:VALUE, as verify prints it".to_owned();
    let (position, chain) = text.split_once(':').ok_or_else(wrong)?;
    let position = position.trim().parse().map_err(|_| wrong())?;
    let chain = chain.trim().to_owned();
    let fits = chain.len() == 64 && chain.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(KnownHead { position, chain }) } else { Err(wrong()) }
}

fn moment(text: &str) -> Result<Millis, String> {
    let day = |text: &str| text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let at = text.parse::<jiff::Timestamp>().ok().or_else(|| Some(day(text)?.timestamp()));
    at.map(|at| Millis(at.as_millisecond()))
        .ok_or_else(|| "write a day or a time, such as 2026-11-22 or 2026-11-22T10:00:00Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_heads_are_read_as_they_are_printed() {
        assert_eq!(moment("2026-01-01"), Ok(Millis(1_767_225_600_000)));
        assert_eq!(moment("2026-01-01T00:00:01Z"), Ok(Millis(1_767_225_601_000)));
        assert!(moment("yesterday").is_err());
        let chain = "ab".repeat(32);
        assert_eq!(known_head(&format!("12:{chain}")), Ok(KnownHead { position: 12, chain }));
        for wrong in ["12", "12:ab", ":", "x:00", &format!("12:{}", "zz".repeat(32))] {
            assert!(known_head(wrong).is_err(), "{wrong}");
        }
    }
}
