//! Two thousand numbered lines while the receiver is started late, terminated,
//! killed, stopped, and replaced: what is lost, doubled or out of order, and what
//! it costs the sender.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use psilogd::time::Micros;

use crate::receiver::{Kind, Message, Receiver};
use crate::sender::{Control, Costs, settings, storm};
use crate::support::*;

pub fn trials() -> Vec<Trial> {
    let of_kind = |kind: Kind| {
        let name = format!("storm::{}", kind.name());
        Trial::ignorable_test(name, move || whole(kind))
    };
    let hung = trial("storm::rsyslogd, hung and then killed", hung_and_killed);
    Kind::ALL.into_iter().map(of_kind).chain([hung]).collect()
}

const LINES: u64 = 2_000;
/// The default queue of 64 lines would outlast an outage of a second at this rate.
const INTERVAL: Micros = Micros::millis(15);
/// What a datagram socket holds (net.unix.max_dgram_qlen and the one that is
/// being taken): nobody can save what the kernel has accepted and the receiver
/// has not read when it ends, killed or between its last read and its exit. A stream
/// holds many more, all that a receiver without a CPU has not filed yet.
const ACCEPTED_MAX: usize = 11;

/// An outage, and the lines that the kernel may have accepted and nobody read:
/// sent just before the receiver was ended, or until its process was gone.
struct Outage {
    name: &'static str,
    accepted: std::ops::RangeInclusive<u64>,
}

fn whole(kind: Kind) -> Outcome {
    let scratch = Scratch::new();
    let at = |name: &str| -> PathBuf { scratch.0.join(name) };
    let mut receivers = Vec::new();
    for name in ["a", "b", "c"] {
        match Receiver::new(kind, at(name)) {
            Ok(receiver) => receivers.push(receiver),
            Err(why) => return skip(why),
        }
    }
    let second = Copy::start(&scratch);
    let control = Arc::new(Control::default());
    let sender = {
        let control = Arc::clone(&control);
        let outputs = [receivers[0].output(), second.output.clone()];
        thread::spawn(move || {
            let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
            storm(&settings(&outputs), LINES, INTERVAL, &control)
        })
    };
    let sent = || control.sent.load(Ordering::Relaxed);
    let wait_for = |number: u64| until(&format!("line {number}"), || sent() >= number);
    let pause = |length: Duration| {
        let lines = u64::try_from(length.as_micros()).expect("small") / INTERVAL.0;
        wait_for(sent() + lines);
    };
    let mut outages = Vec::new();
    // what was sent until its process was gone may have been accepted
    let ends = |receiver: &mut Receiver, signal: &str| {
        let filed = |message: Option<&Message>| message.map_or(0, |it| number(&it.text));
        let from = match kind {
            Kind::SyslogNgStream => filed(receiver.messages().last()) + 1,
            _ => (sent() + 1).saturating_sub(ACCEPTED_MAX as u64),
        };
        receiver.end(signal);
        from..=control.begun.load(Ordering::Relaxed)
    };
    let [first, replacing, taking_over] = &mut receivers[..] else {
        unreachable!("three receivers");
    };

    pause(Duration::from_secs(2));
    first.start();
    for (signal, at) in [("TERM", 400), ("KILL", 700)] {
        wait_for(at);
        outages.push(Outage {
            name: signal,
            accepted: ends(first, signal),
        });
        pause(Duration::from_millis(500));
        first.start();
    }
    wait_for(1_000);
    first.signal("STOP");
    pause(Duration::from_secs(3));
    // the other output has every line while the first takes none
    let so_far = sent();
    until("the second output to have them", || second.last() >= so_far);
    first.signal("CONT");
    wait_for(1_400);
    replacing.start();
    outages.push(Outage {
        name: "TERM and replaced",
        accepted: ends(first, "TERM"),
    });
    std::fs::rename(replacing.socket(), first.socket()).expect("rename");
    // the old one lives on, until the storm is over
    let reloaded_at = 1_600;
    wait_for(reloaded_at);
    taking_over.start();
    std::fs::rename(taking_over.socket(), first.socket()).expect("rename");
    control.reload.store(true, Ordering::Relaxed);

    wait_for(LINES);
    let arrived = || -> Vec<Message> {
        let all = [&*first, &*replacing, &*taking_over];
        all.iter()
            .flat_map(|receiver| receiver.messages())
            .collect()
    };
    let last = |message: &Message| number(&message.text) == LINES;
    until("the last line", || taking_over.messages().iter().any(last));
    until("the last line of the second output", || {
        second.last() == LINES
    });
    control.over.store(true, Ordering::Relaxed);
    let costs: Costs = sender.join().expect("the sender");

    let messages = arrived();
    let numbers: Vec<u64> = messages
        .iter()
        .map(|message| number(&message.text))
        .collect();
    let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
    let lost: Vec<u64> = (1..=LINES).filter(|n| !distinct.contains(n)).collect();
    let doubled = numbers.len() - distinct.len();
    let disordered = numbers.windows(2).filter(|two| two[0] > two[1]).count();
    let lost_in = |outage: &Outage| {
        let within = lost.iter().filter(|n| outage.accepted.contains(n));
        within.count()
    };
    let figures: Vec<String> = outages
        .iter()
        .map(|outage| format!("{} {}", outage.name, lost_in(outage)))
        .collect();
    println!(
        "storm: {}: lost {} ({}), doubled {doubled}, out of order {disordered}, longest log() \
         {:?}, longest turn {:?}, allocations {}",
        kind.name(),
        lost.len(),
        figures.join(", "),
        costs.longest_log,
        costs.longest_turn,
        costs.allocations
    );
    let accepted: usize = outages.iter().map(lost_in).sum();
    assert_eq!(lost.len(), accepted, "not accepted, and lost: {lost:?}");
    let few = |outage: &Outage| kind == Kind::SyslogNgStream || lost_in(outage) <= ACCEPTED_MAX;
    assert!(outages.iter().all(few));
    assert_eq!((doubled, disordered), (0, 0), "{numbers:?}");
    assert_eq!(costs.allocations, 0);
    assert!(costs.clean);
    assert!(
        !messages
            .iter()
            .any(|message| message.text.contains("event=dropped"))
    );
    // connected anew, the rest went to the receiver that has the path now
    let after = taking_over.messages();
    let earliest = after.first().map(|message| number(&message.text));
    assert!(
        earliest.is_some_and(|number| number >= reloaded_at),
        "{earliest:?}"
    );
    assert_eq!(second.missing(), 0);
    late(&messages);
    done()
}

