//! Landlock and the filter of system calls: what they refuse is refused, and by them
//! alone, as the same is done without them.

use std::fs;

use libtest_mimic::Trial;

use crate::fence::QUIET;
use crate::support::*;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("sandbox::the_start_says_what_is_in_force", named),
        trial("sandbox::a_reload_works_in_it", reload),
    ];
    #[cfg(target_arch = "x86_64")]
    trials.push(trial("sandbox::what_it_forbids_fails", inside::forbidden));
    trials
}

fn start(args: &[&str]) -> (Psilogd, Line) {
    let mut command = binary();
    let mut daemon = Psilogd::spawn(command.args(["-o", "stdout"]).args(args));
    let start = daemon.wait("start");
    (daemon, start)
}

fn named() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let (daemon, line) = start(&[&["--no-sandbox"], &QUIET[..]].concat());
    assert_eq!(line.key("sandbox"), "off");
    assert_eq!(daemon.proc_status("Seccomp"), 0);
    let scratch = Scratch::new();
    let file = scratch.file("psilogd.conf", "sandbox off\ncpu some 100%/2s\n");
    let (mut daemon, line) = start(&["-f", &file]);
    assert_eq!(line.key("sandbox"), "off");
    scratch.file("psilogd.conf", "sandbox on\ncpu some 100%/2s\n");
    daemon.signal("HUP");
    let line = daemon.wait("reload_failed");
    assert_eq!(
        (line.key("reason"), line.key("word")),
        ("needs_restart", "sandbox")
    );
    let (daemon, line) = start(&QUIET);
    if line.key("sandbox") == "none" {
        return skip("the kernel has neither Landlock nor seccomp");
    }
    let has_filter = line.key("sandbox").ends_with("seccomp");
    assert_eq!(daemon.proc_status("Seccomp"), 2 * u64::from(has_filter));
    done()
}

/// A file that an editor has put in place of the old one, a rule of the system, one of a
/// cgroup that appears later, and the search for the most-stalled cgroup.
fn reload() -> Outcome {
    let (Some(cgroup), None) = (Cgroup::new(), no_trigger()) else {
        return skip(NO_CGROUP);
    };
    let rule = cgroup.rule("cpu full 100%/2s name=named");
    cgroup.remove();
    let scratch = Scratch::new();
    let file = scratch.file("psilogd.conf", format!("{rule}\n"));
    let (mut daemon, _) = start(&["-f", &file]);
    let new = scratch.file("new", format!("{rule}\nio full 100%/2s name=whole\n"));
    fs::rename(new, &file).expect("renamed");
    daemon.signal("HUP");
    let line = daemon.wait("reload");
    assert_eq!((line.key("triggers"), line.key("failed")), ("1", "1"));
    crate::top::one_child(&daemon);
    fs::create_dir(&cgroup.path).expect("a cgroup");
    daemon.wait("restored");
    let (status, _, _) = daemon.end("TERM");
    assert_eq!(status.code(), Some(0));
    done()
}

#[cfg(target_arch = "x86_64")]
mod inside {
    use super::*;
    use crate::tracer::Argument::{Bytes, Number};
    use crate::tracer::{Argument, Stopped};

