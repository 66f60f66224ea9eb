//! The journal by its own protocol (systemd's JOURNAL_NATIVE_PROTOCOL): one datagram per
//! line, in which every key is a field that `journalctl PSI_EVENT=begin` finds.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::line::{LINE_MAX, Line};
use crate::report::message_id;
use crate::sink::queue::Entry;
use crate::sink::transport::{Header, Transport};
use crate::sink::{TIMESTAMP, local_header};
use crate::sys::{self, SocketType};

/// The longest datagram. The line is in it as a whole, and then its keys: each with its
/// space has at least four bytes, and its field is four bytes longer, so that all fields
/// are at most twice as long as the line. The rest is for the header and the id.
const DATAGRAM_MAX: usize = 3 * LINE_MAX + 256;

/// journald's socket.
pub struct Journal {
    path: String,
    socket: Option<OwnedFd>,
    /// A datagram while it is written.
    buffer: Box<[u8; DATAGRAM_MAX]>,
}

impl Journal {
    /// Not connected yet.
    pub fn new(path: &str) -> Journal {
        Journal {
            path: path.into(),
            socket: None,
            // touched, as it will be
            buffer: Box::new([1; DATAGRAM_MAX]),
        }
    }
}

impl Transport for Journal {
    fn connect(&mut self) -> io::Result<()> {
        self.socket = Some(sys::connect_unix(&self.path, SocketType::Datagram)?);
        Ok(())
    }

    /// The fields are made of the line here and kept nowhere. The kernel takes a datagram
    /// as a whole or not at all.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(socket) = &self.socket else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut datagram = Line::new(self.buffer.as_mut_slice());
        write(&mut datagram, bytes);
        sys::send(socket.as_fd(), datagram.bytes())?;
        Ok(bytes.len())
    }

    fn close(&mut self) {
        self.socket = None;
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// That of the syslog socket, so that a line is cut where it would be there, and where
    /// journald's ForwardToSyslog= writes the same header again.
    fn write_header(&self, line: &mut Line<'_>, header: Header, entry: &Entry) {
        local_header(line, header, entry);
    }
}

/// Writes the datagram of a line, `<PRI>Mmm dd hh:mm:ss psilogd[PID]: text`: what journald
/// itself makes of such a line, then the keys of the text.
///
/// A value is printable ASCII without a space or a quote; other bytes are written as %XX.
/// So there is nothing to unquote, and no newline that would need the protocol's other
/// form, with a length.
fn write(datagram: &mut Line<'_>, line: &[u8]) {
    let (priority, rest) = cut(line.get(1..).unwrap_or_default(), b'>');
    let (header, rest) = cut(rest, b']');
    let (_, pid) = cut(header, b'[');
    let time = header.get(..TIMESTAMP).unwrap_or_default();
    let text = rest.get(2..).unwrap_or_default();
    let priority = priority
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit & 15));

    datagram.text("PRIORITY=").decimal(priority % 8, 1, b'0');
    datagram
        .text("\nSYSLOG_FACILITY=")
        .decimal(priority / 8, 1, b'0');
    datagram
        .text("\nSYSLOG_IDENTIFIER=psilogd\nSYSLOG_PID=")
        .raw(pid);
    datagram.text("\nSYSLOG_TIMESTAMP=").raw(time);
    datagram.text("\nMESSAGE=").raw(text);
    datagram.raw(b"\n");
    let (mut event, mut resource): (&[u8], &[u8]) = (b"", b"");
    for word in text.split(|&b| b == b' ') {
        let (key, value) = cut(word, b'=');
        match key {
            // a word of the sentence
            _ if value.is_empty() => continue,
            b"event" => event = value,
            b"res" => resource = value,
            _ => {}
        }
        datagram.raw(b"PSI_");
        key.iter()
            .for_each(|byte| datagram.raw(&[byte.to_ascii_uppercase()]));
        datagram.text("=").raw(value);
        datagram.raw(b"\n");
    }
    if let Some(id) = message_id(event, resource) {
        datagram.text("MESSAGE_ID=").text(id).raw(b"\n");
    }
}

/// What is before the first such byte, and what is behind it: nothing if there is none.
fn cut(bytes: &[u8], mark: u8) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|&b| b == mark).unwrap_or(bytes.len());
    (&bytes[..at], bytes.get(at + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(line: &str) -> String {
        let mut buffer = [0; DATAGRAM_MAX];
        let mut datagram = Line::new(&mut buffer);
        write(&mut datagram, line.as_bytes());
        String::from_utf8(datagram.bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_line_and_its_keys_become_fields() {
        let text = "memory pressure critical: event=begin level=crit rule=memory-critical \
                    res=memory kind=full id=6a2b1c3d.17 avg10=43.10 \
                    cgroup=/system.slice/a%20b\\x2dc.service delayed_s=1.5";
        let sent = datagram(&format!("<170>Nov  2 20:01:02 psilogd[4711]: {text}"));
        let expected = format!(
            "PRIORITY=2\nSYSLOG_FACILITY=21\nSYSLOG_IDENTIFIER=psilogd\nSYSLOG_PID=4711\n\
             SYSLOG_TIMESTAMP=Nov  2 20:01:02\nMESSAGE={text}\nPSI_EVENT=begin\n\
             PSI_LEVEL=crit\nPSI_RULE=memory-critical\nPSI_RES=memory\nPSI_KIND=full\n\
             PSI_ID=6a2b1c3d.17\nPSI_AVG10=43.10\n\
             PSI_CGROUP=/system.slice/a%20b\\x2dc.service\nPSI_DELAYED_S=1.5\n\
             MESSAGE_ID=ee14a676f0f64ecab472bd83547ea491\n"
        );
        assert_eq!(sent, expected);
    }

    #[test]
    fn the_shortest_keys_fit_as_well() {
        let header = "<191>Nov 22 20:01:02 psilogd[4194304]: ";
        let words = "a=b ".repeat((LINE_MAX - header.len()) / 4 + 1);
        let line = format!("{header}{words}");
        let line = &line[..LINE_MAX];
        let sent = datagram(line);
        assert!(sent.len() < DATAGRAM_MAX, "{}", sent.len());
        let fields = sent.lines().filter(|field| *field == "PSI_A=b");
        assert_eq!(fields.count(), line.matches("a=b").count());
    }

    #[test]
    fn a_line_that_was_cut_has_the_fields_that_are_left() {
        let line = "<29>Nov 22 20:01:02 psilogd[1]: psilogd stopping: event=stop level=info";
        for length in 0..=line.len() {
            let sent = datagram(&line[..length]);
            assert!(sent.ends_with('\n') && !sent.contains("\n\n"), "{sent}");
        }
        assert!(
            datagram(line)
                .ends_with("PSI_LEVEL=info\nMESSAGE_ID=b1a197b3a654432b9dc295b701a35449\n")
        );
    }
}
