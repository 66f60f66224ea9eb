//! poll(2), and how to go on where it fails. It fails for want of memory, which passes,
//! or because the array is longer than RLIMIT_NOFILE allows, which the newest triggers
//! on cgroups then have to mend: an array in two parts would be polled in turns, and
//! an idle host would be woken for each.

use std::io;
use std::os::fd::AsFd;

use super::{CGROUPS, Daemon, MOUNTS, OUTPUTS, SIGNALS, TOP, close};
use crate::cgroup::Tree;
use crate::monitors::Failure;
use crate::report::{EndReason, Hint};
use crate::sys::{self, Slot};
use crate::time::{Micros, Moment};
use crate::trigger::Trigger;

/// The first pause after a failed poll(2); the next ones double.
const PAUSE_MIN: Micros = Micros::millis(100);
/// No pause is longer.
const PAUSE_MAX: Micros = Micros::secs(1);
/// After so long, events are not waited for any more: counters are read instead.
const FAILING_MAX: Micros = Micros::secs(1);

/// poll(2) fails, and has failed every time since then.
#[derive(Clone, Copy)]
pub(super) struct Failing {
    since: Moment,
    /// The next pause.
    pause: Micros,
}

impl Daemon {
    /// Waits for a signal, a trigger or the next thing that is due; for a pause, if
    /// poll(2) fails.
    pub(super) fn wait(&mut self) {
        self.rebuild_poll_set();
        let due = self
            .monitors
            .deadline()
            .into_iter()
            .chain(self.sink.deadline())
            .chain(self.notify.deadline())
            .chain(self.heartbeat.deadline())
            .min();
        let timeout = match self.is_arming() {
            true => Some(Micros::ZERO),
            false => due.map(|due| due.since(sys::now())),
        };
        match sys::poll(&mut self.slots, timeout) {
            Ok(()) if self.failing.is_none() => {}
            Ok(()) => {
                self.failing = None;
                self.changed |= self.monitors.set_poll_error(sys::now(), None);
            }
            Err(error) => self.endure(&error),
        }
    }

    /// The poll array. Within its capacity but after more was armed, and then
    /// [`Daemon::report_unarmed`] has filled it once.
    pub(super) fn rebuild_poll_set(&mut self) {
        let tree = self.tree.as_ref().and_then(Tree::fd);
        let slot = |fd| Slot::new(fd, libc::POLLIN);
        self.slots.clear();
        self.slots.push(slot(self.signals.as_fd()));
        self.slots.push(tree.map_or(Slot::IDLE, slot));
        self.slots.push(self.top.slot());
        // where no rule is about cgroups, a mount is no reason to wake up
        let mounts = match self.monitors.are_about_cgroups() {
            true => self.mounts.slot(),
            false => Slot::IDLE,
        };
        self.slots.push(mounts);
        self.slots.resize(OUTPUTS + self.sink.width(), Slot::IDLE);
        self.sink.arm(&mut self.slots[OUTPUTS..]);
        let slot = |trigger: &Trigger| Slot::new(trigger.as_fd(), libc::POLLPRI);
        let triggers = self.monitors.polled();
        self.slots
            .extend(triggers.map(|trigger| trigger.map_or(Slot::IDLE, slot)));
    }

    /// poll(2) has failed, so this turn knows of no event: it does what is due, and takes
    /// what can be taken without waiting.
    fn endure(&mut self, error: &io::Error) {
        let again = self.failing.is_some();
        let failing = self.failing.get_or_insert(Failing {
            since: sys::now(),
            pause: PAUSE_MIN,
        });
        std::thread::sleep(std::time::Duration::from_micros(failing.pause.0));
        failing.pause = Micros(failing.pause.0 * 2).min(PAUSE_MAX);
        let now = sys::now();
        let failed = now.since(failing.since) >= FAILING_MAX;
        // somebody may have lowered the soft limit alone
        sys::raise_descriptor_limit();
        if again {
            self.shorten_poll_set();
        }
        if failed {
            let failure = Failure::of(error, Some(Hint::Poll));
            self.changed |= self.monitors.set_poll_error(now, Some(failure));
        }
        for index in [SIGNALS, CGROUPS, TOP, MOUNTS] {
            self.slots[index].assume_seen();
        }
    }

    /// Gives up the newest triggers on cgroups until the array is as long as the kernel
    /// takes it.
    fn shorten_poll_set(&mut self) {
        let most = sys::descriptor_limit().unwrap_or(usize::MAX);
        let surplus = self.slots.len().saturating_sub(most);
        if surplus == 0 || self.monitors.give_up(surplus) == 0 {
            return;
        }
        self.monitors.retire(sys::now(), EndReason::Capped);
        self.carry_out();
        close(self.monitors.remove_given_up());
        self.changed = true;
        self.report_unarmed(false);
    }
}
