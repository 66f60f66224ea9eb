//! `--replay`: what it prints of the records that are kept, and of wrong files.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;

use psilogd::config::Config;

use super::golden::compare;
use super::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("replay::records_are_replayed_as_they_were", golden),
        trial("replay::a_configuration_is_obeyed", configured),
        trial("replay::cgroups_are_replayed", cgroups),
        trial("replay::rules_that_are_not_judged_are_named", not_judged),
        trial("replay::a_wrong_file_gets_a_sentence", wrong),
        trial(
            "replay::a_wrong_configuration_gets_its_lines",
            misconfigured,
        ),
        trial("replay::a_recording_suggests_rules", suggested),
        trial("replay::a_closed_pipe_is_no_error", closed),
        trial("replay::the_picture_of_the_readme_is_current", picture),
        trial("replay::pictures_are_xml_that_refers_to_nothing", xml),
        trial("replay::a_picture_replaces_a_file", picture_file),
    ]
}

const RECORDS: [&str; 6] = ["backup", "build", "deploy", "fsync", "idle", "thrash"];

/// What somebody might ask for who can't wait.
const EAGER: [&str; 3] = [
    "memory full 10%/2s for=10s name=memory-eager",
    "io full 50%/2s for=2m name=io-eager",
    "cpu some 90%/2s for=1m name=cpu-eager",
];

fn kept(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay/traces");
    root.join(format!("{name}.psi")).display().to_string()
}

fn golden() -> Outcome {
    let scratch = Scratch::new();
    let conf = scratch.file("conf", "grace 0\n");
    let mut out = String::new();
    for name in RECORDS {
        let file = kept(name);
        let shown = |args: &[&str]| stdout(&[&["--replay", &file], args].concat());
        out += &format!("== {name}\n{}", shown(&[]));
        let eager = [&["-f", &conf][..], &EAGER].concat();
        out += &format!("== {name}, -f (grace 0), eager rules\n{}", shown(&eager));
    }
    compare("replay.txt", out.as_bytes());
    DONE
}

/// The words of the lines that were logged, and the summary.
fn replayed(args: &[&str]) -> (Vec<String>, String) {
    let text = stdout(args);
    let (lines, summary): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with('['));
    (
        lines.iter().map(|line| line.to_string()).collect(),
        summary.join("\n"),
    )
}

fn configured() -> Outcome {
    let scratch = Scratch::new();
    let thrash = kept("thrash");
    let rule = "memory full 10%/2s for=0 clear=2s repeat=2s name=m\n";
    let lines = |settings: &str| {
        let conf = scratch.file("conf", format!("{settings}\n{rule}"));
        replayed(&["--replay", &thrash, "-f", &conf])
    };
    let (free, summary) = lines("grace 0\nrate_limit none");
    assert!(free.len() > 12, "{free:?}");
    assert!(!summary.contains("ignored"), "{summary}");
    let (limited, _) = lines("grace 0\nrate_limit 2");
    assert!(limited.len() < free.len(), "{limited:?}");
    let (late, summary) = lines("grace 5m\nrate_limit none");
    assert!(late.len() < free.len(), "{late:?}");
    assert!(
        summary.contains("within the grace of 5m after boot"),
        "{summary}"
    );
    // operands replace the rules of the file, and its settings stay
    let conf = scratch.file("conf", format!("grace 0\n{rule}"));
    let io = "io full 10%/2s for=0 name=other";
    let (others, _) = replayed(&["--replay", &thrash, "-f", &conf, io]);
    assert!(
        others.iter().all(|line| line.contains(" rule=other ")),
        "{others:?}"
    );
    assert!(!others.is_empty());
    DONE
}

/// A second of stall in /a, then in a cgroup that is gone at its end.
const CGROUPS: &str = "psistat record 2\ngroup -\n900000000 d0\ngroup /a\n0:1 d0\n\
                       1000000:1 d1000000\n10000000:1\ngroup /b\n0:2 d0\n\
                       1000000:2 d1000000\n1000000:2 -\n60000000\n";

fn cgroups() -> Outcome {
    let scratch = Scratch::new();
    let file = scratch.file("record", CGROUPS);
    let rule = "memory full 50%/2s for=0 clear=4s name=m cgroup=";
    let logged = |cgroup: &str| replayed(&["--replay", &file, &format!("{rule}{cgroup}")]).0;
    let has = |line: &str, words: &[&str]| words.iter().all(|word| line.contains(word));
    let all = logged("/*");
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(has(&all[0], &["event=begin", "cgroup=/a"]), "{all:?}");
    assert!(has(&all[1], &["event=end", "cgroup=/a"]), "{all:?}");
    assert!(has(&all[2], &["event=begin", "cgroup=/b"]), "{all:?}");
    assert!(all[2].starts_with("[   12.0] "), "{all:?}");
    assert!(
        has(&all[3], &["event=end", "reason=gone", "cgroup=/b"]),
        "{all:?}"
    );
    assert!(all[3].starts_with("[   13.0] "), "{all:?}");
    let one = logged("/b");
    assert!(has(&one[0], &["event=lost", "cgroup=/b"]), "{one:?}");
    assert!(one.iter().all(|line| !line.contains("/a")), "{one:?}");
    DONE
}

