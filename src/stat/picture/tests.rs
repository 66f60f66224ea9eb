use super::*;
use crate::config::Config;
use crate::report::Report;
use crate::stat::replay::{Ideal, Replay};
use crate::time::Moment;

/// The picture of a record under a configuration.
fn drawn(record: &str, config: &str) -> String {
    let recording = Recording::parse(record).unwrap();
    let config = Config::parse(config.as_bytes()).unwrap();
    let (start, end) = recording.span().unwrap();
    let mut episodes = Episodes::default();
    let mut log = |at: Moment, report: &Report<'_>| episodes.add(at, report);
    let mut replay = Replay::new(Ideal::new(recording), &config, start, &mut log);
    replay.run(end, &mut log);
    let mut out = Vec::new();
    let drawn = Drawn {
        recording: replay.source().recording(),
        rules: &config.rules,
        episodes: &episodes,
        ignored: Micros::ZERO,
    };
    draw(&mut out, drawn).unwrap();
    String::from_utf8(out).unwrap()
}

/// The lines that hold a word.
fn lines<'a>(svg: &'a str, word: &str) -> Vec<&'a str> {
    svg.lines().filter(|line| line.contains(word)).collect()
}

/// 10 s at 50 %, 10 s at none, 80 s at all; boot was 1000 s before.
const MEMORY: &str = "psistat record 1\ngroup -\n1000000000 c0 d0\n10000000 c5000000 d5000000\n\
                      10000000 c2000000\n80000000 c80000000 d80000000\n";

#[test]
fn a_curve_is_one_pixel_per_percent_of_each_window() {
    let svg = drawn(MEMORY, "grace 0\nmemory full 40%/2s for=0");
    // five points at 50 %, five at 0 % and forty at 100 %, of which each first and last
    // is drawn: the bottom is at 184, and a window is 11.3 pixels
    let full = "<path class=\"full\" d=\"M51.6 184L51.6 134.0L96.9 134.0L108.2 184.0\
                L153.5 184.0L164.8 84.0L606.3 84.0L606.3 184Z\"/>";
    assert_eq!(lines(&svg, "<path class=\"full\""), [full]);
    let some = lines(&svg, "<path class=\"some\"");
    assert!(some[0].contains("L108.2 164.0L153.5 164.0"), "{some:?}");
}

#[test]
fn a_long_recording_has_a_point_per_pixel_at_most() {
    let record = MEMORY.to_string() + "20000000000 c9000000 d0\n2000000 d2000000\n1000000000\n";
    let svg = drawn(&record, "memory full 40%/2s");
    assert!(
        svg.contains("percent of the worst 2s in each 38s, over 352m"),
        "{svg}"
    );
    let full = lines(&svg, "<path class=\"full\"");
    // two seconds at 100 % are not averaged away
    assert_eq!(full[0].matches(" 84.0").count(), 3, "{full:?}");
    assert!(lines(&svg, "class=\"mid\"").len() <= 9, "{svg}");
}

#[test]
fn episodes_are_shaded_from_their_onset_to_their_end() {
    let rules = "grace 0\nmemory full 40%/2s for=0 clear=4s name=short\n\
                 memory full 90%/2s for=20s clear=30s level=crit name=long";
    let svg = drawn(MEMORY, rules);
    let shades = lines(&svg, "<rect class=\"high\" x=\"50\" y=\"84\" width=\"52\"");
    assert!(
        shades[0].contains("short: 0 s to 10 s, logged at 1 s"),
        "{shades:?}"
    );
    assert_eq!(lines(&svg, "<title>short").len(), 2, "{svg}");
    let open = lines(&svg, "<rect class=\"critical\" x=\"130\"");
    assert!(
        open[0].contains("long: 15 s to the end of the recording, logged at 35 s"),
        "{svg}"
    );
    assert!(
        open[0].contains(" width=\"482\" height=\"100\""),
        "{open:?}"
    );
    // the second begin of `short` is far enough from the first for another name
    let names = lines(&svg, "<text class=\"halo");
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn thresholds_are_lines_and_their_names_do_not_cover_each_other() {
    let rules = "memory full 40%/2s name=a\nmemory full 38.5%/2s name=b\n\
                 memory some 250ms/2s name=a-name-that-is-too-long\nio full 10%/2s name=other";
    let svg = drawn(MEMORY, rules);
    let limits = lines(&svg, "<path class=\"limit\" d=\"M46 ");
    let heights = ["171.5", "145.5", "144.0"];
    let line = |y: &&str| format!("<path class=\"limit\" d=\"M46 {y}h566\"/>");
    assert_eq!(limits, heights.each_ref().map(line));
    let labels: Vec<_> = lines(&svg, "<text x=\"618\"");
    let label = |y: u32, text: &str| format!("<text x=\"618\" y=\"{y}\">{text}</text>");
    let expected = [
        label(175, "some 12.50 % a-name-that-is…"),
        label(149, "full 38.50 % b"),
        label(135, "full 40 % a"),
    ];
    assert_eq!(labels, expected);
}

#[test]
fn a_cgroup_with_an_episode_has_a_panel_while_it_is_there() {
    let record = "psistat record 2\ngroup -\n1000000000 d0\ngroup /a%26b\n0:1 d0 f0\n\
                  group /quiet\n0:2 d0\n10000000:1 d10000000\n10000000:1 -\n10000000\n";
    let svg = drawn(record, "grace 0\nmemory full 40%/2s for=0 cgroup=/*");
    let titles: Vec<_> = lines(&svg, "<text class=\"bold\" x=\"46\" y=");
    assert_eq!(titles.len(), 3, "{titles:?}");
    assert!(titles[1].ends_with(">memory</text>"), "{titles:?}");
    assert!(
        titles[2].ends_with(">memory of /a&amp;b</text>"),
        "{titles:?}"
    );
    let full = lines(&svg, "<path class=\"full\"");
    assert_eq!(full.len(), 2);
    // it was gone after two thirds
    assert!(full[1].ends_with("L404.4 314Z\"/>"), "{full:?}");
    assert!(svg.contains(": 0 s to 18 s, logged at 0 s"), "{svg}");
}

#[test]
fn a_record_of_cgroups_or_of_one_reading_has_a_picture() {
    let cgroup = "psistat record 2\ngroup /a\n1000000000 a0 b0 g0\n10000000 b5000000\n";
    let svg = drawn(cgroup, "cpu some 40%/2s");
    assert_eq!(lines(&svg, "class=\"grid\"").len(), 2, "{svg}");
    assert!(
        svg.contains(">cpu of /a<") && svg.contains(">irq of /a<"),
        "{svg}"
    );
    // where `full` of the CPUs has a meaning, which it has not for the whole system
    assert_eq!(lines(&svg, "<path class=\"full\"").len(), 2, "{svg}");
    let system = "psistat record 2\ngroup -\n1000000000 a0 b0\n";
    let svg = drawn(system, "cpu some 40%/2s");
    assert!(!svg.contains("<path class=\"full\""), "{svg}");
    assert!(svg.ends_with("</svg>\n"), "{svg}");
}

#[test]
fn text_is_escaped() {
    assert_eq!(
        escaped("<a & \"b\">\u{1b}é"),
        "&lt;a &amp; &quot;b&quot;&gt;?é"
    );
    assert_eq!(shortened("fifteen-letters"), "fifteen-letters");
    assert_eq!(shortened("sixteen-letters<"), "sixteen-letter…");
}
