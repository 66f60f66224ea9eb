//! On the running kernel: against an independent reader of the same counters,
//! with cgroups that come and go, and how often files are read.

use std::process::{Child, Command};

use libtest_mimic::Trial;

use super::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("live::percentages_are_those_of_the_counters", percentages),
        trial("live::rows_lie_on_a_grid", grid),
        trial("live::a_cgroup_that_goes_and_comes_again", vanished),
        trial("live::a_pattern_follows_the_tree", pattern),
        trial("live::a_cgroup_that_is_made_again_unseen", renewed),
        trial("live::a_system_file_is_read_once_an_interval", reads),
        trial("live::a_cgroup_file_is_read_once_an_interval", cgroup_reads),
    ]
}

const NO_PSI: &str = "this kernel keeps no pressure figures";

fn psi() -> bool {
    std::fs::read("/proc/pressure/cpu").is_ok_and(|text| !text.is_empty())
}

/// Processes that want more CPUs than there are.
struct Load(Vec<Child>);

impl Load {
    fn new() -> Load {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let spin = || {
            Command::new("nice")
                .args(["-n", "19", "sh", "-c", "while :; do :; done"])
                .spawn()
                .expect("a shell")
        };
        Load((0..=cpus).map(|_| spin()).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads the counters by itself whenever psistat has written a row, and computes
/// the percentages of the same intervals. Prints the largest difference.
const INDEPENDENT: &str = r#"
import json, re, subprocess, sys, time
def counters():
    found = {}
    for name in ["cpu", "memory", "io"]:
        with open("/proc/pressure/" + name) as file:
            text = file.read()
        at = time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1000
        for kind, total in re.findall(r"(some|full) .*total=(\d+)", text):
            found[name, kind] = at, int(total)
    return found
psistat = subprocess.Popen([sys.argv[1], "-j", "1", "5"], stdout=subprocess.PIPE)
worst, before, busiest = 0, None, 0
for line in psistat.stdout:
    now = counters()
    row = json.loads(line)
    if before:
        for name, kind in now:
            if (name, kind) == ("cpu", "full"):
                continue
            (at, total), (earlier, less) = now[name, kind], before[name, kind]
            own = 100 * (total - less) / (at - earlier)
            worst = max(worst, abs(own - row[name][kind]["pct"]))
            busiest = max(busiest, own)
    before = now
assert psistat.wait() == 0
print(worst, busiest)
"#;

/// Within one percentage point. The two read some hundred microseconds apart, on
/// a busy machine more: so the best of a few runs counts.
fn percentages() -> Outcome {
    if !psi() {
        return skip(NO_PSI);
    }
    if let Some(why) = missing(&["python3"]) {
        return skip(&why);
    }
    let _load = Load::new();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let text = filter("python3", &["-c", INDEPENDENT, PSISTAT], "");
        let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>());
        let (Some(Ok(worst)), Some(Ok(busiest))) = (numbers.next(), numbers.next()) else {
            panic!("{text}");
        };
        assert!(busiest > 20.0, "no pressure to be measured: {busiest}");
        if worst <= 1.0 {
            return DONE;
        }
        seen.push(worst);
    }
    panic!("differ by more than one percentage point: {seen:?}")
}

/// Rows may be late one by one, but lateness does not add up: of the last ones
/// some lie where the first one did. A reading that was missed is left out.
fn grid() -> Outcome {
    const STEP: i64 = 50_000;
    let text = stdout(&["-j", "-P", &fixture("all/1"), "50ms", "60"]);
    let time = |line: &str| -> i64 {
        let (_, rest) = line.split_once("\"time_us\":").expect("a time");
        let (time, _) = rest.split_once(',').expect("more");
        time.parse().expect("a number")
    };
    let times: Vec<_> = text.lines().map(time).collect();
    assert_eq!(times.len(), 60);
    let first = times[..20].iter().min().expect("a row");
    let off = |time: &i64| {
        let late = (time - first).rem_euclid(STEP);
        late.min(STEP - late)
    };
    let best = times[40..].iter().map(off).min();
    assert!(best < Some(4_000), "{best:?} us off the grid: {times:?}");
    DONE
}

fn vanished() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let mut running = Running::new(&["-j", "-g", &cgroup.cgroup(), "20ms"]);
    let mut line_with = |what: &str, word: &str, then: fn(&Cgroup)| {
        until(what, || running.line().contains(word).then_some(()));
        then(&cgroup);
    };
    let gone = "\"cpu\":null,\"memory\":null,\"io\":null";
    line_with("figures", "\"pct\":0.00", |cgroup| {
        std::fs::remove_dir(&cgroup.path).expect("rmdir");
    });
    line_with("none", gone, |cgroup| {
        std::fs::create_dir(&cgroup.path).expect("mkdir");
    });
    // Another cgroup: its first interval is not known, the second is.
    line_with(
        "another",
        "\"cpu\":{\"interval_us\":null,\"some\":{\"pct\":null",
        |_| {},
    );
    line_with("figures again", "\"pct\":0.00", |_| {});
    assert!(running.child.try_wait().expect("wait").is_none());
    DONE
}

