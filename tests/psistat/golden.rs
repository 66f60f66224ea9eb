//! Fixture trees of pressure files, of kernels without irq, without cpu full and
//! with all of it, against the tables and JSON kept in golden/. The clock is set
//! by hand: the first reading is 100 s after boot, the second 2 s later.
//! PSISTAT_GOLDEN=write writes them anew, to be looked at with git diff.

use std::path::Path;

use libtest_mimic::Trial;
use psilogd::pattern::Pattern;
use psilogd::pressure::{Kind, Resource};
use psilogd::psistat::reader::Reader;
use psilogd::stat::table::{Limits, Look};
use psilogd::stat::{self, Group, Row, Selection, json};

use super::support::*;

pub fn trials() -> Vec<Trial> {
    let mut trials: Vec<_> = ["all", "no-irq", "no-cpu-full", "later-kernel"]
        .into_iter()
        .map(|kernel| {
            Trial::test(format!("golden::{kernel}"), move || {
                system(kernel);
                Ok(())
            })
        })
        .collect();
    trials.push(trial("golden::cgroups", cgroups));
    trials.push(trial("golden::screens", screens));
    trials.push(trial("golden::bad_files_get_a_sentence", bad_files));
    trials.push(trial("golden::the_binary_reads_the_same", binary));
    trials
}

const ALL: Selection = [true; stat::CELLS.len()];
const LOOK: Look = Look {
    selection: ALL,
    averages: false,
    time: 0,
    names: false,
    colours: None,
    width: Some(80),
    cut: false,
    utf8: false,
    mark: None,
};

fn read(root: Option<&Path>, cgroups: Option<&Path>, patterns: &[Pattern], at: u64) -> Vec<Group> {
    let reader = Reader::open(ALL, root, cgroups, patterns);
    let mut groups = reader.and_then(|mut reader| reader.read()).expect("groups");
    for group in &mut groups {
        // a fixture's inode numbers say nothing
        group.id = 0;
        for reading in group.readings.iter_mut().flatten() {
            reading.at = psilogd::time::Moment(at);
        }
    }
    groups
}

fn write(out: &mut Vec<u8>, what: &str, look: Look, readings: &[Vec<Row>]) {
    out.extend_from_slice(format!("== {what}\n").as_bytes());
    look.header(out);
    for row in readings.iter().flatten() {
        look.row(out, "", row);
    }
}

pub fn compare(name: &str, text: &[u8]) {
    let text = String::from_utf8(text.to_vec()).expect("text");
    let golden = fixtures().join("../golden").join(name);
    if std::env::var_os("PSISTAT_GOLDEN").is_some() {
        std::fs::write(&golden, &text).expect("golden");
    }
    let expected = std::fs::read_to_string(&golden).expect("golden");
    assert!(text == expected, "{} differs:\n{text}", golden.display());
}

fn rows(before: &[Group], now: &[Group]) -> [Vec<Row>; 2] {
    [stat::since_boot(before), stat::interval(before, now)]
}

fn system(kernel: &str) {
    let root = fixtures().join(kernel);
    let before = read(Some(&root.join("1")), None, &[], 100_000_000);
    let now = read(Some(&root.join("2")), None, &[], 102_000_000);
    let rows = rows(&before, &now);
    let mut out = Vec::new();
    write(&mut out, "rows", LOOK, &rows);
    let averages = Look {
        averages: true,
        ..LOOK
    };
    write(&mut out, "-a", averages, &rows);
    let wide = Look {
        width: None,
        ..averages
    };
    write(&mut out, "-a -w", wide, &rows);
    let colours = Look {
        colours: Some(Limits {
            yellow: psilogd::pressure::Percent(1_000),
            red: psilogd::pressure::Percent(5_000),
        }),
        selection: stat::select(
            &[Resource::Cpu, Resource::Memory],
            &[Kind::Some, Kind::Full],
        ),
        ..LOOK
    };
    write(&mut out, "-r cpu,memory, in colour", colours, &rows);
    out.extend_from_slice(b"== -j\n");
    for row in rows.iter().flatten() {
        json::object(&mut out, ALL, 1_795_373_926_123_456, row);
    }
    compare(&format!("{kernel}.txt"), &out);
}

