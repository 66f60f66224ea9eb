//! `--check`, as a monitoring system runs it: the exit code, and one line.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;

use super::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("check::a_counter_at_rest_is_ok", at_rest),
        trial("check::a_counter_that_grows_exceeds_thresholds", grows),
        trial("check::what_was_not_measured_is_unknown", unknown),
        trial("check::a_cgroup_that_goes_is_unknown", goes),
        trial("check::a_line_that_is_not_taken_is_unknown", not_taken),
        trial("check::pressure_of_this_kernel", this_kernel),
    ]
}

/// The exit code and the one line, without its end.
fn result(output: &Output) -> (Option<i32>, String) {
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    let line = text.strip_suffix('\n').expect("a line");
    assert!(!line.contains('\n'), "{text}");
    (output.status.code(), line.to_string())
}

fn at_rest() -> Outcome {
    let (pressure, cgroups) = (fixture("all/1"), fixture("cgroups/2"));
    for (args, line) in [
        (
            &[
                "-P", &pressure, "--check", "io full", "--warn", "10%", "--crit", "40.5", "10ms",
            ][..],
            "PSI OK: io full 0.00% over 10ms | io_full=0.00%;10.00;40.50;0;100",
        ),
        (
            &["-P", &pressure, "--check=irq full", "--warn", "0%", "0.02"],
            "PSI OK: irq full 0.00% over 20ms | irq_full=0.00%;0.00;;0;100",
        ),
        (
            &[
                "-C",
                &cgroups,
                "--check",
                "cpu full",
                "-g",
                "/user.slice/a%20b",
                "10ms",
            ],
            "PSI OK: cpu full 0.00% over 10ms in /user.slice/a%20b | cpu_full=0.00%;;;0;100",
        ),
        // the default
        (
            &["-P", &pressure, "--check", "cpu some"],
            "PSI OK: cpu some 0.00% over 2s | cpu_some=0.00%;;;0;100",
        ),
    ] {
        assert_eq!(result(&run(args)), (Some(0), line.to_string()), "{args:?}");
    }
    DONE
}

