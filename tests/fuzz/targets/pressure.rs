//! The text of a pressure file.

use psilogd::pressure::{Averages, Kind, Percent, Pressure, PressureError};

pub fn run(data: &[u8]) {
    let parsed = Pressure::parse(data);
    match parsed {
        Err(PressureError::Empty) => assert!(data.is_empty()),
        Err(PressureError::Truncated) => assert!(!data.ends_with(b"\n")),
        Err(PressureError::Garbage) => assert!(data.ends_with(b"\n")),
        Ok(pressure) => {
            assert!(data.ends_with(b"\n"));
            assert!(pressure.some.is_some() || pressure.full.is_some());
            check(data, pressure);
        }
    }
}

fn check(data: &[u8], pressure: Pressure) {
    let mut text = Vec::new();
    for kind in [Kind::Some, Kind::Full] {
        if let Some(averages) = pressure.of(kind) {
            text.extend_from_slice(written(kind, averages).as_bytes());
        }
    }
    assert_eq!(Pressure::parse(&text), Ok(pressure));
    // a file that is cut says so
    for end in 1..data.len() {
        if data[end - 1] != b'\n' {
            let cut = Pressure::parse(&data[..end]);
            assert_eq!(cut, Err(PressureError::Truncated));
        }
    }
    // what a later kernel adds is ignored
    let longer = [data, b"most avg10=x\n"].concat();
    assert_eq!(Pressure::parse(&longer), Ok(pressure));
}

/// As psi_show() in kernel/sched/psi.c does.
fn written(kind: Kind, averages: Averages) -> String {
    let share = |Percent(share): Percent| format!("{}.{:02}", share / 100, share % 100);
    format!(
        "{} avg10={} avg60={} avg300={} total={}\n",
        kind.name(),
        share(averages.avg10),
        share(averages.avg60),
        share(averages.avg300),
        averages.total
    )
}
