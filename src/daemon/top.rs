//! The most-stalled cgroup of lines about the whole system. Asked for while an alarm is
//! verified or open, after its lines, and named on the lines that follow: no line ever
//! waits for it. Where the search hangs or has ended, lines go without.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::alert::Alert;
use crate::cgroup::{Answer, Question, Search};
use crate::pressure::{Kind, Percent, Resource};
use crate::report::{EpisodeReport, Report, Top};
use crate::rule::{Rule, Scope};
use crate::sys::{self, Child, Slot};
use crate::time::{Micros, Moment};

/// Windows after which it is searched again while pressure lasts.
const AGAIN: u64 = 10;
/// Windows for which a begin or a still names what was found.
const FRESH: u64 = 30;
/// A question that waited longer for another one's answer is not asked any more.
const LATE: Micros = Micros::secs(1);

/// What is known of the most-stalled cgroup.
pub(super) struct TopSearch {
    mount: Option<PathBuf>,
    search: Option<Search>,
    /// The process, until its end was noticed: there is never a second one.
    child: Option<Child>,
    /// Whether it is to be started again when it has ended, as cgroups are elsewhere.
    moved: bool,
    /// Whether one was started that shares this process's memory.
    forked: bool,
    /// One question at a time.
    asked: Option<Asked>,
    /// Room for its answer.
    newest: Answer,
    /// Of the resources and kinds of the rules for the whole system.
    subjects: Vec<Subject>,
}

/// A question without an answer yet.
struct Asked {
    /// None if no subject wants to know any more.
    subject: Option<usize>,
    at: Moment,
}

/// A resource and kind, and what is stalled most of it.
struct Subject {
    resource: Resource,
    kind: Kind,
    /// When it is to be asked next, and by which avg10 of the system.
    wanted: Option<(Moment, Percent)>,
    /// When it was asked last.
    asked: Option<Moment>,
    /// When the question was asked that `answer` belongs to; None before it has come,
    /// and where it is of pressure that is over.
    answered: Option<Moment>,
    answer: Answer,
}

impl TopSearch {
    /// Nothing yet. `mount` is where the cgroups are.
    pub(super) fn new(mount: Option<&Path>) -> TopSearch {
        TopSearch {
            mount: mount.map(Into::into),
            search: None,
            child: None,
            moved: false,
            forked: false,
            asked: None,
            newest: Answer::default(),
            subjects: Vec::new(),
        }
    }

