//! The settings: each is a word and a value, and has a default.

use std::fmt;
use std::ops::RangeInclusive;

use syslog::Facility;

use super::output::{OUTPUT_HELP, OutputSpec};
use super::user::{USER_HELP, UserSpec};
use crate::line::LINE_MAX;
use crate::rule::{ParseError, Reason};
use crate::time::Micros;

/// The settings, which apply to all rules.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The syslog facility of every line.
    pub facility: Facility,
    /// The destinations of lines; at least one.
    pub outputs: Vec<OutputSpec>,
    /// How long after boot pressure is ignored.
    pub grace: Micros,
    /// The period of the fallback reading of every counter; None is auto: every 30 s, of
    /// those whose events can be stolen.
    pub poll: Option<Micros>,
    /// The time from one sign of life to the next; None is none at all.
    pub heartbeat: Option<Micros>,
    /// The most lines per rule and hour; None is no limit.
    pub rate_limit: Option<u32>,
    /// The most lines that each output keeps while its receiver accepts none.
    pub queue: usize,
    /// The most bytes of a line, with its header.
    pub max_line: usize,
    /// The most triggers on cgroups.
    pub max_triggers: usize,
    /// The user that psilogd becomes once everything is open; None is the one that
    /// started it.
    pub user: Option<UserSpec>,
    /// Whether Landlock and a filter of system calls fence psilogd in.
    pub sandbox: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            facility: Facility::LOG_DAEMON,
            outputs: vec![OutputSpec::Auto],
            grace: Micros::secs(120),
            poll: None,
            heartbeat: None,
            rate_limit: Some(12),
            queue: 64,
            max_line: LINE_MAX,
            max_triggers: 256,
            user: None,
            sandbox: true,
        }
    }
}

/// The period of the fallback reading: no shorter than the kernel's averages, no longer
/// than what an operator would still call watching.
const POLL: RangeInclusive<Micros> = Micros::secs(2)..=Micros::secs(3600);
/// A sign of life: no more often than a log can bear, and once per day at least.
const HEARTBEAT: RangeInclusive<Micros> = Micros::secs(10)..=Micros::secs(24 * 3600);

/// The facilities of programs; kern is the kernel's own.
const FACILITIES: [(&str, Facility); 19] = [
    ("user", Facility::LOG_USER),
    ("mail", Facility::LOG_MAIL),
    ("daemon", Facility::LOG_DAEMON),
    ("auth", Facility::LOG_AUTH),
    ("syslog", Facility::LOG_SYSLOG),
    ("lpr", Facility::LOG_LPR),
    ("news", Facility::LOG_NEWS),
    ("uucp", Facility::LOG_UUCP),
    ("cron", Facility::LOG_CRON),
    ("authpriv", Facility::LOG_AUTHPRIV),
    ("ftp", Facility::LOG_FTP),
    ("local0", Facility::LOG_LOCAL0),
    ("local1", Facility::LOG_LOCAL1),
    ("local2", Facility::LOG_LOCAL2),
    ("local3", Facility::LOG_LOCAL3),
    ("local4", Facility::LOG_LOCAL4),
    ("local5", Facility::LOG_LOCAL5),
    ("local6", Facility::LOG_LOCAL6),
    ("local7", Facility::LOG_LOCAL7),
];

fn number(value: &str, least: usize, most: usize) -> Option<usize> {
    let number = value.parse().ok();
    number.filter(|number| (least..=most).contains(number))
}

fn period(value: &str, within: RangeInclusive<Micros>) -> Option<Micros> {
    let period = Micros::parse(value).ok();
    period.filter(|period| within.contains(period))
}

impl Settings {
    /// Takes one setting; `first` is whether it was not set before.
    pub(super) fn set(
        &mut self,
        setting: Setting,
        value: &str,
        first: bool,
    ) -> Result<(), ParseError> {
        let bad = || ParseError::new(value, Reason::BadValue, setting.help());
        let number = |least, most| number(value, least, most).ok_or_else(bad);
        let period = |within| period(value, within).ok_or_else(bad);
        match setting {
            Setting::Facility => {
                let found = FACILITIES.iter().find(|(name, _)| *name == value);
                self.facility = found.ok_or_else(bad)?.1;
            }
            Setting::OutputSpec => self.add_output(value, first)?,
            Setting::Grace => {
                let grace = Micros::parse(value);
                self.grace = grace
                    .map_err(|why| ParseError::new(value, Reason::BadValue, why.to_string()))?;
            }
            Setting::Poll if value == "auto" => self.poll = None,
            Setting::Poll => self.poll = Some(period(POLL)?),
            Setting::Heartbeat if value == "none" => self.heartbeat = None,
            Setting::Heartbeat => self.heartbeat = Some(period(HEARTBEAT)?),
            Setting::RateLimit if value == "none" => self.rate_limit = None,
            Setting::RateLimit => self.rate_limit = Some(number(2, 1_000_000)? as u32),
            Setting::Queue => self.queue = number(16, 65_536)?,
            Setting::MaxLine => self.max_line = number(200, LINE_MAX)?,
            Setting::MaxTriggers => self.max_triggers = number(1, 10_000)?,
            Setting::User if value == "none" => self.user = None,
            Setting::User => self.user = Some(UserSpec::parse(value)?),
            Setting::Sandbox if value == "on" => self.sandbox = true,
            Setting::Sandbox if value == "off" => self.sandbox = false,
            Setting::Sandbox => return Err(bad()),
        }
        Ok(())
    }

