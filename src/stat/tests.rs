use super::*;

pub(super) const ALL: Selection = [true; CELLS.len()];
pub(super) const BOTH: [Kind; 2] = [Kind::Some, Kind::Full];

pub(super) fn line(total: u64) -> Option<Averages> {
    Some(Averages {
        avg10: Percent(12),
        avg60: Percent(345),
        avg300: Percent(10_000),
        total,
    })
}

pub(super) fn reading(at: u64, some: Option<u64>, full: Option<u64>) -> Option<Reading> {
    Some(Reading {
        at: Moment(at),
        pressure: Pressure {
            some: some.and_then(line),
            full: full.and_then(line),
        },
    })
}

/// A group of which every line's counter is `total`.
pub(super) fn group(path: Option<&str>, id: u64, at: u64, total: u64) -> Group {
    Group {
        path: path.map(|path| path.as_bytes().to_vec()),
        id,
        readings: [
            reading(at, Some(total), Some(total)),
            reading(at, Some(total), Some(total)),
            reading(at, Some(total), Some(total)),
            reading(at, None, Some(total)),
        ],
    }
}

fn shares(row: &Row) -> Vec<Option<u32>> {
    let share = |(resource, kind)| Some(row.figure(resource, kind)?.share?.0);
    cells(ALL).map(share).collect()
}

#[test]
fn a_share_is_growth_over_measured_time() {
    let before = group(None, 0, 5_000_000, 1_000);
    let now = group(None, 0, 6_000_100, 251_000);
    let rows = interval(&[before], &[now]);
    // 250 ms of 1.0001 s; the system has no cpu full
    let expected = Some(2_500);
    assert_eq!(
        rows.iter().map(shares).collect::<Vec<_>>(),
        [[
            expected, None, expected, expected, expected, expected, expected
        ]]
    );
    let figures = rows[0].figures[1].unwrap();
    assert_eq!(figures.interval, Some(Micros(1_000_100)));
    assert_eq!(figures.some.unwrap().growth, Some(Micros(250_000)));
}

#[test]
fn shares_are_rounded_and_clamped() {
    for (part, all, hundredths) in [
        (0, 1_000_000, Some(0)),
        (1_234_560, 10_000_000, Some(1235)),
        (1_234_499, 10_000_000, Some(1234)),
        (1_000_001, 1_000_000, Some(10_000)),
        (u64::MAX, 1, Some(10_000)),
        (u64::MAX, u64::MAX, Some(10_000)),
        (1, 0, None),
    ] {
        let share = share(Micros(part), Micros(all)).map(|share| share.0);
        assert_eq!(share, hundredths, "{part}/{all}");
    }
}

#[test]
fn the_first_row_is_since_boot() {
    let rows = since_boot(&[group(Some("/a"), 1, 100_000_000, 1_000_000)]);
    assert_eq!(shares(&rows[0]), [Some(100); 7]);
    assert_eq!(
        rows[0].figures[0].unwrap().interval,
        Some(Micros(100_000_000))
    );
}

#[test]
fn a_counter_that_falls_says_nothing_of_the_interval() {
    let rows = interval(&[group(None, 0, 0, 500)], &[group(None, 0, 1_000_000, 499)]);
    assert_eq!(shares(&rows[0]), [None; 7]);
    let figure = rows[0].figure(Resource::Io, Kind::Full).unwrap();
    assert_eq!((figure.growth, figure.stall.total), (None, 499));
}

#[test]
fn cpu_full_is_known_of_cgroups_only() {
    for (path, known) in [(None, false), (Some("/"), false), (Some("/a"), true)] {
        let rows = since_boot(&[group(path, 0, 1_000_000, 1)]);
        let figure = rows[0].figure(Resource::Cpu, Kind::Full);
        assert_eq!(figure.is_some(), known, "{path:?}");
    }
}

#[test]
fn what_the_kernel_does_not_have_is_nothing_and_not_zero() {
    let mut group = group(None, 0, 1_000_000, 7);
    group.readings[Resource::Irq as usize] = None;
    group.readings[Resource::Memory as usize] = reading(1_000_000, Some(7), None);
    let row = &since_boot(&[group])[0];
    assert_eq!(row.figure(Resource::Irq, Kind::Full), None);
    assert_eq!(row.figure(Resource::Memory, Kind::Full), None);
    assert!(row.figure(Resource::Memory, Kind::Some).is_some());
}

