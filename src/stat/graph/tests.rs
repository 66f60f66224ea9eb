use super::super::tests::{ALL, BOTH, group};
use super::super::{interval, select};
use super::*;
use crate::pressure::{Kind, Resource};

const SECOND: Micros = Micros::secs(1);
const CANVAS: Canvas = Canvas {
    columns: 32,
    lines: 4,
    colours: None,
    blocks: true,
};

/// A graph of these percentages in hundredths, one per second.
fn graph(shares: &[u64]) -> Graph {
    let mut graph = Graph::default();
    let mut total = 0;
    let mut before = [group(None, 0, 1_000_000, 0)];
    for (second, share) in (2..).zip(shares) {
        total += share * 100;
        let now = [group(None, 0, second * 1_000_000, total)];
        graph.add(&interval(&before, &now)[0], SECOND);
        before = now;
    }
    graph
}

fn drawn(graph: &Graph, selection: Selection, canvas: Canvas) -> String {
    let mut out = Vec::new();
    graph.draw(&mut out, selection, SECOND, canvas);
    String::from_utf8(out).unwrap()
}

fn memory() -> Selection {
    select(&[Resource::Memory], &[Kind::Full])
}

/// Eight steps per character, and no step for 0 alone.
#[test]
fn bars_are_as_high_as_the_share() {
    let graph = graph(&[
        0, 1, 416, 417, 3_333, 3_334, 5_000, 6_667, 9_583, 9_584, 10_000,
    ]);
    let expected = "\
memory full                 ▁▇██
 100.00 now               ▁▄████
 100.00 max           ▁▁▂███████
            |20s ago         now
";
    assert_eq!(drawn(&graph, memory(), CANVAS), expected);
    let ascii = Canvas {
        blocks: false,
        ..CANVAS
    };
    let text = drawn(&graph, memory(), ascii);
    assert!(text.is_ascii(), "{text}");
    assert!(
        text.contains("\n 100.00 max           ___#######\n"),
        "{text}"
    );
}

#[test]
fn the_newest_columns_are_shown_and_the_oldest_forgotten() {
    let mut shares = vec![10_000; 5];
    shares.extend([0; 18]);
    let graph = graph(&shares);
    let line = |columns| {
        let canvas = Canvas {
            columns,
            lines: 1,
            ..CANVAS
        };
        drawn(&graph, memory(), canvas)
    };
    assert_eq!(
        line(40),
        format!("memory full   0.00 {}{}\n", "█".repeat(3), " ".repeat(18))
    );
    assert_eq!(line(19), "memory full   0.00 \n");
    assert_eq!(line(5), "memory full   0.00 \n");
}

#[test]
fn what_is_remembered_is_bounded() {
    let long = graph(&[5_000; REMEMBERED + 100]);
    assert_eq!(long.columns.len(), REMEMBERED);
}

#[test]
fn missed_intervals_have_columns_and_unknown_ones_a_mark() {
    let mut graph = Graph::default();
    let at = |second: u64, total| [group(Some("/a"), 0, second * 1_000_000, total)];
    graph.add(&interval(&at(1, 0), &at(4, 3_000_000))[0], SECOND);
    // it is gone
    graph.add(&interval(&at(4, 0), &[])[0], SECOND);
    let canvas = Canvas {
        columns: 24,
        lines: 1,
        ..CANVAS
    };
    assert_eq!(
        drawn(&graph, memory(), canvas),
        "memory full      -  ███?\n"
    );
}

#[test]
fn colours_begin_at_the_limits() {
    let graph = graph(&[999, 1_000, 4_999, 5_000, 0, 5_000]);
    let limits = Limits {
        yellow: Percent(1_000),
        red: Percent(5_000),
    };
    let canvas = Canvas {
        columns: 25,
        lines: 1,
        colours: Some(limits),
        ..CANVAS
    };
    let (yellow, red, none) = ("\x1b[38;5;166m", "\x1b[38;5;160m", "\x1b[0m");
    let bars = format!("▁{yellow}▁▄{red}▄{none} {red}▄{none}");
    let text = drawn(&graph, memory(), canvas);
    assert!(text.ends_with(&format!(" {bars}\n")), "{text:?}");
    let plain = Canvas {
        colours: None,
        ..canvas
    };
    assert!(!drawn(&graph, memory(), plain).contains('\x1b'));
}

/// In every size a screen has neither more lines nor longer ones.
#[test]
fn a_graph_fits_its_screen() {
    let graph = graph(&[5_000; 300]);
    let all = select(&Resource::ALL, &BOTH);
    assert_eq!(all, ALL);
    for (columns, lines) in [
        (80, 23),
        (40, 23),
        (200, 50),
        (20, 5),
        (13, 40),
        (80, 1),
        (80, 0),
    ] {
        let canvas = Canvas {
            columns,
            lines,
            ..CANVAS
        };
        let text = drawn(&graph, all, canvas);
        assert!(
            text.lines().count() <= lines.max(1),
            "{columns} {lines}: {text}"
        );
        let least = LABEL + BESIDE;
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(
            longest <= Some(columns.max(least)),
            "{columns} {lines}: {text}"
        );
    }
    // as many strips as there is room for, and the times
    let text = drawn(&graph, all, Canvas { lines: 5, ..CANVAS });
    assert_eq!(
        text.matches("some").count() + text.matches("full").count(),
        4,
        "{text}"
    );
    assert!(text.ends_with("now\n"), "{text}");
}
