//! The targets. Each takes any bytes, and panics where the code breaks a promise: it is
//! run by libFuzzer (`make fuzz`) and by `cargo test --test fuzz`.

mod alert;
mod bytes;
mod clean;
mod configuration;
mod evidence;
mod fdnames;
mod line;
mod monitors;
mod mountinfo;
mod output;
mod pattern;
mod pressure;
mod queue;
mod record;
mod rule;

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const ALL: [(&str, Target); 13] = [
    ("alert", alert::run),
    ("configuration", configuration::run),
    ("evidence", evidence::run),
    ("fdnames", fdnames::run),
    ("line", line::run),
    ("monitors", monitors::run),
    ("mountinfo", mountinfo::run),
    ("output", output::run),
    ("pattern", pattern::run),
    ("pressure", pressure::run),
    ("queue", queue::run),
    ("record", record::run),
    ("rule", rule::run),
];
