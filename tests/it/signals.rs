//! TERM, INT, HUP and USR1.

use std::fs;

use libtest_mimic::Trial;

use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("signals::term_and_int_stop", stop),
        trial("signals::a_stop_ends_what_is_open", stop_ends),
        trial("signals::hup_keeps_what_is_unchanged", reload_keeps),
        trial("signals::hup_with_a_bad_file_changes_nothing", reload_bad),
        trial(
            "signals::hup_that_drops_a_rule_ends_its_episode",
            reload_drops,
        ),
        trial("signals::what_comes_at_once_is_all_logged", at_once),
        trial("signals::usr1_logs_the_state_of_every_rule", status),
        trial("signals::a_reload_sets_the_sign_of_life", heartbeat),
    ]
}

fn stop() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    for name in ["TERM", "INT"] {
        let daemon = Psilogd::start(&["-f", "/dev/null"]);
        let (status, rest, errors) = daemon.end(name);
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
        let rest: Vec<_> = rest.iter().map(|line| line.text.as_str()).collect();
        let expected = format!("psilogd stopping: event=stop level=info signal={name}");
        assert!(rest.len() == 1 && rest[0].ends_with(&expected), "{rest:?}");
    }
    done()
}

fn stop_ends() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let rule = cgroup.rule("cpu some 20%/2s for=0");
    let mut daemon = Psilogd::start(&["-f", "/dev/null", &rule]);
    let _load = Load::start(Some(&cgroup.path));
    let begin = daemon.wait("begin");
    let (status, rest, _) = daemon.end("TERM");
    assert_eq!(status.code(), Some(0));
    let events: Vec<_> = rest.iter().map(Line::event).collect();
    assert_eq!(events, ["end", "stop"]);
    assert_eq!(
        (rest[0].key("reason"), rest[0].key("id")),
        ("stop", begin.key("id"))
    );
    done()
}

fn reload_keeps() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let scratch = Scratch::new();
    let kept = cgroup.rule("cpu some 20%/2s for=0 clear=2s name=kept");
    let dropped = cgroup.rule("memory full 20%/2s name=dropped");
    let file = scratch.file("psilogd.conf", format!("{dropped}\n{kept}\n"));
    let mut daemon = Psilogd::start(&["-f", &file]);
    let load = Load::start(Some(&cgroup.path));
    let begin = daemon.wait("begin");
    let before = daemon.pressure_fds();
    let fresh = cgroup.rule("io full 20%/2s name=fresh");
    // the same rule in other words, in another place
    let kept = kept.replace(
        "for=0 clear=2s",
        "clear=2s for=0s repeat=600s level=warning",
    );
    scratch.file("psilogd.conf", format!("{kept}\nrate_limit 20\n{fresh}\n"));
    daemon.signal("HUP");
    let reload = daemon.wait("reload");
    assert!(
        reload
            .text
            .ends_with("triggers=2 added=1 removed=1 failed=0"),
        "{}",
        reload.text
    );
    let after = daemon.pressure_fds();
    let cpu = |fds: &std::collections::BTreeMap<String, std::path::PathBuf>| {
        let found = fds.iter().find(|(_, path)| path.ends_with("cpu.pressure"));
        found.map(|(number, _)| number.clone())
    };
    assert!(
        cpu(&before).is_some() && cpu(&before) == cpu(&after),
        "{before:?} {after:?}"
    );
    assert!(
        after.values().any(|path| path.ends_with("io.pressure")),
        "{after:?}"
    );
    assert!(
        !after.values().any(|path| path.ends_with("memory.pressure")),
        "{after:?}"
    );
    drop(load);
    let end = daemon.wait("end");
    assert_eq!(end.key("id"), begin.key("id"));
    assert!(!end.has("reason"), "{}", end.text);
    done()
}

fn reload_bad() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let file = scratch.file("psilogd.conf", "memory full 90%/2s name=mine\n");
    let mut daemon = Psilogd::start(&["-f", &file]);
    let before = daemon.pressure_fds();
    for (text, expected) in [
        (
            "\nio full 10%/20s\n",
            "line=2 reason=bad_window word=10%25/20s",
        ),
        ("x y\n", "line=1 reason=bad_word word=x"),
        (
            "io full 1%/2s for=\"\n",
            "line=1 reason=bad_value word=for%3D%22",
        ),
        ("\r\n", "line=1 reason=not_text"),
        // an editor has truncated it, and has not written yet
        ("", "reason=empty"),
    ] {
        fs::write(&file, text)?;
        daemon.signal("HUP");
        let line = daemon.wait("reload_failed");
        let expected =
            format!("configuration rejected: event=reload_failed level=err file={file} {expected}");
        assert!(line.text.ends_with(&expected), "{}", line.text);
    }
    fs::remove_file(&file)?;
    daemon.signal("HUP");
    let line = daemon.wait("reload_failed");
    assert!(
        line.text
            .ends_with(&format!("file={file} reason=unreadable")),
        "{}",
        line.text
    );
    assert_eq!(daemon.pressure_fds(), before);
    daemon.signal("USR1");
    assert_eq!(daemon.wait("status").key("rule"), "mine");
    done()
}

