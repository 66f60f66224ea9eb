//! What the tests share: the binary, skips, and waiting for what is observed.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Completion;

pub use crate::common::{Cgroup, NO_CGROUP, Outcome, Scratch, signal, skip, trial, works};

/// psistat: the one that cargo has built, or the one that PSISTAT_TEST_BINARY names.
pub const PSISTAT: &str = match option_env!("PSISTAT_TEST_BINARY") {
    Some(named) => named,
    None => env!("CARGO_BIN_EXE_psistat"),
};
pub const PSILOGD: &str = env!("CARGO_BIN_EXE_psilogd");

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const DONE: Outcome = Ok(Completion::Completed);

pub fn have(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}

/// The first of the programs that isn't installed.
pub fn missing(programs: &[&str]) -> Option<String> {
    let program = programs.iter().find(|program| !have(program))?;
    Some(format!("{program} is not installed"))
}

/// Why ^C can't be tried: what is ignored where the tests were started is ignored by
/// psistat.
pub fn no_interrupt() -> Option<&'static str> {
    psilogd::sys::is_ignored(libc::SIGINT)
        .then_some("SIGINT is ignored, as by what a script starts in the background")
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/psistat/fixtures")
}

pub fn fixture(name: &str) -> String {
    fixtures().join(name).display().to_string()
}

pub fn psistat(args: &[&str]) -> Command {
    let mut command = Command::new(PSISTAT);
    command.args(args).stdin(Stdio::null());
    command
}

pub fn run(args: &[&str]) -> Output {
    psistat(args).output().expect("psistat runs")
}

pub fn stdout(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Feeds `input` to a program; its output, which must be a success.
pub fn filter(program: &str, args: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect(program);
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(input.as_bytes()).expect(program);
    drop(stdin);
    let output = child.wait_with_output().expect(program);
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Waits until there is something, for at most [`PATIENCE`].
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A psistat under way, killed when it is no longer needed.
pub struct Running {
    pub child: Child,
    pub lines: Option<BufReader<ChildStdout>>,
}

impl Running {
    pub fn new(args: &[&str]) -> Running {
        let mut child = psistat(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psistat runs");
        let lines = child.stdout.take().map(BufReader::new);
        Running { child, lines }
    }

    /// The next line; the reading blocks, but psistat writes one an interval.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let lines = self.lines.as_mut().expect("not closed yet");
        lines.read_line(&mut line).expect("a line");
        assert!(!line.is_empty(), "psistat ended");
        line
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub fn ended(&mut self) -> ExitStatus {
        until("its end", || self.child.try_wait().expect("wait"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
