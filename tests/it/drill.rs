//! `--drill`: what it says of each output, and its exit code. That the lines arrive
//! as they should is in syslog.rs and tests/receivers.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

use libtest_mimic::Trial;

use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("drill::a_receiver_took_it", taken),
        trial("drill::no_receiver_took_it", missing),
        trial("drill::a_receiver_that_reads_nothing", hung),
        trial("drill::udp_is_refused_or_not_acknowledged", udp),
        trial("drill::standard_output_has_lines_alone", stdout),
    ]
}

fn drill(outputs: &[&str]) -> (Option<i32>, String, String) {
    let mut args = vec!["--drill", "-f", "/dev/null"];
    args.extend(outputs.iter().flat_map(|output| ["-o", output]));
    run(&args)
}

/// The lines that were sent, then one for each output.
fn report(text: &str) -> (Vec<&str>, Vec<&str>) {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("A drill's begin and end:"), "{text}");
    lines.partition(|line| line.starts_with("  memory pressure "))
}

fn taken() -> Outcome {
    let scratch = Scratch::new();
    let path = scratch.0.join("log");
    let socket = UnixDatagram::bind(&path)?;
    let (status, text, errors) = drill(&[&format!("syslog:{}", path.display())]);
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    let (sent, outputs) = report(&text);
    assert_eq!(outputs, [format!("syslog at {}: taken", path.display())]);
    for line in &sent {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer)?;
        let arrived = String::from_utf8_lossy(&buffer[..length]);
        let arrived = arrived.split_once("]: ").map(|(_, text)| text);
        assert_eq!(arrived, Some(line.trim_start()));
    }
    assert_eq!(sent.len(), 2, "{text}");
    done()
}

/// One output without a receiver is enough, since that is what a drill is to find;
/// nothing is written elsewhere instead.
fn missing() -> Outcome {
    let scratch = Scratch::new();
    let gone = scratch.0.join("log");
    drop(UnixDatagram::bind(&gone)?);
    for (path, rest) in [
        ("/nonexistent/log".to_string(), &[][..]),
        (gone.display().to_string(), &["stderr"][..]),
    ] {
        let output = format!("syslog:{path}");
        let mut outputs = vec![output.as_str()];
        outputs.extend(rest);
        let (status, text, errors) = drill(&outputs);
        // one that takes the lines is enough
        assert_eq!(status, Some(i32::from(rest.is_empty())), "{text}");
        let (sent, said) = report(&text);
        let reason = "not taken: no receiver is there";
        assert_eq!(said[0], format!("syslog at {path}: {reason}"));
        assert_eq!(said.len(), outputs.len(), "{text}");
        assert_eq!(errors.lines().count(), sent.len() * rest.len(), "{errors}");
        if !rest.is_empty() {
            assert_eq!(said[1], "standard error: taken");
        }
    }
    done()
}

fn hung() -> Outcome {
    let scratch = Scratch::new();
    let path = scratch.0.join("log");
    let _receiver = UnixDatagram::bind(&path)?;
    let filler = UnixDatagram::unbound()?;
    filler.connect(&path)?;
    filler.set_nonblocking(true)?;
    while filler.send(b"x").is_ok() {}
    let (status, text, errors) = drill(&[&format!("syslog:{}", path.display())]);
    assert_eq!((status, errors.as_str()), (Some(1), ""), "{text}");
    let expected = "not taken: the receiver is there but reads nothing";
    assert_eq!(
        report(&text).1,
        [format!("syslog at {}: {expected}", path.display())]
    );
    done()
}

fn udp() -> Outcome {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    let (status, text, _) = drill(&[&format!("udp:{address}")]);
    assert_eq!(status, Some(0), "{text}");
    let sent = format!("{address} by UDP: sent, but UDP does not confirm that lines arrive");
    assert_eq!(report(&text).1, [sent]);
    // not the same port again: a process that another test starts has it a while
    // longer, until its exec(2)
    let (status, text, _) = drill(&["udp:127.211.13.7:1"]);
    assert_eq!(status, Some(1), "{text}");
    let refused = "127.211.13.7:1 by UDP: not taken: no receiver is there";
    assert_eq!(report(&text).1, [refused]);
    done()
}

fn stdout() -> Outcome {
    let (status, lines, errors) = drill(&["stdout"]);
    assert_eq!(status, Some(0));
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(
        lines.lines().all(|line| line.ends_with(" drill=1")),
        "{lines}"
    );
    assert_eq!(report(&errors).1, ["standard output: taken"]);
    done()
}
