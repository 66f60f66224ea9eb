use super::*;

const SECOND: u64 = 1_000_000;

fn moment(seconds: u64) -> Moment {
    Moment(seconds * SECOND)
}

fn series(readings: &[(u64, u64)]) -> Series {
    let mut series = Series::default();
    for (at, total) in readings {
        series.push(moment(*at), *total, false);
    }
    series
}

#[test]
fn a_counter_grows_evenly_between_readings() {
    let series = series(&[(10, 500), (20, 1_500), (30, 1_500)]);
    for (at, total) in [(0, 500), (10, 500), (15, 1_000), (20, 1_500), (99, 1_500)] {
        assert_eq!(series.total(moment(at)), total, "{at}");
    }
    assert_eq!(series.grown(moment(15)), 500);
}

#[test]
fn a_counter_that_falls_is_another_one() {
    let series = series(&[(10, 500), (20, 1_500), (30, 100), (40, 300)]);
    assert_eq!(series.total(moment(29)), 1_500);
    assert_eq!(series.total(moment(30)), 100);
    assert_eq!(series.total(moment(35)), 200);
    // what it has grown by does not count what it fell by
    assert_eq!(series.grown(moment(40)), 1_200);
}

/// No kernel counts so far, but a file may say anything.
#[test]
fn a_counter_that_has_grown_by_more_than_a_u64_holds_is_another_one() {
    let most = u64::MAX - 1;
    let series = series(&[(1, 0), (2, most), (3, 5), (4, most), (5, 7), (6, 9)]);
    for (at, total) in [(2, most), (3, 5), (4, most), (5, 7), (6, 9)] {
        assert_eq!(series.total(moment(at)), total, "{at}");
    }
}

#[test]
fn a_counter_that_rests_is_two_knots() {
    let mut rested = series(&[(1, 5), (2, 5), (3, 5), (4, 5), (5, 6)]);
    assert_eq!(rested.knots.len(), 3);
    assert_eq!(rested.total(moment(4)), 5);
    assert_eq!(rested.next_knot(moment(1)), Some(moment(4)));
    rested.forget_before(moment(4));
    assert_eq!((rested.knots.len(), rested.total(moment(5))), (2, 6));
}

#[test]
fn a_recording_begins_when_every_group_was_read() {
    let text = "psistat record 1\ngroup -\n5000000 a1\ngroup /x\n70:1 a2\n100 a1\n";
    let recording = Recording::parse(text).unwrap();
    assert_eq!(
        recording.span(),
        Some((Moment(5_000_070), Moment(5_000_170)))
    );
    let x = &recording.groups[1];
    assert!(x.is_there(Moment(5_000_070)) && !x.is_there(Moment(5_000_069)));
}

#[test]
fn a_cgroup_that_comes_again_is_another_one() {
    let text = "psistat record 2\ngroup /x\n1000000 c100\n1000000 -\n1000000 c300\n\
                1000000 c700\n";
    let recording = Recording::parse(text).unwrap();
    let x = &recording.groups[0];
    let there: Vec<_> = (0..5).map(|at| x.is_there(moment(at))).collect();
    assert_eq!(there, [false, true, false, true, true]);
    let memory = x.series(Resource::Memory, Kind::Some);
    assert_eq!(memory.total(moment(3)), 300);
    // it did not grow to 300 within the interval: nothing was read meanwhile
    assert_eq!(memory.grown(moment(4)), 700);
    let changes: Vec<_> = x.changes().map(|(at, new)| (at.0 / SECOND, new)).collect();
    assert_eq!(changes, [(1, true), (2, false), (3, true)]);
}

#[test]
fn a_counter_without_a_reading_is_empty() {
    assert!(series(&[]).is_empty());
    assert!(!series(&[(1, 0)]).is_empty());
}

#[test]
fn what_is_not_needed_any_more_is_forgotten() {
    let readings = [(10, 500), (20, 1_500), (30, 100), (40, 300)];
    let mut track = Track::default();
    track.series[0] = series(&readings);
    track.forget_before(moment(35));
    let series = &track.series[0];
    assert_eq!((series.knots.len(), series.bases.len()), (2, 1));
    assert_eq!(series.total(moment(40)), 300);
}

#[test]
fn other_counters_are_those_of_the_reading_before() {
    let text = "psistat record 2\ngroup /x\n5 c7 k1\n10 k2\n";
    let recording = Recording::parse(text).unwrap();
    let kills = |at| recording.groups[0].counters(Moment(at)).oom_kills;
    let expected = [None, Some(1), Some(1), Some(3)];
    assert_eq!([4, 5, 14, 15].map(kills), expected);
}

#[test]
fn a_recording_of_one_group_grows() {
    let totals = |memory| {
        let mut totals: Totals = [None; CELLS.len()];
        totals[3] = Some(memory);
        totals
    };
    let path = Some(b"/a".to_vec());
    let mut recording = Recording::of_group(path, moment(10), &totals(500));
    recording.feed(moment(20), &totals(700));
    assert_eq!(recording.group(Some(b"/a")), Some(0));
    assert_eq!(recording.span(), Some((moment(10), moment(20))));
    assert_eq!(recording.length(), Micros::secs(10));
    assert_eq!(recording.readings, 2);
    let memory = recording.groups[0].series(Resource::Memory, Kind::Full);
    assert_eq!(memory.total(moment(15)), 600);
}

#[test]
fn readings_are_lines_with_pressure() {
    let text = "psistat record 2\ngroup -\n5 c7\n10 c2\n0:host m1\n5 k3\n";
    assert_eq!(Recording::parse(text).unwrap().readings, 2);
}

#[test]
fn evidence_is_that_of_the_resource() {
    let resources = [Resource::Memory, Resource::Io, Resource::Cpu, Resource::Irq];
    for (lines, expected) in [
        ("", [false; 4]),
        ("5:host m9\n", [false; 4]),
        ("5:host a1\n", [false; 4]),
        ("5:host m9 a1\n", [true, false, false, false]),
        ("5/sda c1\n0:host\n", [false, true, false, false]),
        ("5:host i1\n", [false; 4]),
        ("5:host n1\n", [false; 4]),
        ("5:host i1 n1\n", [false, false, true, false]),
    ] {
        let text = format!("psistat record 2\ngroup -\n5 c7\n{lines}");
        let recording = Recording::parse(&text).unwrap();
        let has = resources.map(|resource| recording.has_evidence(resource));
        assert_eq!(has, expected, "{lines}");
    }
}
