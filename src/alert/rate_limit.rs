//! How many lines one rule may write: a token bucket that fills at the rate limit
//! and holds one hour's worth. What doesn't fit is counted and summed up within a
//! minute of the first line, so that silence has a reason in the log, and then once
//! per hour, so that the summaries of a rule that never rests are no noise of their own.
//!
//! A *begin* pays for its *end* too, so that no episode that was logged stays open.
//! Every rule has a bucket of its own: the noise of one never silences another.

use crate::time::{Micros, Moment};

const HOUR: Micros = Micros::secs(3600);
const MINUTE: Micros = Micros::secs(60);

/// Lines that were suppressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Suppressed {
    /// All of them.
    pub count: u64,
    /// Those that were begins.
    pub begins: u64,
    /// When the first of them was due.
    pub since: Moment,
}

/// The bucket. Its unit is the time that it takes to earn a line.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// What a line costs; None is no limit.
    price: Option<Micros>,
    credit: Micros,
    at: Moment,
    suppressed: Option<Suppressed>,
    /// When lines were summed up last.
    summed: Option<Moment>,
}

impl RateLimit {
    /// A full bucket for so many lines per hour; None is no limit.
    pub fn new(lines: Option<u32>, now: Moment) -> RateLimit {
        RateLimit {
            price: lines.map(|lines| Micros(HOUR.0 / u64::from(lines.max(1)))),
            credit: HOUR,
            at: now,
            suppressed: None,
            summed: None,
        }
    }

    /// Another rate from now on, with a full bucket; what was suppressed is still
    /// summed up.
    pub fn set(&mut self, lines: Option<u32>, now: Moment) {
        let (suppressed, summed) = (self.suppressed, self.summed);
        *self = RateLimit {
            suppressed,
            summed,
            ..RateLimit::new(lines, now)
        };
    }

    /// Pays for a *begin* and for the *end* that will follow it.
    pub fn begin(&mut self, now: Moment) -> bool {
        self.pay(now, 2)
    }

    /// Pays for one line.
    pub fn line(&mut self, now: Moment) -> bool {
        self.pay(now, 1)
    }

    fn pay(&mut self, now: Moment, lines: u64) -> bool {
        let Some(price) = self.price else {
            return true;
        };
        self.credit = (self.credit + now.since(self.at)).min(HOUR);
        self.at = now;
        let cost = Micros(price.0 * lines);
        if self.credit < cost {
            return false;
        }
        self.credit = self.credit - cost;
        true
    }

    /// Counts lines that will not be written.
    pub fn suppress(&mut self, now: Moment, count: u64, begins: u64) {
        let suppressed = self.suppressed.get_or_insert(Suppressed {
            count: 0,
            begins: 0,
            since: now,
        });
        suppressed.count += count;
        suppressed.begins += begins;
    }

    /// How many lines are still to be summed up.
    pub fn pending(&self) -> u64 {
        self.suppressed.map_or(0, |suppressed| suppressed.count)
    }

    /// A begin that was counted as suppressed is written after all. Where it was summed
    /// up already, the log has both.
    pub fn take_back_begin(&mut self) {
        if let Some(suppressed) = &mut self.suppressed {
            let begins = suppressed.begins.min(1);
            suppressed.begins -= begins;
            suppressed.count -= begins;
        }
        self.suppressed.take_if(|suppressed| suppressed.count == 0);
    }

    /// When the summary is due: a minute after the first line was suppressed, and an
    /// hour after the summary before.
    pub fn deadline(&self) -> Option<Moment> {
        let settled = self.suppressed?.since + MINUTE;
        Some(self.summed.map_or(settled, |at| settled.max(at + HOUR)))
    }

    /// What there is to sum up, if it is due.
    pub fn summary(&mut self, now: Moment) -> Option<Suppressed> {
        self.deadline().filter(|due| now >= *due)?;
        self.summed = Some(now);
        self.suppressed.take()
    }

    /// What there is to sum up at the end, due or not.
    pub fn last_summary(&mut self) -> Option<Suppressed> {
        self.suppressed.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment(1_000_000);

    #[test]
    fn a_burst_is_logged_and_then_the_rate_holds() {
        let mut limit = RateLimit::new(Some(30), START);
        let logged = (0..100).filter(|_| limit.line(START)).count();
        assert_eq!(logged, 30);
        let logged = (0..3600)
            .filter(|second| limit.line(START + Micros::secs(*second)))
            .count();
        assert_eq!(logged, 29);
    }

    /// However long nothing was written, an hour's worth is all that it may write.
    #[test]
    fn the_bucket_holds_one_hour() {
        let mut limit = RateLimit::new(Some(30), START);
        let later = START + Micros::secs(48 * 3600);
        let logged = (0..100).filter(|_| limit.line(later)).count();
        assert_eq!(logged, 30);
    }

    #[test]
    fn the_smallest_limit_logs_one_episode() {
        let mut limit = RateLimit::new(Some(2), START);
        assert!(limit.begin(START));
        assert!(!limit.begin(START));
        assert!(limit.begin(START + HOUR));
    }

    #[test]
    fn what_was_suppressed_is_summed_up_within_a_minute_and_then_once_per_hour() {
        let mut limit = RateLimit::new(Some(30), START);
        assert_eq!(limit.deadline(), None);
        limit.suppress(START, 2, 1);
        limit.suppress(START + Micros::secs(10), 1, 0);
        let due = START + MINUTE;
        assert_eq!(limit.deadline(), Some(due));
        assert_eq!(limit.summary(due - Micros(1)), None);
        let suppressed = |count, begins, since| {
            Some(Suppressed {
                count,
                begins,
                since,
            })
        };
        assert_eq!(limit.summary(due), suppressed(3, 1, START));
        assert_eq!(limit.deadline(), None);
        let later = due + Micros::secs(5);
        limit.suppress(later, 1, 1);
        assert_eq!(limit.deadline(), Some(due + HOUR));
        assert_eq!(limit.summary(due + HOUR - Micros(1)), None);
        assert_eq!(limit.summary(due + HOUR), suppressed(1, 1, later));
        // after an hour without any, the next is a first one again
        let later = due + HOUR + HOUR;
        limit.suppress(later, 1, 1);
        assert_eq!(limit.deadline(), Some(later + MINUTE));
        assert_eq!(limit.last_summary(), suppressed(1, 1, later));
    }

    #[test]
    fn a_begin_that_is_written_late_is_not_counted() {
        let mut limit = RateLimit::new(Some(30), START);
        limit.suppress(START, 1, 1);
        limit.suppress(START, 1, 0);
        limit.take_back_begin();
        limit.take_back_begin();
        let rest = limit.summary(START + MINUTE);
        assert_eq!(rest.map(|rest| (rest.count, rest.begins)), Some((1, 0)));
        limit.suppress(START, 1, 1);
        limit.take_back_begin();
        assert_eq!(limit.deadline(), None);
    }

    #[test]
    fn another_limit_keeps_what_was_suppressed() {
        let mut limit = RateLimit::new(Some(2), START);
        assert!(limit.begin(START) && !limit.begin(START));
        limit.suppress(START, 2, 1);
        limit.set(None, START);
        assert!((0..100_000).all(|_| limit.begin(START)));
        assert_eq!(
            limit.last_summary().map(|suppressed| suppressed.count),
            Some(2)
        );
    }
}
