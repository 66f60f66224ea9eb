//! psilogd's command line.

mod load;
mod read;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use getopts::{Matches, Options};

use crate::config::{Names, OutputSpec, UserSpec};
use crate::rule::{ParseError, Rule};
use crate::sys;

pub use load::{FileError, LoadError, Loaded};

/// The configuration file that is read unless another is named; it need not exist.
const CONFIG_FILE: &str = "/etc/psilogd.conf";
/// The directory of drop-ins, which need not exist either.
const DROP_INS: &str = "/etc/psilogd.conf.d";

/// What psilogd was asked to do.
#[derive(Debug)]
pub enum Action {
    /// Watch and log.
    Run,
    /// Print the effective configuration.
    Check,
    /// Send a test begin and end, and report the result.
    Drill,
    /// Print how psilogd is used.
    Help,
    /// Print the version.
    Version,
}

/// psilogd's command line.
#[derive(Debug)]
pub struct CommandLine {
    /// What to do.
    pub action: Action,
    /// Debug lines.
    pub verbose: bool,
    /// The source of the configuration.
    pub source: Source,
    /// `-C`: the root of the cgroup2 hierarchy, unless it is the first mount.
    pub cgroups: Option<PathBuf>,
}

/// The source of the configuration, read at the start and on SIGHUP.
#[derive(Debug, Default)]
pub struct Source {
    file: PathBuf,
    /// The directory of drop-ins; None with `-f`, and then the file must exist.
    drop_ins: Option<PathBuf>,
    /// `-o`: replaces the outputs of the files.
    outputs: Vec<OutputSpec>,
    /// `-s`: standard error as an additional output.
    copy: bool,
    /// `-u`: replaces the user of the files.
    user: Option<UserSpec>,
    /// `--no-sandbox`: as `sandbox off` in the file.
    no_sandbox: bool,
    /// Operands: replace the rules of the files.
    rules: Vec<Rule>,
    /// The files that were read last, each with whether it had any text.
    seen: Vec<(PathBuf, bool)>,
    /// Whether root has started psilogd: then only root may be able to write the files.
    only_root: bool,
}

fn options() -> Options {
    let mut options = Options::new();
    options.optopt("C", "cgroup-root", "root of the cgroup2 hierarchy", "DIR");
    options.optopt(
        "f",
        "config",
        "read FILE instead of /etc/psilogd.conf and its drop-ins",
        "FILE",
    );
    options.optmulti(
        "o",
        "output",
        "write to OUTPUT: auto, journal[:PATH], syslog[:PATH], udp:ADDRESS[:PORT], kmsg, \
         stdout or stderr",
        "OUTPUT",
    );
    options.optflag("n", "check", "check the configuration, print it and exit");
    options.optflag("t", "", "same as -n");
    options.optflag(
        "",
        "drill",
        "send a test begin and end, report the result and exit",
    );
    options.optflag(
        "",
        "no-sandbox",
        "do not restrict what psilogd may do later",
    );
    options.optflag("s", "stderr", "copy every line to standard error");
    options.optopt(
        "u",
        "user",
        "become USER (NAME or UID:GID) once everything is open",
        "USER",
    );
    options.optflag("v", "verbose", "also log every crossing and every reading");
    options.optflag("h", "help", "print this help");
    options.optflag("V", "version", "print the version");
    options
}

/// What `-h` prints.
pub fn usage() -> String {
    let brief = "usage: psilogd [-hnstvV] [--drill] [--no-sandbox] [-C DIR] [-f FILE]\n               [-o OUTPUT] [-u USER] [RULE ...]\n\n\
                 Logs episodes of CPU, memory and I/O pressure. A RULE is one operand, such as\n\
                 'memory full 10%/2s for=20s level=warning'; see psilogd.conf(5).";
    options().usage(brief)
}

/// What is wrong with a command line, as a sentence.
#[derive(PartialEq, Eq, Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UsageError {}

impl From<String> for UsageError {
    fn from(sentence: String) -> UsageError {
        UsageError(sentence)
    }
}

impl CommandLine {
    /// Reads the arguments.
    ///
    /// # Errors
    /// A sentence about the first argument that is wrong.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<CommandLine, UsageError> {
        let matches = options().parse(args).map_err(|fail| fail.to_string())?;
        let action = match () {
            () if matches.opt_present("h") => Action::Help,
            () if matches.opt_present("V") => Action::Version,
            // with --drill too: the one that sends nothing
            () if matches.opt_present("n") || matches.opt_present("t") => Action::Check,
            () if matches.opt_present("drill") => Action::Drill,
            () => Action::Run,
        };
        Ok(CommandLine {
            action,
            verbose: matches.opt_present("v"),
            source: Source::new(&matches)?,
            cgroups: matches.opt_str("C").map(PathBuf::from),
        })
    }
}

impl Source {
    fn new(matches: &Matches) -> Result<Source, String> {
        let outputs = matches.opt_strs("o");
        let outputs: Result<Vec<_>, _> =
            outputs.iter().map(|word| OutputSpec::parse(word)).collect();
        let user = matches.opt_str("u").map(|word| UserSpec::parse(&word));
        let file = matches.opt_str("f").map(PathBuf::from);
        Ok(Source {
            drop_ins: file.is_none().then(|| DROP_INS.into()),
            file: file.unwrap_or_else(|| CONFIG_FILE.into()),
            user: user
                .transpose()
                .map_err(|why| format!("option -u: {why}"))?,
            outputs: outputs.map_err(|why| format!("option -o: {why}"))?,
            copy: matches.opt_present("s"),
            no_sandbox: matches.opt_present("no-sandbox"),
            rules: rules(&matches.free)?,
            seen: Vec::new(),
            only_root: sys::is_root(),
        })
    }

    /// This file, and operands as [`rules`] reads them.
    pub fn of(file: PathBuf, rules: Vec<Rule>) -> Source {
        Source {
            file,
            rules,
            ..Source::default()
        }
    }

    /// Makes standard error an additional output from now on, as with `-s`.
    pub fn copy_to_stderr(&mut self) {
        self.copy = true;
    }
}

/// Operands that are rules, each a rule.
///
/// # Errors
/// A sentence about the first that is none.
pub fn rules(operands: &[String]) -> Result<Vec<Rule>, String> {
    let (mut rules, mut names) = (Vec::new(), Names::default());
    for (number, operand) in operands.iter().enumerate() {
        let in_rule = |why: ParseError| match operand.contains(' ') {
            true => format!("rule '{operand}': {why}"),
            false => format!("rule '{operand}': {why} (a rule must be one operand: quote it)"),
        };
        let rule = Rule::parse(operand.split_ascii_whitespace()).map_err(in_rule)?;
        names.add(&rule, number).map_err(in_rule)?;
        rules.push(rule);
    }
    Ok(rules)
}
