//! A table of command lines: arguments, exit code, standard error.

use libtest_mimic::Trial;

use crate::support::{self, Outcome, done, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("cli::table", table),
        trial("cli::what_no_cgroup2_mount_means_is_warned_of", unarmable),
        trial("cli::what_this_host_lacks_is_warned_of", unarmable_system),
        trial("cli::help_and_version", help_and_version),
        trial("cli::long_names_are_the_short_ones", long_names),
        trial("cli::a_terminal_is_not_steered", escaped),
        trial("cli::check_prints_what_reads_back", check),
        trial("cli::settings_of_file_and_command_line", settings),
        trial("cli::windows_that_differ_are_warned_of", windows),
    ]
}

const NULL: [&str; 2] = ["-f", "/dev/null"];

fn table() -> Outcome {
    for (args, code, expected) in [
        (&["-n"][..], 0, ""),
        (&["-n", "cpu some 10%/2s"], 0, ""),
        (&["-n", "-o", "stdout", "-o", "stderr"], 0, ""),
        (&["-t"], 0, ""),
        (&["--check"], 0, ""),
        (&["-nt"], 0, ""),
        // what only looks wins over what sends
        (&["--check", "--drill", "-o", "syslog:/nonexistent"], 0, ""),
        (&["--check", "--output=nowhere"], 2, "expected auto"),
        (
            &["--check", "--config", "/nonexistent"],
            2,
            "the file does not exist",
        ),
        (&["--check", "--config"], 2, "Argument to option 'config'"),
        (&["--check=yes"], 2, "'check' does not take an argument"),
        (&["-x"], 2, "Unrecognized option: 'x'"),
        (&["--frobnicate"], 2, "Unrecognized option: 'frobnicate'"),
        (&["-f"], 2, "Argument to option 'f' missing"),
        (
            &["-n", "-f", "/nonexistent"],
            2,
            "/nonexistent: the file does not exist",
        ),
        (
            &["-n", "-f", "/"],
            2,
            "/: expected a file, found a directory",
        ),
        (
            &["-n", "-o", "nowhere"],
            2,
            "option -o: \"nowhere\": expected auto",
        ),
        (&["-n", "-o", "syslog:log"], 2, "must begin with /"),
        (
            &["-n", "-u", "1"],
            2,
            "option -u: \"1\": expected the name of a user, UID:GID in decimal",
        ),
        (&["-n", "-o", "syslog:"], 2, "must begin with /"),
        (
            &["-n", "cpu", "some", "10%/2s"],
            2,
            "a rule must be one operand: quote it",
        ),
        (
            &["-n", "disk some 10%/2s"],
            2,
            "\"disk\": expected cpu, memory, io or irq",
        ),
        (&["-n", "cpu full 10%/2s"], 2, "always reports 0"),
        (&["-n", ""], 2, "the resource is missing"),
        (
            &["-n", "io some 1%/2s", "io some 2%/2s"],
            2,
            "rename one of them with name=",
        ),
        (
            &["-n", "io some 1%/2s name=a", "io some 2%/2s name=b"],
            0,
            "",
        ),
        (&["-n", "cpu full 10%/2s cgroup=/a/*"], 0, ""),
        (&["-n", "cpu full 10%/1s cgroup=/a"], 0, ""),
        (
            &["-n", "cpu full 10%/1s cgroup=/a/*"],
            2,
            "\"10%/1s\": with * in cgroup= the window must be 2s, 4s",
        ),
        (&["-n", "cpu full 10%/2s cgroup=/"], 2, "always reports 0"),
        (
            &["-n", "io some 1%/2s cgroup=*.service"],
            2,
            "expected a path below the cgroup2 mount",
        ),
        (
            &["-n", "io some 1%/2s cgroup=/a**"],
            2,
            "** must be alone between slashes",
        ),
        (
            &["-n", "io some 1%/2s cgroup=/a except=/b"],
            2,
            "it needs a cgroup= with * in it",
        ),
        (
            &["-n", "io some 1%/2s cgroup=/* except=/b,"],
            2,
            "expected a path below the cgroup2 mount",
        ),
        (
            &["-n", "io some 3s/2s"],
            2,
            "the stall must not be longer than the window",
        ),
    ] {
        let mut args = args.to_vec();
        if !args.iter().any(|arg| ["-f", "--config"].contains(arg)) {
            args.splice(0..0, NULL);
        }
        let (status, _, errors) = support::run(&args);
        assert_eq!(status, Some(code), "{args:?}: {errors}");
        assert!(errors.contains(expected), "{args:?}: {errors}");
        let mistakes = support::mistakes(&errors);
        assert_eq!(mistakes.is_empty(), code == 0, "{args:?}: {errors}");
        assert!(
            errors.lines().all(|line| line.starts_with("psilogd: ")),
            "{errors}"
        );
    }
    done()
}

