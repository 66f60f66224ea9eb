//! psilogd: options, run, exit code.

use std::process::ExitCode;

use psilogd::config::Config;
use psilogd::daemon::{Daemon, is_watched};
use psilogd::options::{Action, CommandLine, LoadError, usage};
use psilogd::printable::printable;
use psilogd::roots::Roots;
use psilogd::sys;
use psilogd::trigger::forecast;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Nothing could be armed, or the system refused something basic.
const FAILURE: u8 = 1;
/// The command line or the configuration is wrong: a restart would not help.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let line = match CommandLine::parse(std::env::args_os().skip(1)) {
        Ok(line) => line,
        Err(why) => {
            complain(&why);
            complain("try psilogd --help");
            return ExitCode::from(USAGE);
        }
    };
    match line.action {
        Action::Help => return print(&usage()),
        Action::Version => return print(&format!("psilogd {VERSION}\n")),
        Action::Run | Action::Check | Action::Drill => {}
    }
    let config = match line.source.load() {
        Ok(config) => config,
        Err(LoadError { file, lines }) => {
            for bad in lines {
                complain(&format!("{}:{bad}", file.display()));
            }
            return ExitCode::from(USAGE);
        }
    };
    for (short, long) in config.differing_windows() {
        complain(&format!(
            "warning: rules {} and {} watch one group with windows of {} and {}: with \
             CAP_SYS_RESOURCE the short one blinds the long one, so give both one window",
            short.name, long.name, short.window, long.window
        ));
    }
    if let Action::Check = line.action {
        warn_of_unarmable(&line, &config);
        return print(&config.to_string());
    }
    let drill = matches!(line.action, Action::Drill);
    let mut daemon = match Daemon::new(line, config) {
        Ok(daemon) => daemon,
        Err(error) => {
            complain(&format!("can't start: {error}"));
            return ExitCode::from(FAILURE);
        }
    };
    if drill {
        return report_drill(&mut daemon);
    }
    let unarmed = daemon.arm();
    for rule in &unarmed {
        complain(&rule.to_string());
    }
    if !daemon.watches_anything() {
        daemon.finish();
        complain("no rule could be armed");
        return ExitCode::from(FAILURE);
    }
    if is_watched() {
        for sentence in daemon.greet(&unarmed) {
            say(&sentence);
        }
    }
    daemon.run()
}

/// What could not be armed now. It is no mistake in the configuration, which may be
/// meant for another kernel or a service with another privilege.
fn warn_of_unarmable(line: &CommandLine, config: &Config) {
    let roots = Roots::find().with_cgroups(line.cgroups.as_deref());
    let privileged = sys::has_sys_resource();
    for rule in &config.rules {
        if let Err(why) = forecast(rule, &roots, privileged) {
            let name = &rule.name;
            complain(&format!(
                "warning: rule {name} can't be armed here now: {why}"
            ));
        }
    }
}

/// Where lines are written to standard output, the report stays out of it.
fn report_drill(daemon: &mut Daemon) -> ExitCode {
    use std::io::Write;
    let Some(drill) = daemon.drill() else {
        complain("there is no rule to make a drill of");
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

/// What is wrong, on standard error.
fn complain(sentence: &str) {
    say(&format!("psilogd: {sentence}"));
}

/// A line on standard error; a closed one is no reason to fail. File names and
/// words of the configuration may be in it.
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
            complain(&format!("can't write to standard output: {error}"));
            ExitCode::from(FAILURE)
        }
    }
}
