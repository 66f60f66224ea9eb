//! Outputs: a report becomes a line with the header that each output wants.
//! Sending never blocks.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;

use syslog::Facility;

use crate::config::Output;
use crate::line::Line;
use crate::report::{LINE_MAX, Report};
use crate::rule::Level;
use crate::sys;

/// A line with its header.
const DATAGRAM_MAX: usize = LINE_MAX;

/// All outputs.
pub struct Sink {
    facility: Facility,
    outputs: Vec<Open>,
}

struct Open {
    output: Output,
    /// The connected socket of a local syslog output.
    socket: Option<UnixDatagram>,
}

impl Sink {
    /// Opens the outputs; one that is not there yet is tried again with the next line.
    pub fn new(facility: Facility, outputs: &[Output]) -> Sink {
        let outputs = outputs.iter().map(|output| Open {
            output: output.clone(),
            socket: None,
        });
        Sink {
            facility,
            outputs: outputs.collect(),
        }
    }

    /// Writes the report to every output.
    pub fn log(&mut self, report: &Report<'_>) {
        let mut body = [0; LINE_MAX];
        let mut line = Line::new(&mut body);
        report.write(&mut line);
        for output in &mut self.outputs {
            let _ = output.send(self.facility, report.severity(), line.bytes());
        }
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `Mmm _d hh:mm:ss psilogd[PID]: ` in local time (RFC 3164, 4.1.2).
fn header(line: &mut Line<'_>, seconds: i64) {
    let local = sys::local(seconds);
    line.text(MONTHS[usize::from(local.month)]).text(" ");
    line.decimal(u64::from(local.day), 2, b' ').text(" ");
    line.decimal(u64::from(local.hour), 2, b'0').text(":");
    line.decimal(u64::from(local.minute), 2, b'0').text(":");
    line.decimal(u64::from(local.second), 2, b'0');
    line.text(" psilogd[");
    line.decimal(u64::from(std::process::id()), 1, b'0')
        .text("]: ");
}

impl Open {
    fn send(&mut self, facility: Facility, severity: Level, body: &[u8]) -> io::Result<()> {
        let mut buffer = [0; DATAGRAM_MAX + 1];
        let mut line = Line::new(&mut buffer[..DATAGRAM_MAX]);
        if let Output::Syslog(_) = self.output {
            let priority = facility as u64 | u64::from(severity.number());
            line.text("<").decimal(priority, 1, b'0').text(">");
        }
        header(&mut line, sys::wall());
        let room = DATAGRAM_MAX - line.len();
        line.raw(crate::line::whole_keys(body, room).unwrap_or_default());
        let length = line.len();
        match &self.output {
            Output::Syslog(path) => {
                if self.socket.is_none() {
                    let socket = UnixDatagram::unbound()?;
                    socket.set_nonblocking(true)?;
                    socket.connect(path)?;
                    self.socket = Some(socket);
                }
                let sent = self
                    .socket
                    .as_ref()
                    .map(|socket| socket.send(&buffer[..length]));
                match sent {
                    Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                        self.socket = None;
                        Err(error)
                    }
                    Some(Err(error)) => Err(error),
                    _ => Ok(()),
                }
            }
            Output::Stdout => {
                buffer[length] = b'\n';
                io::stdout().lock().write_all(&buffer[..=length])?;
                io::stdout().lock().flush()
            }
            Output::Stderr => {
                buffer[length] = b'\n';
                io::stderr().lock().write_all(&buffer[..=length])
            }
        }
    }
}
