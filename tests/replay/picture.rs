//! The verdicts as a picture: false begins and flaps, a bar a way.

use std::fmt::Write;

use super::table::WAYS;
use super::verdict::Verdict;

const LEFT: usize = 190;
const BAR: usize = 14;
const WIDTH: usize = 420;

/// One block a trace. Lengths are logarithmic, or nothing but the first bar would
/// be seen.
pub fn draw(all: &[(String, [Verdict; 6])]) -> String {
    let block = BAR * WAYS.len() + 34;
    let (width, height) = (LEFT + WIDTH + 110, 40 + block * all.len());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">False begins and flaps \
         (logarithmic), and episodes missed or late</text>\n"
    );
    for (index, (name, verdicts)) in all.iter().enumerate() {
        let top = 54 + index * block;
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{top}\" font-weight=\"bold\">{name}</text>"
        );
        for (way, (label, verdict)) in WAYS.iter().zip(verdicts).enumerate() {
            let y = top + 4 + way * BAR;
            let noise = verdict.wrong + verdict.flaps;
            let long = ((1.0 + noise as f64).log10() / 5.0 * WIDTH as f64).round();
            let fill = if way < 3 { "#27764b" } else { "#b5533c" };
            let off = match verdict.missed + verdict.late {
                0 => String::new(),
                _ => format!(", {} missed, {} late", verdict.missed, verdict.late),
            };
            let (text, from) = (y + 11, LEFT + long as usize + 6);
            let _ = writeln!(
                svg,
                "<text x=\"20\" y=\"{text}\">{label}</text>\
                 <rect x=\"{LEFT}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\"/>\
                 <text x=\"{from}\" y=\"{text}\">{noise}{off}</text>",
                y + 2,
                long.max(1.0),
                BAR - 3
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
