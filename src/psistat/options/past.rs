//! The command lines of `--replay`, and the one word that it has changed of `--suggest`.

use std::path::PathBuf;

use getopts::{Fail, Matches};

use super::{Action, LOOKS, misuse, refuse};
use crate::options::rules;
use crate::psistat::replay::Replaying;

/// The argument of `--suggest`. As it is not needed with `--replay`, getopts takes only
/// `--suggest=24h` for one; that of `--suggest 24h` is the first operand.
pub(super) fn suggested_length(matches: &mut Matches) -> Result<Option<String>, String> {
    if !matches.opt_present("suggest") || matches.opt_present("record") {
        return Ok(None);
    }
    match matches.opt_str("suggest") {
        Some(length) => Ok(Some(length)),
        None if matches.free.is_empty() => Err(misuse(Fail::ArgumentMissing("suggest".into()))),
        None => Ok(Some(matches.free.remove(0))),
    }
}

pub(super) fn replay(matches: &Matches, file: PathBuf) -> Result<Action, String> {
    let unused = ["g", "openmetrics", "r", "C", "P", "record"];
    for unused in [&LOOKS[..], &unused] {
        refuse(matches, unused, "--replay, which reads a record")?;
    }
    let config = matches.opt_str("f").map(PathBuf::from);
    let svg = matches.opt_str("svg").map(PathBuf::from);
    if !matches.opt_present("suggest") {
        let rules = rules(&matches.free)?;
        return Ok(Action::Replay(Replaying {
            file,
            config,
            rules,
            svg,
        }));
    }
    let operand = matches.opt_str("suggest");
    if let Some(word) = operand.or_else(|| matches.free.first().cloned()) {
        return Err(format!(
            "\"{word}\": --suggest takes no duration and no rules with --replay: it looks at all \
             of the recording"
        ));
    }
    refuse(matches, &["f", "svg"], "--suggest")?;
    Ok(Action::SuggestFrom(file))
}
