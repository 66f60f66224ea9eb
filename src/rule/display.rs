//! A rule's text, with every key spelled out.

use std::fmt;

use super::{Rule, Threshold};
use crate::pressure::Percent;

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Threshold::Time(stall) => stall.fmt(f),
            Threshold::Share(Percent(share)) => match share % 100 {
                0 => write!(f, "{}%", share / 100),
                rest if rest % 10 == 0 => write!(f, "{}.{}%", share / 100, rest / 10),
                rest => write!(f, "{}.{rest:02}%", share / 100),
            },
        }
    }
}

/// The whole rule, every key spelled out, as [`Rule::parse`] reads it back.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}/{} level={} name={} for={} clear={} repeat={}",
            self.resource.name(),
            self.kind.name(),
            self.threshold,
            self.window,
            self.level.name(),
            self.name,
            self.sustain,
            self.clear,
            self.repeat,
        )?;
        if let Some(stuck) = self.stuck {
            write!(f, " stuck={stuck}")?;
        }
        if let Some(busy) = self.busy {
            write!(f, " busy={}", Threshold::Share(busy))?;
        }
        if let Some(avail) = self.avail {
            write!(f, " avail={}", Threshold::Share(avail))?;
        }
        if let Some(pattern) = &self.cgroup {
            write!(f, " cgroup={}", pattern.text())?;
        }
        for (index, pattern) in self.except.iter().enumerate() {
            let before = if index == 0 { " except=" } else { "," };
            write!(f, "{before}{}", pattern.text())?;
        }
        Ok(())
    }
}
