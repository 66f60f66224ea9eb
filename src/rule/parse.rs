//! The grammar of a rule: `RESOURCE KIND STALL/WINDOW [key=value ...]`.

use super::error::{ParseError, Reason};
use super::{NAME_MAX, Rule, Threshold, WINDOW_MAX, WINDOW_MIN};
use crate::pattern::{Pattern, PatternError};
use crate::pressure::{Kind, Percent, Resource};
use crate::severity::Severity;
use crate::time::Micros;

const SUSTAIN: Micros = Micros::secs(20);
const CLEAR: Micros = Micros::secs(60);
const REPEAT: Micros = Micros::secs(600);

impl Rule {
    /// Reads `RESOURCE KIND STALL/WINDOW [key=value ...]`. What the kernel would
    /// refuse, and what it accepts although it can never fire, is an error.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Rule, ParseError> {
        let mut words = words.into_iter();
        let mut next = |what: &str| {
            words.next().ok_or_else(|| {
                let help = format!(
                    "{what} is missing: a rule is RESOURCE KIND STALL/WINDOW [key=value ...], \
                     for example memory full 10%/2s for=20s"
                );
                ParseError::new("", Reason::BadCount, help)
            })
        };
        let resource = next("the resource")?;
        let resource = Resource::parse(resource).ok_or_else(|| {
            ParseError::new(
                resource,
                Reason::BadResource,
                "a resource is cpu, memory, io or irq",
            )
        })?;
        let kind = next("some or full")?;
        let kind = match (resource, Kind::parse(kind)) {
            (_, None) => {
                let help = "the kind of pressure is some or full";
                return Err(ParseError::new(kind, Reason::BadKind, help));
            }
            (Resource::Irq, Some(Kind::Some)) => {
                let help = "irq pressure is only known as full";
                return Err(ParseError::new(kind, Reason::BadKind, help));
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
                return Err(ParseError::new(word, Reason::BadKey, help));
            }
            given.push(key);
        }
        if !rule.except.is_empty() && !rule.is_pattern() {
            let help =
                "except= leaves cgroups out of a pattern: without * in cgroup= there are none";
            return Err(ParseError::new("except=", Reason::BadKey, help));
        }
        if rule.is_pattern() && !rule.has_common_window() {
            let help = "with * in cgroup= the window must be 2s, 4s, 6s, 8s or 10s; only a rule \
                        that names one cgroup may have another";
            return Err(ParseError::new(stall_word, Reason::BadWindow, help));
        }
        let whole_system = rule.cgroup.as_ref().is_none_or(Pattern::is_root);
        if resource == Resource::Cpu && kind == Kind::Full && whole_system {
            let help = "the whole system is never fully stalled for CPU and the kernel always \
                        reads 0 there: watch cpu some, or name a cgroup";
            return Err(ParseError::new("full", Reason::BadKind, help));
        }
        Ok(rule)
    }

    /// Takes one `key=value`; the key that it set.
    fn set<'a>(&mut self, word: &'a str) -> Result<&'a str, ParseError> {
        const KEYS: &str = "the keys of a rule are level= name= for= clear= repeat= cgroup= \
                            except=";
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

/// A pattern as a rule has it: from the mount on.
fn pattern(text: &str) -> Result<Pattern, String> {
    if !text.starts_with('/') {
        return Err(PatternError::Empty.to_string());
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

fn stall_and_window(word: &str) -> Result<(Threshold, Micros), ParseError> {
    let Some((stall, window)) = word.split_once('/') else {
        let help = "here stands STALL/WINDOW, for example 10%/2s or 150ms/2s";
        return Err(ParseError::new(word, Reason::BadStall, help));
    };
    let bad_window = |help: String| ParseError::new(word, Reason::BadWindow, help);
    let bad_stall = |help: String| ParseError::new(word, Reason::BadStall, help);
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