/// The exit code stays 0, and the configuration is printed.
fn unarmable() -> Outcome {
    let args = ["-n", "-f", "/dev/null", "-C", "/nonexistent"];
    let rules = [
        "io full 10%/2s cgroup=/a name=named",
        "io full 10%/2s cgroup=/* name=pattern",
    ];
    let (status, config, errors) = support::run(&[&args[..], &rules[..]].concat());
    assert_eq!(status, Some(0), "{errors}");
    assert!(config.contains("name=named") && config.contains("name=pattern"));
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), 2, "{errors}");
    for (line, name) in lines.iter().zip(["named", "pattern"]) {
        assert!(support::is_about_host(line), "{line}");
        assert!(line.contains(&format!(" rule {name} ")), "{line}");
        assert!(line.ends_with("no cgroup2 hierarchy is mounted"), "{line}");
    }
    done()
}

/// With nothing amiss there is no warning, and what a missing capability or
/// resource does is warned of.
fn unarmable_system() -> Outcome {
    if !support::has_psi() {
        return support::skip("this kernel keeps no pressure figures");
    }
    let check = ["-n", "-f", "/dev/null"];
    let open = std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/pressure/memory");
    // before Linux 6.1, only root may
    if open.is_ok() {
        let (status, _, errors) = support::run(&check);
        assert_eq!((status, errors.as_str()), (Some(0), ""));
    }
    if !std::path::Path::new("/proc/pressure/irq").exists() {
        let (status, _, errors) = support::run(&[&check[..], &["irq full 10%/2s"]].concat());
        assert_eq!(status, Some(0), "{errors}");
        assert!(errors.lines().all(support::is_about_host), "{errors}");
        assert!(errors.contains("no irq pressure"), "{errors}");
    }
    let fast = [&check[..], &["io full 10%/500ms"]].concat();
    let (status, _, errors) = support::run(&fast);
    assert_eq!(status, Some(0), "{errors}");
    let warned = errors.contains("a window must be a multiple of 2s");
    assert_eq!(warned, !psilogd::sys::has_sys_resource(), "{errors}");
    done()
}

fn help_and_version() -> Outcome {
    for option in ["-h", "--help"] {
        let (status, help, errors) = support::run(&[option]);
        assert_eq!((status, errors.as_str()), (Some(0), ""));
        assert!(help.starts_with("usage: psilogd "), "{help}");
    }
    for option in ["-V", "--version"] {
        let (status, version, errors) = support::run(&[option]);
        assert_eq!((status, errors.as_str()), (Some(0), ""));
        assert_eq!(version, format!("psilogd {}\n", env!("CARGO_PKG_VERSION")));
    }
    done()
}

/// Every option's long name does what its short one does, `-t` what `-n` does.
fn long_names() -> Outcome {
    let scratch = support::Scratch::new();
    let file = scratch.file("psilogd.conf", "grace 5m\n");
    let short = support::run(&[
        "-n", "-s", "-v", "-C", "/c", "-f", &file, "-o", "kmsg", "-u", "1:2",
    ]);
    assert_eq!(short.0, Some(0), "{short:?}");
    let config = support::bare(&short.1);
    assert!(
        config.contains("output kmsg\noutput stderr\ngrace 5m"),
        "{short:?}"
    );
    for check in ["-t", "--check"] {
        let long = support::run(&[
            check,
            "--stderr",
            "--verbose",
            "--cgroup-root=/c",
            "--config",
            &file,
            "--output=kmsg",
            "--user=1:2",
        ]);
        assert_eq!(long, short);
    }
    done()
}

