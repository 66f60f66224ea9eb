//! Why psistat stops, as one sentence each: what is wrong, where, and what was
//! expected. psistat(1), DIAGNOSTICS lists them.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Display, Path, PathBuf};

use crate::options::LoadError;
use crate::pattern::CgroupPath;
use crate::pressure::{Kind, PressureError, Resource};
use crate::report::Hint;
use crate::stat::record::RecordError;
use crate::stat::replay::NotJudged;

/// Why psistat stops.
#[derive(Debug)]
pub enum RunError {
    /// Pressure can't be read.
    Read(ReadError),
    /// Standard output can't be written, or the system refuses something basic.
    Io(io::Error),
    /// `--graph` has no terminal to draw on.
    NoScreen,
    /// The record or the picture can't be written to this file.
    Write(PathBuf, io::Error),
    /// This file can't be replayed.
    BadRecord(PathBuf, BadRecord),
    /// The configuration has mistakes.
    Config(LoadError),
    /// The recording says nothing about any of these rules.
    NotJudged(Vec<(String, NotJudged)>),
    /// This figure can't be checked.
    NotMeasured(Resource, Kind, NotMeasured),
}

/// Why a file can't be replayed.
#[derive(Debug)]
pub enum BadRecord {
    /// The system refused to read it.
    Io(io::Error),
    /// This line of it is not text.
    Bytes(usize),
    /// A line of it does not belong in a record.
    Line(RecordError),
    /// It has no reading.
    Empty,
}

/// Why a figure can't be checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotMeasured {
    /// The kernel does not record it.
    Unknown,
    /// The counter that was read first is gone, or another one is in its place.
    Replaced,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Read(error) => error.fmt(f),
            RunError::Io(error) => write!(f, "cannot write to standard output: {}", Why(error)),
            RunError::NoScreen => f.write_str(
                "--graph draws on a terminal: standard output is none, or TERM is dumb or unset",
            ),
            RunError::Write(file, error) => {
                write!(f, "cannot write {}: {}", file.display(), Why(error))?;
                match error.kind() {
                    io::ErrorKind::NotFound => f.write_str("; create its directory first"),
                    io::ErrorKind::IsADirectory => f.write_str("; expected the name of a file"),
                    _ => Ok(()),
                }
            }
            RunError::BadRecord(file, why) => why.sentence(f, file),
            RunError::Config(error) => error.fmt(f),
            RunError::NotJudged(rules) => {
                f.write_str("the recording judges none of the rules")?;
                let mut rules = rules.iter().map(|(name, why)| format!("{name}: {why}"));
                rules.try_for_each(|rule| write!(f, "; rule {rule}"))
            }
            RunError::NotMeasured(resource, kind, why) => why.sentence(f, *resource, *kind),
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RunError::Read(error) => Some(error),
            RunError::Io(error) | RunError::Write(_, error) => Some(error),
            RunError::BadRecord(_, BadRecord::Io(error)) => Some(error),
            RunError::BadRecord(_, BadRecord::Line(error)) => Some(error),
            RunError::Config(error) => Some(error),
            RunError::NoScreen
            | RunError::BadRecord(..)
            | RunError::NotJudged(_)
            | RunError::NotMeasured(..) => None,
        }
    }
}

impl NotMeasured {
    fn sentence(self, f: &mut fmt::Formatter<'_>, of: Resource, kind: Kind) -> fmt::Result {
        let (resource, name) = (of.name(), kind.name());
        match (self, of, kind) {
            (NotMeasured::Unknown, Resource::Cpu, Kind::Full) => write!(
                f,
                "the kernel records no {resource} {name} of the whole system, and none before \
                 Linux 5.13: name a cgroup with -g"
            ),
            (NotMeasured::Unknown, ..) => write!(
                f,
                "the kernel records no {resource} {name}: psistat shows what it records"
            ),
            (NotMeasured::Replaced, ..) => write!(
                f,
                "the counter of {resource} {name} was replaced between its two readings: its \
                 cgroup was removed"
            ),
        }
    }
}

impl BadRecord {
    fn sentence(&self, f: &mut fmt::Formatter<'_>, file: &Path) -> fmt::Result {
        let file = file.display();
        match self {
            BadRecord::Io(error) => {
                write!(f, "cannot read {file}: {}", Why(error))?;
                match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => {
                        f.write_str("; --replay takes a file that psistat --record wrote")
                    }
                    _ => Ok(()),
                }
            }
            BadRecord::Bytes(line) => {
                write!(f, "{file}: line {line}: expected text, which a record is")
            }
            BadRecord::Line(error) => write!(f, "{file}: {error}"),
            BadRecord::Empty => write!(
                f,
                "{file}: the record has no readings: let psistat --record run longer"
            ),
        }
    }
}

impl From<ReadError> for RunError {
    fn from(error: ReadError) -> RunError {
        RunError::Read(error)
    }
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> RunError {
        RunError::Io(error)
    }
}

