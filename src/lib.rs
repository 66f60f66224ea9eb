//! psilogd watches Linux pressure stall information and logs episodes of
//! pressure; psistat shows it to a person. This library is what both are made
//! of, one room a module:
//!
//! ```text
//! text --> Rule --> Trigger (fd) --> Crossing --> Episode --> Report --> line --> Sink
//!          rule     trigger          daemon       episode     report              sink
//! ```
//!
//! | module | room | may touch |
//! |---|---|---|
//! | [`time`] | microseconds and moments | nothing |
//! | [`pressure`] | resources, kinds, the text of a pressure file | nothing |
//! | [`pattern`] | names of cgroups, and patterns of them | nothing |
//! | [`rule`] | what to watch, in the one grammar of file and command line | pattern, pressure, time |
//! | [`config`] | a file's text: settings and rules | rule |
//! | [`episode`] | the state machine of one trigger | rule |
//! | [`budget`] | how many lines may be told | time |
//! | [`account`] | what is told of one rule: episode, numbers, budget | episode, budget, report |
//! | [`schedule`] | when counters are looked at without an event | account |
//! | [`mod@line`] | a line's text in a caller's buffer | rule, time |
//! | [`report`] | a report and its line | episode, rule, line |
//! | [`cgroup`] | where cgroups are, how they come and go, which is stalled most | report, sys |
//! | [`lapse`] | when to tell that cgroups are not watched | time |
//! | [`watches`] | the set of what is watched: rules by cgroups, and the cap | account, lapse |
//! | [`trigger`] | a rule and a pressure file: an armed fd | sys |
//! | [`notify`] | the service manager's readiness protocol | sys |
//! | [`sink`] | outputs | config, report, sys |
//! | [`greeting`] | what a person at a terminal reads, but for the lines | sink |
//! | [`options`] | psilogd's command line | config |
//! | [`daemon`] | owns the poll array and everything in it | all above |
//! | [`stat`] | psistat's rows, tables, JSON and suggestions | pressure, episode |
//! | [`psistat`] | psistat: command line, reading, the loop | stat, pattern, sys |
//! | [`sys`] | the only unsafe code | libc |
//!
//! What decides (pressure to report) does no I/O and takes time as a parameter.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod account;
pub mod budget;
pub mod cgroup;
pub mod config;
pub mod daemon;
pub mod episode;
pub mod greeting;
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
pub mod sink;
pub mod stat;
pub mod sys;
pub mod time;
pub mod trigger;
pub mod watches;
