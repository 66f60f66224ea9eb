//! A model of the kernel's averages (get_recent_times and calc_avgs in
//! kernel/sched/psi.c): every 2.004 s the share of stalled time goes into three
//! exponential averages.

use super::trace::*;

const PERIOD: u64 = 2_004_000;
/// What an average keeps over a period: e^(-2/10), e^(-2/60), e^(-2/300), as fixed
/// points of 11 bits in the kernel (EXP_10s, EXP_60s, EXP_300s).
const KEPT: [f64; 3] = [1677.0 / 2048.0, 1981.0 / 2048.0, 2034.0 / 2048.0];
/// After so long nothing is left of what was before.
const FORGOTTEN: u64 = 2000 * PERIOD;

/// The averages of one counter; moments go in in order.
#[derive(Clone)]
pub struct Averager<'a> {
    cursor: Cursor<'a>,
    state: usize,
    at: u64,
    total: u64,
    averages: [f64; 3],
}

impl<'a> Averager<'a> {
    pub fn new(trace: &'a Trace, state: usize) -> Averager<'a> {
        Averager {
            cursor: Cursor::new(trace),
            state,
            at: 0,
            total: 0,
            averages: [0.0; 3],
        }
    }

    /// In percent, over 10, 60 and 300 s.
    pub fn at(&mut self, now: u64) -> [f64; 3] {
        if now - self.at > 2 * FORGOTTEN {
            self.at += (now - self.at - FORGOTTEN) / PERIOD * PERIOD;
            self.total = self.cursor.total(self.state, self.at);
            self.averages = [0.0; 3];
        }
        while self.at + PERIOD <= now {
            self.at += PERIOD;
            let total = self.cursor.total(self.state, self.at);
            let grown = total.saturating_sub(self.total).min(PERIOD);
            self.total = total;
            let share = 100.0 * grown as f64 / PERIOD as f64;
            for (average, kept) in self.averages.iter_mut().zip(KEPT) {
                *average = *average * kept + share * (1.0 - kept);
            }
        }
        self.averages
    }
}

#[test]
fn a_step_is_followed_as_the_kernel_follows_it() {
    let mut pen = Pen::default();
    pen.pass(10 * PERIOD, rates(0, 0, 0));
    pen.pass(2000 * PERIOD, rates(0, 500, 0));
    pen.pass(5000 * PERIOD, rates(0, 0, 0));
    let trace = pen.trace("a step", 0);
    let mut averager = Averager::new(&trace, MEMORY);
    assert_eq!(averager.at(10 * PERIOD), [0.0; 3]);
    // one minus 1/e of the step after 10 s, as near as periods come to that
    let [avg10, avg60, avg300] = averager.at(15 * PERIOD);
    assert!((avg10 - 31.6).abs() < 0.3, "{avg10}");
    assert!((avg60 - 7.7).abs() < 0.3, "{avg60}");
    assert!((avg300 - 1.7).abs() < 0.2, "{avg300}");
    let steady = averager.at(2010 * PERIOD);
    assert!(steady.iter().all(|average| (average - 50.0).abs() < 0.1));
    assert_eq!(
        averager.at(7000 * PERIOD).map(|average| average as u64),
        [0; 3]
    );
}
