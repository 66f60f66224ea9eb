//! The command line: what is refused and how, pipes, signals.

use std::os::unix::process::ExitStatusExt;

use libtest_mimic::Trial;
use psilogd::config::Config;

use super::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("cli::exit_codes", exit_codes),
        trial(
            "cli::nothing_to_read_is_one_sentence_with_the_remedy",
            nothing,
        ),
        trial("cli::what_may_not_be_read_is_one_sentence", unreadable),
        trial("cli::a_pipe_is_not_waited_for", pipes),
        trial("cli::without_psi_or_proc_too", without_proc),
        trial("cli::no_name_steers_the_terminal", steering_names),
        trial("cli::the_first_row_is_marked", marked),
        trial("cli::a_full_disk_is_reported", full_disk),
        trial("cli::the_header_comes_again", header_again),
        trial("cli::nothing_but_text_goes_into_a_pipe", plain_pipe),
        trial("cli::blocks_in_a_pipe", blocks),
        trial("cli::a_closed_pipe_ends_it_quietly", closed_pipe),
        trial("cli::so_does_one_that_was_closed_before", closed_before),
        trial(
            "cli::it_does_not_wait_for_the_next_row_to_see_that",
            closed_while_idle,
        ),
        trial("cli::interrupted_it_dies_of_the_signal", interrupted),
        trial("cli::suggestions_come_with_interrupt", suggest_interrupted),
        trial("cli::suggestions_come_in_time", suggest_in_time),
        trial("cli::json_is_read_by_jq", by_jq),
        trial("cli::json_is_read_by_python", by_python),
    ]
}

