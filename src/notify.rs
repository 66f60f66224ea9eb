//! The service manager's readiness protocol, sd_notify(3): datagrams of
//! `KEY=value` lines to the socket that the environment names. Without one
//! nothing here does anything, and only a watchdog that was asked for costs
//! wake-ups.

use std::os::fd::{AsFd, OwnedFd};

use crate::line::Line;
use crate::sys::{self, SocketType};
use crate::time::{Micros, Moment};

/// Longer than any message.
const MESSAGE_MAX: usize = 160;

/// What the manager is notified of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Started, or reloaded: so many rules are armed, so many are not.
    Ready {
        /// Armed.
        triggers: usize,
        /// Not armed.
        failed: usize,
    },
    /// A reload begins.
    Reloading {
        /// Now, by which the manager distinguishes this reload from an earlier one.
        at: Moment,
    },
    /// The end is near.
    Stopping,
    /// Still alive.
    Alive,
}

impl State {
    /// The datagram.
    pub fn write(self, message: &mut Line<'_>) {
        match self {
            State::Ready { triggers, failed } => {
                message.text("READY=1\nSTATUS=Watching ");
                message.decimal(triggers as u64, 1, b'0').text(" triggers");
                if failed > 0 {
                    message.text(", ").decimal(failed as u64, 1, b'0');
                    message.text(" failed");
                }
            }
            State::Reloading { at } => {
                message.text("RELOADING=1\nMONOTONIC_USEC=");
                message.decimal(at.0, 1, b'0');
            }
            State::Stopping => {
                message.text("STOPPING=1");
            }
            State::Alive => {
                message.text("WATCHDOG=1");
            }
        }
    }
}

/// `WATCHDOG_USEC`, unless `WATCHDOG_PID` says that it is meant for another process: a
/// sign of life is given at half the time that the manager waits for one.
fn watchdog(usec: Option<&str>, meant: Option<&str>, pid: u32) -> Option<Micros> {
    if meant.is_some_and(|meant| meant.parse() != Ok(pid)) {
        return None;
    }
    let period = Micros(usec?.parse::<u64>().ok()? / 2);
    (period > Micros::ZERO).then_some(period)
}

/// The way to the service manager, if there is one.
pub struct Notify {
    socket: Option<OwnedFd>,
    /// Between signs of life.
    period: Option<Micros>,
    /// The next one. None before [`State::Ready`]: until then the manager waits for that.
    due: Option<Moment>,
}

impl Notify {
    /// What the environment asks for: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and
    /// `WATCHDOG_PID`. Without a socket, nothing is sent.
    pub fn from_environment() -> Notify {
        let variable = |name| std::env::var(name).ok();
        let name = variable("NOTIFY_SOCKET").filter(|name| name.starts_with(['/', '@']));
        let socket = name.and_then(|name| sys::connect_unix(&name, SocketType::Datagram).ok());
        let (usec, meant) = (variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
        let pid = std::process::id();
        Notify {
            period: socket
                .as_ref()
                .and_then(|_| watchdog(usec.as_deref(), meant.as_deref(), pid)),
            socket,
            due: None,
        }
    }

    /// Notifies the manager, without waiting for one that doesn't listen.
    pub fn notify(&self, state: State) {
        let Some(socket) = &self.socket else {
            return;
        };
        let mut buffer = [0; MESSAGE_MAX];
        let mut message = Line::new(&mut buffer);
        state.write(&mut message);
        let _ = sys::send(socket.as_fd(), message.bytes());
    }

    /// From now on signs of life are given.
    pub fn start_watchdog(&mut self, now: Moment) {
        self.due = self.period.map(|period| now + period);
    }

    /// When a sign of life is due.
    pub fn deadline(&self) -> Option<Moment> {
        self.due
    }

    /// Gives it if it is due.
    pub fn expire(&mut self, now: Moment) {
        if self.due.is_some_and(|due| due <= now) {
            self.start_watchdog(now);
            self.notify(State::Alive);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(state: State) -> String {
        let mut buffer = [0; MESSAGE_MAX];
        let mut message = Line::new(&mut buffer);
        state.write(&mut message);
        String::from_utf8_lossy(message.bytes()).into_owned()
    }

    #[test]
    fn messages() {
        let ready = |triggers, failed| text(State::Ready { triggers, failed });
        assert_eq!(ready(4, 0), "READY=1\nSTATUS=Watching 4 triggers");
        assert_eq!(ready(3, 1), "READY=1\nSTATUS=Watching 3 triggers, 1 failed");
        assert!(ready(usize::MAX, usize::MAX).len() < MESSAGE_MAX);
        let at = Moment(12_345_678);
        assert_eq!(
            text(State::Reloading { at }),
            "RELOADING=1\nMONOTONIC_USEC=12345678"
        );
        assert_eq!(text(State::Stopping), "STOPPING=1");
        assert_eq!(text(State::Alive), "WATCHDOG=1");
    }

    #[test]
    fn the_watchdog_is_fed_at_half_its_time_by_the_process_that_is_meant() {
        let period = |usec, meant| watchdog(usec, meant, 7);
        assert_eq!(period(Some("3000000"), None), Some(Micros(1_500_000)));
        assert_eq!(period(Some("3000000"), Some("7")), Some(Micros(1_500_000)));
        for (usec, meant) in [
            (Some("3000000"), Some("8")),
            (Some("3000000"), Some("")),
            (None, Some("7")),
            (Some("0"), None),
            (Some("-1"), None),
            (Some("soon"), None),
            (None, None),
        ] {
            assert_eq!(period(usec, meant), None, "{usec:?} {meant:?}");
        }
    }

    #[test]
    fn a_sign_of_life_is_given_when_it_is_due() {
        let mut notify = Notify {
            socket: None,
            period: watchdog(Some("2000000"), None, 7),
            due: None,
        };
        notify.expire(Moment(9_000_000));
        assert_eq!(notify.deadline(), None, "before the start");
        notify.start_watchdog(Moment(1_000_000));
        assert_eq!(notify.deadline(), Some(Moment(2_000_000)));
        notify.expire(Moment(1_999_999));
        assert_eq!(notify.deadline(), Some(Moment(2_000_000)));
        notify.expire(Moment(2_000_500));
        assert_eq!(notify.deadline(), Some(Moment(3_000_500)));
    }
}
