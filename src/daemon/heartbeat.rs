//! The sign of life, by which a receiver distinguishes silence from death.

use super::Daemon;
use crate::report::{Counts, Report};
use crate::time::{Micros, Moment};

/// When the next sign of life is due, if any was asked for. Time in which the host is
/// suspended does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Heartbeat {
    period: Option<Micros>,
    due: Option<Moment>,
}

impl Heartbeat {
    pub fn new(period: Option<Micros>, now: Moment) -> Heartbeat {
        let due = period.map(|period| now + period);
        Heartbeat { period, due }
    }

    /// Another period counts from now on; the same one goes on.
    pub fn set(&mut self, period: Option<Micros>, now: Moment) {
        if period != self.period {
            *self = Heartbeat::new(period, now);
        }
    }

    pub fn deadline(&self) -> Option<Moment> {
        self.due
    }

    /// Whether it is due now. One that is late is one, however many it should have been.
    pub fn take(&mut self, now: Moment) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            *self = Heartbeat::new(self.period, now);
        }
        due
    }
}

impl Daemon {
    pub(super) fn log_alive(&mut self) {
        self.sink.log(&Report::Alive(self.counts()));
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            dropped: self.sink.dropped(),
            ..self.monitors.counts()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment(1_000_000);
    const PERIOD: Micros = Micros::secs(600);

    fn at(seconds: u64) -> Moment {
        START + Micros::secs(seconds)
    }

    /// When it is taken, if the loop looks at these seconds.
    fn taken(heartbeat: &mut Heartbeat, seconds: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let taken = |second: &u64| heartbeat.take(at(*second));
        seconds.into_iter().filter(taken).collect()
    }

    #[test]
    fn it_is_due_once_per_period() {
        let mut heartbeat = Heartbeat::new(Some(PERIOD), START);
        assert_eq!(heartbeat.deadline(), Some(at(600)));
        assert_eq!(taken(&mut heartbeat, 0..2000), [600, 1200, 1800]);
        // the loop was late: one, and the next after a whole period
        assert_eq!(
            taken(&mut heartbeat, [9000, 9001, 9599, 9600]),
            [9000, 9600]
        );
    }

    #[test]
    fn there_is_none_unless_it_is_set() {
        let mut heartbeat = Heartbeat::new(None, START);
        assert_eq!(heartbeat.deadline(), None);
        assert_eq!(taken(&mut heartbeat, 0..2000), [0; 0]);
    }

    #[test]
    fn another_period_counts_from_the_reload_and_the_same_goes_on() {
        let mut heartbeat = Heartbeat::new(Some(PERIOD), START);
        heartbeat.set(Some(PERIOD), at(500));
        assert_eq!(heartbeat.deadline(), Some(at(600)));
        heartbeat.set(Some(Micros::secs(10)), at(500));
        assert_eq!(heartbeat.deadline(), Some(at(510)));
        heartbeat.set(None, at(505));
        assert_eq!(heartbeat.deadline(), None);
        heartbeat.set(Some(PERIOD), at(520));
        assert_eq!(heartbeat.deadline(), Some(at(1120)));
    }
}
