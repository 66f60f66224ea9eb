//! A remote receiver by UDP, for hosts without one of their own: RFC 3164 with the
//! hostname. The address is numeric, because a look-up blocks.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use crate::line::Line;
use crate::pattern::is_plain;
use crate::sink::queue::Entry;
use crate::sink::transport::{Header, Transport};
use crate::sink::{priority, tag, timestamp};
use crate::sys;

/// A connected UDP socket: connected, so that a refusal comes back.
pub struct Udp {
    address: SocketAddr,
    hostname: String,
    socket: Option<UdpSocket>,
}

impl Udp {
    /// Not connected yet. The hostname is taken once, without its domain
    /// (RFC 3164, 4.1.2).
    pub fn new(address: SocketAddr) -> Udp {
        let name = sys::hostname();
        let name = name.split(|&b| b == b'.').next().unwrap_or_default();
        let plain = name.iter().copied().filter(|&b| is_plain(b));
        let hostname: String = plain.map(char::from).collect();
        Udp {
            address,
            hostname: match hostname.is_empty() {
                true => "localhost".into(),
                false => hostname,
            },
            socket: None,
        }
    }
}

impl Transport for Udp {
    fn connect(&mut self) -> io::Result<()> {
        let any: IpAddr = match self.address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(self.address)?;
        self.socket = Some(socket);
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.socket {
            Some(socket) => sys::send(socket.as_fd(), bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn close(&mut self) {
        self.socket = None;
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    fn refusal(&self) -> Option<io::Error> {
        self.socket.as_ref()?.take_error().ok()?
    }

    fn write_header(&self, line: &mut Line<'_>, header: Header, entry: &Entry) {
        priority(line, header.facility, entry.severity);
        timestamp(line, entry.wall);
        line.text(&self.hostname).text(" ");
        tag(line, header.pid);
    }
}