fn exit_codes() -> Outcome {
    for (args, code, word) in [
        (&["-h"][..], 0, "usage: psistat"),
        (&["-V"], 0, concat!("psistat ", env!("CARGO_PKG_VERSION"))),
        (&["--help"], 0, "usage: psistat"),
        (
            &["--version"],
            0,
            concat!("psistat ", env!("CARGO_PKG_VERSION")),
        ),
        (&["-x"], 2, "try psistat --help"),
        (&["--frob"], 2, "unknown option --frob"),
        (&["--top"], 2, "option -n, --top: the argument is missing"),
        (&["soon"], 2, "\"soon\""),
        (&["1", "2", "3"], 2, "\"3\""),
        (&["-c", "50,10"], 2, "the smaller first"),
        (&["-r", "disk"], 2, "cpu, memory, io or irq"),
        (&["--suggest", "1h", "-j"], 2, "-j"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        let (text, other) = match code {
            0 => (output.stdout, output.stderr),
            _ => (output.stderr, output.stdout),
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains(word), "{args:?}: {text}");
        assert!(other.is_empty(), "{args:?}");
    }
    DONE
}

/// What can't be written is no success.
fn full_disk() -> Outcome {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else {
        return skip("there is no /dev/full");
    };
    let output = psistat(&["-P", &fixture("all/1"), "1h"])
        .stdout(full)
        .output()
        .expect("psistat runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr == "psistat: cannot write to standard output: No space left on device\n",
        "{stderr}"
    );
    DONE
}

/// What psistat says on standard error, which is one line, before it fails.
fn sentence(output: &std::process::Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(!stderr.contains("os error"), "{stderr}");
    let text = stderr.trim_end().strip_prefix("psistat: ");
    text.expect("its name").to_string()
}

/// Pipes without a writer, in the places of all files that are read.
fn pipes() -> Outcome {
    let scratch = Scratch::new();
    let (root, pressure) = (scratch.0.display(), scratch.0.join("pressure"));
    std::fs::create_dir(&pressure).expect("a directory");
    let names = ["pressure/cpu", "cpu.pressure", "cpu.stat", "meminfo"];
    let paths = names.map(|name| scratch.0.join(name));
    let made = std::process::Command::new("mkfifo").args(&paths).status();
    if !made.is_ok_and(|status| status.success()) {
        return skip("mkfifo makes no pipes here");
    }
    let words = "it is a pipe or a device; expected a pressure file, check -P and -C";
    let output = psistat(&["-r", "cpu", "-P", &pressure.display().to_string()]);
    assert_eq!(
        sentence(&ended(output)),
        format!("cannot read {root}/pressure/cpu: {words}")
    );
    let mount = format!("-C{root}");
    let output = psistat(&["-r", "cpu", &mount, "-g", "/"]);
    assert_eq!(
        sentence(&ended(output)),
        format!("cannot read {root}/cpu.pressure: {words}")
    );
    // what the record could do without
    std::fs::remove_file(&paths[0]).expect("a pipe");
    std::fs::copy(fixture("all/1/cpu"), &paths[0]).expect("a pressure file");
    let record = scratch.0.join("record");
    let mut running = psistat(&["-P", &pressure.display().to_string(), "--record"])
        .arg(&record)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("psistat runs");
    until("the record exists", || record.exists().then_some(()));
    until("the record ends", || {
        let kill = format!("kill -TERM {}", running.id());
        let _ = std::process::Command::new("sh")
            .args(["-c", &kill])
            .status();
        running.try_wait().expect("a child")
    });
    let text = std::fs::read_to_string(record).expect("text");
    assert!(text.starts_with("psistat record "), "{text}");
    DONE
}

/// What psistat has said when it has ended; one that waits is killed.
fn ended(mut command: std::process::Command) -> std::process::Output {
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("psistat runs");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while child.try_wait().expect("a child").is_none() {
        if std::time::Instant::now() > end {
            let _ = child.kill();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.wait_with_output().expect("psistat ends")
}

fn nothing() -> Outcome {
    let (cgroups, file) = (fixture("cgroups/1"), fixture("all/1/cpu"));
    let directory = Scratch::new();
    std::fs::create_dir(directory.0.join("memory")).expect("a directory");
    std::fs::create_dir(directory.0.join("off")).expect("a directory");
    std::fs::write(directory.0.join("no-directory"), "").expect("a file");
    let scratch = directory.0.display().to_string();
    let pressure = "-P expects a directory like /proc/pressure; a cgroup is named with -g";
    let mount = "-C expects the cgroup2 mount, usually /sys/fs/cgroup";
    for (args, expected) in [
        (
            ["-P", "/nonexistent", "1"],
            format!("there is no directory /nonexistent: {pressure}"),
        ),
        (
            ["-P", &file, "1"],
            format!("{file} is not a directory: {pressure}"),
        ),
        (
            ["-P", &cgroups, "1"],
            format!("{cgroups} holds no pressure files (cpu, memory, io, irq): {pressure}"),
        ),
        (
            ["-P", &scratch, "1"],
            format!(
                "cannot read {scratch}/memory: Is a directory; expected a pressure file, check \
                 -P and -C"
            ),
        ),
        (
            ["-C/nonexistent", "-g", "/a"],
            format!("there is no directory /nonexistent: {mount}"),
        ),
        (
            ["-C/nonexistent", "-n", "3"],
            format!("there is no directory /nonexistent: {mount}"),
        ),
        (
            [&format!("-C{file}"), "-g", "**"],
            format!("{file} is not a directory: {mount}"),
        ),
        (
            [&format!("-C{cgroups}"), "-g", "/no%1Bpe"],
            format!(
                "there is no cgroup /no%1Bpe, which would be {cgroups}/no\\u{{1b}}pe: psistat -g \
                 '**' lists all of them"
            ),
        ),
        (
            [&format!("-C{cgroups}"), "-g", "/no*pe"],
            format!("no cgroup below {cgroups} matches: psistat -g '**' lists all of them"),
        ),
        (
            [&format!("-C{scratch}"), "-g", "/no-directory"],
            format!(
                "there is no cgroup /no-directory: {scratch}/no-directory is a file, and a cgroup \
                 is a directory"
            ),
        ),
        (
            [&format!("-C{scratch}"), "-g", "/off"],
            format!(
                "the cgroup /off has no pressure files: write 1 to {scratch}/off/cgroup.pressure, \
                 or boot with psi=1"
            ),
        ),
    ] {
        assert_eq!(sentence(&run(&args)), expected, "{args:?}");
    }
    DONE
}

/// As an ordinary user, since root may read everything.
fn unreadable() -> Outcome {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let directory = Scratch::new();
    let mode = |path: &std::path::Path, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).expect("a mode");
    };
    mode(&directory.0, 0o755);
    let file = directory.0.join("cpu");
    std::fs::write(&file, "").expect("a file");
    mode(&file, 0);
    // where another user can run it
    let program = directory.0.join("psistat");
    std::fs::copy(PSISTAT, &program).expect("a copy");
    mode(&program, 0o755);
    let mut command = std::process::Command::new(&program);
    command.arg("-P").arg(&directory.0);
    if std::fs::metadata(&file).expect("a file").uid() == 0 {
        command.uid(65_534);
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return skip(format!("no program runs as another user here: {error}")),
    };
    let expected = format!(
        "cannot read {}: Permission denied; run psistat as its owner or as root",
        file.display()
    );
    assert_eq!(sentence(&output), expected);
    DONE
}

/// In a mount namespace whose /proc is another directory.
fn without_proc() -> Outcome {
    if let Some(why) = missing(&["unshare", "mount"]) {
        return skip(why);
    }
    let within = |prepare: &str, args: &str| {
        let script =
            format!("mount -t tmpfs none /proc && {prepare} && echo ready && exec \"$0\" {args}");
        std::process::Command::new("unshare")
            .args(["-rm", "sh", "-c", &script, PSISTAT])
            .output()
            .expect("unshare runs")
    };
    for (prepare, args, expected) in [
        (
            ":",
            "1",
            "there is no /proc/pressure: mount /proc (mount -t proc proc /proc)",
        ),
        (
            ":",
            "-g /a",
            "there is no /proc/self/mountinfo: mount /proc",
        ),
        (
            "mkdir /proc/self",
            "1",
            "/proc/pressure: /proc shows only processes",
        ),
        (
            "mkdir /proc/self && : > /proc/stat",
            "1",
            "/proc/pressure: the kernel records no pressure: boot with psi=1",
        ),
        (
            "mkdir /proc/self && : > /proc/self/mountinfo",
            "-g /a",
            "no cgroup2 hierarchy is mounted: mount one",
        ),
    ] {
        let mut output = within(prepare, args);
        let Some(rest) = output.stdout.strip_prefix(b"ready\n") else {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_string();
            return skip(format!("no namespace can be had: {why}"));
        };
        output.stdout = rest.to_vec();
        if std::path::Path::new("/run/pressure").exists() && args == "1" {
            return skip("/run/pressure is there");
        }
        let text = sentence(&output);
        assert!(text.starts_with(expected), "{prepare}: {text}");
    }
    DONE
}

/// Whatever is named, by an option or by a file's path.
fn steering_names() -> Outcome {
    for args in [
        &["-P", "/a\x1b[31m\u{9b}\nb"][..],
        &["--record", "/a\x1b[31m\nb/c", "-P", &fixture("all/1")],
        &["-C", "/a\x1b[31m\nb", "-n", "1"],
        &["--\x1b[31m"],
        &["-c", "\x1b[31m\n"],
        &["-g", "\x1b?"],
        &["\x1b[31m\u{202e}\n"],
    ] {
        let output = run(args);
        let stderr = String::from_utf8(output.stderr).expect("text");
        let plain = |c: char| c == '\n' || c.is_ascii_graphic() || c == ' ';
        assert!(stderr.chars().all(plain), "{args:?}: {stderr:?}");
        assert!(stderr.contains("\\u{1b}"), "{args:?}: {stderr:?}");
        let lines = if output.status.code() == Some(2) {
            2
        } else {
            1
        };
        assert_eq!(stderr.lines().count(), lines, "{args:?}: {stderr:?}");
    }
    DONE
}

/// In the head alone, so that lines and columns are where they always are.
fn marked() -> Outcome {
    let (pressure, cgroups) = (fixture("all/1"), fixture("cgroups/1"));
    for (args, mark) in [
        (&["-P", &pressure][..], "  since boot"),
        (&["-P", &pressure, "10ms", "3"], "  first row since boot"),
        (&["-P", &pressure, "-a"], "  since boot"),
        (&["-C", &cgroups, "-g", "**", "10ms", "3"], "  since boot"),
    ] {
        let text = stdout(args);
        let (first, rest) = text.split_once('\n').expect("lines");
        assert!(first.ends_with(mark), "{args:?}: {text}");
        assert_eq!(rest.matches("since").count(), 0, "{args:?}: {text}");
        // seven figures are the first fields of every row
        let rows = text
            .lines()
            .filter(|line| line.starts_with("   ") && line.contains('.'));
        for row in rows {
            let fields = row.split_whitespace().take(7);
            assert!(
                fields
                    .clone()
                    .all(|field| field == "-" || field.parse::<f64>().is_ok())
            );
        }
    }
    let text = stdout(&["-j", "-P", &pressure, "10ms", "3"]);
    let of = |line: &str| line.ends_with(",\"since_boot\":true}");
    assert_eq!(
        text.lines().map(of).collect::<Vec<_>>(),
        [true, false, false]
    );
    DONE
}

fn header_again() -> Outcome {
    let text = stdout(&["-P", &fixture("all/1"), "10ms", "45"]);
    let heads: Vec<_> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("cpu"))
        .map(|(at, _)| at)
        .collect();
    // as vmstat(8) has it: 22 rows on a terminal of 25 lines
    assert_eq!(heads, [0, 24, 48]);
    assert_eq!(text.lines().count(), 45 + 3 * 2);
    DONE
}

