//! The destinations of lines, as `output` and -o name them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::rule::{ParseError, Reason};

/// A destination of lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutputSpec {
    /// The journal where standard output is the journal's stream, else the local syslog
    /// socket.
    Auto,
    /// journald's own socket; the path is `/run/systemd/journal/socket` unless given.
    Journal(String),
    /// A local syslog socket; the path is `/dev/log` unless given.
    Syslog(String),
    /// A remote receiver by UDP; the port is 514 unless given.
    Udp(SocketAddr),
    /// The kernel's log.
    Kmsg,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The path of the local syslog socket (syslog(3)).
pub const DEV_LOG: &str = "/dev/log";
/// The path of journald's own socket (systemd's JOURNAL_NATIVE_PROTOCOL).
pub const JOURNAL: &str = "/run/systemd/journal/socket";
/// The port of syslog by UDP (RFC 3164, 2).
const UDP_PORT: u16 = 514;
pub(super) const OUTPUT_HELP: &str = "expected auto, journal, journal:PATH, syslog, syslog:PATH, udp:ADDRESS, \
     udp:ADDRESS:PORT, kmsg, stdout or stderr";

impl OutputSpec {
    /// Reads `auto`, `journal`, `journal:PATH`, `syslog`, `syslog:PATH`,
    /// `udp:ADDRESS[:PORT]`, `kmsg`, `stdout`, `stderr`.
    ///
    /// # Errors
    /// Any other word, with what would be right.
    pub fn parse(word: &str) -> Result<OutputSpec, ParseError> {
        match word.split_once(':') {
            None if word == "auto" => Ok(OutputSpec::Auto),
            None if word == "journal" => Ok(OutputSpec::Journal(JOURNAL.into())),
            None if word == "syslog" => Ok(OutputSpec::Syslog(DEV_LOG.into())),
            None if word == "kmsg" => Ok(OutputSpec::Kmsg),
            None if word == "stdout" => Ok(OutputSpec::Stdout),
            None if word == "stderr" => Ok(OutputSpec::Stderr),
            Some(("journal", path)) => socket(word, path).map(OutputSpec::Journal),
            Some(("syslog", path)) => socket(word, path).map(OutputSpec::Syslog),
            Some(("udp", address)) => udp_address(address).map(OutputSpec::Udp).ok_or_else(|| {
                let help = "expected a numeric address (a name lookup would block), e.g. \
                            udp:192.0.2.1, udp:192.0.2.1:514 or udp:[2001:db8::1]:514";
                ParseError::new(word, Reason::BadValue, help)
            }),
            _ => Err(ParseError::new(word, Reason::BadValue, OUTPUT_HELP)),
        }
    }
}

/// The path of a unix socket.
fn socket(word: &str, path: &str) -> Result<String, ParseError> {
    let help = match path {
        path if !path.starts_with('/') => {
            "the path of a socket must begin with /, e.g. syslog:/dev/log"
        }
        // as in a file, and -n prints a file
        path if path.contains(char::is_control) => "control characters are not allowed",
        // sun_path holds 108 bytes with its NUL (unix(7))
        path if path.len() > 107 => "the path of a socket must have at most 107 bytes",
        path => return Ok(path.into()),
    };
    Err(ParseError::new(word, Reason::BadValue, help))
}

fn udp_address(text: &str) -> Option<SocketAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = match bare.unwrap_or(text).parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, UDP_PORT),
        Err(_) => text.parse().ok()?,
    };
    (address.port() != 0).then_some(address)
}

impl fmt::Display for OutputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputSpec::Auto => f.write_str("auto"),
            OutputSpec::Journal(path) if path == JOURNAL => f.write_str("journal"),
            OutputSpec::Journal(path) => write!(f, "journal:{path}"),
            OutputSpec::Syslog(path) if path == DEV_LOG => f.write_str("syslog"),
            OutputSpec::Syslog(path) => write!(f, "syslog:{path}"),
            OutputSpec::Udp(address) => write!(f, "udp:{address}"),
            OutputSpec::Kmsg => f.write_str("kmsg"),
            OutputSpec::Stdout => f.write_str("stdout"),
            OutputSpec::Stderr => f.write_str("stderr"),
        }
    }
}
