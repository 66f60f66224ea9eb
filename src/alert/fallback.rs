//! When counters are read without an event: the grace after boot, the fallback
//! reading, and which triggers are polled at all. Pure.

use super::Alert;
use crate::episode::Phase;
use crate::time::{Micros, Moment};

/// How often counters are read where events can be stolen, and how often a
/// cgroup that is not there is looked for.
const PERIOD: Micros = Micros::secs(30);
/// The shortest window where events can be stolen.
const QUICK: Micros = Micros::secs(2);

/// What is due for all rules together.
#[derive(Clone, Copy, Debug)]
pub struct FallbackPoll {
    /// Whether a trigger is armed without CAP_SYS_RESOURCE: any reader of its file can
    /// steal its events.
    unprivileged: bool,
    /// The setting `poll`; None is auto.
    setting: Option<Micros>,
    /// Whether no event is waited for, as poll(2) fails.
    poll_failed: bool,
    /// Pressure during the boot is expected: until when it is ignored.
    grace: Option<Moment>,
    /// When the next round of fallback readings is due.
    due: Option<Moment>,
    /// When the last one was.
    round: Moment,
}

impl FallbackPoll {
    /// `up` is how long ago the system booted, `grace` the setting.
    pub fn new(up: Micros, grace: Micros, now: Moment) -> FallbackPoll {
        FallbackPoll {
            unprivileged: false,
            setting: None,
            poll_failed: false,
            grace: (up < grace).then(|| now + (grace - up)),
            due: None,
            round: now,
        }
    }

    /// Puts the setting `poll` in force: None is auto, a period is for all counters. The
    /// next [`FallbackPoll::set_needed`] goes by it.
    pub fn set_period(&mut self, setting: Option<Micros>) {
        self.setting = setting;
    }

    /// The period of the fallback reading, where there is one.
    pub fn period(&self) -> Option<Micros> {
        self.setting.or(self.unprivileged.then_some(PERIOD))
    }

    /// When there is something to do for all rules.
    pub fn deadlines(&self) -> impl Iterator<Item = Moment> {
        self.grace.into_iter().chain(self.due)
    }

    /// Whether an alert's trigger is in the poll array: only while its event is waited
    /// for, as any poll(2) would take the event that a paused trigger has latched.
    pub fn polls(&self, alert: &Alert) -> bool {
        let waits = matches!(alert.phase(), Phase::Quiet | Phase::Rechecking);
        self.grace.is_none() && waits
    }

    /// Whether a round reads an alert's counter. Without CAP_SYS_RESOURCE any reader
    /// of the file can steal events; without poll(2) there are none, and who asks for a
    /// period may have reasons not to rely on them.
    pub fn checks(&self, alert: &Alert) -> bool {
        let needed = self.poll_failed || self.setting.is_some() || !alert.is_privileged();
        needed && alert.is_quiet() && self.polls(alert)
    }

    /// Whether the grace has just ended: every alert then starts over from a new
    /// baseline.
    pub fn ends_grace(&mut self, now: Moment) -> bool {
        self.grace.take_if(|due| *due <= now).is_some()
    }

