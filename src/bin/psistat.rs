//! psistat: options, run, exit code.

use std::io::Write;
use std::process::ExitCode;

use psilogd::options::UsageError;
use psilogd::printable::printable;
use psilogd::psistat::error::RunError;
use psilogd::psistat::options::{Action, is_check, usage};
use psilogd::psistat::record::record;
use psilogd::psistat::replay::replay;
use psilogd::psistat::source::{check, openmetrics};
use psilogd::psistat::{End, show, suggest, suggest_from};
use psilogd::stat::check::{State, unknown};
use psilogd::sys;

/// There is nothing to show, or nowhere to show it.
const FAILURE: u8 = 1;
/// The command line is wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let checks = is_check(&args);
    let result = match Action::parse(args) {
        Ok(Action::Check(settings, what, over)) => {
            let result = check(&settings, &what, over);
            return report(result.map_err(|why| why.to_string()));
        }
        Err(UsageError(why)) if checks => return report(Err(why)),
        Ok(Action::OpenMetrics(settings)) => openmetrics(&settings),
        Ok(Action::Help) => print(&usage()),
        Ok(Action::Version) => print(concat!("psistat ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Action::Show(settings)) => show(&settings),
        Ok(Action::Suggest(settings, length)) => suggest(&settings, length),
        Ok(Action::Record(settings, file)) => record(&settings, &file),
        Ok(Action::Replay(what)) => replay(&what),
        Ok(Action::SuggestFrom(file)) => suggest_from(&file),
        Err(UsageError(why)) => {
            complain(&why);
            complain("try psistat --help");
            return ExitCode::from(USAGE);
        }
    };
    ended(result)
}

/// The exit code of anything but a check.
fn ended(result: Result<End, RunError>) -> ExitCode {
    match result {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Signal(signal)) => {
            sys::default_signal(signal);
            ExitCode::from(FAILURE)
        }
        Err(RunError::Config(error)) => {
            for line in error.to_string().lines() {
                complain(line);
            }
            ExitCode::from(USAGE)
        }
        Err(why) => {
            complain(&why.to_string());
            ExitCode::from(FAILURE)
        }
    }
}

/// One line for a monitoring system. Also a check that failed has one, and a state.
fn report(result: Result<(State, String), String>) -> ExitCode {
    let (state, line) = result.unwrap_or_else(|why| unknown(&printable(&why)));
    match print(&line) {
        Ok(_) => ExitCode::from(state as u8),
        Err(why) => {
            complain(&why.to_string());
            ExitCode::from(State::Unknown as u8)
        }
    }
}

/// A sentence on standard error, with whatever names are in it; a closed one is no
/// reason to fail.
fn complain(sentence: &str) {
    let _ = writeln!(std::io::stderr(), "psistat: {}", printable(sentence));
}

/// Text on standard output, which may be closed early by a pager.
fn print(text: &str) -> Result<End, RunError> {
    let mut stdout = std::io::stdout();
    let written = stdout.write_all(text.as_bytes());
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(End::Done),
    }
}
