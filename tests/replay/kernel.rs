//! A model of the kernel's triggers on the whole system (kernel/sched/psi.c as
//! of 6.12), driven by a trace. What it has to show of real kernels:
//!
//! - with CAP_SYS_RESOURCE: ten evaluations in the group's shortest window, only
//!   while tasks stall; an event at most once a window of the trigger; when the
//!   stall pauses for longer than the shortest window every window starts anew,
//!   so a short one blinds long ones; a breach inside the rate limit stays latched
//!   and is delivered with the next stall, however late;
//! - without it: evaluations on a grid of 2.004 s, made up to a second late; the
//!   first window begins at a counter of zero, so the first event or two are
//!   false; whoever reads the file between a grid point and its evaluation takes
//!   the evaluation away;
//! - an event stays with the descriptor until poll(2) takes it.

use psilogd::rule::Rule;

use super::trace::*;

/// A tick of the kernel's clock at 250 Hz.
const JIFFY: u64 = 4_000;
/// Between two updates of the averages.
const GRID: u64 = 2_004_000;

struct Trigger {
    state: usize,
    stall: u64,
    window: u64,
    since: u64,
    base: u64,
    before: u64,
    /// What the last evaluation saw.
    seen: u64,
    breached: bool,
    last_event: Option<u64>,
    event: bool,
}

impl Trigger {
    /// Growth within the window, of which the part that is older than `since` is
    /// taken for even.
    fn growth(&mut self, now: u64, total: u64) -> u64 {
        let elapsed = now - self.since;
        let growth = total.saturating_sub(self.base);
        if elapsed > self.window {
            (self.since, self.base, self.before) = (now, total, growth);
            return growth;
        }
        let rest = u128::from(self.before) * u128::from(self.window - elapsed);
        growth + (rest / u128::from(self.window)) as u64
    }

    fn evaluate(&mut self, now: u64, total: u64) {
        let stalls = total != self.seen;
        self.seen = total;
        if stalls && self.growth(now, total) >= self.stall {
            self.breached = true;
        }
        let limited = self.last_event.is_some_and(|at| now < at + self.window);
        // a breach that was kept is reported with the next stall only
        if stalls && self.breached && !limited {
            self.event = true;
            self.last_event = Some(now);
            self.breached = false;
        }
    }
}

/// With which rights triggers were registered, and who else reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rights {
    Privileged,
    Unprivileged {
        /// The worker that evaluates comes so late at most. On a quiet machine that
        /// is a tick or two, and a reader every second steals hardly anything. On a
        /// busy host a reader every second took half of the events, and events of a
        /// 2 s window lay 2.0, 2.9 or 4.0 s apart: up to a second.
        late: u64,
        /// Somebody reads the files every so many microseconds.
        reader: Option<u64>,
    },
}

pub const UNPRIVILEGED: Rights = Rights::Unprivileged {
    late: SECOND,
    reader: None,
};
pub const STOLEN: Rights = Rights::Unprivileged {
    late: SECOND,
    reader: Some(SECOND),
};

pub struct Kernel<'a> {
    cursor: Cursor<'a>,
    states: Vec<usize>,
    triggers: Vec<Trigger>,
    rights: Rights,
    random: Random,
    /// The next evaluation; None once nothing will stall any more.
    due: Option<u64>,
    /// Privileged: until when it looks without a stall. Unprivileged: the grid
    /// point of the next evaluation.
    mark: u64,
    step: u64,
    last_read: Option<u64>,
}

