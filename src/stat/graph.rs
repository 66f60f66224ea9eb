//! The history of pressure across a terminal: a strip per resource and kind, in which
//! each column is one interval and the newest is on the right.

use std::collections::VecDeque;

use super::table::{Limits, write_percent};
use super::{CELLS, Row, Selection, cells};
use crate::pressure::Percent;
use crate::time::Micros;

/// Intervals that are remembered: more than any terminal has columns.
const REMEMBERED: usize = 1_000;
/// The steps in which a character is filled.
const STEPS: u32 = 8;
const BLOCKS: [&str; STEPS as usize + 1] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// For terminals that have no block characters.
const ASCII: [&str; STEPS as usize + 1] = [" ", "_", "_", ".", ".", "-", "=", "#", "#"];
/// The characters of `memory full `, and of what is below it.
const LABEL: usize = 12;
/// The characters of a percentage behind it, if a strip has one line only.
const BESIDE: usize = 7;
/// Columns from one time below the strips to the next.
const TICK: usize = 20;
/// A strip has a blank line above it if it has so many lines.
const SPACED: usize = 4;

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Canvas {
    /// Characters in a line.
    pub columns: usize,
    /// Lines.
    pub lines: usize,
    /// The limits of colours; None is no colours.
    pub colours: Option<Limits>,
    /// Whether the terminal has block characters.
    pub blocks: bool,
}

/// What was shown so far, the newest last; None is not known.
#[derive(Default)]
pub struct Graph {
    columns: VecDeque<[Option<Percent>; CELLS.len()]>,
}

impl Graph {
    /// Adds a row of an interval. One that is longer than `step`, because readings were
    /// missed, fills as many columns as it lasted.
    pub fn add(&mut self, row: &Row, step: Micros) {
        let share = |(resource, kind)| row.figure(resource, kind)?.share;
        let column = CELLS.map(share);
        let lengths = row
            .figures
            .iter()
            .flatten()
            .filter_map(|figures| figures.interval);
        let length = lengths.max().unwrap_or(step);
        let steps = (length.0 + step.0 / 2).checked_div(step.0).unwrap_or(1);
        for _ in 0..steps.clamp(1, REMEMBERED as u64) {
            self.columns.push_back(column);
        }
        let surplus = self.columns.len().saturating_sub(REMEMBERED);
        self.columns.drain(..surplus);
    }

    /// Draws as many strips as there is room for, and the times below them.
    pub fn draw(&self, out: &mut Vec<u8>, selection: Selection, step: Micros, canvas: Canvas) {
        let count = cells(selection).count().max(1);
        let high = (canvas.lines.saturating_sub(1) / count).max(1);
        let room = canvas.lines.saturating_sub(1).max(1);
        let label = if high == 1 { LABEL + BESIDE } else { LABEL };
        let wide = canvas.columns.saturating_sub(label);
        let shown = CELLS
            .into_iter()
            .enumerate()
            .filter(|(cell, _)| selection[*cell]);
        for (cell, (resource, kind)) in shown.take(room) {
            let strip = Strip {
                name: format!("{:<7}{}", resource.name(), kind.name()),
                now: self.columns.back().and_then(|column| column[cell]),
                values: self.newest(cell, wide),
                wide,
                canvas,
            };
            strip.draw(out, high);
        }
        if canvas.lines > 1 {
            times(out, label, wide, step);
        }
    }

    /// The newest `count` values of a cell.
    fn newest(&self, cell: usize, count: usize) -> Vec<Option<Percent>> {
        let surplus = self.columns.len().saturating_sub(count);
        self.columns
            .iter()
            .skip(surplus)
            .map(|column| column[cell])
            .collect()
    }
}

/// One resource and kind.
struct Strip {
    /// As long as [`LABEL`] but for a blank.
    name: String,
    now: Option<Percent>,
    values: Vec<Option<Percent>>,
    wide: usize,
    canvas: Canvas,
}

impl Strip {
    fn draw(&self, out: &mut Vec<u8>, high: usize) {
        let blank = usize::from(high >= SPACED);
        out.extend(std::iter::repeat_n(b'\n', blank));
        let high = high - blank;
        for line in 0..high {
            self.label(out, line, high);
            self.line(out, (high - 1 - line) as u32, high as u32);
            out.push(b'\n');
        }
    }

    /// The name, then the newest value, then the largest one that is drawn.
    fn label(&self, out: &mut Vec<u8>, line: usize, high: usize) {
        match line {
            0 => {
                out.extend_from_slice(self.name.as_bytes());
                if high == 1 {
                    self.percent(out, self.now);
                }
                out.push(b' ');
            }
            1 => {
                self.percent(out, self.now);
                out.extend_from_slice(b" now ");
            }
            2 => {
                self.percent(out, self.values.iter().flatten().max().copied());
                out.extend_from_slice(b" max ");
            }
            _ => out.extend(std::iter::repeat_n(b' ', LABEL)),
        }
    }

    fn percent(&self, out: &mut Vec<u8>, percent: Option<Percent>) {
        write_percent(out, percent, BESIDE, self.canvas.colours);
    }

    /// One line of the strip, the `below`-th from its bottom: nothing of 0 %, and of
    /// whatever is more at least the lowest step.
    fn line(&self, out: &mut Vec<u8>, below: u32, high: u32) {
        let steps = if self.canvas.blocks { &BLOCKS } else { &ASCII };
        out.extend(std::iter::repeat_n(b' ', self.wide - self.values.len()));
        let mut colour = "";
        for value in &self.values {
            let filled = value.map(|value| (value.0 * high * STEPS).div_ceil(10_000));
            let step = filled.map(|filled| filled.saturating_sub(below * STEPS).min(STEPS));
            let wanted = match (value, step) {
                (Some(value), Some(1..)) => self.colour(*value),
                _ => "",
            };
            if wanted != colour {
                let escape = if wanted.is_empty() { "\x1b[0m" } else { wanted };
                out.extend_from_slice(escape.as_bytes());
                colour = wanted;
            }
            let character = match step {
                Some(step) => steps[step as usize],
                // as in the table, what is not known is not 0
                None if below == 0 => "?",
                None => " ",
            };
            out.extend_from_slice(character.as_bytes());
        }
        if !colour.is_empty() {
            out.extend_from_slice(b"\x1b[0m");
        }
    }

    /// Orange and red of the 256 colours, which have a contrast of at least 3:1 to white
    /// and to black.
    fn colour(&self, value: Percent) -> &'static str {
        match self.canvas.colours {
            Some(limits) if value >= limits.red => "\x1b[38;5;160m",
            Some(limits) if value >= limits.yellow => "\x1b[38;5;166m",
            _ => "",
        }
    }
}

/// How long ago the columns were, below every twentieth from the right.
fn times(out: &mut Vec<u8>, label: usize, wide: usize, step: Micros) {
    let mut line = vec![b' '; label + wide];
    let mut write = |at: usize, text: &str| {
        for (place, byte) in line.iter_mut().skip(at).zip(text.bytes()) {
            *place = byte;
        }
    };
    for ticks in 1..=wide / TICK {
        let columns = ticks * TICK;
        let ago = Micros(step.0.saturating_mul(columns as u64));
        write(label + wide - columns, &format!("|{ago} ago"));
    }
    if wide > 2 {
        write(label + wide - 3, "now");
    }
    out.extend_from_slice(&line);
    out.push(b'\n');
}

#[cfg(test)]
mod tests;
