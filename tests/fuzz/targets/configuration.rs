//! A configuration file's text: what is printed reads back, and every error has its line.

use psilogd::config::Config;

use super::{clean, rule};

pub fn run(data: &[u8]) {
    match Config::parse(data) {
        Ok(config) => check(&config),
        Err(errors) => {
            assert!((1..=20).contains(&errors.len()));
            let lines = data.iter().filter(|byte| **byte == b'\n').count() + 1;
            let mut last = 0;
            for error in &errors {
                assert!((last + 1..=lines).contains(&error.line), "{error}");
                last = error.line;
                clean::sentence(&error.to_string());
            }
        }
    }
}

fn check(config: &Config) {
    config.rules.iter().for_each(rule::check);
    let text = config.to_string();
    text.lines().for_each(clean_line);
    let again = Config::parse(text.as_bytes());
    let again = again.unwrap_or_else(|errors| panic!("{errors:?}: {text}"));
    assert_eq!(again.to_string(), text);
    assert_eq!(again.rules, config.rules);
    let all = |config: &Config| format!("{:?}", config.settings);
    assert_eq!(all(&again), all(config));

    for (short, long) in config.differing_windows() {
        assert!(short.window < long.window && short.cgroup == long.cgroup);
        assert!(short.wants_capability() && long.wants_capability());
    }
    let whole = config.clone().rules_or_built_in();
    assert!(!whole.rules.is_empty());
}

/// Only the path of a socket may be other than ASCII.
fn clean_line(line: &str) {
    match line.starts_with("output syslog:") {
        true => clean::sentence(line),
        false => clean::printable(line.as_bytes()),
    }
}
