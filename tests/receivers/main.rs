//! The outputs against the receivers that are in use, each started by the test
//! on a socket of its own. tests/receivers/install fetches what they need.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arrival;
mod calls;
mod format;
mod journal;
mod kmsg;
mod receiver;
#[path = "../storm/sender.rs"]
mod sender;
mod storm;
mod streams;
#[path = "../it/support.rs"]
#[allow(dead_code)]
mod support;
mod udp;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = &words[..] {
        if first == "send" {
            // a sender of its own, to be traced
            return sender::main(rest);
        }
    }
    let mut args = Arguments::from_args();
    // they wait, they don't compute
    args.test_threads = args.test_threads.or(Some(8));
    let trials: Vec<Trial> = [
        arrival::trials(),
        calls::trials(),
        format::trials(),
        journal::trials(),
        kmsg::trials(),
        storm::trials(),
        streams::trials(),
        udp::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&args, trials).exit();
}
