//! Archive building: light, typical and heavy persons from SQLite and PostgreSQL to a ZIP, by Portward, by what one would write oneself, and by
//! the floors beneath both.

mod contender;
mod data;
mod export;
mod probe;
mod verdict;

use std::collections::BTreeMap;

pub(crate) use self::export::{ExportArgs, export};
pub(crate) use self::probe::{ProbeArgs, probe};

use self::contender::{Contender, Postgres, Run};
use self::data::Data;
use crate::{How, stats};

/// All runs of one set: a row each round.
type Runs = BTreeMap<Contender, Vec<Run>>;

/// A set of contenders on one person, or on many.
struct Set {
    title: &'static str,
    postgres: bool,
    person: fn(&Data) -> &str,
    contenders: &'static [Contender],
}

const SETS: [Set; 6] = [
    Set {
        title: "Heavy, SQLite",
        postgres: false,
        person: |data| &data.heavy,
        contenders: &[
            Contender::Python,
            Contender::Node,
            Contender::Portward(1),
            Contender::Portward(6),
            Contender::OneCore(6),
            Contender::Several(4),
            Contender::Probe("pack"),
            Contender::Probe("render"),
            Contender::Probe("read"),
        ],
    },
    Set {
        title: "Heavy, PostgreSQL",
        postgres: true,
        person: |data| &data.heavy,
        contenders: &[Contender::Python, Contender::Node, Contender::PsqlZip, Contender::Portward(1), Contender::Portward(6)],
    },
    Set {
        title: "Typical, SQLite",
        postgres: false,
        person: |data| &data.typical,
        contenders: &[Contender::Python, Contender::Node, Contender::Portward(1)],
    },
    Set {
        title: "Typical, PostgreSQL",
        postgres: true,
        person: |data| &data.typical,
        contenders: &[Contender::Python, Contender::Node, Contender::PsqlZip, Contender::Portward(1)],
    },
    Set {
        title: "200 light persons, one after another in one process, SQLite",
        postgres: false,
        person: |data| &data.light,
        contenders: &[Contender::Python, Contender::Portward(1)],
    },
    Set {
        title: "200 light persons, one after another in one process, PostgreSQL",
        postgres: true,
        person: |data| &data.light,
        contenders: &[Contender::Python, Contender::Portward(1)],
    },
];

pub(crate) fn measure(how: &How) -> anyhow::Result<String> {
    let data = Data::make(how.rows())?;
    let postgres = Postgres::of_environment(&data)?;
    let mut all = Vec::new();
    let mut text = String::from("## Building an archive\n\n");
    if postgres.is_none() {
        text.push_str("Without PostgreSQL: `bench/run` starts one.\n\n");
    }
    for set in &SETS {
        if set.postgres && postgres.is_none() {
            all.push(Runs::new());
            continue;
        }
        println!("{}", set.title);
        let mut runs = Runs::new();
        for round in 0..how.rounds() {
            for contender in set.contenders {
                let server = postgres.as_ref().filter(|_| set.postgres);
                match contender.run(&data, server, (set.person)(&data))? {
                    Some(run) => {
                        println!("  round {}: {:<48} {run}", round + 1, contender.name());
                        runs.entry(*contender).or_default().push(run);
                    }
                    None => println!("  {} is not installed", contender.name()),
                }
            }
        }
        text.push_str(&table(set, &runs));
        all.push(runs);
    }
    let zip_six = data.zip_six(&data.heavy)?;
    text.push_str(&verdict::table(&all, zip_six));
    Ok(text)
}

fn table(set: &Set, runs: &Runs) -> String {
    let json = runs.values().flatten().map(|run| run.json).find(|json| *json > 0.0).unwrap_or(f64::NAN);
    let rows: Vec<_> = set
        .contenders
        .iter()
        .filter_map(|contender| Some((contender, runs.get(contender)?)))
        .map(|(contender, runs)| {
            let median = |of: fn(&Run) -> f64| stats::median(runs.iter().map(of));
            vec![
                contender.name(),
                format!("{:.2}", median(|run| run.wall)),
                format!("{:.2}", median(|run| run.client)),
                if set.postgres { format!("{:.2}", median(|run| run.server)) } else { "".into() },
                format!(
                    "{:.1}",
                    stats::median(runs.iter().map(|run| if run.json > 0.0 { run.rate() } else { json / run.cpu() }))
                ),
                format!("{:.1}", median(|run| run.peak)),
                format!("{:.2}", median(|run| run.archive)),
            ]
        })
        .collect();
    let head = ["contender", "wall s", "CPU s", "server CPU s", "MB JSON per CPU-s", "peak MiB", "archive MB"];
    format!("### {}\n\n{json:.2} MB of JSON.\n\n{}\n", set.title, stats::table(&head, &rows))
}
