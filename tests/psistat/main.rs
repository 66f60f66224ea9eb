//! psistat as a user meets it. A test that can't run here says why and is
//! counted as ignored; with PSILOGD_TEST_NO_SKIP set (in CI) it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod cli;
#[path = "../it/support.rs"]
#[allow(dead_code)]
mod common;
mod completion;
mod golden;
mod live;
mod manual;
mod record;
mod replay;
mod source;
mod support;
mod terminal;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let args = Arguments::from_args();
    let trials: Vec<Trial> = [
        check::trials(),
        cli::trials(),
        completion::trials(),
        golden::trials(),
        live::trials(),
        manual::trials(),
        record::trials(),
        replay::trials(),
        source::trials(),
        terminal::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&args, trials).exit();
}
