//! A storm of numbered lines through the library's own sink, driven as the
//! daemon's loop drives it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use psilogd::config::{OutputSpec, Settings};
use psilogd::episode::Figures;
use psilogd::pressure::{Averages, Percent};
use psilogd::report::{EpisodeReport, Findings, Id, Report};
use psilogd::rule::Rule;
use psilogd::sink::Sink;
use psilogd::sys::{self, Slot};
use psilogd::time::{Micros, Moment};

/// What the storm is asked to do while it goes on, and how far it is.
#[derive(Default)]
pub struct Control {
    /// The number of the line that is being sent, or was sent last.
    pub begun: AtomicU64,
    /// The number of the line that was sent last.
    pub sent: AtomicU64,
    /// Reads the settings again, as SIGHUP does.
    pub reload: AtomicBool,
    /// Every line has arrived: there is nothing to wait for.
    pub over: AtomicBool,
}

/// What the storm has cost.
#[derive(Debug)]
pub struct Costs {
    /// The longest call of [`Sink::log`].
    pub longest_log: Duration,
    /// The longest of what the loop does in the sink besides.
    pub longest_turn: Duration,
    /// Allocations from the first line to the last, reloads apart.
    pub allocations: u64,
    /// Whether everything went out.
    pub clean: bool,
}

pub fn rule() -> Rule {
    let text = "memory full 40%/2s for=20s level=crit name=memory-critical";
    Rule::parse(text.split(' ')).expect("a rule")
}

/// The begin line of the episode of this number.
pub fn begin(rule: &Rule, number: u64) -> Report<'_> {
    Report::Begin(EpisodeReport {
        rule,
        scope: rule.scope(),
        id: Id {
            start: 0x6a2b_1c3d,
            number,
        },
        averages: Some(Averages::default()),
        figures: Figures {
            duration: Micros::secs(20),
            stalled: Micros::ZERO,
            hits: 0,
            worst: Percent(0),
        },
        findings: Findings::None,
        relapse: None,
        drill: false,
        top: None,
    })
}

pub fn settings(outputs: &[&str]) -> Settings {
    Settings {
        outputs: outputs
            .iter()
            .map(|word| OutputSpec::parse(word).expect("an output"))
            .collect(),
        ..Settings::default()
    }
}

/// Logs so many lines, one an interval, and goes on until what waits is gone, or
/// for as long as the control says. The queue holds all of them: how long a receiver takes
/// to start, or gets no CPU, is up to the machine.
pub fn storm(settings: &Settings, lines: u64, interval: Micros, control: &Control) -> Costs {
    /// Far longer than any outage of a test.
    const PATIENCE: Micros = Micros::secs(60);
    let rule = rule();
    let settings = &Settings {
        queue: usize::try_from(lines).expect("small"),
        ..settings.clone()
    };
    let mut sink = Sink::new(settings, sys::now());
    let mut slots = vec![Slot::IDLE; sink.width()];
    let mut costs = Costs {
        longest_log: Duration::ZERO,
        longest_turn: Duration::ZERO,
        allocations: 0,
        clean: false,
    };
    let mut number = 0;
    let mut due = sys::now();
    let end = due + Micros(lines * interval.0) + PATIENCE;
    while sys::now() < end && !(number == lines && control.over.load(Ordering::Relaxed)) {
        if control.reload.swap(false, Ordering::Relaxed) {
            sink.set(settings, sys::now());
        }
        let counted = allocation_counter::measure(|| {
            while number < lines && due <= sys::now() {
                number += 1;
                control.begun.store(number, Ordering::Relaxed);
                let start = Instant::now();
                sink.log(&begin(&rule, number));
                costs.longest_log = costs.longest_log.max(start.elapsed());
                control.sent.store(number, Ordering::Relaxed);
                due = due + interval;
            }
            turn(
                &mut sink,
                &mut slots,
                &mut costs,
                (number < lines).then_some(due),
            );
        });
        costs.allocations += counted.count_total;
    }
    costs.clean = sink.finish();
    costs
}

/// One turn of the loop, as the daemon's.
fn turn(sink: &mut Sink, slots: &mut [Slot], costs: &mut Costs, due: Option<Moment>) {
    /// How often an idle storm looks at its control.
    const LOOK: Micros = Micros::millis(20);
    let now = sys::now();
    let next = [due, sink.deadline(), Some(now + LOOK)];
    let next = next.into_iter().flatten().min().unwrap_or(now);
    sink.arm(slots);
    sys::poll(slots, Some(next.since(now))).expect("poll");
    let start = Instant::now();
    sink.ready(slots, sys::now());
    sink.expire(sys::now());
    costs.longest_turn = costs.longest_turn.max(start.elapsed());
}

/// `OUTPUT LINES MILLISECONDS`: a storm in a process of its own, and its costs.
pub fn main(args: &[String]) {
    let [output, lines, interval] = args else {
        panic!("an output, lines and milliseconds");
    };
    let control = Control::default();
    control.over.store(true, Ordering::Relaxed);
    let lines = lines.parse().expect("a number");
    let interval = Micros::millis(interval.parse().expect("a number"));
    let costs = storm(&settings(&[output]), lines, interval, &control);
    println!("{}", costs.longest_log.max(costs.longest_turn).as_micros());
}
