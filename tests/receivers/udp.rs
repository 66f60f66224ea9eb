//! A receiver by UDP.

use std::net::UdpSocket;
use std::process::Command;

use libtest_mimic::Trial;

use psilogd::report::{Report, StopSignal};
use psilogd::sink::Sink;
use psilogd::sys;

use crate::sender::{begin, rule, settings};
use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("udp::ipv4_and_ipv6_get_a_hostname", hostname),
        trial("udp::a_receiver_that_comes_late", late),
    ]
}

fn receiver(address: &str) -> Option<UdpSocket> {
    let socket = UdpSocket::bind(address).ok()?;
    socket.set_read_timeout(Some(DEADLINE)).ok()?;
    Some(socket)
}

fn next(socket: &UdpSocket) -> String {
    let mut buffer = [0; 2048];
    let length = uninterrupted(|| socket.recv(&mut buffer)).expect("a datagram");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn hostname() -> Outcome {
    let output = Command::new("uname").arg("-n").output()?;
    let name = String::from_utf8(output.stdout)?;
    let name = name.trim_end().split('.').next().unwrap_or_default();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Some(socket) = receiver(address) else {
            return skip(format!("no {address}"));
        };
        let output = format!("udp:{}", socket.local_addr()?);
        let child = binary()
            .args(["--drill", "-f", "/dev/null", "-o", &output])
            .spawn()?;
        let tag = format!(" {name} psilogd[{}]: memory pressure ", child.id());
        assert!(child.wait_with_output()?.status.success());
        for priority in ["<26>", "<29>"] {
            let line = next(&socket);
            assert!(line.starts_with(priority), "{line}");
            // behind `Mmm _d hh:mm:ss`
            assert_eq!(line.find(&tag), Some(4 + 15), "{line}");
        }
    }
    done()
}

/// While nobody is there, lines are lost: UDP reports the one before at best.
/// What is sent after that arrives.
fn late() -> Outcome {
    let socket = receiver("127.0.0.1:0").expect("loopback");
    let address = socket.local_addr()?;
    drop(socket);
    let rule = rule();
    let mut sink = Sink::new(&settings(&[&format!("udp:{address}")]), sys::now());
    (1..=5).for_each(|number| sink.log(&begin(&rule, number)));
    // a process that is being started may hold the old one until it is there
    let again = || receiver(&address.to_string());
    until("the same port", || again().is_some());
    let socket = again().expect("the same port");
    (6..=9).for_each(|number| sink.log(&begin(&rule, number)));
    sink.log(&Report::Stop {
        signal: Some(StopSignal::Term),
    });
    assert!(sink.finish());
    let mut numbers = Vec::new();
    loop {
        let line = next(&socket);
        if line.ends_with(" signal=TERM") {
            break;
        }
        let (_, number) = line.split_once("id=6a2b1c3d.").expect("an id");
        let number = number.split(' ').next().unwrap_or_default();
        numbers.push(number.parse::<u64>()?);
    }
    assert!(numbers.ends_with(&[6, 7, 8, 9]), "{numbers:?}");
    assert!(numbers.is_sorted(), "{numbers:?}");
    println!(
        "udp: of five lines to nobody, {} arrived later",
        numbers.len() - 4
    );
    done()
}
