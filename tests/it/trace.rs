//! strace(1) on a running psilogd.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;

/// poll(2), by whichever name the architecture has it.
pub const POLL: &str = "?poll,ppoll";

/// Runs a command of strace(1) on a daemon, and waits until it is attached. Why it can't
/// be, if so: strace ends where it may not trace another's child.
pub fn traced(daemon: &Psilogd, mut strace: Command) -> Result<Child, String> {
    let mut child = strace
        .args(["-p", &daemon.pid().to_string()])
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| "strace is not installed")?;
    let end = Instant::now() + DEADLINE;
    while daemon.proc_status("TracerPid") == 0 {
        if child.try_wait().expect("a child").is_some() {
            return Err("strace may not attach to another process".into());
        }
        assert!(Instant::now() < end, "strace neither ends nor attaches");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}

/// A tracer of a running daemon.
pub struct Trace {
    child: Child,
    file: String,
}

impl Trace {
    /// Why it can't be, if so: strace ends where it may not trace another's child.
    pub fn start(daemon: &Psilogd, scratch: &Scratch, calls: &str) -> Result<Trace, String> {
        let file = scratch.file("trace", "");
        let mut command = Command::new("strace");
        command
            .args(["-tt", "-s", "400", "-o", &file])
            .args(["-e", &format!("trace={calls}")]);
        let child = traced(daemon, command)?;
        Ok(Trace { child, file })
    }

    /// So far.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.file).expect("a trace")
    }

    pub fn end(mut self) -> Vec<String> {
        signal(self.child.id(), "INT");
        let _ = self.child.wait();
        self.text().lines().map(String::from).collect()
    }
}
