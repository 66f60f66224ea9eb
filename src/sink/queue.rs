//! Lines that wait: a queue of so many lines in memory that was allocated and
//! touched at the start. What it can't keep it counts.

use std::collections::VecDeque;

use crate::line::LINE_MAX;
use crate::report::Class;
use crate::severity::Severity;
use crate::time::{Micros, Moment};

/// Room for text per line, on average: a begin line of a system-wide rule.
const BYTES_A_LINE: usize = 256;

/// A line and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    start: u32,
    length: u16,
    /// Its severity.
    pub severity: Severity,
    /// What a full queue may do with it.
    pub class: Class,
    /// When it was written, since the epoch.
    pub wall: Micros,
    /// When it was written.
    pub when: Moment,
    /// How many lines are lost with it: itself, or those that it reports as dropped.
    stands_for: u64,
}

/// The queue. Text lies in one piece of memory in the order of the lines; a gap
/// is closed by moving what lies behind it.
pub struct Queue {
    text: Box<[u8]>,
    end: usize,
    entries: VecDeque<Entry>,
    slots: usize,
    dropped: u64,
    /// Those that [`Queue::take_dropped`] has returned.
    reported: u64,
    /// Whether the first line is on its way and has to stay.
    pinned: bool,
}

impl Queue {
    /// A queue for so many lines.
    pub fn new(slots: usize) -> Queue {
        let size = (slots * BYTES_A_LINE).max(2 * LINE_MAX);
        let mut text = vec![0; size].into_boxed_slice();
        // allocated zeroed, memory is only there once it was written
        text.iter_mut().step_by(1024).for_each(|byte| *byte = 1);
        std::hint::black_box(&mut text);
        Queue {
            text,
            end: 0,
            entries: VecDeque::with_capacity(slots),
            slots,
            dropped: 0,
            reported: 0,
            pinned: false,
        }
    }

    /// How many lines wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many lines it can hold.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Adds a line. Where there is no room, the oldest *still* goes, then the
    /// oldest information, then the oldest line; the new line is the youngest of
    /// its own class.
    pub fn push(&mut self, text: &[u8], entry: Entry) {
        let text = &text[..text.len().min(LINE_MAX)];
        while self.entries.len() == self.slots || self.used() + text.len() > self.text.len() {
            match self.victim(entry.class) {
                Some(index) => {
                    let victim = self.entries.remove(index);
                    self.dropped += victim.map_or(0, |victim| victim.stands_for);
                }
                None => {
                    self.dropped += entry.stands_for;
                    return;
                }
            }
        }
        if self.end + text.len() > self.text.len() {
            self.close_gaps();
        }
        self.text[self.end..self.end + text.len()].copy_from_slice(text);
        self.entries.push_back(Entry {
            start: self.end as u32,
            length: text.len() as u16,
            ..entry
        });
        self.end += text.len();
    }

    /// The oldest line.
    pub fn front(&self) -> Option<(Entry, &[u8])> {
        let entry = *self.entries.front()?;
        Some((entry, self.text_of(&entry)))
    }

    /// Takes the oldest line away: it was sent.
    pub fn pop(&mut self) {
        self.entries.pop_front();
        self.pinned = false;
        if self.entries.is_empty() {
            self.end = 0;
        }
    }

    /// Keeps the oldest line where it is: a part of it was sent.
    pub fn pin(&mut self, pinned: bool) {
        self.pinned = pinned;
    }

    /// Counts the oldest line as lost: it can't be sent.
    pub fn lose_one(&mut self) {
        let front = self.entries.front();
        self.dropped += front.map_or(0, |entry| entry.stands_for);
    }

    /// How many lines were lost since this was asked last.
    pub fn take_dropped(&mut self) -> u64 {
        self.reported += self.dropped;
        std::mem::take(&mut self.dropped)
    }

    /// How many lines were ever lost.
    pub fn lost(&self) -> u64 {
        self.reported + self.dropped
    }

    /// The same lines in a queue of another size.
    pub fn resized(&self, slots: usize) -> Queue {
        let mut queue = Queue::new(slots);
        for entry in &self.entries {
            queue.push(self.text_of(entry), *entry);
            queue.pinned = self.pinned;
        }
        queue.dropped += self.dropped;
        queue.reported = self.reported;
        queue
    }

    fn text_of(&self, entry: &Entry) -> &[u8] {
        let start = entry.start as usize;
        &self.text[start..start + usize::from(entry.length)]
    }

    fn used(&self) -> usize {
        self.entries
            .iter()
            .map(|entry| usize::from(entry.length))
            .sum()
    }

    fn victim(&self, class: Class) -> Option<usize> {
        let first = usize::from(self.pinned);
        let oldest = |class: Class| {
            let found = self
                .entries
                .iter()
                .skip(first)
                .position(|entry| entry.class == class);
            found.map(|index| index + first)
        };
        for sacrificed in [Class::Still, Class::Information] {
            if let Some(index) = oldest(sacrificed) {
                return Some(index);
            }
            if class == sacrificed {
                return None;
            }
        }
        (self.entries.len() > first).then_some(first)
    }

    fn close_gaps(&mut self) {
        let mut end = 0;
        for entry in &mut self.entries {
            let (start, length) = (entry.start as usize, usize::from(entry.length));
            self.text.copy_within(start..start + length, end);
            entry.start = end as u32;
            end += length;
        }
        self.end = end;
    }
}