/// A pressure file whose counter grows by far more than the time that passes.
fn growing(file: &Path, done: &AtomicBool) {
    let file = File::create(file).expect("a file");
    for total in 1.. {
        let text = format!("full avg10=0.00 avg60=0.00 avg300=0.00 total={total:05}000000000\n");
        file.write_all_at(text.as_bytes(), 0).expect("written");
        if done.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn grows() -> Outcome {
    let scratch = Scratch::new();
    let (directory, file) = (scratch.0.display().to_string(), scratch.0.join("memory"));
    let done = AtomicBool::new(false);
    let lines = std::thread::scope(|scope| {
        scope.spawn(|| growing(&file, &done));
        let lines = [
            (
                &["--warn", "10"][..],
                1,
                ", above 10.00% | memory_full=100.00%;10.00;;0;100",
            ),
            (
                &["--warn", "10", "--crit", "40"],
                2,
                ", above 40.00% | memory_full=100.00%;10.00;40.00;0;100",
            ),
            (
                &["--crit", "99.99"],
                2,
                ", above 99.99% | memory_full=100.00%;;99.99;0;100",
            ),
            (&[], 0, " | memory_full=100.00%;;;0;100"),
        ]
        .map(|(thresholds, code, end)| {
            let check = ["-P", &directory, "--check", "memory full", "200ms"];
            // the writer may have had no turn
            let found = until("growth", || {
                let output = run(&[&check, thresholds].concat());
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                text.contains(" 100.00% over 200ms")
                    .then(|| result(&output))
            });
            (found, code, end)
        });
        done.store(true, Ordering::Relaxed);
        lines
    });
    for ((found, line), code, end) in lines {
        let state = ["OK", "WARNING", "CRITICAL"][code as usize];
        let expected = format!("PSI {state}: memory full 100.00% over 200ms{end}");
        assert_eq!((found, line), (Some(code), expected));
    }
    DONE
}

/// Also a wrong command line, of which no one would read standard error.
fn unknown() -> Outcome {
    let (no_irq, cgroups) = (fixture("no-irq/1"), fixture("cgroups/1"));
    let pipe = format!("{cgroups}/a|b");
    for (args, sentence) in [
        (&["--check"][..], "option --check: the argument is missing"),
        (
            &["--check", "memory"],
            "option --check: \"memory\": expected a resource",
        ),
        (&["--check", "memory full io"], "e.g. 'memory full'"),
        (
            &["--check", "disk full"],
            "\"disk full\": expected a resource (cpu, memory, io, irq)",
        ),
        (
            &["--check", "irq some"],
            "no kernel records it; expected 'irq full'",
        ),
        (&["--check", "io full", "--frob"], "unknown option --frob"),
        (
            &["--check=io full", "-h"],
            "-h, --help can't be used with --check",
        ),
        (
            &["--check", "io full", "-r", "io"],
            "-r, --resource can't be used with --check",
        ),
        (
            &["--check", "io full", "--openmetrics"],
            "--openmetrics can't be used with --check",
        ),
        (
            &["--check", "io full", "--warn", "much"],
            "\"much\": expected a percentage",
        ),
        (
            &["--check", "io full", "--crit", "100%"],
            "nothing is above 100%",
        ),
        (
            &["--check", "io full", "--warn", "41", "--crit", "40"],
            "--warn must not be above --crit",
        ),
        (&["--check", "io full", "1ms"], "at least 10ms"),
        (
            &["--check", "io full", "1", "5"],
            "\"5\": --check takes an interval and no count",
        ),
        (
            &["--check", "io full", "-g", "**"],
            "-g must be one cgroup and not a pattern",
        ),
        (
            &["--check", "io full", "-g", "/\x1b\n"],
            "there is no cgroup /%1B%0A, which",
        ),
        (
            &["--check", "io full", "-C", &pipe, "-g", "/"],
            "/a%7Cb: -C expects",
        ),
        (
            &["--check", "irq full", "-P", &no_irq],
            "the kernel records no irq full: psistat shows",
        ),
        (
            &["--check", "cpu full", "-P", &no_irq],
            "name a cgroup with -g",
        ),
        (
            &["--check", "io full", "-P", "/nonexistent"],
            "there is no directory /nonexistent",
        ),
    ] {
        let (code, line) = result(&run(args));
        assert_eq!(code, Some(3), "{args:?}: {line}");
        assert!(line.starts_with("PSI UNKNOWN: "), "{args:?}: {line}");
        assert!(line.contains(sentence), "{args:?}: {line}");
        // no performance data, and nothing that a terminal or a parser obeys
        let plain = |c: char| c.is_ascii_graphic() && c != '|' || c == ' ';
        assert!(line.chars().all(plain), "{args:?}: {line:?}");
    }
    DONE
}

fn goes() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let child = psistat(&["--check", "cpu some", "-g", &cgroup.cgroup(), "2s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psistat runs");
    until("the first reading", || {
        let proc = format!("/proc/{}", child.id());
        let files = std::fs::read_dir(format!("{proc}/fd")).ok()?.flatten();
        let mut targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        let open = targets.any(|target| target.ends_with("cpu.pressure"));
        let stat = std::fs::read_to_string(format!("{proc}/stat")).ok()?;
        (open && stat.contains(") S ")).then_some(())
    });
    cgroup.remove();
    let (code, line) = result(&child.wait_with_output().expect("psistat ends"));
    let why =
        "the counter of cpu some was replaced between its two readings: its cgroup was removed";
    assert_eq!((code, line), (Some(3), format!("PSI UNKNOWN: {why}")));
    DONE
}

fn not_taken() -> Outcome {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        return skip("there is no /dev/full");
    };
    let output = psistat(&["-P", &fixture("all/1"), "--check", "io full", "10ms"])
        .stdout(full)
        .output()
        .expect("psistat runs");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    DONE
}

fn this_kernel() -> Outcome {
    if !std::fs::read("/proc/pressure/cpu").is_ok_and(|text| !text.is_empty()) {
        return skip("this kernel keeps no pressure figures");
    }
    let (code, line) = result(&run(&["--check", "cpu some", "500ms"]));
    let share = line.strip_prefix("PSI OK: cpu some ").expect(&line);
    let (share, rest) = share.split_once("% over 500ms | ").expect(&line);
    assert!(
        (0.0..=100.0).contains(&share.parse().expect(&line)),
        "{line}"
    );
    assert_eq!(
        (code, rest),
        (Some(0), &*format!("cpu_some={share}%;;;0;100"))
    );
    DONE
}
