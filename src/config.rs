//! The text of psilogd.conf(5): settings and rules, a line each. Every mistake
//! is found at once, with its line and the word.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use syslog::Facility;

use crate::line::LINE_MAX;
use crate::rule::{Mistake, Reason, Rule};
use crate::time::Micros;

/// A configuration file is at most this long; more is another file by mistake.
pub const FILE_MAX: usize = 1 << 20;
/// A line is at most this long: a cgroup's path of 4000 bytes, escaped.
const TEXT_LINE_MAX: usize = 16 << 10;
/// More mistakes than this are not told, one is enough to be refused.
const MISTAKES_MAX: usize = 20;

/// In force without a rule of the user's own. Windows of 2 s: valid with and
/// without CAP_SYS_RESOURCE, and the window that systemd registers, so that
/// neither blinds the other.
pub const BUILT_IN: &str = "\
memory full 10%/2s for=20s level=warning name=memory
memory full 40%/2s for=20s level=crit name=memory-critical
io full 50%/2s for=30m level=warning name=io
cpu some 90%/2s for=5m level=notice name=cpu
";

/// Where lines go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// A local syslog socket; the path is `/dev/log` unless given.
    Syslog(String),
    /// A remote receiver by UDP; the port is 514 unless given.
    Udp(SocketAddr),
    /// The kernel's log.
    Kmsg,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The path of the local syslog socket (syslog(3)).
pub const DEV_LOG: &str = "/dev/log";
/// The port of syslog by UDP (RFC 3164, 2).
const UDP_PORT: u16 = 514;
const OUTPUT_HELP: &str =
    "an output is syslog, syslog:PATH, udp:ADDRESS, udp:ADDRESS:PORT, kmsg, stdout or stderr";

impl Output {
    /// Reads `syslog`, `syslog:PATH`, `udp:ADDRESS[:PORT]`, `kmsg`, `stdout`, `stderr`.
    pub fn parse(word: &str) -> Result<Output, Mistake> {
        match word.split_once(':') {
            None if word == "syslog" => Ok(Output::Syslog(DEV_LOG.into())),
            None if word == "kmsg" => Ok(Output::Kmsg),
            None if word == "stdout" => Ok(Output::Stdout),
            None if word == "stderr" => Ok(Output::Stderr),
            Some(("syslog", path)) => {
                if !path.starts_with('/') {
                    let help = "the path of a socket begins with /, for example syslog:/dev/log";
                    return Err(Mistake::new(word, Reason::BadValue, help));
                }
                // sun_path holds 108 bytes with its NUL (unix(7))
                if path.len() > 107 {
                    let help = "the path of a socket is at most 107 bytes long";
                    return Err(Mistake::new(word, Reason::BadValue, help));
                }
                Ok(Output::Syslog(path.into()))
            }
            Some(("udp", address)) => udp_address(address).map(Output::Udp).ok_or_else(|| {
                let help = "an address is numeric (a look-up would block), for example \
                            udp:192.0.2.1, udp:192.0.2.1:514 or udp:[2001:db8::1]:514";
                Mistake::new(word, Reason::BadValue, help)
            }),
            _ => Err(Mistake::new(word, Reason::BadValue, OUTPUT_HELP)),
        }
    }
}

fn udp_address(text: &str) -> Option<SocketAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = match bare.unwrap_or(text).parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, UDP_PORT),
        Err(_) => text.parse().ok()?,
    };
    (address.port() != 0).then_some(address)
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Syslog(path) if path == DEV_LOG => f.write_str("syslog"),
            Output::Syslog(path) => write!(f, "syslog:{path}"),
            Output::Udp(address) => write!(f, "udp:{address}"),
            Output::Kmsg => f.write_str("kmsg"),
            Output::Stdout => f.write_str("stdout"),
            Output::Stderr => f.write_str("stderr"),
        }
    }
}