    /// Puts rules in force: starts the process where one of them watches the whole
    /// system and none runs, ends it where none does. A search that hangs goes on until
    /// it no longer does.
    pub(super) fn set_rules<'a>(&mut self, rules: impl Iterator<Item = &'a Rule>) {
        self.subjects.clear();
        for rule in rules.filter(|rule| rule.cgroup.is_none()) {
            let (resource, kind) = (rule.resource, rule.kind);
            if self.find(resource, kind).is_none() {
                self.subjects.push(Subject::new(resource, kind));
            }
        }
        if let Some(asked) = &mut self.asked {
            asked.subject = None;
        }
        self.reap();
        match self.subjects.is_empty() {
            true => self.close(),
            false => self.start(),
        }
    }

    /// Cgroups are elsewhere now.
    pub(super) fn set_mount(&mut self, mount: Option<&Path>) {
        self.mount = mount.map(Into::into);
        self.close();
        self.moved = self.child.is_some();
        if !self.subjects.is_empty() {
            self.start();
        }
    }

    fn start(&mut self) {
        if let (Some(mount), None) = (&self.mount, &self.child) {
            // where no process can be created, no cgroup is named
            if let Ok((search, child)) = Search::start(mount) {
                (self.search, self.child) = (Some(search), Some(child));
                self.forked = true;
            }
        }
    }

    /// Takes its memory back from a process that was just started: no event is to wait
    /// for a page.
    pub(super) fn own_memory(&mut self) {
        if std::mem::take(&mut self.forked) {
            // without /proc a page is copied when it is written
            let _ = sys::own_memory();
        }
    }

    /// The slot of the poll array.
    pub(super) fn slot(&self) -> Slot {
        let search = self.search.as_ref();
        search.map_or(Slot::IDLE, |search| Slot::new(search.as_fd(), libc::POLLIN))
    }

    /// After SIGCHLD: the process may have ended.
    pub(super) fn reap(&mut self) {
        if self.child.as_ref().is_some_and(Child::is_over) {
            self.child = None;
            self.close();
            if std::mem::take(&mut self.moved) && !self.subjects.is_empty() {
                self.start();
            }
        }
    }

    fn close(&mut self) {
        (self.search, self.asked) = (None, None);
    }

    /// A reading of an alert, which had been quiet or not before it.
    pub(super) fn note(&mut self, alert: &Alert, was_quiet: bool, at: Moment, avg10: Percent) {
        if alert.cgroup().is_some() || alert.is_quiet() || alert.is_lulled() {
            return;
        }
        let rule = alert.rule();
        if let Some(index) = self.find(rule.resource, rule.kind) {
            self.subjects[index].note(rule.window, was_quiet, at, avg10);
        }
    }

    /// Asks what is wanted, unless an answer is waited for.
    pub(super) fn ask(&mut self, at: Moment) {
        let (Some(search), None) = (&self.search, &self.asked) else {
            return;
        };
        let mut subjects = self.subjects.iter_mut().enumerate();
        let wanted = subjects.find_map(|(index, subject)| Some((index, subject.question(at)?)));
        let Some((index, question)) = wanted else {
            return;
        };
        match search.ask(question) {
            Ok(()) => {
                let subject = Some(index);
                self.asked = Some(Asked { subject, at });
            }
            Err(_) => self.close(),
        }
    }

    /// Takes an answer, after poll(2) has seen one or the end of the process. Whether
    /// a search is over that may have taken events from triggers of cgroups.
    pub(super) fn take(&mut self) -> bool {
        let taken = self
            .search
            .as_ref()
            .map(|search| search.take(&mut self.newest));
        match taken {
            None | Some(Ok(false)) => return false,
            Some(Ok(true)) => {}
            Some(Err(_)) => {
                let asked = self.asked.is_some();
                self.close();
                return asked;
            }
        }
        let Some(Asked { subject, at }) = self.asked.take() else {
            return false;
        };
        let subject = subject.and_then(|index| self.subjects.get_mut(index));
        subject.is_some_and(|subject| {
            std::mem::swap(&mut subject.answer, &mut self.newest);
            subject.answered = Some(at);
            true
        })
    }

    /// Asks once for no subject, so that the code that asks is in memory.
    pub(super) fn rehearse(&mut self, at: Moment) {
        let (Some(search), Some(subject)) = (&self.search, self.subjects.first()) else {
            return;
        };
        let question = subject.about(Percent(0));
        if search.ask(question).is_ok() {
            self.asked = Some(Asked { subject: None, at });
        }
    }

    /// The report with the most-stalled cgroup, if that is known.
    pub(super) fn name<'a>(&'a self, report: Report<'a>, at: Moment) -> Report<'a> {
        match report {
            Report::Begin(episode) => Report::Begin(self.with_top(episode, Some(at))),
            Report::Still(episode) => Report::Still(self.with_top(episode, Some(at))),
            Report::End(episode, reason) => Report::End(self.with_top(episode, None), reason),
            other => other,
        }
    }

    /// `at` where the line is about pressure that is there now.
    fn with_top<'a>(&'a self, episode: EpisodeReport<'a>, at: Option<Moment>) -> EpisodeReport<'a> {
        let rule = episode.rule;
        let index = match episode.scope {
            Scope::System => self.find(rule.resource, rule.kind),
            _ => None,
        };
        let top = index.and_then(|index| {
            let subject = &self.subjects[index];
            let asked = subject.answered?;
            // asked for another rule, up to a window before
            let lasted = episode.figures.duration + rule.window;
            let oldest = lasted.min(Micros(rule.window.0 * FRESH));
            let fresh = at.is_none_or(|at| at.since(asked) <= oldest);
            let (path, avg10) = subject.answer.found().filter(|_| fresh)?;
            Some(Top { path, avg10 })
        });
        EpisodeReport { top, ..episode }
    }

    fn find(&self, resource: Resource, kind: Kind) -> Option<usize> {
        let is = |subject: &Subject| subject.resource == resource && subject.kind == kind;
        self.subjects.iter().position(is)
    }
}

impl Subject {
    fn new(resource: Resource, kind: Kind) -> Subject {
        Subject {
            resource,
            kind,
            wanted: None,
            asked: None,
            answered: None,
            answer: Answer::default(),
        }
    }

    /// A reading of pressure, which begins with it if `begins`: then what was found
    /// before is of other pressure.
    fn note(&mut self, window: Micros, begins: bool, at: Moment, whole: Percent) {
        let windows = if begins { 1 } else { AGAIN };
        let old = |asked: Moment| at.since(asked) >= Micros(window.0 * windows);
        if self.asked.is_none_or(old) {
            self.wanted = Some((at, whole));
            if begins {
                self.answered = None;
            }
        }
    }