    /// The first output replaces the default.
    fn add_output(&mut self, value: &str, first: bool) -> Result<(), ParseError> {
        let output = OutputSpec::parse(value)?;
        if first {
            self.outputs.clear();
        }
        if self.outputs.contains(&output) {
            let help = "this output is set more than once";
            return Err(ParseError::new(value, Reason::BadCount, help));
        }
        self.outputs.push(output);
        Ok(())
    }
}

/// Every setting spelled out.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facility = self.facility as u32;
        let facility = FACILITIES
            .iter()
            .find(|(_, other)| *other as u32 == facility)
            .map_or("daemon", |(name, _)| name);
        writeln!(f, "facility {facility}")?;
        for output in &self.outputs {
            writeln!(f, "output {output}")?;
        }
        writeln!(f, "grace {}", self.grace)?;
        match self.poll {
            Some(period) => writeln!(f, "poll {period}")?,
            None => writeln!(f, "poll auto")?,
        }
        match self.heartbeat {
            Some(period) => writeln!(f, "heartbeat {period}")?,
            None => writeln!(f, "heartbeat none")?,
        }
        match self.rate_limit {
            Some(lines) => writeln!(f, "rate_limit {lines}")?,
            None => writeln!(f, "rate_limit none")?,
        }
        writeln!(f, "queue {}", self.queue)?;
        writeln!(f, "max_line {}", self.max_line)?;
        writeln!(f, "max_triggers {}", self.max_triggers)?;
        match &self.user {
            Some(user) => writeln!(f, "user {user}")?,
            None => writeln!(f, "user none")?,
        }
        writeln!(f, "sandbox {}", if self.sandbox { "on" } else { "off" })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Facility,
    OutputSpec,
    Grace,
    Poll,
    Heartbeat,
    RateLimit,
    Queue,
    MaxLine,
    MaxTriggers,
    User,
    Sandbox,
}

impl Setting {
    pub(super) const ALL: [Setting; 11] = [
        Setting::Facility,
        Setting::OutputSpec,
        Setting::Grace,
        Setting::Poll,
        Setting::Heartbeat,
        Setting::RateLimit,
        Setting::Queue,
        Setting::MaxLine,
        Setting::MaxTriggers,
        Setting::User,
        Setting::Sandbox,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Setting::Facility => "facility",
            Setting::OutputSpec => "output",
            Setting::Grace => "grace",
            Setting::Poll => "poll",
            Setting::Heartbeat => "heartbeat",
            Setting::RateLimit => "rate_limit",
            Setting::Queue => "queue",
            Setting::MaxLine => "max_line",
            Setting::MaxTriggers => "max_triggers",
            Setting::User => "user",
            Setting::Sandbox => "sandbox",
        }
    }

    pub(super) const fn help(self) -> &'static str {
        match self {
            Setting::Facility => {
                "expected daemon, user, local0 to local7, auth, authpriv, cron, ftp, lpr, \
                 mail, news, syslog or uucp"
            }
            Setting::OutputSpec => OUTPUT_HELP,
            Setting::Grace => "expected a duration after boot, e.g. 2m",
            Setting::Poll => "expected auto, or a duration from 2s to 1h",
            Setting::Heartbeat => "expected none, or a duration from 10s to 24h",
            Setting::RateLimit => "expected 2 to 1000000 lines per rule and hour, or none",
            Setting::Queue => "expected 16 to 65536 lines",
            Setting::MaxLine => "expected 200 to 1000 bytes",
            Setting::MaxTriggers => "expected 1 to 10000 triggers",
            Setting::User => USER_HELP,
            Setting::Sandbox => "expected on or off",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As packaged, /etc/psilogd.conf shows every setting that the parser knows.
    #[test]
    fn the_packaged_file_names_every_setting() {
        let text = include_str!("../../packaging/psilogd.conf");
        for setting in Setting::ALL {
            let line = format!("\n#{} ", setting.name());
            assert!(text.contains(&line), "{}", setting.name());
        }
    }
}