impl Entry {
    /// What is known of a line; the queue finds its place.
    pub fn new(severity: Severity, class: Class, wall: Micros, when: Moment) -> Entry {
        Entry {
            start: 0,
            length: 0,
            severity,
            class,
            wall,
            when,
            stands_for: 1,
        }
    }

    /// A report of so many dropped lines: if it is lost itself, they are counted again.
    pub fn of_dropped(self, count: u64) -> Entry {
        Entry {
            stands_for: count,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut Queue, class: Class, text: &str) {
        let entry = Entry::new(Severity::WARNING, class, Micros::ZERO, Moment(0));
        queue.push(text.as_bytes(), entry);
    }

    fn drain(queue: &mut Queue) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some((_, text)) = queue.front() {
            lines.push(String::from_utf8_lossy(text).into_owned());
            queue.pop();
        }
        lines
    }

    #[test]
    fn order_is_kept() {
        let mut queue = Queue::new(16);
        for round in 0..100 {
            for line in 0..16 {
                push(&mut queue, Class::Alarm, &format!("{round} {line}"));
            }
            let lines = drain(&mut queue);
            let expected: Vec<_> = (0..16).map(|line| format!("{round} {line}")).collect();
            assert_eq!(lines, expected);
        }
        assert_eq!(queue.take_dropped(), 0);
    }

    #[test]
    fn the_oldest_still_goes_first_then_information_then_the_oldest() {
        let mut queue = Queue::new(4);
        push(&mut queue, Class::Alarm, "alarm 1");
        push(&mut queue, Class::Information, "information 1");
        push(&mut queue, Class::Still, "still 1");
        push(&mut queue, Class::Still, "still 2");
        push(&mut queue, Class::Alarm, "alarm 2"); // still 1 goes
        push(&mut queue, Class::Still, "still 3"); // still 2 goes
        push(&mut queue, Class::Alarm, "alarm 3"); // still 3 goes
        push(&mut queue, Class::Still, "still 4"); // it goes itself
        push(&mut queue, Class::Information, "information 2"); // information 1 goes
        push(&mut queue, Class::Alarm, "alarm 4"); // information 2 goes
        push(&mut queue, Class::Information, "information 3"); // it goes itself
        push(&mut queue, Class::Alarm, "alarm 5"); // alarm 1 goes
        assert_eq!(
            drain(&mut queue),
            ["alarm 2", "alarm 3", "alarm 4", "alarm 5"]
        );
        assert_eq!(queue.lost(), 8);
        assert_eq!(queue.take_dropped(), 8);
        assert_eq!((queue.take_dropped(), queue.lost()), (0, 8));
    }

    #[test]
    fn a_line_that_is_on_its_way_stays() {
        let mut queue = Queue::new(2);
        push(&mut queue, Class::Still, "still 1");
        queue.pin(true);
        push(&mut queue, Class::Alarm, "alarm 1");
        push(&mut queue, Class::Alarm, "alarm 2");
        let mut smaller = queue.resized(1);
        assert_eq!(drain(&mut smaller), ["still 1"]);
        assert_eq!(drain(&mut queue), ["still 1", "alarm 2"]);
    }

    #[test]
    fn with_a_report_of_dropped_lines_those_are_dropped() {
        let mut queue = Queue::new(1);
        let entry = Entry::new(Severity::WARNING, Class::Alarm, Micros::ZERO, Moment(0));
        queue.push(b"6 dropped", entry.of_dropped(6));
        push(&mut queue, Class::Alarm, "alarm");
        assert_eq!(queue.take_dropped(), 6);
        queue.pin(true);
        queue.push(b"7 dropped", entry.of_dropped(7));
        assert_eq!(queue.take_dropped(), 7);
    }

    #[test]
    fn long_lines_use_up_the_text_before_the_slots() {
        let mut queue = Queue::new(16);
        let line = "x".repeat(LINE_MAX);
        for _ in 0..16 {
            push(&mut queue, Class::Alarm, &line);
        }
        assert_eq!(queue.len(), 16 * BYTES_A_LINE / LINE_MAX);
        assert_eq!(queue.take_dropped(), (16 - queue.len()) as u64);
        assert!(drain(&mut queue).iter().all(|kept| *kept == line));
    }

    #[test]
    fn gaps_are_closed_without_damage() {
        let mut queue = Queue::new(64);
        let mut expected = Vec::new();
        for number in 0..10_000usize {
            let text = format!("{number} {}", "x".repeat(number * 7 % 900));
            let class = if number % 3 == 0 {
                Class::Still
            } else {
                Class::Alarm
            };
            push(&mut queue, class, &text);
            expected.push(text);
            if number % 2 == 0 {
                if let Some((_, text)) = queue.front() {
                    assert!(expected.iter().any(|kept| kept.as_bytes() == text));
                    queue.pop();
                }
            }
        }
        let lines = drain(&mut queue);
        assert!(lines.iter().all(|line| expected.contains(line)));
        assert!(!lines.is_empty());
    }

    #[test]
    fn another_size_keeps_the_lines() {
        let mut queue = Queue::new(16);
        for line in 0..16 {
            push(&mut queue, Class::Alarm, &line.to_string());
        }
        let mut larger = queue.resized(32);
        assert_eq!((larger.len(), larger.slots()), (16, 32));
        let mut smaller = queue.resized(4);
        assert_eq!(drain(&mut larger), drain(&mut queue));
        assert_eq!(drain(&mut smaller), ["12", "13", "14", "15"]);
        assert_eq!(smaller.take_dropped(), 12);
        assert_eq!(smaller.resized(1).lost(), 12);
    }
}
