//! Configurations that can't be right: each gets its sentence, with file, line
//! and word, and exit code 2.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use libtest_mimic::Trial;

use crate::support::{self, Outcome, Scratch, done, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("config::what_can_not_be_right", bad),
        trial("config::files_that_are_none", files),
        trial("config::unreadable", unreadable),
        trial("config::what_others_can_write", writable),
        trial("config::what_is_right", good),
    ]
}

fn bad() -> Outcome {
    let rule = "memory full 10%/2s";
    let long_line = format!("{rule} # {}", "x".repeat(20_000));
    let long_file = "#\n".repeat(5 << 20);
    let deep = format!("{rule} cgroup=/{}", "a".repeat(256));
    let far = format!("{rule} cgroup=/{}", "a/".repeat(2001));
    let path = format!("output syslog:/{}", "a".repeat(107));
    let many = "x\n".repeat(100);
    let cases: &[(&[u8], &str)] = &[
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0", "1: \"\\u{7f}ELF"),
        (
            b"\0\0\0\0",
            "1: \"\\u{0}\\u{0}\\u{0}\\u{0}\": control characters are not allowed",
        ),
        (b"\xff\xfe#\0", "1: the line is not UTF-8"),
        (
            b"\xef\xbb\xbfmemory full 10%/2s\n",
            "1: the file begins with a byte order mark",
        ),
        (b"memory full 10%/2s\r\n", "1: the line ends in CR LF"),
        (
            b"grace 1m\ngrace\x0b1m\n",
            "2: \"grace\\u{b}1m\": control characters are not allowed",
        ),
        (long_line.as_bytes(), "1: the line is longer than 16 KiB"),
        (long_file.as_bytes(), ": the file is longer than 1 MiB"),
        (
            b"grace 1m\n\n# x\nmemry full 10%/2s\n",
            "4: \"memry\": expected a rule (cpu, memory",
        ),
        (b"Memory full 10%/2s", "1: \"Memory\": expected a rule (cpu"),
        (b"memory", "1: some or full is missing"),
        (b"memory full", "1: STALL/WINDOW is missing"),
        (b"memory most 10%/2s", "1: \"most\": expected some or full"),
        (
            b"cpu full 10%/2s",
            "1: \"full\": for the whole system the kernel always reports 0 as cpu full",
        ),
        (
            b"irq some 10%/2s",
            "1: \"some\": the kernel records irq pressure only as full",
        ),
        (
            b"memory full 10%",
            "1: \"10%\": expected STALL/WINDOW, e.g. 10%/2s",
        ),
        (
            b"memory full 10%/2",
            "1: \"10%/2\": the window: expected a whole number and a unit us",
        ),
        (
            b"memory full 10%/2sec",
            "1: \"10%/2sec\": the window: expected a whole number and a unit",
        ),
        (
            b"memory full 10%/s",
            "1: \"10%/s\": the window: expected a duration",
        ),
        (
            b"memory full 10%/1.5s",
            "1: \"10%/1.5s\": the window: expected a whole number and a unit",
        ),
        (
            b"memory full 10%/100ms",
            "1: \"10%/100ms\": the window must be 500ms to 10s",
        ),
        (
            b"memory full 10%/11s",
            "1: \"10%/11s\": the window must be 500ms to 10s",
        ),
        (
            b"memory full 10%/2s\nmemory full 10%/500ms name=unit cgroup=/a.slice/*.service",
            "2: \"10%/500ms\": with * in cgroup= the window must be 2s, 4s, 6s, 8s or 10s; other \
             windows need a rule that names one cgroup",
        ),
        (
            b"memory full 10%/4296967296us",
            "the window must be 500ms to 10s",
        ),
        (
            b"memory full 10%/99999999999999999999h",
            "the duration must be at most one year",
        ),
        (b"memory full 0%/2s", "1: \"0%/2s\": expected more than 0%"),
        (
            b"memory full 101%/2s",
            "expected more than 0% and at most 100%",
        ),
        (b"memory full -5%/2s", "expected more than 0%"),
        (b"memory full 1e1%/2s", "expected more than 0%"),
        (b"memory full 0.001%/2s", "with at most two decimals"),
        (b"memory full 0/2s", "the stall must be greater than 0"),
        (
            b"memory full 3s/2s",
            "the stall must not be longer than the window",
        ),
        (
            b"memory full 4294967396us/2s",
            "the stall must not be longer than the window",
        ),
        (
            b"memory full 10%/2s for",
            "1: \"for\": expected level=, name=, for=",
        ),
        (
            b"memory full 10%/2s hold=2s",
            "1: \"hold=2s\": expected level=, name=",
        ),
        (
            b"memory full 10%/2s for=5",
            "1: \"for=5\": expected a whole number and a unit",
        ),
        (
            b"memory full 10%/2s for=",
            "1: \"for=\": expected a duration, e.g. 500ms",
        ),
        (
            b"memory full 10%/2s for=1s for=1s",
            "1: \"for=1s\": for= is given more than once",
        ),
        (
            b"memory full 10%/2s clear=-1s",
            "1: \"clear=-1s\": expected a duration",
        ),
        (
            b"memory full 10%/2s repeat=9000h",
            "the duration must be at most one year",
        ),
        (
            b"memory full 10%/2s level=error",
            "1: \"level=error\": expected emerg, alert",
        ),
        (b"memory full 10%/2s level=3", "expected emerg, alert"),
        (
            b"memory full 10%/2s name=a:b",
            "a name has 1 to 32 characters",
        ),
        (
            b"memory full 10%/2s name=abcdefghijklmnopqrstuvwxyz1234567",
            "a name has 1 to 32",
        ),
        (
            b"memory full 10%/2s cgroup=system.slice",
            "expected a path below the cgroup2 mount",
        ),
        (
            b"memory full 10%/2s cgroup=/a/../b",
            "has no component . or ..",
        ),
        (
            b"memory full 10%/2s cgroup=/a/[b]",
            "write a literal ? or [ as %3F or %5B",
        ),
        (
            b"memory full 10%/2s cgroup=/a%zz",
            "expected two hexadecimal digits after %",
        ),
        (
            b"memory full 10%/2s cgroup=/a%00",
            "e.g. %20 for a space; %00 and %2F are not allowed",
        ),
        (deep.as_bytes(), "a component at most 255 bytes"),
        (far.as_bytes(), "a pattern has at most 4000 bytes"),
        (
            b"io full 10%/2s name=x\nio some 1%/2s name=x\n",
            "2: \"x\": two rules have this name: rename",
        ),
        (
            b"facility",
            "1: the value of facility is missing: expected daemon",
        ),
        (b"facility daemons", "1: \"daemons\": expected daemon, user"),
        (b"facility kern", "1: \"kern\": expected daemon, user"),
        (
            b"output file:/x",
            "1: \"file:/x\": expected auto, journal, journal:PATH, syslog",
        ),
        (
            b"output /dev/log",
            "1: \"/dev/log\": expected auto, journal, journal:PATH, syslog",
        ),
        (
            b"output journal:socket",
            "1: \"journal:socket\": the path of a socket must begin with /",
        ),
        (
            path.as_bytes(),
            "the path of a socket must have at most 107 bytes",
        ),
        (
            b"output stdout stderr",
            "1: \"stderr\": output takes one value: expected auto",
        ),
        (
            b"grace never",
            "1: \"never\": expected a duration, e.g. 500ms",
        ),
        (
            b"output stdout\noutput stdout\n",
            "2: \"stdout\": this output is set more than once",
        ),
        (
            b"output udp:localhost",
            "1: \"udp:localhost\": expected a numeric address",
        ),
        (b"output udp:192.0.2.1:0", "expected a numeric address"),
        (b"output udp:192.0.2.1:65536", "expected a numeric address"),
        (b"output udp:2001:db8::1:x", "expected a numeric address"),
        (
            b"poll 1s",
            "1: \"1s\": expected auto, or a duration from 2s to 1h",
        ),
        (b"poll 61m", "1: \"61m\": expected auto, or a duration"),
        (
            b"heartbeat 9s",
            "1: \"9s\": expected none, or a duration from 10s to 24h",
        ),
        (b"heartbeat 25h", "1: \"25h\": expected none, or a duration"),
        (b"heartbeat on", "1: \"on\": expected none, or a duration"),
        (
            b"heartbeat",
            "1: the value of heartbeat is missing: expected none",
        ),
        (b"poll never", "1: \"never\": expected auto, or a duration"),
        (b"queue 0", "1: \"0\": expected 16 to 65536 lines"),
        (b"queue all", "1: \"all\": expected 16 to 65536"),
        (b"max_line 199", "1: \"199\": expected 200 to 1000 bytes"),
        (b"max_line 1k", "1: \"1k\": expected 200"),
        (
            b"grace 1m\ngrace 2m",
            "2: \"2m\": grace is set more than once",
        ),
        (
            b"rate_limit 1",
            "1: \"1\": expected 2 to 1000000 lines per rule and hour, or none",
        ),
        (b"rate_limit -1", "1: \"-1\": expected 2 to 1000000"),
        (b"rate_limit 30/h", "1: \"30/h\": expected 2 to 1000000"),
        (b"rate_limit 4294967326", "expected 2 to 1000000"),
        (many.as_bytes(), "20: \"x\": expected a rule"),
    ];
    let scratch = Scratch::new();
    for (text, expected) in cases {
        let file = scratch.file("psilogd.conf", text);
        let (status, output, errors) = support::run(&["-n", "-f", &file]);
        let shown = String::from_utf8_lossy(&text[..text.len().min(80)]);
        assert_eq!(
            (status, output.as_str()),
            (Some(2), ""),
            "{shown}: {errors}"
        );
        let expected = match expected.starts_with(|c: char| c.is_ascii_digit() || c == ':') {
            true => format!("psilogd: {file}:{}", expected.trim_start_matches(':')),
            false => (*expected).to_string(),
        };
        assert!(errors.contains(&expected), "{shown}: {errors}");
        assert!(errors.lines().all(|line| line.len() < 400), "{errors}");
        assert!(
            !errors.contains(|c: char| c.is_control() && c != '\n'),
            "{errors:?}"
        );
    }
    assert!(cases.len() >= 40);
    done()
}

