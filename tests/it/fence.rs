//! What psilogd gives up once it has started, seen from outside, and what a reload can
//! still do.

use std::fs;
use std::process::Command;

use libtest_mimic::Trial;

use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("fence::nothing_new_and_no_core", always),
        trial("fence::it_becomes_the_user", user),
        trial("fence::a_name_is_looked_up", named),
        trial("fence::it_keeps_what_the_rules_need", kept),
        trial("fence::cgroups_are_armed_by_another_user", cgroups),
        trial("fence::a_reload_says_what_it_can_not_do", reload),
        trial("fence::a_user_that_it_can_not_become", refused),
        trial(
            "fence::a_file_that_was_passed_has_its_openers_windows",
            passed,
        ),
    ]
}

pub const QUIET: [&str; 3] = ["-f", "/dev/null", "cpu some 100%/2s name=quiet"];
const NOT_ROOT: &str = "only root can become another user";
const NO_NAMESPACE: &str = "no user namespace can be made";
/// CAP_DAC_OVERRIDE and CAP_SYS_RESOURCE (capability.h).
const DAC_OVERRIDE: &str = "0000000000000002";
const SYS_RESOURCE: &str = "0000000001000000";
const NONE: &str = "0000000000000000";

pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = field(&status, "Uid").starts_with("0\t0\t");
    // in a user namespace of its own, root may be the only user
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    uid && map.split_whitespace().nth(2) == Some("4294967295")
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}:");
    let line = status.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_default().trim()
}

fn proc_file(pid: u32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).expect("alive")
}

/// The hard limit of core dumps.
fn core_limit(pid: u32) -> String {
    let limits = proc_file(pid, "limits");
    let core = limits.lines().find(|line| line.starts_with("Max core"));
    let hard = core.and_then(|line| line.split_whitespace().nth(5));
    hard.expect("a limit").into()
}

fn always() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let daemon = Psilogd::start(&QUIET);
    let status = proc_file(daemon.pid(), "status");
    assert_eq!(field(&status, "NoNewPrivs"), "1");
    assert!(matches!(&*core_limit(daemon.pid()), "0" | "1"));
    let (_, _, errors) = daemon.end("TERM");
    assert_eq!(errors, "");
    done()
}

/// Both processes are the user, in its group alone, without any capability.
fn user() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    if !is_root() {
        return skip(NOT_ROOT);
    }
    let mut daemon = Psilogd::start(&[&["-u", "65534:65533"], &QUIET[..]].concat());
    let child = crate::top::one_child(&daemon);
    for pid in [daemon.pid(), child] {
        let status = proc_file(pid, "status");
        assert_eq!(field(&status, "Uid"), ["65534"; 4].join("\t"));
        assert_eq!(field(&status, "Gid"), ["65533"; 4].join("\t"));
        assert_eq!(field(&status, "Groups"), "");
        for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
            assert_eq!(field(&status, set), NONE, "{set} of {pid}");
        }
        assert_eq!(field(&status, "NoNewPrivs"), "1");
    }
    daemon.signal("HUP");
    let reload = daemon.wait("reload");
    assert_eq!((reload.key("triggers"), reload.key("failed")), ("1", "0"));
    let (status, _, errors) = daemon.end("TERM");
    assert_eq!((status.code(), &*errors), (Some(0), ""));
    done()
}

fn named() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    if !is_root() {
        return skip(NOT_ROOT);
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = passwd.lines().find(|line| line.starts_with("nobody:"));
    let Some(fields) = entry.map(|line| line.split(':').collect::<Vec<_>>()) else {
        return skip("/etc/passwd has no user nobody");
    };
    let scratch = Scratch::new();
    let file = scratch.file("psilogd.conf", "user nobody\ncpu some 100%/2s\n");
    let daemon = Psilogd::start(&["-f", &file]);
    let status = proc_file(daemon.pid(), "status");
    assert_eq!(field(&status, "Uid"), [fields[2]; 4].join("\t"));
    assert_eq!(field(&status, "Gid"), [fields[3]; 4].join("\t"));
    done()
}

/// In a user namespace, where every process has all capabilities: what is left depends
/// on the rules if a user is given, which may be the same one.
fn kept() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let both = "0000000001000002";
    for (user, rule, left) in [
        ("0:0", "cpu some 100%/2s", NONE),
        ("0:0", "cpu some 100%/500ms", SYS_RESOURCE),
        ("0:0", "cpu full 100%/2s cgroup=/psilogd-none", DAC_OVERRIDE),
        ("none", "cpu some 100%/2s", both),
    ] {
        let mut command = Command::new("unshare");
        command.args(["-Ur", program(), "-o", "stdout"]);
        let scratch = Scratch::new();
        let file = scratch.file("conf", format!("user {user}\n{rule}\n"));
        let mut daemon = Psilogd::spawn(command.args(["-f", &file]));
        let mut start = daemon.next(DEADLINE);
        while start.as_ref().is_some_and(|line| line.event() != "start") {
            start = daemon.next(DEADLINE);
        }
        if start.is_none() {
            return skip(NO_NAMESPACE);
        }
        let status = proc_file(daemon.pid(), "status");
        for set in ["CapPrm", "CapEff"] {
            assert_eq!(field(&status, set), left, "{set}: {user}, {rule}");
        }
    }
    done()
}

/// The files of a new cgroup are root's: the user opens them all the same.
fn cgroups() -> Outcome {
    if !is_root() {
        return skip(NOT_ROOT);
    }
    let (Some(cgroup), None) = (Cgroup::new(), no_trigger()) else {
        return skip(NO_CGROUP);
    };
    let rule = cgroup.rule("cpu full 100%/2s name=named");
    cgroup.remove();
    let args = ["-u", "65534:65534", "-f", "/dev/null", &rule];
    let mut daemon = Psilogd::start(&args);
    let before = fs::create_dir(&cgroup.path);
    before.expect("a cgroup");
    daemon.wait("restored");
    assert_eq!(daemon.pressure_fds().len(), 1);
    daemon.end("TERM");
    done()
}

