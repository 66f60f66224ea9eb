//! The numbers, durations and percentages of a command line.

use crate::pressure::Percent;
use crate::stat::table::Limits;
use crate::time::Micros;

/// The shortest interval; below it psistat would measure itself.
const INTERVAL_MIN: Micros = Micros::millis(10);
/// The most rows of `-n`; more than any terminal has lines.
const TOP_MAX: usize = 10_000;

/// Digits and at most `places` after a point, as a whole number of the last place.
pub(super) fn decimal(text: &str, places: usize) -> Option<u64> {
    let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + behind.len() == 0 || behind.len() > places {
        return None;
    }
    if !digits(whole) || !digits(behind) {
        return None;
    }
    format!("{whole}{behind:0<places$}").parse().ok()
}

/// `1`, `0.5`, `500ms`, `1m`.
pub(super) fn duration(word: &str) -> Result<Micros, String> {
    if let Some(length) = decimal(word, 6) {
        // the same bounds for both spellings
        return Micros::parse(&format!("{length}us")).map_err(|why| why.to_string());
    }
    Micros::parse(word).map_err(|_| {
        "expected seconds (1, 0.5), or a whole number and a unit (500ms, 2s, 1m, 24h), at most one \
         year"
            .into()
    })
}

pub(super) fn interval(word: &str) -> Result<Micros, String> {
    match duration(word)? {
        interval if interval < INTERVAL_MIN => Err("the interval must be at least 10ms".into()),
        interval => Ok(interval),
    }
}

pub(super) fn count(word: &str) -> Result<u64, String> {
    match word.parse::<u64>() {
        Ok(count @ 1..) => Ok(count),
        _ => Err("expected a count of at least 1".into()),
    }
}

pub(super) fn top(word: &str) -> Result<usize, String> {
    match word.parse::<usize>() {
        Ok(n @ 1..=TOP_MAX) => Ok(n),
        _ => Err("expected 1 to 10000 cgroups".into()),
    }
}

/// `10`, `0.5`: 0 to 100.
pub(super) fn percent(text: &str) -> Option<Percent> {
    match decimal(text, 2)? {
        hundredths @ 0..=10_000 => Some(Percent(hundredths as u32)),
        _ => None,
    }
}

pub(super) fn limits(word: &str) -> Result<Limits, String> {
    let both = word
        .split_once(',')
        .and_then(|(yellow, red)| Some((percent(yellow)?, percent(red)?)));
    match both {
        Some((yellow, red)) if yellow <= red => Ok(Limits { yellow, red }),
        _ => Err(
            "expected YELLOW,RED, e.g. 10,50: percentages of 0 to 100, the smaller first".into(),
        ),
    }
}
