//! The service manager's side of sd_notify(3).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("notify::start_reload_and_stop_are_reported", story),
        trial("notify::an_abstract_socket_is_one_too", in_abstract),
        trial("notify::the_watchdog_is_fed", fed),
        trial("notify::a_slow_start_is_no_sign_of_life", slow_start),
        trial("notify::a_watchdog_of_another_process_is_not", not_ours),
        trial("notify::a_socket_that_is_not_there_is_no_error", nobody),
    ]
}

/// Listens where NOTIFY_SOCKET says.
struct Manager {
    socket: UnixDatagram,
    _scratch: Scratch,
    name: String,
}

impl Manager {
    fn new() -> Manager {
        let scratch = Scratch::new();
        let path = scratch.0.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let name = path.to_str().expect("text").into();
        Manager {
            socket,
            _scratch: scratch,
            name,
        }
    }

    fn command(&self) -> Command {
        let mut command = binary();
        command.env("NOTIFY_SOCKET", &self.name);
        command.args(["-o", "stdout", "-f", "/dev/null", "io full 100%/2s"]);
        command.args(["cpu some 100%/2s"]);
        command
    }

    /// The next message; None if none comes in time.
    fn next(&self, within: Duration) -> Option<String> {
        let mut buffer = [0; 4096];
        self.socket.set_read_timeout(Some(within)).expect("set");
        let length = uninterrupted(|| self.socket.recv(&mut buffer)).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    fn expect(&self) -> String {
        self.next(DEADLINE).expect("a message")
    }
}

fn story() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let manager = Manager::new();
    let mut daemon = Psilogd::spawn(&mut manager.command());
    let ready = "READY=1\nSTATUS=Watching 2 triggers";
    assert_eq!(manager.expect(), ready);
    daemon.wait("start");
    let before = psilogd::sys::now();
    daemon.signal("HUP");
    let reloading = manager.expect();
    let stamp = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    let stamp: u64 = stamp.and_then(|usec| usec.parse().ok()).expect("a time");
    assert!((before.0..=psilogd::sys::now().0).contains(&stamp));
    assert_eq!(manager.expect(), ready);
    daemon.wait("reload");
    let (status, _, errors) = daemon.end("TERM");
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    assert_eq!(manager.expect(), "STOPPING=1");
    assert_eq!(manager.next(Duration::from_millis(1)), None);
    done()
}

fn in_abstract() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let mut manager = Manager::new();
    let name = format!("psilogd-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    manager.socket = UnixDatagram::bind_addr(&address).expect("a socket");
    manager.name = format!("@{name}");
    let daemon = Psilogd::spawn(&mut manager.command());
    assert!(manager.expect().starts_with("READY=1\n"));
    daemon.end("TERM");
    assert_eq!(manager.expect(), "STOPPING=1");
    done()
}

fn fed() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let manager = Manager::new();
    let mut command = manager.command();
    let daemon = Psilogd::spawn(command.env("WATCHDOG_USEC", "400000"));
    let first = manager.expect();
    assert!(first.starts_with("READY=1\n"), "{first}");
    let start = Instant::now();
    for _ in 0..5 {
        assert_eq!(manager.expect(), "WATCHDOG=1");
    }
    // Half the time five times, and not as fast as can be; how late it may be is
    // up to the machine.
    assert!(start.elapsed() > Duration::from_millis(4 * 200));
    daemon.signal("STOP");
    while manager.next(Duration::from_millis(1)).is_some() {}
    assert_eq!(manager.next(Duration::from_millis(1000)), None);
    daemon.signal("CONT");
    assert_eq!(manager.expect(), "WATCHDOG=1");
    daemon.end("TERM");
    done()
}

/// The start takes longer than the watchdog waits, and its first message is still that it
/// is over.
fn slow_start() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let manager = Manager::new();
    let mut command = manager.command();
    let daemon = Psilogd::spawn(command.env("WATCHDOG_USEC", "2"));
    let first = manager.expect();
    assert!(first.starts_with("READY=1\n"), "{first}");
    assert_eq!(manager.expect(), "WATCHDOG=1");
    daemon.end("TERM");
    done()
}

fn not_ours() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let manager = Manager::new();
    let mut command = manager.command();
    command
        .env("WATCHDOG_USEC", "100000")
        .env("WATCHDOG_PID", "1");
    let daemon = Psilogd::spawn(&mut command);
    assert!(manager.expect().starts_with("READY=1\n"));
    assert_eq!(manager.next(Duration::from_millis(500)), None);
    daemon.end("TERM");
    done()
}

fn nobody() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    for name in [
        "/nonexistent/notify",
        "@nobody-listens-here",
        "vsock:1:2",
        "",
    ] {
        let mut command = binary();
        command.env("NOTIFY_SOCKET", name);
        command.args(["-o", "stdout", "-f", "/dev/null"]);
        let mut daemon = Psilogd::spawn(command.env("WATCHDOG_USEC", "1000000"));
        daemon.wait("start");
        let (status, _, errors) = daemon.end("TERM");
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{name}");
    }
    done()
}
