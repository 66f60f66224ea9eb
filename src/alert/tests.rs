use super::*;
use crate::time::Micros;

const START: Moment = Moment(1_000_000_000);

struct Run {
    alert: Alert,
    limit: RateLimit,
    ids: Ids,
    now: Moment,
    total: u64,
    logged: Vec<String>,
}

fn run(rule: &str, lines_per_hour: Option<u32>) -> Run {
    let rule = Rule::parse(rule.split_whitespace()).expect("a rule");
    let baseline = Sample {
        at: START,
        total: 0,
    };
    Run {
        alert: Alert::new(rule.into(), None, baseline, false),
        limit: RateLimit::new(lines_per_hour, START),
        ids: Ids::new(0xabc),
        now: START,
        total: 0,
        logged: Vec::new(),
    }
}

impl Run {
    fn wake(&mut self, wake: Wake) {
        let averages = Averages {
            total: self.total,
            ..Averages::default()
        };
        let report = self
            .alert
            .take(wake, self.now, averages, &mut self.limit, &mut self.ids);
        self.logged.extend(report.map(text));
    }

    fn close(&mut self) {
        let averages = Some(Averages::default());
        let report = self
            .alert
            .close(self.now, averages, EndReason::Stop, &mut self.limit);
        self.logged.extend(report.map(text));
    }

    /// `windows` of 2 s, `percent` of each stalled.
    fn pass(&mut self, windows: u64, percent: u64) {
        for _ in 0..windows {
            self.now = self.now + Micros::secs(2);
            self.total += 20_000 * percent;
            match self.alert.deadline() {
                Some(_) => self.wake(Wake::Expired),
                None if percent >= 10 => self.wake(Wake::Crossed),
                None => {}
            }
        }
    }

    fn take_logged(&mut self) -> Vec<String> {
        std::mem::take(&mut self.logged)
    }
}

fn text(report: Report<'_>) -> String {
    let event = report.heading().event;
    match report {
        Report::Begin(episode) | Report::Still(episode) | Report::End(episode, _) => {
            format!("{event} {}", episode.id.number)
        }
        _ => event.into(),
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
        run.logged,
        ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]
    );
}

#[test]
fn what_the_rate_limit_suppresses_is_whole_episodes() {
    let mut run = run(RULE, Some(4));
    for _ in 0..10 {
        run.pass(2, 50);
        run.pass(2, 0);
    }
    assert_eq!(run.logged, ["begin 1", "end 1", "begin 2", "end 2"]);
    let suppressed = run.limit.last_summary().map(|sum| (sum.count, sum.begins));
    assert_eq!(suppressed, Some((16, 8)));
}

#[test]
fn a_suppressed_begin_is_logged_when_there_is_room_and_so_is_its_end() {
    let mut run = run(RULE, Some(4));
    for _ in 0..2 {
        run.pass(2, 50);
        run.pass(2, 0);
    }
    run.take_logged();
    run.pass(3600 / 2, 50);
    let logged = run.take_logged();
    assert_eq!(logged.first().map(String::as_str), Some("begin 3"));
    run.pass(2, 0);
    assert_eq!(run.logged, ["end 3"]);
}

#[test]
fn a_suppressed_begin_is_not_logged_in_calm() {
    let mut run = run("memory full 10%/2s for=0 clear=2h level=crit", Some(4));
    while run.limit.begin(run.now) {}
    run.pass(2, 50);
    run.pass(3599, 0);
    assert_eq!(run.logged, [""; 0]);
    run.pass(1, 50);
    assert_eq!(run.logged, ["begin 1"]);
}

#[test]
fn a_suppressed_still_line_is_counted() {
    let mut run = run(RULE, Some(2));
    run.pass(20, 50);
    assert_eq!(run.logged, ["begin 1"]);
    let suppressed = run
        .limit
        .last_summary()
        .map(|sum| (sum.count > 0, sum.begins));
    assert_eq!(suppressed, Some((true, 0)));
}

#[test]
fn closing_ends_what_was_logged_and_nothing_else() {
    let mut run = run(RULE, None);
    run.close();
    assert_eq!(run.logged, [""; 0]);
    run.pass(2, 50);
    run.close();
    run.close();
    assert_eq!(run.logged, ["begin 1", "end 1"]);
    assert_eq!(run.alert.phase(), Phase::Quiet);
}
