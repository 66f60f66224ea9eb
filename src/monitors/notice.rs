//! When to log that some of a rule's cgroups are not watched, and that all are
//! again: debounced and summed up, so that a deploy of hundreds of services is one
//! line. Pure.

use crate::time::{Micros, Moment};

/// How many there are now, and what was logged of it.
#[derive(Clone, Copy, Debug)]
pub struct Notice {
    /// So long it waits for more, and for what mends by itself.
    settle: Micros,
    /// From one line to the next that reports more.
    pause: Micros,
    count: usize,
    /// Since when there is more than was logged.
    unreported: Option<Moment>,
    /// Whether it was logged and its end was not.
    reported: bool,
    last: Option<Moment>,
}

impl Notice {
    /// None, and nothing was logged.
    pub const fn new(settle: Micros, pause: Micros) -> Notice {
        Notice {
            settle,
            pause,
            count: 0,
            unreported: None,
            reported: false,
            last: None,
        }
    }

    /// There are so many now.
    pub fn set(&mut self, now: Moment, count: usize) {
        if count > self.count {
            self.unreported = self.unreported.or(Some(now));
        } else if count == 0 {
            self.unreported = None;
        }
        self.count = count;
    }

    /// When there is something to log.
    pub fn deadline(&self) -> Option<Moment> {
        match self.unreported {
            Some(since) => {
                let settled = since + self.settle;
                let paused = self.last.map(|last| last + self.pause);
                Some(paused.map_or(settled, |paused| settled.max(paused)))
            }
            None if self.reported && self.count == 0 => Some(Moment(0)),
            None => None,
        }
    }

    /// How many there are, if that is to be logged now; 0 is the end of it.
    pub fn take(&mut self, now: Moment) -> Option<usize> {
        if self.deadline().is_none_or(|due| due > now) {
            return None;
        }
        self.take_at_once(now)
    }

    /// The same without waiting: a start and a reload log all that there is.
    pub fn take_at_once(&mut self, now: Moment) -> Option<usize> {
        self.deadline()?;
        self.unreported = None;
        self.reported = self.count > 0;
        if self.reported {
            self.last = Some(now);
        }
        Some(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = Micros::secs(1);
    const START: Moment = Moment(1_000_000_000);

    /// What is logged if there are so many at every tenth of a second.
    fn logged(counts: impl IntoIterator<Item = usize>) -> Vec<(u64, usize)> {
        let mut notice = Notice::new(SECOND, Micros::secs(60));
        let counts = counts.into_iter().enumerate();
        let tick = |(tick, count)| {
            let now = START + Micros::millis(100 * tick as u64);
            notice.set(now, count);
            notice.take(now).map(|count| (tick as u64, count))
        };
        counts.filter_map(tick).collect()
    }

    #[test]
    fn what_mends_at_once_is_not_logged() {
        let counts = (0..1000).map(|tick| usize::from(tick % 10 < 9));
        assert_eq!(logged(counts), []);
    }

    #[test]
    fn what_happens_together_is_logged_together() {
        let counts = (0..100).map(|tick: usize| tick.min(50) * 10);
        // the first second's, and the rest only after the pause
        assert_eq!(logged(counts), [(11, 110)]);
        let counts = (0..700).map(|tick: usize| tick.min(50) * 10);
        assert_eq!(logged(counts), [(11, 110), (611, 500)]);
    }

    #[test]
    fn one_pair_per_minute() {
        // 2 s lost, 2 s not, for two minutes
        let counts = (0..1200).map(|tick| usize::from(tick % 40 < 20));
        let times = logged(counts);
        assert_eq!(times, [(10, 1), (20, 0), (610, 1), (620, 0)]);
    }

    #[test]
    fn the_end_is_logged_once_and_only_after_a_beginning() {
        assert_eq!(logged([0, 0, 5, 0, 0]), []);
        let counts = std::iter::repeat_n(3, 20).chain([2, 1, 0, 0, 0]);
        assert_eq!(logged(counts), [(10, 3), (22, 0)]);
    }

    #[test]
    fn a_start_does_not_wait() {
        let mut notice = Notice::new(SECOND, SECOND);
        assert_eq!(notice.take_at_once(START), None);
        notice.set(START, 2);
        assert_eq!(notice.take_at_once(START), Some(2));
        assert_eq!(notice.take_at_once(START), None);
        notice.set(START, 0);
        assert_eq!(notice.take_at_once(START), Some(0));
        assert_eq!(notice.deadline(), None);
    }
}
