//! SIGHUP: what is unchanged keeps its descriptor and its open episode.

use super::arming::Failures;
use super::{Daemon, close};
use crate::options::{FileError, LoadError};
use crate::report::{EndReason, Report};
use crate::sys;

impl Daemon {
    /// Puts the configuration in force. What is new is armed in the turns that follow, so
    /// that triggers are served meanwhile; then the reload is logged.
    pub(super) fn reload(&mut self) {
        // the one before is over, however far it was
        self.log_reload();
        let loaded = self.source.load().and_then(|loaded| {
            let checked = self.check_reload(&loaded.config);
            checked.map_err(|error| loaded.refuse(error))?;
            Ok(loaded)
        });
        match loaded {
            Ok(loaded) => self.config = loaded.config,
            Err(bad) => {
                self.reject(&bad);
                return self.notify_ready();
            }
        }
        let now = sys::now();
        let settings = &self.config.settings;
        self.sink.set(settings, now);
        let (max, lines) = (settings.max_triggers, settings.rate_limit);
        self.monitors.set_poll(settings.poll);
        self.heartbeat.set(settings.heartbeat, now);
        let changes = self.monitors.set_rules(&self.config.rules, max, lines, now);
        self.monitors.retire(now, EndReason::Reload);
        self.carry_out();
        self.top.set_rules(self.config.rules.iter());
        close(self.monitors.remove_retired());
        self.find_mount();
        self.sources.reopen(now);
        self.reloaded = Some(changes);
        self.look_for_all();
        // at once, where there is little to do
        self.arm_some(&mut Failures::default());
        self.finish_reload();
    }

    /// What belongs to the end of a reload, once everything is armed.
    pub(super) fn finish_reload(&mut self) {
        if self.reloaded.is_none() || self.is_arming() {
            return;
        }
        self.log_window_conflicts();
        self.report_unarmed(true);
        self.log_reload();
        // the start line has said whether that is allowed
        let _ = sys::lock_memory();
        self.notify_ready();
    }

    fn log_reload(&mut self) {
        let Some(changes) = self.reloaded.take() else {
            return;
        };
        self.sink.log(&Report::Reload {
            triggers: self.monitors.len(),
            added: changes.added,
            removed: changes.removed,
            failed: self.monitors.unarmed(),
        });
    }

    /// The old configuration stays in force.
    fn reject(&mut self, bad: &LoadError) {
        if let Some(FileError { file, error }) = bad.0.first() {
            self.sink.log(&Report::ReloadFailed {
                file: file.as_os_str().as_encoded_bytes(),
                line: error.line,
                reason: error.error.reason,
                word: error.error.word.as_bytes(),
            });
        }
    }
}
