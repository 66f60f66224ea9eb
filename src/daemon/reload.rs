//! SIGHUP: what is unchanged keeps its descriptor and its open episode.

use super::{Daemon, close};
use crate::config::ConfigError;
use crate::options::LoadError;
use crate::report::Report;
use crate::sys;

impl Daemon {
    pub(super) fn reload(&mut self) {
        let checked = self.source.load().and_then(|config| {
            let bad = |error| self.source.error(ConfigError { line: 0, error });
            self.check_reload(&config).map_err(bad)?;
            Ok(config)
        });
        match checked {
            Ok(config) => self.config = config,
            Err(bad) => return self.reject(&bad),
        }
        let now = sys::now();
        let settings = &self.config.settings;
        self.sink.set(settings, now);
        let (max, lines) = (settings.max_triggers, settings.rate_limit);
        let changes = self.monitors.set_rules(&self.config.rules, max, lines, now);
        self.monitors.retire(now);
        self.carry_out();
        self.top.set_rules(self.config.rules.iter());
        close(self.monitors.remove_retired());
        // what can't be armed is logged, and that is all there is to do about it
        self.arm_missing(&mut Vec::new());
        self.log_window_conflicts();
        self.report_unarmed(true);
        self.sink.log(&Report::Reload {
            triggers: self.monitors.len(),
            added: changes.added,
            removed: changes.removed,
            failed: self.monitors.unarmed(),
        });
        // may be refused
        let _ = sys::lock_memory();
    }

    /// The old configuration stays in force.
    fn reject(&mut self, bad: &LoadError) {
        if let Some(first) = bad.lines.first() {
            self.sink.log(&Report::ReloadFailed {
                file: bad.file.as_os_str().as_encoded_bytes(),
                line: first.line,
                reason: first.error.reason.token(),
                word: first.error.word.as_bytes(),
            });
        }
    }
}
