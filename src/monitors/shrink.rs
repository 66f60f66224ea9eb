//! What is not armed for want of something: what is tried again, and what is given up
//! where the poll array is too long.

use super::{Failure, Monitor, Monitors};
use crate::report::Hint;

impl<T> Monitors<T> {
    /// Whether any rule is about cgroups.
    pub fn are_about_cgroups(&self) -> bool {
        self.rules().any(|rule| rule.cgroup.is_some())
    }

    /// Whether no pattern finds any cgroup, as no cgroup2 hierarchy is mounted.
    pub(super) fn is_unmounted(&self) -> bool {
        let hint = self.inotify_error.and_then(|failure| failure.hint);
        hint == Some(Hint::Cgroup2)
    }

    /// Whether anything that is not armed is tried again with the fallback reading.
    pub(super) fn may_mend(&self) -> bool {
        self.unarmed
            .iter()
            .any(|unarmed| unarmed.failure.may_pass())
    }

    /// The newest triggers on cgroups retire, so many of them; those of patterns first,
    /// as they wait for room like any other. They are closed by the tasks that
    /// [`Monitors::retire`] starts, and removed by [`Monitors::remove_given_up`]. How
    /// many there were.
    pub fn give_up(&mut self, count: usize) -> usize {
        let mut left = count;
        for pattern in [true, false] {
            let of_cgroup = |monitor: &&mut Monitor<T>| {
                let alert = &monitor.alert;
                !monitor.retiring
                    && alert.cgroup().is_some()
                    && alert.rule().is_pattern() == pattern
            };
            for monitor in self.armed.iter_mut().rev().filter(of_cgroup).take(left) {
                monitor.retiring = true;
                left -= 1;
            }
        }
        count - left
    }

    /// Removes what was given up: its triggers, to be closed. No more triggers are armed
    /// than are left, until one of these is disarmed or other rules are put in force.
    pub fn remove_given_up(&mut self) -> Vec<T> {
        let failure = Failure {
            errno: libc::EMFILE,
            hint: Some(Hint::Descriptors),
        };
        let mut triggers = Vec::new();
        for index in (0..self.armed.len()).rev() {
            if !self.armed[index].retiring {
                continue;
            }
            let (alert, trigger) = self.disarm(index);
            triggers.push(trigger);
            match alert.cgroup() {
                Some(path) if alert.rule().is_pattern() => self.wait(alert.rule(), path),
                _ => self.add_unarmed(alert, failure),
            }
        }
        self.run_short();
        triggers
    }
}
