//! Texts of lines, and lines of words.

use super::Cpu;
use crate::pressure::{Percent, number};
use crate::time::Micros;

/// A tick of /proc/stat: USER_HZ is 100 on every architecture in use.
const TICK: u64 = 10_000;

/// The lines that are complete: a buffer may have cut the last one.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = text.iter().rposition(|&b| b == b'\n').unwrap_or(0);
    text[..end].split(|&b| b == b'\n')
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&b| b == b' ').filter(|word| !word.is_empty())
}

/// The numbers behind these words, each at the start of a line.
pub(super) fn values<const N: usize>(text: &[u8], keys: [&[u8]; N]) -> [Option<u64>; N] {
    let mut found = [None; N];
    for line in lines(text) {
        let at = keys.iter().position(|key| {
            let rest = line.strip_prefix(*key);
            rest.is_some_and(|rest| rest.first() == Some(&b' '))
        });
        if let Some(at) = at {
            found[at] = words(line).nth(1).and_then(number);
        }
    }
    found
}

/// The number behind this word.
pub(super) fn value(text: &[u8], key: &[u8]) -> Option<u64> {
    values(text, [key])[0]
}

/// A part's share of the whole; None of nothing.
pub fn share(part: Option<u64>, whole: Option<u64>) -> Option<Percent> {
    let (part, whole) = (u128::from(part?), u128::from(whole?));
    let hundredths = (part * 10_000).checked_div(whole)?.min(10_000);
    u32::try_from(hundredths).ok().map(Percent)
}

/// /proc/stat: `cpu` and its sums, a line for each CPU, and other lines. A text that
/// ends with a CPU was cut, and then the number of CPUs is unknown.
pub(super) fn cpus(text: &[u8]) -> Option<Cpu> {
    let mut lines = lines(text);
    let mut words = words(lines.next()?);
    if words.next()? != b"cpu" {
        return None;
    }
    // user, nice, system, idle, iowait, irq, softirq, steal
    let mut columns = [0; 8];
    for column in &mut columns {
        *column = number(words.next()?)?;
    }
    let mut cpus = 0;
    while let Some([b'0'..=b'9', ..]) = lines.next()?.strip_prefix(b"cpu") {
        cpus += 1;
    }
    (cpus > 0).then_some(Cpu {
        idle: time(columns[3].saturating_add(columns[4])),
        steal: time(columns[7]),
        cpus,
        throttled: None,
    })
}

fn time(ticks: u64) -> Micros {
    Micros(ticks.saturating_mul(TICK))
}
