//! psilogd's command line.

use std::cell::Cell;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use getopts::{Matches, Options};

use crate::config::{Config, ConfigError, FILE_MAX, Names, OutputSpec, UserSpec};
use crate::rule::{ParseError, Reason, Rule};
use crate::sys;

/// The configuration file that is read unless another is named; it need not exist.
pub const CONFIG_FILE: &str = "/etc/psilogd.conf";

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
    /// The file that was named; None is [`CONFIG_FILE`], which need not exist.
    file: Option<PathBuf>,
    /// `-o`: replaces the outputs of the file.
    outputs: Vec<OutputSpec>,
    /// `-s`: standard error as an additional output.
    copy: bool,
    /// `-u`: replaces the user of the file.
    user: Option<UserSpec>,
    /// `--no-sandbox`: as `sandbox off` in the file.
    no_sandbox: bool,
    /// Operands: replace the rules of the file.
    rules: Vec<Rule>,
    /// Whether the file had any text when it was read last.
    had_text: Cell<bool>,
    /// Whether root has started psilogd: then only root may be able to write the file.
    only_root: bool,
}

/// Why the configuration can't be loaded.
#[derive(Debug)]
pub struct LoadError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, line by line.
    pub lines: Vec<ConfigError>,
}

/// One line per error: `psilogd.conf:7: "10x/2s": …`.
impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.lines.iter().enumerate() {
            let before = if index == 0 { "" } else { "\n" };
            write!(f, "{before}{}:{error}", self.file.display())?;
        }
        Ok(())
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let first = self.lines.first()?;
        Some(first)
    }
}

fn options() -> Options {
    let mut options = Options::new();
    options.optopt("C", "cgroup-root", "root of the cgroup2 hierarchy", "DIR");
    options.optopt(
        "f",
        "config",
        "read FILE instead of /etc/psilogd.conf",
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

impl CommandLine {
    /// Reads the arguments.
    ///
    /// # Errors
    /// A sentence about the first argument that is wrong.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<CommandLine, String> {
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
        Ok(Source {
            file: matches.opt_str("f").map(PathBuf::from),
            user: user
                .transpose()
                .map_err(|why| format!("option -u: {why}"))?,
            outputs: outputs.map_err(|why| format!("option -o: {why}"))?,
            copy: matches.opt_present("s"),
            no_sandbox: matches.opt_present("no-sandbox"),
            rules: rules(&matches.free)?,
            had_text: Cell::new(false),
            only_root: sys::is_root(),
        })
    }

    /// This file, and operands as [`rules`] reads them.
    pub fn of(file: PathBuf, rules: Vec<Rule>) -> Source {
        Source {
            file: Some(file),
            rules,
            ..Source::default()
        }
    }

    /// Makes standard error an additional output from now on, as with `-s`.
    pub fn copy_to_stderr(&mut self) {
        self.copy = true;
    }

    /// The file that is read.
    pub fn file(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| CONFIG_FILE.into())
    }

    /// One error in it.
    pub fn error(&self, error: ConfigError) -> LoadError {
        self.errors(vec![error])
    }

    fn errors(&self, lines: Vec<ConfigError>) -> LoadError {
        let file = self.file();
        LoadError { file, lines }
    }

    /// Reads the file and applies the command line: operands replace its rules, `-o`
    /// replaces its outputs. Without any rules the built-in ones apply.
    ///
    /// # Errors
    /// What is wrong with the file; also that it is empty now and was not before: an
    /// editor truncates it and then writes, and a reload may come in between.
    pub fn load(&self) -> Result<Config, LoadError> {
        let mut config = match read(&self.file(), self.only_root) {
            Ok(text) if text.is_empty() && self.had_text.get() => {
                let help = "the file is empty and was not before: to return to the built-in \
                            rules, leave a comment in it";
                let error = ParseError::new("", Reason::Empty, help);
                return Err(self.error(ConfigError { line: 0, error }));
            }
            Ok(text) => {
                let config = Config::parse(&text).map_err(|lines| self.errors(lines))?;
                self.had_text.set(!text.is_empty());
                config
            }
            Err(Unreadable::Missing) if self.file.is_none() => Config::default(),
            Err(why) => {
                let error = ParseError {
                    word: String::new(),
                    reason: why.reason(),
                    help: why.sentence(),
                };
                return Err(self.error(ConfigError { line: 0, error }));
            }
        };
        if !self.rules.is_empty() {
            config.rules = self.rules.clone();
        }
        let outputs = &mut config.settings.outputs;
        if !self.outputs.is_empty() {
            *outputs = self.outputs.clone();
        }
        if self.copy && !outputs.contains(&OutputSpec::Stderr) {
            outputs.push(OutputSpec::Stderr);
        }
        if self.user.is_some() {
            config.settings.user = self.user.clone();
        }
        config.settings.sandbox &= !self.no_sandbox;
        Ok(config.rules_or_built_in())
    }
}

