//! The host's other counters: meminfo, vmstat, diskstats, stat, and a cgroup's
//! memory.events and cpu.stat. Every text is given to each of their parsers.

use psilogd::evidence::{self, DiskCounters, DiskName, Host};
use psilogd::pressure::Percent;
use psilogd::time::{Micros, Moment};

const START: Moment = Moment(1_000_000_000);

/// The byte that stands between two texts; then another one for the time between them.
const NEXT: u8 = 0;

pub fn run(data: &[u8]) {
    let (mut host, mut at) = (Host::new(), START);
    for text in data.split(|byte| *byte == NEXT).take(8) {
        let (pause, text) = text.split_first().unwrap_or((&0, &[]));
        at = at + Micros::millis(u64::from(*pause) * 250);
        flat_files(text);
        memory(&mut host, text);
        disks(&mut host, at, text);
        cpus(&mut host, text);
    }
}

/// The lines that are whole; the last may be cut.
fn lines(text: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let end = text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    text[..end].split(|byte| *byte == b'\n')
}

fn words(line: &[u8]) -> Vec<&[u8]> {
    let words = line.split(|byte| *byte == b' ');
    words.filter(|word| !word.is_empty()).collect()
}

fn number(word: &[u8]) -> Option<u64> {
    let digits = word.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(word)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

/// The number behind a word at the beginning of a line, the last such line's.
fn value(text: &[u8], key: &str) -> Option<u64> {
    let start = format!("{key} ");
    let line = lines(text).rfind(|line| line.starts_with(start.as_bytes()))?;
    number(words(line).get(1)?)
}

fn flat_files(text: &[u8]) {
    assert_eq!(evidence::oom_kills(text), value(text, "oom_kill"));
    let throttled = evidence::throttled(text);
    let expected = value(text, "nr_periods").zip(value(text, "nr_throttled"));
    assert_eq!(
        throttled.map(|found| (found.periods, found.throttled)),
        expected
    );
    let keys = ["MemTotal:", "MemAvailable:", "SwapTotal:", "SwapFree:"];
    assert_eq!(evidence::meminfo(text), keys.map(|key| value(text, key)));
}

fn memory(host: &mut Host, text: &[u8]) {
    host.meminfo(text);
    host.vmstat(text);
    let memory = host.memory();
    let is_share = |share: Option<Percent>| share.is_none_or(|share| share.0 <= 10_000);
    assert!(is_share(memory.available) && is_share(memory.swap_free));
    let [total, available, swap, _] = evidence::meminfo(text);
    assert_eq!(
        memory.available.is_some(),
        total > Some(0) && available.is_some()
    );
    assert!(memory.swap_free.is_none() || swap > Some(0));
    assert_eq!(memory.oom_kills, value(text, "oom_kill"));
}

/// Every disk is in the text, with the counters of one of its lines.
fn disks(host: &mut Host, at: Moment, text: &[u8]) {
    let mut found: Vec<(DiskName, DiskCounters)> = Vec::new();
    let known = evidence::whole_disks(text, &mut |name, counters| found.push((name, counters)));
    assert!(known || found.is_empty());
    for (name, counters) in &found {
        let is_of = |words: &Vec<&[u8]>| {
            let fields: Option<Vec<u64>> = words.iter().skip(3).map(|word| number(word)).collect();
            let mut fields = fields.unwrap_or_default();
            fields.resize(fields.len().max(17), 0);
            let sum = |of: [usize; 4]| {
                of.iter()
                    .try_fold(0u64, |sum, at| sum.checked_add(fields[*at]))
            };
            sum([0, 4, 11, 15]) == Some(counters.completed)
                && sum([3, 7, 14, 16]) == Some(counters.waited)
                && (fields[8] <= counters.inflight && fields[9] == counters.busy)
        };
        let named = |words: &Vec<&[u8]>| words.get(2) == Some(&name.as_bytes());
        let mut lines = lines(text).map(words).filter(named).map(|mut words| {
            // a field behind the 17 may be anything
            words.truncate(20);
            words
        });
        assert!(lines.any(|words| is_of(&words)), "{name:?} {counters:?}");
    }
    host.diskstats(at, text);
    assert_eq!(host.knows_disks(), known || text.is_empty());
    let io = host.io();
    let Some(name) = io.disk else {
        assert_eq!(io, evidence::Io::default());
        return;
    };
    assert!(found.iter().any(|(other, _)| *other == name));
    assert!(io.stuck <= at.since(START));
    assert!(io.stuck == Micros::ZERO || io.inflight > 0);
    assert!(io.wait.is_none() || io.iops > Some(0));
}

fn cpus(host: &mut Host, text: &[u8]) {
    host.stat(text);
    let Some(cpu) = host.cpu() else {
        return;
    };
    let mut lines = lines(text);
    let sums = words(lines.next().unwrap());
    assert_eq!(sums[0], b"cpu");
    let ticks = |at: usize| number(sums[at]).unwrap();
    let time = |ticks: u64| Micros(ticks.saturating_mul(10_000));
    assert_eq!(cpu.idle, time(ticks(4).saturating_add(ticks(5))));
    assert_eq!(cpu.steal, time(ticks(8)));
    let is_cpu = |line: &&[u8]| matches!(line, [b'c', b'p', b'u', b'0'..=b'9', ..]);
    assert_eq!(lines.take_while(is_cpu).count(), cpu.cpus as usize);
    assert!(cpu.cpus > 0);
}
