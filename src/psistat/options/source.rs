//! The command line of `--openmetrics`.

use getopts::Matches;

use super::{Action, LOOKS, Settings, refuse};

pub(super) fn openmetrics(settings: Settings, matches: &Matches) -> Result<Action, String> {
    let looks = LOOKS.into_iter().filter(|name| *name != "k");
    let unused: Vec<_> = looks.chain(["record", "suggest"]).collect();
    refuse(matches, &unused, "--openmetrics, which prints counters")?;
    match matches.free.first() {
        Some(word) => Err(format!(
            "\"{word}\": --openmetrics takes no interval: who collects the counters asks again"
        )),
        None => Ok(Action::OpenMetrics(settings)),
    }
}
