//! A recording as a picture (SVG 1.1): one panel per resource with its curves, the
//! thresholds of the rules that watch it, and what psilogd would have logged.
//! Coordinates are pixels, or tenths of one. The picture refers to no other file.

use std::io::{self, Write};

use super::recording::{Recording, Track};
use super::suggest::WINDOW;
use super::tenths;
use crate::pattern::CgroupPath;
use crate::pressure::{Kind, Percent, Resource};
use crate::rule::Rule;
use crate::time::Micros;

mod curve;
mod episodes;

pub use episodes::Episodes;

use curve::{Scale, curve};
use episodes::Episode;

/// The picture's width.
const WIDE: u64 = 800;
/// The left edge of a plot, its width, and its height: one pixel per percent.
const LEFT: u64 = 46;
const WIDTH: u64 = 566;
const HIGH: u64 = 100;
/// Above the first panel: the title and the legend.
const HEAD: u64 = 54;
/// Above each plot: its title. Below the last one: the times.
const TITLE: u64 = 30;
const FOOT: u64 = 30;
/// Between two lines of text.
const LINE: u64 = 14;
/// A character is narrower than this.
const CHARACTER: u64 = 7;
/// The most characters of a name beside a plot.
const NAME: usize = 15;

/// Steps of the time axis, in seconds; at most [`TICKS`] of them are drawn.
const STEPS: [u64; 17] = [
    1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
];
const TICKS: u64 = 8;

/// Colours for light pages and for dark ones. Curves, shades and lines have a contrast
/// of at least 3:1 to the background, texts of at least 4.5:1.
const STYLE: &str = "<style>\n\
text{font:13px sans-serif;fill:#24292f}\n\
.bold{font-weight:bold}.end{text-anchor:end}.mid{text-anchor:middle}\n\
.halo{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}\n\
.page{fill:#fff}.grid{stroke:#8c959f;stroke-opacity:.4}.grace{fill:#8c959f;fill-opacity:.25}\n\
.some{fill:#5fa2dd}.full{fill:#1b4f8f}\n\
.limit{stroke:#d9730d;stroke-width:1.5;stroke-dasharray:6 3}\n\
.high{fill:#e07b00;fill-opacity:.25}.critical{fill:#d1242f;fill-opacity:.25}\n\
.begin{stroke:#b3202a;stroke-width:2}\n\
@media(prefers-color-scheme:dark){\n\
text{fill:#e6edf3}.halo{stroke:#0d1117}.page{fill:#0d1117}\n\
.some{fill:#2f6fae}.full{fill:#9ccbff}\n\
.limit{stroke:#ff8c1a}\n\
.high{fill:#f0a030;fill-opacity:.35}.critical{fill:#ff5c5c;fill-opacity:.35}\n\
.begin{stroke:#ff7b72}\n\
}\n\
</style>\n";

/// What is drawn.
#[derive(Clone, Copy)]
pub struct Drawn<'a> {
    /// The curves.
    pub recording: &'a Recording,
    /// The thresholds.
    pub rules: &'a [Rule],
    /// What is shaded.
    pub episodes: &'a Episodes,
    /// The pressure of so long a time from the beginning was ignored.
    pub ignored: Micros,
}

/// One resource of one group.
struct Panel<'a> {
    track: &'a Track,
    resource: Resource,
    rules: Vec<&'a Rule>,
    episodes: Vec<&'a Episode>,
}

/// Writes the picture.
///
/// # Errors
/// Those of `out`.
pub fn draw(out: &mut dyn Write, drawn: Drawn<'_>) -> io::Result<()> {
    let scale = Scale::of(drawn.recording);
    let panels = panels(drawn);
    let high = HEAD + (TITLE + HIGH) * panels.len() as u64 + FOOT;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDE} {high}\" width=\"{WIDE}\" \
         height=\"{high}\" role=\"img\">\n<title>Pressure over {}, recorded by psistat</title>\n\
         {STYLE}<rect class=\"page\" width=\"{WIDE}\" height=\"{high}\"/>",
        scale.rounded()
    )?;
    head(out, &scale)?;
    for (top, panel) in (HEAD + TITLE..)
        .step_by((TITLE + HIGH) as usize)
        .zip(&panels)
    {
        panel.draw(out, &scale, drawn.ignored, top)?;
    }
    for (at, time) in ticks(&scale) {
        let y = high - FOOT + LINE + 2;
        writeln!(
            out,
            "<text class=\"mid\" x=\"{at}\" y=\"{y}\">{time}</text>"
        )?;
    }
    out.write_all(b"</svg>\n")
}

