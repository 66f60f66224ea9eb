//! The manual page: what `-h` knows it knows, and mandoc(1) has nothing to say.

use std::process::Command;

use libtest_mimic::Trial;

use super::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("manual::every_option_and_key_is_in_it", complete),
        trial(
            "manual::its_diagnostics_are_what_the_source_says",
            diagnostics,
        ),
        trial("manual::mandoc_has_nothing_to_say", lint),
    ]
}

fn page() -> String {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("man/psistat.1");
    std::fs::read_to_string(page).expect("man/psistat.1")
}

fn complete() -> Outcome {
    let page = page();
    let help = stdout(&["-h"]);
    let mut options = 0;
    for line in help.lines() {
        let names: Vec<_> = line
            .split_whitespace()
            .take_while(|word| word.starts_with('-'))
            .map(|word| word.trim_end_matches(','))
            .collect();
        if names.is_empty() {
            continue;
        }
        options += 1;
        assert!(names.last().is_some_and(|name| name.starts_with("--")));
        let names = names.iter().map(|name| match name.strip_prefix("--") {
            Some(long) => format!("Fl Fl {long}"),
            None => format!("Fl {}", &name[1..]),
        });
        let item = format!(".It {}", names.collect::<Vec<_>>().join(" , "));
        let found = page
            .lines()
            .any(|line| line == item || line.starts_with(&format!("{item} ")));
        assert!(found, "{item} is not in the page");
    }
    assert_eq!(options, 24);
    for key in [
        "time_us",
        "cgroup",
        "cpu",
        "memory",
        "io",
        "irq",
        "interval_us",
        "some",
        "full",
        "pct",
        "stall_us",
        "avg10",
        "avg60",
        "avg300",
        "total_us",
        "since_boot",
    ] {
        assert!(page.contains(&format!(".It Cm {key}\n")), "{key}");
    }
    DONE
}

/// Every message that DIAGNOSTICS lists is written somewhere, to the letter, but for
/// what it fills in: paths, an option's letter and the system's own words.
fn diagnostics() -> Outcome {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut source = String::new();
    for file in [
        "psistat/error.rs",
        "report/words.rs",
        "pressure.rs",
        "stat/record/read.rs",
        "stat/replay/judged.rs",
    ] {
        let text = std::fs::read_to_string(root.join("src").join(file)).expect("source");
        // a line that ends in a backslash goes on at the next line's first word
        source.extend(text.split("\\\n").map(str::trim_start));
    }
    let page = page();
    let (_, text) = page.split_once(".Sh DIAGNOSTICS").expect("DIAGNOSTICS");
    let (text, _) = text.split_once(".Sh ").expect("a section after it");
    let items = text.lines().filter_map(|line| line.strip_prefix(".It "));
    let mut pieces = 0;
    for item in items {
        let mut message = item.trim_matches('"').to_string();
        for filled in [
            "/proc/pressure",
            "/proc/self/mountinfo",
            "-P expects",
            "-C expects",
            "Permission denied",
            "Is a directory",
        ] {
            message = message.replace(filled, "...");
        }
        for piece in message.split("...") {
            let piece = piece.trim_matches([' ', ':', ';']);
            assert!(source.contains(piece), "{piece}: {item}");
            pieces += usize::from(!piece.is_empty());
        }
    }
    assert!(pieces >= 20, "{pieces}");
    DONE
}

fn lint() -> Outcome {
    if let Some(why) = missing(&["mandoc"]) {
        return skip(&why);
    }
    let output = Command::new("mandoc")
        .args(["-Tlint", "-Wwarning"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/man/psistat.1"))
        .output()
        .expect("mandoc runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
    DONE
}
