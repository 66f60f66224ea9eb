//! psilogd watches Linux pressure stall information and logs episodes of
//! pressure; psistat shows it to a person. This library is what both are made
//! of, one room a module:
//!
//! ```text
//! text --> Rule --> Monitor (armed trigger) --> reading --> Episode --> Option<Report> --> line --> Sink
//!          rule     monitors                    daemon      alert       report              sink
//! ```
//!
//! From the ground up: a room touches nothing but what stands above it in this
//! table and is named in its row, which `tests/house.rs` holds the code to.
//!
//! | module | room | may touch |
//! |---|---|---|
//! | [`time`] | microseconds and moments | nothing |
//! | [`sys`] | the only unsafe code | time |
//! | [`pressure`] | resources, kinds, the text of a pressure file | nothing |
//! | [`pattern`] | names of cgroups, and patterns of them | nothing |
//! | [`sorted`] | a map in the order of its keys | nothing |
//! | [`mod@printable`] | text made fit for a terminal | nothing |
//! | [`severity`] | the severities of syslog | nothing |
//! | [`evidence`] | the host's other counters: memory, disks, CPUs | time, pressure |
//! | [`roots`] | where pressure files are | pressure |
//! | [`rule`] | what to watch, in the one grammar of file and command line | time, pressure, pattern, severity |
//! | [`mod@line`] | a line's text in a caller's buffer | time, pressure, pattern |
//! | [`config`] | the text of files: settings and rules | time, pattern, sorted, rule, line |
//! | [`episode`] | the state machine of one alert | time, pressure, rule |
//! | [`listen`] | pressure files that the service manager has opened | sys, pressure |
//! | [`notify`] | the service manager's readiness protocol | time, sys, line |
//! | [`report`] | what happened, and how it is written | time, pressure, severity, rule, line, episode, evidence |
//! | [`alert`] | the state of one rule in one scope: a reading in, a report out | time, pressure, rule, episode, report, evidence |
//! | [`monitors`] | the watched set, and the loop's step | time, pressure, pattern, sorted, rule, report, alert |
//! | [`cgroup`] | how cgroups are created and removed, which is stalled most | time, sys, pressure, sorted |
//! | [`trigger`] | a rule and a pressure file: an armed descriptor | time, sys, pressure, roots, rule, line, report |
//! | [`sink`] | outputs | time, sys, pattern, severity, line, config, report |
//! | [`stat`] | psistat's rows, tables, JSON, records, replays, pictures and suggestions | time, pressure, pattern, severity, evidence, rule, line, config, episode, report, alert, monitors |
//! | [`greeting`] | what a person at a terminal reads, but for the lines | printable, config, sink |
//! | [`options`] | psilogd's command line, and the files that it names | sys, printable, rule, config |
//! | [`daemon`] | moves descriptors: signals, triggers, outputs | time, sys, pressure, sorted, evidence, roots, rule, line, config, episode, listen, notify, report, alert, monitors, cgroup, trigger, sink, greeting, options |
//! | [`psistat`] | psistat: command line, reading, the loop | time, sys, pressure, pattern, evidence, roots, rule, line, config, report, stat, options |
//!
//! What decides (pressure to report) does no I/O and takes time as a parameter.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod alert;
pub mod cgroup;
pub mod config;
pub mod daemon;
pub mod episode;
pub mod evidence;
pub mod greeting;
pub mod line;
pub mod listen;
pub mod monitors;
pub mod notify;
pub mod options;
pub mod pattern;
pub mod pressure;
pub mod printable;
pub mod psistat;
pub mod report;
pub mod roots;
pub mod rule;
pub mod severity;
pub mod sink;
pub mod sorted;
pub mod stat;
pub mod sys;
pub mod time;
pub mod trigger;
