//! What to watch: one rule, in the grammar that the configuration file and the
//! command line share (psilogd.conf(5)). [`Rule::parse`] and Display are
//! inverse, so what `psilogd -n` prints can be read back.

use std::fmt;
use std::fmt::Write as _;

pub use crate::pattern::CgroupPath;
use crate::pattern::{BadPattern, Pattern};
use crate::pressure::{Kind, Percent, Resource};
use crate::severity::Severity;
use crate::time::Micros;

/// The kernel's shortest window on every version; from 6.12 on shorter ones are
/// accepted and cost a real-time thread that wakes every tick (WINDOW_MIN_US).
pub const WINDOW_MIN: Micros = Micros::millis(500);
/// The kernel's longest window (WINDOW_MAX_US in kernel/sched/psi.c).
pub const WINDOW_MAX: Micros = Micros::secs(10);
/// Without CAP_SYS_RESOURCE a window is a multiple of this, the period of the kernel's
/// averages (psi_trigger_create).
pub const WINDOW_STEP: Micros = Micros::secs(2);
/// Bytes in a rule's name.
pub const NAME_MAX: usize = 32;
/// `still` lines never lie further apart than this, unless `repeat=` says so.
pub const REPEAT_MAX: Micros = Micros::secs(6 * 3600);

const SUSTAIN: Micros = Micros::secs(20);
const CLEAR: Micros = Micros::secs(60);
const REPEAT: Micros = Micros::secs(600);

/// The stall that a window must hold to wake us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Threshold {
    /// As a length of time: `150ms`.
    Time(Micros),
    /// As a share of the window: `10%`.
    Share(Percent),
}

/// A rule: what to watch, from when on it counts, and how it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What tasks wait for.
    pub resource: Resource,
    /// Some of them, or all.
    pub kind: Kind,
    /// The stall within `window` that counts as pressure.
    pub threshold: Threshold,
    /// The window, 500 ms to 10 s.
    pub window: Micros,
    /// Severity of its lines.
    pub level: Severity,
    /// What its lines call it; unique among the rules in force.
    pub name: String,
    /// `for=`: how long pressure must be sustained before it is logged.
    pub sustain: Micros,
    /// `clear=`: how long it must be gone before it has ended.
    pub clear: Micros,
    /// `repeat=`: the first *still* comes so long after *begin*; zero means none.
    pub repeat: Micros,
    /// The cgroups to watch, one or all that match; None is the whole system.
    pub cgroup: Option<Pattern>,
    /// `except=`: cgroups that match, but are left out.
    pub except: Vec<Pattern>,
}

/// What a line is about, for its `cgroup=`.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// The whole system.
    System,
    /// The cgroup of this path.
    Cgroup(&'a [u8]),
    /// All cgroups that match.
    Pattern(&'a Pattern),
}

/// What was wrong with a word, as a token for `reason=` on a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A word that begins no rule and no setting.
    BadWord,
    /// Not cpu, memory, io, irq.
    BadResource,
    /// Not some or full, or one that this resource can't fire.
    BadKind,
    /// STALL is no duration or share, or out of range.
    BadStall,
    /// WINDOW is no duration, or out of range.
    BadWindow,
    /// A key that is unknown, or given twice.
    BadKey,
    /// A key's or a setting's value.
    BadValue,
    /// A word is missing, or there is one too many.
    BadCount,
    /// Two rules of one name.
    DuplicateName,
    /// Bytes that are not text, a CR LF, a line too long.
    NotText,
    /// The file can't be read.
    Unreadable,
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
            Reason::NotText => "not_text",
            Reason::Unreadable => "unreadable",
        }
    }
}

/// A word that can't be right, and what would be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// The word as it was written; empty if one is missing.
    pub word: String,
    /// The kind of mistake.
    pub reason: Reason,
    /// What would be right.
    pub help: String,
}

