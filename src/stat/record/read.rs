//! A record's lines, read back one after another.

use std::fmt;

use super::{FORMAT, GroupCounters, HEAD, HostCounters, LETTERS, Subject, Totals, Values};
use crate::evidence::{DiskCounters, DiskName};
use crate::pattern::unescape;
use crate::stat::CELLS;
use crate::time::Moment;

/// The first line, counted from 1, that does not belong in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordError {
    /// The line.
    pub line: usize,
    /// What is wrong with it.
    pub why: LineError,
}

/// Why a line does not belong in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineError {
    /// The first line is another one.
    Head,
    /// The first line is that of another format.
    Format,
    /// A name is not spelled as cgroups and disks are.
    Name,
    /// It does not begin with a time.
    Time,
    /// Its group has not been named.
    Group,
    /// A word has a letter that its subject doesn't have in this format.
    Letter,
    /// The letter of a word is not followed by a number.
    Number,
    /// Times or a counter add up to more than a u64 holds.
    TooLarge,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// What is wrong, and what was expected.
impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LineError::Head => {
                "this is not a record of psistat, which begins with \"psistat record 2\"; \
                 psistat --record writes one"
            }
            LineError::Format => {
                "this psistat reads the formats 1 and 2 of records: use the psistat that wrote \
                 this one, or a newer one"
            }
            LineError::Name => {
                "expected a cgroup's path or a disk's name, unprintable bytes as %XX"
            }
            LineError::Time => {
                "expected the microseconds since the previous line, and then what has changed, \
                 e.g. 100000 c30"
            }
            LineError::Group => {
                "no group of this number was named above with a line \"group PATH\""
            }
            LineError::Letter => "expected a letter of psistat(1), RECORDS, e.g. c30",
            LineError::Number => {
                "expected a letter and how much its counter grew (c30), or the counter itself \
                 (c=30)"
            }
            LineError::TooLarge => "a time or a counter is larger than 18446744073709551615",
        })
    }
}

impl std::error::Error for RecordError {}

impl std::error::Error for LineError {}

/// What a line says, with everything that was known before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// The pressure of a group. Its counters grew evenly since its previous reading.
    Reading {
        /// Its number.
        group: usize,
        /// When it was read.
        at: Moment,
        /// Its counters.
        totals: Totals,
    },
    /// Other counters of a group, of which one has changed.
    Counters {
        /// Its number.
        group: usize,
        /// When they were read.
        at: Moment,
        /// All of them.
        counters: GroupCounters,
    },
    /// A cgroup is gone. Another one may have its number later.
    Gone {
        /// Its number.
        group: usize,
        /// When it was found gone.
        at: Moment,
    },
    /// The counters of a disk; None if it is gone.
    Disk {
        /// Its name.
        name: DiskName,
        /// The counters.
        counters: Option<DiskCounters>,
    },
    /// The host's counters. This completes a reading of them and of all disks: a disk
    /// without a line since the last one is as it was.
    Host {
        /// When they were read.
        at: Moment,
        /// The counters.
        counters: HostCounters,
    },
}

/// What is known of a group or a disk.
struct Known<T> {
    name: T,
    values: Values,
}

/// Reads a record line by line.
pub struct Reader<'a> {
    text: &'a str,
    line: usize,
    format: u32,
    at: Moment,
    groups: Vec<Known<Option<Vec<u8>>>>,
    disks: Vec<Known<DiskName>>,
    host: Values,
    /// The second entry of a line with both kinds of a group's counters.
    pending: Option<Entry>,
}

impl<'a> Reader<'a> {
    /// Reads the first line. A last line without its end is left out: psistat may have
    /// been killed as it wrote it.
    ///
    /// # Errors
    /// This text is no record, or one of a newer format.
    pub fn new(text: &'a str) -> Result<Reader<'a>, RecordError> {
        let error = |why| RecordError { line: 1, why };
        let (head, text) = text.split_once('\n').ok_or(error(LineError::Head))?;
        let format = head.strip_prefix(HEAD).ok_or(error(LineError::Head))?;
        let format = match format.parse::<u32>() {
            Ok(format @ 1..=FORMAT) => format,
            Ok(_) => return Err(error(LineError::Format)),
            Err(_) => return Err(error(LineError::Head)),
        };
        Ok(Reader {
            text,
            line: 1,
            format,
            at: Moment(0),
            groups: Vec::new(),
            disks: Vec::new(),
            host: [None; LETTERS],
            pending: None,
        })
    }

    /// The time of the newest line.
    pub fn at(&self) -> Moment {
        self.at
    }

    /// The path of a group; None is the whole system.
    pub fn path(&self, group: usize) -> Option<&[u8]> {
        self.groups.get(group)?.name.as_deref()
    }

    /// How many groups have been named.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// What the next line says; None behind the last.
    ///
    /// # Errors
    /// The line does not belong in a record.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, RecordError> {
        if let Some(entry) = self.pending.take() {
            return Ok(Some(entry));
        }
        while let Some((line, rest)) = self.text.split_once('\n') {
            self.text = rest;
            self.line += 1;
            let error = |why| RecordError {
                line: self.line,
                why,
            };
            match line.strip_prefix("group ") {
                Some(name) => {
                    let name = group(name).ok_or(error(LineError::Name))?;
                    let values = [None; LETTERS];
                    self.groups.push(Known { name, values });
                }
                None => {
                    let number = self.line;
                    let error = |why| RecordError { line: number, why };
                    return self.entry(line).map(Some).map_err(error);
                }
            }
        }
        Ok(None)
    }