fn not_judged() -> Outcome {
    let scratch = Scratch::new();
    let rules = [
        "io some 50%/2s for=1m stuck=25s name=dead",
        "cpu some 50%/2s for=1m busy=75% name=overload",
        "memory some 50%/2s for=1m avail=20% name=short",
        "irq full 50%/2s name=irq",
        "io full 50%/2s cgroup=/a name=a",
        "io full 50%/2s cgroup=/*.service name=services",
        "io full 50%/2s name=judged",
    ];
    let idle = kept("idle");
    let (_, summary) = replayed(&[&["--replay", &idle][..], &rules].concat());
    for sentence in [
        "rule dead: it has stuck=, and the recording has no counters of disks",
        "rule overload: it has busy=, and the recording has no idle time of CPUs",
        "rule short: it has avail=, and the recording has no available memory",
        "rule irq: the recording does not have irq full",
        "rule a: the recording does not have /a",
        "rule services: the recording has no cgroup that matches /*.service",
    ] {
        assert!(
            summary.contains(&format!("not judged: {sentence}")),
            "{summary}"
        );
    }
    assert!(!summary.contains("rule judged"), "{summary}");
    // with the counters they are judged
    let text = "psistat record 2\ngroup -\n900000000 a0 c0 e0\n0/sda c1 q0\n\
                0:host m100 a50 n2 i5\n9000000\n";
    let file = scratch.file("record", text);
    let (_, summary) = replayed(&[&["--replay", &file][..], &rules[..3]].concat());
    assert!(!summary.contains("not judged"), "{summary}");
    let of_system = scratch.file("cgroups", "psistat record 1\ngroup /a\n5 e1 f1\n9\n");
    let output = run(&["--replay", &of_system, "io full 50%/2s"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("rule io-full: the recording has cgroups only"),
        "{said}"
    );
    DONE
}

fn wrong() -> Outcome {
    let scratch = Scratch::new();
    let file = |text: &str| scratch.file("record", text);
    let cases = [
        (
            "",
            "line 1: this is not a record of psistat, which begins with",
        ),
        (
            "psistat record 9\n",
            "line 1: this psistat reads the formats 1 and 2",
        ),
        ("psistat record 2\n", "judges none of the rules"),
        (
            "psistat record 2\ngroup -\n5 z1\n",
            "line 3: expected a letter of psistat(1)",
        ),
        (
            "psistat record 2\ngroup -\n5 a\n",
            "line 3: expected a letter and how much",
        ),
        (
            "psistat record 2\n5 a1\n",
            "line 2: no group of this number",
        ),
        (
            "psistat record 2\ngroup -\nx\n",
            "line 3: expected the microseconds",
        ),
    ];
    for (text, sentence) in cases {
        let output = run(&["--replay", &file(text)]);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(sentence), "{text}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(output.stdout.is_empty(), "{text}");
    }
    let binary = scratch.0.join("binary");
    fs::write(&binary, b"psistat record 2\ngroup -\n\xff\n").expect("a file");
    let directory = scratch.0.display().to_string();
    for (file, sentence) in [
        (&*binary.display().to_string(), "line 3: expected text"),
        (&*directory, "Is a directory; --replay takes a file that"),
        (
            "/nowhere",
            "cannot read /nowhere: No such file or directory; --replay takes",
        ),
    ] {
        let output = run(&["--replay", file]);
        assert_eq!(output.status.code(), Some(1), "{file}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(sentence), "{file}: {said}");
    }
    DONE
}

fn misconfigured() -> Outcome {
    let scratch = Scratch::new();
    let conf = scratch.file("conf", "grace 0\nio full 10%\nrate_limit 1\n");
    let output = run(&["--replay", &kept("idle"), "-f", &conf]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(
        lines[0].starts_with(&format!("psistat: {conf}:2: \"10%\"")),
        "{said}"
    );
    assert!(
        lines[1].starts_with(&format!("psistat: {conf}:3: \"1\"")),
        "{said}"
    );
    let output = run(&["--replay", &kept("idle"), "-f", "/nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("/nowhere: the file does not exist"), "{said}");
    DONE
}

/// Two hours, and five minutes of them pressed.
fn suggested() -> Outcome {
    let scratch = Scratch::new();
    let text = "psistat record 1\ngroup -\n900000000 a0 c0 d0 e0 f0\n3600000000 d0\n\
                300000000 d45000000\n3300000000\n";
    let file = scratch.file("record", text);
    let text = stdout(&["--replay", &file, "--suggest"]);
    let config = Config::parse(text.as_bytes()).expect(&text);
    let rules: Vec<_> = config
        .rules
        .iter()
        .map(|rule| format!("{} {}", rule.name, rule.threshold))
        .collect();
    let expected = [
        "memory 20%",
        "memory-critical 40%",
        "cpu 90%",
        "io-stuck 20%",
        "io-dead 20%",
    ];
    assert_eq!(rules, expected, "{text}");
    assert!(
        text.contains("# Recorded for 7200 s: 3600 windows of 2s."),
        "{text}"
    );
    let short = stdout(&["--replay", &kept("idle"), "--suggest"]);
    let config = Config::parse(short.as_bytes()).expect(&short);
    assert_eq!(config.rules, []);
    assert!(short.contains("# fired         -     -"), "{short}");
    DONE
}

fn closed() -> Outcome {
    let mut running = Running::new(&["--replay", &kept("thrash")]);
    drop(running.lines.take());
    assert_eq!(running.ended().code(), Some(0));
    DONE
}

fn picture_conf() -> String {
    fixtures()
        .join("../golden/picture.conf")
        .display()
        .to_string()
}

/// The command that README.md names beside the picture, to standard output.
fn picture() -> Outcome {
    let thrash = kept("thrash");
    let svg = stdout(&["--replay", &thrash, "-f", &picture_conf(), "--svg", "-"]);
    compare("picture.svg", svg.as_bytes());
    DONE
}

/// Parses a picture; prints its root, then each piece of text, then whatever could refer
/// to something else.
const PARSED: &str = r#"
import sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
print(root.tag)
for element in root.iter():
    if element.text and element.text.strip() and not element.tag.endswith("}style"):
        print("text", element.text)
    for name, value in element.attrib.items():
        if "href" in name or "src" in name or "url(" in value:
            print("refers", name, value)
    if element.tag.endswith("}style") and ("url" in element.text or "import" in element.text):
        print("refers", element.text)
"#;

/// Of every record that is kept, and of one whose cgroup has a name that XML would read as
/// its own.
fn xml() -> Outcome {
    if let Err(why) = works("python3", &["-c", "import xml.etree.ElementTree"]) {
        return skip(why);
    }
    let scratch = Scratch::new();
    let record = CGROUPS.replace("group /a", "group /<a&");
    let named = scratch.file("record", record);
    let parsed = |args: &[&str]| filter("python3", &["-c", PARSED], &stdout(args));
    for name in RECORDS {
        let text = parsed(&["--replay", &kept(name), "-f", &picture_conf(), "--svg", "-"]);
        assert!(
            text.starts_with("{http://www.w3.org/2000/svg}svg\n"),
            "{text}"
        );
        for word in [
            "text memory",
            "text io",
            "text some 20 % io",
            "text threshold",
        ] {
            assert!(text.lines().any(|line| line == word), "{word}: {text}");
        }
        assert!(!text.contains("refers"), "{text}");
    }
    let rule = "memory full 50%/2s for=0 clear=4s name=m cgroup=/*";
    let text = parsed(&["--replay", &named, rule, "--svg", "-"]);
    assert!(text.contains("text memory of /<a&\n"), "{text}");
    DONE
}

/// Like `--record`; and one that can't be written is said to be so.
fn picture_file() -> Outcome {
    let scratch = Scratch::new();
    let (idle, old) = (kept("idle"), "old\n".repeat(10_000));
    let file = scratch.file("picture", &old);
    let text = stdout(&["--replay", &idle, "--svg", &file]);
    assert!(text.is_empty(), "{text}");
    let svg = fs::read_to_string(&file).expect("a picture");
    assert!(
        svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
        "{svg}"
    );
    // whatever is wrong is found before the file is touched
    let file = scratch.file("picture", &old);
    let output = run(&["--replay", "/nonexistent", "--svg", &file]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(fs::read_to_string(&file).ok(), Some(old));
    let directory = scratch.0.display().to_string();
    for (file, sentence) in [
        (
            "/nowhere/at/all",
            "No such file or directory; create its directory first",
        ),
        (&*directory, "Is a directory; expected the name of a file"),
        ("/dev/full", "No space left on device"),
    ] {
        let output = run(&["--replay", &idle, "--svg", file]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            said.contains(&format!("cannot write {file}: {sentence}")),
            "{said}"
        );
    }
    DONE
}