/// No colour, no cursor, whatever the environment says of the terminal.
fn plain_pipe() -> Outcome {
    let (pressure, cgroups) = (fixture("all/2"), fixture("cgroups/1"));
    for args in [
        &["-P", &pressure, "-c", "0,0", "10ms", "3"][..],
        &["-C", &cgroups, "-n", "3", "-c", "0,0", "10ms", "3"],
        &["-C", &cgroups, "-g", "**", "-a", "-t"],
    ] {
        let output = psistat(args)
            .env("TERM", "xterm-256color")
            .output()
            .expect("psistat runs");
        assert!(output.status.success(), "{output:?}");
        let plain = |b: &u8| b.is_ascii_graphic() || matches!(b, b' ' | b'\n');
        assert!(output.stdout.iter().all(plain), "{args:?}");
        assert!(!output.stdout.is_empty());
    }
    DONE
}

fn blocks() -> Outcome {
    let cgroups = fixture("cgroups/1");
    let text = stdout(&["-C", &cgroups, "-g", "**", "-n", "2", "10ms", "3"]);
    let blocks: Vec<_> = text.trim_end().split("\n\n").collect();
    assert_eq!(blocks.len(), 3, "{text}");
    for block in blocks {
        assert_eq!(block.lines().count(), 4, "{text}");
        assert!(
            block
                .lines()
                .nth(1)
                .is_some_and(|line| line.ends_with(" cgroup"))
        );
    }
    DONE
}

