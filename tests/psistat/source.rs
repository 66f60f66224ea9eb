//! psistat as a source of figures for other programs: chosen columns, and metrics.

use std::path::Path;

use libtest_mimic::Trial;

use super::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("source::kinds_are_columns_and_keys", kinds),
        trial("source::metrics_are_the_counters", metrics),
        trial("source::the_reference_parser_reads_metrics", reference),
        trial("source::metrics_have_no_rows", no_rows),
    ]
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

/// Every counter of a kernel that has all, and of cgroups whose names need escapes.
fn metrics() -> Outcome {
    let (pressure, cgroups) = (fixture("all/2"), fixture("cgroups/2"));
    let mut text = String::new();
    for args in [
        &["-P", &pressure][..],
        &["-P", &pressure, "-r", "io,irq", "-k", "full"],
        &[
            "-C",
            &cgroups,
            "-g",
            "/user.slice/**",
            "-g",
            "db-*",
            "-r",
            "memory",
        ],
    ] {
        // the directories differ from host to host
        let shown: Vec<_> = args
            .iter()
            .filter(|arg| !arg.contains("fixtures"))
            .collect();
        text += &format!("== {shown:?}\n");
        text += &stdout(&[&["--openmetrics"], args].concat());
    }
    super::golden::compare("openmetrics.txt", text.as_bytes());
    DONE
}

/// The parsers of Prometheus's client for Python, of both formats: every sample of the one
/// is a sample of the other, and its value is the one in JSON.
const PARSERS: &str = r##"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
text, rows = open(sys.argv[1], newline="").read(), open(sys.argv[2])
expected = {}
for row in map(json.loads, rows):
    for resource in "cpu", "memory", "io", "irq":
        for kind, verb in ("some", "waiting"), ("full", "stalled"):
            figure = (row[resource] or {}).get(kind)
            if figure:
                name = f"psistat_pressure_{resource}_{verb}_seconds_total"
                expected[name, row["cgroup"]] = figure["total_us"] / 1e6
def samples(families):
    found = [(s.name, s.labels, s.value) for f in families for s in f.samples]
    assert all(set(labels) <= {"cgroup"} for _, labels, _ in found), found
    return {(name, labels.get("cgroup")): value for name, labels, value in found}
families = list(openmetrics(text))
for family in families:
    assert (family.type, family.unit) == ("counter", "seconds"), family
    assert family.documentation.endswith("."), family
assert expected and samples(families) == expected, (samples(families), expected)
assert samples(prometheus(text)) == expected
# a parser that takes anything proves nothing
try:
    list(openmetrics(text.replace("# EOF\n", "")))
except ValueError:
    print("right")
"##;

fn reference() -> Outcome {
    let venv = "target/packaging/venv/bin/python3";
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(venv);
    let import = ["-c", "import prometheus_client.openmetrics.parser"];
    let candidates = [&venv.display().to_string(), "python3"];
    let Some(python) = candidates
        .iter()
        .find(|python| works(python, &import).is_ok())
    else {
        return skip(
            "no Python with prometheus_client (pip install prometheus_client, or \
             tests/packaging/install)",
        );
    };
    let scratch = Scratch::new();
    let files = ["text", "rows"].map(|name| scratch.0.join(name).display().to_string());
    let (pressure, cgroups) = (fixture("all/2"), fixture("cgroups/2"));
    for args in [&["-P", &pressure][..], &["-C", &cgroups, "-g", "**"]] {
        for (option, file) in ["--openmetrics", "-j"].iter().zip(&files) {
            let text = stdout(&[&[*option], args].concat());
            std::fs::write(file, text).expect("a file");
        }
        let said = filter(python, &["-c", PARSERS, &files[0], &files[1]], "");
        assert_eq!(said, "right\n", "{args:?}");
    }
    DONE
}

/// What is not a counter is refused, and a failure is no empty text.
fn no_rows() -> Outcome {
    for (args, code, sentence) in [
        (&["--openmetrics", "5"][..], 2, "takes no interval"),
        (
            &["--openmetrics", "-j"],
            2,
            "-j, --json can't be used with --openmetrics",
        ),
        (
            &["--openmetrics", "-n", "3"],
            2,
            "-n, --top can't be used with",
        ),
        (
            &["--openmetrics", "-g", "/nope"],
            1,
            "there is no cgroup /nope",
        ),
    ] {
        let output = run(&[args, &["-C", &fixture("cgroups/1")]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{args:?}: {output:?}");
        assert!(stderr.contains(sentence), "{args:?}: {stderr}");
    }
    DONE
}
