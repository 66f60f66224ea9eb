//! Disks from reading to reading.

use super::*;

/// Of one disk or partition, what the tests change.
#[derive(Clone, Copy, Default)]
struct Line {
    name: &'static str,
    reads: u64,
    inflight: u64,
    /// Milliseconds: of all reads, and with something in flight.
    waited: u64,
    busy: u64,
}

fn line(name: &'static str, reads: u64, inflight: u64) -> Line {
    Line {
        name,
        reads,
        inflight,
        ..Line::default()
    }
}

fn text(lines: &[Line]) -> String {
    let write = |line: &Line| {
        let Line {
            name,
            reads,
            inflight,
            waited,
            busy,
        } = line;
        format!(
            " 259       1 {name} {reads} 70 4482 {waited} 958 569 1589 997 \
             {inflight} {busy} 8539 615 85 1292 116 177 10\n"
        )
    };
    lines.iter().map(write).collect()
}

fn at(second: u64) -> Moment {
    Moment(10_000_000) + Micros::secs(second)
}

/// The last of several readings, two seconds apart.
fn last(readings: &[&[Line]]) -> Io {
    let mut disks = Disks::new();
    for (n, lines) in readings.iter().enumerate() {
        disks.take(at(2 * n as u64), text(lines).as_bytes());
    }
    disks.io()
}

fn name(io: &Io) -> Option<String> {
    let name = io.disk?;
    Some(String::from_utf8_lossy(name.as_bytes()).into_owned())
}

/// The disk and the seconds for which it has been stuck.
fn found(io: &Io) -> Option<(String, u64)> {
    Some((name(io)?, io.stuck.0 / 1_000_000))
}

fn is(disk: &str, seconds: u64) -> Option<(String, u64)> {
    Some((disk.to_string(), seconds))
}

#[test]
fn a_dead_disk_is_stuck_for_10_s_after_10_s() {
    let mut disks = Disks::new();
    for second in 0..=12 {
        // it completes something until second 2, and the other one always does
        let lines = [
            line("sda", 100 + second.min(2), 3),
            line("sdb", 100 + second, 3),
        ];
        disks.take(at(second), text(&lines).as_bytes());
        let stuck = second.saturating_sub(2);
        assert_eq!(found(&disks.io()), is("sda", stuck), "second {second}");
    }
    assert_eq!(disks.io().inflight, 3);
    assert_eq!((disks.io().iops, disks.io().wait), (Some(0), None));
    let lines = [line("sda", 103, 3), line("sdb", 113, 3)];
    disks.take(at(13), text(&lines).as_bytes());
    assert_eq!(disks.io().stuck, Micros::ZERO);
}

#[test]
fn nothing_in_flight_is_not_stuck() {
    let busy = [line("sda", 5, 1)];
    let idle = [line("sda", 5, 0)];
    assert_eq!(found(&last(&[&busy, &busy, &busy])), is("sda", 4));
    assert_eq!(found(&last(&[&busy, &idle, &busy])), is("sda", 0));
    assert_eq!(found(&last(&[&busy, &busy, &idle])), None);
    assert_eq!(last(&[&idle, &idle]), Io::default());
}

#[test]
fn a_gap_between_readings_is_counted() {
    let mut disks = Disks::new();
    let lines = text(&[line("sda", 5, 2)]);
    disks.take(at(0), lines.as_bytes());
    disks.take(at(3600), lines.as_bytes());
    assert_eq!(found(&disks.io()), is("sda", 3600));
    // but a mean over an hour is none
    assert_eq!(disks.io().iops, None);
}

#[test]
fn every_field_of_completions_counts() {
    for field in [1, 5, 12, 16] {
        let mut disks = Disks::new();
        for n in 0..3u64 {
            let mut fields = [7u64; 18];
            fields[field] += n;
            let fields: Vec<_> = fields[1..].iter().map(u64::to_string).collect();
            let text = format!("8 0 sda {}\n", fields.join(" "));
            disks.take(at(2 * n), text.as_bytes());
            assert_eq!(disks.io().stuck, Micros::ZERO, "field {field}");
        }
    }
}

