use super::super::tests::{ALL, BOTH, group, reading};
use super::super::{Group, select, since_boot};
use super::*;

const LOOK: Look = Look {
    selection: ALL,
    averages: false,
    time: 0,
    names: false,
    colours: None,
    width: Some(80),
    cut: true,
    utf8: false,
    mark: None,
};

fn table(look: Look, time: &str, groups: &[Group]) -> String {
    let mut out = Vec::new();
    look.header(&mut out);
    for row in since_boot(groups) {
        look.row(&mut out, time, &row);
    }
    String::from_utf8(out).unwrap()
}

fn system() -> Group {
    let mut group = group(None, 0, 1_000_000, 123_400);
    group.readings[Resource::Irq as usize] = None;
    group.readings[Resource::Io as usize] = reading(1_000_000, Some(2_000_000), Some(0));
    group
}

#[test]
fn a_row_has_one_column_per_resource_and_kind() {
    let expected = " -----cpu----- ---memory---- -----io------ -irq--
   some   full   some   full   some   full   full
  12.34      -  12.34  12.34 100.00   0.00      -
";
    assert_eq!(table(LOOK, "", &[system()]), expected);
}

/// Also under the longest name, which fills the width of one column.
#[test]
fn one_kind_is_one_column_per_resource() {
    let look = |kind| Look {
        selection: select(&Resource::ALL, &[kind]),
        ..LOOK
    };
    let expected = " -cpu-- memory --io-- -irq--\n\
      \u{20}  full   full   full   full\n\
      \u{20}     -  12.34   0.00      -\n";
    assert_eq!(table(look(Kind::Full), "", &[system()]), expected);
    let expected = " -cpu-- memory --io--\n\
      \u{20}  some   some   some\n\
      \u{20} 12.34  12.34 100.00\n";
    assert_eq!(table(look(Kind::Some), "", &[system()]), expected);
}

#[test]
fn times_are_first_and_names_last() {
    let look = Look {
        time: 8,
        names: true,
        selection: select(&[Resource::Memory], &BOTH),
        ..LOOK
    };
    let expected = "         ---memory----\n\
                    time       some   full cgroup\n\
                    12:34:56  50.00  50.00 /a%20b\n";
    let group = group(Some("/a b"), 0, 2_000_000, 1_000_000);
    assert_eq!(table(look, "12:34:56", &[group]), expected);
}

/// The header has as many lines with a mark as without, unless it must fit a terminal
/// and does not.
#[test]
fn a_mark_is_behind_the_first_head() {
    let mark = Some("since boot");
    let dashes = " -----cpu----- ---memory---- -----io------ -irq--";
    for (width, cut, head) in [
        (Some(80), true, format!("{dashes}  since boot")),
        (Some(61), true, format!("{dashes}  since boot")),
        (Some(60), true, format!("since boot\n{dashes}")),
        (Some(60), false, format!("{dashes}  since boot")),
        (None, true, format!("{dashes}  since boot")),
    ] {
        let (marked, plain) = (
            Look {
                mark,
                width,
                cut,
                ..LOOK
            },
            LOOK,
        );
        let rest = table(plain, "", &[system()]);
        let rest = rest.strip_prefix(dashes).unwrap();
        let text = table(marked, "", &[system()]);
        assert_eq!(text, format!("{head}{rest}"), "{width:?} {cut}");
    }
    let block = Look {
        mark,
        averages: true,
        ..LOOK
    };
    let text = table(block, "", &[system()]);
    let head = "               pct  avg10  avg60 avg300  since boot\n";
    assert!(text.starts_with(head), "{text}");
    let text = table(
        Look {
            width: Some(50),
            ..block
        },
        "",
        &[system()],
    );
    assert!(text.starts_with("since boot\n    "), "{text}");
}

