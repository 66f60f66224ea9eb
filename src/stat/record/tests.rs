use super::*;
use crate::evidence::{DiskCounters, DiskName};
use crate::pressure::{Averages, Pressure};
use crate::stat::{Group, Reading};
use crate::time::Micros;

fn group(path: Option<&[u8]>, at: Moment, some: u64, full: u64) -> Group {
    let stall = |total| {
        Some(Averages {
            total,
            ..Averages::default()
        })
    };
    let pressure = Pressure {
        some: stall(some),
        full: stall(full),
    };
    Group {
        path: path.map(<[u8]>::to_vec),
        id: 0,
        readings: [None, Some(Reading { at, pressure }), None, None],
    }
}

const START: Moment = Moment(5_000_000);
const TENTH: Micros = Micros::millis(100);

fn text(out: Vec<u8>) -> String {
    String::from_utf8(out).expect("text")
}

fn entries(text: &str) -> Vec<Entry> {
    let mut reader = Reader::new(text).expect("a record");
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().expect("an entry") {
        entries.push(entry);
    }
    entries
}

fn refused(text: &str) -> Option<(usize, LineError)> {
    let mut reader = match Reader::new(text) {
        Ok(reader) => reader,
        Err(error) => return Some((error.line, error.why)),
    };
    loop {
        match reader.next_entry() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some((error.line, error.why)),
        }
    }
}

#[test]
fn what_is_written_reads_back() {
    let mut writer = Writer::default();
    let mut out = Vec::new();
    let later = START + TENTH;
    let both = |at, some| [group(None, at, 700, 50), group(Some(b"/a b"), at, some, 0)];
    writer.add(&mut out, &both(START, 0));
    writer.add(&mut out, &both(later, 30));
    let mut third = both(later + Micros(7), 30);
    third[0] = group(None, later + Micros(7), 5, 60);
    writer.add(&mut out, &third);
    writer.end(&mut out, later + Micros(9));
    let text = text(out);
    let expected = "psistat record 2\ngroup -\n5000000 c700 d50\ngroup /a%20b\n0:1 c0 d0\n\
                    100000:1 c30\n0\n7 c=5 d10\n2\n";
    assert_eq!(text, expected);
    let points = parse(&text).expect("a record");
    assert_eq!(points.len(), 6);
    assert_eq!(points[5].at, Moment(5_100_009));
    assert_eq!(points[5].totals, points[4].totals);
    assert_eq!(points[2].path.as_deref(), Some(&b"/a b"[..]));
    assert_eq!(points[2].total(Resource::Memory, Kind::Some), Some(30));
    assert_eq!(points[4].at, Moment(5_100_007));
    assert_eq!(points[4].total(Resource::Memory, Kind::Some), Some(5));
    assert_eq!(points[4].total(Resource::Memory, Kind::Full), Some(60));
    assert_eq!(points[4].total(Resource::Io, Kind::Full), None);
}

/// Or an hour of rest and a second of stall would be an hour of a little stall.
#[test]
fn the_last_reading_of_a_rest_is_written() {
    let (mut writer, mut out) = (Writer::default(), Vec::new());
    for (tenths, some) in [(0, 5), (1, 5), (2, 5), (3, 5), (4, 90), (5, 95)] {
        let at = START + Micros(tenths * TENTH.0);
        writer.add(&mut out, &[group(None, at, some, 0)]);
    }
    let expected = "psistat record 2\ngroup -\n5000000 c5 d0\n300000\n100000 c85\n100000 c5\n";
    assert_eq!(text(out), expected);
}

#[test]
fn a_cgroup_that_goes_and_comes_again_is_marked() {
    let (mut writer, mut out) = (Writer::default(), Vec::new());
    let x = |at| group(Some(b"/x"), at, 40, 0);
    writer.add(&mut out, &[group(None, START, 0, 0), x(START)]);
    writer.add(&mut out, &[group(None, START + TENTH, 0, 0)]);
    let again = Group {
        id: 1,
        ..x(START + Micros(2 * TENTH.0))
    };
    let system = || group(None, START + Micros(2 * TENTH.0), 0, 0);
    writer.add(&mut out, &[system(), again.clone()]);
    // and at once, between two readings
    writer.add(&mut out, &[system(), Group { id: 2, ..again }]);
    let expected = "psistat record 2\ngroup -\n5000000 c0 d0\ngroup /x\n0:1 c40 d0\n100000:1 -\n\
                    100000:1 c40 d0\n0:1 -\n0:1 c40 d0\n";
    let text = text(out);
    assert_eq!(text, expected);
    let gone = |entry: &Entry| matches!(entry, Entry::Gone { group: 1, .. });
    assert_eq!(entries(&text).iter().filter(|entry| gone(entry)).count(), 2);
}

fn disk(name: &[u8]) -> DiskName {
    DiskName::new(name).expect("a name")
}

