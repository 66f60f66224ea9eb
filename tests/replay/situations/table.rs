//! The verdicts as a table, and what is known to be red.

use std::fmt::Write;

use psilogd::config::Config;

use super::healthy;
use super::judge::Fault;
use super::peers::PEERS;
use super::scene::Scene;
use super::verdicts::{OURS, Outcome, ours, outcome};
use super::{known, rows};
use crate::is_written;

const SEEDS: [u64; 3] = [1, 2, 3];
/// Days of a healthy host where time is short.
const FEW_DAYS: u64 = 4;
const FILE: &str = "tests/replay/situations.md";

/// What all ways came to in one scene, once per seed.
pub struct Verdict {
    pub name: &'static str,
    pub wanted: &'static str,
    pub healthy: bool,
    /// By way, then by seed.
    pub ways: Vec<(String, Vec<Outcome>)>,
}

/// The rules in place of the built-in ones, if there are some.
fn config() -> Config {
    let Some(file) = std::env::var_os("PSILOGD_REPLAY_RULES") else {
        return Config::default().rules_or_built_in();
    };
    let text = std::fs::read(&file).unwrap_or_else(|why| panic!("{file:?}: {why}"));
    Config::parse(&text).unwrap_or_else(|why| panic!("{file:?}: {why:?}"))
}

/// The seeds, which are printed: another draw is another test.
fn seeds() -> Vec<u64> {
    let seeds = match std::env::var("PSILOGD_REPLAY_SEEDS").as_deref() {
        Ok("any") => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let now = now.unwrap().as_secs();
            vec![now, now + 1, now + 2]
        }
        Ok(list) => list.split(',').map(|seed| seed.parse().unwrap()).collect(),
        Err(_) => SEEDS.into(),
    };
    println!("seeds {seeds:?}");
    seeds
}

fn verdict(draw: &dyn Fn(u64) -> Scene, seeds: &[u64], config: &Config, healthy: bool) -> Verdict {
    let scenes: Vec<Scene> = seeds.iter().map(|&seed| draw(seed)).collect();
    let mut ways = Vec::new();
    for (name, rights) in OURS {
        let outcomes = scenes.iter().map(|scene| ours(scene, config, rights));
        ways.push((name.to_owned(), outcomes.collect()));
    }
    for (name, way) in PEERS {
        let outcomes = scenes.iter().map(|scene| outcome(scene, &way.notes(scene)));
        ways.push((name.to_owned(), outcomes.collect()));
    }
    Verdict {
        name: scenes[0].name,
        wanted: scenes[0].wanted,
        healthy,
        ways,
    }
}

fn of_situations(seeds: &[u64], config: &Config) -> Vec<Verdict> {
    let rows = rows().into_iter();
    rows.map(|row| verdict(&row, seeds, config, false))
        .collect()
}

fn of_hosts(seeds: &[u64], days: u64, config: &Config) -> Vec<Verdict> {
    let hosts = healthy::HOSTS.into_iter();
    hosts
        .map(|host| verdict(&|seed| host(seed, days), seeds, config, true))
        .collect()
}

/// `2/3, 14 lines: 1 late`.
fn cell(outcomes: &[Outcome], healthy: bool) -> String {
    let right = outcomes.iter().filter(|outcome| outcome.is_right()).count();
    let lines: usize = outcomes.iter().map(|outcome| outcome.lines).sum();
    let mut cell = format!("{right}/{}, {lines}", outcomes.len());
    if healthy {
        let begins: usize = outcomes.iter().map(|outcome| outcome.begins).sum();
        let _ = write!(cell, ", {begins} begins");
        let read = outcomes.iter().filter_map(|outcome| outcome.read);
        if let Some(read) = read.reduce(f64::max) {
            let _ = write!(cell, ", {:.1} % read", 100.0 * read);
        }
    }
    let faults = Fault::ALL.into_iter().filter_map(|fault| {
        let count: usize = outcomes
            .iter()
            .filter_map(|one| one.faults().get(&fault).copied())
            .sum();
        (count > 0).then(|| format!("{count} {}", fault.name()))
    });
    let faults: Vec<_> = faults.collect();
    match faults.is_empty() {
        true => cell,
        false => format!("{cell}: {}", faults.join(", ")),
    }
}

