//! psistat as a source for other programs: `--openmetrics` and `--check`.

use std::io::{self, Write};
use std::time::Duration;

use crate::stat::check::{Check, State};
use crate::stat::{self, openmetrics};
use crate::time::Micros;

use super::error::{NotMeasured, RunError};
use super::options::Settings;
use super::{End, open, quietly};

/// Writes counters once.
pub fn openmetrics(settings: &Settings) -> Result<End, RunError> {
    let rows = stat::since_boot(&open(settings)?.read_first()?);
    let mut out = Vec::with_capacity(4096);
    openmetrics::exposition(&mut out, settings.selection, &rows);
    let written = io::stdout().write_all(&out);
    quietly(written.map(|()| End::Done).map_err(RunError::Io))
}

/// Reads one counter twice, this long apart; the state and its line.
///
/// # Errors
/// Why nothing was measured, which is a state of its own.
pub fn check(
    settings: &Settings,
    check: &Check,
    over: Micros,
) -> Result<(State, String), RunError> {
    let (resource, kind) = (check.resource, check.kind);
    let mut reader = open(settings)?;
    let before = reader.read_first()?;
    let first = stat::since_boot(&before);
    // before the wait, which would be in vain
    if first.iter().all(|row| row.figure(resource, kind).is_none()) {
        return Err(RunError::NotMeasured(resource, kind, NotMeasured::Unknown));
    }
    std::thread::sleep(Duration::from_micros(over.0));
    let rows = stat::interval(&before, &reader.read()?);
    let measured = rows
        .iter()
        .find_map(|row| Some((row, row.figure(resource, kind)?.share?)));
    let Some((row, share)) = measured else {
        return Err(RunError::NotMeasured(resource, kind, NotMeasured::Replaced));
    };
    Ok(check.result(share, over, row.cgroup.as_deref()))
}
