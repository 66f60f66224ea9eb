//! The grammar of a rule: `RESOURCE KIND STALL/WINDOW [key=value ...]`.

use super::error::{ParseError, Reason};
use super::{NAME_MAX, Rule, STUCK_MIN, Threshold, WINDOW_MAX, WINDOW_MIN};
use crate::pattern::{Pattern, PatternError};
use crate::pressure::{Kind, Percent, Resource};
use crate::severity::Severity;
use crate::time::Micros;

const SUSTAIN: Micros = Micros::secs(20);
const CLEAR: Micros = Micros::secs(60);
const REPEAT: Micros = Micros::secs(600);

impl Rule {
    /// Reads `RESOURCE KIND STALL/WINDOW [key=value ...]`.
    ///
    /// # Errors
    /// The first word that is refused. A rule is also refused if the kernel would refuse
    /// it, or would accept it although it can never fire.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Rule, ParseError> {
        let mut words = words.into_iter();
        let mut next = |what: &str| words.next().ok_or_else(|| missing(what));
        let resource = resource(next("the resource")?)?;
        let kind = kind(next("some or full")?, resource)?;
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
            stuck: None,
            busy: None,
            avail: None,
            cgroup: None,
            except: Vec::new(),
        };
        rule.set_all(words)?;
        rule.check(stall_word)?;
        rule.check_evidence()?;
        Ok(rule)
    }

    /// Takes every `key=value`, each key once.
    fn set_all<'a>(&mut self, words: impl Iterator<Item = &'a str>) -> Result<(), ParseError> {
        let mut given: Vec<&str> = Vec::new();
        for word in words {
            let key = self.set(word)?;
            if given.contains(&key) {
                let help = format!("{key}= is given more than once");
                return Err(ParseError::new(word, Reason::BadKey, help));
            }
            given.push(key);
        }
        Ok(())
    }

    /// Refuses a combination of words that are right one by one.
    fn check(&self, stall_word: &str) -> Result<(), ParseError> {
        if !self.except.is_empty() && !self.is_pattern() {
            let help = "except= excludes cgroups from a pattern: it needs a cgroup= with * in it";
            return Err(ParseError::new("except=", Reason::BadKey, help));
        }
        if self.is_pattern() && !self.has_common_window() {
            let help = "with * in cgroup= the window must be 2s, 4s, 6s, 8s or 10s; other windows \
                        need a rule that names one cgroup";
            return Err(ParseError::new(stall_word, Reason::BadWindow, help));
        }
        let whole_system = self.cgroup.as_ref().is_none_or(Pattern::is_root);
        if self.resource == Resource::Cpu && self.kind == Kind::Full && whole_system {
            let help = "for the whole system the kernel always reports 0 as cpu full: use cpu \
                        some, or name a cgroup";
            return Err(ParseError::new("full", Reason::BadKind, help));
        }
        Ok(())
    }

    /// Refuses a key that asks for evidence of another resource, or before there is any.
    fn check_evidence(&self) -> Result<(), ParseError> {
        let bad = |word, help: &str| Err(ParseError::new(word, Reason::BadKey, help));
        if self.stuck.is_some() && self.resource != Resource::Io {
            return bad("stuck=", "stuck= is about disks: it needs an io rule");
        }
        if self.busy.is_some() && self.resource != Resource::Cpu {
            return bad("busy=", "busy= is about CPUs: it needs a cpu rule");
        }
        if self.avail.is_some() && self.resource != Resource::Memory {
            return bad("avail=", "avail= is about memory: it needs a memory rule");
        }
        if self.asks_evidence() && self.sustain == Micros::ZERO {
            let help = "stuck=, busy= and avail= are looked at during for=: it must be over 0";
            return bad("for=0", help);
        }
        Ok(())
    }

    /// Takes one `key=value` and returns its key.
    fn set<'a>(&mut self, word: &'a str) -> Result<&'a str, ParseError> {
        const KEYS: &str = "expected level=, name=, for=, clear=, repeat=, stuck=, busy=, avail=, \
                            cgroup= or except=";
        let Some((key, value)) = word.split_once('=') else {
            return Err(ParseError::new(word, Reason::BadKey, KEYS));
        };
        let bad = |help: String| ParseError::new(word, Reason::BadValue, help);
        let duration = || Micros::parse(value).map_err(|why| bad(why.to_string()));
        match key {
            "level" => self.level = level(value).map_err(bad)?,
            "name" => self.name = name(value).map_err(bad)?,
            "for" => self.sustain = duration()?,
            "clear" => self.clear = duration()?,
            "repeat" => self.repeat = duration()?,
            "stuck" => self.stuck = Some(stuck(duration()?).map_err(bad)?),
            "busy" => self.busy = Some(share(value).map_err(bad)?),
            "avail" => self.avail = Some(share(value).map_err(bad)?),
            "cgroup" => self.cgroup = Some(pattern(value).map_err(bad)?),
            "except" => {
                let patterns: Result<_, _> = value.split(',').map(pattern).collect();
                self.except = patterns.map_err(bad)?;
            }
            _ => return Err(ParseError::new(word, Reason::BadKey, KEYS)),
        }
        Ok(key)
    }
}

