//! The rows A1 to A11: what must hold, what is aimed at, what was measured.

use super::Runs;
use super::contender::{Contender, Run};
use crate::stats;

/// Both sides of a ratio and what of their runs is compared.
struct Ratio {
    set: usize,
    one: Contender,
    other: Contender,
    of: fn(&Run) -> f64,
}

/// Whether less is better; the row, what it compares, what must hold, what is aimed at, and what was measured.
type Row<'r> = (bool, &'r str, &'r str, f64, f64, Option<f64>);

const FAST: Contender = Contender::Portward(1);

fn ratio(all: &[Runs], ratio: &Ratio) -> Option<f64> {
    let runs = all.get(ratio.set)?;
    let (one, other) = (runs.get(&ratio.one)?, runs.get(&ratio.other)?);
    Some(stats::median(one.iter().zip(other).map(|(one, other)| (ratio.of)(one) / (ratio.of)(other))))
}

fn median(all: &[Runs], set: usize, contender: Contender, of: fn(&Run) -> f64) -> Option<f64> {
    Some(stats::median(all.get(set)?.get(&contender)?.iter().map(of)))
}

/// The table. `zip_six` is the size that `zip -6` makes of the heavy person's document.
pub(super) fn table(all: &[Runs], zip_six: f64) -> String {
    let (heavy, heavy_pg, typical, typical_pg, light_pg) = (0, 1, 2, 3, 5);
    let of = |set, one, other, of| ratio(all, &Ratio { set, one, other, of });
    let peak = |set, contender| median(all, set, contender, |run| run.peak);
    let more = peak(heavy, Contender::Several(4)).zip(peak(heavy, FAST)).map(|(four, one)| (four - one) / 3.0);
    let growth = peak(heavy, FAST).zip(peak(typical, FAST)).map(|(heavy, typical)| heavy / typical);
    let size = median(all, heavy, FAST, |run| run.archive).map(|archive| archive * 1e6 / zip_six);
    // Whether less is better, then the row.
    let rows: [Row<'_>; 13] = [
        (true, "A1", "heavy, SQLite: CPU against Python", 0.30, 0.10, of(heavy, FAST, Contender::Python, Run::cpu)),
        (
            true,
            "A2",
            "heavy, PostgreSQL: CPU with server against Node",
            0.45,
            0.17,
            of(heavy_pg, FAST, Contender::Node, Run::cpu),
        ),
        (
            true,
            "A3",
            "heavy, PostgreSQL: wall against psql and zip",
            0.33,
            0.15,
            of(heavy_pg, FAST, Contender::PsqlZip, |run| run.wall),
        ),
        (
            false,
            "A4",
            "MB/CPU-s against the bare probe of the same encoder",
            0.90,
            1.05,
            of(heavy, FAST, Contender::Probe("pack"), Run::rate),
        ),
        (
            false,
            "A5",
            "MB/CPU-s against reading and rendering alone",
            0.27,
            0.55,
            of(heavy, FAST, Contender::Probe("render"), Run::rate),
        ),
        (true, "A6", "peak MiB of a heavy archive", 64.0, 32.0, peak(heavy, FAST)),
        (true, "A6", "peak MiB of each further one at once", 16.0, 6.0, more),
        (true, "A7", "peak of heavy against typical", 1.3, 1.1, growth),
        (
            false,
            "A8",
            "level 6: wall on one core against both",
            1.6,
            1.9,
            of(heavy, Contender::OneCore(6), Contender::Portward(6), |run| run.wall),
        ),
        (true, "A9", "typical, SQLite: wall against Python", 0.5, 0.25, of(typical, FAST, Contender::Python, |run| run.wall)),
        (
            true,
            "A9",
            "typical, PostgreSQL: wall against Python",
            0.5,
            0.25,
            of(typical_pg, FAST, Contender::Python, |run| run.wall),
        ),
        (
            false,
            "A10",
            "light persons a second, PostgreSQL, against Python",
            3.0,
            8.0,
            of(light_pg, Contender::Python, FAST, |run| run.wall),
        ),
        (true, "A11", "archive's size against zip -6 of the same JSON", 1.08, 1.0, size),
    ];
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(less, row, what, must, aim, measured)| {
            let holds = |limit: f64, measured: f64| if less { measured <= limit } else { measured >= limit };
            let verdict = match measured {
                None => "not measured",
                Some(measured) if holds(aim, measured) => "aim",
                Some(measured) if holds(must, measured) => "must",
                Some(_) => "**short**",
            };
            let measured = measured.map_or("".into(), |measured| format!("{measured:.2}"));
            vec![format!("{row} {what}"), must.to_string(), aim.to_string(), measured, verdict.into()]
        })
        .collect();
    format!("### Against what it should be\n\n{}", stats::table(&["row", "must", "aim", "measured", "holds"], &rows))
}
