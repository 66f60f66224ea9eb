//! The command line of `--graph`.

use getopts::Matches;

use super::{Settings, one_cgroup, refuse};
use crate::time::Micros;

/// The interval if none is given.
const INTERVAL: Micros = Micros::secs(1);

/// A history needs an interval, and is of one group.
pub(super) fn graph(settings: &mut Settings, matches: &Matches) -> Result<(), String> {
    if !settings.graph {
        return Ok(());
    }
    let unused = ["a", "j", "n", "t", "w"];
    refuse(matches, &unused, "--graph, which draws bars")?;
    if settings.interval.is_none() {
        (settings.interval, settings.count) = (Some(INTERVAL), None);
    }
    one_cgroup(&settings.patterns, "graph")
}
