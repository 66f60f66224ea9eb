//! The fuzz targets without libFuzzer: each is run on its corpus, and for a while on
//! random changes of that. `make fuzz` looks for new paths through the code instead:
//! README.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::{Arguments, Failed, Trial};

mod mutate;
#[path = "../replay/random.rs"]
mod random;
mod targets;

use random::Random;
use targets::Target;

/// How long each target is run on random changes, unless PSILOGD_FUZZ_MILLIS says
/// otherwise.
const TIME: Duration = Duration::from_millis(800);
/// The longest input: one that takes seconds is found by `make fuzz`.
const LONGEST: usize = 4096;

fn main() {
    let seed = number("PSILOGD_FUZZ_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(0, |now| now.as_nanos() as u64)
    });
    println!("PSILOGD_FUZZ_SEED={seed}");
    let time = number("PSILOGD_FUZZ_MILLIS").map_or(TIME, Duration::from_millis);
    let trial = |(name, target): (&'static str, Target)| {
        Trial::test(name, move || fuzz(name, target, seed, time))
    };
    let trials = targets::ALL.into_iter().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={value}: expected a number")),
    )
}

fn fuzz(name: &str, target: Target, seed: u64, time: Duration) -> Result<(), Failed> {
    let corpus = corpus(name)?;
    for input in &corpus {
        try_one(name, target, input);
    }
    let (mut random, end) = (Random(seed), Instant::now() + time);
    while Instant::now() < end {
        let mut input = corpus[mutate::below(&mut random, corpus.len())].clone();
        mutate::change(&mut random, &mut input, &corpus);
        input.truncate(LONGEST);
        try_one(name, target, &input);
    }
    Ok(())
}

/// What `make fuzz` found and kept.
fn corpus(name: &str) -> Result<Vec<Vec<u8>>, Failed> {
    let directory = Path::new("tests/fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    assert!(!files.is_empty(), "{directory:?} is empty");
    Ok(files.iter().map(fs::read).collect::<Result<_, _>>()?)
}

/// Keeps an input that the target panics at.
fn try_one(name: &str, target: Target, input: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    if let Err(panic) = outcome {
        let file = format!("{}/fuzz-{name}", env!("CARGO_TARGET_TMPDIR"));
        let kept = fs::write(&file, input);
        eprintln!(
            "{name}: the input is in {file} {kept:?}: {}",
            input.escape_ascii()
        );
        resume_unwind(panic);
    }
}
