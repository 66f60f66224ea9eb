//! psilogd watches Linux pressure stall information and logs episodes of
//! pressure; psistat shows it to a person. This library is what both are made
//! of, one room a module:
//!
//! ```text
//! text --> Rule --> Trigger (fd) --> Crossing --> Episode --> Report --> line --> Sink
//!          rule     trigger          daemon       episode     report              sink
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
//! | [`severity`] | the severities of syslog | nothing |
//! | [`rule`] | what to watch, in the one grammar of file and command line | time, pressure, pattern, severity |
//! | [`mod@line`] | a line's text in a caller's buffer | time, pressure, pattern |
//! | [`config`] | a file's text: settings and rules | time, rule, line |
//! | [`episode`] | the state machine of one trigger | time, pressure, rule |
//! | [`budget`] | how many lines may be told | time, severity |
//! | [`report`] | a report and its line | time, pressure, severity, rule, line, episode |
//! | [`account`] | what is told of one rule: episode, numbers, budget | time, pressure, rule, episode, budget, report |
//! | [`schedule`] | when counters are looked at without an event | time, episode, account |
//! | [`cgroup`] | where cgroups are, how they come and go, which is stalled most | time, sys, pressure |
//! | [`lapse`] | when to tell that cgroups are not watched | time |
//! | [`watches`] | the set of what is watched: rules by cgroups, and the cap | time, rule, account, lapse |
//! | [`trigger`] | a rule and a pressure file: an armed fd | time, sys, pressure, rule, line, cgroup |
//! | [`notify`] | the service manager's readiness protocol | time, sys, line |
//! | [`sink`] | outputs | time, sys, pattern, severity, line, config, report |
//! | [`options`] | psilogd's command line | rule, config |
//! | [`daemon`] | owns the poll array and everything in it | time, sys, pressure, rule, config, episode, budget, report, account, schedule, cgroup, watches, trigger, notify, sink, options |
//! | [`stat`] | psistat's rows, tables, JSON and suggestions | time, pressure, pattern, rule, line, episode |
//! | [`psistat`] | psistat: command line, reading, the loop | time, sys, pressure, pattern, line, stat |
//!
//! What decides (pressure to report) does no I/O and takes time as a parameter.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod account;
pub mod budget;
pub mod cgroup;
pub mod config;
pub mod daemon;
pub mod episode;
pub mod lapse;
pub mod line;
pub mod notify;
pub mod options;
pub mod pattern;
pub mod pressure;
pub mod psistat;
pub mod report;
pub mod rule;
pub mod schedule;
pub mod severity;
pub mod sink;
pub mod stat;
pub mod sys;
pub mod time;
pub mod trigger;
pub mod watches;