#[test]
fn cgroups_come_go_and_come_again() {
    let second = 1_000_000;
    let before = [
        group(Some("/gone"), 1, 0, 0),
        group(Some("/renewed"), 2, 0, 0),
        group(Some("/stays"), 3, 0, 0),
    ];
    let now = [
        group(Some("/new"), 5, second, 500_000),
        group(Some("/renewed"), 4, second, 500_000),
        group(Some("/stays"), 3, second, 500_000),
    ];
    let rows = interval(&before, &now);
    let first: Vec<_> = rows
        .iter()
        .map(|row| {
            let name = String::from_utf8_lossy(row.cgroup.as_deref().unwrap_or_default());
            (name.into_owned(), shares(row)[0])
        })
        .collect();
    let name = |name: &str| name.to_string();
    assert_eq!(
        first,
        [
            (name("/gone"), None),
            (name("/new"), None),
            (name("/renewed"), None),
            (name("/stays"), Some(5_000)),
        ]
    );
    // and the row of what is gone comes once
    let gone = Group {
        readings: [None; 4],
        ..before[0].clone()
    };
    assert_eq!(interval(&[gone], &[]), []);
}

#[test]
fn the_most_stalled_come_first() {
    let before: Vec<_> = ["/a", "/b", "/c", "/d"]
        .map(|path| group(Some(path), 0, 0, 0))
        .into();
    let grown: Vec<_> = [
        ("/a", 10_000),
        ("/b", 90_000),
        ("/c", 10_000),
        ("/d", 50_000),
    ]
    .map(|(path, total)| group(Some(path), 0, 1_000_000, total))
    .into();
    let names = |n| -> Vec<_> {
        most_stalled(interval(&before, &grown), ALL, n)
            .into_iter()
            .filter_map(|row| String::from_utf8(row.cgroup?).ok())
            .collect()
    };
    assert_eq!(names(10), ["/b", "/d", "/a", "/c"]);
    assert_eq!(names(2), ["/b", "/d"]);
    assert_eq!(names(0), [""; 0]);
}

/// Ranked by what is shown; what shows nothing comes last.
#[test]
fn ranking_looks_at_the_selected_resources() {
    let only = |resource: Resource| {
        let mut group = group(Some(resource.name()), 0, 1_000_000, 500_000);
        for other in Resource::ALL {
            if other != resource {
                group.readings[other as usize] = None;
            }
        }
        group
    };
    let rows = since_boot(&[only(Resource::Cpu), only(Resource::Memory)]);
    let first = most_stalled(rows, select(&[Resource::Memory], &BOTH), 1);
    assert_eq!(first[0].cgroup, Some(b"memory".to_vec()));
}

#[test]
fn a_name_is_one_printable_word() {
    let group = Group {
        path: Some(b"/a b\n\xff\x1b*".to_vec()),
        ..group(None, 0, 0, 0)
    };
    assert_eq!(
        group.since(None).cgroup,
        Some(b"/a%20b%0A%FF%1B%2A".to_vec())
    );
}

#[test]
fn columns_without_figures_are_known() {
    let mut group = group(None, 0, 1_000_000, 0);
    let all = filled(&since_boot(std::slice::from_ref(&group)));
    // cpu full of the whole system, and an irq full that has never grown
    assert_eq!(all, [true, false, true, true, true, true, false]);
    group.readings[Resource::Irq as usize] = reading(1_000_000, None, Some(1));
    group.readings[Resource::Io as usize] = None;
    let some = filled(&since_boot(std::slice::from_ref(&group)));
    assert_eq!(some, [true, false, true, true, false, false, true]);
    assert_eq!(filled(&[]), [false; CELLS.len()]);
}

#[test]
fn a_row_is_idle_if_it_shows_nothing_but_zero() {
    let idle = |total, averages| {
        let groups = [group(Some("/a"), 0, 1_000_000_000, total)];
        since_boot(&groups)[0].is_idle(ALL, averages)
    };
    assert!(idle(0, false) && idle(49_999, false));
    assert!(!idle(50_000, false), "0.01 is shown");
    // the kernel's averages of that group are not 0
    assert!(!idle(0, true));
    let gone = interval(&[group(Some("/a"), 0, 1, 0)], &[]);
    assert!(gone[0].is_idle(ALL, true));
}
