//! What is told of one rule: readings go into its episode, and what comes of
//! it is numbered, paid from the budget and told, or counted as held back.
//! Pure like the episode itself; reports go to a caller's function.

use std::rc::Rc;

use crate::budget::Budget;
use crate::episode::{Episode, Event, Figures, Phase, Sample};
use crate::pressure::Stall;
use crate::report::{Id, Report, Told};
use crate::rule::{Place, Rule};
use crate::time::Moment;

/// Where reports go.
pub type Out<'a> = &'a mut dyn FnMut(&Report<'_>);

/// Why a reading was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// The trigger fired.
    Crossed,
    /// The slow reading that backs the trigger up.
    Checked,
    /// The episode's own timer.
    Expired,
}

/// What all rules share: the lines that may be told, and the numbers of episodes.
#[derive(Clone, Copy, Debug)]
pub struct Ledger {
    /// The lines.
    pub budget: Budget,
    start: u64,
    number: u64,
}

impl Ledger {
    /// `start` is the daemon's start, in seconds since the epoch.
    pub fn new(budget: Budget, start: u64) -> Ledger {
        Ledger {
            budget,
            start,
            number: 0,
        }
    }

    fn next_id(&mut self) -> Id {
        self.number += 1;
        Id {
            start: self.start,
            number: self.number,
        }
    }

