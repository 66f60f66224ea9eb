//! psistat as a source for other programs: `--openmetrics`.

use std::io::{self, Write};

use crate::stat::{self, openmetrics};

use super::failure::Failure;
use super::options::Settings;
use super::{End, open, quietly};

/// Writes counters once.
pub fn openmetrics(settings: &Settings) -> Result<End, Failure> {
    let rows = stat::since_boot(&open(settings)?.read_first()?);
    let mut out = Vec::with_capacity(4096);
    openmetrics::exposition(&mut out, settings.selection, &rows);
    let written = io::stdout().write_all(&out);
    quietly(written.map(|()| End::Done).map_err(Failure::Io))
}