impl Mistake {
    pub(crate) fn new(word: &str, reason: Reason, help: impl Into<String>) -> Mistake {
        Mistake {
            word: word.into(),
            reason,
            help: help.into(),
        }
    }
}

/// `"10x/2s": the stall …`: control characters escaped, long words cut.
impl fmt::Display for Mistake {
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

impl Rule {
    /// The stall within the window that counts as pressure, in microseconds.
    pub fn stall(&self) -> Micros {
        match self.threshold {
            Threshold::Time(stall) => stall,
            // at most 10 s times 10000: far from the end of a u64
            Threshold::Share(share) => Micros(self.window.0 * u64::from(share.0) / 10_000),
        }
    }

    /// The same as a share of the window.
    pub fn threshold_share(&self) -> Percent {
        match self.threshold {
            // a window is never 0, and a stall no longer than its window
            Threshold::Time(stall) => Percent((stall.0 * 10_000 / self.window.0.max(1)) as u32),
            Threshold::Share(share) => share,
        }
    }

    /// Whether it watches whatever cgroups match, and not one that it names.
    pub fn is_pattern(&self) -> bool {
        let pattern = self.cgroup.as_ref();
        pattern.is_some_and(|pattern| pattern.plain().is_none())
    }

    /// Whether its window is one that the kernel takes without CAP_SYS_RESOURCE.
    pub fn has_common_window(&self) -> bool {
        self.window.0 % WINDOW_STEP.0 == 0
    }

    /// Whether its triggers are opened with CAP_SYS_RESOURCE, where psilogd has it.
    /// On kernels that are in use that capability makes arming a cgroup's trigger a
    /// race against the cgroup's removal, which crashes the host (psilogd.conf(5),
    /// CAVEATS); so only one that is named, with a window that needs it, is.
    pub fn wants_capability(&self) -> bool {
        self.cgroup.is_none() || (!self.is_pattern() && !self.has_common_window())
    }

    /// Whether it watches the cgroup of this path.
    pub fn covers(&self, path: &[u8]) -> bool {
        let pattern = self.cgroup.as_ref();
        pattern.is_some_and(|pattern| pattern.matches(path))
            && !self.except.iter().any(|except| except.matches(path))
    }

    /// Whether it can watch something below this path.
    pub fn reaches_below(&self, path: &[u8]) -> bool {
        let pattern = self.cgroup.as_ref();
        pattern.is_some_and(|pattern| pattern.reaches_below(path))
    }

    /// Whether one cgroup, or the whole system, may be watched by both.
    pub fn meets(&self, other: &Rule) -> bool {
        let covered =
            |one: &Rule, path: Option<Vec<u8>>| path.is_some_and(|path| one.covers(&path));
        let plain = |rule: &Rule| rule.cgroup.as_ref().and_then(Pattern::plain);
        self.cgroup == other.cgroup || covered(self, plain(other)) || covered(other, plain(self))
    }

    /// Whether the other rule differs at most in the cgroups that it watches, so
    /// that what is armed for one serves the other.
    pub fn is_same_alarm(&self, other: &Rule) -> bool {
        self.name == other.name
            && (self.resource, self.kind, self.level) == (other.resource, other.kind, other.level)
            && (self.threshold, self.window) == (other.threshold, other.window)
            && (self.sustain, self.clear, self.repeat) == (other.sustain, other.clear, other.repeat)
    }

    /// What it watches, as a line names it.
    pub fn scope(&self) -> Scope<'_> {
        self.cgroup.as_ref().map_or(Scope::System, Scope::Pattern)
    }