/// What holds for all rules.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The syslog facility of every line.
    pub facility: Facility,
    /// Where lines go; at least one.
    pub outputs: Vec<Output>,
    /// How long after boot pressure is none of our business.
    pub grace: Micros,
    /// Lines of all rules in an hour; None is no limit.
    pub budget: Option<u32>,
    /// Lines that each output keeps while its receiver takes none.
    pub queue: usize,
    /// Bytes in a line, header and all.
    pub max_line: usize,
    /// Triggers on cgroups, at most.
    pub max_triggers: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            facility: Facility::LOG_DAEMON,
            outputs: vec![Output::Syslog(DEV_LOG.into())],
            grace: Micros::secs(120),
            budget: Some(30),
            queue: 256,
            max_line: LINE_MAX,
            max_triggers: 256,
        }
    }
}

/// The facilities that a program may use: kern is the kernel's own.
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

/// Settings and rules, as a file or the command line gave them.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What holds for all rules.
    pub settings: Settings,
    /// The rules; none given means the built-in ones (see [`Config::rules_or_built_in`]).
    pub rules: Vec<Rule>,
}

/// A mistake and the line that it stands on, counted from 1; 0 is the file as a
/// whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadLine {
    /// The line.
    pub line: usize,
    /// The mistake.
    pub mistake: Mistake,
}

/// `7: "10x/2s": …`, to be put behind the file's name and a colon.
impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, " {}", self.mistake),
            line => write!(f, "{line}: {}", self.mistake),
        }
    }
}

impl Config {
    /// Reads a configuration file's text, or tells every mistake in it.
    pub fn parse(text: &[u8]) -> Result<Config, Vec<BadLine>> {
        let mut reader = Reader::default();
        if text.len() > FILE_MAX {
            let help = "the file is longer than 1 MiB, so it is hardly a configuration";
            return Err(vec![BadLine {
                line: 0,
                mistake: Mistake::new("", Reason::NotText, help),
            }]);
        }
        for (index, line) in text.split(|&b| b == b'\n').enumerate() {
            if let Err(mistake) = reader.line(line) {
                reader.mistakes.push(BadLine {
                    line: index + 1,
                    mistake,
                });
            }
            if reader.mistakes.len() == MISTAKES_MAX {
                break;
            }
        }
        if reader.mistakes.is_empty() {
            Ok(reader.config)
        } else {
            Err(reader.mistakes)
        }
    }

    /// Adds a rule unless its name is taken.
    pub fn add(&mut self, rule: Rule) -> Result<(), Mistake> {
        if self.rules.iter().any(|other| other.name == rule.name) {
            let help = "two rules have this name: give one of them another with name=";
            return Err(Mistake::new(&rule.name, Reason::DuplicateName, help));
        }
        self.rules.push(rule);
        Ok(())
    }

    /// Puts the built-in rules in force where there are none.
    pub fn rules_or_built_in(mut self) -> Config {
        if self.rules.is_empty() {
            // that they are right is what a test is for
            self.rules = Config::parse(BUILT_IN.as_bytes()).unwrap_or_default().rules;
        }
        self
    }

    /// Pairs of rules of one group (the whole system, a cgroup or a pattern) whose
    /// windows differ: with CAP_SYS_RESOURCE the short window blinds the long
    /// one, because the kernel looks at the group once per shortest window.
    pub fn differing_windows(&self) -> impl Iterator<Item = (&Rule, &Rule)> {
        self.rules.iter().enumerate().filter_map(|(index, rule)| {
            let group: Vec<&Rule> = self
                .rules
                .iter()
                .filter(|other| other.meets(rule))
                .collect();
            let shortest = group.iter().copied().min_by_key(|other| other.window)?;
            let first = group
                .first()
                .is_some_and(|first| std::ptr::eq(*first, &self.rules[index]));
            let longest = group.iter().copied().max_by_key(|other| other.window)?;
            let differ = shortest.window < longest.window && shortest.meets(longest);
            (first && differ).then_some((shortest, longest))
        })
    }
}

