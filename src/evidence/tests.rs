//! Texts of /proc and of cgroups.

use proptest::prelude::*;

use super::*;

const MEMINFO: &str = "\
MemTotal:        2014184 kB
MemFree:           71200 kB
MemAvailable:     201418 kB
Buffers:            3528 kB
SwapCached:          108 kB
SwapTotal:       1048572 kB
SwapFree:         786429 kB
HugePages_Total:       0
";

const VMSTAT: &str = "\
nr_free_pages 5040590
oom_kill 7
oom_kill_disable 9
numa_hit 34598121
";

const STAT: &str = "\
cpu  1286178 99950 179313 739082 8765 0 1937 2824 0 0
cpu0 643089 49975 89656 369541 4382 0 968 1412 0 0
cpu3 643089 49975 89657 369541 4383 0 969 1412 0 0
intr 34562374 0 9 0 0 0
ctxt 57205461
";

fn memory(meminfo: &str, vmstat: &str) -> Memory {
    let mut host = Host::new();
    host.meminfo(meminfo.as_bytes());
    host.vmstat(vmstat.as_bytes());
    host.memory()
}

#[test]
fn memory_of_a_host() {
    let expected = Memory {
        available: Some(Percent(999)),
        swap_free: Some(Percent(7500)),
        oom_kills: Some(7),
    };
    assert_eq!(memory(MEMINFO, VMSTAT), expected);
}

#[test]
fn swap_free_of_no_swap_is_none() {
    let text = MEMINFO
        .replace("1048572", "      0")
        .replace("786429", "     0");
    let found = memory(&text, VMSTAT);
    assert_eq!(
        (found.swap_free, found.available),
        (None, Some(Percent(999)))
    );
    // the kernel's order of lines is no promise
    let text: Vec<_> = MEMINFO.lines().rev().collect();
    let found = memory(&(text.join("\n") + "\n"), VMSTAT);
    assert_eq!(found.swap_free, Some(Percent(7500)));
}

#[test]
fn a_memory_line_that_is_missing_or_odd_is_none() {
    for (line, odd) in [
        ("MemTotal:        2014184 kB\n", ""),
        ("MemTotal:        2014184", "MemTotal:        0"),
        ("MemAvailable:     201418 kB\n", ""),
        ("201418", "20141x"),
        ("201418", "-1"),
        ("201418", "18446744073709551616"),
        ("MemAvailable:", "MemAvailable"),
    ] {
        assert!(MEMINFO.contains(line), "{line}");
        let found = memory(&MEMINFO.replace(line, odd), VMSTAT);
        assert_eq!(found.available, None, "{odd}");
        assert_eq!(found.swap_free, Some(Percent(7500)), "{odd}");
    }
    // a container's own file may say so
    let more = MEMINFO.replace(" 201418 ", " 18446744073709551615 ");
    assert_eq!(memory(&more, VMSTAT).available, Some(Percent(10_000)));
    // before 4.13
    assert_eq!(memory(MEMINFO, "nr_free_pages 5\n").oom_kills, None);
}

#[test]
fn a_newer_text_that_cannot_be_read_leaves_no_older_figures() {
    let mut host = Host::new();
    host.meminfo(MEMINFO.as_bytes());
    host.vmstat(VMSTAT.as_bytes());
    host.stat(STAT.as_bytes());
    assert!(host.cpu().is_some());
    host.meminfo(b"");
    host.vmstat(b"oom_kill 8");
    host.stat(b"cpu");
    assert_eq!((host.memory(), host.cpu()), (Memory::default(), None));
}

fn cpu(text: &str) -> Option<Cpu> {
    let mut host = Host::new();
    host.stat(text.as_bytes());
    host.cpu()
}

#[test]
fn cpus_of_a_host() {
    let expected = Cpu {
        idle: Micros((739_082 + 8_765) * 10_000),
        steal: Micros(28_240_000),
        cpus: 2,
        throttled: None,
    };
    assert_eq!(cpu(STAT), Some(expected));
}

#[test]
fn cpus_that_cannot_be_counted_are_none() {
    let first = STAT.lines().next().unwrap();
    for text in [
        "",
        "\n",
        first,
        // the buffer has cut it, in a line and behind one
        &STAT[..140],
        &STAT[..STAT.find("intr").unwrap()],
        &STAT.replace("2824 0 0", ""),
        &STAT.replace("8765", "18446744073709551616"),
        &STAT.replace("cpu  ", "cpus "),
        &format!("{first}\nintr 0\n"),
    ] {
        assert_eq!(cpu(text), None, "{text}");
    }
    let most = STAT.replace("739082", "18446744073709551615");
    assert_eq!(cpu(&most).map(|cpu| cpu.idle), Some(Micros(u64::MAX)));
}

#[test]
fn every_cpu_of_a_large_host_counts() {
    let column = " 9999999999".repeat(10);
    let mut text = format!("cpu {column}\n");
    for n in 0..512 {
        text += &format!("cpu{n}{column}\n");
    }
    text += "intr 0\n";
    assert!(text.len() > 57_000);
    assert_eq!(cpu(&text).map(|cpu| cpu.cpus), Some(512));
}

#[test]
fn a_cgroup_has_counters_of_its_own() {
    let events = b"low 0\nhigh 5022\nmax 31\noom 4\noom_kill 3\noom_group_kill 1\n";
    assert_eq!(oom_kills(events), Some(3));
    assert_eq!(oom_kills(b"low 0\noom 4\n"), None);
    let stat = b"usage_usec 5022\nuser_usec 1\nsystem_usec 2\nnr_periods 600\n\
                 nr_throttled 598\nthrottled_usec 1073741\nnr_bursts 0\n";
    let expected = Throttled {
        periods: 600,
        throttled: 598,
    };
    assert_eq!(throttled(stat), Some(expected));
    // without the cpu controller, and cut
    assert_eq!(throttled(b"usage_usec 5022\nuser_usec 1\n"), None);
    assert_eq!(throttled(b"nr_periods 600\nnr_throttled 59"), None);
}

/// Bytes that look like the texts, and any others.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        "(sd[a-c]|nvme0n1|nbd0|vda)(p?[0-9]{1,2})?",
        "(cpu[0-9]?|MemTotal:|MemAvailable:|SwapTotal:|SwapFree:|oom_kill|nr_periods)",
        any::<u64>().prop_map(|n| n.to_string()),
        "[0-9]{1,30}",
        Just("\n".to_string()),
        "\\PC{0,40}",
    ];
    let line = prop::collection::vec(word, 0..24).prop_map(|words| words.join(" "));
    let lines = prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n").into_bytes());
    prop_oneof![lines, prop::collection::vec(any::<u8>(), 0..400)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(texts in prop::collection::vec((any::<u64>(), texts()), 1..8)) {
        let mut host = Host::new();
        let mut latest = 0;
        for (at, text) in &texts {
            latest = latest.max(*at);
            host.meminfo(text);
            host.vmstat(text);
            host.stat(text);
            host.diskstats(Moment(*at), text);
            let io = host.io();
            prop_assert!(io.stuck <= Micros(latest));
            prop_assert!(io.wait.is_none() || io.iops.is_some_and(|iops| iops > 0));
            let memory = host.memory();
            prop_assert!(memory.available <= Some(Percent(10_000)));
            let _ = (host.cpu(), oom_kills(text), throttled(text));
        }
    }
}
