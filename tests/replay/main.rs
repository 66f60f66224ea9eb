//! Replays traces of pressure through what the daemon runs, and holds what is logged
//! against what was wanted: tests/README.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod averages;
mod drive;
mod kernel;
mod lab;
mod picture;
mod properties;
mod random;
mod recorded;
mod situations;
mod trace;

/// Whether files of the documentation are written, not compared.
fn is_written() -> bool {
    std::env::var_os("REPLAY_WRITE").is_some()
}
