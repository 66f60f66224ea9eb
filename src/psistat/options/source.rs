//! The command lines of `--openmetrics` and `--check`.

use getopts::Matches;

use super::words::percent;
use super::{Action, LOOKS, Settings, one_cgroup, option, refuse, wrong};
use crate::pressure::{Kind, Percent, Resource};
use crate::stat::check::Check;
use crate::stat::{CELLS, select};
use crate::time::Micros;

/// What `--check` measures if no interval is given: longer than the kernel needs for new
/// figures, shorter than any monitoring system waits.
const CHECK_INTERVAL: Micros = Micros::secs(2);

pub(super) fn openmetrics(settings: Settings, matches: &Matches) -> Result<Action, String> {
    let looks = LOOKS.into_iter().filter(|name| *name != "k");
    let unused: Vec<_> = looks.chain(["record", "suggest"]).collect();
    refuse(matches, &unused, "--openmetrics, which prints counters")?;
    match matches.free.first() {
        Some(word) => Err(format!(
            "\"{word}\": --openmetrics takes no interval: the collector sets it"
        )),
        None => Ok(Action::OpenMetrics(settings)),
    }
}

pub(super) fn check(matches: &Matches, figure: &str) -> Result<Action, String> {
    let others = [
        "f",
        "h",
        "openmetrics",
        "r",
        "record",
        "replay",
        "suggest",
        "V",
    ];
    for unused in [&LOOKS[..], &others] {
        refuse(matches, unused, "--check, which measures one figure")?;
    }
    let (resource, kind) = cell(figure).map_err(|why| wrong("check", figure, why))?;
    let (warn, crit) = thresholds(matches)?;
    if let Some(word) = matches.free.get(1) {
        return Err(format!(
            "\"{word}\": --check takes an interval and no count"
        ));
    }
    let settings = Settings {
        selection: select(&[resource], &[kind]),
        ..Settings::new(matches)?
    };
    one_cgroup(&settings.patterns, "check")?;
    let over = settings.interval.unwrap_or(CHECK_INTERVAL);
    let check = Check {
        resource,
        kind,
        warn,
        crit,
    };
    Ok(Action::Check(settings, check, over))
}

fn thresholds(matches: &Matches) -> Result<(Option<Percent>, Option<Percent>), String> {
    let warn = option(matches, "warn", threshold)?;
    let crit = option(matches, "crit", threshold)?;
    match (warn, crit) {
        (Some(warn), Some(crit)) if warn > crit => Err("--warn must not be above --crit".into()),
        both => Ok(both),
    }
}

/// `memory full`.
fn cell(word: &str) -> Result<(Resource, Kind), String> {
    let mut words = word.split_ascii_whitespace();
    let resource = words.next().and_then(Resource::parse);
    let kind = words.next().and_then(Kind::parse);
    let cell = resource.zip(kind).filter(|_| words.next().is_none());
    match cell {
        Some(cell) if CELLS.contains(&cell) => Ok(cell),
        Some(_) => Err("no kernel records it; expected 'irq full'".into()),
        None => Err(
            "expected a resource (cpu, memory, io, irq) and a kind (some, full) in \
                     quotes, e.g. 'memory full'"
                .into(),
        ),
    }
}

/// `10%`; also `10` and `0.5`.
fn threshold(word: &str) -> Result<Percent, String> {
    let threshold = percent(word.strip_suffix('%').unwrap_or(word));
    let below = threshold.filter(|threshold| *threshold < Percent(10_000));
    below.ok_or_else(|| {
        "expected a percentage from 0 to below 100, e.g. 10%: nothing is above 100%".into()
    })
}
