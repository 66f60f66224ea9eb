//! The state of what is watched.

use std::rc::Rc;

use super::{Monitor, Monitors};
use crate::pressure::Averages;
use crate::report::{Counts, Report};

impl<T> Monitors<T> {
    /// What a sign of life shows of them.
    pub fn counts(&self) -> Counts {
        let pending = self.rules.iter().map(|rule| rule.limit.pending());
        Counts {
            triggers: self.len(),
            failed: self.unarmed(),
            episodes: self.ids.count(),
            suppressed: self.counts.suppressed + pending.sum::<u64>(),
            ..self.counts
        }
    }

    /// The state of everything (SIGUSR1): `read` reads a trigger's counter. Of a
    /// pattern, the quiet cgroups are one line.
    pub fn status(&self, read: &dyn Fn(&T) -> Option<Averages>, log: &mut dyn FnMut(&Report<'_>)) {
        for rule in self.rules() {
            let wanted = Rc::as_ptr(rule);
            let of_rule = |at: usize| Rc::as_ptr(self.armed[at].alert.rule()).cmp(&wanted);
            let mut quiet = 0;
            for at in self.by_key.all(of_rule) {
                let Monitor { alert, trigger, .. } = &self.armed[at];
                match rule.is_pattern() && alert.is_quiet() {
                    true => quiet += 1,
                    false => log(&alert.status(read(trigger))),
                }
            }
            let lost = self.unarmed_of(rule).iter();
            lost.for_each(|unarmed| log(&unarmed.alert.status(None)));
            if rule.is_pattern() {
                let (unmounted, capped) = (self.is_unmounted(), self.waiting.of(rule));
                log(&Report::Tally {
                    rule,
                    unmounted,
                    quiet,
                    capped,
                });
            }
        }
    }
}
