//! Replays traces of pressure through what the daemon runs, and holds what is
//! told against what was wanted. `cargo test --release --test replay table --
//! --nocapture` prints tests/replay/table.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod averages;
mod drive;
mod kernel;
mod lab;
mod models;
mod others;
mod picture;
mod properties;
mod recorded;
mod situations;
mod table;
mod trace;
mod verdict;