/// On a terminal nothing is folded; a pipe's columns depend on options alone.
#[test]
fn a_row_that_does_not_fit_a_terminal_has_narrow_columns_or_is_a_block() {
    for (width, cut, form, column) in [
        (49, true, Form::Row, COLUMN),
        (48, true, Form::Row, NARROW),
        (35, true, Form::Row, NARROW),
        (34, true, Form::Block, COLUMN),
        (34, false, Form::Row, COLUMN),
    ] {
        let width = Some(width);
        let layout = Look { width, cut, ..LOOK }.layout();
        assert_eq!(layout, (form, column), "{width:?} {cut}");
    }
    let look = |width| Look {
        width: Some(width),
        ..LOOK
    };
    let expected = " ---cpu--- -memory-- ---io---- irq-
 some full some full some full full
 12.3    - 12.3 12.3  100  0.0    -
";
    assert_eq!(table(look(40), "", &[system()]), expected);
    let text = table(look(34), "", &[system()]);
    assert!(
        text.starts_with("               pct\ncpu    some  12.34\n"),
        "{text}"
    );
}

#[test]
fn narrow_columns_round_and_shorten_what_is_above_them() {
    let look = Look {
        width: Some(6),
        selection: select(&[Resource::Memory], &[Kind::Full]),
        ..LOOK
    };
    for (hundredths, text) in [(4, "0.0"), (5, "0.1"), (9_994, "99.9"), (9_995, "100")] {
        let group = group(None, 0, 1_000_000, hundredths * 100);
        let expected = format!(" memo\n full\n{text:>5}\n");
        assert_eq!(table(look, "", &[group]), expected);
    }
}

#[test]
fn averages_are_in_the_row_where_they_fit() {
    let look = Look {
        averages: true,
        selection: select(&[Resource::Cpu], &BOTH),
        ..LOOK
    };
    let expected = " --------------------------cpu--------------------------\n\
      \u{20}  some  avg10  avg60 avg300   full  avg10  avg60 avg300\n\
      \u{20} 12.34   0.12   3.45 100.00      -      -      -      -\n";
    assert_eq!(table(look, "", &[system()]), expected);
    let full = Look {
        averages: true,
        ..LOOK
    };
    assert_eq!(full.form(), Form::Block);
    for width in [None, Some(196), Some(200)] {
        assert_eq!(Look { width, ..full }.form(), Form::Row, "{width:?}");
    }
    let width = Some(195);
    assert_eq!(Look { width, ..full }.form(), Form::Block);
}

#[test]
fn averages_are_in_a_block_where_they_do_not_fit() {
    let look = Look {
        averages: true,
        names: true,
        ..LOOK
    };
    let expected = "\
/a
               pct  avg10  avg60 avg300
cpu    some  10.00   0.12   3.45 100.00
cpu    full  10.00   0.12   3.45 100.00
memory some  10.00   0.12   3.45 100.00
memory full  10.00   0.12   3.45 100.00
io     some  10.00   0.12   3.45 100.00
io     full  10.00   0.12   3.45 100.00
irq    full  10.00   0.12   3.45 100.00

";
    let text = table(look, "", &[group(Some("/a"), 0, 1_000_000, 100_000)]);
    assert_eq!(text, expected);
    assert_eq!(text.lines().count(), look.row_lines());
}

#[test]
fn colours_begin_at_the_limits() {
    let limits = Limits {
        yellow: Percent(1_234),
        red: Percent(5_000),
    };
    let look = Look {
        colours: Some(limits),
        selection: select(&[Resource::Io], &BOTH),
        ..LOOK
    };
    for (total, expected) in [
        (123_300, "  12.33"),
        (123_400, "  \x1b[30;43m12.34\x1b[0m"),
        (499_900, "  \x1b[30;43m49.99\x1b[0m"),
        (500_000, "  \x1b[1;37;41m50.00\x1b[0m"),
        (1_000_000, " \x1b[1;37;41m100.00\x1b[0m"),
    ] {
        let text = table(look, "", &[group(None, 0, 1_000_000, total)]);
        let last = text.lines().last().unwrap_or_default();
        assert_eq!(last, expected.repeat(2));
    }
}