    /// Reads `RESOURCE KIND STALL/WINDOW [key=value ...]`. What the kernel would
    /// refuse, and what it accepts though it can never fire, is a mistake.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Rule, Mistake> {
        let mut words = words.into_iter();
        let mut next = |what: &str| {
            words.next().ok_or_else(|| {
                let help = format!(
                    "{what} is missing: a rule is RESOURCE KIND STALL/WINDOW [key=value ...], \
                     for example memory full 10%/2s for=20s"
                );
                Mistake::new("", Reason::BadCount, help)
            })
        };
        let resource = next("the resource")?;
        let resource = Resource::parse(resource).ok_or_else(|| {
            Mistake::new(
                resource,
                Reason::BadResource,
                "a resource is cpu, memory, io or irq",
            )
        })?;
        let kind = next("some or full")?;
        let kind = match (resource, Kind::parse(kind)) {
            (_, None) => {
                let help = "the kind of pressure is some or full";
                return Err(Mistake::new(kind, Reason::BadKind, help));
            }
            (Resource::Irq, Some(Kind::Some)) => {
                let help = "irq pressure is only known as full";
                return Err(Mistake::new(kind, Reason::BadKind, help));
            }
            (_, Some(kind)) => kind,
        };
        let stall_word = next("STALL/WINDOW")?;
        let (threshold, window) = stall_and_window(stall_word)?;
        let mut rule = Rule {
            resource,
            kind,
            threshold,
            window,
            level: Severity::WARNING,
            name: format!("{}-{}", resource.name(), kind.name()),
            sustain: SUSTAIN,
            clear: CLEAR,
            repeat: REPEAT,
            cgroup: None,
            except: Vec::new(),
        };
        let mut given: Vec<&str> = Vec::new();
        for word in words {
            let key = rule.set(word)?;
            if given.contains(&key) {
                let help = format!("{key}= is given twice");
                return Err(Mistake::new(word, Reason::BadKey, help));
            }
            given.push(key);
        }
        if !rule.except.is_empty() && !rule.is_pattern() {
            let help =
                "except= leaves cgroups out of a pattern: without * in cgroup= there are none";
            return Err(Mistake::new("except=", Reason::BadKey, help));
        }
        if rule.is_pattern() && !rule.has_common_window() {
            let help = "with * in cgroup= the window must be 2s, 4s, 6s, 8s or 10s; only a rule \
                        that names one cgroup may have another";
            return Err(Mistake::new(stall_word, Reason::BadWindow, help));
        }
        let whole_system = rule.cgroup.as_ref().is_none_or(Pattern::is_root);
        if resource == Resource::Cpu && kind == Kind::Full && whole_system {
            let help = "the whole system is never fully stalled for CPU and the kernel always \
                        reads 0 there: watch cpu some, or name a cgroup";
            return Err(Mistake::new("full", Reason::BadKind, help));
        }
        Ok(rule)
    }

    /// Takes one `key=value`; the key that it set.
    fn set<'a>(&mut self, word: &'a str) -> Result<&'a str, Mistake> {
        const KEYS: &str = "the keys of a rule are level= name= for= clear= repeat= cgroup= \
                            except=";
        let Some((key, value)) = word.split_once('=') else {
            return Err(Mistake::new(word, Reason::BadKey, KEYS));
        };
        let bad = |help: String| Mistake::new(word, Reason::BadValue, help);
        let duration = || Micros::parse(value).map_err(|why| bad(why.to_string()));
        match key {
            "level" => self.level = level(value).map_err(bad)?,
            "name" => self.name = name(value).map_err(bad)?,
            "for" => self.sustain = duration()?,
            "clear" => self.clear = duration()?,
            "repeat" => self.repeat = duration()?,
            "cgroup" => self.cgroup = Some(pattern(value).map_err(bad)?),
            "except" => {
                let patterns: Result<_, _> = value.split(',').map(pattern).collect();
                self.except = patterns.map_err(bad)?;
            }
            _ => return Err(Mistake::new(word, Reason::BadKey, KEYS)),
        }
        Ok(key)
    }
}

/// A pattern as a rule has it: from the mount on.
fn pattern(text: &str) -> Result<Pattern, String> {
    if !text.starts_with('/') {
        return Err(BadPattern::Empty.to_string());
    }
    Pattern::parse(text.as_bytes()).map_err(|why| why.to_string())
}

