//! `-r` and `-k`: which columns.

use getopts::Matches;

use super::{option, wrong};
use crate::pressure::{Kind, Resource};
use crate::stat::{Selection, select};

const KINDS: [Kind; 2] = [Kind::Some, Kind::Full];

/// What both options select; without one, all that it could.
pub(super) fn selection(matches: &Matches) -> Result<Selection, String> {
    let resources = option(matches, "r", resources)?;
    let kinds = option(matches, "k", kinds)?;
    let selection = select(
        resources.as_deref().unwrap_or(&Resource::ALL),
        kinds.as_deref().unwrap_or(&KINDS),
    );
    match selection.contains(&true) {
        true => Ok(selection),
        false => Err(wrong("k", "some", "no kernel records some for irq")),
    }
}

fn resources(word: &str) -> Result<Vec<Resource>, String> {
    let list: Option<_> = word.split(',').map(Resource::parse).collect();
    list.ok_or_else(|| "expected cpu, memory, io or irq, separated by commas".into())
}

fn kinds(word: &str) -> Result<Vec<Kind>, String> {
    let list: Option<_> = word.split(',').map(Kind::parse).collect();
    list.ok_or_else(|| "expected some, full or some,full".into())
}