/// 6.12: the disk's own line has nothing in flight.
#[test]
fn a_partition_has_in_flight_what_its_disk_has_not() {
    for (disk, partitions) in [
        ("sda", ["sda1", "sda12"]),
        ("nvme0n1", ["nvme0n1p1", "nvme0n1p2"]),
        ("mmcblk0", ["mmcblk0p1", "mmcblk0p2"]),
        ("nbd0", ["nbd0p1", "nbd0p2"]),
        ("xvda", ["xvda1", "xvda2"]),
    ] {
        let lines = [
            line(disk, 5, 0),
            line(partitions[0], 4, 0),
            line(partitions[1], 1, 2),
        ];
        let io = last(&[&lines, &lines, &lines]);
        assert_eq!((found(&io), io.inflight), (is(disk, 4), 2));
        // it was something on the other partition that was completed
        let others = [
            line(disk, 6, 0),
            line(partitions[0], 5, 0),
            line(partitions[1], 1, 2),
        ];
        assert_eq!(found(&last(&[&lines, &lines, &others])), is(disk, 0));
    }
}

#[test]
fn what_partitions_have_in_flight_is_not_counted_twice() {
    let lines = [line("sda", 5, 5), line("sda1", 4, 2), line("sda2", 1, 3)];
    assert_eq!(last(&[&lines, &lines]).inflight, 5);
    let lines = [line("sda", 5, 0), line("sda1", 4, 2), line("sda2", 1, 3)];
    assert_eq!(last(&[&lines, &lines]).inflight, 5);
}

#[test]
fn names_that_only_look_like_partitions_are_disks() {
    for (before, other) in [
        ("sda", "sdb1"),
        ("sda", "sdab"),
        ("sda", "sda1x"),
        ("nbd1", "nbd10"),
        ("nbd1", "nbd1p"),
        ("mmcblk0", "mmcblk0boot0"),
        ("nvme0n1", "nvme0n10"),
        ("sdb", "vda1"),
    ] {
        let lines = [line(before, 5, 0), line(other, 5, 1)];
        assert_eq!(found(&last(&[&lines, &lines])), is(other, 2), "{before}");
    }
    // vda1 alone, as on early Xen and EC2 hosts
    let lines = [line("vda1", 5, 1)];
    assert_eq!(found(&last(&[&lines, &lines])), is("vda1", 2));
}

#[test]
fn what_is_no_disk_or_is_made_of_disks_is_left_out() {
    for name in [
        "ram0", "ram15", "loop0", "loop0p1", "zram0", "dm-0", "dm-12", "md0", "md127", "md0p1",
        "md_d0", "md_home",
    ] {
        let lines = [line(name, 5, 9), line("sda", 5, 1)];
        assert_eq!(found(&last(&[&lines, &lines])), is("sda", 2), "{name}");
        let lines = [line(name, 5, 9)];
        assert_eq!(found(&last(&[&lines, &lines])), None, "{name}");
    }
    for name in [
        "mda", "rama", "loopy", "sr0", "fd0", "dasda", "rbd0", "pmem0",
    ] {
        let lines = [line(name, 5, 9)];
        assert_eq!(found(&last(&[&lines, &lines])), is(name, 2));
    }
}

#[test]
fn a_disk_that_comes_back_begins_anew() {
    let (a, b) = (line("sda", 5, 1), line("sdb", 9, 1));
    assert_eq!(found(&last(&[&[a, b], &[a, b], &[a, b]])), is("sda", 4));
    assert_eq!(found(&last(&[&[a, b], &[b], &[a, b]])), is("sdb", 4));
    assert_eq!(found(&last(&[&[a], &[], &[a]])), is("sda", 0));
    assert_eq!(last(&[&[a], &[a], &[]]), Io::default());
}

