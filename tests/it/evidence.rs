//! The host's other counters on the running kernel: rules that ask for them where
//! they are hidden, and what a begin shows of them.

use std::process::Command;

use libtest_mimic::Trial;

use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("evidence::a_rule_without_its_counters_is_lost", hidden),
        trial("evidence::files_that_are_bound_into_run_are_read", bound),
        trial("evidence::counters_that_appear_are_read", appears),
        trial("evidence::a_begin_amounts_to_what_it_shows", begin),
    ]
}

/// File, rule.
const RULES: [(&str, &str); 3] = [
    ("meminfo", "memory full 90%/2s avail=25% name=asks"),
    ("diskstats", "io full 90%/2s stuck=20s name=asks"),
    ("stat", "cpu some 90%/2s busy=90% name=asks"),
];

/// A shell that mounts things for itself alone and then becomes the program.
fn unshared(mounts: &str, args: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("{mounts} && exec \"$@\"");
    command.args([
        "-m",
        "sh",
        "-ec",
        &script,
        "sh",
        program(),
        "-f",
        "/dev/null",
    ]);
    command.args(args);
    command
}

/// Why nothing can be mounted.
fn no_mounts() -> Option<String> {
    let script = "mount --bind /dev/null /proc/stat";
    let why = works("unshare", &["-m", "sh", "-c", script]).err()?;
    Some(format!("nothing can be mounted over /proc/stat: {why}"))
}

/// A file that says nothing stands in place of the kernel's. Only the rule that asks
/// for it is lost, and a check of the configuration warns of that one alone.
fn hidden() -> Outcome {
    if let Some(why) = no_trigger().or_else(no_mounts) {
        return skip(why);
    }
    let scratch = Scratch::new();
    let odd = scratch.file("odd", "odd\n");
    for (name, rule) in RULES {
        let mounts = format!("mount --bind {odd} /proc/{name}");
        let plain = rule.split(' ').take(3).collect::<Vec<_>>().join(" ");
        let sentence = format!("/proc/{name}: invalid data: a key of the rule needs it: ");
        let output = unshared(&mounts, &["-n", rule, &plain]).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.contains(" rule asks can't be armed here now: "));
        assert!(errors.contains(&sentence), "{errors}");

        let mut command = unshared(&mounts, &["-o", "stdout", rule, &plain]);
        let mut daemon = Psilogd::spawn(&mut command);
        let lost = daemon.wait("lost");
        let keys = (lost.key("rule"), lost.key("errno"), lost.key("hint"));
        assert_eq!(keys, ("asks", "EIO", "no_evidence"), "{}", lost.text);
        let start = daemon.wait("start");
        assert_eq!((start.key("triggers"), start.key("failed")), ("1", "1"));
        let (status, _, errors) = daemon.end("TERM");
        assert!(status.success());
        assert!(errors.contains(&sentence), "{errors}");

        let output = unshared(&mounts, &["-o", "stdout", rule]).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
    }
    done()
}

/// /proc without all this, as systemd's ProcSubset=pid makes it: what is bound beside
/// /run/pressure is read, and what isn't is absent.
fn bound() -> Outcome {
    if let Some(why) = no_trigger().or_else(no_mounts) {
        return skip(why);
    }
    let bind = "bind() { touch /run/$1; mount --bind /proc/$1 /run/$1; }; \
                mount -t tmpfs none /run; mkdir /run/pressure; \
                mount --bind /proc/pressure /run/pressure";
    let hide = "mount -t tmpfs none /proc";
    for (name, rule) in RULES {
        let output = unshared(&format!("{bind}; {hide}"), &["-n", rule]).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        let sentence =
            format!("/run/{name}: No such file or directory (os error 2): a key of the rule ");
        assert!(errors.contains(&sentence), "{errors}");
        let mounts = format!("{bind}; bind {name}; {hide}");
        let mut command = unshared(&mounts, &["-o", "stdout", rule]);
        let mut daemon = Psilogd::spawn(&mut command);
        let start = daemon.wait("start");
        assert_eq!((start.key("triggers"), start.key("failed")), ("1", "0"));
    }
    done()
}

/// What hid the file is unmounted: the fallback reading finds that, and so does a
/// reload.
fn appears() -> Outcome {
    if let Some(why) = no_trigger().or_else(no_mounts) {
        return skip(why);
    }
    let scratch = Scratch::new();
    let odd = scratch.file("odd", "odd\n");
    let mounts = format!("mount --bind {odd} /proc/diskstats");
    let asks = "io full 90%/2s stuck=20s name=asks";
    for reloads in [false, true] {
        let args = ["-o", "stdout", asks, "memory full 90%/2s"];
        let mut daemon = Psilogd::spawn(&mut unshared(&mounts, &args));
        assert_eq!(daemon.wait("start").key("failed"), "1");
        let pid = daemon.pid().to_string();
        works(
            "nsenter",
            &["-m", "-t", &pid, "umount", "-l", "/proc/diskstats"],
        )?;
        if reloads {
            daemon.signal("HUP");
            let next = daemon.next(DEADLINE).expect("a line");
            assert_eq!(next.event(), "restored", "{}", next.text);
            assert_eq!(daemon.wait("reload").key("failed"), "0");
        } else {
            assert_eq!(daemon.wait("restored").key("rule"), "asks");
        }
    }
    done()
}

/// Figures and evidence are there from the first line on, and before `cgroup=`, so that
/// a short line keeps them.
fn begin() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let rule = cgroup.rule("cpu some 20%/2s for=6s busy=1%");
    let mut daemon = Psilogd::start(&["-f", "/dev/null", &rule]);
    let before = total(&cgroup.path.join("cpu.pressure"), "some");
    let _load = Load::start(Some(&cgroup.path));
    let begin = daemon.wait("begin");
    let after = total(&cgroup.path.join("cpu.pressure"), "some");
    let stalled = begin.number("stalled_us");
    // a fifth of for=
    assert!(
        (1_200_000.0..=(after - before) as f64).contains(&stalled),
        "{}",
        begin.text
    );
    let mean = stalled / begin.number("dur_s") / 1e4;
    let (shown, worst) = (begin.number("mean_pct"), begin.number("worst_pct"));
    // a tenth of a second is left of dur_s
    assert!(
        (shown - mean).abs() < 5.0 && worst >= shown,
        "{}",
        begin.text
    );
    assert!(begin.number("hits") >= 1.0, "{}", begin.text);
    let share = begin.number("idle_pct") + begin.number("steal_pct");
    assert!((0.0..=100.0).contains(&share), "{}", begin.text);
    let (kept, _) = begin.text.split_once(" cgroup=").expect("a cgroup");
    assert!(kept.contains(" worst_pct=") && kept.contains(" steal_pct="));
    done()
}
