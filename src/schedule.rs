//! When counters are looked at without an event: the grace after boot, the slow
//! reading, and which triggers are polled at all. Pure; the daemon and the
//! replay of traces (`tests/replay/`) both keep to it.

use crate::account::Account;
use crate::episode::Phase;
use crate::time::{Micros, Moment};

/// How often counters are read where events can be stolen, and how often a
/// cgroup that is not there is looked for.
const SLOW: Micros = Micros::secs(30);
/// The shortest window where events can be stolen.
const QUICK: Micros = Micros::secs(2);

/// What is due for all rules together.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Without CAP_SYS_RESOURCE any reader can steal events.
    privileged: bool,
    /// Until when the boot is none of our business.
    grace: Option<Moment>,
    /// When the next slow round is due.
    slow: Option<Moment>,
    /// When the last one was.
    round: Moment,
}

impl Schedule {
    /// `up` is how long ago the system booted, `grace` the setting.
    pub fn new(privileged: bool, up: Micros, grace: Micros, now: Moment) -> Schedule {
        Schedule {
            privileged,
            grace: (up < grace).then(|| now + (grace - up)),
            slow: None,
            round: now,
        }
    }

    /// Whether triggers are registered with CAP_SYS_RESOURCE.
    pub fn privileged(&self) -> bool {
        self.privileged
    }

    /// The period of the slow reading, where there is one.
    pub fn backing(&self) -> Option<Micros> {
        (!self.privileged).then_some(SLOW)
    }

    /// When there is something to do for all rules.
    pub fn deadlines(&self) -> impl Iterator<Item = Moment> {
        self.grace.into_iter().chain(self.slow)
    }

    /// Whether an account's trigger is in the poll array: only while quiet, as
    /// any poll(2) would take the event that a paused trigger has latched.
    pub fn polls(&self, account: &Account) -> bool {
        self.grace.is_none() && account.phase() == Phase::Quiet
    }

    /// Whether the slow round reads an account's counter.
    pub fn checks(&self, account: &Account) -> bool {
        !self.privileged && self.polls(account)
    }

    /// Ends the grace once it is over, and tells so once: every account then
    /// starts over from a new baseline.
    pub fn end_grace(&mut self, now: Moment) -> bool {
        let over = self.grace.is_some_and(|due| due <= now);
        if over {
            self.grace = None;
        }
        over
    }

    /// Whether a slow round is due; if so, the next one is a period away.
    pub fn slow_round(&mut self, now: Moment) -> bool {
        let due = self.slow.is_some_and(|due| due <= now);
        if due {
            self.slow = Some(now + SLOW);
            self.round = now;
        }
        due
    }

    /// A counter was read for an open episode. Where events can be stolen we have
    /// just taken those of the rules that are quiet (the kernel keeps one time for
    /// all files of a group), so they are read as often.
    pub fn has_read(&mut self) {
        if !self.privileged {
            self.slow = self.slow.map(|due| due.min(self.round + QUICK));
        }
    }

    /// Sets or stops the slow round after the rules have changed; `missing`
    /// tells whether a cgroup is looked for.
    pub fn settle(&mut self, now: Moment, missing: bool) {
        self.slow = match !self.privileged || missing {
            true => self.slow.or(Some(now + SLOW)),
            false => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(500_000_000);
    const GRACE: Micros = Micros::secs(120);

    #[test]
    fn the_grace_ends_once_and_counts_from_boot() {
        let mut schedule = Schedule::new(true, Micros::secs(20), GRACE, NOW);
        let due = NOW + Micros::secs(100);
        assert_eq!(schedule.deadlines().min(), Some(due));
        assert!(!schedule.end_grace(due - Micros(1)));
        assert!(schedule.end_grace(due));
        assert!(!schedule.end_grace(due));
        assert_eq!(schedule.deadlines().min(), None);
        let late = Schedule::new(true, GRACE, GRACE, NOW);
        assert_eq!(late.deadlines().min(), None);
    }

    #[test]
    fn the_slow_round_runs_only_where_it_is_needed() {
        let mut schedule = Schedule::new(true, GRACE, GRACE, NOW);
        schedule.settle(NOW, false);
        assert_eq!(schedule.deadlines().min(), None);
        schedule.settle(NOW, true);
        assert_eq!(schedule.deadlines().min(), Some(NOW + SLOW));
        // settled again, it is due when it was
        schedule.settle(NOW + Micros::secs(5), true);
        assert!(!schedule.slow_round(NOW + SLOW - Micros(1)));
        assert!(schedule.slow_round(NOW + SLOW));
        assert_eq!(schedule.deadlines().min(), Some(NOW + SLOW + SLOW));
        let mut other = Schedule::new(false, GRACE, GRACE, NOW);
        other.settle(NOW, false);
        assert_eq!(other.deadlines().min(), Some(NOW + SLOW));
        assert_eq!(other.backing(), Some(SLOW));
    }

    #[test]
    fn who_reads_for_one_episode_reads_for_all_rules() {
        let mut schedule = Schedule::new(false, GRACE, GRACE, NOW);
        schedule.settle(NOW, false);
        schedule.has_read();
        schedule.has_read();
        assert_eq!(schedule.deadlines().min(), Some(NOW + QUICK));
        assert!(schedule.slow_round(NOW + QUICK));
        assert_eq!(schedule.deadlines().min(), Some(NOW + QUICK + SLOW));
        let mut privileged = Schedule::new(true, GRACE, GRACE, NOW);
        privileged.settle(NOW, true);
        privileged.has_read();
        assert_eq!(privileged.deadlines().min(), Some(NOW + SLOW));
    }
}
