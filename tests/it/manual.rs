//! The man pages say what the program does.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use libtest_mimic::Trial;

use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("manual::every_option_is_in_the_man_page", options),
        trial("manual::every_setting_and_key_is_in_the_man_page", settings),
        trial("manual::every_event_and_hint_is_in_the_man_page", events),
        trial("manual::mandoc_has_no_complaint", lint),
        trial(
            "manual::the_built_in_rules_are_the_documented_ones",
            built_in,
        ),
        trial(
            "manual::the_packaged_configuration_holds_every_default",
            packaged,
        ),
    ]
}

fn page(name: &str) -> String {
    fs::read_to_string(format!("{}/man/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a man page")
}

fn options() -> Outcome {
    let (_, help, _) = run(&["-h"]);
    let page = page("psilogd.8");
    let described = page.split(".Sh DESCRIPTION").nth(1).expect("a description");
    // `-x, --long ARG   text` there, `.It Fl x , -long Ar arg` here
    let lines = help.lines().map(str::trim_start);
    let options: Vec<String> = lines
        .filter(|line| line.starts_with('-'))
        .map(|line| {
            let words = line.split(' ').take_while(|word| word.starts_with('-'));
            let names: Vec<&str> = words.map(|word| &word[1..]).collect();
            format!(".It Fl {}", names.join(" ").replace(',', " ,"))
        })
        .collect();
    assert!(options.len() >= 10, "{help}");
    for item in &options {
        let same = |line: &str| line == item || line.starts_with(&format!("{item} Ar "));
        assert!(described.lines().any(same), "{item}");
    }
    let items = described
        .lines()
        .filter(|line| line.starts_with(".It Fl "))
        .count();
    assert_eq!(items, options.len(), "options in the page and in -h");
    done()
}

fn settings() -> Outcome {
    let page = page("psilogd.conf.5");
    let rules = [
        "io full 1%/2s stuck=20s cgroup=/a/* except=/a/b",
        "cpu some 1%/2s busy=50%",
        "memory some 1%/2s avail=25%",
    ];
    let (_, config, _) = run(&[&["-n", "-f", "/dev/null"][..], &rules].concat());
    // a rule begins with its resource, and has keys
    let (rules, settings): (Vec<_>, Vec<_>) = config.lines().partition(|line| line.contains('='));
    assert_eq!(rules.len(), 3, "{config}");
    for line in settings {
        let name = line.split(' ').next().expect("a word");
        assert!(page.contains(&format!(".It Cm {name} ")), "{name}");
    }
    let words = rules.iter().flat_map(|rule| rule.split(' '));
    let keys: BTreeSet<_> = words
        .filter_map(|word| Some(word.split_once('=')?.0))
        .collect();
    assert_eq!(keys.len(), 10, "{keys:?}");
    for key in keys {
        assert!(page.contains(&format!(".It Cm {key} Ns = Ns Ar ")), "{key}");
    }
    done()
}

/// Every event and hint that the source can write has its item.
fn events() -> Outcome {
    let page = page("psilogd.8");
    let source = |name: &str| {
        let path = format!("{}/src/{name}", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(path).expect("source")
    };
    let words = |text: &str, from: &str, to: &str| -> Vec<String> {
        let body = text
            .split(from)
            .nth(1)
            .and_then(|rest| rest.split(to).next())
            .expect("a body");
        body.split("=> \"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .map(String::from)
            .collect()
    };
    let report = source("report/mod.rs");
    let heading = report.split("pub fn heading").nth(1).expect("the table");
    let heading = heading.split("\n    }\n").next().expect("a body");
    // the first text of every tuple
    let events: Vec<String> = heading
        .split('(')
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        .map(String::from)
        .collect();
    let hints = words(
        &source("report/words.rs"),
        "pub const fn token",
        "const fn sentence",
    );
    let reasons = words(
        &source("rule/error.rs"),
        "pub const fn token",
        "/// Why a word",
    );
    assert!(events.len() >= 15 && hints.len() >= 12 && reasons.len() >= 11);
    for word in events.iter().chain(&hints).chain(&reasons) {
        assert!(page.contains(&format!(".It Cm {word}\n")), "{word}");
    }
    done()
}

fn lint() -> Outcome {
    if !has_tool("mandoc") {
        return skip("mandoc is not installed");
    }
    for name in ["psilogd.8", "psilogd.conf.5"] {
        let output = Command::new("mandoc")
            .args(["-Tlint", "-Wwarning"])
            .arg(format!("{}/man/{name}", env!("CARGO_MANIFEST_DIR")))
            .output()?;
        let complaints = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && complaints.is_empty(),
            "{complaints}"
        );
    }
    done()
}

fn built_in() -> Outcome {
    let page = page("psilogd.conf.5");
    for line in psilogd::config::BUILT_IN.lines() {
        assert!(page.contains(&format!("\n{line}\n")), "{line}");
    }
    done()
}

/// What stands behind a # alone is what is in force without a file, to the letter.
fn packaged() -> Outcome {
    let path = format!("{}/packaging/psilogd.conf", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path)?;
    let defaults = text.lines().filter_map(|line| line.strip_prefix('#'));
    let defaults = defaults.filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let defaults: Vec<&str> = defaults.collect();
    let (_, config, _) = run(&["-n", "-f", "/dev/null"]);
    assert_eq!(defaults, bare(&config).lines().collect::<Vec<_>>());
    // every line that is shown as an example is one
    let examples = text.lines().filter_map(|line| line.strip_prefix("#   "));
    let examples: Vec<&str> = examples.collect();
    let scratch = Scratch::new();
    for example in &examples {
        let words = example.split("  ").next().expect("a setting");
        let file = scratch.file("psilogd.conf", words);
        let (status, _, errors) = run(&["-n", "-f", &file]);
        assert_eq!(status, Some(0), "{example}: {errors}");
    }
    for kind in ["journal", "syslog:", "udp:", "kmsg", "stdout", "stderr"] {
        let output = format!("output {kind}");
        assert!(
            examples.iter().any(|line| line.starts_with(&output)),
            "{kind}"
        );
    }
    done()
}