    /// Tells what the budget held back, once that is due or `end` has come.
    pub fn sum_up(&mut self, now: Moment, end: bool, out: Out<'_>) {
        if let Some(held) = self.budget.summary(now, end) {
            out(&Report::Held {
                count: held.count,
                begins: held.begins,
                since: now.since(held.since),
            });
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Open {
    id: Id,
    /// Whether its begin was told; if not, nothing else of it is.
    told: bool,
}

/// A rule, the cgroup if it watches one, and its episode there.
#[derive(Clone, Debug)]
pub struct Account {
    rule: Rc<Rule>,
    cgroup: Option<Box<[u8]>>,
    episode: Episode,
    open: Option<Open>,
    privileged: bool,
}

impl Account {
    /// Of the whole system. Nothing has happened yet; the baseline was read before
    /// the trigger was armed, with CAP_SYS_RESOURCE if `privileged`.
    pub fn new(rule: impl Into<Rc<Rule>>, baseline: Sample, privileged: bool) -> Account {
        let rule = rule.into();
        Account {
            episode: Episode::new(&rule, baseline, privileged),
            rule,
            cgroup: None,
            open: None,
            privileged,
        }
    }

    /// Of the cgroup at this path.
    pub fn of_cgroup(rule: Rc<Rule>, path: &[u8], baseline: Sample, privileged: bool) -> Account {
        Account {
            cgroup: Some(path.into()),
            ..Account::new(rule, baseline, privileged)
        }
    }

    /// The path of the cgroup; None is the whole system.
    pub fn cgroup(&self) -> Option<&[u8]> {
        self.cgroup.as_deref()
    }

    /// Where it is, as a line names it.
    pub fn place(&self) -> Place<'_> {
        self.cgroup().map_or(Place::System, Place::Cgroup)
    }

    /// The rule, to be kept.
    pub fn shared_rule(&self) -> Rc<Rule> {
        Rc::clone(&self.rule)
    }

    /// Whether nothing is open or being verified.
    pub fn is_quiet(&self) -> bool {
        self.phase() == Phase::Quiet
    }

    /// Whether it is of this rule, wherever it looks.
    pub fn is_under(&self, rule: &Rc<Rule>) -> bool {
        Rc::ptr_eq(&self.rule, rule)
    }

    /// Whether it is what this rule has for this place.
    pub fn is_of(&self, rule: &Rc<Rule>, cgroup: Option<&[u8]>) -> bool {
        self.is_under(rule) && self.cgroup() == cgroup
    }

    /// Whether it can go on unchanged under this rule.
    pub fn can_be_of(&self, rule: &Rule) -> bool {
        let covered = match self.cgroup() {
            Some(path) => rule.covers(path),
            None => rule.cgroup.is_none(),
        };
        covered && self.rule.is_same_alarm(rule)
    }

    /// Goes on under a rule that is the same alarm ([`Rule::is_same_alarm`]).
    pub fn set_rule(&mut self, rule: &Rc<Rule>) {
        self.rule = Rc::clone(rule);
    }

    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Where its episode stands.
    pub fn phase(&self) -> Phase {
        self.episode.phase()
    }

    /// When it wants [`Wake::Expired`].
    pub fn deadline(&self) -> Option<Moment> {
        self.episode.deadline()
    }

    /// Whether its trigger is armed with CAP_SYS_RESOURCE; without, any reader of its
    /// file can steal its events.
    pub fn is_privileged(&self) -> bool {
        self.privileged
    }

    /// Starts over with another trigger: see [`Account::new`].
    pub fn rearm(&mut self, baseline: Sample, privileged: bool) {
        self.privileged = privileged;
        self.episode.rearm(baseline, privileged);
    }

    /// Starts over from a new baseline: the grace is over.
    pub fn rebase(&mut self, baseline: Sample) {
        self.episode.rebase(baseline);
    }

    /// Takes a reading and tells what comes of it.
    pub fn take(
        &mut self,
        wake: Wake,
        at: Moment,
        stall: Stall,
        ledger: &mut Ledger,
        out: Out<'_>,
    ) {
        let event = match wake {
            Wake::Crossed => self.episode.crossed(at, stall.total),
            Wake::Checked => self.episode.checked(at, stall.total),
            Wake::Expired => self.episode.expire(at, stall.total),
        };
        match event {
            Some(Event::Begin(figures)) => {
                let id = ledger.next_id();
                self.open = Some(Open { id, told: false });
                self.begin(at, stall, figures, ledger, out);
            }
            Some(Event::Still(figures)) => match self.open {
                Some(Open { id, told: true }) if ledger.budget.line(at, self.rule.level) => {
                    out(&Report::Still(self.told(id, Some(stall), figures)));
                }
                Some(Open { told: true, .. }) => ledger.budget.hold(at, 1, 0),
                _ => self.begin(at, stall, figures, ledger, out),
            },
            Some(Event::End(figures)) => self.end(at, Some(stall), figures, None, ledger, out),
            // A begin that the budget held back is told as soon as there is
            // room, if pressure is still there: no long episode goes unsaid.
            None => match (self.open, self.episode.figures()) {
                (Some(Open { told: false, .. }), Some(figures)) if !self.episode.is_calm() => {
                    self.begin(at, stall, figures, ledger, out);
                }
                _ => {}
            },
        }
    }

    /// Ends what is open because nobody will look any more: `stop`, `reload`,
    /// `gone`. The machine is quiet afterwards. `stall` is None if nothing could be
    /// read any more; then it starts over with the next baseline.
    pub fn close(
        &mut self,
        at: Moment,
        stall: Option<Stall>,
        reason: &'static str,
        ledger: &mut Ledger,
        out: Out<'_>,
    ) {
        if let Some(figures) = self.episode.figures() {
            self.end(at, stall, figures, Some(reason), ledger, out);
        }
        let total = stall.map_or(0, |stall| stall.total);
        self.rebase(Sample { at, total });
    }

    /// Where it stands, for SIGUSR1; `stall` is None where it isn't armed.
    pub fn status(&self, stall: Option<Stall>, out: Out<'_>) {
        out(&Report::Status {
            rule: &self.rule,
            place: self.place(),
            phase: stall.map(|_| self.phase()),
            id: self.open.map(|open| open.id),
            stall,
            figures: self.episode.figures(),
        });
    }

    fn begin(
        &mut self,
        at: Moment,
        stall: Stall,
        figures: Figures,
        ledger: &mut Ledger,
        out: Out<'_>,
    ) {
        let Some(Open { id, .. }) = self.open else {
            return;
        };
        if ledger.budget.begin(at, self.rule.level) {
            self.open = Some(Open { id, told: true });
            out(&Report::Begin(self.told(id, Some(stall), figures)));
        }
    }

    fn end(
        &mut self,
        at: Moment,
        stall: Option<Stall>,
        figures: Figures,
        reason: Option<&'static str>,
        ledger: &mut Ledger,
        out: Out<'_>,
    ) {
        match self.open.take() {
            // paid for with the begin
            Some(Open { id, told: true }) => {
                out(&Report::End(self.told(id, stall, figures), reason));
            }
            Some(Open { told: false, .. }) => ledger.budget.hold(at, 2, 1),
            None => {}
        }
    }

    fn told(&self, id: Id, stall: Option<Stall>, figures: Figures) -> Told<'_> {
        Told {
            rule: &self.rule,
            place: self.place(),
            id,
            stall,
            figures,
            test: false,
            worst: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Micros;

    const START: Moment = Moment(1_000_000_000);

    struct Run {
        account: Account,
        ledger: Ledger,
        now: Moment,
        total: u64,
        told: Vec<String>,
    }

    fn run(rule: &str, budget: Option<u32>) -> Run {
        let rule = Rule::parse(rule.split_whitespace()).expect("a rule");
        Run {
            account: Account::new(
                rule,
                Sample {
                    at: START,
                    total: 0,
                },
                false,
            ),
            ledger: Ledger::new(Budget::new(budget, START), 0xabc),
            now: START,
            total: 0,
            told: Vec::new(),
        }
    }

    impl Run {
        fn wake(&mut self, wake: Wake) {
            let stall = Stall {
                total: self.total,
                ..Stall::default()
            };
            let told = &mut self.told;
            self.account
                .take(wake, self.now, stall, &mut self.ledger, &mut |report| {
                    told.push(text(report));
                });
        }

        /// `windows` of 2 s, `percent` of each stalled.
        fn pass(&mut self, windows: u64, percent: u64) {
            for _ in 0..windows {
                self.now = self.now + Micros::secs(2);
                self.total += 20_000 * percent;
                match self.account.deadline() {
                    Some(_) => self.wake(Wake::Expired),
                    None if percent >= 10 => self.wake(Wake::Crossed),
                    None => {}
                }
            }
        }
    }

    fn text(report: &Report<'_>) -> String {
        match report {
            Report::Begin(told) | Report::Still(told) | Report::End(told, _) => {
                format!("{} {}", report.event(), told.id.number)
            }
            Report::Held { count, begins, .. } => format!("held {count} {begins}"),
            _ => report.event().into(),
        }
    }

    const RULE: &str = "memory full 10%/2s for=0 clear=2s repeat=10s level=crit";

    #[test]
    fn episodes_are_numbered_without_gaps() {
        let mut run = run(RULE, None);
        for _ in 0..3 {
            run.pass(2, 50);
            run.pass(2, 0);
        }
        assert_eq!(
            run.told,
            ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]
        );
    }

    #[test]
    fn what_the_budget_holds_back_is_whole_episodes() {
        let mut run = run(RULE, Some(4));
        for _ in 0..10 {
            run.pass(2, 50);
            run.pass(2, 0);
        }
        assert_eq!(run.told, ["begin 1", "end 1", "begin 2", "end 2"]);
        run.told.clear();
        let now = run.now + Micros::secs(3600);
        let told = &mut run.told;
        run.ledger
            .sum_up(now, false, &mut |report| told.push(text(report)));
        assert_eq!(run.told, ["held 16 8"]);
    }

    #[test]
    fn a_begin_that_was_held_back_is_told_when_there_is_room_and_so_is_its_end() {
        let mut run = run(RULE, Some(4));
        for _ in 0..2 {
            run.pass(2, 50);
            run.pass(2, 0);
        }
        run.told.clear();
        run.pass(3600 / 2, 50);
        assert_eq!(run.told.first().map(String::as_str), Some("begin 3"));
        run.told.clear();
        run.pass(2, 0);
        assert_eq!(run.told, ["end 3"]);
    }

    #[test]
    fn a_begin_that_was_held_back_is_not_told_in_calm() {
        let mut run = run("memory full 10%/2s for=0 clear=2h level=crit", Some(4));
        while run.ledger.budget.begin(run.now, run.account.rule().level) {}
        run.pass(2, 50);
        run.pass(3599, 0);
        assert_eq!(run.told, [""; 0]);
        run.pass(1, 50);
        assert_eq!(run.told, ["begin 1"]);
    }

    #[test]
    fn closing_ends_what_was_told_and_nothing_else() {
        let mut run = run(RULE, None);
        let close = |run: &mut Run| {
            let told = &mut run.told;
            let stall = Some(Stall::default());
            run.account
                .close(run.now, stall, "stop", &mut run.ledger, &mut |report| {
                    told.push(text(report));
                });
        };
        close(&mut run);
        assert_eq!(run.told, [""; 0]);
        run.pass(2, 50);
        close(&mut run);
        close(&mut run);
        assert_eq!(run.told, ["begin 1", "end 1"]);
        assert_eq!(run.account.phase(), Phase::Quiet);
    }
}
