//! Files that are read one after the other: what a later one changes of the earlier
//! ones, and where each line in force comes from.

use super::file::{ConfigError, check_text};
use super::settings::{Setting, Settings};
use super::{Config, Names};
use crate::rule::{ParseError, Reason, Rule};

/// Errors that are reported at most per file; one is enough to refuse the file.
const ERRORS_MAX: usize = 20;

/// Where a line of the configuration in force comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Neither a file nor the command line has set it.
    Default,
    /// It is one of [`super::BUILT_IN`].
    BuiltIn,
    /// An option or an operand.
    CommandLine,
    /// A file, in the order of reading from 0, and its line, counted from 1.
    File(usize, usize),
}

impl Origin {
    fn is_in(self, number: usize) -> bool {
        matches!(self, Origin::File(file, _) if file == number)
    }
}

/// The files that were read so far.
#[derive(Default)]
pub struct Layers {
    settings: Settings,
    /// The places of the settings that are not the default.
    given: Vec<(Setting, Origin)>,
    /// In the order of their lines; None was switched off.
    rules: Vec<Option<(Rule, Origin)>>,
    names: Names,
    /// Whether the first rule of the first file replaces what is there.
    built_in: bool,
    /// The lines that switch off what is not there.
    idle: Vec<(usize, ConfigError)>,
    /// The last line that switches off a rule.
    last_off: Option<(usize, ConfigError)>,
    file: usize,
    line: usize,
}

/// What was read.
pub struct Layered {
    /// Settings and rules.
    pub config: Config,
    /// The origin of each line of it ([`Config`]'s Display), with the name of its
    /// setting, or `rule`.
    pub origins: Vec<(&'static str, Origin)>,
    /// The lines without an effect, each with the number of its file.
    pub idle: Vec<(usize, ConfigError)>,
    /// The line that has switched off the last rule, if none is left.
    pub no_rule: Option<(usize, ConfigError)>,
}

impl Layers {
    /// The built-in rules, which are in force until the first file has a rule.
    pub fn new() -> Layers {
        let mut layers = Layers {
            built_in: true,
            ..Layers::default()
        };
        for rule in Config::default().rules_or_built_in().rules {
            layers.push(rule, Origin::BuiltIn);
        }
        layers
    }

    /// Reads the text of one file, which is the first of all if `file` is 0.
    ///
    /// # Errors
    /// Everything that is wrong with it, up to 20 lines.
    pub fn read(&mut self, file: usize, text: &[u8]) -> Result<(), Vec<ConfigError>> {
        check_text(text)?;
        self.file = file;
        let mut errors = Vec::new();
        for (index, line) in text.split(|&b| b == b'\n').enumerate() {
            self.line = index + 1;
            if let Err(error) = self.line(line) {
                errors.push(self.error(error));
            }
            if errors.len() == ERRORS_MAX {
                break;
            }
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(errors),
        }
    }

