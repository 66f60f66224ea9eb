//! The local syslog socket, `/dev/log` or another: datagrams, or a stream where
//! the receiver offers nothing else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::line::Line;
use crate::sink::local_header;
use crate::sink::queue::Entry;
use crate::sink::transport::{Header, Transport};
use crate::sys::{self, SocketType};

/// A unix socket.
pub struct Local {
    path: String,
    socket: Option<(OwnedFd, SocketType)>,
}

impl Local {
    /// Not connected yet.
    pub fn new(path: &str) -> Local {
        Local {
            path: path.into(),
            socket: None,
        }
    }
}

impl Transport for Local {
    /// Connects a datagram socket; EPROTOTYPE says that it is a stream (unix(7)).
    fn connect(&mut self) -> io::Result<()> {
        let try_one = |kind| sys::connect_unix(&self.path, kind).map(|socket| (socket, kind));
        let socket = match try_one(SocketType::Datagram) {
            Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
                try_one(SocketType::Stream)
            }
            other => other,
        };
        self.socket = Some(socket?);
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.socket {
            Some((socket, _)) => sys::send(socket.as_fd(), bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn close(&mut self) {
        self.socket = None;
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(|(socket, _)| socket.as_fd())
    }

    fn write_header(&self, line: &mut Line<'_>, header: Header, entry: &Entry) {
        local_header(line, header, entry);
    }

    /// A stream has no message boundaries; syslog(3) puts a NUL there.
    fn end(&self) -> Option<u8> {
        match self.socket {
            Some((_, SocketType::Stream)) => Some(0),
            _ => None,
        }
    }
}
