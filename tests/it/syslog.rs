//! What arrives at a local syslog socket.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

use libtest_mimic::Trial;

use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("syslog::a_drill_arrives_as_rfc_3164_in_local_time", drill),
        trial("syslog::facility_and_copy", facility),
    ]
}

struct Receiver {
    socket: UnixDatagram,
    scratch: Scratch,
}

impl Receiver {
    fn new() -> Receiver {
        let scratch = Scratch::new();
        let socket = UnixDatagram::bind(scratch.0.join("log")).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        Receiver { socket, scratch }
    }

    fn output(&self) -> String {
        format!("syslog:{}/log", self.scratch.0.display())
    }

    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = uninterrupted(|| self.socket.recv(&mut buffer)).expect("a datagram");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

fn drill() -> Outcome {
    let receiver = Receiver::new();
    // half an hour off any whole zone
    let zone = "XYZ-5:30";
    let date = |format: &str| {
        let output = std::process::Command::new("date")
            .env("TZ", zone)
            .arg(format)
            .output();
        String::from_utf8_lossy(&output.expect("date runs").stdout)
            .trim_end()
            .to_string()
    };
    let before = date("+%b %e %H:%M");
    let child = binary()
        .env("TZ", zone)
        .env("LC_ALL", "C")
        .args(["--drill", "-f", "/dev/null", "-o", &receiver.output()])
        .stdout(Stdio::null())
        .spawn()?;
    let pid = child.id();
    let output = child.wait_with_output()?;
    assert!(output.status.success());
    let (begin, end) = (receiver.next(), receiver.next());
    let after = date("+%b %e %H:%M");
    // memory-critical is the most severe built-in rule; daemon is 3
    assert!(begin.starts_with("<26>"), "{begin}");
    assert!(
        begin[4..].starts_with(&before) || begin[4..].starts_with(&after),
        "{begin} {after}"
    );
    let tag = format!(
        " psilogd[{pid}]: memory pressure critical: event=begin level=crit rule=memory-critical res=memory kind=full id="
    );
    assert_eq!(begin.find(&tag), Some(4 + 15), "{begin}");
    assert!(begin.ends_with(" drill=1"), "{begin}");
    assert!(
        end.starts_with("<29>") && end.ends_with(" drill=1"),
        "{end}"
    );
    assert!(
        end.contains(": memory pressure ended: event=end level=crit "),
        "{end}"
    );
    done()
}

fn facility() -> Outcome {
    let receiver = Receiver::new();
    let text = format!("facility local5\noutput {}\n", receiver.output());
    let file = receiver.scratch.file("psilogd.conf", text);
    let output = binary()
        .args(["--drill", "-s", "-f", &file, "io some 1%/2s level=emerg"])
        .output()?;
    assert!(output.status.success());
    let begin = receiver.next();
    assert!(begin.starts_with("<168>"), "{begin}");
    let copy = String::from_utf8_lossy(&output.stderr);
    assert_eq!(copy.lines().next(), begin.get(5..), "{copy}");
    done()
}
