//! The text of a configuration file, line by line, and what is wrong with it.

use std::error::Error;
use std::fmt;

use super::{Config, Layers};
use crate::rule::{ParseError, Reason};

/// The longest configuration file, in bytes; a longer one is another file by mistake.
pub const FILE_MAX: usize = 1 << 20;
/// The longest line, in bytes: a cgroup's path of 4000 bytes, escaped.
const TEXT_LINE_MAX: usize = 16 << 10;

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The line, counted from 1; 0 is the file as a whole.
    pub line: usize,
    /// What is wrong there.
    pub error: ParseError,
}

/// `7: "10x/2s": …`; the file's name and a colon belong in front of it.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, " {}", self.error),
            line => write!(f, "{line}: {}", self.error),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl Config {
    /// Reads a configuration file's text.
    ///
    /// # Errors
    /// Everything that is wrong with it, up to 20 lines.
    pub fn parse(text: &[u8]) -> Result<Config, Vec<ConfigError>> {
        let mut layers = Layers::default();
        layers.read(0, text)?;
        Ok(layers.finish().config)
    }
}

/// Refuses what is too long for a configuration.
pub(super) fn check_text(text: &[u8]) -> Result<(), Vec<ConfigError>> {
    if text.len() <= FILE_MAX {
        return Ok(());
    }
    let help = "the file is longer than 1 MiB, the most for a configuration";
    Err(vec![ConfigError {
        line: 0,
        error: ParseError::new("", Reason::NotText, help),
    }])
}

/// A line as text.
pub(super) fn text(line: &[u8]) -> Result<&str, ParseError> {
    let bad = |help: &str| ParseError::new("", Reason::NotText, help);
    if line.len() > TEXT_LINE_MAX {
        return Err(bad("the line is longer than 16 KiB"));
    }
    if line.ends_with(b"\r") {
        return Err(bad(
            "the line ends in CR LF: save the file with Unix line endings",
        ));
    }
    if line.starts_with(b"\xef\xbb\xbf") {
        return Err(bad(
            "the file begins with a byte order mark: save it as UTF-8 without one",
        ));
    }
    let line = std::str::from_utf8(line)
        .map_err(|_| bad("the line is not UTF-8; in cgroup= write other bytes as %XX"))?;
    match line
        .split([' ', '\t'])
        .find(|word| word.contains(char::is_control))
    {
        Some(word) => {
            let help = "control characters are not allowed";
            Err(ParseError::new(word, Reason::NotText, help))
        }
        None => Ok(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Micros;

    #[test]
    fn comments_and_blank_lines_are_ignored() {
        let text = b"# a comment\n\n  \t \nmemory full 10%/2s # after a rule\n grace 0\n";
        let config = Config::parse(text);
        assert_eq!(
            config.map(|c| (c.rules.len(), c.settings.grace)),
            Ok((1, Micros::ZERO))
        );
    }

    #[test]
    fn every_error_has_its_line() {
        let text = b"rate_limit 1\nmemory full 10%/2s\nnonsense\nmemory full 20%/2s\n";
        let lines = Config::parse(text).err().unwrap_or_default();
        let lines: Vec<_> = lines
            .iter()
            .map(|bad| (bad.line, bad.error.reason))
            .collect();
        assert_eq!(
            lines,
            [
                (1, Reason::BadValue),
                (3, Reason::BadWord),
                (4, Reason::DuplicateName)
            ]
        );
    }
}
