//! What is known to be red: `known-red` in this folder. A row of it that comes out as
//! wanted fails as well, so that the list only ever shrinks.

use std::collections::BTreeSet;

use super::table::Verdict;
use super::verdicts::OURS;

const LIST: &str = "tests/replay/situations/known-red";

/// A line of the list is `WAY | SITUATION | SEED SEED`.
fn listed(seeds: &[u64]) -> BTreeSet<(String, String, u64)> {
    let mut listed = BTreeSet::new();
    let list = std::fs::read_to_string(LIST).unwrap();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        for seed in cells[2].split(' ') {
            let seed = seed.parse().unwrap();
            listed.insert((cells[0].into(), cells[1].into(), seed));
        }
    }
    listed.retain(|(_, _, seed)| seeds.contains(seed));
    listed
}

/// Peers may be as wrong as they are.
fn found(all: &[Verdict], seeds: &[u64]) -> BTreeSet<(String, String, u64)> {
    let mut found = BTreeSet::new();
    for verdict in all {
        let ours = verdict.ways.iter().take(OURS.len());
        for (way, outcomes) in ours {
            for (&seed, outcome) in seeds.iter().zip(outcomes) {
                if !outcome.is_right() {
                    found.insert((way.clone(), verdict.name.into(), seed));
                }
            }
        }
    }
    found
}

/// What is red is listed; and if these are `whole` runs, what is listed is red.
pub fn check(all: &[Verdict], seeds: &[u64], whole: bool) {
    let (mut listed, found) = (listed(seeds), found(all, seeds));
    listed.retain(|(_, name, _)| all.iter().any(|verdict| verdict.name == name));
    let mut wrong: Vec<String> = Vec::new();
    for (way, name, seed) in found.difference(&listed) {
        wrong.push(format!("red, but not listed: {way} | {name} | {seed}"));
    }
    for (way, name, seed) in listed.difference(&found).filter(|_| whole) {
        wrong.push(format!("listed, but not red: {way} | {name} | {seed}"));
    }
    assert!(wrong.is_empty(), "{LIST}:\n{}", wrong.join("\n"));
}