#[test]
fn counters_that_fall_are_another_disk() {
    let (before, after) = (line("sda", 500, 1), line("sda", 5, 1));
    let io = last(&[&[before], &[before], &[after]]);
    assert_eq!((found(&io), io.iops, io.wait), (is("sda", 0), None, None));
    let io = last(&[&[before], &[after], &[after]]);
    assert_eq!((found(&io), io.iops), (is("sda", 2), Some(0)));
    // only the time has wrapped
    let time = |waited, reads| Line {
        waited,
        ..line("sda", reads, 1)
    };
    let io = last(&[&[time(4_294_967_290, 5)], &[time(90, 15)]]);
    assert_eq!((io.iops, io.wait), (Some(5), None));
}

#[test]
fn lines_of_older_and_newer_kernels() {
    let read = |fields: &str| {
        let mut disks = Disks::new();
        let text = format!("   8       0 sda {fields}\n");
        disks.take(at(0), text.as_bytes());
        disks.take(at(2), text.as_bytes());
        (found(&disks.io()), disks.known())
    };
    let (eleven, six) = ("1 2 3 4 5 6 7 8 9 10 11", "12 13 14 15 16 17");
    for good in [
        eleven.to_string(),
        format!("{eleven} 12 13 14 15"),
        format!("{eleven} {six}"),
        format!("{eleven} {six} 18 19"),
        format!("{eleven} {six} words"),
    ] {
        assert_eq!(read(&good), (is("sda", 2), true), "{good}");
    }
    for odd in [
        "".to_string(),
        "1 2 3 4".to_string(),
        "1 2 3 4 5 6 7 8 9 10".to_string(),
        "1 2 3 4 5 6 7 8 9 10 x".to_string(),
        "1 2 3 4 5 6 7 8 -9 10 11".to_string(),
        format!("{eleven} words"),
        eleven.replace('3', "18446744073709551616"),
        eleven.replace('5', "18446744073709551615"),
    ] {
        assert_eq!(read(&odd), (None, false), "{odd}");
    }
}

#[test]
fn an_odd_line_leaves_out_its_disk_alone() {
    let good = text(&[line("sdb", 5, 1)]);
    let odd = "   8       0 sda 1 2 3 x\n";
    let partition = text(&[line("sda1", 5, 1)]);
    for text in [
        format!("{odd}{partition}{good}"),
        format!("{good}{odd}{partition}"),
        format!("\n\n8 0\n{good}\u{0}\n"),
    ] {
        let mut disks = Disks::new();
        disks.take(at(0), text.as_bytes());
        disks.take(at(2), text.as_bytes());
        assert_eq!(found(&disks.io()), is("sdb", 2), "{text}");
    }
    let long = "x".repeat(NAME_MAX + 1);
    let text = good.replace("sdb", &long) + &good.replace("sdb", &long[1..]);
    let mut disks = Disks::new();
    disks.take(at(0), text.as_bytes());
    assert_eq!(name(&disks.io()), Some(long[1..].to_string()));
}

#[test]
fn a_line_that_the_buffer_has_cut_is_ignored() {
    let whole = text(&[line("sda", 5, 1), line("sdb", 123_456, 1)]);
    for length in 0..whole.len() {
        let mut disks = Disks::new();
        disks.take(at(0), whole.as_bytes());
        disks.take(at(2), whole.as_bytes());
        disks.take(at(4), &whole.as_bytes()[..length]);
        let first = whole.find('\n').unwrap() < length;
        assert_eq!(found(&disks.io()), first.then(|| is("sda", 4)).flatten());
        let count = disks.disks.len();
        assert_eq!(count, usize::from(first), "{length}");
    }
}

#[test]
fn a_disk_that_stands_in_a_text_twice_is_read_once() {
    let mut disks = Disks::new();
    let (a, b) = (line("sda", 5, 1), line("sda", 6, 1));
    disks.take(at(0), text(&[a]).as_bytes());
    disks.take(at(2), text(&[a, b]).as_bytes());
    assert_eq!(found(&disks.io()), is("sda", 2));
}