#[test]
fn other_counters_read_back() {
    let (mut writer, mut out) = (Writer::default(), Vec::new());
    writer.add(&mut out, &[group(Some(b"/x"), START, 1, 1)]);
    let counters = GroupCounters {
        oom_kills: Some(2),
        periods: Some(100),
        throttled: Some(0),
    };
    writer.counters(&mut out, b"/x", START, counters);
    writer.counters(&mut out, b"/y", START, counters);
    let busy = DiskCounters {
        completed: 12,
        waited: 900,
        inflight: 3,
        busy: 800,
    };
    let mut host = HostCounters {
        memory: Some(1_000_000),
        available: Some(500_000),
        cpus: Some(2),
        idle: Some(77),
        ..HostCounters::default()
    };
    writer.host(&mut out, START, &[(disk(b"sda"), busy)], host);
    // no more than a thousandth of the memory
    host.available = Some(499_000);
    writer.host(&mut out, START + TENTH, &[(disk(b"sda"), busy)], host);
    host.available = Some(498_000);
    writer.host(&mut out, START + TENTH, &[], host);
    let text = text(out);
    let expected = "psistat record 2\ngroup /x\n5000000 c1 d1\n0 k2 p100 t0\n\
                    0/sda c12 q3 b800 w900\n0:host m1000000 a500000 n2 i77\n100000:host\n\
                    0/sda -\n0:host a=498000\n";
    assert_eq!(text, expected);
    let entries = entries(&text);
    let (group, at) = (0, START);
    assert_eq!(
        entries[1],
        Entry::Counters {
            group,
            at,
            counters
        }
    );
    let (name, counters) = (disk(b"sda"), Some(busy));
    assert_eq!(entries[2], Entry::Disk { name, counters });
    let counters = HostCounters {
        available: Some(500_000),
        ..host
    };
    let at = START + TENTH;
    assert_eq!(entries[4], Entry::Host { at, counters });
    let counters = None;
    assert_eq!(entries[5], Entry::Disk { name, counters });
}

#[test]
fn a_line_may_have_both_kinds_of_a_groups_counters() {
    let entries = entries("psistat record 2\ngroup /x\n5 c7 k1\n");
    assert!(matches!(entries[0], Entry::Reading { totals, .. } if totals[2] == Some(7)));
    assert!(
        matches!(entries[1], Entry::Counters { counters, .. } if counters.oom_kills == Some(1))
    );
    assert_eq!(entries.len(), 2);
}

#[test]
fn a_line_that_is_cut_is_left_out() {
    assert_eq!(entries("psistat record 2\ngroup -\n5 c7\n100 c3").len(), 1);
    assert_eq!(refused("psistat record 2"), Some((1, LineError::Head)));
}

#[test]
fn other_texts_are_refused() {
    let two = "psistat record 2\ngroup -\n";
    let one = "psistat record 1\ngroup -\n";
    for (head, rest, expected) in [
        ("", "", (1, LineError::Head)),
        ("", "psistat record\n", (1, LineError::Head)),
        ("", "psistat record x\n", (1, LineError::Head)),
        ("", "psistat record 3\n", (1, LineError::Format)),
        ("", "psistat record 0\n", (1, LineError::Format)),
        ("", "psistat record 1\n5 a1\n", (2, LineError::Group)),
        ("", "psistat record 2\ngroup /%4\n", (2, LineError::Name)),
        (one, "x a1\n", (3, LineError::Time)),
        (one, "\n", (3, LineError::Time)),
        (one, "5 h1\n", (3, LineError::Letter)),
        // what format 2 has added
        (one, "5 k1\n", (3, LineError::Letter)),
        (one, "5:host m1\n", (3, LineError::Group)),
        (one, "5/sda c1\n", (3, LineError::Time)),
        (one, "5 -\n", (3, LineError::Letter)),
        (
            one,
            "5 a1\n5 a18446744073709551615\n",
            (4, LineError::TooLarge),
        ),
        (
            two,
            "5 a1\n18446744073709551615 a1\n",
            (4, LineError::TooLarge),
        ),
        (two, "5 a18446744073709551616\n", (3, LineError::TooLarge)),
        (two, "5 a\n", (3, LineError::Number)),
        (two, "5 a+1\n", (3, LineError::Number)),
        (two, "5 a=-1\n", (3, LineError::Number)),
        (two, "5 é1\n", (3, LineError::Letter)),
        (two, "5é a1\n", (3, LineError::Time)),
        (two, "5:1 a1\n", (3, LineError::Group)),
        (two, "5:host -\n", (3, LineError::Letter)),
        (two, "5:host z1\n", (3, LineError::Letter)),
        (two, "5/sda a1\n", (3, LineError::Letter)),
        (two, "5/sda%2 c1\n", (3, LineError::Name)),
        (
            two,
            "5/a-name-that-is-longer-than-any-disk c1\n",
            (3, LineError::Name),
        ),
    ] {
        let text = format!("{head}{rest}");
        assert_eq!(refused(&text), Some(expected), "{text}");
    }
}

#[test]
fn an_error_names_its_line() {
    let error = RecordError {
        line: 3,
        why: LineError::Time,
    };
    let text = error.to_string();
    assert!(
        text.starts_with("line 3: expected the microseconds"),
        "{text}"
    );
}

