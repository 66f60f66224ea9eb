//! Files in a directory's place of /proc, and those of this host.

use super::*;
use crate::evidence::Throttled;
use crate::pressure::Percent;
use crate::time::Micros;
use std::fs;
use std::path::PathBuf;

/// A host of plain files.
struct Files(PathBuf);

const MEMINFO: &str = "MemTotal: 1000 kB\nMemAvailable: 250 kB\n";
const DISKSTATS: &str = " 8 0 sda 10 0 0 100 0 0 0 0 2 100 0\n";
const STAT: &str = "cpu  1 2 3 40 5 6 7 8\ncpu0 1 2 3 40 5 6 7 8\nintr 0\n";

impl Files {
    fn new(name: &str) -> Files {
        let name = format!("psilogd-evidence-{name}-{}", std::process::id());
        let files = Files(std::env::temp_dir().join(name));
        fs::create_dir_all(files.0.join("cgroup/a b/c")).unwrap();
        files.write("meminfo", MEMINFO);
        files.write("vmstat", "nr_free_pages 5\noom_kill 7\n");
        files.write("diskstats", DISKSTATS);
        files.write("stat", STAT);
        files.write("cgroup/a b/c/memory.events", "oom 4\noom_kill 3\n");
        files.write("cgroup/a b/c/cpu.stat", "nr_periods 9\nnr_throttled 8\n");
        files
    }