fn files() -> Outcome {
    let scratch = Scratch::new();
    let pipe = scratch.0.join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status()?;
    assert!(made.success());
    let pipe = pipe.to_str().expect("text");
    let missing = scratch.0.join("none").to_str().expect("text").to_string();
    let directory = scratch.0.to_str().expect("text");
    for (file, expected) in [
        (missing.as_str(), "the file does not exist"),
        (directory, "expected a file, found a directory"),
        (pipe, "expected a file, found a pipe, a socket or a device"),
        ("/dev/zero", "the file is longer than 1 MiB"),
    ] {
        let (status, _, errors) = support::run(&["-n", "-f", file]);
        assert_eq!(status, Some(2), "{errors}");
        assert_eq!(
            errors.lines().next(),
            Some(&*format!(
                "psilogd: {file}: {expected}{}",
                if file == "/dev/zero" {
                    ", the most for a configuration"
                } else {
                    ""
                }
            ))
        );
    }
    done()
}

/// Root reads everything, so root has to be somebody else for this.
fn unreadable() -> Outcome {
    let scratch = Scratch::new();
    let file = scratch.file("psilogd.conf", "grace 1m\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o0))?;
    let mut command = support::binary();
    if std::fs::read(&file).is_ok() {
        // Where others may run it. By cp(1): a file that this process has written
        // can't be run while a child that another test is starting still has it open.
        let psilogd = scratch.0.join("psilogd");
        let mut copy = Command::new("cp");
        copy.arg(command.get_program()).arg(&psilogd);
        assert!(copy.status()?.success());
        std::fs::set_permissions(&psilogd, std::fs::Permissions::from_mode(0o755))?;
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        let version = [&nobody[..], &[psilogd.to_str().expect("text"), "-V"]].concat();
        if let Err(why) = support::works("setpriv", &version) {
            return support::skip(format!("can't become another user: {why}"));
        }
        command = Command::new("setpriv");
        command.args(nobody).arg(&psilogd);
    }
    let output = command.args(["-n", "-f", &file]).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    let expected = format!("psilogd: {file}: the file can't be read: Permission denied");
    assert!(errors.starts_with(&expected), "{errors}");
    done()
}

/// Root's psilogd does nothing that another user has written.
fn writable() -> Outcome {
    if !crate::fence::is_root() {
        return support::skip("only root is careful");
    }
    let scratch = Scratch::new();
    let file = scratch.file("psilogd.conf", "grace 1m\n");
    let check = |mode: u32, owner: u32| {
        std::os::unix::fs::chown(&file, Some(owner), None).expect("its owner");
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, mode).expect("its mode");
        let (code, _, errors) = support::run(&["-n", "-f", &file]);
        (code, support::mistakes(&errors))
    };
    for mode in [0o600, 0o644, 0o755] {
        assert_eq!(check(mode, 0), (Some(0), String::new()), "{mode:o}");
    }
    for mode in [0o664, 0o646, 0o622] {
        let sentence = format!(
            "psilogd: {file}: other users can write the file (mode {mode:o}) and could change \
             what root's psilogd does: chmod go-w\n"
        );
        assert_eq!(check(mode, 0), (Some(2), sentence));
    }
    let sentence = format!(
        "psilogd: {file}: the file belongs to the user with number 65534, who could change \
         what root's psilogd does: make it root's with chown\n"
    );
    assert_eq!(check(0o644, 65534), (Some(2), sentence));
    done()
}

fn good() -> Outcome {
    let scratch = Scratch::new();
    for text in [
        "",
        "\n\n",
        "# only a comment",
        "\t grace\t2m \t# and one behind it",
        "memory full 10%/2s",
        "memory full 0.01%/10s for=0 clear=0 repeat=0",
        "cpu full 10%/2s cgroup=/a/b%20c",
        "cpu some 2s/2s level=emerg name=A-Z.a_z",
        "io full 10%/2s cgroup=/système.slice/a\\x2db.service",
        "rate_limit none",
        "poll auto",
        "poll 2s",
        "poll 1h",
        "heartbeat none",
        "heartbeat 10s",
        "heartbeat 24h",
        "output syslog\noutput udp:192.0.2.1\noutput udp:[2001:db8::1]:1514\noutput kmsg",
        "output udp:2001:db8::1\nqueue 16\nmax_line 255",
        "output auto\noutput journal\noutput journal:/run/systemd/journal.x/socket",
    ] {
        let file = scratch.file("psilogd.conf", text);
        let (status, _, errors) = support::run(&["-n", "-f", &file]);
        assert_eq!(
            (status, &*support::mistakes(&errors)),
            (Some(0), ""),
            "{text}"
        );
    }
    done()
}