impl<'a> Kernel<'a> {
    pub fn new(trace: &'a Trace, rules: &[Rule], rights: Rights, now: u64) -> Kernel<'a> {
        let mut cursor = Cursor::new(trace);
        let mut triggers = Vec::new();
        for rule in rules {
            assert!(rule.cgroup.is_none(), "the model is one group");
            let state = state(rule.resource, rule.kind);
            let total = cursor.total(state, now);
            triggers.push(Trigger {
                state,
                stall: rule.stall().0,
                window: rule.window.0,
                since: now,
                base: match rights {
                    Rights::Privileged => total,
                    Rights::Unprivileged { .. } => 0,
                },
                before: 0,
                seen: total,
                breached: false,
                last_event: None,
                event: false,
            });
        }
        let mut states: Vec<_> = triggers.iter().map(|trigger| trigger.state).collect();
        states.sort_unstable();
        states.dedup();
        let mut random = Random(now);
        let shortest = triggers.iter().map(|trigger| trigger.window).min();
        let mut kernel = Kernel {
            cursor,
            states,
            triggers,
            rights,
            due: None,
            mark: match rights {
                Rights::Privileged => now,
                // the grid knows nothing of when a trigger is registered
                Rights::Unprivileged { .. } => now.saturating_sub(random.within(0, GRID)),
            },
            random,
            step: shortest.unwrap_or(GRID) / 10,
            last_read: None,
        };
        kernel.sleep(now);
        kernel
    }

    /// Nothing is done until something stalls.
    fn sleep(&mut self, now: u64) {
        let stall = self.cursor.growth(&self.states, now);
        self.due = stall.map(|stall| match self.rights {
            Rights::Privileged => stall + JIFFY,
            Rights::Unprivileged { late, .. } => {
                let behind = stall.saturating_sub(self.mark) / GRID + 1;
                self.mark += behind * GRID;
                self.mark + self.random.within(0, late)
            }
        });
    }

    /// Runs until a trigger that is polled has an event, at most to `until`.
    pub fn run(&mut self, now: u64, until: u64, polled: &[bool]) -> Option<u64> {
        let has_event = |kernel: &Kernel| {
            let mut both = kernel.triggers.iter().zip(polled);
            both.any(|(trigger, &polled)| polled && trigger.event)
        };
        if has_event(self) {
            return Some(now);
        }
        while let Some(due) = self.due.filter(|&due| due <= until) {
            match self.rights {
                Rights::Privileged => self.look(due),
                Rights::Unprivileged { reader, .. } => self.work(due, reader),
            }
            if has_event(self) {
                return Some(due.max(now));
            }
        }
        None
    }

    /// poll(2) of one descriptor.
    pub fn take(&mut self, index: usize) -> bool {
        std::mem::take(&mut self.triggers[index].event)
    }

    /// A pressure file is read, by whomever.
    pub fn read(&mut self, at: u64) {
        self.last_read = Some(at);
    }

    fn look(&mut self, now: u64) {
        let mut stalls = false;
        for trigger in &self.triggers {
            stalls |= self.cursor.total(trigger.state, now) != trigger.seen;
        }
        let asleep = now > self.mark;
        if stalls {
            self.mark = now + 10 * self.step;
        }
        if asleep && stalls {
            for trigger in &mut self.triggers {
                let total = self.cursor.total(trigger.state, now);
                (trigger.since, trigger.base, trigger.before) = (now, total, 0);
                trigger.seen = total;
            }
        } else if now > self.mark {
            return self.sleep(now);
        } else if stalls {
            self.evaluate(now);
        }
        self.due = Some(now + self.step + JIFFY);
    }

    fn work(&mut self, now: u64, reader: Option<u64>) {
        let grid = self.mark;
        let read = self.last_read.is_some_and(|at| at >= grid)
            // nobody's period is exact, so its phase is any
            || reader.is_some_and(|period| grid + self.random.within(0, period) < now);
        if !read {
            self.evaluate(now);
        }
        self.sleep(now);
    }

    fn evaluate(&mut self, now: u64) {
        for trigger in &mut self.triggers {
            let total = self.cursor.total(trigger.state, now);
            trigger.evaluate(now, total);
        }
    }
}

/// The model against what was measured on real kernels.
#[cfg(test)]
mod tests {
    use psilogd::rule::Rule;

    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text.split_whitespace()).unwrap()
    }

    /// Every event of the first rule, polled at all times.
    fn events(trace: &Trace, rules: &[&str], rights: Rights) -> Vec<f64> {
        let rules: Vec<_> = rules.iter().map(|text| rule(text)).collect();
        let mut kernel = Kernel::new(trace, &rules, rights, trace.start.0);
        let mut found = Vec::new();
        let polled = vec![true; rules.len()];
        let mut now = trace.start.0;
        while let Some(at) = kernel.run(now, trace.end().0, &polled) {
            now = at;
            if kernel.take(0) {
                found.push(at as f64 / 1e6);
            }
            for other in 1..rules.len() {
                kernel.take(other);
            }
        }
        found
    }

    const STEADY: u64 = 80 * SECOND;

    fn steady() -> Trace {
        let mut pen = Pen::default();
        pen.pass(10 * SECOND, rates(0, 0, 0));
        pen.pass(STEADY, rates(0, 800, 0));
        pen.pass(60 * SECOND, rates(0, 0, 0));
        pen.trace("steady", 0)
    }

    #[test]
    fn a_privileged_trigger_fires_as_measured() {
        let found = events(&steady(), &["memory full 100ms/1s"], Rights::Privileged);
        assert!((10.2..10.3).contains(&found[0]), "first {}", found[0]);
        for pair in found.windows(2) {
            let gap = pair[1] - pair[0];
            assert!((1.02..=1.10).contains(&gap), "gap {gap}");
        }
        assert!(found.last().is_some_and(|&last| last < 91.8));
    }

    #[test]
    fn an_unprivileged_trigger_fires_as_measured() {
        let found = events(&steady(), &["memory full 10%/2s"], UNPRIVILEGED);
        assert!((10.5..13.1).contains(&found[0]), "first {}", found[0]);
        for pair in found.windows(2) {
            let gap = pair[1] - pair[0];
            assert!((2.0..=5.1).contains(&gap), "gap {gap}");
        }
        // a trigger registered after there was pressure reports it once more
        let mut late = steady();
        late.start = psilogd::time::Moment(92 * SECOND);
        late.knots.last_mut().unwrap().totals[MEMORY] += 1_000;
        let found = events(&late, &["memory full 1999ms/2s"], UNPRIVILEGED);
        assert!(matches!(found.len(), 1 | 2), "{found:?}");
    }

    #[test]
    fn a_reader_steals_events_as_measured() {
        let count = |reader| {
            let rights = Rights::Unprivileged {
                late: SECOND,
                reader,
            };
            events(&steady(), &["memory full 10%/2s"], rights).len()
        };
        let (alone, second, often) = (count(None), count(Some(SECOND)), count(Some(10_000)));
        assert!(alone > 20, "{alone}");
        let share = second as f64 / alone as f64;
        assert!((0.3..0.75).contains(&share), "{second} of {alone}");
        assert!(often <= 2, "{often}");
    }

    #[test]
    fn a_short_window_blinds_a_long_one() {
        let mut pen = Pen::default();
        for _ in 0..30 {
            pen.pass(300_000, rates(0, 1000, 0));
            pen.pass(1_200_000, rates(0, 0, 0));
        }
        let trace = pen.trace("bursts", 0);
        let long = "memory full 1200ms/10s";
        let alone = events(&trace, &[long], Rights::Privileged);
        assert!((2..=5).contains(&alone.len()), "{alone:?}");
        let beside = events(&trace, &[long, "io full 400ms/500ms"], Rights::Privileged);
        assert_eq!(beside, [0.0; 0]);
        let immune = events(&trace, &[long, "io full 400ms/2s"], UNPRIVILEGED);
        assert!(immune.len() >= 2, "{immune:?}");
    }

    #[test]
    fn a_breach_in_the_rate_limit_is_reported_with_the_next_stall() {
        let mut pen = Pen::default();
        pen.pass(3_500_000, rates(0, 500, 0));
        pen.pass(HOUR, rates(0, 0, 0));
        pen.pass(10_000, rates(0, 1000, 0));
        pen.pass(MINUTE, rates(0, 0, 0));
        let found = events(
            &pen.trace("stale", 0),
            &["memory full 20%/2s"],
            Rights::Privileged,
        );
        assert!(found.len() >= 2, "{found:?}");
        assert!(found.last().is_some_and(|&last| last > 3600.0), "{found:?}");
    }

    #[test]
    fn an_event_waits_for_poll() {
        let trace = steady();
        let rules = [rule("memory full 10%/2s")];
        let mut kernel = Kernel::new(&trace, &rules, Rights::Privileged, 0);
        assert_eq!(kernel.run(0, trace.end().0, &[false]), None);
        assert_eq!(
            kernel.run(trace.end().0, trace.end().0, &[true]),
            Some(trace.end().0)
        );
        assert!(kernel.take(0));
        assert!(!kernel.take(0));
    }
}
