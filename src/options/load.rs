//! The files of the configuration, read one after the other, and the command line on top
//! of them.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use super::Source;
use super::read::{Unreadable, drop_ins, read};
use crate::config::{Config, ConfigError, Layers, Origin, OutputSpec};
use crate::printable::printable;
use crate::rule::ParseError;

/// One thing that is wrong.
#[derive(Debug)]
pub struct FileError {
    /// The file, or the directory of drop-ins.
    pub file: PathBuf,
    /// What is wrong with it.
    pub error: ConfigError,
}

/// `psilogd.conf:7: "10x/2s": …`.
impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.error)
    }
}

impl Error for FileError {}

/// Why the configuration can't be loaded: everything that is wrong.
#[derive(Debug)]
pub struct LoadError(pub Vec<FileError>);

/// One line per error.
impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let before = if index == 0 { "" } else { "\n" };
            write!(f, "{before}{error}")?;
        }
        Ok(())
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let first = self.0.first()?;
        Some(first)
    }
}

/// The configuration in force, and where each line of it comes from.
#[derive(Debug)]
pub struct Loaded {
    /// Settings and rules.
    pub config: Config,
    /// Lines without an effect.
    pub warnings: Vec<FileError>,
    files: Vec<PathBuf>,
    /// Of each line of the configuration, with the name of its setting, or `rule`.
    origins: Vec<(&'static str, Origin)>,
}

impl Loaded {
    /// The command line has set the lines of this name: all of them, or one more. How
    /// many it has set.
    fn override_lines(&mut self, name: &str, all: bool, count: usize) {
        let is = |(other, _): &(&'static str, Origin)| *other == name;
        let Some(first) = self.origins.iter().position(is) else {
            return;
        };
        let name = self.origins[first].0;
        let end = first
            + self.origins[first..]
                .iter()
                .take_while(|line| is(line))
                .count();
        let replaced = if all { first..end } else { end..end };
        let lines = std::iter::repeat_n((name, Origin::CommandLine), count);
        self.origins.splice(replaced, lines);
    }

    /// What is wrong with a word of it: that word is in this file and line.
    pub fn refuse(&self, error: ParseError) -> LoadError {
        let text = self.config.to_string();
        let mut lines = text.lines().zip(&self.origins);
        let line = lines.find(|(line, _)| line.split(' ').any(|word| word == error.word));
        let (file, line) = match line {
            Some((_, (_, Origin::File(file, line)))) => (*file, *line),
            _ => (0, 0),
        };
        let file = self.files.get(file).cloned().unwrap_or_default();
        let error = ConfigError { line, error };
        LoadError(vec![FileError { file, error }])
    }
}

/// As [`Config::parse`] reads it back. Each line ends with a comment: its origin.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.config.to_string();
        for (line, (_, origin)) in text.lines().zip(&self.origins) {
            match origin {
                Origin::Default => writeln!(f, "{line} # default")?,
                Origin::BuiltIn => writeln!(f, "{line} # built-in")?,
                Origin::CommandLine => writeln!(f, "{line} # command line")?,
                Origin::File(file, number) => {
                    let file = self.files.get(*file).cloned().unwrap_or_default();
                    let file = printable(&file.display().to_string());
                    writeln!(f, "{line} # {file}:{number}")?;
                }
            }
        }
        Ok(())
    }
}

impl Source {
    /// Reads the file and its drop-ins, and applies the command line: operands replace
    /// all rules, `-o` all outputs. Without any rules the built-in ones apply.
    ///
    /// # Errors
    /// What is wrong with the files; also that one is empty now and was not before, since
    /// an editor truncates it and then writes, and a reload may come in between. That the
    /// first one was removed is an error once: the next load does without it.
    pub fn load(&mut self) -> Result<Loaded, LoadError> {
        let mut errors = self.removed();
        let mut files = vec![self.file.clone()];
        if let Some(directory) = &self.drop_ins {
            match drop_ins(directory, self.only_root) {
                Ok(found) => files.extend(found),
                Err(why) => errors.push(FileError {
                    file: directory.clone(),
                    error: why.error("directory"),
                }),
            }
        }
        let (mut layers, mut seen) = (Layers::new(), Vec::new());
        for (number, file) in files.iter().enumerate() {
            let lines = match self.read(file) {
                Ok(text) => {
                    seen.push((file.clone(), !text.is_empty()));
                    layers.read(number, &text).err().unwrap_or_default()
                }
                Err(Unreadable::Missing) if number == 0 && self.drop_ins.is_some() => continue,
                Err(why) => vec![why.error("file")],
            };
            let file = || file.clone();
            errors.extend(lines.into_iter().map(|error| FileError {
                file: file(),
                error,
            }));
        }
        if !errors.is_empty() {
            return Err(LoadError(errors));
        }
        let loaded = self.apply(layers, files)?;
        self.seen = seen;
        Ok(loaded)
    }

    /// Every file and directory that a reload may read.
    pub fn paths(&self) -> Vec<PathBuf> {
        let seen = self.seen.iter().map(|(file, _)| file.clone());
        let named = std::iter::once(self.file.clone()).chain(self.drop_ins.clone());
        named.chain(seen).collect()
    }

    /// The first file if it is gone since the last load, which is forgotten then. `-f` asks
    /// for its file each time, and to remove a drop-in is to do without it.
    fn removed(&mut self) -> Vec<FileError> {
        let was_there = self.seen.iter().position(|(file, _)| *file == self.file);
        let gone = || matches!(self.file.try_exists(), Ok(false));
        let Some(index) = was_there.filter(|_| self.drop_ins.is_some() && gone()) else {
            return Vec::new();
        };
        let (file, _) = self.seen.remove(index);
        let error = Unreadable::Removed.error("file");
        vec![FileError { file, error }]
    }

    fn read(&self, file: &PathBuf) -> Result<Vec<u8>, Unreadable> {
        let text = read(file, self.only_root)?;
        let had_text = |(other, had_text): &(PathBuf, bool)| *had_text && other == file;
        match text.is_empty() && self.seen.iter().any(had_text) {
            true => Err(Unreadable::Emptied),
            false => Ok(text),
        }
    }

    /// What the files and the command line make together.
    fn apply(&self, layers: Layers, files: Vec<PathBuf>) -> Result<Loaded, LoadError> {
        let layered = layers.finish();
        let file_error = |(file, error): (usize, ConfigError)| FileError {
            file: files.get(file).cloned().unwrap_or_default(),
            error,
        };
        if let (Some(last), true) = (layered.no_rule, self.rules.is_empty()) {
            return Err(LoadError(vec![file_error(last)]));
        }
        let mut loaded = Loaded {
            warnings: layered.idle.into_iter().map(file_error).collect(),
            config: layered.config,
            origins: layered.origins,
            files,
        };
        if !self.rules.is_empty() {
            loaded.override_lines("rule", true, self.rules.len());
            loaded.config.rules = self.rules.clone();
        }
        if !self.outputs.is_empty() {
            loaded.override_lines("output", true, self.outputs.len());
            loaded.config.settings.outputs = self.outputs.clone();
        }
        if self.copy && !loaded.config.settings.outputs.contains(&OutputSpec::Stderr) {
            loaded.override_lines("output", false, 1);
            loaded.config.settings.outputs.push(OutputSpec::Stderr);
        }
        if self.user.is_some() {
            loaded.override_lines("user", true, 1);
            loaded.config.settings.user = self.user.clone();
        }
        if self.no_sandbox {
            loaded.override_lines("sandbox", true, 1);
            loaded.config.settings.sandbox = false;
        }
        Ok(loaded)
    }
}