/// Every setting spelled out, then the rules, as [`Config::parse`] reads it back.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facility = self.settings.facility as u32;
        let facility = FACILITIES
            .iter()
            .find(|(_, other)| *other as u32 == facility)
            .map_or("daemon", |(name, _)| name);
        writeln!(f, "facility {facility}")?;
        for output in &self.settings.outputs {
            writeln!(f, "output {output}")?;
        }
        writeln!(f, "grace {}", self.settings.grace)?;
        match self.settings.budget {
            Some(lines) => writeln!(f, "budget {lines}")?,
            None => writeln!(f, "budget none")?,
        }
        writeln!(f, "queue {}", self.settings.queue)?;
        writeln!(f, "max_line {}", self.settings.max_line)?;
        writeln!(f, "max_triggers {}", self.settings.max_triggers)?;
        self.rules.iter().try_for_each(|rule| writeln!(f, "{rule}"))
    }
}

#[derive(Default)]
struct Reader {
    config: Config,
    given: Vec<Setting>,
    mistakes: Vec<BadLine>,
}

impl Reader {
    fn line(&mut self, line: &[u8]) -> Result<(), Mistake> {
        let line = text(line)?;
        let mut words = line
            .split([' ', '\t'])
            .filter(|word| !word.is_empty())
            .take_while(|word| !word.starts_with('#'))
            .peekable();
        match words.peek().copied() {
            None => Ok(()),
            Some("cpu" | "memory" | "io" | "irq") => self.config.add(Rule::parse(words)?),
            Some(word) => match Setting::ALL.iter().find(|setting| setting.name() == word) {
                Some(setting) => self.setting(*setting, words.skip(1)),
                None => {
                    let help = "a rule begins with cpu, memory, io or irq, a setting is \
                                facility, output, grace, budget, queue, max_line or \
                                max_triggers";
                    Err(Mistake::new(word, Reason::BadWord, help))
                }
            },
        }
    }

    fn setting<'a>(
        &mut self,
        setting: Setting,
        mut words: impl Iterator<Item = &'a str>,
    ) -> Result<(), Mistake> {
        let (name, help) = (setting.name(), setting.help());
        let Some(value) = words.next() else {
            let help = format!("{name} has no value: {help}");
            return Err(Mistake::new("", Reason::BadCount, help));
        };
        if let Some(word) = words.next() {
            let help = format!("{name} has one value: {help}");
            return Err(Mistake::new(word, Reason::BadCount, help));
        }
        let first = !self.given.contains(&setting);
        if !first && setting != Setting::Output {
            let help = format!("{name} is set twice");
            return Err(Mistake::new(value, Reason::BadCount, help));
        }
        let bad = || Mistake::new(value, Reason::BadValue, help);
        let number = |least: usize, most: usize| {
            let number = value.parse::<usize>().ok();
            number
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(bad)
        };
        let settings = &mut self.config.settings;
        match setting {
            Setting::Facility => {
                let found = FACILITIES.iter().find(|(name, _)| *name == value);
                settings.facility = found.ok_or_else(bad)?.1;
            }
            Setting::Output => {
                let output = Output::parse(value)?;
                if first {
                    settings.outputs.clear();
                }
                if settings.outputs.contains(&output) {
                    let help = "this output is set twice";
                    return Err(Mistake::new(value, Reason::BadCount, help));
                }
                settings.outputs.push(output);
            }
            Setting::Grace => {
                let grace = Micros::parse(value);
                settings.grace =
                    grace.map_err(|why| Mistake::new(value, Reason::BadValue, why.to_string()))?;
            }
            Setting::Budget if value == "none" => settings.budget = None,
            Setting::Budget => settings.budget = Some(number(4, 1_000_000)? as u32),
            Setting::Queue => settings.queue = number(16, 65_536)?,
            Setting::MaxLine => settings.max_line = number(200, LINE_MAX)?,
            Setting::MaxTriggers => settings.max_triggers = number(1, 10_000)?,
        }
        self.given.push(setting);
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Setting {
    Facility,
    Output,
    Grace,
    Budget,
    Queue,
    MaxLine,
    MaxTriggers,
}

impl Setting {
    const ALL: [Setting; 7] = [
        Setting::Facility,
        Setting::Output,
        Setting::Grace,
        Setting::Budget,
        Setting::Queue,
        Setting::MaxLine,
        Setting::MaxTriggers,
    ];

    const fn name(self) -> &'static str {
        match self {
            Setting::Facility => "facility",
            Setting::Output => "output",
            Setting::Grace => "grace",
            Setting::Budget => "budget",
            Setting::Queue => "queue",
            Setting::MaxLine => "max_line",
            Setting::MaxTriggers => "max_triggers",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Setting::Facility => {
                "a facility is daemon, user, local0 to local7, auth, authpriv, cron, ftp, lpr, \
                 mail, news, syslog or uucp"
            }
            Setting::Output => OUTPUT_HELP,
            Setting::Grace => "grace is a duration after boot, for example 2m",
            Setting::Budget => "a budget is 4 to 1000000 lines an hour, or none",
            Setting::Queue => "a queue holds 16 to 65536 lines",
            Setting::MaxLine => "a line is at most 200 to 1000 bytes long",
            Setting::MaxTriggers => "triggers on cgroups are at most 1 to 10000",
        }
    }
}