/// What a file's name or a word would do to a terminal is shown, not done.
fn escaped() -> Outcome {
    let (status, _, errors) = support::run(&["-n", "-f", "/nonexistent\x1b]0;x\x07"]);
    assert_eq!(status, Some(2));
    assert_eq!(
        errors,
        "psilogd: /nonexistent\\u{1b}]0;x\\u{7}: the file does not exist\n"
    );
    let (status, _, errors) = support::run(&["-n", "-f", "/dev/null", "io\x1b[2J"]);
    assert_eq!(status, Some(2));
    assert!(
        errors.lines().all(|line| !line.contains(char::is_control)),
        "{errors:?}"
    );
    // -n prints a configuration, which has no control characters
    let output = "syslog:/tmp/\x1b[2J";
    let cgroup = "cpu some 10%/2s cgroup=/%1B]0;x%07";
    let words = ["-f", "/dev/null", cgroup];
    for (args, code) in [(&["-n"][..], 0), (&["-n", "-o", output], 2)] {
        let (status, text, errors) = support::run(&[args, &words].concat());
        assert_eq!(status, Some(code), "{errors}");
        for line in text.lines().chain(errors.lines()) {
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
    done()
}

fn check() -> Outcome {
    let scratch = support::Scratch::new();
    let (_, built_in, _) = support::run(&["-n", "-f", "/dev/null"]);
    assert!(built_in.contains("\nmemory full 40%/2s level=crit name=memory-critical for=20s"));
    let file = scratch.file("psilogd.conf", &built_in);
    let (status, again, errors) = support::run(&["-n", "-f", &file]);
    assert_eq!((status, &*support::mistakes(&errors)), (Some(0), ""));
    assert_eq!(support::bare(&again), support::bare(&built_in));
    let origins = format!(" # {file}:1\n");
    assert!(
        again.contains(&origins) && !again.contains("built-in"),
        "{again}"
    );
    done()
}

fn settings() -> Outcome {
    let scratch = support::Scratch::new();
    let text =
        "facility local0\noutput stderr\ngrace 5m\nrate_limit 20\nio full 10%/2s name=file\n";
    let file = scratch.file("psilogd.conf", text);
    let (_, config, _) = support::run(&["-n", "-f", &file]);
    assert!(support::bare(&config).starts_with(
        "facility local0\noutput stderr\ngrace 5m\npoll auto\nheartbeat none\nrate_limit 20\nqueue 64\nmax_line 1000\nmax_triggers 256\nuser none\nsandbox on\nio full"
    ));
    // operands stand in place of the file's rules, -o in place of its outputs
    let (_, config, _) = support::run(&["-ns", "-f", &file, "-o", "stdout", "cpu some 10%/2s"]);
    let bare = support::bare(&config);
    assert!(
        bare.starts_with("facility local0\noutput stdout\noutput stderr\n"),
        "{config}"
    );
    for (start, origin) in [
        ("facility ", &*format!("{file}:1")),
        ("output stdout", "command line"),
        ("output stderr", "command line"),
        ("queue ", "default"),
        ("cpu some ", "command line"),
    ] {
        let mut lines = config.lines().filter(|line| line.starts_with(start));
        let origin = format!(" # {origin}");
        assert!(
            lines.all(|line| line.ends_with(&origin)),
            "{start}: {config}"
        );
    }
    assert!(
        config.contains("\ncpu some") && !config.contains("\nio full"),
        "{config}"
    );
    done()
}

fn windows() -> Outcome {
    let rules = ["io some 10%/2s name=slow", "cpu some 10%/500ms name=fast"];
    let (status, _, errors) = support::run(&["-n", "-f", "/dev/null", rules[0], rules[1]]);
    assert_eq!(status, Some(0));
    assert!(
        errors.contains("rules fast and slow watch the whole system with windows of 500ms and 2s"),
        "{errors}"
    );
    done()
}