fn reload() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    if !is_root() {
        return skip(NOT_ROOT);
    }
    let scratch = Scratch::new();
    let rule = "cpu some 100%/2s name=a\n";
    let file = scratch.file("psilogd.conf", format!("user 65534:65534\n{rule}"));
    let mut daemon = Psilogd::start(&["-f", &file]);
    // an editor renames: the new file counts
    let with = |user: &str, rules: &str| {
        let new = scratch.file("new", format!("user {user}\n{rules}"));
        fs::rename(new, &file).expect("renamed");
    };
    with("65534:65534", &format!("{rule}io full 100%/2s name=b\n"));
    daemon.signal("HUP");
    let line = daemon.wait("reload");
    assert_eq!((line.key("triggers"), line.key("failed")), ("2", "0"));
    // what was dropped is missed, and said so; the rest stays
    with("65534:65534", &format!("{rule}io full 100%/500ms name=b\n"));
    daemon.signal("HUP");
    let lost = daemon.wait("lost");
    assert_eq!((lost.key("rule"), lost.key("hint")), ("b", "window_2s"));
    let line = daemon.wait("reload");
    assert_eq!((line.key("triggers"), line.key("failed")), ("1", "1"));
    let rejected = |daemon: &mut Psilogd, reason: &str, word: &str| {
        daemon.signal("HUP");
        let line = daemon.wait("reload_failed");
        assert_eq!((line.key("reason"), line.keys_or("word")), (reason, word));
        assert_eq!(line.key("file"), file);
    };
    with("0:0", rule);
    rejected(&mut daemon, "needs_restart", "user");
    with(
        "65534:65534",
        &format!("output stdout\noutput kmsg\n{rule}"),
    );
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(&file, mode(0o600))?;
    rejected(&mut daemon, "unreadable", "");
    // the user is not root any more, and yet this is not read
    fs::set_permissions(&file, mode(0o646))?;
    rejected(&mut daemon, "writable_by_others", "");
    let (status, _, _) = daemon.end("TERM");
    assert_eq!(status.code(), Some(0));
    done()
}

fn refused() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let unknown = [&["-u", "psilogd-no-such-user"], &QUIET[..]].concat();
    let (code, lines, errors) = run(&unknown);
    assert_eq!((code, &*lines), (Some(2), ""), "{errors}");
    let sentence = "psilogd: user psilogd-no-such-user is unknown: add the user, or give UID:GID";
    assert!(errors.starts_with(sentence), "{errors}");
    // a check warns: the file may be for another host
    let (code, _, errors) = run(&[&["-n"], &unknown[..]].concat());
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("warning: user psilogd-no-such-user is unknown"));
    let mut command = Command::new("unshare");
    command.args(["-Ur", program(), "-u", "4711:4711"]);
    let output = command.args(QUIET).output();
    let errors = output.map(|output| (output.status.code(), output.stderr));
    let Ok((code, errors)) = errors else {
        return skip(NO_NAMESPACE);
    };
    let errors = String::from_utf8_lossy(&errors);
    if errors.starts_with("unshare:") {
        return skip(NO_NAMESPACE);
    }
    assert_eq!(code, Some(1), "{errors}");
    assert!(
        errors.starts_with("psilogd: can't become user 4711:4711: "),
        "{errors}"
    );
    done()
}

/// The file is opened with CAP_SYS_RESOURCE, in a user namespace, by a shell that then
/// drops all capabilities and becomes psilogd. What the kernel allows is decided by who
/// opened the file; a file that is passed under another name is not used.
fn passed() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let drop = ["--bounding-set", "-all", "--inh-caps=-all"];
    let inside = [&["-Ur", "setpriv"], &drop[..], &["true"]].concat();
    if let Err(why) = works("unshare", &inside) {
        return skip(format!("{NO_NAMESPACE}, or no setpriv: {why}"));
    }
    let start = |name: &str, rule: &str| {
        let script = format!(
            "exec 3<> /proc/pressure/cpu; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name} \
             exec setpriv {} \"$@\"",
            drop.join(" ")
        );
        let psilogd = binary().get_program().to_owned();
        let mut command = Command::new("unshare");
        command
            .args(["-Ur", "sh", "-c", &script, "sh"])
            .arg(psilogd);
        command.args(["-f", "/dev/null", "-o", "stdout", rule]);
        Psilogd::spawn(&mut command)
    };
    for window in ["500ms", "2s", "10s"] {
        let mut daemon = start("cpu", &format!("cpu some 100%/{window}"));
        let line = daemon.wait("start");
        assert_eq!(line.key("triggers"), "1", "{window}");
        // armed with the capability: no fallback reading
        assert!(!line.has("poll_s"), "{}", line.text);
        let status = proc_file(daemon.pid(), "status");
        assert_eq!(field(&status, "CapEff"), NONE);
        assert_eq!(daemon.pressure_fds().len(), 1);
        // on a reload an unchanged rule keeps it
        daemon.signal("HUP");
        assert_eq!(daemon.wait("reload").key("triggers"), "1");
    }
    let mut daemon = start("other", "cpu some 100%/2s");
    assert!(daemon.wait("start").has("poll_s"));
    let mut daemon = start("other", "cpu some 100%/500ms");
    assert_eq!(daemon.wait("lost").key("hint"), "window_2s");
    done()
}
