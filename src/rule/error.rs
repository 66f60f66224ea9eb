//! Why a word of a rule or a setting is refused.

use std::error::Error;
use std::fmt;
use std::fmt::Write as _;

/// What is wrong with a word, as a token for `reason=` of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A word that begins neither a rule nor a setting.
    BadWord,
    /// Not cpu, memory, io, irq.
    BadResource,
    /// Not some or full, or one that can't fire for this resource.
    BadKind,
    /// STALL is neither a duration nor a share, or is out of range.
    BadStall,
    /// WINDOW is not a duration, or is out of range.
    BadWindow,
    /// A key that is unknown, or given more than once.
    BadKey,
    /// The value of a key or a setting.
    BadValue,
    /// A word is missing, or is one too many.
    BadCount,
    /// Two rules have one name.
    DuplicateName,
    /// The last rule is switched off.
    NoRule,
    /// Bytes that are not text, CR LF, or a line that is too long.
    NotText,
    /// The file is empty, and was not before.
    Empty,
    /// The file does not exist, and did before.
    Removed,
    /// The file can't be read.
    Unreadable,
    /// The file can be written by users whom root does not trust.
    WritableByOthers,
    /// A setting that takes effect at the start only.
    NeedsRestart,
}

impl Reason {
    /// The token for `reason=`.
    pub const fn token(self) -> &'static str {
        match self {
            Reason::BadWord => "bad_word",
            Reason::BadResource => "bad_resource",
            Reason::BadKind => "bad_kind",
            Reason::BadStall => "bad_stall",
            Reason::BadWindow => "bad_window",
            Reason::BadKey => "bad_key",
            Reason::BadValue => "bad_value",
            Reason::BadCount => "bad_count",
            Reason::DuplicateName => "duplicate_name",
            Reason::NoRule => "no_rule",
            Reason::NotText => "not_text",
            Reason::Empty => "empty",
            Reason::Removed => "removed",
            Reason::Unreadable => "unreadable",
            Reason::WritableByOthers => "writable_by_others",
            Reason::NeedsRestart => "needs_restart",
        }
    }
}

/// Why a word is refused, and what was expected instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The word as it was written; empty if it is missing.
    pub word: String,
    /// The kind of error, as a log line's token.
    pub reason: Reason,
    /// What was expected, as a sentence.
    pub help: String,
}

impl ParseError {
    pub(crate) fn new(word: &str, reason: Reason, help: impl Into<String>) -> ParseError {
        ParseError {
            word: word.into(),
            reason,
            help: help.into(),
        }
    }
}

/// `"10x/2s": the stall …`, with control characters escaped and long words truncated.
impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 60;
        if !self.word.is_empty() {
            f.write_char('"')?;
            for c in self.word.chars().take(SHOWN) {
                match c {
                    c if c.is_control() => write!(f, "{}", c.escape_default())?,
                    c => f.write_char(c)?,
                }
            }
            if self.word.chars().nth(SHOWN).is_some() {
                f.write_str("...")?;
            }
            f.write_str("\": ")?;
        }
        f.write_str(&self.help)
    }
}

impl Error for ParseError {}