fn closed_pipe() -> Outcome {
    let mut running = Running::new(&["-P", &fixture("all/1"), "10ms"]);
    running.line();
    running.lines = None;
    assert_eq!(running.ended().code(), Some(0));
    let stderr = running.child.stderr.take().map(std::io::read_to_string);
    assert_eq!(stderr.and_then(Result::ok).as_deref(), Some(""));
    DONE
}

/// The first row has no reader any more.
fn closed_before() -> Outcome {
    for args in [&["1h"][..], &["-j"], &["-h"], &["--suggest", "0"]] {
        let (far, near) = std::os::unix::net::UnixStream::pair().expect("a pair");
        drop(near);
        let output = psistat(args)
            .args(["-P", &fixture("all/1")])
            .stdout(std::os::fd::OwnedFd::from(far))
            .output()
            .expect("psistat runs");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{args:?}: {output:?}");
    }
    DONE
}

fn closed_while_idle() -> Outcome {
    let mut running = Running::new(&["-P", &fixture("all/1"), "1h"]);
    running.line();
    running.lines = None;
    assert_eq!(running.ended().code(), Some(0));
    DONE
}

/// A shell's loop ends with ^C only if the program in it dies of it.
fn interrupted() -> Outcome {
    if let Some(why) = no_interrupt() {
        return skip(why);
    }
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let mut running = Running::new(&["-P", &fixture("all/1"), "1h"]);
        running.line();
        running.signal(name);
        assert_eq!(running.ended().signal(), Some(number));
    }
    DONE
}

