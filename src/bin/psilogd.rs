//! psilogd: options, run, exit code.

use std::process::ExitCode;

use psilogd::config::Config;
use psilogd::daemon::{Daemon, FenceError, check_evidence, find_user, is_watched};
use psilogd::options::{Action, CommandLine, LoadError, UsageError, usage};
use psilogd::printable::printable;
use psilogd::roots::Roots;
use psilogd::sys;
use psilogd::trigger::forecast;

#[global_allocator]
static MEMORY: sys::Memory = sys::Memory::new();

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// No rule could be armed, or the system refused something basic.
const FAILURE: u8 = 1;
/// The command line or the configuration is wrong: a restart would not help.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match start() {
        Ok(mut daemon) => daemon.run(),
        Err(code) => code,
    }
}

/// A daemon that is armed; or how it ends, with everything said.
// not inlined: what a start needs of the stack is given back when it is over
#[inline(never)]
fn start() -> Result<Daemon, ExitCode> {
    let mut line = match CommandLine::parse(std::env::args_os().skip(1)) {
        Ok(line) => line,
        Err(UsageError(why)) => {
            complain(&why);
            complain("try psilogd --help");
            return Err(ExitCode::from(USAGE));
        }
    };
    match line.action {
        Action::Help => return Err(print(&usage())),
        Action::Version => return Err(print(&format!("psilogd {VERSION}\n"))),
        Action::Run | Action::Check | Action::Drill => {}
    }
    let loaded = match line.source.load() {
        Ok(loaded) => loaded,
        Err(LoadError(errors)) => {
            for error in errors {
                complain(&error.to_string());
            }
            return Err(ExitCode::from(USAGE));
        }
    };
    for line in &loaded.warnings {
        complain(&format!("warning: {line}"));
    }
    warn_of_windows(&loaded.config);
    match line.action {
        Action::Check => {
            warn_of_unarmable(&line, &loaded.config);
            Err(print(&loaded.to_string()))
        }
        _ => arm(line, loaded.config),
    }
}

/// Arms the rules; or makes a drill.
fn arm(line: CommandLine, config: Config) -> Result<Daemon, ExitCode> {
    let drill = matches!(line.action, Action::Drill);
    if let (false, Err(why)) = (drill, find_user(&config)) {
        return Err(refuse(&why));
    }
    let mut daemon = match Daemon::new(line, config) {
        Ok(daemon) => daemon,
        Err(error) => {
            complain(&format!("can't start: {error}"));
            return Err(ExitCode::from(FAILURE));
        }
    };
    if drill {
        return Err(report_drill(&mut daemon));
    }
    let unarmed = daemon.arm();
    for rule in &unarmed {
        complain(&rule.to_string());
    }
    if !daemon.watches_anything() {
        daemon.finish();
        complain("no rule could be armed");
        return Err(ExitCode::from(FAILURE));
    }
    if let Err(why) = daemon.fence() {
        daemon.finish();
        return Err(refuse(&why));
    }
    if is_watched() {
        for sentence in daemon.greet(&unarmed) {
            say(&sentence);
        }
    }
    Ok(daemon)
}

/// What the configuration or the command line asks for can't be given up.
fn refuse(why: &FenceError) -> ExitCode {
    complain(&why.to_string());
    ExitCode::from(match why {
        FenceError::UnknownUser(_) => USAGE,
        FenceError::User(..) | FenceError::NewPrivileges(_) => FAILURE,
    })
}

/// Warns of rules that blind one another.
fn warn_of_windows(config: &Config) {
    for (short, long) in config.differing_windows() {
        let what = match short.cgroup.is_some() {
            true => "the same cgroup",
            false => "the whole system",
        };
        complain(&format!(
            "warning: rules {} and {} watch {what} with windows of {} and {}: with \
             CAP_SYS_RESOURCE the short one blinds the long one, so give both the same window",
            short.name, long.name, short.window, long.window
        ));
    }
}

/// Warns of rules that could not be armed now. That is no error: the configuration may
/// be for another kernel, or for a service with other privileges.
fn warn_of_unarmable(line: &CommandLine, config: &Config) {
    let roots = Roots::find().with_cgroups(line.cgroups.as_deref());
    if let Err(why) = find_user(config) {
        complain(&format!("warning: {why}"));
    }
    let privileged = sys::has_sys_resource();
    let mut check_evidence = check_evidence(&roots);
    for rule in &config.rules {
        let armed = forecast(rule, &roots, privileged);
        if let Err(why) = armed.and_then(|()| check_evidence(rule)) {
            let name = &rule.name;
            complain(&format!(
                "warning: rule {name} can't be armed here now: {why}"
            ));
        }
    }
}

/// The report is on standard error if standard output gets the lines.
fn report_drill(daemon: &mut Daemon) -> ExitCode {
    use std::io::Write;
    let Some(drill) = daemon.drill() else {
        complain("the drill needs a rule, and none is configured");
        return ExitCode::from(FAILURE);
    };
    let written = match drill.on_stdout {
        true => {
            let _ = std::io::stderr().write_all(drill.text.as_bytes());
            ExitCode::SUCCESS
        }
        false => print(&drill.text),
    };
    match drill.taken {
        true => written,
        false => ExitCode::from(FAILURE),
    }
}

/// A message on standard error.
fn complain(sentence: &str) {
    say(&format!("psilogd: {sentence}"));
}

/// A line on standard error, with control characters of file names and configured words
/// escaped. A closed standard error is no reason to fail.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{}", printable(line));
}

/// Text on standard output, which may be closed early by a pager.
fn print(text: &str) -> ExitCode {
    use std::io::Write;
    let mut stdout = std::io::stdout();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("cannot write to standard output: {error}"));
            ExitCode::from(FAILURE)
        }
    }
}