/// No line is longer than the terminal.
#[test]
fn a_long_name_is_shortened() {
    let name = format!("/{}/end.service", "x".repeat(300));
    let group = group(Some(&name), 0, 1_000_000, 0);
    for (width, utf8) in [(63, false), (80, false), (80, true), (200, true)] {
        let look = Look {
            names: true,
            width: Some(width),
            utf8,
            ..LOOK
        };
        let text = table(look, "", std::slice::from_ref(&group));
        let last = text.lines().last().unwrap_or_default();
        assert_eq!(last.chars().count(), width);
        let mark = if utf8 {
            "x…/end.service"
        } else {
            "x.../end.service"
        };
        assert!(last.ends_with(mark), "{last}");
    }
    for (width, cut) in [(None, true), (Some(80), false)] {
        let look = Look {
            names: true,
            width,
            cut,
            ..LOOK
        };
        assert!(table(look, "", std::slice::from_ref(&group)).contains(&name));
    }
}

#[test]
fn a_name_without_room_beside_the_figures_is_above_them() {
    for (width, form, column) in [
        (66, Form::Row, COLUMN),
        (65, Form::Row, NARROW),
        (52, Form::Row, NARROW),
        (51, Form::Titled, COLUMN),
        (48, Form::Titled, NARROW),
        (34, Form::Block, COLUMN),
    ] {
        let look = Look {
            names: true,
            width: Some(width),
            ..LOOK
        };
        assert_eq!(look.layout(), (form, column), "{width}");
        let group = group(Some("/system.slice/a.service"), 0, 1_000_000, 0);
        let text = table(look, "", &[group]);
        assert!(text.lines().all(|line| line.len() <= width), "{text}");
        let lines = look.header_lines() + look.row_lines();
        assert_eq!(text.lines().count(), lines, "{text}");
        let above = text.lines().any(|line| line == "/system.slice/a.service");
        assert_eq!(above, form != Form::Row, "{text}");
    }
}

#[test]
fn lines_are_counted_as_they_are_written() {
    for (width, time) in [(80, 0), (80, 8), (40, 0), (40, 8), (30, 0)] {
        let look = Look {
            width: Some(width),
            time,
            ..LOOK
        };
        let mut out = Vec::new();
        look.header(&mut out);
        let lines = |out: &[u8]| out.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines(&out), look.header_lines(), "{width} {time}");
        let text = table(look, &"12:34:56"[..time], &[system()]);
        let all = look.header_lines() + look.row_lines();
        assert_eq!(lines(text.as_bytes()), all, "{width} {time}");
    }
}

#[test]
fn the_time_is_a_blocks_title() {
    let look = Look {
        width: Some(40),
        time: 8,
        ..LOOK
    };
    let text = table(look, "12:34:56", &[system()]);
    assert!(text.starts_with("12:34:56\n   "), "{text}");
}

#[test]
fn a_name_that_fits_is_whole() {
    for (length, cut) in [(27, false), (28, true)] {
        let name = format!("/{}", "x".repeat(length - 1));
        let group = group(Some(&name), 0, 1_000_000, 0);
        let look = Look {
            names: true,
            width: Some(63),
            ..LOOK
        };
        let text = table(look, "", std::slice::from_ref(&group));
        assert_eq!(text.contains("..."), cut, "{text}");
    }
}

#[test]
fn the_title_of_a_block_fits_the_terminal() {
    let group = group(
        Some("/a/name/that/is/long/enough/for/this"),
        0,
        1_000_000,
        0,
    );
    let look = Look {
        names: true,
        time: 8,
        width: Some(30),
        ..LOOK
    };
    let text = table(look, "12:34:56", &[group]);
    let title = text.lines().next();
    assert_eq!(title, Some("12:34:56 .../enough/for/this"));
}