/// A watchdog's way: the receiver takes nothing, and is killed while it is full.
fn hung_and_killed() -> Outcome {
    const LINES: u64 = 300;
    let scratch = Scratch::new();
    let mut receiver = match Receiver::new(Kind::Rsyslogd, scratch.0.join("a")) {
        Ok(receiver) => receiver,
        Err(why) => return skip(why),
    };
    receiver.start();
    let control = Arc::new(Control::default());
    let sender = {
        let (control, output) = (Arc::clone(&control), receiver.output());
        thread::spawn(move || storm(&settings(&[&output]), LINES, INTERVAL, &control))
    };
    let wait_for = |number: u64| {
        until(&format!("line {number}"), || {
            control.sent.load(Ordering::Relaxed) >= number
        });
    };
    wait_for(50);
    receiver.signal("STOP");
    wait_for(100);
    receiver.end("KILL");
    wait_for(150);
    receiver.start();
    let numbers = || -> Vec<u64> {
        let messages = receiver.messages();
        messages
            .iter()
            .map(|message| number(&message.text))
            .collect()
    };
    until("the last line", || numbers().last() == Some(&LINES));
    control.over.store(true, Ordering::Relaxed);
    assert!(sender.join().expect("the sender").clean);
    let numbers = numbers();
    let lost: Vec<u64> = (1..=LINES).filter(|n| !numbers.contains(n)).collect();
    println!("storm: hung and then killed: lost {}", lost.len());
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    // what the socket held, one after the other, from the stop on
    assert!(lost.len() <= ACCEPTED_MAX, "{lost:?}");
    assert!(lost.windows(2).all(|two| two[1] == two[0] + 1), "{lost:?}");
    done()
}

/// A line that waited for over a second says so, and no other does.
fn late(messages: &[Message]) {
    let delayed: Vec<f64> = messages
        .iter()
        .filter_map(|message| message.text.rsplit_once(" delayed_s="))
        .map(|(_, seconds)| seconds.parse().expect("a number"))
        .collect();
    assert!(delayed.iter().all(|seconds| *seconds >= 1.0), "{delayed:?}");
    // more than a second of the two, and of the three (less what the socket holds)
    assert!(delayed.len() >= 60, "{delayed:?}");
}

/// `id=6a2b1c3d.17`: the episode's number.
fn number(text: &str) -> u64 {
    let line = Line::new(text);
    let (_, number) = line.key("id").split_once('.').expect("an id");
    number.parse().expect("a number")
}

/// A second output: a socket that is always read.
struct Copy {
    output: String,
    seen: Arc<std::sync::Mutex<BTreeSet<u64>>>,
    over: Arc<AtomicBool>,
}

impl Copy {
    fn start(scratch: &Scratch) -> Copy {
        let path = scratch.0.join("copy");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let seen = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
        let over = Arc::new(AtomicBool::new(false));
        let limit = Duration::from_millis(100);
        socket.set_read_timeout(Some(limit)).expect("a time-out");
        let copy = Copy {
            output: format!("syslog:{}", path.display()),
            seen: Arc::clone(&seen),
            over: Arc::clone(&over),
        };
        thread::spawn(move || {
            let end = Instant::now() + 3 * DEADLINE;
            let mut buffer = [0; 2048];
            while !over.load(Ordering::Relaxed) && Instant::now() < end {
                if let Ok(length) = socket.recv(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..length]);
                    seen.lock().expect("whole").insert(number(&text));
                }
            }
        });
        copy
    }

    fn last(&self) -> u64 {
        let seen = self.seen.lock().expect("whole");
        seen.last().copied().unwrap_or_default()
    }

    fn missing(&self) -> u64 {
        let seen = self.seen.lock().expect("whole");
        LINES - seen.len() as u64
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
