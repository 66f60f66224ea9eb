//! The built binary on the real kernel. A test that can't run here says why and
//! is counted as ignored; with PSILOGD_TEST_NO_SKIP set (in CI) it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounds;
mod cgroups;
mod cli;
mod config;
mod drill;
mod dropins;
mod evidence;
mod faults;
mod fence;
mod greeting;
mod journal;
mod kernel;
mod manual;
mod memory;
mod notify;
mod sandbox;
mod signals;
mod support;
mod syslog;
mod top;
mod trace;
#[cfg(target_arch = "x86_64")]
mod tracer;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let mut args = Arguments::from_args();
    // they wait, they don't compute
    args.test_threads = args.test_threads.or(Some(8));
    let trials: Vec<Trial> = [
        bounds::trials(),
        cgroups::trials(),
        cli::trials(),
        config::trials(),
        drill::trials(),
        dropins::trials(),
        evidence::trials(),
        faults::trials(),
        fence::trials(),
        greeting::trials(),
        journal::trials(),
        kernel::trials(),
        manual::trials(),
        memory::trials(),
        notify::trials(),
        sandbox::trials(),
        signals::trials(),
        syslog::trials(),
        top::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&args, trials).exit();
}
