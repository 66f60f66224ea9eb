//! The text of psilogd.conf(5): settings and rules, one per line, in one file or in
//! several. All errors are found at once, each with its line and the word.

mod file;
mod layers;
mod output;
mod settings;
mod user;

use std::fmt;

use crate::pattern::Pattern;
use crate::rule::{ParseError, Reason, Rule};
use crate::sorted::SortedMap;

pub use file::{ConfigError, FILE_MAX};
pub use layers::{Layers, Origin};
pub use output::{DEV_LOG, JOURNAL, OutputSpec};
pub use settings::Settings;
pub use user::UserSpec;

/// The rules in force if the user gives none; psilogd.conf(5), BUILT-IN RULES explains
/// each. Windows of 2 s are valid with and without CAP_SYS_RESOURCE, and systemd
/// registers the same, so that neither blinds the other.
pub const BUILT_IN: &str = "\
memory full 10%/2s for=90s clear=3m repeat=1h level=warning name=memory
memory full 40%/2s for=20s clear=3m repeat=1h avail=25% level=crit name=memory-critical
io some 20%/2s for=20s clear=5m repeat=1h stuck=18s level=warning name=io-stuck
io some 20%/2s for=20s clear=5m repeat=1h stuck=3m level=crit name=io-dead
io full 60%/2s for=3h clear=5m repeat=0 level=notice name=io
cpu some 93%/2s for=1h clear=5m repeat=0 busy=93% level=notice name=cpu
";

/// Settings and rules, as a file or the command line gave them.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The settings, which apply to all rules.
    pub settings: Settings,
    /// The rules; none given means the built-in ones (see [`Config::rules_or_built_in`]).
    pub rules: Vec<Rule>,
}

/// The names of rules, each with the rule's number: no two rules may have the same.
#[derive(Default)]
pub struct Names(SortedMap<String, usize>);

impl Names {
    /// Takes the name of one more rule.
    ///
    /// # Errors
    /// The name is taken.
    pub fn add(&mut self, rule: &Rule, number: usize) -> Result<(), ParseError> {
        match self.0.insert(rule.name.clone(), number) {
            None => Ok(()),
            Some(_) => Err(Names::taken(rule)),
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }

    fn take(&mut self, name: &str) -> Option<usize> {
        self.0.remove(name)
    }

    fn taken(rule: &Rule) -> ParseError {
        let help = "two rules have this name: rename one of them with name=";
        ParseError::new(&rule.name, Reason::DuplicateName, help)
    }
}

impl Config {
    /// Adds the built-in rules if there are no others.
    pub fn rules_or_built_in(mut self) -> Config {
        if self.rules.is_empty() {
            // a test holds that they parse
            self.rules = Config::parse(BUILT_IN.as_bytes()).unwrap_or_default().rules;
        }
        self
    }

    /// Pairs of rules of one group (the whole system, or a cgroup) whose windows
    /// differ: with CAP_SYS_RESOURCE the short window blinds the long one, because
    /// the kernel checks the group once per shortest window. Rules that are armed
    /// without the capability, as those with wildcards are, neither blind others nor
    /// are blinded.
    pub fn differing_windows(&self) -> impl Iterator<Item = (&Rule, &Rule)> {
        fn group(rule: &Rule) -> Option<&str> {
            rule.cgroup.as_ref().map(Pattern::text)
        }
        let rules = self.rules.iter().enumerate();
        let mut rules: Vec<_> = rules.filter(|(_, rule)| rule.wants_capability()).collect();
        rules.sort_unstable_by(|(a, one), (b, other)| (group(one), a).cmp(&(group(other), b)));
        let groups = rules.chunk_by(|(_, one), (_, other)| group(one) == group(other));
        let mut differ: Vec<_> = groups
            .filter_map(|rules| {
                let (first, _) = rules.first()?;
                let (_, shortest) = rules.iter().min_by_key(|(_, rule)| rule.window)?;
                let (_, longest) = rules.iter().max_by_key(|(_, rule)| rule.window)?;
                (shortest.window < longest.window).then_some((*first, *shortest, *longest))
            })
            .collect();
        differ.sort_unstable_by_key(|(first, ..)| *first);
        differ.into_iter().map(|(_, short, long)| (short, long))
    }
}

/// Every setting spelled out, then the rules, as [`Config::parse`] reads it back.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)?;
        self.rules.iter().try_for_each(|rule| writeln!(f, "{rule}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_parse() {
        let config = Config::default().rules_or_built_in();
        let names: Vec<_> = config.rules.iter().map(|rule| rule.name.as_str()).collect();
        let expected = [
            "memory",
            "memory-critical",
            "io-stuck",
            "io-dead",
            "io",
            "cpu",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn what_is_printed_reads_back() {
        let text = "facility local3\noutput syslog:/run/x\noutput auto\noutput journal\noutput journal:/run/y\ngrace 5m\npoll 10s\nheartbeat 10m\nrate_limit none\nqueue 16\n\
                    max_line 255\nmax_triggers 64\nuser 1:2\nsandbox off\n\
                    io full 50%/2s level=warning name=io for=2m clear=1m repeat=10m\n";
        let printed = Config::parse(text.as_bytes()).map(|config| config.to_string());
        assert_eq!(printed, Ok(text.into()));
    }

    #[test]
    fn windows_that_differ_in_one_group_are_found() {
        let text = b"io full 10%/2s name=a\nio full 10%/10s name=b\nio full 10%/1s name=c\n\
                     io full 10%/4s name=d cgroup=/x\nio full 20%/4s name=e cgroup=/x\n\
                     io full 10%/1s name=f cgroup=/y\nio full 20%/4s name=g cgroup=/y\n\
                     io full 10%/1s name=h cgroup=/z\nio full 20%/3s name=i cgroup=/z\n";
        let config = Config::parse(text).unwrap_or_default();
        let pairs: Vec<_> = config
            .differing_windows()
            .map(|(short, long)| (short.name.as_str(), long.name.as_str()))
            .collect();
        // g is opened without the capability: no short window blinds it
        assert_eq!(pairs, [("c", "b"), ("h", "i")]);
    }
}
