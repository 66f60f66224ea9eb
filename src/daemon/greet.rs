//! A start at a terminal: what a person needs to know, and lines that would
//! otherwise be lost.

use std::io::{self, IsTerminal};

use super::{Daemon, UnarmedError};
use crate::config::OutputSpec;
use crate::greeting::Start;
use crate::sys;

/// Variables that a service manager sets. Whoever has started us then reads the
/// log, even where standard error is a terminal (systemd.exec(5), sd_notify(3)).
const MANAGED: [&str; 3] = ["NOTIFY_SOCKET", "JOURNAL_STREAM", "INVOCATION_ID"];

/// Whether a person is there to read standard error.
pub fn is_watched() -> bool {
    let managed = MANAGED.iter().any(|name| std::env::var_os(name).is_some());
    io::stderr().is_terminal() && !managed
}

impl Daemon {
    /// What to say to a person at the start, with `bad` not armed. Where no output
    /// has a receiver, standard error becomes one more output until the stop.
    pub fn greet(&mut self, bad: &[UnarmedError]) -> [String; 2] {
        let now = sys::now();
        let outputs = self.sink.reach(now);
        let unarmed: Vec<&str> = bad.iter().map(|bad| bad.name.as_str()).collect();
        let start = Start {
            version: env!("CARGO_PKG_VERSION"),
            rules: self.config.rules.len(),
            unarmed: &unarmed,
            outputs: &outputs,
        };
        if start.is_unheard() {
            self.source.copy_to_stderr();
            self.config.settings.outputs.push(OutputSpec::Stderr);
            self.sink.set(&self.config.settings, now);
        }
        start.sentences()
    }
}
