//! What many cgroups and rules can't do: take every descriptor, or all memory.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use libtest_mimic::Trial;

use crate::cgroups::{Subtree, armed, held};
use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("bounds::descriptors_are_left_for_the_rest", reserve),
        trial("bounds::one_user_leaves_room_for_the_others", shares),
        trial("bounds::many_directories_take_bounded_memory", memory),
        trial("bounds::a_reload_of_many_is_served_in_between", reload),
    ]
}

/// An operator wants psilogd to log and to reload, however many cgroups a pattern
/// matches, and to arm the waiting ones as soon as it can.
fn reserve() -> Outcome {
    let Some(subtree) = Subtree::new() else {
        return skip(NO_CGROUP);
    };
    for index in 0..60 {
        subtree.make(&index.to_string());
    }
    let scratch = Scratch::new();
    let rule = subtree.rule("cpu full 90%/2s name=many", "*");
    let text = format!("max_triggers 10000\n{rule}\ncpu some 99%/2s name=whole\n");
    let file = scratch.file("psilogd.conf", &text);
    let socket = scratch.0.join("log");
    let script = "ulimit -n 30; exec \"$0\" -o stdout -o syslog:\"$1\" -f \"$2\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, program()]);
    let mut daemon = Psilogd::spawn(command.arg(&socket).arg(&file));
    let capped = daemon.wait("capped");
    assert_eq!(capped.key("hint"), "descriptors", "{}", capped.text);
    daemon.wait("start");
    let before = armed(&daemon, &subtree);
    assert!(!before.is_empty());
    assert_eq!(capped.number("count") as usize + before.len(), 60);
    // a receiver that starts late, and a reload
    let receiver = UnixDatagram::bind(&socket)?;
    receiver.set_read_timeout(Some(DEADLINE))?;
    fs::write(&file, format!("{text}rate_limit 30\n"))?;
    daemon.signal("HUP");
    daemon.wait("reload");
    let mut buffer = [0; 2048];
    loop {
        let length = uninterrupted(|| receiver.recv(&mut buffer))?;
        if String::from_utf8_lossy(&buffer[..length]).contains("event=reload ") {
            break;
        }
    }
    before.iter().for_each(|name| subtree.remove(name));
    let others = |now: &BTreeSet<String>| now.len() == before.len() && now.is_disjoint(&before);
    until("the waiting are armed", || {
        others(&armed(&daemon, &subtree))
    });
    done()
}

/// An operator wants an answer, and the lines of an alarm, while psilogd looks through
/// thousands of directories. The order of lines shows it: both signals are pending at
/// once, and the reload is the longer task.
fn reload() -> Outcome {
    let scratch = Scratch::new();
    for index in 0..2000 {
        fs::create_dir_all(scratch.0.join(format!("mount/{index}")))?;
    }
    let mount = scratch.0.join("mount");
    let mount = mount.to_str().expect("text");
    let rule = "cpu full 90%/2s name=many cgroup=/*/none";
    let mut daemon = Psilogd::start(&["-f", "/dev/null", "-C", mount, rule]);
    for name in ["STOP", "HUP", "USR1", "CONT"] {
        daemon.signal(name);
    }
    assert_eq!(daemon.next(DEADLINE).expect("a line").event(), "status");
    assert_eq!(daemon.next(DEADLINE).expect("a line").event(), "alive");
    assert_eq!(daemon.next(DEADLINE).expect("a line").event(), "reload");
    done()
}

fn shares() -> Outcome {
    let Some(subtree) = Subtree::new() else {
        return skip(NO_CGROUP);
    };
    for index in 0..20 {
        subtree.make(&format!("one/{index}"));
    }
    let scratch = Scratch::new();
    let rule = subtree.rule("cpu full 90%/2s name=users", "*/*");
    let file = scratch.file("psilogd.conf", format!("max_triggers 6\n{rule}\n"));
    let mut daemon = Psilogd::start(&["-f", &file]);
    let below = |user: &str| {
        let armed = armed(&daemon, &subtree);
        armed.iter().filter(|name| name.starts_with(user)).count()
    };
    assert_eq!(below("one"), 6);
    for index in 0..20 {
        subtree.make(&format!("two/{index}"));
    }
    until("half of the room is another's", || {
        (below("one"), below("two")) == (3, 3)
    });
    subtree.make("three/0");
    until("a third has room", || {
        below("three") == 1 && below("one") + below("two") == 5
    });
    // no trigger of anybody is lost, and no line says so
    daemon.signal("USR1");
    assert_eq!(daemon.wait("status").key("capped"), "35");
    let lost = daemon.seen.iter().any(|line| line.contains("event=lost"));
    assert!(!lost, "{:#?}", daemon.seen);
    done()
}

/// Whatever users create below a pattern, watches and memory stay in proportion to
/// `max_triggers`: 40 times as many directories, with paths of some hundred bytes.
fn memory() -> Outcome {
    let sizes = [200, 8000].map(|count| {
        let scratch = Scratch::new();
        let long = "n".repeat(200);
        for index in 0..count {
            let path = format!("mount/{}/{long}{index}", index % 10);
            let path = scratch.0.join(path);
            fs::create_dir_all(&path).expect("mkdir");
            let zeros = "avg10=0.00 avg60=0.00 avg300=0.00 total=0";
            let text = format!("some {zeros}\nfull {zeros}\n");
            fs::write(path.join("cpu.pressure"), text).expect("a file");
        }
        let rule = "cpu full 90%/2s name=many cgroup=/*/**";
        let file = scratch.file("psilogd.conf", format!("max_triggers 16\n{rule}\n"));
        let mount = scratch.0.join("mount");
        let mount = mount.to_str().expect("text");
        let mut daemon = Psilogd::start(&["-f", &file, "-C", mount]);
        for _ in 0..3 {
            daemon.signal("HUP");
            daemon.wait("reload");
        }
        daemon.signal("USR1");
        // a file that is not the kernel's is read once: the armed ones are lost by now
        let capped = loop {
            let status = daemon.wait("status");
            if status.has("capped") {
                break status.number("capped") as usize;
            }
        };
        assert_eq!(capped, count - 16);
        let (_, watches) = held(&daemon);
        assert!(watches <= 2 * 16 + 64, "{watches} watches");
        daemon.proc_status("VmHWM")
    });
    // in kB: 7,800 paths of 200 bytes, kept once, are over 1,500
    assert!(sizes[1] < sizes[0] + 1000, "{sizes:?} kB");
    done()
}
