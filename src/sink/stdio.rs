//! Standard output and standard error, never blocking on a full pipe.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::line::Line;
use crate::sink::queue::Entry;
use crate::sink::transport::{Header, Transport};
use crate::sink::{tag, timestamp};
use crate::sys::{self, FileKind};

/// One of the two streams.
pub struct Stdio {
    stream: Stream,
    /// Pipes and terminals are opened anew, since O_NONBLOCK on the descriptor
    /// that we were given would hold for every process that has it.
    own: Option<OwnedFd>,
    kind: FileKind,
    journal: bool,
}

/// Which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Stream::Out => sys::STDOUT,
            Stream::Err => sys::STDERR,
        }
    }
}

/// Whether journald reads the stream. It names the one that it reads, as fstat(2) shows
/// it (systemd.exec(5), $JOURNAL_STREAM).
pub fn is_journal(stream: Stream) -> bool {
    let (_, (device, inode)) = sys::file_kind(stream.fd());
    let named = std::env::var("JOURNAL_STREAM");
    named.is_ok_and(|named| named == format!("{device}:{inode}"))
}

impl Stdio {
    /// Looks at what the stream is.
    pub fn new(stream: Stream) -> Stdio {
        let fd = stream.fd();
        let kind = sys::file_kind(fd).0;
        let own = match kind {
            FileKind::Pipe | FileKind::Device => sys::reopen_nonblocking(fd).ok(),
            FileKind::Socket | FileKind::Other => None,
        };
        Stdio {
            stream,
            own,
            kind,
            journal: is_journal(stream),
        }
    }
}

impl Transport for Stdio {
    fn connect(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (self.kind, &self.own) {
            (FileKind::Socket, _) => sys::send(self.stream.fd(), bytes),
            (_, Some(own)) => sys::write(own.as_fd(), bytes),
            // Somebody else's pipe, or no /proc: a pipe that poll(2) calls
            // writable takes PIPE_BUF bytes, four of our lines.
            (FileKind::Pipe | FileKind::Device, None) if !sys::is_writable(self.stream.fd()) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            _ => sys::write(self.stream.fd(), bytes),
        }
    }

    fn close(&mut self) {}

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(match &self.own {
            Some(own) => own.as_fd(),
            None => self.stream.fd(),
        })
    }

    /// journald takes a level from 0 to 7 in front of a line and stamps it with
    /// time and name; any other reader gets the header of a log file.
    fn write_header(&self, line: &mut Line<'_>, header: Header, entry: &Entry) {
        if self.journal {
            line.text("<")
                .decimal(u64::from(entry.severity.number()), 1, b'0')
                .text(">");
        } else {
            timestamp(line, entry.wall);
            tag(line, header.pid);
        }
    }

    fn end(&self) -> Option<u8> {
        Some(b'\n')
    }

    /// Nothing is closed, so a full file system has the beginning of a line.
    fn continues(&self) -> bool {
        true
    }

    /// A pipe whose reader is gone never gets another, nor does a terminal that was hung
    /// up. A file may be written again after any error.
    fn is_over(&self, error: &io::Error) -> bool {
        let Some(errno) = error.raw_os_error() else {
            return false;
        };
        let last: &[i32] = match self.kind {
            FileKind::Pipe => &[libc::EPIPE],
            FileKind::Device => &[libc::EIO],
            FileKind::Socket => &[libc::EPIPE, libc::ECONNRESET, libc::ENOTCONN],
            FileKind::Other => &[],
        };
        errno == libc::EBADF || last.contains(&errno)
    }
}
