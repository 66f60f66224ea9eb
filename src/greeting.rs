//! What psilogd says to a person at a terminal, and not to the log: at the start,
//! and about a drill. Facts go in, text comes out; what came from outside is
//! escaped on its way to the terminal.

use std::fmt::Write;
use std::io;

use crate::config::{JOURNAL, OutputSpec};
use crate::printable::printable;
use crate::sink::Delivery;

/// What a start is about.
#[derive(Debug)]
pub struct Start<'a> {
    /// psilogd's version.
    pub version: &'a str,
    /// How many rules there are.
    pub rules: usize,
    /// The names of those that are not armed. Why, and what would help, has been
    /// said before.
    pub unarmed: &'a [&'a str],
    /// Every output of the configuration and, as errno(3), why it has no receiver.
    pub outputs: &'a [(OutputSpec, Option<i32>)],
}

impl Start<'_> {
    /// Whether no output has a receiver, and lines are to be shown here as well.
    pub fn is_unheard(&self) -> bool {
        self.outputs.iter().all(|(_, error)| error.is_some())
    }

    /// Two sentences, each on a line of its own.
    pub fn sentences(&self) -> [String; 2] {
        let mut places = Vec::new();
        for (output, error) in self.outputs {
            let state = match (output, error) {
                (_, Some(errno)) => send_error(output, *errno),
                (OutputSpec::Auto | OutputSpec::Journal(_) | OutputSpec::Syslog(_), None) => {
                    "a receiver is there".into()
                }
                (OutputSpec::Udp(_), None) => "which does not confirm lines".into(),
                (OutputSpec::Kmsg | OutputSpec::Stdout | OutputSpec::Stderr, None) => String::new(),
            };
            places.push(match state.is_empty() {
                true => place(output),
                false => format!("{} ({state})", place(output)),
            });
        }
        let version = self.version;
        let (armed, places) = (self.armed(), list(&places));
        let first = format!("psilogd {version} has armed {armed} and logs to {places}.");
        let here = |output: &OutputSpec| matches!(output, OutputSpec::Stderr);
        let second = match self.outputs.iter().any(|(output, _)| here(output)) {
            _ if self.is_unheard() => {
                "Lines are therefore shown here as well (none without pressure); press ^C to stop."
            }
            true => "Without pressure it stays silent; press ^C to stop.",
            false => "To see lines here as well (none without pressure), add -s; press ^C to stop.",
        };
        [first, second.into()]
    }

    fn armed(&self) -> String {
        let rules = self.rules;
        let armed = rules.saturating_sub(self.unarmed.len());
        match (armed, self.unarmed) {
            (1, []) => "its one rule".into(),
            (_, []) => format!("all {rules} rules"),
            (_, [one]) => format!("{armed} of {rules} rules (not {one}, see above)"),
            (_, more) => {
                let names: Vec<String> = more.iter().map(|name| name.to_string()).collect();
                format!("{armed} of {rules} rules (not {}, see above)", list(&names))
            }
        }
    }
}

/// What a drill says: its two lines, and what became of them for each output.
pub fn drill(lines: &[String], outputs: &[(OutputSpec, Delivery)]) -> String {
    let mut text = String::from("A drill's begin and end:\n");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
    for (output, delivery) in outputs {
        let became = match delivery {
            Delivery::Taken => "taken".into(),
            Delivery::Sent => "sent, but UDP does not confirm that lines arrive".into(),
            Delivery::Failed(errno) => format!("not taken: {}", send_error(output, *errno)),
        };
        let _ = writeln!(text, "{}: {became}", place(output));
    }
    text
}

fn place(output: &OutputSpec) -> String {
    match output {
        OutputSpec::Auto => "the journal or syslog".into(),
        OutputSpec::Journal(path) if path == JOURNAL => "the journal".into(),
        OutputSpec::Journal(path) => format!("the journal at {}", printable(path)),
        OutputSpec::Syslog(path) => format!("syslog at {}", printable(path)),
        OutputSpec::Udp(address) => format!("{address} by UDP"),
        OutputSpec::Kmsg => "the kernel's log".into(),
        OutputSpec::Stdout => "standard output".into(),
        OutputSpec::Stderr => "standard error".into(),
    }
}