    /// In place: a source keeps its file open.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.0.join(name)).unwrap();
    }

    fn roots(&self) -> Roots {
        Roots {
            system: self.0.join("pressure"),
            cgroup: Some(self.0.join("cgroup")),
        }
    }

    fn sources(&self) -> Sources {
        Sources::new(&self.roots(), at(0))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn rule(resource: &str) -> Rule {
    let kind = if resource == "irq" { "full" } else { "some" };
    Rule::parse([resource, kind, "10%/2s"]).unwrap()
}

fn at(second: u64) -> Moment {
    Moment(10_000_000) + Micros::secs(second)
}

#[test]
fn a_rule_gets_the_evidence_of_its_resource() {
    let files = Files::new("resource");
    let mut sources = files.sources();
    sources.turn();
    let memory = evidence::Memory {
        available: Some(Percent(2500)),
        swap_free: None,
        oom_kills: Some(7),
    };
    let found = sources.read(&rule("memory"), None, at(2)).unwrap();
    assert_eq!(found, Evidence::Memory(memory));
    let Evidence::Io(io) = sources.read(&rule("io"), None, at(2)).unwrap() else {
        panic!("no evidence on io");
    };
    assert_eq!((io.stuck, io.inflight), (Micros::secs(2), 2));
    let cpu = evidence::Cpu {
        idle: Micros(450_000),
        steal: Micros(80_000),
        cpus: 1,
        throttled: None,
    };
    let found = sources.read(&rule("cpu"), None, at(2)).unwrap();
    assert_eq!(found, Evidence::Cpu(cpu));
    let found = sources.read(&rule("irq"), None, at(2)).unwrap();
    assert_eq!(found, Evidence::None);
}

#[test]
fn a_cgroup_has_files_of_its_own() {
    let files = Files::new("cgroup");
    let mut sources = files.sources();
    let mut read = |path: &[u8]| {
        sources.turn();
        let memory = sources.read(&rule("memory"), Some(path), at(2)).unwrap();
        let cpu = sources.read(&rule("cpu"), Some(path), at(2)).unwrap();
        match (memory, cpu) {
            (Evidence::Memory(memory), Evidence::Cpu(cpu)) => (memory.oom_kills, cpu.throttled),
            other => panic!("{other:?}"),
        }
    };
    let throttled = Throttled {
        periods: 9,
        throttled: 8,
    };
    assert_eq!(read(b"/a b/c"), (Some(3), Some(throttled)));
    // the root has no memory.events
    files.write("cgroup/cpu.stat", "nr_periods 0\nnr_throttled 0\n");
    assert_eq!(read(b"/"), (None, Some(Throttled::default())));
    let long = [b"/", "n".repeat(libc::PATH_MAX as usize).as_bytes()].concat();
    for path in [&b"/gone"[..], b"/a b", b"/a\0b", &long, b""] {
        let expected = if path.is_empty() {
            Some(Throttled::default())
        } else {
            None
        };
        assert_eq!(read(path), (None, expected));
    }
    assert_eq!(read(b"/a b/c"), (Some(3), Some(throttled)));
    files.remove("cgroup/a b/c/memory.events");
    files.write("cgroup/a b/c/cpu.stat", "usage_usec 5\n");
    assert_eq!(read(b"/a b/c"), (None, None));
    // kills of the whole host are not its own
    assert!(sources.meminfo.fresh && sources.stat.fresh && !sources.vmstat.fresh);
}

#[test]
fn a_file_is_read_once_a_turn() {
    let files = Files::new("turn");
    let mut sources = files.sources();
    files.write("vmstat", "oom_kill 6\n");
    let available =
        |sources: &mut Sources| match sources.read(&rule("memory"), None, at(2)).unwrap() {
            Evidence::Memory(memory) => (memory.available, memory.oom_kills),
            other => panic!("{other:?}"),
        };
    assert_eq!(available(&mut sources), (Some(Percent(2500)), Some(6)));
    files.write("meminfo", &MEMINFO.replace("250", "500"));
    files.write("vmstat", "oom_kill 8\n");
    assert_eq!(available(&mut sources), (Some(Percent(2500)), Some(6)));
    sources.turn();
    assert_eq!(available(&mut sources), (Some(Percent(5000)), Some(8)));
}

#[test]
fn what_is_absent_or_odd_cannot_be_read() {
    let readable = |files: &Files| Resource::ALL.map(|of| files.sources().can_read(of));
    let files = Files::new("absent");
    // cpu, memory, io, irq
    assert_eq!(readable(&files), [true, true, true, false]);
    for text in ["", "odd\n", "cpu  1 2 3 40 5 6 7 8\ncpu0 1 2 3\n"] {
        files.write("stat", text);
        assert_eq!(readable(&files), [false, true, true, false], "{text}");
    }
    files.write("meminfo", "MemTotal: 1000 kB\n");
    files.write("diskstats", "odd\n");
    assert_eq!(readable(&files), [false; 4]);
    // a host without disks
    files.write("diskstats", "");
    assert_eq!(readable(&files), [false, false, true, false]);
    for name in ["meminfo", "vmstat", "diskstats", "stat"] {
        files.remove(name);
    }
    assert_eq!(readable(&files), [false; 4]);
    let mut sources = files.sources();
    sources.turn();
    let mut read = |resource| sources.read(&rule(resource), None, at(2)).unwrap();
    assert_eq!(read("cpu"), Evidence::None);
    assert_eq!(read("io"), Evidence::None);
    assert_eq!(
        read("memory"),
        Evidence::Memory(evidence::Memory::default())
    );
}

#[test]
fn a_rule_that_asks_for_what_cannot_be_read_is_refused() {
    let files = Files::new("refused");
    let rules = [
        ("meminfo", "memory full 10%/2s avail=25%"),
        ("diskstats", "io some 10%/2s stuck=20s"),
        ("stat", "cpu some 90%/2s busy=90%"),
    ]
    .map(|(name, text)| (name, Rule::parse(text.split(' ')).unwrap()));
    let found = |rule: &Rule| {
        let why = check_evidence(&files.roots())(rule).err()?;
        let text = why.to_string();
        let (path, rest) = text.split_once(": ").unwrap();
        let (what, _) = rest.split_once(": a key of the rule needs it").unwrap();
        let path = PathBuf::from(path);
        assert_eq!(why.hint, Some(Hint::NoEvidence));
        assert_eq!(path.parent(), Some(files.0.as_path()));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        Some((name, why.errno(), what.to_owned()))
    };
    for (_, rule) in &rules {
        assert_eq!(found(rule), None);
    }
    for (name, rule) in &rules {
        files.write(name, "odd\n");
        let odd = (name.to_string(), libc::EIO, "invalid data".to_string());
        assert_eq!(found(rule), Some(odd));
        files.remove(name);
        let (found, errno, _) = found(rule).unwrap();
        assert_eq!((found.as_str(), errno), (*name, libc::ENOENT));
    }
    // what asks for nothing needs no file
    for resource in ["memory", "io", "cpu", "irq"] {
        assert!(check_evidence(&files.roots())(&rule(resource)).is_ok());
    }
}

#[test]
fn a_file_that_fails_is_an_error() {
    let files = Files::new("fails");
    files.remove("diskstats");
    // it can be opened, but not read
    fs::create_dir(files.0.join("diskstats")).unwrap();
    let mut sources = files.sources();
    assert!(!sources.can_read(Resource::Io));
    let error = sources.read(&rule("io"), None, at(2)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
}

#[test]
fn a_text_longer_than_the_buffer_is_read_as_far_as_it_goes() {
    let files = Files::new("long");
    let line = |n: usize| DISKSTATS.replace("sda", &format!("sda{n}"));
    let text: String = (0..9000).map(line).collect();
    assert!(text.len() > TEXT_MAX);
    files.write("diskstats", &format!("{DISKSTATS}{text}"));
    assert!(files.sources().can_read(Resource::Io));
}

#[test]
fn readings_of_this_host_do_not_allocate() {
    let roots = Roots::find();
    let mut sources = Sources::new(&roots, sys::now());
    for resource in Resource::ALL {
        let name = resource.name();
        let rule = rule(name);
        for cgroup in [None, Some(&b"/"[..]), Some(b"/gone")] {
            let mut found = None;
            let counted = allocation_counter::measure(|| {
                sources.turn();
                found = sources.read(&rule, cgroup, sys::now()).ok();
            });
            assert_eq!(counted.count_total, 0, "{name}");
            assert_eq!(found != Some(Evidence::None), sources.can_read(resource));
        }
    }
}

/// `cargo test --lib cost -- --ignored --nocapture`
#[test]
#[ignore = "figures, not a test"]
fn cost_of_a_reading() {
    const TIMES: u32 = 20_000;
    let mut sources = Sources::new(&Roots::find(), sys::now());
    for (resource, cgroup) in [
        ("memory", None),
        ("io", None),
        ("cpu", None),
        ("memory", Some(&b"/"[..])),
        ("cpu", Some(b"/")),
    ] {
        let rule = rule(resource);
        let start = std::time::Instant::now();
        for _ in 0..TIMES {
            sources.turn();
            std::hint::black_box(sources.read(&rule, cgroup, sys::now()).ok());
        }
        println!("{resource} {cgroup:?}: {:?}", start.elapsed() / TIMES);
    }
}

#[test]
fn what_was_absent_or_odd_is_opened_again() {
    let files = Files::new("again");
    let stuck = Rule::parse("io some 10%/2s stuck=20s".split(' ')).unwrap();
    let busy = Rule::parse("cpu some 90%/2s busy=90%".split(' ')).unwrap();
    files.remove("diskstats");
    files.write("stat", "odd\n");
    files.remove("vmstat");
    let mut sources = files.sources();
    assert!(sources.provide(&stuck).is_err() && sources.provide(&busy).is_err());
    files.write("diskstats", DISKSTATS);
    assert!(sources.provide(&stuck).is_ok() && sources.provide(&busy).is_err());
    // another file of that name, as one that is mounted there
    files.remove("stat");
    files.write("stat", STAT);
    files.write("vmstat", "oom_kill 7\n");
    sources.reopen(at(1));
    assert!(sources.check(&busy).is_ok());
    let Evidence::Memory(memory) = sources.read(&rule("memory"), None, at(2)).unwrap() else {
        panic!("no evidence on memory");
    };
    assert_eq!(memory.oom_kills, Some(7));
}
