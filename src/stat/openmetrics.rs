//! `--openmetrics`: counters as OpenMetrics text, version 1.0.0
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>). node_exporter calls the
//! same counters of the whole system `node_pressure_cpu_waiting_seconds_total` and so on.

use super::{Row, Selection, cells, number, quoted};
use crate::line::Line;
use crate::pressure::{Kind, Resource};

const PREFIX: &str = "psistat_pressure";
const UNIT: &str = "seconds";

/// Totals since boot, or since a cgroup was created, of all rows: a family per resource
/// and kind, as samples of a family must not be apart. What is not known has no sample.
pub fn exposition(out: &mut Vec<u8>, selection: Selection, rows: &[Row]) {
    for (resource, kind) in cells(selection) {
        let total = |row: &Row| Some(row.figure(resource, kind)?.stall.total);
        let mut samples = rows.iter().filter_map(|row| Some((row, total(row)?)));
        let Some(first) = samples.next() else {
            continue;
        };
        let name = family(resource, kind);
        for (word, text) in [("TYPE", "counter"), ("UNIT", UNIT)] {
            texts(out, &["# ", word, " ", &name, " ", text, "\n"]);
        }
        texts(out, &["# HELP ", &name, " ", help(resource, kind), "\n"]);
        for (row, total) in std::iter::once(first).chain(samples) {
            texts(out, &[&name, "_total"]);
            if let Some(cgroup) = &row.cgroup {
                texts(out, &["{cgroup="]);
                quoted(out, cgroup);
                out.push(b'}');
            }
            out.push(b' ');
            seconds(out, total);
            out.push(b'\n');
        }
    }
    texts(out, &["# EOF\n"]);
}

/// The name of a family, which ends in its unit.
fn family(resource: Resource, kind: Kind) -> String {
    let verb = match kind {
        Kind::Some => "waiting",
        Kind::Full => "stalled",
    };
    [PREFIX, resource.name(), verb, UNIT].join("_")
}

fn help(resource: Resource, kind: Kind) -> &'static str {
    match (resource, kind) {
        (Resource::Cpu, Kind::Some) => "Time in which some task could run but waited for a CPU.",
        (Resource::Cpu, Kind::Full) => "Time in which all tasks that could run waited for a CPU.",
        (Resource::Memory, Kind::Some) => "Time in which some task waited for memory.",
        (Resource::Memory, Kind::Full) => "Time in which all busy tasks waited for memory.",
        (Resource::Io, Kind::Some) => "Time in which some task waited for block I/O.",
        (Resource::Io, Kind::Full) => "Time in which all busy tasks waited for block I/O.",
        (Resource::Irq, _) => "Time that interrupts took from tasks.",
    }
}

/// Microseconds as exact seconds.
fn seconds(out: &mut Vec<u8>, micros: u64) {
    number(out, micros / 1_000_000);
    let mut digits = [0; 7];
    let mut line = Line::new(&mut digits);
    line.text(".").decimal(micros % 1_000_000, 6, b'0');
    out.extend_from_slice(line.bytes());
}

fn texts(out: &mut Vec<u8>, texts: &[&str]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ALL, BOTH, group, reading};
    use super::super::{Group, select, since_boot};
    use super::*;

    fn text(selection: Selection, groups: &[Group]) -> String {
        let mut out = Vec::new();
        exposition(&mut out, selection, &since_boot(groups));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_family_has_its_samples_together() {
        let groups = [
            group(Some("/a"), 0, 9_000_000, 1_234_567),
            group(Some("/b\\x2d\"c\n"), 0, 9_000_000, 5),
        ];
        let expected = "\
# TYPE psistat_pressure_io_waiting_seconds counter
# UNIT psistat_pressure_io_waiting_seconds seconds
# HELP psistat_pressure_io_waiting_seconds Time in which some task waited for block I/O.
psistat_pressure_io_waiting_seconds_total{cgroup=\"/a\"} 1.234567
psistat_pressure_io_waiting_seconds_total{cgroup=\"/b\\\\x2d%22c%0A\"} 0.000005
# TYPE psistat_pressure_io_stalled_seconds counter
# UNIT psistat_pressure_io_stalled_seconds seconds
# HELP psistat_pressure_io_stalled_seconds Time in which all busy tasks waited for block I/O.
psistat_pressure_io_stalled_seconds_total{cgroup=\"/a\"} 1.234567
psistat_pressure_io_stalled_seconds_total{cgroup=\"/b\\\\x2d%22c%0A\"} 0.000005
# EOF
";
        assert_eq!(text(select(&[Resource::Io], &BOTH), &groups), expected);
    }

    #[test]
    fn what_is_not_known_is_neither_a_sample_nor_a_family() {
        let mut group = group(None, 0, 1_000_000, 7);
        group.readings[Resource::Irq as usize] = None;
        group.readings[Resource::Memory as usize] = reading(1_000_000, Some(u64::MAX), None);
        let text = text(ALL, &[group]);
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "psistat_pressure_cpu_waiting_seconds_total 0.000007",
                "psistat_pressure_memory_waiting_seconds_total 18446744073709.551615",
                "psistat_pressure_io_waiting_seconds_total 0.000007",
                "psistat_pressure_io_stalled_seconds_total 0.000007",
            ]
        );
        assert_eq!(text.matches("# TYPE ").count(), samples.len());
    }
}