/// Names of 200 disks; the n-th line is that of a dead one.
fn many(dead: u8, reads: u64) -> String {
    let one = text(&[line("NAME", reads, 0)]);
    let stuck = text(&[line("NAME", 7, 1)]);
    let letter = |n: u8| char::from(b'a' + n % 26);
    (0..200u8)
        .map(|n| {
            let name = format!("sd{}{}", letter(n / 26), letter(n));
            let line = if n == dead { &stuck } else { &one };
            line.replace("NAME", &name)
        })
        .collect()
}

#[test]
fn a_dead_disk_is_found_among_more_than_are_followed() {
    for dead in [0, 63, 64, 199] {
        let mut disks = Disks::new();
        for n in 0..6 {
            disks.take(at(2 * n), many(dead, n).as_bytes());
        }
        assert_eq!(disks.io().stuck, Micros::secs(10), "{dead}");
        assert_eq!(disks.disks.len(), DISKS_MAX);
    }
    // more that are busy than are followed: those that are followed stay
    let mut disks = Disks::new();
    for n in 0..6 {
        let text = many(0, 7).replace(" 997 0 ", " 997 1 ");
        disks.take(at(2 * n), text.as_bytes());
    }
    assert_eq!(disks.io().stuck, Micros::secs(10));
    assert!(
        disks
            .disks
            .iter()
            .all(|disk| disk.stuck(at(10)) == Micros::secs(10))
    );
}

#[test]
fn rates_between_readings() {
    let with = |reads, waited| Line {
        waited,
        ..line("sda", reads, 1)
    };
    let io = last(&[&[with(1000, 5_000)]]);
    assert_eq!(
        (name(&io), io.iops, io.wait),
        (Some("sda".into()), None, None)
    );
    let io = last(&[&[with(1000, 5_000)], &[with(1400, 21_000)]]);
    assert_eq!((io.iops, io.wait), (Some(200), Some(Micros::millis(40))));
    // less than one a second is not none
    let io = last(&[&[with(1000, 5_000)], &[with(1001, 8_400)]]);
    assert_eq!((io.iops, io.wait), (Some(1), Some(Micros::millis(3400))));
    let mut disks = Disks::new();
    disks.take(at(0), text(&[with(1000, 0)]).as_bytes());
    disks.take(at(10), text(&[with(1004, 0)]).as_bytes());
    assert_eq!(disks.io().iops, Some(1));
}

/// Several rules are read within milliseconds of each other.
#[test]
fn readings_close_together_leave_the_rates() {
    let mut disks = Disks::new();
    for (millis, reads) in [(0, 1000), (2000, 1400), (2003, 1400), (2003, 1401)] {
        let at = at(0) + Micros::millis(millis);
        disks.take(at, text(&[line("sda", reads, 1)]).as_bytes());
    }
    assert_eq!(disks.io().iops, Some(200));
    disks.take(at(4), text(&[line("sda", 1500, 1)]).as_bytes());
    assert_eq!(disks.io().iops, Some(50));
}

#[test]
fn the_busiest_disk_where_none_is_stuck() {
    let with = |name, reads, busy, inflight| Line {
        busy,
        ..line(name, reads, inflight)
    };
    // the second was busy for longer, with nothing in flight just now
    let io = last(&[
        &[with("sda", 5, 100, 4), with("sdb", 5, 9000, 0)],
        &[with("sda", 6, 300, 4), with("sdb", 6, 9900, 0)],
    ]);
    assert_eq!((found(&io), io.inflight), (is("sdb", 0), 0));
    // of equals, the one with more in flight
    let io = last(&[&[line("sda", 5, 1), line("sdb", 5, 2), line("sdc", 5, 2)]]);
    assert_eq!(name(&io), Some("sdb".into()));
    // one that is stuck comes before a busy one
    let io = last(&[
        &[with("sda", 5, 100, 1), with("sdb", 5, 9000, 1)],
        &[with("sda", 5, 100, 1), with("sdb", 6, 9900, 1)],
    ]);
    assert_eq!(found(&io), is("sda", 2));
}
