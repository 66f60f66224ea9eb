//! poll(2), and the array that it takes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::cerr;
use crate::time::Micros;

/// A slot of the poll array. Laid out as pollfd, so that an array of them is
/// what poll(2) takes.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Slot(libc::pollfd);

impl Slot {
    /// A slot that poll(2) passes over.
    pub const IDLE: Slot = Slot(libc::pollfd {
        fd: -1,
        events: 0,
        revents: 0,
    });

    /// Waits for `events` on `fd`. The descriptor is only borrowed for the call:
    /// whoever closes it takes it out of the array first, and poll(2) answers a
    /// stale number with POLLNVAL, not with undefined behaviour.
    pub fn new(fd: BorrowedFd<'_>, events: i16) -> Slot {
        Slot(libc::pollfd {
            fd: fd.as_raw_fd(),
            events,
            revents: 0,
        })
    }

    /// Takes it that poll(2) has seen all that it was to wait for. For a descriptor that
    /// never blocks.
    pub fn assume_seen(&mut self) {
        if self.0.fd >= 0 {
            self.0.revents = self.0.events;
        }
    }

    /// What poll(2) has seen.
    pub fn seen(&self) -> i16 {
        self.0.revents
    }
}

/// poll(2). A time-out is rounded up to whole milliseconds, or the last fraction
/// would spin. An interruption (SIGCONT) counts as nothing seen.
pub fn poll(slots: &mut [Slot], timeout: Option<Micros>) -> io::Result<()> {
    let timeout = match timeout {
        None => -1,
        Some(time) => i32::try_from(time.0.div_ceil(1000)).unwrap_or(i32::MAX),
    };
    // SAFETY: Slot is a transparent pollfd, and pointer and length are those of
    // one exclusively borrowed slice.
    let result = unsafe {
        libc::poll(
            slots.as_mut_ptr().cast::<libc::pollfd>(),
            slots.len() as libc::nfds_t,
            timeout,
        )
    };
    match cerr(result) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            for slot in slots {
                slot.0.revents = 0;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Whether a write would not block now.
pub fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut slots = [Slot::new(fd, libc::POLLOUT)];
    poll(&mut slots, Some(Micros::ZERO)).is_ok() && slots[0].seen() != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::now;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn poll_waits_at_least_as_long_as_it_was_told() {
        let start = now();
        assert!(poll(&mut [Slot::IDLE], Some(Micros(1_001))).is_ok());
        assert!(now().since(start) >= Micros(1_001));
    }

    #[test]
    fn poll_sees_what_is_there_and_passes_over_idle_slots() -> io::Result<()> {
        let (mut near, far) = UnixStream::pair()?;
        near.write_all(b"x")?;
        let mut slots = [Slot::IDLE, Slot::new(far.as_fd(), libc::POLLIN)];
        poll(&mut slots, None)?;
        assert_eq!((slots[0].seen(), slots[1].seen()), (0, libc::POLLIN));
        Ok(())
    }
}
