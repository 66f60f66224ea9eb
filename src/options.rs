//! psilogd's command line.

use std::ffi::OsString;
use std::path::PathBuf;

use getopts::{Matches, Options};

use crate::config::{BadLine, Config, FILE_MAX, OutputSpec};
use crate::rule::{Mistake, Reason, Rule};

/// The configuration file that is read if it is there.
pub const CONFIG_FILE: &str = "/etc/psilogd.conf";

/// What psilogd was asked to do.
#[derive(Debug)]
pub enum Action {
    /// Watch and log.
    Run,
    /// Print the effective configuration.
    Check,
    /// Send a test begin and end.
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
    /// Where the configuration comes from.
    pub source: Source,
    /// `-C`: where cgroups are, if not below the cgroup2 mount.
    pub cgroups: Option<PathBuf>,
}

/// Where the configuration comes from: at start and, on SIGHUP, again.
#[derive(Debug, Default)]
pub struct Source {
    /// The file that was named; None is [`CONFIG_FILE`], which need not exist.
    file: Option<PathBuf>,
    /// `-o`: in place of the file's outputs.
    outputs: Vec<OutputSpec>,
    /// `-s`: standard error as one more output.
    copy: bool,
    /// Operands: in place of the file's rules.
    rules: Vec<Rule>,
}

/// A configuration that can't be used.
#[derive(Debug)]
pub struct BadConfig {
    /// The file.
    pub file: PathBuf,
    /// Every mistake in it.
    pub lines: Vec<BadLine>,
}

fn options() -> Options {
    let mut options = Options::new();
    options.optopt("C", "cgroup-root", "cgroups are below DIR", "DIR");
    options.optopt("f", "config", "read FILE, not /etc/psilogd.conf", "FILE");
    options.optmulti(
        "o",
        "output",
        "write to OUTPUT: syslog, syslog:PATH, udp:ADDRESS[:PORT], kmsg, stdout or stderr",
        "OUTPUT",
    );
    options.optflag("n", "check", "check the configuration, print it and exit");
    options.optflag("t", "", "the same as -n");
    options.optflag(
        "",
        "drill",
        "send a test begin and end, report what became of them and exit",
    );
    options.optflag("s", "stderr", "copy every line to standard error");
    options.optflag(
        "v",
        "verbose",
        "log every crossing and every reading as well",
    );
    options.optflag("h", "help", "print this help");
    options.optflag("V", "version", "print the version");
    options
}

/// What `-h` prints.
pub fn usage() -> String {
    let brief = "usage: psilogd [-hnstvV] [--drill] [-C DIR] [-f FILE] [-o OUTPUT] [RULE ...]\n\n\
                 Logs episodes of CPU, memory and I/O pressure. A RULE is one operand, such as\n\
                 'memory full 10%/2s for=20s level=warning'; see psilogd.conf(5).";
    options().usage(brief)
}

impl CommandLine {
    /// Reads the arguments; what is wrong with them, as a sentence.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<CommandLine, String> {
        let matches = options().parse(args).map_err(|fail| fail.to_string())?;
        let action = match () {
            () if matches.opt_present("h") => Action::Help,
            () if matches.opt_present("V") => Action::Version,
            // the harmless one of two
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
        let mut operands = Config::default();
        for operand in &matches.free {
            let in_rule = |mistake: Mistake| match operand.contains(' ') {
                true => format!("rule '{operand}': {mistake}"),
                false => format!("rule '{operand}': {mistake} (a rule is one operand: quote it)"),
            };
            let rule = Rule::parse(operand.split_ascii_whitespace()).map_err(in_rule)?;
            operands.add(rule).map_err(in_rule)?;
        }
        Ok(Source {
            file: matches.opt_str("f").map(PathBuf::from),
            outputs: outputs.map_err(|mistake| format!("option -o: {mistake}"))?,
            copy: matches.opt_present("s"),
            rules: operands.rules,
        })
    }

    /// From now on, standard error is one more output, as with `-s`.
    pub fn copy_to_stderr(&mut self) {
        self.copy = true;
    }

    /// Reads the file and puts the command line over it: operands stand in place
    /// of its rules, `-o` in place of its outputs. No rules at all means the
    /// built-in ones.
    pub fn load(&self) -> Result<Config, BadConfig> {
        let file = self.file.clone().unwrap_or_else(|| CONFIG_FILE.into());
        let bad = |lines| BadConfig {
            file: file.clone(),
            lines,
        };
        let mut config = match read(&file) {
            Ok(text) => Config::parse(&text).map_err(bad)?,
            Err(Unreadable::Missing) if self.file.is_none() => Config::default(),
            Err(why) => {
                let mistake = Mistake {
                    word: String::new(),
                    reason: Reason::Unreadable,
                    help: why.sentence(),
                };
                return Err(bad(vec![BadLine { line: 0, mistake }]));
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
        Ok(config.rules_or_built_in())
    }
}

enum Unreadable {
    Missing,
    Kind(&'static str),
    Error(std::io::Error),
}

impl Unreadable {
    fn sentence(self) -> String {
        match self {
            Unreadable::Missing => "there is no such file".into(),
            Unreadable::Kind(kind) => format!("it is {kind}, not a file"),
            Unreadable::Error(error) => format!("it can't be read: {error}"),
        }
    }
}

/// A configuration file's bytes: at most one more than a configuration may have.
/// A pipe is refused, because SIGHUP reads again and must not block; /dev/null
/// stands for no configuration.
fn read(file: &std::path::Path) -> Result<Vec<u8>, Unreadable> {
    use std::io::Read;
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
    let open = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(file);
    let open = open.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Unreadable::Missing,
        _ => Unreadable::Error(error),
    })?;
    let kind = open.metadata().map_err(Unreadable::Error)?.file_type();
    if kind.is_dir() {
        return Err(Unreadable::Kind("a directory"));
    }
    if kind.is_fifo() || kind.is_socket() || kind.is_block_device() {
        return Err(Unreadable::Kind("a pipe, a socket or a device"));
    }
    let mut text = Vec::new();
    let mut limited = open.take(FILE_MAX as u64 + 1);
    limited.read_to_end(&mut text).map_err(Unreadable::Error)?;
    Ok(text)
}