/// The resources of the whole system, or of the first cgroup where only cgroups were
/// recorded, and whatever else had an episode.
fn panels(drawn: Drawn<'_>) -> Vec<Panel<'_>> {
    let recording = drawn.recording;
    let main = recording.group(None).unwrap_or(0);
    let mut shown: Vec<(usize, Resource)> = Vec::new();
    if let Some(track) = recording.groups.get(main) {
        let known = |resource: &Resource| kinds(track, *resource).next().is_some();
        shown.extend(
            Resource::ALL
                .into_iter()
                .filter(known)
                .map(|resource| (main, resource)),
        );
    }
    for episode in &drawn.episodes.all {
        let group = recording.group(episode.cgroup.as_deref());
        let other = group.map(|group| (group, episode.resource));
        shown.extend(other.filter(|other| !shown.contains(other)));
    }
    let panel = |(group, resource): (usize, Resource)| {
        let track = &recording.groups[group];
        let watches = |rule: &&Rule| {
            rule.resource == resource
                && match &track.path {
                    None => rule.cgroup.is_none(),
                    Some(path) => rule.covers(path),
                }
        };
        let within =
            |episode: &&Episode| episode.resource == resource && episode.cgroup == track.path;
        Panel {
            track,
            resource,
            rules: drawn.rules.iter().filter(watches).collect(),
            episodes: drawn.episodes.all.iter().filter(within).collect(),
        }
    };
    shown.into_iter().map(panel).collect()
}

/// The kinds that a panel shows: some, and full over it, which is never more.
fn kinds(track: &Track, resource: Resource) -> impl Iterator<Item = Kind> {
    // the kernel's `full` of the whole system has no meaning there
    let meant =
        move |kind: &Kind| *kind == Kind::Some || resource != Resource::Cpu || track.path.is_some();
    let known = move |kind: &Kind| !track.series(resource, *kind).is_empty();
    [Kind::Some, Kind::Full]
        .into_iter()
        .filter(meant)
        .filter(known)
}

/// The title and the legend.
fn head(out: &mut dyn Write, scale: &Scale) -> io::Result<()> {
    let what = match scale.point() {
        WINDOW => format!("each {WINDOW}"),
        point => format!("the worst {WINDOW} in each {point}"),
    };
    let length = scale.rounded();
    writeln!(
        out,
        "<text class=\"bold\" x=\"{LEFT}\" y=\"20\">Time that tasks waited, in percent of {what}, \
         over {length}</text>"
    )?;
    for (x, class, text) in [
        (46, "some", "some tasks"),
        (160, "full", "all tasks"),
        (264, "high", "episode"),
        (360, "critical", "crit or worse"),
    ] {
        writeln!(
            out,
            "<rect class=\"{class}\" x=\"{x}\" y=\"34\" width=\"20\" height=\"12\"/>\
             <text x=\"{}\" y=\"45\">{text}</text>",
            x + 26
        )?;
    }
    writeln!(
        out,
        "<path class=\"begin\" d=\"M492 33v14\"/><text x=\"500\" y=\"45\">begin is logged</text>\
         <path class=\"limit\" d=\"M620 40h30\"/><text x=\"656\" y=\"45\">threshold</text>"
    )
}

/// The times that are marked, and where.
fn ticks(scale: &Scale) -> impl Iterator<Item = (u64, Micros)> {
    let length = scale.length;
    let fits = |step: &Micros| length.0 / step.0 <= TICKS;
    let steps = STEPS.map(Micros::secs);
    let step = steps.into_iter().find(fits);
    let step = step.unwrap_or(Micros(length.0 / TICKS));
    let times = (0..=length.0 / step.0).map(move |n| Micros(n * step.0));
    let start = scale.start;
    let scale = *scale;
    times.map(move |time| (scale.x(start + time), time))
}

impl Panel<'_> {
    fn draw(
        &self,
        out: &mut dyn Write,
        scale: &Scale,
        ignored: Micros,
        top: u64,
    ) -> io::Result<()> {
        let bottom = top + HIGH;
        let name = self.resource.name();
        write!(
            out,
            "<text class=\"bold\" x=\"{LEFT}\" y=\"{}\">{name}",
            top - 8
        )?;
        if let Some(path) = &self.track.path {
            let path = CgroupPath::of(path.clone()).to_string();
            write!(out, " of {}", escaped(&path))?;
        }
        out.write_all(b"</text>\n")?;
        grace(out, scale, ignored, top)?;
        for episode in &self.episodes {
            episode.shade(out, scale, top)?;
        }
        for kind in kinds(self.track, self.resource) {
            let name = kind.name();
            write!(out, "<path class=\"{name}\" d=\"")?;
            curve(out, scale, self.track, (self.resource, kind), bottom)?;
            out.write_all(b"\"/>\n")?;
        }
        grid(out, scale, top)?;
        self.limits(out, bottom)?;
        self.begins(out, scale, top)
    }

    /// A line for each threshold, and beside it the rules that have it. Their names move
    /// up where they would cover each other.
    fn limits(&self, out: &mut dyn Write, bottom: u64) -> io::Result<()> {
        let mut rules = self.rules.clone();
        rules.sort_by_key(|rule| rule.threshold_share());
        let mut lowest = bottom + LINE;
        for rule in rules {
            let share = rule.threshold_share();
            let y = bottom * 10 - u64::from(share.0.min(10_000)) / 10;
            writeln!(
                out,
                "<path class=\"limit\" d=\"M{LEFT} {}h{WIDTH}\"/>",
                tenths(y)
            )?;
            let text = (y / 10 + 4).min(lowest - LINE);
            lowest = text;
            let (x, kind, share) = (LEFT + WIDTH + 6, rule.kind.name(), percent(share));
            let name = shortened(&rule.name);
            writeln!(
                out,
                "<text x=\"{x}\" y=\"{text}\">{kind} {share} % {name}</text>"
            )?;
        }
        Ok(())
    }

    /// When episodes were logged, and by which rule. A name that has no room behind the
    /// last one of that rule is left out.
    fn begins(&self, out: &mut dyn Write, scale: &Scale, top: u64) -> io::Result<()> {
        let mut free = vec![0; self.rules.len()];
        for episode in &self.episodes {
            let x = scale.x(episode.begun);
            writeln!(out, "<path class=\"begin\" d=\"M{x} {top}v{HIGH}\"/>")?;
            let row = self.rules.iter().position(|rule| rule.name == episode.rule);
            let Some((row, free)) = row.and_then(|row| Some((row, free.get_mut(row)?))) else {
                continue;
            };
            let length = CHARACTER * episode.rule.chars().count() as u64;
            let late = x + length > LEFT + WIDTH;
            let (class, at) = if late {
                ("halo end", x - 5)
            } else {
                ("halo", x + 5)
            };
            if x >= *free {
                *free = x + length;
                let y = top + LINE * (row as u64 + 1);
                let name = escaped(&episode.rule);
                writeln!(
                    out,
                    "<text class=\"{class}\" x=\"{at}\" y=\"{y}\">{name}</text>"
                )?;
            }
        }
        Ok(())
    }
}