/// Operands that are rules, each a rule.
///
/// # Errors
/// A sentence about the first that is none.
pub fn rules(operands: &[String]) -> Result<Vec<Rule>, String> {
    let (mut rules, mut names) = (Vec::new(), Names::default());
    for operand in operands {
        let in_rule = |why: ParseError| match operand.contains(' ') {
            true => format!("rule '{operand}': {why}"),
            false => format!("rule '{operand}': {why} (a rule must be one operand: quote it)"),
        };
        let rule = Rule::parse(operand.split_ascii_whitespace()).map_err(in_rule)?;
        names.add(&rule).map_err(in_rule)?;
        rules.push(rule);
    }
    Ok(rules)
}

enum Unreadable {
    Missing,
    Kind(&'static str),
    Error(std::io::Error),
    /// It belongs to this user.
    Owner(u32),
    /// Users other than its owner can write it, by its mode.
    Writable(u32),
}

impl Unreadable {
    fn reason(&self) -> Reason {
        match self {
            Unreadable::Owner(_) | Unreadable::Writable(_) => Reason::WritableByOthers,
            _ => Reason::Unreadable,
        }
    }

    fn sentence(self) -> String {
        match self {
            Unreadable::Owner(uid) => format!(
                "the file belongs to the user with number {uid}, who could change what root's \
                 psilogd does: make it root's with chown"
            ),
            Unreadable::Writable(mode) => format!(
                "other users can write the file (mode {mode:03o}) and could change what root's \
                 psilogd does: chmod go-w"
            ),
            Unreadable::Missing => "the file does not exist".into(),
            Unreadable::Kind(kind) => format!("expected a file, found {kind}"),
            Unreadable::Error(error) => format!("the file can't be read: {error}"),
        }
    }
}

/// The bytes of a configuration file, up to one more than a configuration may have.
/// A pipe is refused, because SIGHUP reads again and must not block; /dev/null is an
/// empty configuration.
fn read(file: &std::path::Path, only_root: bool) -> Result<Vec<u8>, Unreadable> {
    use std::io::Read;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
    let open = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(file);
    let open = open.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Unreadable::Missing,
        _ => Unreadable::Error(error),
    })?;
    let meta = open.metadata().map_err(Unreadable::Error)?;
    let kind = meta.file_type();
    if kind.is_dir() {
        return Err(Unreadable::Kind("a directory"));
    }
    if kind.is_fifo() || kind.is_socket() || kind.is_block_device() {
        return Err(Unreadable::Kind("a pipe, a socket or a device"));
    }
    if only_root && kind.is_file() {
        match (meta.uid(), meta.mode() & 0o777) {
            (0, mode) if mode & 0o022 == 0 => {}
            (0, mode) => return Err(Unreadable::Writable(mode)),
            (uid, _) => return Err(Unreadable::Owner(uid)),
        }
    }
    let mut text = Vec::new();
    let mut limited = open.take(FILE_MAX as u64 + 1);
    limited.read_to_end(&mut text).map_err(Unreadable::Error)?;
    Ok(text)
}
