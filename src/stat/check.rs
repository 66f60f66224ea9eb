//! `--check`: one figure held against two thresholds, and the line for a monitoring
//! system (Monitoring Plugins Development Guidelines, "Plugin Output for Nagios" and
//! "Performance data").

use crate::pressure::{Kind, Percent, Resource};
use crate::time::Micros;

/// What a monitoring system reads from the exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The figure is not above any threshold.
    Ok = 0,
    /// It is above the first one.
    Warning = 1,
    /// It is above the second one.
    Critical = 2,
    /// Nothing was measured.
    Unknown = 3,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::Warning => "WARNING",
            State::Critical => "CRITICAL",
            State::Unknown => "UNKNOWN",
        }
    }
}

/// What is measured, and which values are bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Check {
    /// The resource.
    pub resource: Resource,
    /// The kind.
    pub kind: Kind,
    /// `--warn`: a value above it is a warning.
    pub warn: Option<Percent>,
    /// `--crit`: a value above it is critical.
    pub crit: Option<Percent>,
}

impl Check {
    /// The state of a measured share, with the threshold that it is above.
    fn judge(&self, share: Percent) -> (State, Option<Percent>) {
        let above = |threshold: &Percent| share > *threshold;
        match (self.warn.filter(above), self.crit.filter(above)) {
            (_, Some(crit)) => (State::Critical, Some(crit)),
            (Some(warn), None) => (State::Warning, Some(warn)),
            (None, None) => (State::Ok, None),
        }
    }

    /// The state and the line of a share over the time `over`. The cgroup is a word as in
    /// [`Row::cgroup`](super::Row::cgroup).
    pub fn result(&self, share: Percent, over: Micros, cgroup: Option<&[u8]>) -> (State, String) {
        let (state, above) = self.judge(share);
        let (resource, kind) = (self.resource.name(), self.kind.name());
        let share = decimal(share);
        let mut text = format!("{resource} {kind} {share}% over {over}");
        if let Some(cgroup) = cgroup {
            text += " in ";
            text += &String::from_utf8_lossy(cgroup);
        }
        if let Some(above) = above {
            text += &format!(", above {}%", decimal(above));
        }
        let text = status(state, &text);
        let [warn, crit] = [self.warn, self.crit].map(|one| one.map(decimal).unwrap_or_default());
        let line = format!("{text} | {resource}_{kind}={share}%;{warn};{crit};0;100\n");
        (state, line)
    }
}

/// The state and the line of a check that measured nothing, for this reason: a sentence
/// without a line end.
pub fn unknown(why: &str) -> (State, String) {
    (State::Unknown, status(State::Unknown, why) + "\n")
}

/// A line up to the performance data, which begin at the first `|`: names have none.
fn status(state: State, text: &str) -> String {
    format!("PSI {}: {}", state.name(), text.replace('|', "%7C"))
}

fn decimal(Percent(hundredths): Percent) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(warn: Option<u32>, crit: Option<u32>) -> Check {
        Check {
            resource: Resource::Memory,
            kind: Kind::Full,
            warn: warn.map(Percent),
            crit: crit.map(Percent),
        }
    }

    /// A range of the guidelines without a colon alerts above its number, not at it.
    #[test]
    fn a_threshold_is_exceeded_by_what_is_above_it() {
        let both = check(Some(1_000), Some(4_000));
        for (check, share, state) in [
            (both, 0, State::Ok),
            (both, 1_000, State::Ok),
            (both, 1_001, State::Warning),
            (both, 4_000, State::Warning),
            (both, 4_001, State::Critical),
            (check(Some(0), None), 0, State::Ok),
            (check(Some(0), None), 10_000, State::Warning),
            (check(None, Some(4_000)), 4_000, State::Ok),
            (check(None, Some(4_000)), 4_001, State::Critical),
            (check(None, None), 10_000, State::Ok),
        ] {
            assert_eq!(check.judge(Percent(share)).0, state, "{check:?} {share}");
        }
    }

    #[test]
    fn the_line_is_a_status_a_text_and_performance_data() {
        let line = |check: Check, share, cgroup: Option<&[u8]>| {
            check.result(Percent(share), Micros::secs(2), cgroup).1
        };
        assert_eq!(
            line(check(Some(1_000), Some(4_000)), 5, None),
            "PSI OK: memory full 0.05% over 2s | memory_full=0.05%;10.00;40.00;0;100\n"
        );
        assert_eq!(
            line(check(None, Some(50)), 10_000, Some(b"/a|b\\x2dc")),
            "PSI CRITICAL: memory full 100.00% over 2s in /a%7Cb\\x2dc, above 0.50% | \
             memory_full=100.00%;;0.50;0;100\n"
        );
        assert_eq!(
            line(check(Some(1), None), 250, None),
            "PSI WARNING: memory full 2.50% over 2s, above 0.01% | memory_full=2.50%;0.01;;0;100\n"
        );
        assert_eq!(
            unknown("there is no a|b"),
            (State::Unknown, "PSI UNKNOWN: there is no a%7Cb\n".into())
        );
    }
}
