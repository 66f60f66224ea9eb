//! psistat's command line.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use getopts::{Fail, Matches, Options};

use crate::options::UsageError;
use crate::pattern::Pattern;
use crate::pressure::Percent;
use crate::stat::Selection;
use crate::stat::check::Check;
use crate::stat::table::Limits;
use crate::time::Micros;

use super::replay::Replaying;

mod graph;
mod past;
mod select;
mod source;
mod words;

use graph::graph;
use past::{replay, suggested_length};
use select::selection;
use source::{check, openmetrics};
use words::{count, duration, interval, limits, top};

/// The interval of `--record` if none is given.
const RECORD_INTERVAL: Micros = Micros::millis(100);
/// What rows and columns look like, and which of them are shown.
const LOOKS: [&str; 9] = ["a", "c", "j", "k", "m", "n", "t", "w", "graph"];
/// What `-n` shows without `-g`.
const EVERY_CGROUP: &[u8] = b"**";

const LIMITS: Limits = Limits {
    yellow: Percent(1_000),
    red: Percent(5_000),
};

/// What psistat was asked to do.
#[derive(PartialEq, Eq, Debug)]
pub enum Action {
    /// Show figures.
    Show(Settings),
    /// Measure for this time, then print rules.
    Suggest(Settings, Micros),
    /// Write counters to this file until stopped.
    Record(Settings, PathBuf),
    /// Print what psilogd would have logged over a recording.
    Replay(Replaying),
    /// Print rules from this recording.
    SuggestFrom(PathBuf),
    /// Print counters.
    OpenMetrics(Settings),
    /// Measure one figure for this time, and judge it.
    Check(Settings, Check, Micros),
    /// Print how psistat is used.
    Help,
    /// Print the version.
    Version,
}

/// How and what to show.
#[derive(PartialEq, Eq, Debug)]
pub struct Settings {
    /// The time from one reading to the next; None is a single reading.
    pub interval: Option<Micros>,
    /// The number of readings; None is no limit.
    pub count: Option<u64>,
    /// `-a`: also the kernel's averages.
    pub averages: bool,
    /// `-j`: JSON lines.
    pub json: bool,
    /// `-w`: lines may be longer than the terminal is wide.
    pub wide: bool,
    /// `-t`: time stamps.
    pub time: bool,
    /// `-m`: no colours.
    pub plain: bool,
    /// `-c`: the limits of the colours.
    pub limits: Limits,
    /// `-r` and `-k`: which resources and kinds.
    pub selection: Selection,
    /// `-g`: which cgroups; none is the whole system.
    pub patterns: Vec<Pattern>,
    /// `--graph`: the history as bars.
    pub graph: bool,
    /// `-n`: how many of the most-stalled cgroups.
    pub top: Option<usize>,
    /// `-P`: the directory of the system's pressure files.
    pub pressure: Option<PathBuf>,
    /// `-C`: the root of the cgroup2 hierarchy.
    pub cgroups: Option<PathBuf>,
}

