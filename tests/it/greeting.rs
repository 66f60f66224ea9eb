//! What the first command shows at a terminal, and that it shows nothing of that
//! elsewhere. The terminal is script(1)'s.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use libtest_mimic::Trial;

use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("greeting::without_a_receiver_lines_are_shown", alone),
        trial("greeting::a_reload_goes_on_showing_lines", reloaded),
        trial("greeting::with_a_receiver_lines_are_not_shown", heard),
        trial("greeting::says_which_rules_are_not_armed", unarmed),
        trial("greeting::nothing_under_a_service_manager", managed),
        trial("greeting::nothing_where_no_terminal_is", redirected),
    ]
}

const NOWHERE: &str = "syslog:/nonexistent/log";
const RULES: [&str; 2] = ["io full 10%/2s name=one", "memory full 10%/2s name=two"];

fn lacking() -> Option<String> {
    if !has_psi() {
        return Some("this kernel keeps no pressure figures".into());
    }
    // a plain chroot has no /dev/pts
    let error = works("script", &["-qec", "true", "/dev/null"]).err()?;
    Some(format!("there is no terminal: {error}"))
}

/// psilogd at a terminal.
struct Terminal {
    script: Child,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    /// The command line of a shell, with PSILOGD in place of the program.
    fn start(line: &str) -> Terminal {
        Terminal::with(line, None)
    }

    fn with(line: &str, variable: Option<&str>) -> Terminal {
        let program = program();
        let line = format!("exec {}", line.replace("PSILOGD", program));
        let mut command = Command::new("script");
        for name in ["NOTIFY_SOCKET", "JOURNAL_STREAM", "INVOCATION_ID"] {
            command.env_remove(name);
        }
        command.envs(variable.map(|name| (name, "x")));
        let mut script = command
            .args(["-qfec", &line, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script runs");
        let shown = Arc::new(Mutex::new(String::new()));
        let mut output = script.stdout.take().expect("piped");
        let text = Arc::clone(&shown);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let piece = String::from_utf8_lossy(&buffer[..length]);
                text.lock().expect("no panic").push_str(&piece);
            }
        });
        Terminal { script, shown }
    }

    fn text(&self) -> String {
        self.shown.lock().expect("no panic").replace('\r', "")
    }

    fn see(&self, what: &str) -> String {
        until(what, || self.text().contains(what));
        self.text()
    }

    /// Types ^C; all that was shown.
    fn stop(mut self) -> String {
        let stdin = self.script.stdin.as_mut().expect("piped");
        stdin.write_all(b"\x03").expect("script reads");
        let status = self.script.wait().expect("script ends");
        until("all output", || Arc::strong_count(&self.shown) == 1);
        assert_eq!(status.code(), Some(0), "{}", self.text());
        self.text()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

/// A receiver, and the output that leads to it.
fn receiver(scratch: &Scratch) -> (UnixDatagram, String) {
    let path = scratch.0.join("log");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    (socket, format!("syslog:{}", path.display()))
}

fn received(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = uninterrupted(|| socket.recv(&mut buffer)).expect("a line");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn command(output: &str) -> String {
    let [one, two] = RULES;
    format!("PSILOGD -f /dev/null -o {output} '{one}' '{two}'")
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

fn alone() -> Outcome {
    if let Some(why) = lacking() {
        return skip(why);
    }
    let terminal = Terminal::start(&command(NOWHERE));
    let text = terminal.see("event=start");
    let expected = format!(
        "psilogd {} has armed all 2 rules and logs to syslog at /nonexistent/log (no receiver is \
         there).\nLines are therefore shown here as well (none without pressure); press ^C to stop.\n",
        version()
    );
    assert!(text.starts_with(&expected), "{text}");
    let text = terminal.stop();
    // shown once, and not again as what no receiver took
    for event in ["event=start ", "event=stop "] {
        assert_eq!(text.matches(event).count(), 1, "{text}");
    }
    done()
}

fn reloaded() -> Outcome {
    if let Some(why) = lacking() {
        return skip(why);
    }
    let terminal = Terminal::start(&command(NOWHERE));
    let text = terminal.see("event=start");
    let pid = text.split("psilogd[").nth(1);
    let pid = pid.and_then(|rest| rest.split(']').next()?.parse().ok());
    signal(pid.expect("a process"), "HUP");
    terminal.see("event=reload ");
    let text = terminal.stop();
    assert_eq!(text.matches("event=stop ").count(), 1, "{text}");
    done()
}

fn heard() -> Outcome {
    if let Some(why) = lacking() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let (socket, output) = receiver(&scratch);
    let terminal = Terminal::start(&command(&output));
    assert!(received(&socket).contains("event=start "));
    let text = terminal.stop();
    let expected = format!(
        "psilogd {} has armed all 2 rules and logs to syslog at {}/log (a receiver is there).\n\
         To see lines here as well (none without pressure), add -s; press ^C to stop.\n",
        version(),
        scratch.0.display()
    );
    assert!(text.starts_with(&expected), "{text}");
    assert!(!text.contains("event="), "{text}");
    assert!(received(&socket).contains("event=stop "));
    done()
}

fn unarmed() -> Outcome {
    if let Some(why) = lacking() {
        return skip(why);
    }
    let rule = "'io full 10%/2s name=three cgroup=/no-such-cgroup'";
    let terminal = Terminal::start(&format!("{} {rule}", command(NOWHERE)));
    terminal.see("event=start");
    let text = terminal.stop();
    let armed = "has armed 2 of 3 rules (not three, see above)";
    let (before, after) = text.split_once(armed).unwrap_or_default();
    assert!(
        before.starts_with("psilogd: rule three is not armed: "),
        "{text}"
    );
    assert!(after.contains("Lines are therefore shown"), "{text}");
    done()
}

fn managed() -> Outcome {
    if let Some(why) = lacking() {
        return skip(why);
    }
    for name in ["NOTIFY_SOCKET", "JOURNAL_STREAM", "INVOCATION_ID"] {
        let scratch = Scratch::new();
        let (socket, output) = receiver(&scratch);
        let terminal = Terminal::with(&command(&output), Some(name));
        assert!(received(&socket).contains("event=start "));
        assert_eq!(terminal.stop().replace("^C", ""), "", "{name}");
    }
    done()
}

fn redirected() -> Outcome {
    if let Some(why) = lacking() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let file = scratch.0.join("errors");
    let (socket, output) = receiver(&scratch);
    let line = format!("{} 2> {}", command(&output), file.display());
    let terminal = Terminal::start(&line);
    assert!(received(&socket).contains("event=start "));
    terminal.stop();
    assert_eq!(fs::read_to_string(&file)?, "");
    done()
}