fn reload_drops() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let scratch = Scratch::new();
    let rule = cgroup.rule("cpu some 20%/2s for=0");
    let file = scratch.file("psilogd.conf", format!("{rule}\nmemory full 90%/2s\n"));
    let mut daemon = Psilogd::start(&["-f", &file]);
    let _load = Load::start(Some(&cgroup.path));
    let begin = daemon.wait("begin");
    fs::write(&file, "memory full 90%/2s\n")?;
    daemon.signal("HUP");
    let end = daemon.wait("end");
    assert_eq!(
        (end.key("reason"), end.key("id")),
        ("reload", begin.key("id"))
    );
    let reload = daemon.wait("reload");
    assert!(
        reload
            .text
            .ends_with("triggers=1 added=0 removed=1 failed=0"),
        "{}",
        reload.text
    );
    done()
}

fn status() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let pressed = cgroup.rule("cpu some 20%/2s for=0 name=pressed");
    let quiet = cgroup.rule("memory full 90%/2s name=quiet");
    let lost = "io full 90%/2s name=lost cgroup=/no-such-cgroup";
    let mut daemon = Psilogd::start(&["-f", "/dev/null", &pressed, &quiet, lost]);
    let _load = Load::start(Some(&cgroup.path));
    let begin = daemon.wait("begin");
    daemon.signal("USR1");
    let line = daemon.wait("status");
    assert_eq!(
        (line.key("rule"), line.key("state")),
        ("pressed", "pressed")
    );
    assert_eq!(line.key("id"), begin.key("id"));
    assert!(
        line.has("dur_s") && line.has("stalled_us") && line.has("avg10"),
        "{}",
        line.text
    );
    let line = daemon.wait("status");
    assert_eq!((line.key("rule"), line.key("state")), ("quiet", "quiet"));
    assert!(line.has("total_us") && !line.has("id"), "{}", line.text);
    let line = daemon.wait("status");
    assert_eq!((line.key("rule"), line.key("state")), ("lost", "lost"));
    let line = daemon.next(DEADLINE).expect("a line");
    let expected = "psilogd alive: event=alive level=info triggers=2 failed=1 crossings=";
    assert!(line.text.contains(expected), "{}", line.text);
    assert!(line.number("crossings") >= 1.0, "{}", line.text);
    let rest = " episodes=1 suppressed=0 dropped=0";
    assert!(line.text.ends_with(rest), "{}", line.text);
    done()
}

/// Nothing but the sign of life is logged of a quiet host, and that at its time, which
/// no rate limit delays.
fn heartbeat() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    // nothing else wakes psilogd up
    let others = "poll 1h\nrate_limit 2\nmemory full 100%/2s\n";
    let text = |period| format!("heartbeat {period}\n{others}");
    let file = scratch.file("psilogd.conf", text("24h"));
    let mut daemon = Psilogd::start(&["-f", &file]);
    scratch.file("psilogd.conf", text("10s"));
    let sent = std::time::Instant::now();
    daemon.signal("HUP");
    daemon.wait("reload");
    for seconds in [10, 20, 30] {
        let line = daemon.next(DEADLINE).expect("a line");
        assert_eq!(line.event(), "alive", "{}", line.text);
        assert!(sent.elapsed().as_secs() >= seconds, "{:?}", daemon.seen);
        let keys = (line.key("triggers"), line.key("episodes"));
        assert_eq!(keys, ("1", "0"), "{}", line.text);
    }
    done()
}

/// A crossing, a cgroup that goes and a reload, all found by one poll(2): an event
/// that was taken from the kernel comes only once.
fn at_once() -> Outcome {
    let (Some(loaded), Some(going)) = (Cgroup::new(), Cgroup::new()) else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let scratch = Scratch::new();
    let first = going.rule("io full 90%/2s name=going");
    let second = loaded.rule("cpu some 20%/2s for=0 name=loaded");
    let file = scratch.file("psilogd.conf", format!("{first}\n{second}\n"));
    let mut daemon = Psilogd::start(&["-f", &file]);
    // past the first window, whose events could be false
    assert!(daemon.next(std::time::Duration::from_secs(3)).is_none());
    daemon.signal("STOP");
    let pressure = loaded.path.join("cpu.pressure");
    let before = total(&pressure, "some");
    let load = Load::start(Some(&loaded.path));
    // two windows of it, so that one is seen whole; few readings, which steal events
    let start = std::time::Instant::now();
    until("pressure", || {
        start.elapsed().as_secs() >= 5 && total(&pressure, "some") - before > 4_000_000
    });
    drop(load);
    going.remove();
    daemon.signal("HUP");
    daemon.signal("CONT");
    let lost = daemon.wait("lost");
    assert_eq!(lost.key("rule"), "going");
    daemon.wait("reload");
    let begin = daemon.seen.iter().find(|line| line.contains("event=begin"));
    assert!(
        begin.is_some_and(|line| line.contains("rule=loaded")),
        "{:#?}",
        daemon.seen
    );
    done()
}