fn table(all: &[Verdict]) -> String {
    let mut text = String::from("| situation | wanted |");
    let ways: Vec<&String> = all[0].ways.iter().map(|(way, _)| way).collect();
    ways.iter().for_each(|way| {
        let _ = write!(text, " {way} |");
    });
    text.push_str("\n|---|---|");
    ways.iter().for_each(|_| text.push_str("---|"));
    text.push('\n');
    for verdict in all {
        let _ = write!(text, "| {} | {} |", verdict.name, verdict.wanted);
        for (_, outcomes) in &verdict.ways {
            let _ = write!(text, " {} |", cell(outcomes, verdict.healthy));
        }
        text.push('\n');
    }
    text.push_str(&totals(all));
    text
}

/// As wanted, and each fault, over all rows.
fn totals(all: &[Verdict]) -> String {
    let mut text = String::from("| **all** | |");
    for way in 0..all[0].ways.len() {
        let of = |verdict: &Verdict| verdict.ways[way].1.clone();
        let outcomes: Vec<Outcome> = all.iter().flat_map(of).collect();
        let _ = write!(text, " {} |", cell(&outcomes, false));
    }
    text.push('\n');
    text
}

/// Prints what was found in each run of ours, but for the tenth time.
fn print_findings(all: &[Verdict], seeds: &[u64]) {
    for verdict in all {
        for (way, outcomes) in verdict.ways.iter().take(OURS.len()) {
            for (seed, outcome) in seeds.iter().zip(outcomes) {
                for finding in outcome.found.iter().take(9) {
                    println!("{way}, {}, seed {seed}: {finding}", verdict.name);
                }
            }
        }
    }
}

/// The tables for tuning rules: nothing is asserted, everything found is printed.
#[test]
#[ignore = "prints the tables for other rules or seeds: see tests/README.md"]
fn print() {
    let (seeds, config) = (seeds(), config());
    let days = std::env::var("PSILOGD_REPLAY_DAYS");
    let days = days.map_or(healthy::DAYS, |days| days.parse().unwrap());
    let started = std::time::Instant::now();
    let situations = of_situations(&seeds, &config);
    let hosts = of_hosts(&seeds, days, &config);
    print_findings(&situations, &seeds);
    print_findings(&hosts, &seeds);
    println!("{}\n{}", table(&situations), table(&hosts));
    println!("{:.1} s", started.elapsed().as_secs_f64());
}

/// Situations with all seeds, and healthy hosts with one for a few days; with
/// REPLAY_WRITE for a month each with all of them, and the file is written.
#[test]
fn operators_hear_what_they_want() {
    let config = Config::default().rules_or_built_in();
    let all = of_situations(&SEEDS, &config);
    let (seeds, days) = match is_written() {
        true => (&SEEDS[..], healthy::DAYS),
        false => (&SEEDS[..1], FEW_DAYS),
    };
    let healthy = of_hosts(seeds, days, &config);
    let (situations, hosts) = (table(&all), table(&healthy));
    print_findings(&all, &SEEDS);
    print_findings(&healthy, seeds);
    println!("{situations}\n{hosts}");
    if is_written() {
        write(&situations, &hosts);
    }
    known::check(&all, &SEEDS, true);
    known::check(&healthy, seeds, is_written());
    documented(&situations);
}

fn write(situations: &str, hosts: &str) {
    let text = format!(
        "Each cell: draws that came out as wanted, lines in all draws, and what was wrong. \
         `make replay`\nwrites this file; seeds {SEEDS:?}.\n\n{situations}\n\
         Healthy hosts, {} days each: begins at warning or worse, and in how many of its\n\
         windows of 2 s psilogd read a counter at most.\n\n{hosts}",
        healthy::DAYS,
    );
    std::fs::write(FILE, text).unwrap();
}

/// The file says what the replay came to.
fn documented(situations: &str) {
    let found = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        found.contains(situations),
        "{FILE} is not what the replay came to: run make replay"
    );
}