fn level(text: &str) -> Result<Severity, String> {
    Severity::parse(text)
        .ok_or_else(|| "a level is emerg, alert, crit, err, warning, notice, info or debug".into())
}

fn name(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if text.is_empty() || text.len() > NAME_MAX || !text.bytes().all(fits) {
        return Err("a name is 1 to 32 of the characters A-Z a-z 0-9 _ . -".into());
    }
    Ok(text.into())
}

fn stall_and_window(word: &str) -> Result<(Threshold, Micros), Mistake> {
    let Some((stall, window)) = word.split_once('/') else {
        let help = "here stands STALL/WINDOW, for example 10%/2s or 150ms/2s";
        return Err(Mistake::new(word, Reason::BadStall, help));
    };
    let bad_window = |help: String| Mistake::new(word, Reason::BadWindow, help);
    let bad_stall = |help: String| Mistake::new(word, Reason::BadStall, help);
    let window = Micros::parse(window).map_err(|why| bad_window(format!("the window: {why}")))?;
    if window < WINDOW_MIN || window > WINDOW_MAX {
        return Err(bad_window("a window is 500ms to 10s long".into()));
    }
    let threshold = match stall.strip_suffix('%') {
        Some(share) => Threshold::Share(percent(share).map_err(bad_stall)?),
        None => {
            let stall =
                Micros::parse(stall).map_err(|why| bad_stall(format!("the stall: {why}")))?;
            if stall == Micros::ZERO {
                return Err(bad_stall("a stall is longer than 0".into()));
            }
            if stall > window {
                return Err(bad_stall("the stall is longer than its window".into()));
            }
            Threshold::Time(stall)
        }
    };
    Ok((threshold, window))
}

/// `10`, `0.5`, `12.25`: over 0, at most 100, in hundredths.
fn percent(text: &str) -> Result<Percent, String> {
    const HELP: &str = "a share of the window is over 0% and at most 100%, with at most two \
                        decimals, for example 10% or 0.5%";
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 2 || whole.len() > 4 {
        return Err(HELP.into());
    }
    let scale = if decimals.len() == 1 { 10 } else { 1 };
    let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX / 200);
    match number(whole) * 100 + number(decimals) * scale {
        share @ 1..=10_000 => Ok(Percent(share)),
        _ => Err(HELP.into()),
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Threshold::Time(stall) => stall.fmt(f),
            Threshold::Share(Percent(share)) => match share % 100 {
                0 => write!(f, "{}%", share / 100),
                rest if rest % 10 == 0 => write!(f, "{}.{}%", share / 100, rest / 10),
                rest => write!(f, "{}.{rest:02}%", share / 100),
            },
        }
    }
}