    /// What is in force after all files.
    pub fn finish(self) -> Layered {
        let mut origins = Vec::new();
        for setting in Setting::ALL {
            let before = origins.len();
            let given = self.given.iter().filter(|(other, _)| *other == setting);
            origins.extend(given.map(|(_, origin)| (setting.name(), *origin)));
            if origins.len() == before {
                origins.push((setting.name(), Origin::Default));
            }
        }
        let mut rules = Vec::new();
        for (rule, origin) in self.rules.into_iter().flatten() {
            origins.push(("rule", origin));
            rules.push(rule);
        }
        Layered {
            no_rule: self.last_off.filter(|_| rules.is_empty()),
            config: Config {
                settings: self.settings,
                rules,
            },
            origins,
            idle: self.idle,
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), ParseError> {
        let line = super::file::text(line)?;
        let mut words = line
            .split([' ', '\t'])
            .filter(|word| !word.is_empty())
            .take_while(|word| !word.starts_with('#'))
            .peekable();
        match words.peek().copied() {
            None => Ok(()),
            Some("cpu" | "memory" | "io" | "irq") => {
                let words: Vec<&str> = words.collect();
                let named = words.iter().any(|word| word.starts_with("name="));
                self.rule(Rule::parse(words)?, named)
            }
            Some("rule") => self.switch_off(words.skip(1)),
            Some(word) => match Setting::ALL.iter().find(|setting| setting.name() == word) {
                Some(setting) => self.setting(*setting, words.skip(1)),
                None => {
                    let help = "expected a rule (cpu, memory, io or irq), rule NAME off, or a \
                                setting (facility, output, grace, poll, heartbeat, rate_limit, queue, \
                                max_line, max_triggers, user or sandbox)";
                    Err(ParseError::new(word, Reason::BadWord, help))
                }
            },
        }
    }

    /// A rule that says its name takes the place of an earlier file's. One whose name was
    /// derived would do so by accident.
    fn rule(&mut self, rule: Rule, named: bool) -> Result<(), ParseError> {
        if self.file == 0 && std::mem::take(&mut self.built_in) {
            self.rules.clear();
            self.names = Names::default();
        }
        let here = Origin::File(self.file, self.line);
        let earlier = self.names.find(&rule.name);
        match earlier.and_then(|at| self.rules.get_mut(at)?.as_mut()) {
            None => self.push(rule, here),
            Some((_, origin)) if origin.is_in(self.file) => return Err(Names::taken(&rule)),
            Some(other) if named => *other = (rule, here),
            Some(_) => {
                let help = "an earlier file has a rule of this name: write name= with it to \
                            replace that rule, or with another name to have both";
                return Err(ParseError::new(&rule.name, Reason::DuplicateName, help));
            }
        }
        Ok(())
    }

    fn push(&mut self, rule: Rule, origin: Origin) {
        // the name was looked up before, or is a built-in rule's
        let _ = self.names.add(&rule, self.rules.len());
        self.rules.push(Some((rule, origin)));
    }

    /// `rule NAME off`.
    fn switch_off<'a>(
        &mut self,
        mut words: impl Iterator<Item = &'a str>,
    ) -> Result<(), ParseError> {
        let help = "expected rule NAME off, e.g. rule cpu off";
        let bad = |word, reason| Err(ParseError::new(word, reason, help));
        let name = match (words.next(), words.next(), words.next()) {
            (Some(name), Some("off"), None) => name,
            (_, _, Some(word)) => return bad(word, Reason::BadCount),
            (_, Some(word), _) => return bad(word, Reason::BadValue),
            _ => return bad("", Reason::BadCount),
        };
        let line = |layers: &Self, reason, help: &str| {
            (
                layers.file,
                layers.error(ParseError::new(name, reason, help)),
            )
        };
        let rule = self.names.take(name);
        match rule.and_then(|at| self.rules.get_mut(at)) {
            Some(rule) => *rule = None,
            None => {
                let idle = line(self, Reason::BadValue, "no earlier rule has this name");
                self.idle.push(idle);
            }
        }
        let help = "no rule is left: leave one in force, or add one";
        self.last_off = Some(line(self, Reason::NoRule, help));
        Ok(())
    }

    fn setting<'a>(
        &mut self,
        setting: Setting,
        mut words: impl Iterator<Item = &'a str>,
    ) -> Result<(), ParseError> {
        let (name, help) = (setting.name(), setting.help());
        let Some(value) = words.next() else {
            let help = format!("the value of {name} is missing: {help}");
            return Err(ParseError::new("", Reason::BadCount, help));
        };
        if let Some(word) = words.next() {
            let help = format!("{name} takes one value: {help}");
            return Err(ParseError::new(word, Reason::BadCount, help));
        }
        let mut given = self.given.iter();
        let first = !given.any(|(other, origin)| *other == setting && origin.is_in(self.file));
        if !first && setting != Setting::OutputSpec {
            let help = format!("{name} is set more than once");
            return Err(ParseError::new(value, Reason::BadCount, help));
        }
        self.settings.set(setting, value, first)?;
        if first {
            // an earlier file's; of outputs, all of them
            self.given.retain(|(other, _)| *other != setting);
        }
        self.given
            .push((setting, Origin::File(self.file, self.line)));
        Ok(())
    }

