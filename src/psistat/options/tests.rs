use super::*;
use crate::pressure::{Kind, Resource};
use crate::rule::Rule;
use crate::stat::{CELLS, select};

fn parse(line: &str) -> Result<Action, String> {
    let parsed = Action::parse(line.split_whitespace().map(OsString::from));
    parsed.map_err(|UsageError(why)| why)
}

fn settings(line: &str) -> Settings {
    match parse(line) {
        Ok(Action::Show(settings)) => settings,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn intervals_and_counts() {
    for (line, interval, count) in [
        ("", None, Some(1)),
        ("1", Some(1_000_000), None),
        ("0.5", Some(500_000), None),
        (".25", Some(250_000), None),
        ("2.", Some(2_000_000), None),
        ("500ms 10", Some(500_000), Some(10)),
        ("1m", Some(60_000_000), None),
        ("0.01", Some(10_000), None),
    ] {
        let settings = settings(line);
        assert_eq!(settings.interval, interval.map(Micros), "{line}");
        assert_eq!(settings.count, count, "{line}");
    }
}

#[test]
fn options_are_read() {
    let settings = settings("-ajmtw -c 0.5,2 -r memory,io -n 3 -P /p -C /c 1");
    assert!(settings.averages && settings.json && settings.wide);
    assert!(settings.plain && settings.time);
    assert_eq!(settings.limits.yellow, Percent(50));
    assert_eq!(settings.limits.red, Percent(200));
    let both = [Resource::Memory, Resource::Io];
    let kinds = [Kind::Some, Kind::Full];
    assert_eq!(settings.selection, select(&both, &kinds));
    assert_eq!(settings.top, Some(3));
    // -n alone is of every cgroup
    assert_eq!(settings.patterns, [Pattern::parse(b"**").unwrap()]);
    assert_eq!(settings.pressure, Some("/p".into()));
    assert_eq!(settings.cgroups, Some("/c".into()));
}

#[test]
fn kinds_and_resources_select_columns() {
    let all = [true; CELLS.len()];
    for (line, expected) in [
        ("", all),
        ("-k some,full", all),
        ("-k full", select(&Resource::ALL, &[Kind::Full])),
        ("-k some -r irq,io", select(&[Resource::Io], &[Kind::Some])),
        ("-k full -r irq", select(&[Resource::Irq], &[Kind::Full])),
    ] {
        assert_eq!(settings(line).selection, expected, "{line}");
    }
}

#[test]
fn every_option_has_a_long_name_that_means_the_same() {
    let both = [
        ("-a", "--averages"),
        ("-c 1,2", "--color 1,2"),
        ("-g /a", "--cgroup /a"),
        ("-j", "--json"),
        ("-k full", "--kind full"),
        ("-m", "--no-color"),
        ("-n 3", "--top 3"),
        ("-r io", "--resource io"),
        ("-t", "--timestamp"),
        ("-w", "--wide"),
        ("-C /c", "--cgroup-root /c"),
        ("-P /p", "--pressure /p"),
        ("--replay x -f c", "--replay x --config c"),
        ("-h", "--help"),
        ("-V", "--version"),
    ];
    let plain = parse("");
    for (short, long) in both {
        assert_eq!(parse(short), parse(long), "{short}");
        assert_ne!(parse(short), plain, "{short}");
    }
    let short = OPTIONS.iter().filter(|known| !known.0.is_empty());
    assert_eq!(short.count(), both.len());
    assert!(OPTIONS.iter().all(|known| !known.1.is_empty()));
}

#[test]
fn a_replay_takes_rules_or_suggests() {
    let replaying = |config: Option<&str>, rules: &[&str]| {
        let rule = |rule: &&str| Rule::parse(rule.split(' ')).unwrap();
        Ok(Action::Replay(Replaying {
            file: "x".into(),
            config: config.map(PathBuf::from),
            rules: rules.iter().map(rule).collect(),
            svg: None,
        }))
    };
    let parse = |words: &[&str]| Action::parse(words.iter().map(OsString::from));
    assert_eq!(parse(&["--replay", "x"]), replaying(None, &[]));
    let rule = "io full 10%/2s";
    assert_eq!(
        parse(&["--replay", "x", "-f", "c", rule]),
        replaying(Some("c"), &[rule])
    );
    let from = Ok(Action::SuggestFrom("x".into()));
    assert_eq!(parse(&["--replay", "x", "--suggest"]), from);
    assert_eq!(parse(&["--suggest", "--replay=x"]), from);
}

#[test]
fn the_length_of_a_suggestion_may_be_a_word_of_its_own() {
    let Ok(Action::Suggest(_, length)) = parse("--suggest 1h -r io") else {
        panic!("refused");
    };
    assert_eq!(length, Micros::secs(3600));
    assert_eq!(parse("--suggest=1h -r io"), parse("-r io --suggest 1h"));
}

#[test]
fn a_name_that_is_not_text_is_accepted() {
    let args = [b"-g".to_vec(), b"/a\xff*".to_vec()].map(OsString::from_vec);
    let Ok(Action::Show(settings)) = Action::parse(args) else {
        panic!("refused");
    };
    assert!(settings.patterns[0].matches(b"/a\xffb"));
}

#[test]
fn wrong_arguments_are_refused() {
    for (line, word) in [
        ("x", "\"x\""),
        ("0", "at least 10ms"),
        ("--suggest", "option --suggest: the argument is missing"),
        ("--suggest 1h 5", "--suggest takes no interval"),
        ("-f x", "-f, --config needs --replay"),
        ("--svg x", "option --svg needs --replay"),
        (
            "--replay x --suggest --svg y",
            "--svg can't be used with --suggest",
        ),
        ("--replay", "option --replay: the argument is missing"),
        (
            "--replay x -g /a",
            "-g, --cgroup can't be used with --replay",
        ),
        (
            "--replay x --record y",
            "--record can't be used with --replay",
        ),
        ("--replay x nonsense", "rule 'nonsense'"),
        (
            "--replay x --suggest 1h",
            "\"1h\": --suggest takes no duration",
        ),
        (
            "--replay x --suggest=1h",
            "\"1h\": --suggest takes no duration",
        ),
        (
            "--replay x --suggest -f y",
            "-f, --config can't be used with --suggest",
        ),
        ("1us", "at least 10ms"),
        ("-1", "unknown option -1"),
        ("1.0000001", "\"1.0000001\""),
        (".", "\".\""),
        ("1.5s", "\"1.5s\""),
        ("99999999999999999999", "\"99999999999999999999\""),
        ("31708800", "at most one year"),
        ("1 0", "a count"),
        ("1 x", "a count"),
        ("1 2 3", "\"3\""),
        ("-c 10", "-c"),
        ("-c 50,10", "-c"),
        ("-c 10,101", "-c"),
        ("-c 1.234,5", "-c"),
        ("-r disk", "-r"),
        ("-r cpu,", "-r"),
        ("-k most", "expected some, full or some,full"),
        ("-k full,", "-k, --kind: \"full,\""),
        ("-k some -r irq", "no kernel records some for irq"),
        (
            "--record f -k full",
            "-k, --kind can't be used with --record",
        ),
        (
            "--suggest 1h -k full",
            "-k, --kind can't be used with --suggest",
        ),
        (
            "--replay x -k full",
            "-k, --kind can't be used with --replay",
        ),
        ("--openmetrics 1", "\"1\": --openmetrics takes no interval"),
        (
            "--openmetrics -t",
            "-t, --timestamp can't be used with --openmetrics",
        ),
        (
            "--openmetrics --record f",
            "--record can't be used with --openmetrics",
        ),
        (
            "--openmetrics --suggest=1h",
            "--suggest can't be used with --openmetrics",
        ),
        (
            "--openmetrics --replay f",
            "--openmetrics can't be used with --replay",
        ),
        ("--warn 10", "--warn needs --check"),
        ("--replay x --crit 10", "--crit needs --check"),
        (
            "--check x --replay f",
            "--replay can't be used with --check",
        ),
        ("--check x -k full", "-k, --kind can't be used with --check"),
        ("--check x -V", "-V, --version can't be used with --check"),
        ("-n 0", "-n"),
        ("-n x", "-n"),
        ("-n 10001", "-n"),
        ("-g /a**", "-g"),
        ("-x", "unknown option -x"),
        ("--record", "--record: the argument is missing"),
        ("-g", "-g, --cgroup: the argument is missing"),
        ("--frob", "unknown option --frob"),
        ("--json=x", "-j, --json: takes no argument"),
        ("--top 3 -n 4", "-n, --top: given more than once"),
        ("--resource disk", "-r, --resource: \"disk\""),
        ("--record f 1 2", "takes no count"),
        ("--record f --json", "-j, --json"),
        ("--record f --suggest 1h", "--suggest"),
        ("--suggest x", "--suggest"),
        ("--suggest 24h 1", "takes no interval"),
        ("--suggest 24h -j", "-j"),
        ("--suggest 24h -g **", "one cgroup"),
        ("--suggest 24h -g /a -g /b", "one cgroup"),
    ] {
        let why = parse(line).err().unwrap_or_default();
        assert!(why.contains(word), "{line}: {why}");
    }
}

#[test]
fn records_are_ten_per_second_by_default() {
    for (line, interval) in [("--record /f", 100), ("--record /f -g ** 0.5", 500)] {
        match parse(line) {
            Ok(Action::Record(settings, file)) => {
                assert_eq!(settings.interval, Some(Micros::millis(interval)), "{line}");
                assert_eq!((settings.count, file), (None, "/f".into()), "{line}");
            }
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn a_check_has_a_figure_thresholds_and_an_interval() {
    let check = |words: &[&str]| match Action::parse(words.iter().map(OsString::from)) {
        Ok(Action::Check(settings, check, over)) => (settings, check, over),
        other => panic!("{words:?}: {other:?}"),
    };
    let (settings, found, over) = check(&["--check", "memory full"]);
    assert_eq!((found.resource, found.kind), (Resource::Memory, Kind::Full));
    assert_eq!((found.warn, found.crit), (None, None));
    assert_eq!(over, Micros::secs(2));
    assert_eq!(
        settings.selection,
        select(&[Resource::Memory], &[Kind::Full])
    );
    let line = [
        "-g",
        "/a",
        "30",
        "--warn",
        "9.5%",
        "--check=cpu  some",
        "--crit=50",
    ];
    let (settings, found, over) = check(&line);
    assert_eq!((found.resource, found.kind), (Resource::Cpu, Kind::Some));
    assert_eq!(
        (found.warn, found.crit),
        (Some(Percent(950)), Some(Percent(5_000)))
    );
    assert_eq!((over, settings.patterns.len()), (Micros::secs(30), 1));
}

#[test]
fn a_check_is_known_by_its_option() {
    for (line, expected) in [
        ("--check x --frob", true),
        ("-g /a --check=x", true),
        ("--checks x", false),
        ("-- --check", false),
        ("", false),
    ] {
        let args: Vec<_> = line.split_whitespace().map(OsString::from).collect();
        assert_eq!(is_check(&args), expected, "{line}");
    }
}

#[test]
fn suggestions_take_any_duration() {
    for (line, length) in [
        ("--suggest 24h", Micros::secs(24 * 3600)),
        ("--suggest 10 -g /a -r io", Micros::secs(10)),
        ("--suggest=500ms", Micros::millis(500)),
    ] {
        match parse(line) {
            Ok(Action::Suggest(_, found)) => assert_eq!(found, length, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn a_graph_is_of_one_group_every_second() {
    for (line, interval, count) in [
        ("--graph", 1_000, None),
        (
            "--graph -m -c 1,2 -r io -k full -g /a 0.5 20",
            500,
            Some(20),
        ),
    ] {
        let settings = settings(line);
        assert!(settings.graph);
        assert_eq!(settings.interval, Some(Micros::millis(interval)), "{line}");
        assert_eq!(settings.count, count, "{line}");
    }
    for line in ["-a", "-j", "-n 3", "-t", "-w", "-g **", "-g /a -g /b"] {
        let why = parse(&format!("--graph {line}")).err().unwrap_or_default();
        let word = line.split(' ').next().unwrap_or_default();
        assert!(
            why.contains(word) && why.contains("--graph"),
            "{line}: {why}"
        );
    }
    for line in ["--record f", "--replay f", "--suggest 1h"] {
        assert!(parse(&format!("{line} --graph")).is_err(), "{line}");
    }
}