    /// Whether a round is due; if so, the next one is a period away.
    pub fn starts_round(&mut self, now: Moment) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = Some(now + self.pause());
            self.round = now;
        }
        due
    }

    /// A counter was read for an open episode. Where events can be stolen we have
    /// just taken those of the rules that are quiet (the kernel keeps one time for
    /// all files of a group), so they are read as often. The whole system is a group
    /// of its own: with CAP_SYS_RESOURCE nothing is stolen there.
    pub fn has_read(&mut self, alert: &Alert) {
        if alert.cgroup().is_some() || !alert.is_privileged() {
            self.has_read_cgroups();
        }
    }

    /// Pressure files of cgroups were read, with the same outcome.
    pub fn has_read_cgroups(&mut self) {
        if self.unprivileged {
            self.due = self.due.map(|due| due.min(self.round + QUICK));
        }
    }

    /// Starts or stops the rounds after what is watched has changed: `unprivileged` if
    /// any trigger is armed without CAP_SYS_RESOURCE, `missing` if cgroups have to be
    /// looked for.
    pub fn set_needed(&mut self, now: Moment, unprivileged: bool, missing: bool) {
        self.unprivileged = unprivileged;
        let asked = self.poll_failed || self.setting.is_some();
        self.set_due(now, unprivileged || missing || asked);
    }

    /// poll(2) fails, so that no event is noticed and counters are read quickly; or it
    /// works again.
    pub fn set_poll_failed(&mut self, now: Moment, failed: bool) {
        if self.poll_failed != failed {
            self.poll_failed = failed;
            self.set_due(now, failed || self.due.is_some());
        }
    }

    fn set_due(&mut self, now: Moment, needed: bool) {
        let latest = now + self.pause();
        let due = self.due.map_or(latest, |due| due.min(latest));
        self.due = needed.then_some(due);
    }

    /// From one round to the next.
    fn pause(&self) -> Micros {
        match self.poll_failed {
            true => QUICK,
            false => self.setting.unwrap_or(PERIOD),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::Sample;
    use crate::rule::Rule;

    const NOW: Moment = Moment(500_000_000);
    const GRACE: Micros = Micros::secs(120);

    /// Of the whole system, or of a cgroup.
    fn alert(cgroup: Option<&[u8]>, privileged: bool) -> Alert {
        let rule = Rule::parse("io full 10%/2s".split(' ')).expect("a rule");
        let baseline = Sample { at: NOW, total: 0 };
        Alert::new(rule.into(), cgroup, baseline, privileged)
    }

    fn next(fallback: &FallbackPoll) -> Option<Moment> {
        fallback.deadlines().min()
    }

    #[test]
    fn the_grace_ends_once_and_counts_from_boot() {
        let mut fallback = FallbackPoll::new(Micros::secs(20), GRACE, NOW);
        let due = NOW + Micros::secs(100);
        assert_eq!(next(&fallback), Some(due));
        assert!(!fallback.polls(&alert(None, true)));
        assert!(!fallback.ends_grace(due - Micros(1)));
        assert!(fallback.ends_grace(due));
        assert!(!fallback.ends_grace(due));
        assert!(fallback.polls(&alert(None, true)));
        assert_eq!(next(&fallback), None);
        let late = FallbackPoll::new(GRACE, GRACE, NOW);
        assert_eq!(next(&late), None);
    }

    #[test]
    fn rounds_start_only_where_they_are_needed() {
        let mut fallback = FallbackPoll::new(GRACE, GRACE, NOW);
        fallback.set_needed(NOW, false, false);
        assert_eq!((next(&fallback), fallback.period()), (None, None));
        fallback.set_needed(NOW, false, true);
        assert_eq!(
            (next(&fallback), fallback.period()),
            (Some(NOW + PERIOD), None)
        );
        fallback.set_needed(NOW, true, false);
        assert_eq!(fallback.period(), Some(PERIOD));
        // set again, the round is due when it was
        fallback.set_needed(NOW + Micros::secs(5), true, false);
        assert!(!fallback.starts_round(NOW + PERIOD - Micros(1)));
        assert!(fallback.starts_round(NOW + PERIOD));
        assert_eq!(next(&fallback), Some(NOW + PERIOD + PERIOD));
    }

    #[test]
    fn only_triggers_without_the_capability_are_read() {
        let fallback = FallbackPoll::new(GRACE, GRACE, NOW);
        assert!(fallback.checks(&alert(None, false)));
        assert!(fallback.checks(&alert(Some(b"/a"), false)));
        assert!(!fallback.checks(&alert(None, true)));
    }

    #[test]
    fn without_poll_every_quiet_counter_is_read_quickly() {
        let mut fallback = FallbackPoll::new(GRACE, GRACE, NOW);
        fallback.set_needed(NOW, false, false);
        fallback.set_poll_failed(NOW, true);
        assert_eq!(next(&fallback), Some(NOW + QUICK));
        assert!(fallback.checks(&alert(None, true)));
        assert!(fallback.starts_round(NOW + QUICK));
        assert_eq!(next(&fallback), Some(NOW + QUICK + QUICK));
        fallback.set_needed(NOW + QUICK, false, false);
        assert_eq!(next(&fallback), Some(NOW + QUICK + QUICK));
        fallback.set_poll_failed(NOW + QUICK, false);
        fallback.set_needed(NOW + QUICK, false, false);
        assert_eq!(next(&fallback), None);
        assert!(!fallback.checks(&alert(None, true)));
    }

    #[test]
    fn who_asks_for_a_period_gets_it_with_the_capability_too() {
        let period = Micros::secs(10);
        let mut fallback = FallbackPoll::new(GRACE, GRACE, NOW);
        fallback.set_period(Some(period));
        fallback.set_needed(NOW, false, false);
        assert_eq!(fallback.period(), Some(period));
        assert_eq!(next(&fallback), Some(NOW + period));
        assert!(fallback.checks(&alert(None, true)));
        assert!(fallback.starts_round(NOW + period));
        assert_eq!(next(&fallback), Some(NOW + period + period));
        // auto again, after a reload
        fallback.set_period(None);
        fallback.set_needed(NOW + period, false, false);
        assert_eq!((next(&fallback), fallback.period()), (None, None));
        assert!(!fallback.checks(&alert(None, true)));
    }

    #[test]
    fn a_reading_for_one_episode_brings_the_round_of_its_kind_forward() {
        let mut fallback = FallbackPoll::new(GRACE, GRACE, NOW);
        fallback.set_needed(NOW, true, false);
        fallback.has_read(&alert(None, true));
        assert_eq!(next(&fallback), Some(NOW + PERIOD));
        let cgroup = alert(Some(b"/a"), false);
        fallback.has_read(&cgroup);
        fallback.has_read(&cgroup);
        assert_eq!(next(&fallback), Some(NOW + QUICK));
        assert!(fallback.starts_round(NOW + QUICK));
        assert_eq!(next(&fallback), Some(NOW + QUICK + PERIOD));
        // a named cgroup's privileged trigger has its file in common with others
        fallback.has_read(&alert(Some(b"/a"), true));
        assert_eq!(next(&fallback), Some(NOW + QUICK + QUICK));
    }

    #[test]
    fn a_reading_of_the_system_steals_only_without_the_capability() {
        for (privileged, due) in [(true, PERIOD), (false, QUICK)] {
            let mut fallback = FallbackPoll::new(GRACE, GRACE, NOW);
            fallback.set_needed(NOW, !privileged, true);
            fallback.has_read(&alert(None, privileged));
            assert_eq!(next(&fallback), Some(NOW + due));
            fallback.has_read_cgroups();
            assert_eq!(next(&fallback), Some(NOW + due));
        }
    }
}
