//! The queue of an output, against a list.

use std::collections::VecDeque;

use psilogd::line::LINE_MAX;
use psilogd::report::Class;
use psilogd::severity::Severity;
use psilogd::sink::{Entry, Queue};
use psilogd::time::{Micros, Moment};

use super::bytes::Bytes;

const CLASSES: [Class; 3] = [Class::Still, Class::Information, Class::Alarm];

struct Line {
    /// Its place in CLASSES.
    class: usize,
    text: Vec<u8>,
    stands_for: u64,
}

/// The same queue, as plain as it can be.
struct Model {
    lines: VecDeque<Line>,
    slots: usize,
    dropped: u64,
    pinned: bool,
}

impl Model {
    fn new(slots: usize) -> Model {
        Model {
            lines: VecDeque::new(),
            slots,
            dropped: 0,
            pinned: false,
        }
    }

    /// Room for 256 bytes per line on average, and for two lines at least.
    fn fits(&self, text: &[u8]) -> bool {
        let used: usize = self.lines.iter().map(|line| line.text.len()).sum();
        let most = (self.slots * 256).max(2 * LINE_MAX);
        self.lines.len() < self.slots && used + text.len() <= most
    }

    /// The least important line that is no more important than the new one goes, the
    /// oldest of those; the one that is on its way stays.
    fn push(&mut self, new: Line) {
        while !self.fits(&new.text) {
            let lines = self.lines.iter().enumerate().skip(usize::from(self.pinned));
            let may_go = lines.filter(|(_, line)| line.class <= new.class);
            let victim = may_go.min_by_key(|(at, line)| (line.class, *at));
            let Some(at) = victim.map(|(at, _)| at) else {
                self.dropped += new.stands_for;
                return;
            };
            let victim = self.lines.remove(at);
            self.dropped += victim.map_or(0, |line| line.stands_for);
        }
        self.lines.push_back(new);
    }

    fn resized(self, slots: usize) -> Model {
        let mut other = Model::new(slots);
        for line in self.lines {
            other.push(line);
            other.pinned = self.pinned;
        }
        other.dropped += self.dropped;
        other
    }
}

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let slots = 1 + bytes.below(24);
    let (mut queue, mut model) = (Queue::new(slots), Model::new(slots));
    let mut count = 0u64;
    while !bytes.is_empty() {
        match bytes.below(8) {
            0 => {
                queue.pop();
                model.pinned = false;
                model.lines.pop_front();
            }
            1 if !model.lines.is_empty() => {
                model.pinned = bytes.flag();
                queue.pin(model.pinned);
            }
            2 => {
                queue.lose_one();
                model.dropped += model.lines.front().map_or(0, |line| line.stands_for);
            }
            3 => assert_eq!(queue.take_dropped(), std::mem::take(&mut model.dropped)),
            4 => {
                let slots = 1 + bytes.below(24);
                (queue, model) = (queue.resized(slots), model.resized(slots));
            }
            _ => {
                count += 1;
                let line = Line {
                    class: bytes.below(3),
                    text: text(count, usize::from(bytes.byte()) * 4),
                    stands_for: bytes.option(Bytes::small).unwrap_or(1),
                };
                let class = CLASSES[line.class];
                let entry = Entry::new(Severity::INFO, class, Micros(count), Moment(count));
                queue.push(&line.text, entry.of_dropped(line.stands_for));
                model.push(line);
            }
        }
        let front = queue.front().map(|(_, text)| text);
        assert_eq!(front, model.lines.front().map(|line| &line.text[..]));
        assert_eq!(queue.is_empty(), model.lines.is_empty());
        assert_eq!(queue.slots(), model.slots);
    }
    for line in &model.lines {
        let (entry, kept) = queue.front().unwrap();
        assert!(kept == line.text && entry.class == CLASSES[line.class]);
        queue.pop();
    }
    assert!(queue.is_empty());
    assert_eq!(queue.take_dropped(), model.dropped);
}

/// A text of its own for each line; no longer than a line may be.
fn text(number: u64, length: usize) -> Vec<u8> {
    let mut text = number.to_string().into_bytes();
    text.resize(
        text.len().max(length).min(LINE_MAX),
        b'a' + (number % 26) as u8,
    );
    text
}
