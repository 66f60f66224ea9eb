//! /etc/psilogd.conf.d, in an /etc of each test alone: a mount namespace has it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("dropins::a_check_shows_where_each_line_is_from", check),
        trial("dropins::mistakes_name_their_file", mistakes),
        trial("dropins::a_reload_takes_all_or_nothing", reload),
        trial("dropins::the_example_of_the_man_page_is_right", example),
    ]
}

/// psilogd with this directory as its /etc.
fn unshared(etc: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$1\" /etc && shift && exec \"$@\"";
    command.args(["-Urm", "sh", "-ec", script, "sh"]).arg(etc);
    command.arg(binary().get_program()).args(args);
    command
}

/// An empty /etc but for the directory; why it can't be had, if so.
fn etc() -> Result<Scratch, String> {
    let scratch = Scratch::new();
    let directory = scratch.0.join("psilogd.conf.d");
    fs::create_dir(&directory).expect("a directory");
    set_mode(&directory, 0o755);
    let script = "mount --bind \"$0\" /etc";
    let path = scratch.0.to_str().expect("text");
    match works("unshare", &["-Urm", "sh", "-c", script, path]) {
        Ok(()) => Ok(scratch),
        Err(why) => Err(format!("nothing can be mounted over /etc: {why}")),
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
}

/// `-n`: exit code, lines, mistakes.
fn checked(etc: &Path) -> (Option<i32>, Vec<String>, String) {
    let output = unshared(etc, &["-n"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(String::from).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    (
        output.status.code(),
        lines,
        crate::support::mistakes(&errors),
    )
}

fn check() -> Outcome {
    let etc = match etc() {
        Ok(etc) => etc,
        Err(why) => return skip(why),
    };
    etc.file("psilogd.conf", "facility local6\n");
    etc.file(
        "psilogd.conf.d/10-host.conf",
        "# ours\nrule cpu off\ngrace 5m\n",
    );
    etc.file(
        "psilogd.conf.d/20-db.conf",
        "rule cpux off\nmemory full 20%/2s name=memory\n",
    );
    let (code, lines, errors) = checked(&etc.0);
    assert_eq!(code, Some(0), "{errors}");
    let warning = "psilogd: warning: /etc/psilogd.conf.d/20-db.conf:1: \"cpux\": no earlier rule \
                   has this name\n";
    assert_eq!(errors, warning);
    for (start, origin) in [
        ("facility local6", "/etc/psilogd.conf:1"),
        ("grace 5m", "/etc/psilogd.conf.d/10-host.conf:3"),
        ("queue 64", "default"),
        ("memory full 20%/2s ", "/etc/psilogd.conf.d/20-db.conf:2"),
        ("memory full 40%/2s ", "built-in"),
    ] {
        let origin = format!(" # {origin}");
        let is = |line: &String| line.starts_with(start) && line.ends_with(&origin);
        assert!(lines.iter().any(is), "{start}{origin}: {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("cpu")));
    // what is printed is one file that means the same
    let file = etc.file("again", lines.join("\n"));
    let (_, again, errors) = run(&["-n", "-f", &file]);
    assert_eq!(crate::support::mistakes(&errors), "");
    assert_eq!(bare(&again), bare(&lines.join("\n")));
    done()
}

fn mistakes() -> Outcome {
    let etc = match etc() {
        Ok(etc) => etc,
        Err(why) => return skip(why),
    };
    let name = |name: &str| format!("psilogd: /etc/psilogd.conf.d/{name}:");
    let directory = etc.0.join("psilogd.conf.d");
    etc.file("psilogd.conf", "io full 1%/2s\n");
    etc.file("psilogd.conf.d/a.conf", "\nio full 2%/2s\n");
    etc.file("psilogd.conf.d/b.conf", "rule io off please\nqueue 1\n");
    symlink("nowhere", directory.join("c.conf"))?;
    let file = etc.file("psilogd.conf.d/d.conf", "grace 1m\n");
    set_mode(Path::new(&file), 0o666);
    let (code, lines, errors) = checked(&etc.0);
    assert_eq!((code, lines.len()), (Some(2), 0), "{errors}");
    let expected = [
        name("a.conf") + "2: \"io-full\": an earlier file has a rule of this name: write name=",
        name("b.conf") + "1: \"please\": expected rule NAME off, e.g. rule cpu off",
        name("b.conf") + "2: \"1\": expected 16 to 65536 lines",
        name("c.conf") + " the file does not exist",
        name("d.conf") + " other users can write the file (mode 666)",
    ];
    assert_eq!(errors.lines().count(), expected.len(), "{errors}");
    for (line, expected) in errors.lines().zip(&expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    for name in ["a.conf", "b.conf", "c.conf", "d.conf"] {
        fs::remove_file(directory.join(name))?;
    }
    set_mode(&directory, 0o777);
    let (code, _, errors) = checked(&etc.0);
    let sentence = "psilogd: /etc/psilogd.conf.d: other users can write the directory (mode 777)";
    assert!(code == Some(2) && errors.starts_with(sentence), "{errors}");
    done()
}

/// The sandbox is on: a drop-in is found and read again, also behind a link that leads
/// out of /etc.
fn reload() -> Outcome {
    let etc = match etc() {
        Ok(etc) => etc,
        Err(why) => return skip(why),
    };
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let elsewhere = Scratch::new();
    let linked = elsewhere.file("linked", "io some 100%/2s\n");
    symlink(linked, etc.0.join("psilogd.conf.d/00-linked.conf"))?;
    etc.file("psilogd.conf.d/a.conf", "io full 100%/2s\nrule cpu off\n");
    let args = ["-o", "stdout"];
    let mut daemon = Psilogd::spawn(&mut unshared(&etc.0, &args));
    let start = daemon.wait("start");
    let rules = |line: &Line| line.number("triggers") + line.number("failed");
    // of the built-in rules, five are left
    assert_eq!(rules(&start), 7.0, "{}", start.text);
    let failed = |daemon: &mut Psilogd, expected: &str| {
        daemon.signal("HUP");
        let line = daemon.wait("reload_failed");
        assert!(line.text.ends_with(expected), "{}", line.text);
    };
    let b = etc.file(
        "psilogd.conf.d/b.conf",
        "\ncpu some 100%/2s\ncpu some 100%/2\n",
    );
    let of_b = |rest: &str| format!("file=/etc/psilogd.conf.d/b.conf {rest}");
    failed(&mut daemon, &of_b("line=3 reason=bad_window word=100%25/2"));
    etc.file("psilogd.conf.d/b.conf", "\ncpu some 100%/2s\n");
    set_mode(Path::new(&b), 0o602);
    failed(&mut daemon, &of_b("reason=writable_by_others"));
    set_mode(Path::new(&b), 0o644);
    daemon.signal("HUP");
    let line = daemon.wait("reload");
    assert_eq!((line.key("added"), line.key("removed")), ("1", "0"));
    assert_eq!(rules(&line), 8.0, "{}", line.text);
    // an editor has not written yet
    etc.file("psilogd.conf.d/b.conf", "");
    failed(&mut daemon, &of_b("reason=empty"));
    fs::remove_file(&b)?;
    symlink("nowhere", &b)?;
    failed(&mut daemon, &of_b("reason=unreadable"));
    // without it
    fs::remove_file(&b)?;
    daemon.signal("HUP");
    let line = daemon.wait("reload");
    assert_eq!((line.key("added"), line.key("removed")), ("0", "1"));
    // what needs a restart is in that file and line
    etc.file("psilogd.conf.d/b.conf", "grace 1m\nsandbox off\n");
    failed(
        &mut daemon,
        &of_b("line=2 reason=needs_restart word=sandbox"),
    );
    daemon.signal("USR1");
    daemon.wait("status");
    done()
}

/// Copied to the letter.
fn example() -> Outcome {
    let etc = match etc() {
        Ok(etc) => etc,
        Err(why) => return skip(why),
    };
    let page = format!("{}/man/psilogd.conf.5", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(page)?;
    let part = page.split(".Ss Drop-ins\n").nth(1).expect("a part");
    let example = part.split(".Bd -literal -offset 2n\n").nth(1).expect("one");
    let example = example.split(".Ed\n").next().expect("its end");
    etc.file("psilogd.conf.d/10-example.conf", example);
    let (code, lines, errors) = checked(&etc.0);
    assert_eq!((code, &*errors), (Some(0), ""));
    let mine = lines
        .iter()
        .filter(|line| line.contains("10-example.conf:"));
    // all of them but the line that switches off a rule
    assert_eq!(mine.count(), example.lines().count() - 1, "{lines:#?}");
    done()
}