/// The whole rule, every key spelled out, as [`Rule::parse`] reads it back.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}/{} level={} name={} for={} clear={} repeat={}",
            self.resource.name(),
            self.kind.name(),
            self.threshold,
            self.window,
            self.level.name(),
            self.name,
            self.sustain,
            self.clear,
            self.repeat,
        )?;
        if let Some(pattern) = &self.cgroup {
            write!(f, " cgroup={}", pattern.text())?;
        }
        for (index, pattern) in self.except.iter().enumerate() {
            let before = if index == 0 { " except=" } else { "," };
            write!(f, "{before}{}", pattern.text())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Rule, Mistake> {
        Rule::parse(text.split_whitespace())
    }

    #[test]
    fn parse_and_display_are_inverse() {
        for text in [
            "memory full 10%/2s level=warning name=memory for=20s clear=1m repeat=10m",
            "io some 150ms/2s level=crit name=x.y-z_1 for=0 clear=0 repeat=0",
            "cpu some 0.5%/500ms level=emerg name=a for=1us clear=6h repeat=8784h",
            "cpu full 12.25%/10s level=debug name=b for=2m clear=1m repeat=10m cgroup=/a/b",
            "irq full 1us/2s level=notice name=c for=2m clear=1m repeat=10m cgroup=/",
            "memory some 100%/2s level=info name=d for=2m clear=1m repeat=10m \
             cgroup=/with%20space/%25/%2A/%C3%A9%0A",
            "cpu full 10%/2s level=info name=e for=2m clear=1m repeat=10m \
             cgroup=/system.slice/**/*.service except=/system.slice/a%2Cb.service,/**/user*",
        ] {
            let rule = parse(text).map(|rule| rule.to_string());
            let words: Vec<_> = text.split_whitespace().collect();
            assert_eq!(rule, Ok(words.join(" ")));
        }
    }

    #[test]
    fn defaults() {
        let text = "memory some 10%/2s level=warning name=memory-some for=20s clear=1m repeat=10m";
        assert_eq!(
            parse("memory some 10%/2s").map(|r| r.to_string()),
            Ok(text.into())
        );
    }

    #[test]
    fn a_share_is_taken_of_the_window() {
        for (text, us) in [
            ("10%/2s", 200_000),
            ("0.01%/500ms", 50),
            ("100%/10s", 10_000_000),
        ] {
            let rule = parse(&format!("cpu some {text}"));
            assert_eq!(rule.map(|r| r.stall()), Ok(Micros(us)), "{text}");
        }
    }

    #[test]
    fn cgroup_paths_are_normalised_and_unescaped() {
        let rule = parse("io full 10%/2s cgroup=//a///b%20c/");
        assert_eq!(
            rule.map(|r| r.cgroup.and_then(|c| c.plain())),
            Ok(Some(b"/a/b c".to_vec()))
        );
    }

    #[test]
    fn which_cgroups_a_rule_covers() {
        let rule = parse("cpu full 10%/2s cgroup=/a/** except=/a/x,/a/*/y").unwrap();
        for path in [&b"/a/b"[..], b"/a/x/z", b"/a/b/c/y"] {
            assert!(rule.covers(path));
        }
        for path in [&b"/a"[..], b"/a/x", b"/a/b/y", b"/b/c"] {
            assert!(!rule.covers(path));
        }
        assert!(rule.reaches_below(b"/") && rule.reaches_below(b"/a/x"));
        assert!(!rule.reaches_below(b"/b"));
        let (one, system) = ("io full 10%/4s cgroup=/a/b", "io full 10%/4s");
        assert!(rule.meets(&parse(one).unwrap()));
        assert!(!rule.meets(&parse(system).unwrap()));
    }

    #[test]
    fn only_the_system_and_a_named_cgroup_with_a_window_that_needs_it_get_the_capability() {
        for (text, expected) in [
            ("io full 10%/2s", true),
            ("io full 10%/500ms", true),
            ("io full 10%/500ms cgroup=/a", true),
            ("io full 10%/3s cgroup=/a", true),
            ("io full 10%/2s cgroup=/a", false),
            ("io full 10%/10s cgroup=/a", false),
            ("io full 10%/2s cgroup=/", false),
            ("io full 10%/4s cgroup=/a/*", false),
        ] {
            let rule = parse(text);
            assert_eq!(rule.map(|r| r.wants_capability()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_can_not_be_right_is_refused() {
        for (text, reason, word) in [
            ("", Reason::BadCount, ""),
            ("cpu", Reason::BadCount, ""),
            ("cpu some", Reason::BadCount, ""),
            ("disk some 10%/2s", Reason::BadResource, "disk"),
            ("cpu any 10%/2s", Reason::BadKind, "any"),
            ("irq some 10%/2s", Reason::BadKind, "some"),
            ("cpu full 10%/2s", Reason::BadKind, "full"),
            ("cpu full 10%/2s cgroup=/", Reason::BadKind, "full"),
            ("cpu full 10%/2s cgroup=//", Reason::BadKind, "full"),
            ("cpu some 10%", Reason::BadStall, "10%"),
            ("cpu some /2s", Reason::BadStall, "/2s"),
            ("cpu some 0%/2s", Reason::BadStall, "0%/2s"),
            ("cpu some 0.00%/2s", Reason::BadStall, "0.00%/2s"),
            ("cpu some 100.01%/2s", Reason::BadStall, "100.01%/2s"),
            ("cpu some 1.234%/2s", Reason::BadStall, "1.234%/2s"),
            ("cpu some 99999%/2s", Reason::BadStall, "99999%/2s"),
            ("cpu some -1%/2s", Reason::BadStall, "-1%/2s"),
            ("cpu some 0/2s", Reason::BadStall, "0/2s"),
            ("cpu some 3s/2s", Reason::BadStall, "3s/2s"),
            (
                "cpu some 4294967297us/2s",
                Reason::BadStall,
                "4294967297us/2s",
            ),
            ("cpu some 10%/", Reason::BadWindow, "10%/"),
            ("cpu some 10%/499ms", Reason::BadWindow, "10%/499ms"),
            ("cpu some 10%/10001ms", Reason::BadWindow, "10%/10001ms"),
            (
                "cpu some 10%/4296967296us",
                Reason::BadWindow,
                "10%/4296967296us",
            ),
            ("cpu some 10%/2", Reason::BadWindow, "10%/2"),
            ("cpu some 10%/2s high", Reason::BadKey, "high"),
            ("cpu some 10%/2s colour=red", Reason::BadKey, "colour=red"),
            ("cpu some 10%/2s for=1s for=2s", Reason::BadKey, "for=2s"),
            (
                "cpu some 10%/2s level=error",
                Reason::BadValue,
                "level=error",
            ),
            ("cpu some 10%/2s name=", Reason::BadValue, "name="),
            ("cpu some 10%/2s name=a/b", Reason::BadValue, "name=a/b"),
            ("cpu some 10%/2s for=", Reason::BadValue, "for="),
            ("cpu some 10%/2s clear=1", Reason::BadValue, "clear=1"),
            ("cpu some 10%/2s cgroup=a", Reason::BadValue, "cgroup=a"),
            (
                "cpu some 10%/2s cgroup=/a/../b",
                Reason::BadValue,
                "cgroup=/a/../b",
            ),
            ("cpu some 10%/2s cgroup=/a?", Reason::BadValue, "cgroup=/a?"),
            (
                "cpu some 10%/2s cgroup=/a**",
                Reason::BadValue,
                "cgroup=/a**",
            ),
            ("io full 1%/3s cgroup=/a/*", Reason::BadWindow, "1%/3s"),
            ("io full 1%/500ms cgroup=/**", Reason::BadWindow, "1%/500ms"),
            ("cpu some 10%/2s except=/a", Reason::BadKey, "except="),
            (
                "cpu some 10%/2s cgroup=/a except=/a",
                Reason::BadKey,
                "except=",
            ),
            (
                "cpu some 10%/2s cgroup=/* except=/a,",
                Reason::BadValue,
                "except=/a,",
            ),
            (
                "cpu some 10%/2s cgroup=/* except=a",
                Reason::BadValue,
                "except=a",
            ),
            (
                "cpu some 10%/2s cgroup=/a%2",
                Reason::BadValue,
                "cgroup=/a%2",
            ),
            (
                "cpu some 10%/2s cgroup=/a%00",
                Reason::BadValue,
                "cgroup=/a%00",
            ),
        ] {
            let mistake = parse(text).err();
            assert_eq!(
                mistake.map(|m| (m.reason, m.word)),
                Some((reason, word.to_string())),
                "{text}"
            );
        }
    }

    #[test]
    fn a_mistake_is_printable_and_short() {
        let word = format!("\x1b[31m{}", "x".repeat(500));
        let text = Mistake::new(&word, Reason::BadWord, "help").to_string();
        assert!(text.chars().all(|c| !c.is_control()), "{text:?}");
        assert!(text.len() < 120, "{text}");
    }
}
