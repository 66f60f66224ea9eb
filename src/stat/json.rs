//! Rows as JSON, one object per line. The keys are an API: psistat(1) lists them,
//! new ones are only added.

use super::{Figure, Figures, Row, Selection, hundredths, kinds, number, quoted};
use crate::pressure::{Kind, Percent, Resource};
use crate::time::Micros;

/// One row as an object and a line end. `time` is that of the reading, in
/// microseconds since the epoch.
pub fn object(out: &mut Vec<u8>, selection: Selection, time: u64, row: &Row) {
    out.extend_from_slice(b"{\"time_us\":");
    number(out, time);
    out.extend_from_slice(b",\"cgroup\":");
    match &row.cgroup {
        None => out.extend_from_slice(b"null"),
        Some(word) => quoted(out, word),
    }
    for resource in Resource::ALL {
        let mut kinds = kinds(selection, resource).peekable();
        if kinds.peek().is_none() {
            continue;
        }
        key(out, resource.name());
        match &row.figures[resource as usize] {
            None => out.extend_from_slice(b"null"),
            Some(figures) => file(out, kinds, figures),
        }
    }
    key(out, "since_boot");
    out.extend_from_slice(row.since_boot.to_string().as_bytes());
    out.extend_from_slice(b"}\n");
}

/// One pressure file. Interrupts have no `some` on any kernel, so no key either.
fn file(out: &mut Vec<u8>, kinds: impl Iterator<Item = Kind>, figures: &Figures) {
    out.extend_from_slice(b"{\"interval_us\":");
    micros(out, figures.interval);
    for kind in kinds {
        key(out, kind.name());
        figure(out, figures.of(kind));
    }
    out.push(b'}');
}

fn figure(out: &mut Vec<u8>, figure: Option<Figure>) {
    let Some(figure) = figure else {
        out.extend_from_slice(b"null");
        return;
    };
    out.extend_from_slice(b"{\"pct\":");
    percent(out, figure.share);
    key(out, "stall_us");
    micros(out, figure.growth);
    key(out, "avg10");
    percent(out, Some(figure.stall.avg10));
    key(out, "avg60");
    percent(out, Some(figure.stall.avg60));
    key(out, "avg300");
    percent(out, Some(figure.stall.avg300));
    key(out, "total_us");
    number(out, figure.stall.total);
    out.push(b'}');
}

fn key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

fn percent(out: &mut Vec<u8>, value: Option<Percent>) {
    match value {
        Some(value) => hundredths(out, value, 0),
        None => out.extend_from_slice(b"null"),
    }
}

fn micros(out: &mut Vec<u8>, value: Option<Micros>) {
    match value {
        Some(Micros(value)) => number(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ALL, group};
    use super::super::{interval, select, since_boot};
    use super::*;

    fn json(selection: Selection, row: &Row) -> String {
        let mut out = Vec::new();
        object(&mut out, selection, 1_795_373_926_123_456, row);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_row_is_an_object() {
        let row = &since_boot(&[group(None, 0, 8_000_000, 1_000_000)])[0];
        let figure = "{\"pct\":12.50,\"stall_us\":1000000,\"avg10\":0.12,\"avg60\":3.45,\
                      \"avg300\":100.00,\"total_us\":1000000}";
        let expected = format!(
            "{{\"time_us\":1795373926123456,\"cgroup\":null,\
             \"cpu\":{{\"interval_us\":8000000,\"some\":{figure},\"full\":null}},\
             \"irq\":{{\"interval_us\":8000000,\"full\":{figure}}},\"since_boot\":true}}\n"
        );
        let (both, full) = ([Kind::Some, Kind::Full], [Kind::Full]);
        let resources = [Resource::Cpu, Resource::Irq];
        assert_eq!(json(select(&resources, &both), row), expected);
        let some = format!("\"some\":{figure},");
        let expected = expected.replace(&some, "");
        assert_eq!(json(select(&resources, &full), row), expected);
    }

    #[test]
    fn what_is_not_known_is_null() {
        let mut group = group(Some("/a\\x2db"), 0, 8_000_000, 1_000_000);
        group.readings[Resource::Memory as usize] = None;
        let row = &interval(&[], &[group])[0];
        let text = json(ALL, row);
        assert!(text.contains("\"cgroup\":\"/a\\\\x2db\""), "{text}");
        assert!(text.contains("\"memory\":null,"), "{text}");
        assert!(text.ends_with(",\"since_boot\":false}\n"), "{text}");
        assert!(
            text.contains("\"io\":{\"interval_us\":null,\"some\":{\"pct\":null,\"stall_us\":null,"),
            "{text}"
        );
    }
}