fn missing(what: &str) -> ParseError {
    let help = format!(
        "{what} is missing: expected RESOURCE KIND STALL/WINDOW [key=value ...], e.g. memory full \
         10%/2s for=20s"
    );
    ParseError::new("", Reason::BadCount, help)
}

fn resource(word: &str) -> Result<Resource, ParseError> {
    let help = "expected cpu, memory, io or irq";
    Resource::parse(word).ok_or_else(|| ParseError::new(word, Reason::BadResource, help))
}

fn kind(word: &str, resource: Resource) -> Result<Kind, ParseError> {
    let help = match (resource, Kind::parse(word)) {
        (_, None) => "expected some or full",
        (Resource::Irq, Some(Kind::Some)) => "the kernel records irq pressure only as full",
        (_, Some(kind)) => return Ok(kind),
    };
    Err(ParseError::new(word, Reason::BadKind, help))
}

/// A pattern of absolute paths; a rule has no other.
fn pattern(text: &str) -> Result<Pattern, String> {
    if !text.starts_with('/') {
        return Err(PatternError::Empty.to_string());
    }
    Pattern::parse(text.as_bytes()).map_err(|why| why.to_string())
}

fn level(text: &str) -> Result<Severity, String> {
    Severity::parse(text)
        .ok_or_else(|| "expected emerg, alert, crit, err, warning, notice, info or debug".into())
}

fn name(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if text.is_empty() || text.len() > NAME_MAX || !text.bytes().all(fits) {
        return Err("a name has 1 to 32 characters, each one of A-Z a-z 0-9 _ . -".into());
    }
    Ok(text.into())
}

fn stall_and_window(word: &str) -> Result<(Threshold, Micros), ParseError> {
    let Some((stall, window)) = word.split_once('/') else {
        let help = "expected STALL/WINDOW, e.g. 10%/2s or 150ms/2s";
        return Err(ParseError::new(word, Reason::BadStall, help));
    };
    let bad_window = |help: String| ParseError::new(word, Reason::BadWindow, help);
    let bad_stall = |help: String| ParseError::new(word, Reason::BadStall, help);
    let window = Micros::parse(window).map_err(|why| bad_window(format!("the window: {why}")))?;
    if window < WINDOW_MIN || window > WINDOW_MAX {
        return Err(bad_window("the window must be 500ms to 10s".into()));
    }
    let threshold = match stall.strip_suffix('%') {
        Some(share) => Threshold::Share(percent(share).map_err(bad_stall)?),
        None => {
            let stall =
                Micros::parse(stall).map_err(|why| bad_stall(format!("the stall: {why}")))?;
            if stall == Micros::ZERO {
                return Err(bad_stall("the stall must be greater than 0".into()));
            }
            if stall > window {
                return Err(bad_stall(
                    "the stall must not be longer than the window".into(),
                ));
            }
            Threshold::Time(stall)
        }
    };
    Ok((threshold, window))
}

/// The value of `stuck=`.
fn stuck(length: Micros) -> Result<Micros, String> {
    match length >= STUCK_MIN {
        true => Ok(length),
        false => Err("stuck= must be at least 10s: healthy disks pause for shorter times".into()),
    }
}

/// The value of `busy=` or `avail=`.
fn share(text: &str) -> Result<Percent, String> {
    let number = text.strip_suffix('%').ok_or("expected a share, e.g. 25%")?;
    percent(number)
}

/// `10`, `0.5`, `12.25`: more than 0, at most 100, with at most two decimals.
fn percent(text: &str) -> Result<Percent, String> {
    const HELP: &str = "expected more than 0% and at most 100%, with at most two decimals, e.g. \
                        10% or 0.5%";
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 2 {
        return Err(HELP.into());
    }
    let scale = if decimals.len() == 1 { 10 } else { 1 };
    let number = |text: &str| text.parse::<u16>().map_or(u32::from(u16::MAX), u32::from);
    match number(whole) * 100 + number(decimals) * scale {
        share @ 1..=10_000 => Ok(Percent(share)),
        _ => Err(HELP.into()),
    }
}
