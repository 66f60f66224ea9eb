//! What operators want to hear, held against what psilogd and others say. The wants
//! were written down before the rules were: see `scene`.
//!
//! `cargo test --release --test replay situations::table::print -- --ignored --nocapture`
//! prints the table for PSILOGD_REPLAY_SEEDS (`1,2,3`, or `any`) and PSILOGD_REPLAY_RULES,
//! a file in the place of the built-in rules.

mod broken;
mod counters;
mod cpus;
mod disks;
mod figures;
mod healthy;
mod judge;
mod known;
mod memory;
mod peers;
mod recording;
mod scene;
mod table;
mod verdicts;
mod witness;

use scene::Scene;

/// A row of the table: a scene by its seed.
pub type Row = fn(u64) -> Scene;

pub fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(disks::ROWS);
    rows.extend(memory::ROWS);
    rows.extend(cpus::ROWS);
    rows
}