/// Whether an option takes an argument, and its name in `-h`.
enum Takes {
    Nothing,
    Argument(&'static str),
    /// One argument each time; the option may be repeated.
    Arguments(&'static str),
    /// An argument that one use of the option does without.
    Perhaps(&'static str),
}

use Takes::{Argument, Arguments, Nothing, Perhaps};

/// The letter, the long name, the argument and the description of `-h`.
type Known = (&'static str, &'static str, Takes, &'static str);

#[rustfmt::skip]
const OPTIONS: [Known; 24] = [
    ("a", "averages", Nothing, "also show the kernel's averages (10, 60, 300 s)"),
    ("c", "color", Argument("YELLOW,RED"), "limits of the colours in percent (10,50)"),
    ("g", "cgroup", Arguments("CGROUP"), "show this cgroup, or all that match * and **"),
    ("j", "json", Nothing, "print JSON, one object per line"),
    ("k", "kind", Argument("KIND,..."), "show only these of some,full"),
    ("m", "no-color", Nothing, "use no colours"),
    ("n", "top", Argument("N"), "show the N most-stalled cgroups"),
    ("r", "resource", Argument("RESOURCE,..."), "show only these of cpu,memory,io,irq"),
    ("t", "timestamp", Nothing, "show the time of every reading"),
    ("w", "wide", Nothing, "do not fit lines to the terminal"),
    ("C", "cgroup-root", Argument("DIR"), "root of the cgroup2 hierarchy"),
    ("P", "pressure", Argument("DIR"), "read DIR instead of /proc/pressure"),
    ("", "openmetrics", Nothing, "print totals in seconds as OpenMetrics text"),
    ("", "check", Argument("FIGURE"), "check a figure, 'memory full', for Nagios and others"),
    ("", "warn", Argument("PERCENT"), "with --check: above it, the state is WARNING"),
    ("", "crit", Argument("PERCENT"), "with --check: above it, the state is CRITICAL"),
    ("", "graph", Nothing, "draw a history on the terminal, one column per interval"),
    ("", "suggest", Perhaps("DURATION"), "measure, then print rules for psilogd.conf"),
    ("", "record", Argument("FILE"), "write counters to FILE, ten times per second"),
    ("", "replay", Argument("FILE"), "print what psilogd would have logged over FILE"),
    ("f", "config", Argument("FILE"), "with --replay: read this psilogd.conf"),
    ("", "svg", Argument("FILE"), "with --replay: draw a picture into FILE (- is stdout)"),
    ("h", "help", Nothing, "print this help"),
    ("V", "version", Nothing, "print the version"),
];

fn options() -> Options {
    let mut options = Options::new();
    for (short, long, takes, text) in OPTIONS {
        match takes {
            Nothing => options.optflag(short, long, text),
            Argument(name) => options.optopt(short, long, text, name),
            Arguments(name) => options.optmulti(short, long, text, name),
            Perhaps(name) => options.optflagopt(short, long, text, name),
        };
    }
    options
}

/// An option by both its names, `-g, --cgroup`; an unknown one as it was given.
fn named(name: &str) -> String {
    match OPTIONS
        .iter()
        .find(|known| known.0 == name || known.1 == name)
    {
        Some(("", long, ..)) => format!("--{long}"),
        Some((short, long, ..)) => format!("-{short}, --{long}"),
        None if name.len() == 1 => format!("-{name}"),
        None => format!("--{name}"),
    }
}

/// A sentence about an option that is unknown, repeated or wrong in its argument.
fn misuse(fail: Fail) -> String {
    match fail {
        Fail::ArgumentMissing(name) => format!("option {}: the argument is missing", named(&name)),
        Fail::UnrecognizedOption(name) => format!("unknown option {}", named(&name)),
        Fail::OptionDuplicated(name) => format!("option {}: given more than once", named(&name)),
        Fail::UnexpectedArgument(name) => format!("option {}: takes no argument", named(&name)),
        Fail::OptionMissing(name) => format!("option {}: is missing", named(&name)),
    }
}

/// What `-h` prints.
pub fn usage() -> String {
    let brief = "usage: psistat [-ajmtw] [-c YELLOW,RED] [-g CGROUP] [-k KIND,...] [-n N]\n\
                 \u{20}              [-r RESOURCE,...] [-C DIR] [-P DIR] [interval [count]]\n\
                 \u{20}      psistat --openmetrics [-g CGROUP] [-k KIND,...] [-r RESOURCE,...]\n\
                 \u{20}      psistat --check FIGURE [--warn PERCENT] [--crit PERCENT] [-g CGROUP]\n\
                 \u{20}              [interval]\n\
                 \u{20}      psistat --graph [-m] [-c YELLOW,RED] [-g CGROUP] [-k KIND,...]\n\
                 \u{20}              [-r RESOURCE,...] [interval [count]]\n\
                 \u{20}      psistat --suggest DURATION [-g CGROUP] [-r RESOURCE,...]\n\
                 \u{20}      psistat --record FILE [-g CGROUP] [-r RESOURCE,...] [interval]\n\
                 \u{20}      psistat --replay FILE [-f FILE] [--svg FILE] [RULE ...]\n\
                 \u{20}      psistat --replay FILE --suggest\n\n\
                 Shows CPU, memory and I/O pressure: once, or every interval (1, 0.5, 500ms, 1m).";
    options().usage(brief)
}

/// Whether a monitoring system has started psistat, which wants to know of a wrong
/// command line, too.
pub fn is_check(args: &[OsString]) -> bool {
    let mut args = args.iter().take_while(|arg| *arg != "--");
    args.any(|arg| arg == "--check" || arg.as_encoded_bytes().starts_with(b"--check="))
}

impl Action {
    /// Reads the arguments.
    ///
    /// # Errors
    /// A sentence about the first argument that is wrong.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Action, UsageError> {
        // getopts takes text only, but the name of a cgroup may be any bytes: those that
        // aren't UTF-8 become the %XX that -g reads.
        let args = args.into_iter().map(|arg| text(arg.into_vec()));
        let mut matches = options().parse(args).map_err(misuse)?;
        if let Some(figure) = matches.opt_str("check") {
            return Ok(check(&matches, &figure)?);
        }
        if matches.opt_present("h") {
            return Ok(Action::Help);
        }
        if matches.opt_present("V") {
            return Ok(Action::Version);
        }
        without(&matches)?;
        if let Some(file) = matches.opt_str("replay") {
            return Ok(replay(&matches, file.into())?);
        }
        let length = suggested_length(&mut matches)?;
        let mut settings = Settings::new(&matches)?;
        if matches.opt_present("openmetrics") {
            return Ok(openmetrics(settings, &matches)?);
        }
        if let Some(file) = matches.opt_str("record") {
            record(&mut settings, &matches)?;
            return Ok(Action::Record(settings, file.into()));
        }
        graph(&mut settings, &matches)?;
        match length {
            None => Ok(Action::Show(settings)),
            Some(length) => {
                let length = suggest(&settings, &matches, &length)?;
                Ok(Action::Suggest(settings, length))
            }
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut text = String::new();
        for &byte in error.as_bytes() {
            match byte.is_ascii() {
                true => text.push(char::from(byte)),
                false => text.push_str(&format!("%{byte:02X}")),
            }
        }
        text
    })
}

/// Refuses an option that says something about another one, which is missing.
fn without(matches: &Matches) -> Result<(), String> {
    for (name, other, why) in [
        ("f", "replay", "psistat has no configuration"),
        ("warn", "check", "the limits of colours are those of -c"),
        ("crit", "check", "the limits of colours are those of -c"),
        ("svg", "replay", "the picture is of a recording"),
    ] {
        if matches.opt_present(name) && !matches.opt_present(other) {
            return Err(format!("option {} needs --{other}: {why}", named(name)));
        }
    }
    Ok(())
}

/// Refuses options that one use of psistat has no use for.
fn refuse(matches: &Matches, unused: &[&str], with: &str) -> Result<(), String> {
    match unused.iter().find(|name| matches.opt_present(name)) {
        Some(name) => Err(format!("option {} can't be used with {with}", named(name))),
        None => Ok(()),
    }
}

fn record(settings: &mut Settings, matches: &Matches) -> Result<(), String> {
    if matches.free.len() > 1 {
        return Err("--record takes no count: it runs until it is stopped".into());
    }
    if matches.opt_present("suggest") {
        return Err("--suggest can't be used with --record".into());
    }
    refuse(matches, &LOOKS, "--record, which shows nothing")?;
    settings.interval = settings.interval.or(Some(RECORD_INTERVAL));
    settings.count = None;
    Ok(())
}

fn suggest(settings: &Settings, matches: &Matches, length: &str) -> Result<Micros, String> {
    let length = duration(length).map_err(|why| wrong("suggest", length, why))?;
    if !matches.free.is_empty() {
        return Err("--suggest takes no interval: it reads every 2 s".into());
    }
    refuse(matches, &LOOKS, "--suggest, which prints a configuration")?;
    one_cgroup(&settings.patterns, "suggest").map(|()| length)
}

/// Refuses a choice of several cgroups.
fn one_cgroup(patterns: &[Pattern], with: &str) -> Result<(), String> {
    match patterns {
        [] => Ok(()),
        [one] if one.plain().is_some() => Ok(()),
        _ => Err(format!(
            "with --{with}, -g must be one cgroup and not a pattern"
        )),
    }
}

impl Settings {
    fn new(matches: &Matches) -> Result<Settings, String> {
        let top = option(matches, "n", top)?;
        let (interval, count) = operands(&matches.free)?;
        Ok(Settings {
            interval,
            count,
            averages: matches.opt_present("a"),
            json: matches.opt_present("j"),
            wide: matches.opt_present("w"),
            time: matches.opt_present("t"),
            plain: matches.opt_present("m"),
            limits: option(matches, "c", limits)?.unwrap_or(LIMITS),
            selection: selection(matches)?,
            patterns: patterns(matches, top.is_some())?,
            graph: matches.opt_present("graph"),
            top,
            pressure: matches.opt_str("P").map(PathBuf::from),
            cgroups: matches.opt_str("C").map(PathBuf::from),
        })
    }
}

/// The patterns of `-g`; with `-n` alone, every cgroup.
fn patterns(matches: &Matches, top: bool) -> Result<Vec<Pattern>, String> {
    let mut patterns = Vec::new();
    for word in matches.opt_strs("g") {
        let pattern = Pattern::parse(word.as_bytes());
        patterns.push(pattern.map_err(|why| wrong("g", &word, why))?);
    }
    if top && patterns.is_empty() {
        patterns.extend(Pattern::parse(EVERY_CGROUP));
    }
    Ok(patterns)
}

/// The interval and the count.
fn operands(words: &[String]) -> Result<(Option<Micros>, Option<u64>), String> {
    let bad = |word: &String, why: String| format!("\"{word}\": {why}");
    match words {
        [] => Ok((None, Some(1))),
        [step] => Ok((Some(interval(step).map_err(|why| bad(step, why))?), None)),
        [step, times] => Ok((
            Some(interval(step).map_err(|why| bad(step, why))?),
            Some(count(times).map_err(|why| bad(times, why))?),
        )),
        [_, _, word, ..] => Err(format!(
            "\"{word}\": too many operands; expected at most an interval and a count"
        )),
    }
}

/// A sentence about an option's argument.
fn wrong(name: &str, word: &str, why: impl fmt::Display) -> String {
    format!("option {}: \"{word}\": {why}", named(name))
}

/// An option's argument, if it is given.
fn option<T>(
    matches: &Matches,
    name: &str,
    read: fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let read = |word: String| read(&word).map_err(|why| wrong(name, &word, why));
    matches.opt_str(name).map(read).transpose()
}

#[cfg(test)]
mod tests;
