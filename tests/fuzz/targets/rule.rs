//! A rule's text: parse and Display are inverse.

use psilogd::pressure::{Kind, Resource};
use psilogd::rule::{NAME_MAX, Rule, STUCK_MIN, WINDOW_MAX, WINDOW_MIN};
use psilogd::time::Micros;

use super::clean;

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Rule::parse(text.split_whitespace()) {
        Ok(rule) => check(&rule),
        Err(error) => {
            clean::sentence(&error.to_string());
            assert!(!error.help.is_empty());
            let is_of = |word: &str| error.word.is_empty() || word.contains(&error.word);
            let named = text.split_whitespace().any(is_of);
            // the key of a combination that is refused, without its value
            assert!(named || text.contains(error.word.trim_end_matches('=')));
        }
    }
}

/// What holds of every rule.
pub fn check(rule: &Rule) {
    let text = rule.to_string();
    clean::printable(text.as_bytes());
    let again = Rule::parse(text.split(' '));
    assert_eq!(again.as_ref(), Ok(rule), "{text}");
    assert_eq!(again.unwrap().to_string(), text);

    assert!((WINDOW_MIN..=WINDOW_MAX).contains(&rule.window));
    assert!(rule.stall() > Micros::ZERO && rule.stall() <= rule.window);
    assert!((1..=NAME_MAX).contains(&rule.name.len()));
    assert!(rule.stuck.is_none_or(|stuck| stuck >= STUCK_MIN));
    assert!(!rule.asks_evidence() || rule.sustain > Micros::ZERO);
    assert!(!rule.is_pattern() || rule.has_common_window());
    // what the kernel never reports
    assert!((rule.resource, rule.kind) != (Resource::Irq, Kind::Some));
    let below = rule.cgroup.as_ref().is_some_and(|cgroup| !cgroup.is_root());
    assert!((rule.resource, rule.kind) != (Resource::Cpu, Kind::Full) || below);

    if let Some(path) = rule.cgroup.as_ref().and_then(|pattern| pattern.plain()) {
        assert!(rule.covers(&path));
    }
    assert!(rule.is_same_alarm(rule));
}