    /// What is wanted and not too old.
    fn question(&mut self, at: Moment) -> Option<Question> {
        let (since, whole) = self.wanted.take()?;
        if at.since(since) > LATE {
            return None;
        }
        self.asked = Some(at);
        Some(self.about(whole))
    }

    fn about(&self, whole: Percent) -> Question {
        let (resource, kind) = (self.resource, self.kind);
        Question {
            resource,
            kind,
            whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::Figures;
    use crate::pressure::Averages;
    use crate::report::{EndReason, Findings, Id};

    const START: Moment = Moment(1_000_000_000);
    const WINDOW: Micros = Micros::secs(2);

    fn after(windows: u64) -> Moment {
        START + Micros(WINDOW.0 * windows)
    }

    /// A reading at this window, and whether it is asked then.
    fn asks(subject: &mut Subject, begins: bool, windows: u64) -> bool {
        let at = after(windows);
        subject.note(WINDOW, begins, at, Percent(5_000));
        subject.question(at).is_some()
    }

    #[test]
    fn it_is_asked_as_pressure_begins_and_again_while_it_lasts() {
        let mut subject = Subject::new(Resource::Io, Kind::Full);
        assert!(asks(&mut subject, true, 0));
        let asked: Vec<u64> = (1..=25).filter(|n| asks(&mut subject, false, *n)).collect();
        assert_eq!(asked, [10, 20]);
        // pressure of another rule, a window after the last question and at once
        assert!(asks(&mut subject, true, 21));
        assert!(!asks(&mut subject, true, 21));
    }

    #[test]
    fn a_question_that_has_waited_is_dropped() {
        let mut subject = Subject::new(Resource::Io, Kind::Full);
        subject.note(WINDOW, true, START, Percent(5_000));
        assert!(subject.question(START + LATE + Micros(1)).is_none());
        assert!(asks(&mut subject, false, 1));
        assert_eq!(subject.question(after(1)), None);
    }

    /// What is known after an answer that was asked for at `after(0)`.
    fn answered(rule: &Rule) -> TopSearch {
        let mut top = TopSearch::new(None);
        top.set_rules([rule].into_iter());
        top.subjects[0].answer = Answer::of(b"/a", Percent(100));
        top.subjects[0].answered = Some(START);
        top
    }

    fn episode(rule: &Rule, windows: u64) -> EpisodeReport<'_> {
        EpisodeReport {
            rule,
            scope: rule.scope(),
            id: Id {
                start: 1,
                number: 1,
            },
            averages: Some(Averages::default()),
            figures: Figures {
                duration: Micros(WINDOW.0 * windows),
                stalled: Micros::ZERO,
                hits: 1,
                worst: Percent(5_000),
            },
            findings: Findings::None,
            relapse: None,
            drill: false,
            top: None,
        }
    }

    fn named(top: &TopSearch, report: Report<'_>, windows: u64) -> bool {
        match top.name(report, after(windows)) {
            Report::Begin(episode) | Report::Still(episode) | Report::End(episode, _) => {
                episode.top.is_some_and(|top| top.path == b"/a")
            }
            _ => false,
        }
    }

    #[test]
    fn a_begin_names_what_was_found_since_pressure_began() {
        let rule = Rule::parse("io full 50%/2s for=0".split(' ')).unwrap();
        let top = answered(&rule);
        let begins = |lasted, now| named(&top, Report::Begin(episode(&rule, lasted)), now);
        assert!(begins(5, 5) && begins(5, 6) && !begins(5, 7));
        // an old answer, however long pressure has lasted
        assert!(begins(100, 30) && !begins(100, 31));
        let stills = |lasted, now| named(&top, Report::Still(episode(&rule, lasted)), now);
        assert!(stills(100, 30) && !stills(100, 31));
        // the end names what was stalled while pressure lasted
        let end = |reason| Report::End(episode(&rule, 5), reason);
        assert!(named(&top, end(None), 60) && named(&top, end(Some(EndReason::Stop)), 60));
    }

    #[test]
    fn other_pressure_is_another_answer() {
        let rule = Rule::parse("io full 50%/2s for=0".split(' ')).unwrap();
        let mut top = answered(&rule);
        for text in [
            "io some 50%/2s",
            "memory full 50%/2s",
            "io full 50%/2s cgroup=/b",
        ] {
            let other = Rule::parse(text.split(' ')).unwrap();
            let begin = Report::Begin(episode(&other, 5));
            assert!(!named(&top, begin, 1), "{text}");
        }
        // pressure that begins anew forgets what was found
        assert!(asks(&mut top.subjects[0], true, 2));
        assert!(!named(&top, Report::End(episode(&rule, 5), None), 3));
    }
}