    /// A call, what the fence answers, and the part of the fence that does. Without it
    /// the call works, or fails for want of what it names.
    struct Try<'a> {
        what: &'a str,
        number: libc::c_long,
        arguments: Vec<Argument<'a>>,
        answer: i32,
        without: fn(i64) -> bool,
        part: &'a str,
    }

    fn works(result: i64) -> bool {
        result >= 0
    }

    fn names_nothing(result: i64) -> bool {
        result == -i64::from(libc::ENOENT)
    }

    /// An open file. Landlock answers EACCES.
    fn open<'a>(what: &'a str, path: &'a [u8], flags: libc::c_int) -> Try<'a> {
        let flags = Number(i64::from(flags));
        Try {
            what,
            number: libc::SYS_openat,
            arguments: vec![Number(-100), Bytes(path), flags, Number(0o600)],
            answer: libc::EACCES,
            without: works,
            part: "landlock",
        }
    }

    /// A call that is not on the list.
    fn unlisted<'a>(
        what: &'a str,
        number: libc::c_long,
        arguments: Vec<Argument<'a>>,
        without: fn(i64) -> bool,
    ) -> Try<'a> {
        Try {
            what,
            number,
            arguments,
            answer: libc::EPERM,
            without,
            part: "seccomp",
        }
    }

    fn tries(new: &[u8]) -> Vec<Try<'_>> {
        let nothing = || Bytes(b"/psilogd-nothing\0");
        let (at, zero) = (|| Number(-100), || Number(0));
        let executable = i64::from(libc::PROT_READ | libc::PROT_EXEC);
        let anonymous = i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let own = std::process::id().into();
        let netlink = i64::from(libc::AF_NETLINK);
        vec![
            open("read /etc/passwd", b"/etc/passwd\0", libc::O_RDONLY),
            open("create a file", new, libc::O_WRONLY | libc::O_CREAT),
            unlisted(
                "execute",
                libc::SYS_execve,
                vec![nothing(), zero(), zero()],
                names_nothing,
            ),
            unlisted(
                "remove",
                libc::SYS_unlinkat,
                vec![at(), nothing(), zero()],
                names_nothing,
            ),
            unlisted(
                "rename",
                libc::SYS_renameat2,
                vec![at(), nothing(), at(), nothing(), zero()],
                names_nothing,
            ),
            unlisted(
                "signal another process",
                libc::SYS_kill,
                vec![Number(own), zero()],
                works,
            ),
            unlisted("unshare", libc::SYS_unshare, vec![zero()], works),
            unlisted(
                "netlink",
                libc::SYS_socket,
                vec![Number(netlink), Number(3), zero()],
                works,
            ),
            unlisted(
                "map executable memory",
                libc::SYS_mmap,
                vec![
                    zero(),
                    Number(4096),
                    Number(executable),
                    Number(anonymous),
                    Number(-1),
                    zero(),
                ],
                works,
            ),
            unlisted(
                "be dumpable",
                libc::SYS_prctl,
                vec![Number(libc::PR_SET_DUMPABLE.into()), Number(1)],
                works,
            ),
        ]
    }

    /// Both processes try everything.
    pub fn forbidden() -> Outcome {
        if let Some(why) = no_trigger() {
            return skip(why);
        }
        for off in [false, true] {
            let scratch = Scratch::new();
            let switch: &[&str] = if off { &["--no-sandbox"] } else { &[] };
            let (mut daemon, line) = start(&[switch, &QUIET[..]].concat());
            let force = line.key("sandbox").to_string();
            let mut pids = vec![daemon.pid()];
            if psilogd::roots::Roots::find().cgroup.is_some() {
                pids.push(crate::top::one_child(&daemon));
            }
            for pid in pids {
                let new = format!("{}/{pid}\0", scratch.0.display());
                let stopped = match Stopped::attach(pid) {
                    Ok(stopped) => stopped,
                    Err(why) => return skip(format!("ptrace(2) can't be used: {why}")),
                };
                for this in tries(new.as_bytes()) {
                    let result = stopped.call(this.number, &this.arguments)?;
                    let refused = result == -i64::from(this.answer);
                    let what = format!("{}: {result} with {force}", this.what);
                    match force.contains(this.part) {
                        true => assert!(refused, "{what}"),
                        false => assert!((this.without)(result), "{what}"),
                    }
                }
                let made = fs::exists(new.trim_end_matches('\0'))?;
                assert_eq!(made, !force.contains("landlock"));
            }
            // it goes on, and the log has no other line
            daemon.signal("USR1");
            let status = daemon.wait("status");
            assert_eq!(status.key("rule"), "quiet");
            let (status, _, _) = daemon.end("TERM");
            assert_eq!(status.code(), Some(0));
        }
        done()
    }
}