#[test]
fn a_disks_counters_add_up() {
    let entries = entries("psistat record 2\ngroup -\n5/sda c10\n5/sda c5\n");
    let Entry::Disk { counters, .. } = entries[1] else {
        panic!("{entries:?}");
    };
    assert_eq!(counters.map(|counters| counters.completed), Some(15));
}

#[test]
fn other_counters_are_those_of_their_group() {
    let (mut writer, mut out) = (Writer::default(), Vec::new());
    let groups = [b"/x", b"/y"].map(|path| group(Some(path), START, 1, 1));
    writer.add(&mut out, &groups);
    writer.add(&mut out, &groups[..1]);
    let kills = GroupCounters {
        oom_kills: Some(2),
        ..GroupCounters::default()
    };
    out.clear();
    writer.counters(&mut out, b"/y", START, kills);
    assert_eq!(text(out), "", "it is gone");
    let (mut writer, mut out) = (Writer::default(), Vec::new());
    writer.add(&mut out, &groups);
    out.clear();
    writer.counters(&mut out, b"/y", START, kills);
    assert_eq!(text(out), "0:1 k2\n");
}

#[test]
fn the_host_may_come_before_any_group() {
    let (mut writer, mut out) = (Writer::default(), Vec::new());
    writer.host(&mut out, START, &[], HostCounters::default());
    writer.end(&mut out, START);
    writer.add(&mut out, &[group(None, START + TENTH, 1, 1)]);
    let expected = "psistat record 2\n5000000:host\ngroup -\n100000 c1 d1\n";
    assert_eq!(text(out), expected);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Lines that are almost those of a record.
    fn lines() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            6 => "[a-t]=?[0-9]{1,4}",
            1 => "[a-zé-]{0,2}[=+-]{0,2}[0-9]{0,22}",
            1 => Just("-".to_string()),
        ];
        let head = prop_oneof![
            4 => "[0-9]{1,6}",
            2 => "[0-9]{1,6}:[0-3]",
            2 => "[0-9]{1,6}:host",
            2 => "[0-9]{1,6}/(sd[a-c]|nvme0n1|%2)",
            1 => "[0-9]{0,22}[:/]?[a-zé%]{0,3}",
        ];
        let line = (head, prop::collection::vec(word, 0..4)).prop_map(|(head, words)| {
            let mut line = head;
            words
                .iter()
                .for_each(|word| line.push_str(&format!(" {word}")));
            line
        });
        let group = prop_oneof![3 => "group (-|/[a-z%0-9]{0,4})", 20 => line];
        prop::collection::vec(group, 0..30).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        /// Whatever the text is, it is read or refused with a line that it has, and
        /// time does not go back.
        #[test]
        fn no_text_is_too_odd(format in 1..=2u32, lines in lines(), any in any::<String>()) {
            let text = format!("psistat record {format}\ngroup -\ngroup /x\n{lines}\n{any}\n");
            let mut reader = Reader::new(&text).expect("a head");
            let mut at = reader.at();
            loop {
                match reader.next_entry() {
                    Ok(Some(_)) => {
                        assert!(reader.at() >= at);
                        at = reader.at();
                    }
                    Ok(None) => break,
                    Err(error) => {
                        assert!((4..=text.lines().count() + 1).contains(&error.line));
                        assert!(!error.to_string().is_empty());
                        break;
                    }
                }
            }
            let _ = crate::stat::recording::Recording::parse(&text);
        }

        /// What is written reads back, whatever counters and disks do.
        #[test]
        fn any_counters_read_back(
            readings in prop::collection::vec(
                (any::<u64>(), 0..3u64, prop::option::of(any::<u64>()), 0..4usize),
                1..20,
            )
        ) {
            let (mut writer, mut out) = (Writer::default(), Vec::new());
            let mut expected = Vec::new();
            for (number, (total, full, kills, disks)) in readings.into_iter().enumerate() {
                let at = START + Micros(number as u64 * TENTH.0);
                writer.add(&mut out, &[group(None, at, total, full)]);
                let counters = DiskCounters { completed: total, waited: full, inflight: 0, busy: 1 };
                let names = [&b"sda"[..], b"a b", b"\xff"];
                let disks: Vec<_> = names.iter().take(disks).map(|name| (disk(name), counters)).collect();
                let host = HostCounters { oom_kills: kills, ..HostCounters::default() };
                writer.host(&mut out, at, &disks, host);
                expected.push((at, total, full, kills));
            }
            let mut read = Vec::new();
            let mut newest = [None; 2];
            for entry in entries(&text(out)) {
                match entry {
                    Entry::Reading { totals, .. } => newest = [totals[2], totals[3]],
                    Entry::Host { at, counters } => read.push((at, newest, counters.oom_kills)),
                    _ => {}
                }
            }
            let mut known = None;
            for ((at, total, full, kills), read) in expected.into_iter().zip(&read) {
                known = kills.or(known);
                assert_eq!(*read, (at, [Some(total), Some(full)], known));
            }
        }
    }
}