fn send_error(output: &OutputSpec, errno: i32) -> String {
    match (output, errno) {
        (
            OutputSpec::Journal(_) | OutputSpec::Syslog(_) | OutputSpec::Udp(_),
            libc::ENOENT | libc::ECONNREFUSED,
        ) => "no receiver is there".into(),
        (_, libc::EAGAIN) => "the receiver is there but reads nothing".into(),
        (_, libc::EPIPE) => "its reader has closed it".into(),
        _ => {
            let text = io::Error::from_raw_os_error(errno).to_string();
            let end = text.find(" (os error").unwrap_or(text.len());
            text[..end].into()
        }
    }
}

/// `a`, `a and b`, `a, b and c`.
fn list(words: &[String]) -> String {
    match words {
        [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => words.join(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV_LOG: &str = "/dev/log";

    fn syslog() -> OutputSpec {
        OutputSpec::Syslog(DEV_LOG.into())
    }

    fn start<'a>(unarmed: &'a [&'a str], outputs: &'a [(OutputSpec, Option<i32>)]) -> Start<'a> {
        Start {
            version: "1.2.3",
            rules: 4,
            unarmed,
            outputs,
        }
    }

    #[test]
    fn a_start_with_a_receiver() {
        let outputs = [(syslog(), None)];
        let start = start(&[], &outputs);
        assert!(!start.is_unheard());
        assert_eq!(
            start.sentences(),
            [
                "psilogd 1.2.3 has armed all 4 rules and logs to syslog at /dev/log (a receiver \
                 is there).",
                "To see lines here as well (none without pressure), add -s; press ^C to stop."
            ]
        );
    }

    #[test]
    fn a_start_without_a_receiver_shows_lines_here() {
        for errno in [libc::ENOENT, libc::ECONNREFUSED] {
            let outputs = [(syslog(), Some(errno))];
            let start = start(&["irq-full"], &outputs);
            assert!(start.is_unheard());
            assert_eq!(
                start.sentences(),
                [
                    "psilogd 1.2.3 has armed 3 of 4 rules (not irq-full, see above) and logs to \
                     syslog at /dev/log (no receiver is there).",
                    "Lines are therefore shown here as well (none without pressure); press ^C to stop."
                ]
            );
        }
    }

    #[test]
    fn a_start_names_every_output_and_what_is_wrong_with_it() {
        let address = "192.0.2.1:514".parse().unwrap();
        let outputs = [
            (syslog(), Some(libc::EACCES)),
            (OutputSpec::Udp(address), None),
            (OutputSpec::Kmsg, Some(libc::EPERM)),
            (OutputSpec::Stderr, None),
        ];
        let start = start(&["a", "b", "c"], &outputs);
        assert!(!start.is_unheard());
        assert_eq!(
            start.sentences(),
            [
                "psilogd 1.2.3 has armed 1 of 4 rules (not a, b and c, see above) and logs to \
                 syslog at /dev/log (Permission denied), 192.0.2.1:514 by UDP (which does not \
                 confirm lines), the kernel's log (Operation not permitted) and standard error.",
                "Without pressure it stays silent; press ^C to stop."
            ]
        );
    }

    #[test]
    fn a_drill_says_what_became_of_its_lines() {
        let address = "192.0.2.1:514".parse().unwrap();
        let outputs = [
            (syslog(), Delivery::Taken),
            (OutputSpec::Udp(address), Delivery::Sent),
            (
                OutputSpec::Udp(address),
                Delivery::Failed(libc::ECONNREFUSED),
            ),
            (OutputSpec::Stdout, Delivery::Failed(libc::EPIPE)),
            (syslog(), Delivery::Failed(libc::EAGAIN)),
        ];
        assert_eq!(
            drill(&["begin".into(), "end".into()], &outputs),
            "A drill's begin and end:\n  begin\n  end\n\
             syslog at /dev/log: taken\n\
             192.0.2.1:514 by UDP: sent, but UDP does not confirm that lines arrive\n\
             192.0.2.1:514 by UDP: not taken: no receiver is there\n\
             standard output: not taken: its reader has closed it\n\
             syslog at /dev/log: not taken: the receiver is there but reads nothing\n"
        );
    }
}