fn pattern() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let make = |name: &str| std::fs::create_dir_all(cgroup.path.join(name)).expect("mkdir");
    make("a b*.service/deep");
    make("x.service");
    make("y.slice");
    let pattern = format!("{}/*.service", cgroup.cgroup());
    let text = stdout(&["-g", &pattern, "-g", &pattern, "-g", "x.service"]);
    let names: Vec<_> = text
        .lines()
        .skip(2)
        .filter_map(|line| line.split_whitespace().last())
        .filter_map(|name| name.strip_prefix(cgroup.cgroup().as_str()))
        .collect();
    assert_eq!(names, ["/a%20b%2A.service", "/x.service"]);
    // a name that was printed names that cgroup
    let name = format!("{}/a%20b%2A.service", cgroup.cgroup());
    assert!(stdout(&["-g", &name]).contains(&name));

    let mut running = Running::new(&["-j", "-g", &format!("{}/**", cgroup.cgroup()), "20ms"]);
    let mut see = |word: &str| {
        let what = format!("a line with {word}");
        until(&what, || running.line().contains(word).then_some(()));
    };
    see("y.slice\",\"cpu\":{\"interval_us\":");
    make("y.slice/new");
    see("/new\",\"cpu\":{\"interval_us\":null");
    see("/new\",\"cpu\":{\"interval_us\":2");
    std::fs::remove_dir(cgroup.path.join("y.slice/new")).expect("rmdir");
    see("/new\",\"cpu\":null");
    DONE
}

/// Gone and made again between two readings: the path is the same and the
/// counters may be, but nothing is known of the interval.
fn renewed() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let child = cgroup.path.join("child");
    std::fs::create_dir(&child).expect("mkdir");
    let mut running = Running::new(&["-j", "-g", &format!("{}/*", cgroup.cgroup()), "500ms"]);
    assert!(running.line().contains("\"cpu\":{\"interval_us\":"));
    assert!(running.line().contains("\"pct\":0.00"));
    std::fs::remove_dir(&child).expect("rmdir");
    std::fs::create_dir(&child).expect("mkdir");
    assert!(running.line().contains("\"interval_us\":null"));
    assert!(running.line().contains("\"pct\":0.00"));
    DONE
}

/// psistat's system calls, as strace(1) sees them.
fn traced(calls: &str, args: &[&str]) -> Result<String, Outcome> {
    if let Some(why) = missing(&["strace"]) {
        return Err(skip(&why));
    }
    let output = Command::new("strace")
        .args(["-f", "-q", "-y", "-e", &format!("trace={calls}"), PSISTAT])
        .args(args)
        .output()
        .expect("strace runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if text.contains("ptrace") {
        return Err(skip("strace may not trace here"));
    }
    assert!(output.status.success(), "{text}");
    Ok(text)
}

fn count(text: &str, call: &str, file: &str) -> usize {
    text.lines()
        .filter(|line| line.contains(&format!("{call}(")) && line.contains(file))
        .count()
}

/// glibc opens by openat(2), musl by open(2).
fn opened(text: &str, file: &str) -> usize {
    count(text, "openat", file) + count(text, "open", file)
}

fn reads() -> Outcome {
    let (root, calls) = (fixture("all/1"), "open,openat,read,pread64,readv");
    let text = match traced(calls, &["-P", &root, "10ms", "7"]) {
        Ok(text) => text,
        Err(outcome) => return outcome,
    };
    for file in ["cpu", "memory", "io", "irq"] {
        let file = format!("{root}/{file}");
        assert_eq!(count(&text, "pread64", &file), 7, "{text}");
        assert_eq!(opened(&text, &file), 1, "{text}");
        assert_eq!(count(&text, "read", &file), 0, "{text}");
    }
    DONE
}

fn cgroup_reads() -> Outcome {
    let (root, calls) = (fixture("cgroups/1"), "open,openat,read,pread64,readv");
    // two patterns that both match
    let args = [
        "-C",
        &root,
        "-g",
        "**",
        "-g",
        "/system.slice/*",
        "10ms",
        "5",
    ];
    let text = match traced(calls, &args) {
        Ok(text) => text,
        Err(outcome) => return outcome,
    };
    for file in ["cpu", "memory", "io"] {
        let file = format!("{root}/system.slice/cron.service/{file}.pressure");
        assert_eq!(opened(&text, &file), 5, "{text}");
        assert_eq!(count(&text, "read", &file), 5, "{text}");
    }
    DONE
}