    /// An error in the line that is read.
    fn error(&self, error: ParseError) -> ConfigError {
        ConfigError {
            line: self.line,
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the files make of the built-in rules: the lines in force with their origins,
    /// or the errors with the number of the file.
    fn layered(files: &[&str]) -> Result<Layered, Vec<(usize, usize, Reason)>> {
        let mut layers = Layers::new();
        let mut errors = Vec::new();
        for (number, text) in files.iter().enumerate() {
            let lines = layers.read(number, text.as_bytes()).err();
            let lines = lines.unwrap_or_default().into_iter();
            errors.extend(lines.map(|bad| (number, bad.line, bad.error.reason)));
        }
        match errors.is_empty() {
            true => Ok(layers.finish()),
            false => Err(errors),
        }
    }

    fn names(files: &[&str]) -> Vec<(String, Origin)> {
        let layered = layered(files).unwrap();
        let origins = layered.origins.into_iter();
        let origins = origins.filter(|(key, _)| *key == "rule");
        let rules = layered.config.rules.into_iter();
        rules
            .map(|rule| rule.name)
            .zip(origins.map(|(_, origin)| origin))
            .collect()
    }

    fn place(name: &str, file: usize, line: usize) -> (String, Origin) {
        (name.into(), Origin::File(file, line))
    }

    #[test]
    fn the_first_file_replaces_the_built_in_rules_and_a_later_one_adds_to_them() {
        let built_in: Vec<_> = names(&["grace 1m\n"]);
        assert_eq!(built_in.len(), 6);
        assert!(
            built_in
                .iter()
                .all(|(_, origin)| *origin == Origin::BuiltIn)
        );
        let added = names(&["# none\n", "\nio full 1%/2s\n"]);
        assert_eq!(added[..6], built_in);
        assert_eq!(added[6..], [place("io-full", 1, 2)]);
        let replaced = names(&["io full 1%/2s\n", "io some 1%/2s\n"]);
        assert_eq!(replaced, [place("io-full", 0, 1), place("io-some", 1, 1)]);
    }

    #[test]
    fn only_a_name_that_is_written_replaces_an_earlier_rule() {
        let replaced = names(&[
            "io full 1%/2s\nio some 1%/2s\n",
            "io full 2%/2s name=io-full\ncpu some 1%/2s\n",
            "cpu some 2%/2s name=cpu-some\n",
        ]);
        let expected = [
            place("io-full", 1, 1),
            place("io-some", 0, 2),
            place("cpu-some", 2, 1),
        ];
        assert_eq!(replaced, expected);
        let twice = "io full 1%/2s name=a\n\nio some 1%/2s name=a\n";
        for (files, at) in [
            // derived, by one or both
            (["io full 1%/2s\n", "io full 2%/2s\n"], (1, 1)),
            (["io some 1%/2s name=io-full\n", "io full 2%/2s\n"], (1, 1)),
            // within one file
            (["", twice], (1, 3)),
            ([twice, ""], (0, 3)),
        ] {
            let (file, line) = at;
            let errors = vec![(file, line, Reason::DuplicateName)];
            assert_eq!(layered(&files).err(), Some(errors), "{files:?}");
        }
    }

    #[test]
    fn a_rule_is_switched_off_by_its_name() {
        let names = |files: &[&str]| -> Vec<String> {
            names(files).into_iter().map(|(name, _)| name).collect()
        };
        let some = ["io-stuck", "io-dead", "io"];
        let off = "rule memory off # quiet\nrule\tmemory-critical off\nrule cpu off\n";
        assert_eq!(names(&["", off]), some);
        assert_eq!(names(&[off]), some);
        // and back again, in a place of its own
        let back = names(&["", off, "cpu some 1%/2s name=cpu\n"]);
        assert_eq!(back, ["io-stuck", "io-dead", "io", "cpu"]);
        assert_eq!(names(&["rule cpu off\nio full 1%/2s\n"]), ["io-full"]);
        for (line, reason) in [
            ("rule", Reason::BadCount),
            ("rule cpu", Reason::BadCount),
            ("rule cpu on", Reason::BadValue),
            ("rule cpu off now", Reason::BadCount),
        ] {
            let errors = vec![(1, 1, reason)];
            assert_eq!(layered(&["", line]).err(), Some(errors), "{line}");
        }
    }

    #[test]
    fn what_switches_off_nothing_or_everything_is_noticed() {
        let off = layered(&["", "rule cpu off\n", "grace 1m\nrule cpu off\n"]).unwrap();
        let idle = off.idle.iter();
        let idle: Vec<_> = idle
            .map(|(file, bad)| (*file, bad.line, bad.error.word.as_str()))
            .collect();
        assert_eq!(idle, [(2, 2, "cpu")]);
        assert_eq!(off.no_rule, None);
        let off = layered(&["io full 1%/2s\n", "\nrule io-full off\n"]).unwrap();
        let last = off
            .no_rule
            .map(|(file, bad)| (file, bad.line, bad.error.reason));
        assert_eq!(last, Some((1, 2, Reason::NoRule)));
        let back = layered(&["io full 1%/2s\n", "rule io-full off\n", "io some 1%/2s\n"]);
        assert_eq!(back.unwrap().no_rule, None);
    }

    #[test]
    fn a_setting_of_a_later_file_counts_and_its_outputs_replace_all_others() {
        let files = [
            "grace 1m\noutput kmsg\noutput stdout\nqueue 16\n",
            "output stderr\ngrace 3m\n",
            "\noutput stdout\noutput syslog\n",
            "poll 5s\n",
        ];
        let layered = layered(&files).unwrap();
        let lines = layered.config.to_string();
        let lines = lines.lines().zip(&layered.origins);
        let given: Vec<_> = lines
            .filter_map(|(line, (key, origin))| match origin {
                Origin::File(file, number) => {
                    assert!(line.starts_with(key), "{line}");
                    Some((line, *file, *number))
                }
                _ => None,
            })
            .collect();
        let expected = [
            ("output stdout", 2, 2),
            ("output syslog", 2, 3),
            ("grace 3m", 1, 2),
            ("poll 5s", 3, 1),
            ("queue 16", 0, 4),
        ];
        assert_eq!(given, expected);
    }

    #[test]
    fn every_line_in_force_has_an_origin() {
        let layered = layered(&[""]).unwrap();
        let lines = layered.config.to_string();
        let words: Vec<_> = lines.lines().map(|line| line.split(' ').next()).collect();
        let keys: Vec<_> = layered.origins.iter().map(|(key, _)| Some(*key)).collect();
        let settings = Setting::ALL.len();
        assert_eq!(words[..settings], keys[..settings]);
        assert_eq!(words.len(), keys.len());
    }
}