fn cgroups() -> Outcome {
    let root = fixtures().join("cgroups");
    let mut out = Vec::new();
    for pattern in ["**", "/system.slice/*.service", "a%20b"] {
        let patterns = [Pattern::parse(pattern.as_bytes()).expect("a pattern")];
        let at = |reading: &str, time| read(None, Some(&root.join(reading)), &patterns, time);
        let (before, now) = (at("1", 100_000_000), at("2", 102_000_000));
        let look = Look {
            names: true,
            ..LOOK
        };
        let rows = rows(&before, &now);
        write(&mut out, &format!("-g '{pattern}'"), look, &rows);
        let [_, interval] = rows;
        let top = stat::most_stalled(interval, ALL, 2);
        write(&mut out, "-n 2", look, std::slice::from_ref(&top));
        out.extend_from_slice(b"== -n 2 -j\n");
        for row in &top {
            json::object(&mut out, ALL, 1_795_373_926_123_456, row);
        }
    }
    compare("cgroups.txt", &out);
    DONE
}

/// What terminals of four widths show, in colours, of the system and of cgroups.
fn screens() -> Outcome {
    let all = fixtures().join("all");
    let at = |reading: &str, time| read(Some(&all.join(reading)), None, &[], time);
    let [_, system] = rows(&at("1", 100_000_000), &at("2", 102_000_000));
    let patterns = [Pattern::parse(b"**").expect("a pattern")];
    let tree = fixtures().join("cgroups");
    let at = |reading: &str, time| read(None, Some(&tree.join(reading)), &patterns, time);
    let [_, cgroups] = rows(&at("1", 100_000_000), &at("2", 102_000_000));
    let mut out = Vec::new();
    for width in [40, 80, 120, 200] {
        let look = |rows: &[Row]| Look {
            selection: stat::filled(rows),
            width: Some(width),
            cut: true,
            utf8: true,
            colours: Some(Limits {
                yellow: psilogd::pressure::Percent(1_000),
                red: psilogd::pressure::Percent(5_000),
            }),
            ..LOOK
        };
        let shown = std::slice::from_ref(&system);
        write(&mut out, &format!("{width} columns"), look(&system), shown);
        let averages = Look {
            averages: true,
            ..look(&system)
        };
        write(&mut out, &format!("-a, {width} columns"), averages, shown);
        let names = Look {
            names: true,
            ..look(&cgroups)
        };
        let shown = std::slice::from_ref(&cgroups);
        write(&mut out, &format!("-g '**', {width} columns"), names, shown);
    }
    compare("screens.txt", &out);
    DONE
}

/// One sentence with the file's name, and exit code 1.
fn bad_files() -> Outcome {
    for (tree, sentence) in [
        ("truncated", "truncated/memory ends in the middle of a line"),
        (
            "empty",
            "empty/memory is empty: the kernel records no pressure there",
        ),
        ("garbage", "garbage/memory is not a pressure file"),
    ] {
        let output = run(&["-P", &fixture(tree)]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{tree}");
        assert!(output.stdout.is_empty(), "{tree}: {output:?}");
        assert!(stderr.contains(sentence), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        // what isn't asked for isn't read
        stdout(&["-P", &fixture(tree), "-r", "cpu,io"]);
    }
    DONE
}

/// The binary's own way through options and loop: its rows but for the interval,
/// which is this machine's uptime.
fn binary() -> Outcome {
    let golden = std::fs::read_to_string(fixtures().join("../golden/all.txt")).expect("golden");
    let text = stdout(&["-a", "-P", &fixture("all/1")]);
    let averages = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
            .map(|line| {
                let (label, rest) = line.split_at(11);
                format!("{label}{}", &rest[7..])
            })
            .collect()
    };
    let (_, block) = golden.split_once("== -a\n").expect("a block");
    let (block, _) = block.split_once("\n\n").expect("its end");
    assert_eq!(averages(&text), averages(block));
    assert_eq!(averages(&text).len(), 7);
    DONE
}