fn suggested(running: &mut Running) -> Config {
    assert_eq!(running.ended().code(), Some(0));
    let lines = running.lines.take().expect("not closed");
    let text = std::io::read_to_string(lines).expect("text");
    let config = Config::parse(text.as_bytes()).expect(&text);
    let file = std::env::temp_dir().join(format!("psistat-{}.conf", running.child.id()));
    std::fs::write(&file, &text).expect("file");
    let check = std::process::Command::new(PSILOGD)
        .arg("-n")
        .arg("-f")
        .arg(&file)
        .output()
        .expect("psilogd runs");
    std::fs::remove_file(&file).expect("file");
    assert!(check.status.success(), "{check:?}\n{text}");
    config
}

/// A running strace or debugger aside, only /proc shows that it waits.
fn sleeps(running: &Running) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.child.id()));
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.child.id()));
    let blocked = status.is_ok_and(|text| {
        // SIGINT is the second bit
        let line = text.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        let mask = u64::from_str_radix(line.unwrap_or_default().trim(), 16);
        mask.is_ok_and(|mask| mask & 2 != 0)
    });
    blocked && stat.is_ok_and(|text| text.contains(") S "))
}

fn suggest_interrupted() -> Outcome {
    if let Some(why) = no_interrupt() {
        return skip(why);
    }
    let mut running = Running::new(&["-P", &fixture("all/1"), "--suggest", "24h"]);
    until("psistat to wait", || sleeps(&running).then_some(()));
    running.signal("INT");
    // before the second reading there is nothing to say, and that is said
    assert_eq!(suggested(&mut running).rules, []);
    DONE
}

/// Two readings are enough for figures, and not for a rule.
fn suggest_in_time() -> Outcome {
    let mut running = Running::new(&["-P", &fixture("all/1"), "--suggest", "2.2"]);
    assert_eq!(suggested(&mut running).rules, []);
    let text = stdout(&["-P", &fixture("all/1"), "--suggest=2.2"]);
    for resource in [
        "memory full, for=",
        "io full, for=",
        "cpu some, for=",
        "irq full, for=",
    ] {
        assert!(text.contains(&format!("\n# {resource}")), "{text}");
    }
    assert_eq!(text.matches("# fired         -     -").count(), 4, "{text}");
    DONE
}

fn json() -> String {
    let mut text = String::new();
    for tree in ["all/2", "no-irq/2", "no-cpu-full/2"] {
        text += &stdout(&["-j", "-P", &fixture(tree), "10ms", "2"]);
    }
    text + &stdout(&["-j", "-C", &fixture("cgroups/1"), "-g", "**"])
}

fn by_jq() -> Outcome {
    if let Some(why) = missing(&["jq"]) {
        return skip(&why);
    }
    let query = "[.cgroup, .cpu.full, .memory.some.total_us, .irq.full.avg10]";
    let text = filter("jq", &["-c", query], &json());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "[null,null,1210233,0.03]");
    assert_eq!(lines[2], "[null,null,1210233,null]");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with(r#"["/system.slice/db-a\\x2db.service",{"#)),
        "{text}"
    );
    assert!(
        lines.contains(&r#"["/user.slice/off",null,null,null]"#),
        "{text}"
    );
    DONE
}

fn by_python() -> Outcome {
    if let Some(why) = missing(&["python3"]) {
        return skip(&why);
    }
    let script = r#"
import json, sys
for line in sys.stdin:
    row = json.loads(line)
    keys = ["time_us", "cgroup", "cpu", "memory", "io", "irq", "since_boot"]
    assert list(row) == keys and type(row["since_boot"]) is bool, row
    for name in ["cpu", "memory", "io", "irq"]:
        file = row[name]
        if file is None:
            continue
        kinds = ["full"] if name == "irq" else ["some", "full"]
        assert list(file) == ["interval_us"] + kinds, file
        for kind in kinds:
            f = file[kind]
            if f is not None:
                keys = ["pct", "stall_us", "avg10", "avg60", "avg300", "total_us"]
                assert list(f) == keys, f
                exact = min(100, 100 * f["stall_us"] / file["interval_us"])
                assert abs(f["pct"] - exact) <= 0.005001, f
print("right")
"#;
    assert_eq!(filter("python3", &["-c", script], &json()), "right\n");
    DONE
}
