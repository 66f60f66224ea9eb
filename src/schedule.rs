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
    /// Whether a trigger is armed without CAP_SYS_RESOURCE: any reader of its file can
    /// steal its events.
    backed: bool,
    /// Until when the boot is none of our business.
    grace: Option<Moment>,
    /// When the next slow round is due.
    slow: Option<Moment>,
    /// When the last one was.
    round: Moment,
}

impl Schedule {
    /// `up` is how long ago the system booted, `grace` the setting.
    pub fn new(up: Micros, grace: Micros, now: Moment) -> Schedule {
        Schedule {
            backed: false,
            grace: (up < grace).then(|| now + (grace - up)),
            slow: None,
            round: now,
        }
    }

    /// The period of the slow reading, where there is one.
    pub fn backing(&self) -> Option<Micros> {
        self.backed.then_some(SLOW)
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
        !account.is_privileged() && self.polls(account)
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
    /// all files of a group), so they are read as often. The whole system is a group
    /// of its own: with CAP_SYS_RESOURCE nothing is stolen there.
    pub fn has_read(&mut self, account: &Account) {
        if account.cgroup().is_some() || !account.is_privileged() {
            self.has_read_cgroups();
        }
    }

    /// Pressure files of cgroups were read, with the same outcome.
    pub fn has_read_cgroups(&mut self) {
        if self.backed {
            self.slow = self.slow.map(|due| due.min(self.round + QUICK));
        }
    }

    /// Sets or stops the slow round after what is armed has changed; `missing`
    /// tells whether a cgroup is looked for.
    pub fn settle<'a>(
        &mut self,
        now: Moment,
        mut armed: impl Iterator<Item = &'a Account>,
        missing: bool,
    ) {
        self.backed = armed.any(|account| !account.is_privileged());
        self.slow = match self.backed || missing {
            true => self.slow.or(Some(now + SLOW)),
            false => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::Sample;
    use crate::rule::Rule;

    const NOW: Moment = Moment(500_000_000);
    const GRACE: Micros = Micros::secs(120);

    fn schedule(up: Micros) -> Schedule {
        Schedule::new(up, GRACE, NOW)
    }

    /// Of the whole system, or of a cgroup.
    fn account(cgroup: Option<&[u8]>, privileged: bool) -> Account {
        let rule = Rule::parse("io full 1%/2s".split(' ')).expect("a rule");
        let baseline = Sample { at: NOW, total: 0 };
        match cgroup {
            Some(path) => Account::of_cgroup(rule.into(), path, baseline, privileged),
            None => Account::new(rule, baseline, privileged),
        }
    }

    #[test]
    fn the_grace_ends_once_and_counts_from_boot() {
        let mut early = schedule(Micros::secs(20));
        let due = NOW + Micros::secs(100);
        assert_eq!(early.deadlines().min(), Some(due));
        assert!(!early.end_grace(due - Micros(1)));
        assert!(early.end_grace(due));
        assert!(!early.end_grace(due));
        assert_eq!(early.deadlines().min(), None);
        assert_eq!(schedule(GRACE).deadlines().min(), None);
    }

    #[test]
    fn the_slow_round_runs_only_where_it_is_needed() {
        let (mut schedule, whole) = (schedule(GRACE), account(None, true));
        schedule.settle(NOW, [&whole].into_iter(), false);
        assert_eq!(
            (schedule.deadlines().min(), schedule.backing()),
            (None, None)
        );
        schedule.settle(NOW, [&whole].into_iter(), true);
        assert_eq!(schedule.deadlines().min(), Some(NOW + SLOW));
        // settled again, it is due when it was
        schedule.settle(NOW + Micros::secs(5), [&whole].into_iter(), true);
        assert!(!schedule.slow_round(NOW + SLOW - Micros(1)));
        assert!(schedule.slow_round(NOW + SLOW));
        assert_eq!(schedule.deadlines().min(), Some(NOW + SLOW + SLOW));
    }

    /// With every privilege: the system's triggers need no slow reading, a cgroup's do,
    /// and only for as long as one is armed.
    #[test]
    fn what_was_opened_without_the_capability_is_backed_and_nothing_else() {
        let (whole, cgroup) = (account(None, true), account(Some(b"/a"), false));
        let mut schedule = schedule(GRACE);
        schedule.settle(NOW, [&whole, &cgroup].into_iter(), false);
        assert_eq!(schedule.deadlines().min(), Some(NOW + SLOW));
        assert_eq!(schedule.backing(), Some(SLOW));
        assert!(schedule.checks(&cgroup) && !schedule.checks(&whole));
        schedule.settle(NOW, [&whole].into_iter(), false);
        assert_eq!(
            (schedule.deadlines().min(), schedule.backing()),
            (None, None)
        );
        assert!(schedule.checks(&account(None, false)));
    }

    #[test]
    fn who_reads_for_one_episode_reads_for_all_rules_of_its_kind() {
        let (whole, cgroup) = (account(None, true), account(Some(b"/a"), false));
        let mut schedule = schedule(GRACE);
        schedule.settle(NOW, [&whole, &cgroup].into_iter(), false);
        schedule.has_read(&whole);
        assert_eq!(schedule.deadlines().min(), Some(NOW + SLOW));
        schedule.has_read(&cgroup);
        schedule.has_read(&cgroup);
        assert_eq!(schedule.deadlines().min(), Some(NOW + QUICK));
        assert!(schedule.slow_round(NOW + QUICK));
        assert_eq!(schedule.deadlines().min(), Some(NOW + QUICK + SLOW));
        // a named cgroup's privileged trigger has its file in common with others
        schedule.has_read(&account(Some(b"/a"), true));
        assert_eq!(schedule.deadlines().min(), Some(NOW + QUICK + QUICK));
    }

    #[test]
    fn a_reading_of_the_system_steals_only_without_the_capability() {
        for (privileged, due) in [(true, SLOW), (false, QUICK)] {
            let (mut schedule, whole) = (schedule(GRACE), account(None, privileged));
            schedule.settle(NOW, [&whole].into_iter(), true);
            schedule.has_read(&whole);
            assert_eq!(schedule.deadlines().min(), Some(NOW + due));
            schedule.has_read_cgroups();
            assert_eq!(schedule.deadlines().min(), Some(NOW + due));
        }
    }
}
