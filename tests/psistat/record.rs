//! `--record`: the file that it leaves.

use std::fs;
use std::os::unix::fs::FileExt;

use libtest_mimic::Trial;

use psilogd::pressure::{Kind, Resource};
use psilogd::stat::record::{Point, parse};

use super::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("record::totals_are_kept_in_order", totals),
        trial("record::a_cgroup_that_comes_is_kept", cgroup),
        trial("record::other_counters_are_kept", others),
        trial("record::what_can_t_be_written_is_said", full),
    ]
}

/// `io` in place and of one length, as psistat keeps the file open.
fn set(directory: &Scratch, total: u64) {
    let stall = "avg10=0.00 avg60=0.00 avg300=0.00";
    let some = total + 5;
    let text = format!("some {stall} total={some:020}\nfull {stall} total={total:020}\n");
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).truncate(false).write(true);
    let file = file.open(directory.0.join("io")).expect("a pressure file");
    file.write_all_at(text.as_bytes(), 0)
        .expect("a pressure file");
}

/// Stops a psistat; what it has recorded.
fn stopped(running: &mut Running, file: &str) -> Vec<Point> {
    running.signal("TERM");
    assert_eq!(running.ended().code(), Some(0));
    parse(&fs::read_to_string(file).expect("a record")).expect("a record")
}

/// Of a file that only this test writes.
fn totals() -> Outcome {
    let directory = Scratch::new();
    set(&directory, 0);
    let file = directory.0.join("record").display().to_string();
    let proc = directory.0.display().to_string();
    let mut running = Running::new(&["--record", &file, "-P", &proc, "-r", "io", "10ms"]);
    // it keeps back some KB: once those are there, so is what came before
    let mut total = 0;
    until("a record", || {
        total += 1_000_000;
        set(&directory, total);
        let length = fs::metadata(&file).map_or(0, |file| file.len());
        (length > 0).then_some(())
    });
    let points = stopped(&mut running, &file);
    let totals: Vec<_> = points
        .iter()
        .map(|point| point.total(Resource::Io, Kind::Full).expect("a total"))
        .collect();
    assert!(points.len() > 100, "{} points", points.len());
    assert!(totals.is_sorted(), "{totals:?}");
    assert!(totals.iter().all(|total| total % 1_000_000 == 0));
    for (point, total) in points.iter().zip(&totals) {
        assert_eq!(point.total(Resource::Io, Kind::Some), Some(total + 5));
        assert_eq!(point.total(Resource::Memory, Kind::Full), None);
    }
    let (last, before) = (&points[points.len() - 1], &points[points.len() - 2]);
    assert_eq!(last.totals, before.totals);
    for pair in points.windows(2) {
        assert!(pair[1].at >= pair[0].at);
    }
    DONE
}

/// The other counters are beside the pressure files, as in /proc.
fn others() -> Outcome {
    let proc = Scratch::new();
    let pressure = proc.0.join("pressure");
    fs::create_dir(&pressure).expect("a directory");
    fs::copy(fixture("all/1/io"), pressure.join("io")).expect("a pressure file");
    proc.file(
        "meminfo",
        "MemTotal: 1000 kB\nMemAvailable: 250 kB\nSwapTotal: 0 kB\n",
    );
    proc.file("vmstat", "pgpgin 7\noom_kill 3\npgpgout 1\n");
    proc.file(
        "stat",
        "cpu 1 2 3 40 5 6 7 8 0 0\ncpu0 1 2 3 40 5 6 7 8 0 0\nintr 9\n",
    );
    let disk = "8 0 sda 10 0 0 70 5 0 0 30 0 900 0 1 0 0 2 2 3 4\n";
    let partition = "8 1 sda1 10 0 0 70 5 0 0 30 2 900 0\n";
    proc.file(
        "diskstats",
        format!("{disk}{partition}7 0 loop0 1 0 0 1 1 0 0 1 1 1 1\n"),
    );
    let file = proc.0.join("record").display().to_string();
    let pressure = pressure.display().to_string();
    let mut running = Running::new(&["--record", &file, "-P", &pressure, "10ms"]);
    let stat = || fs::read_to_string(format!("/proc/{}/stat", running.child.id())).ok();
    until("psistat to wait", || stat()?.contains(") S ").then_some(()));
    let points = stopped(&mut running, &file);
    assert!(!points.is_empty());
    let text = fs::read_to_string(&file).expect("a record");
    let line = |at: usize| text.lines().nth(at).and_then(|line| line.split_once(' '));
    let (head, disk) = line(3).expect("a disk");
    assert!(head.ends_with("/sda"), "{text}");
    assert_eq!(disk, "c18 q2 b900 w105", "{text}");
    let (head, host) = line(4).expect("the host");
    assert!(head.ends_with(":host"), "{text}");
    assert_eq!(host, "m1000 a250 s0 k3 n1 i45 t8", "{text}");
    DONE
}

fn cgroup() -> Outcome {
    let Some(group) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let directory = Scratch::new();
    let file = directory.0.join("record").display().to_string();
    fs::create_dir(group.path.join("first")).expect("a cgroup");
    let pattern = format!("{}/*", group.cgroup());
    let mut running = Running::new(&["--record", &file, "-g", &pattern, "10ms"]);
    until("a record", || file_exists(&file));
    let child = group.path.join("a b");
    fs::create_dir(&child).expect("a cgroup");
    // it sleeps once an interval, so that some of these are behind whole readings
    let pauses = || pauses(running.child.id());
    let before = pauses();
    until("psistat to read it", || {
        (pauses() >= before + 20).then_some(())
    });
    let points = stopped(&mut running, &file);
    let path = format!("{}/a b", group.cgroup()).into_bytes();
    assert!(
        points
            .iter()
            .any(|point| point.path.as_deref() == Some(&path[..]))
    );
    DONE
}

/// How often a process has waited of its own accord.
fn pauses(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let mut lines = status.lines();
    let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    let count = count.map(|count| count.trim().parse());
    count.expect("a count").expect("a number")
}

fn file_exists(file: &str) -> Option<()> {
    fs::exists(file).is_ok_and(|found| found).then_some(())
}

fn full() -> Outcome {
    let fixture = fixture("all/1");
    let output = run(&["--record", "/nowhere/at/all", "-P", &fixture]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    let sentence = "cannot write /nowhere/at/all: No such file or directory; create its directory";
    assert!(said.contains(sentence), "{said}");
    let mut running = Running::new(&["--record", "/dev/full", "-P", &fixture, "10ms"]);
    until("psistat to warn", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", running.child.id())).ok()?;
        stat.contains(") S ").then_some(())
    });
    running.signal("TERM");
    assert_eq!(running.ended().code(), Some(1));
    DONE
}
