//! `--replay`: what psilogd would have logged over a recording, in lines or as a
//! picture.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::options::Source;
use crate::report::Report;
use crate::rule::Rule;
use crate::stat::picture::{Drawn, Episodes, draw};
use crate::stat::recording::Recording;
use crate::stat::replay::{Ideal, Log, NotJudged, Replay, Tally, judged, line};
use crate::stat::tenths;
use crate::time::{Micros, Moment};

use super::error::{BadRecord, RunError};
use super::{End, quietly};

/// What is replayed, and by which rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replaying {
    /// The recording.
    pub file: PathBuf,
    /// `-f`: a psilogd.conf.
    pub config: Option<PathBuf>,
    /// Operands; they replace the rules of the file.
    pub rules: Vec<Rule>,
    /// `--svg`: where a picture goes in place of the lines.
    pub svg: Option<PathBuf>,
}

/// Writes the lines and a summary, or the picture.
pub fn replay(what: &Replaying) -> Result<End, RunError> {
    quietly(replay_all(what))
}

fn replay_all(what: &Replaying) -> Result<End, RunError> {
    // the configuration first: a mistake in it is found before a day is read
    let config = load(what)?;
    let recording = read(&what.file)?;
    let (rules, others) = judged(&recording, &config.rules);
    if rules.is_empty() {
        return Err(RunError::NotJudged(others));
    }
    let Some(span) = recording.span() else {
        return Err(RunError::BadRecord(what.file.clone(), BadRecord::Empty));
    };
    let config = Config { rules, ..config };
    if let Some(svg) = &what.svg {
        return picture(recording, &config, span, svg);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let summary = Summary {
        span,
        readings: recording.readings,
        groups: recording.groups.len(),
        grace: config.settings.grace,
        tally: lines(recording, &config, span, &mut out)?,
        others,
    };
    summary.write(&mut out)?;
    out.flush()?;
    Ok(End::Done)
}

fn load(what: &Replaying) -> Result<Config, RunError> {
    match &what.config {
        Some(file) => {
            let mut source = Source::of(file.clone(), what.rules.clone());
            let loaded = source.load().map_err(RunError::Config)?;
            Ok(loaded.config)
        }
        None => {
            let rules = what.rules.clone();
            Ok(Config {
                rules,
                ..Config::default()
            }
            .rules_or_built_in())
        }
    }
}

/// Reads a recording.
pub(super) fn read(file: &Path) -> Result<Recording, RunError> {
    let refused = |why| RunError::BadRecord(file.into(), why);
    let bytes = std::fs::read(file).map_err(|error| refused(BadRecord::Io(error)))?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            return Err(refused(BadRecord::Bytes(line)));
        }
    };
    Recording::parse(text).map_err(|why| refused(BadRecord::Line(why)))
}

/// Logs from the beginning of a recording to its end.
fn run<'a>(
    recording: Recording,
    config: &Config,
    (start, end): (Moment, Moment),
    log: &mut Log<'a>,
) -> Replay<Ideal> {
    let mut replay = Replay::new(Ideal::new(recording), config, start, log);
    replay.run(end, log);
    replay
}

/// Writes what is logged.
fn lines(
    recording: Recording,
    config: &Config,
    span: (Moment, Moment),
    out: &mut dyn Write,
) -> io::Result<Tally> {
    let (mut tally, mut text, mut written) = (Tally::default(), Vec::new(), Ok(()));
    run(recording, config, span, &mut |at, report| {
        tally.add(report);
        if written.is_ok() {
            text.clear();
            line(&mut text, at.since(span.0), report);
            written = out.write_all(&text);
        }
    });
    written.map(|()| tally)
}

/// Writes the picture. The file is opened once the picture is complete.
fn picture(
    recording: Recording,
    config: &Config,
    span: (Moment, Moment),
    svg: &Path,
) -> Result<End, RunError> {
    let mut episodes = Episodes::default();
    let log = &mut |at: Moment, report: &Report<'_>| episodes.add(at, report);
    let mut replay = run(recording, config, span, log);
    let drawn = Drawn {
        recording: replay.source().recording(),
        rules: &config.rules,
        episodes: &episodes,
        ignored: ignored(config.settings.grace, span),
    };
    let mut out = Vec::new();
    draw(&mut out, drawn)?;
    if svg == Path::new("-") {
        io::stdout().write_all(&out)?;
    } else {
        let refused = |error| RunError::Write(svg.into(), error);
        std::fs::write(svg, &out).map_err(refused)?;
    }
    Ok(End::Done)
}

/// How much of a recording is within the grace after boot.
fn ignored(grace: Micros, (start, end): (Moment, Moment)) -> Micros {
    Moment(grace.0).since(start).min(end.since(start))
}

/// What follows the lines.
struct Summary {
    span: (Moment, Moment),
    readings: u64,
    groups: usize,
    grace: Micros,
    tally: Tally,
    others: Vec<(String, NotJudged)>,
}

impl Summary {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let (start, end) = self.span;
        let length = end.since(start);
        let Tally {
            lines,
            begins,
            open,
        } = self.tally;
        if lines > 0 {
            writeln!(out)?;
        }
        writeln!(
            out,
            "recording: {} s, {}, {}",
            tenths(length.0 / 100_000),
            counted(self.groups as u64, "group"),
            counted(self.readings, "reading")
        )?;
        writeln!(
            out,
            "logged: {}, {}, {} lines per hour",
            counted(lines, "line"),
            counted(begins, "episode"),
            tenths(hourly(lines, length))
        )?;
        if open > 0 {
            writeln!(out, "open at the end: {}", counted(open, "episode"))?;
        }
        self.ignored(out)?;
        for (name, why) in &self.others {
            writeln!(out, "not judged: rule {name}: {why}")?;
        }
        Ok(())
    }

    /// How much of the recording is within the grace after boot.
    fn ignored(&self, out: &mut dyn Write) -> io::Result<()> {
        match ignored(self.grace, self.span) {
            Micros::ZERO => Ok(()),
            ignored => writeln!(
                out,
                "ignored: the first {} s, within the grace of {} after boot",
                tenths(ignored.0 / 100_000),
                self.grace
            ),
        }
    }
}

/// Tenths of a line per hour.
fn hourly(lines: u64, length: Micros) -> u64 {
    let tenths = u128::from(lines) * 36_000_000_000 + u128::from(length.0 / 2);
    let tenths = tenths.checked_div(u128::from(length.0)).unwrap_or(0);
    u64::try_from(tenths).unwrap_or(u64::MAX)
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