/// Why pressure can't be read.
#[derive(Debug)]
pub enum ReadError {
    /// The file is not a pressure file.
    Text(PathBuf, PressureError),
    /// The system refused to read the file.
    Io(PathBuf, io::Error),
    /// This directory has no pressure files.
    Missing(PathBuf, Missing),
    /// No cgroup below this directory matches.
    NoMatch(PathBuf),
    /// No cgroup2 hierarchy is mounted.
    NoMount,
    /// No descriptors are left.
    Descriptors,
}

/// Why a directory has no pressure files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Missing {
    /// The kernel records no pressure.
    Psi,
    /// /proc shows processes only.
    ProcSubset,
    /// /proc is not mounted; this option would do without it.
    Proc(char),
    /// The directory of `-P`, or of `-C`, does not exist.
    Directory(char),
    /// The directory of `-P`, or of `-C`, is a file.
    File(char),
    /// The directory of `-P` holds other files.
    Others,
    /// The cgroup of this path does not exist.
    Cgroup(Vec<u8>),
    /// A file is where the directory of this cgroup would be.
    CgroupFile(Vec<u8>),
    /// The cgroup of this path has its accounting switched off.
    CgroupOff(Vec<u8>),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Text(path, why @ PressureError::Empty) => {
                write!(f, "{} {why}", path.display())
            }
            ReadError::Text(path, why) => write!(
                f,
                "{} {why}: expected what the kernel writes, some avg10=0.00 avg60=0.00 \
                 avg300=0.00 total=0; check -P and -C",
                path.display()
            ),
            ReadError::Io(path, error) => {
                write!(f, "cannot read {}: {}", path.display(), Why(error))?;
                match error.kind() {
                    io::ErrorKind::PermissionDenied => {
                        f.write_str("; run psistat as its owner or as root")
                    }
                    io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput => {
                        f.write_str("; expected a pressure file, check -P and -C")
                    }
                    _ => Ok(()),
                }
            }
            ReadError::Missing(path, why) => why.sentence(f, path),
            ReadError::NoMatch(mount) => write!(
                f,
                "no cgroup below {} matches: psistat -g '**' lists all of them",
                mount.display()
            ),
            ReadError::NoMount => f.write_str(
                "no cgroup2 hierarchy is mounted: mount one (mount -t cgroup2 none \
                 /sys/fs/cgroup), or name its directory with -C",
            ),
            ReadError::Descriptors => f.write_str(Hint::Descriptors.sentence()),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ReadError::Text(_, error) => Some(error),
            ReadError::Io(_, error) => Some(error),
            ReadError::Missing(..)
            | ReadError::NoMatch(_)
            | ReadError::NoMount
            | ReadError::Descriptors => None,
        }
    }
}

impl Missing {
    fn sentence(&self, f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
        let path = path.display();
        match self {
            Missing::Psi => write!(f, "{path}: {}", Hint::Psi.sentence()),
            Missing::ProcSubset => write!(f, "{path}: {}", Hint::ProcSubset.sentence()),
            Missing::Proc(option) => write!(
                f,
                "there is no {path}: mount /proc (mount -t proc proc /proc), or name another \
                 directory with -{option}"
            ),
            Missing::Directory(option) => write!(
                f,
                "there is no directory {path}: -{option} expects {}",
                expected(*option)
            ),
            Missing::File(option) => write!(
                f,
                "{path} is not a directory: -{option} expects {}",
                expected(*option)
            ),
            Missing::Others => write!(
                f,
                "{path} holds no pressure files (cpu, memory, io, irq): -P expects {}",
                expected('P')
            ),
            Missing::Cgroup(cgroup) | Missing::CgroupFile(cgroup) | Missing::CgroupOff(cgroup) => {
                let cgroup = CgroupPath::of(cgroup.clone());
                self.of_cgroup(f, &cgroup, path)
            }
        }
    }

    fn of_cgroup(
        &self,
        f: &mut fmt::Formatter<'_>,
        cgroup: &CgroupPath,
        path: Display<'_>,
    ) -> fmt::Result {
        match self {
            Missing::CgroupFile(_) => write!(
                f,
                "there is no cgroup {cgroup}: {path} is a file, and a cgroup is a directory"
            ),
            Missing::CgroupOff(_) => write!(
                f,
                "the cgroup {cgroup} has no pressure files: write 1 to {path}/cgroup.pressure, or \
                 boot with psi=1"
            ),
            _ => write!(
                f,
                "there is no cgroup {cgroup}, which would be {path}: psistat -g '**' lists all of \
                 them"
            ),
        }
    }
}

/// The directory that `-P` or `-C` expects.
fn expected(option: char) -> &'static str {
    match option {
        'C' => "the cgroup2 mount, usually /sys/fs/cgroup",
        _ => "a directory like /proc/pressure; a cgroup is named with -g",
    }
}

/// The text of a system's error without its number.
struct Why<'a>(&'a io::Error);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let (words, _) = text.split_once(" (os error").unwrap_or((&text, ""));
        f.write_str(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_written_without_numbers() {
        let error = io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(Why(&error).to_string(), "No space left on device");
    }
}