    fn entry(&mut self, line: &str) -> Result<Entry, LineError> {
        let (head, words) = line.split_once(' ').unwrap_or((line, ""));
        let end = head.bytes().take_while(u8::is_ascii_digit).count();
        let (passed, of) = head.split_at(end);
        if passed.is_empty() {
            return Err(LineError::Time);
        }
        let subject = self.subject(of)?;
        let passed = passed.parse().map_err(|_| LineError::TooLarge)?;
        self.at = Moment(self.at.0.checked_add(passed).ok_or(LineError::TooLarge)?);
        if words == "-" && self.format > 1 {
            return self.gone(subject);
        }
        let mut values = self.values(subject);
        let mut changed = [false; LETTERS];
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            changed[self.word(subject, word, &mut values)?] = true;
        }
        self.keep(subject, values);
        Ok(self.known(subject, values, changed))
    }

    /// What a line is about, by what stands behind its time.
    fn subject(&self, of: &str) -> Result<Subject, LineError> {
        match (of.strip_prefix(':'), of.strip_prefix('/')) {
            (Some("host"), _) if self.format > 1 => Ok(Subject::Host),
            (Some(number), _) => self.group_of(number),
            (_, Some(name)) if self.format > 1 => {
                let name = unescape(name.as_bytes()).and_then(|name| DiskName::new(&name));
                name.map(Subject::Disk).ok_or(LineError::Name)
            }
            _ if of.is_empty() => self.group_of("0"),
            _ => Err(LineError::Time),
        }
    }

    fn group_of(&self, number: &str) -> Result<Subject, LineError> {
        let number = number.parse().map_err(|_| LineError::Group)?;
        match number < self.groups.len() {
            true => Ok(Subject::Group(number)),
            false => Err(LineError::Group),
        }
    }

    /// Takes one word; the place of its letter.
    fn word(&self, subject: Subject, word: &str, values: &mut Values) -> Result<usize, LineError> {
        let (letter, value) = word.split_at_checked(1).ok_or(LineError::Letter)?;
        let place = subject.letters().find(letter).ok_or(LineError::Letter)?;
        if self.format == 1 && place >= CELLS.len() {
            return Err(LineError::Letter);
        }
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true if !digits.is_empty() => digits.parse::<u64>().map_err(|_| LineError::TooLarge),
            _ => Err(LineError::Number),
        };
        values[place] = Some(match value.strip_prefix('=') {
            Some(total) => number(total)?,
            None => {
                let grown = number(value)?;
                let before = values[place].unwrap_or(0);
                before.checked_add(grown).ok_or(LineError::TooLarge)?
            }
        });
        Ok(place)
    }

    fn values(&self, subject: Subject) -> Values {
        let known = match subject {
            Subject::Group(number) => self.groups.get(number).map(|known| known.values),
            Subject::Host => Some(self.host),
            Subject::Disk(name) => self.disk(name).map(|at| self.disks[at].values),
        };
        known.unwrap_or([None; LETTERS])
    }

    fn disk(&self, name: DiskName) -> Option<usize> {
        self.disks.iter().position(|known| known.name == name)
    }

    fn keep(&mut self, subject: Subject, values: Values) {
        match subject {
            Subject::Group(number) => self.groups[number].values = values,
            Subject::Host => self.host = values,
            Subject::Disk(name) => match self.disk(name) {
                Some(at) => self.disks[at].values = values,
                None => self.disks.push(Known { name, values }),
            },
        }
    }

    fn gone(&mut self, subject: Subject) -> Result<Entry, LineError> {
        self.keep(subject, [None; LETTERS]);
        let at = self.at;
        match subject {
            Subject::Group(group) => Ok(Entry::Gone { group, at }),
            Subject::Disk(name) => Ok(Entry::Disk {
                name,
                counters: None,
            }),
            Subject::Host => Err(LineError::Letter),
        }
    }

    /// The entry of a line. One that has changed other counters of a group alone is no
    /// reading of its pressure; one with both is both.
    fn known(&mut self, subject: Subject, values: Values, changed: [bool; LETTERS]) -> Entry {
        let at = self.at;
        let group = match subject {
            Subject::Group(group) => group,
            Subject::Host => {
                let counters = HostCounters::of(&values);
                return Entry::Host { at, counters };
            }
            Subject::Disk(name) => {
                let counters = Some(disk_counters(&values));
                return Entry::Disk { name, counters };
            }
        };
        let [a, b, c, d, e, f, g, oom_kills, periods, throttled] = values;
        let totals = [a, b, c, d, e, f, g];
        let counters = GroupCounters {
            oom_kills,
            periods,
            throttled,
        };
        let reading = Entry::Reading { group, at, totals };
        if !changed[CELLS.len()..].contains(&true) {
            return reading;
        }
        let other = Entry::Counters {
            group,
            at,
            counters,
        };
        if !changed[..CELLS.len()].contains(&true) {
            return other;
        }
        self.pending = Some(other);
        reading
    }
}

fn disk_counters(values: &Values) -> DiskCounters {
    let [completed, inflight, busy, waited, ..] = values.map(Option::unwrap_or_default);
    DiskCounters {
        completed,
        waited,
        inflight,
        busy,
    }
}

fn group(name: &str) -> Option<Option<Vec<u8>>> {
    match name {
        "-" => Some(None),
        name => Some(Some(unescape(name.as_bytes())?)),
    }
}