/// The time whose pressure psilogd ignores.
fn grace(out: &mut dyn Write, scale: &Scale, ignored: Micros, top: u64) -> io::Result<()> {
    let width = scale.x(scale.start + ignored) - LEFT;
    if width == 0 {
        return Ok(());
    }
    let (x, y) = (LEFT + 5, top + LINE);
    writeln!(
        out,
        "<rect class=\"grace\" x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" height=\"{HIGH}\"/>\
         <text class=\"halo\" x=\"{x}\" y=\"{y}\">grace</text>"
    )
}

/// Lines and numbers of percentages, and lines at the times.
fn grid(out: &mut dyn Write, scale: &Scale, top: u64) -> io::Result<()> {
    let bottom = top + HIGH;
    out.write_all(b"<path class=\"grid\" d=\"")?;
    for percent in [0, 50, 100] {
        write!(out, "M{LEFT} {}h{WIDTH}", bottom - percent)?;
    }
    for (x, _) in ticks(scale) {
        write!(out, "M{x} {top}v{HIGH}")?;
    }
    out.write_all(b"\"/>\n")?;
    for percent in [0, 50, 100] {
        let (x, y) = (LEFT - 6, bottom - percent + 4);
        writeln!(
            out,
            "<text class=\"end\" x=\"{x}\" y=\"{y}\">{percent}</text>"
        )?;
    }
    Ok(())
}

/// `12`, or `12.34` where it is not whole.
fn percent(Percent(hundredths): Percent) -> String {
    match hundredths % 100 {
        0 => format!("{}", hundredths / 100),
        rest => format!("{}.{rest:02}", hundredths / 100),
    }
}

/// A name beside a plot.
fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return escaped(name);
    }
    let start: String = name.chars().take(NAME - 1).collect();
    escaped(&(start + "…"))
}

/// Text as XML 1.0 has it. A control character, which no escape of XML allows, is
/// shown as a question mark.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_control() => escaped.push('?'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
