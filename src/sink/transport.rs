//! What an output needs of the way to its receiver. Each transport has a file of its
//! own.

use std::io;
use std::os::fd::BorrowedFd;

use syslog::Facility;

use crate::line::{LINE_MAX, Line};
use crate::sink::queue::Entry;
use crate::time::Moment;

/// What the header of every line says of the writer.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The syslog facility.
    pub facility: Facility,
    /// This process; kept, since asking is a system call.
    pub pid: u32,
}

/// A way to a receiver.
pub trait Transport {
    /// Opens it, or opens it anew, without blocking.
    fn connect(&mut self) -> io::Result<()>;

    /// Sends bytes without blocking, and returns how many were taken.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Closes it until the next connect.
    fn close(&mut self);

    /// What poll(2) can wait for while it is full.
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// Writes the header of a line.
    fn write_header(&self, line: &mut Line<'_>, header: Header, entry: &Entry);

    /// The byte that ends every line, if any.
    fn end(&self) -> Option<u8> {
        None
    }

    /// Whether bytes that were sent before a close are followed by those sent after the
    /// next connect, as in a file.
    fn continues(&self) -> bool {
        false
    }

    /// Bytes in a line, header and all, that the receiver takes.
    fn limit(&self) -> usize {
        LINE_MAX
    }

    /// When the next line may be sent, where the receiver limits their rate.
    fn not_before(&self) -> Option<Moment> {
        None
    }

    /// Called when a line was sent.
    fn sent(&mut self, _now: Moment) {}

    /// The refusal of a line that was sent, where the receiver reports one later (an
    /// ICMP message for UDP).
    fn refusal(&self) -> Option<io::Error> {
        None
    }

    /// Whether it can never work again: a closed pipe.
    fn is_over(&self, _error: &io::Error) -> bool {
        false
    }
}