/// A line as text, or what makes it none.
fn text(line: &[u8]) -> Result<&str, Mistake> {
    let bad = |help: &str| Mistake::new("", Reason::NotText, help);
    if line.len() > TEXT_LINE_MAX {
        return Err(bad("the line is longer than 16 KiB"));
    }
    if line.ends_with(b"\r") {
        return Err(bad(
            "the line ends in CR LF: save the file with Unix line ends",
        ));
    }
    if line.starts_with(b"\xef\xbb\xbf") {
        return Err(bad(
            "the file begins with a byte order mark: save it as plain UTF-8",
        ));
    }
    let line = std::str::from_utf8(line)
        .map_err(|_| bad("the line is not UTF-8 text; in cgroup= write such a byte as %XX"))?;
    match line
        .split([' ', '\t'])
        .find(|word| word.contains(char::is_control))
    {
        Some(word) => {
            let help = "a control character: a configuration is plain text";
            Err(Mistake::new(word, Reason::NotText, help))
        }
        None => Ok(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_are_right() {
        let config = Config::default().rules_or_built_in();
        let names: Vec<_> = config.rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["memory", "memory-critical", "io", "cpu"]);
    }

    #[test]
    fn what_is_printed_reads_back() {
        let text = "facility local3\noutput syslog:/run/x\ngrace 5m\nbudget none\nqueue 16\n\
                    max_line 255\nmax_triggers 64\n\
                    io full 50%/2s level=warning name=io for=2m clear=1m repeat=10m\n";
        let printed = Config::parse(text.as_bytes()).map(|config| config.to_string());
        assert_eq!(printed, Ok(text.into()));
    }

    #[test]
    fn comments_and_blank_lines_are_passed_over() {
        let text = b"# a comment\n\n  \t \nmemory full 10%/2s # behind a rule\n grace 0\n";
        let config = Config::parse(text);
        assert_eq!(
            config.map(|c| (c.rules.len(), c.settings.grace)),
            Ok((1, Micros::ZERO))
        );
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = b"budget 3\nmemory full 10%/2s\nnonsense\nmemory full 20%/2s\n";
        let lines = Config::parse(text).err().unwrap_or_default();
        let lines: Vec<_> = lines
            .iter()
            .map(|bad| (bad.line, bad.mistake.reason))
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

    #[test]
    fn windows_that_differ_in_one_group_are_found() {
        let text = b"io full 10%/2s name=a\nio full 10%/10s name=b\nio full 10%/1s name=c\n\
                     io full 10%/4s name=d cgroup=/x\nio full 20%/4s name=e cgroup=/x\n";
        let config = Config::parse(text).unwrap_or_default();
        let pairs: Vec<_> = config
            .differing_windows()
            .map(|(short, long)| (short.name.as_str(), long.name.as_str()))
            .collect();
        assert_eq!(pairs, [("c", "b")]);
    }

    /// As packaged, /etc/psilogd.conf shows every setting that the parser knows.
    #[test]
    fn the_packaged_file_names_every_setting() {
        let text = include_str!("../packaging/psilogd.conf");
        for setting in Setting::ALL {
            let line = format!("\n#{} ", setting.name());
            assert!(text.contains(&line), "{}", setting.name());
        }
    }
}
