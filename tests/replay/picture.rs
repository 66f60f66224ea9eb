//! The picture of README.md: an episode of memory pressure, from a recording of a
//! small machine that thrashes, with the lines that psilogd logs of it. The
//! background is transparent and every colour has a contrast of about 4:1 to white
//! and to black, so that one file serves light and dark pages.

use std::fmt::Write;

use psilogd::config::Config;
use psilogd::time::Moment;

use super::drive::{Logged, replay};
use super::is_written;
use super::kernel::Rights;
use super::recorded;
use super::trace::*;

/// The built-in rule `memory` with a short `clear=` and `repeat=`, so that the recording
/// has room for a still line and the end.
const RULE: &str = "memory full 10%/2s for=90s clear=1m repeat=90s";
const THRESHOLD: f64 = 10.0;
const WINDOW: u64 = 2 * SECOND;

/// The area of the curve, in pixels of a picture of 800 by 300.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 785.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 252.0;

const GREY: &str = "#767676";
const BLUE: &str = "#2f7fc1";
const ORANGE: &str = "#b8661f";
const RED: &str = "#d1463a";
const GREEN: &str = "#2c8a56";

struct Picture {
    svg: String,
    /// The first reading and the length of the recording, in microseconds.
    start: u64,
    length: u64,
}

/// `make replay` writes the file.
#[test]
fn the_picture_is_what_the_replay_came_to() {
    const FILE: &str = "tests/replay/episode.svg";
    let drawn = draw();
    if is_written() {
        std::fs::write(FILE, &drawn).unwrap();
    }
    let found = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(found == drawn, "{FILE} is another picture: run make replay");
}

fn draw() -> String {
    let trace = recorded::thrash();
    let config = Config::parse(RULE.as_bytes()).unwrap();
    let logged = replay(&trace, &config, Rights::Privileged).logged;
    let (start, length) = (trace.start.0, trace.end().since(trace.start).0);
    let mut picture = Picture {
        svg: String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 300\" width=\"800\" \
             height=\"300\" font-family=\"sans-serif\" font-size=\"14\">\n",
        ),
        start,
        length,
    };
    picture.episode(&logged);
    picture.axes();
    picture.curve(&trace);
    picture.lines(&logged);
    picture.svg.push_str("</svg>\n");
    picture.svg
}

impl Picture {
    fn x(&self, at: u64) -> f64 {
        LEFT + (RIGHT - LEFT) * (at - self.start) as f64 / self.length as f64
    }

    fn y(percent: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * percent / 100.0
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        let _ = writeln!(
            self.svg,
            "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" {style}/>",
            from.0, from.1, to.0, to.1
        );
    }

    fn text(&mut self, at: (f64, f64), anchor: &str, colour: &str, text: &str) {
        let _ = writeln!(
            self.svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>",
            at.0, at.1
        );
    }

    /// A shade from the episode's onset to the start of the calm that ended it, and
    /// below the axis what the rule waited for before each: at the begin, 10 % of
    /// `for=`.
    fn episode(&mut self, logged: &[Logged]) {
        let of = |event| logged.iter().find(|line| line.event == event).unwrap();
        let (begin, end) = (of("begin").at, of("end").at);
        let calm = end - 60 * SECOND;
        let onset = calm - of("end").duration;
        let (left, right) = (self.x(onset), self.x(calm));
        let _ = writeln!(
            self.svg,
            "<rect x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\" fill=\"{RED}\" \
             fill-opacity=\"0.18\"/>",
            right - left,
            BOTTOM - TOP
        );
        let style = format!("stroke=\"{GREY}\" stroke-width=\"2\"");
        let waited = [
            (left, self.x(begin), "9 s stalled"),
            (right, self.x(end), "clear=1m"),
        ];
        for (from, to, text) in waited {
            self.line((from, BOTTOM + 26.0), (to, BOTTOM + 26.0), &style);
            self.text(((from + to) / 2.0, BOTTOM + 44.0), "middle", GREY, text);
        }
    }

    fn axes(&mut self) {
        for percent in [0.0, 50.0, 100.0] {
            let y = Self::y(percent);
            let style = format!("stroke=\"{GREY}\" stroke-opacity=\"0.45\"");
            self.line((LEFT, y), (RIGHT, y), &style);
            self.text((LEFT - 8.0, y + 5.0), "end", GREY, &format!("{percent} %"));
        }
        for minute in 0..=self.length / MINUTE {
            let x = self.x(self.start + minute * MINUTE);
            let unit = if minute == self.length / MINUTE {
                " min"
            } else {
                ""
            };
            let text = format!("{minute}{unit}");
            self.text((x, BOTTOM + 18.0), "middle", GREY, &text);
        }
        let y = Self::y(THRESHOLD);
        let style = format!("stroke=\"{ORANGE}\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\"");
        self.line((LEFT, y), (RIGHT, y), &style);
        self.text((RIGHT, y - 6.0), "end", ORANGE, "threshold 10 %");
    }

    /// The share of each window that was stalled.
    fn curve(&mut self, trace: &Trace) {
        let windows = self.length / WINDOW;
        let mut path = String::new();
        for window in 0..windows {
            let from = self.start + window * WINDOW;
            let stalled = trace.stalled(MEMORY, Moment(from), Moment(from + WINDOW));
            let percent = 100.0 * stalled as f64 / WINDOW as f64;
            let command = if window == 0 { 'M' } else { 'L' };
            let (x, y) = (self.x(from + WINDOW / 2), Self::y(percent));
            let _ = write!(path, "{command}{x:.0} {y:.0}");
        }
        let _ = writeln!(
            self.svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{BLUE}\" stroke-width=\"1.6\" \
             stroke-linejoin=\"round\"/>"
        );
    }

    /// A mark for each line of the log.
    fn lines(&mut self, logged: &[Logged]) {
        for line in logged.iter().filter(|line| !line.rule.is_empty()) {
            let colour = match line.event.as_str() {
                "end" => GREEN,
                _ => RED,
            };
            let x = self.x(line.at);
            let style = format!("stroke=\"{colour}\" stroke-width=\"2\"");
            self.line((x, TOP - 14.0), (x, BOTTOM), &style);
            let text = format!("event={}", line.event);
            self.text((x, TOP - 20.0), "middle", colour, &text);
        }
        let title = "Share of each 2 s window in which all of the machine waited for memory, \
                     and the lines that are logged";
        self.text((LEFT - 52.0, 16.0), "start", GREY, title);
    }
}
