//! Whether receivers are there, and whether they took what was sent: for a person
//! who has just started psilogd or runs a drill, not for the loop.

use super::{DRAIN, Sink};
use crate::config::OutputSpec;
use crate::sys::{self, Slot};
use crate::time::Moment;

/// What became of the lines for one output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// The receiver has them.
    Taken,
    /// They were sent, and no receiver confirms them (UDP).
    Sent,
    /// It has not all of them, for this errno(3).
    Failed(i32),
}

impl Sink {
    /// Connects every output. Each has beside it why that failed, as errno(3);
    /// UDP connects without a receiver too.
    pub fn reach(&mut self, now: Moment) -> Vec<(OutputSpec, Option<i32>)> {
        let outputs = self.outputs.iter_mut();
        outputs
            .map(|(spec, output)| (spec.clone(), output.reach(now)))
            .collect()
    }

    /// Waits at most 200 ms for lines to go out, by UDP for a refusal as well, and
    /// forgets the rest. What became of them.
    pub fn deliver(&mut self) -> Vec<(OutputSpec, Delivery)> {
        let end = sys::now() + DRAIN;
        self.drain(end);
        self.await_refusals(end);
        let now = sys::now();
        let outputs = self.outputs.iter_mut();
        outputs
            .map(|(spec, output)| {
                let delivery = match output.failure() {
                    Some(errno) => Delivery::Failed(errno),
                    None if !output.is_empty() => Delivery::Failed(libc::EAGAIN),
                    None if matches!(spec, OutputSpec::Udp(_)) => Delivery::Sent,
                    None => Delivery::Taken,
                };
                output.spill(now, |_, _| ());
                (spec.clone(), delivery)
            })
            .collect()
    }

    /// A refusal of a datagram comes back within moments, or never.
    fn await_refusals(&self, end: Moment) {
        for (spec, output) in &self.outputs {
            let (OutputSpec::Udp(_), Some(fd)) = (spec, output.may_refuse()) else {
                continue;
            };
            // POLLERR is seen without being asked for
            let mut slots = [Slot::new(fd, 0)];
            let _ = sys::poll(&mut slots, Some(end.since(sys::now())));
        }
    }
}
