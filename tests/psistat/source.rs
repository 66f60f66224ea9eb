//! psistat as a source of figures for other programs: chosen columns, metrics and checks.

use libtest_mimic::Trial;

use super::support::*;

pub fn trials() -> Vec<Trial> {
    vec![trial("source::kinds_are_columns_and_keys", kinds)]
}

/// The columns in a pipe are those of every kernel, unless -k leaves a kind out.
fn kinds() -> Outcome {
    let pressure = fixture("no-irq/1");
    for (kinds, columns, some) in [
        (&[][..], 7, true),
        (&["-k", "some,full"], 7, true),
        (&["-k", "some"], 3, true),
        (&["-k", "full"], 4, false),
    ] {
        let text = stdout(&[&["-P", &pressure, "10ms", "2"], kinds].concat());
        let row = text.lines().last().expect("a row");
        assert_eq!(row.split_whitespace().count(), columns, "{kinds:?}: {text}");
        let text = stdout(&[&["-j", "-P", &pressure], kinds].concat());
        assert_eq!(text.contains("\"some\":{"), some, "{kinds:?}: {text}");
        // no key of a resource without any selected kind
        assert_eq!(
            text.contains("\"irq\":null"),
            columns != 3,
            "{kinds:?}: {text}"
        );
    }
    DONE
}
