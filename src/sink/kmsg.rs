//! The kernel's log, for hosts without any receiver: `/dev/kmsg`
//! (Documentation/ABI/testing/dev-kmsg).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::line::Line;
use crate::sink::queue::Entry;
use crate::sink::transport::{Header, Transport};
use crate::sink::{priority, tag};
use crate::time::{Micros, Moment};

const PATH: &str = "/dev/kmsg";
/// The kernel takes ten writes of a descriptor in five seconds and drops the rest
/// without a word (DEFAULT_RATELIMIT_BURST, DEFAULT_RATELIMIT_INTERVAL), unless
/// printk_devkmsg is `on`.
const BURST: usize = 10;
/// A little longer than the kernel's own interval, whose clock ticks in jiffies.
const INTERVAL: Micros = Micros::millis(5_100);
/// A record is at most 1024 bytes with the kernel's own prefix of up to 48.
const RECORD_MAX: usize = 976;

/// The kernel's log. Its facility is ours only if it isn't kern.
pub struct Kmsg {
    file: Option<File>,
    /// When the last lines were sent, as a ring.
    sent: [Option<Moment>; BURST],
    next: usize,
}

impl Kmsg {
    /// Opened at once: later psilogd may be a user who can't. If that fails, connect()
    /// tries again.
    pub fn new() -> Kmsg {
        Kmsg {
            file: open().ok(),
            sent: [None; BURST],
            next: 0,
        }
    }
}

impl Default for Kmsg {
    fn default() -> Kmsg {
        Kmsg::new()
    }
}

fn open() -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(PATH)
}

impl Transport for Kmsg {
    fn connect(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(open()?);
        }
        Ok(())
    }

    /// One write is one record.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// It stays open: no other device takes its place.
    fn close(&mut self) {}

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// The kernel stamps its own time.
    fn write_header(&self, line: &mut Line<'_>, header: Header, entry: &Entry) {
        priority(line, header.facility, entry.severity);
        tag(line, header.pid);
    }

    /// Without a newline the kernel takes a record for one that may be continued,
    /// and withholds it until the next one is written (printk.c, vprintk_store).
    fn end(&self) -> Option<u8> {
        Some(b'\n')
    }

    fn limit(&self) -> usize {
        RECORD_MAX
    }

    fn not_before(&self) -> Option<Moment> {
        self.sent[self.next].map(|oldest| oldest + INTERVAL)
    }

    fn sent(&mut self, now: Moment) {
        self.sent[self.next] = Some(now);
        self.next = (self.next + 1) % BURST;
    }
}
