//! What suits each peer best: tried over the situations and some healthy days.

use super::*;
use crate::situations::verdicts::outcome;
use crate::situations::{healthy, rows};

/// Not those by which anything is judged.
const SEEDS: [u64; 3] = [11, 12, 13];
const DAYS: u64 = 4;

/// Every combination that is tried.
fn grid() -> Vec<(&'static str, Way)> {
    let mut grid = Vec::new();
    for window in ["500ms", "2s", "10s"] {
        grid.push(("one line per event", Way::Forwarded(window)));
    }
    for other in [10, 30, 60, 180].map(|minutes| minutes * MINUTE) {
        for memory in [10, 30, 90].map(|seconds| seconds * SECOND) {
            for low in [0.9, 0.5] {
                let terms = Terms {
                    memory,
                    other,
                    low,
                    keep: 0,
                };
                grid.push(("avg10", Way::Averaged(terms)));
            }
        }
        for length in [1, 2, 5].map(|minutes| minutes * MINUTE) {
            for memory in [1, 2, 3].map(|minutes| minutes * MINUTE) {
                for keep in [0, MINUTE, 5 * MINUTE] {
                    let terms = Terms {
                        memory,
                        other,
                        low: 1.0,
                        keep,
                    };
                    grid.push(("rate", Way::Rated(length, terms)));
                }
            }
        }
    }
    grid
}

fn scenes() -> Vec<Scene> {
    let mut scenes = Vec::new();
    for seed in SEEDS {
        scenes.extend(rows().into_iter().map(|row| row(seed)));
        scenes.extend(healthy::HOSTS.into_iter().map(|host| host(seed, DAYS)));
    }
    scenes
}

/// Prints how many scenes come out right with each, the best of each way last.
#[test]
#[ignore = "prints what the peers' constants were chosen from"]
fn choose() {
    let scenes = scenes();
    let right = |way: Way| {
        let is_right = |scene: &&Scene| outcome(scene, &way.notes(scene)).is_right();
        scenes.iter().filter(is_right).count()
    };
    let mut tried: Vec<_> = grid()
        .into_iter()
        .map(|(name, way)| (name, right(way), way))
        .collect();
    tried.sort_by_key(|(name, right, _)| (*name, *right));
    for (name, right, way) in tried {
        println!("{right}/{} {name}: {way:?}", scenes.len());
    }
}
