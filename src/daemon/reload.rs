//! SIGHUP: what is unchanged keeps its descriptor and its open episode.

use super::*;
use crate::config::Settings;

impl Daemon {
    pub(super) fn reload(&mut self) {
        let config = match self.source.load() {
            Ok(config) => config,
            Err(bad) => {
                if let Some(first) = bad.lines.first() {
                    self.sink.log(&Report::ReloadFailed {
                        file: bad.file.as_os_str().as_encoded_bytes(),
                        line: first.line,
                        reason: first.mistake.reason.token(),
                        word: first.mistake.word.as_bytes(),
                    });
                }
                return;
            }
        };
        let now = sys::now();
        self.set_settings(&config.settings, now);
        let max = config.settings.max_triggers;
        let (mut dropped, added, removed) = self.watches.set_rules(&config.rules, max);
        while let Some(index) = self.watches.surplus() {
            dropped.push(self.watches.list.remove(index));
        }
        for watch in &mut dropped {
            self.close(watch, now, "reload");
        }
        release(dropped);
        self.config = config;
        // the places in the poll array, for what is armed from here on
        self.settle();
        // what can't be armed is logged, and that is all there is to do about it
        self.cover(&mut Vec::new());
        self.settle();
        self.log_windows();
        self.tell_lapses(true);
        self.sink.log(&Report::Reload {
            triggers: self.watches.list.len(),
            added,
            removed,
            failed: self.watches.lost.len(),
        });
        stay_in_memory();
    }

    fn set_settings(&mut self, settings: &Settings, now: Moment) {
        if settings.budget != self.config.settings.budget {
            let sink = &mut self.sink;
            self.ledger
                .sum_up(now, true, &mut |report| sink.log(report));
            self.ledger.budget = Budget::new(settings.budget, now);
        }
        self.sink.set(settings, now);
    }
}
