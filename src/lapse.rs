//! What is told when some of a rule's cgroups are not watched, and when all are
//! again: summed up, so that a deploy of hundreds is a line and no line a cgroup.
//! Pure.

use crate::time::{Micros, Moment};

/// How many there are now, and what was told of it.
#[derive(Clone, Copy, Debug)]
pub struct Lapse {
    /// So long is waited for more, and for the end of what mends by itself.
    settle: Micros,
    /// From one line to the next that tells of more.
    pause: Micros,
    count: usize,
    /// Since when there is more than was told.
    untold: Option<Moment>,
    /// When it was told, unless the end of it was too.
    told: bool,
    last: Option<Moment>,
}

impl Lapse {
    /// None, and nothing was told.
    pub const fn new(settle: Micros, pause: Micros) -> Lapse {
        Lapse {
            settle,
            pause,
            count: 0,
            untold: None,
            told: false,
            last: None,
        }
    }

    /// There are so many now.
    pub fn set(&mut self, now: Moment, count: usize) {
        if count > self.count {
            self.untold = self.untold.or(Some(now));
        } else if count == 0 {
            self.untold = None;
        }
        self.count = count;
    }

    /// When there is something to tell.
    pub fn deadline(&self) -> Option<Moment> {
        match self.untold {
            Some(since) => {
                let settled = since + self.settle;
                Some(
                    self.last
                        .map_or(settled, |last| settled.max(last + self.pause)),
                )
            }
            None if self.told && self.count == 0 => Some(Moment(0)),
            None => None,
        }
    }

    /// How many there are, if that is to be told now; none is the end.
    pub fn tell(&mut self, now: Moment) -> Option<usize> {
        if self.deadline().is_none_or(|due| due > now) {
            return None;
        }
        self.tell_at_once(now)
    }

    /// The same without waiting: the start and a reload tell all that there is.
    pub fn tell_at_once(&mut self, now: Moment) -> Option<usize> {
        self.deadline()?;
        self.untold = None;
        self.told = self.count > 0;
        if self.told {
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

    /// What is told if there are so many at every tenth of a second.
    fn told(counts: impl IntoIterator<Item = usize>) -> Vec<(u64, usize)> {
        let mut lapse = Lapse::new(SECOND, Micros::secs(60));
        let counts = counts.into_iter().enumerate();
        let tick = |(tick, count)| {
            let now = START + Micros::millis(100 * tick as u64);
            lapse.set(now, count);
            lapse.tell(now).map(|count| (tick as u64, count))
        };
        counts.filter_map(tick).collect()
    }

    #[test]
    fn what_mends_at_once_is_not_told() {
        let counts = (0..1000).map(|tick| usize::from(tick % 10 < 9));
        assert_eq!(told(counts), []);
    }

    #[test]
    fn what_comes_together_is_told_together() {
        let counts = (0..100).map(|tick: usize| tick.min(50) * 10);
        // the first second's, and the rest only after the pause
        assert_eq!(told(counts), [(11, 110)]);
        let counts = (0..700).map(|tick: usize| tick.min(50) * 10);
        assert_eq!(told(counts), [(11, 110), (611, 500)]);
    }

    #[test]
    fn one_pair_a_minute() {
        // 2 s lost, 2 s not, for two minutes
        let counts = (0..1200).map(|tick| usize::from(tick % 40 < 20));
        let times = told(counts);
        assert_eq!(times, [(10, 1), (20, 0), (610, 1), (620, 0)]);
    }

    #[test]
    fn the_end_is_told_once_and_only_behind_a_beginning() {
        assert_eq!(told([0, 0, 5, 0, 0]), []);
        let counts = std::iter::repeat_n(3, 20).chain([2, 1, 0, 0, 0]);
        assert_eq!(told(counts), [(10, 3), (22, 0)]);
    }

    #[test]
    fn a_start_does_not_wait() {
        let mut lapse = Lapse::new(SECOND, SECOND);
        assert_eq!(lapse.tell_at_once(START), None);
        lapse.set(START, 2);
        assert_eq!(lapse.tell_at_once(START), Some(2));
        assert_eq!(lapse.tell_at_once(START), None);
        lapse.set(START, 0);
        assert_eq!(lapse.tell_at_once(START), Some(0));
        assert_eq!(lapse.deadline(), None);
    }
}
