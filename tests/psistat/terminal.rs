//! On a terminal, which tmux(1) is here: colours, widths, sizes, and how it is
//! left.

use std::cell::Cell;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;

use super::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("terminal::lines_fit_80_and_200_columns", widths),
        trial("terminal::colours_and_how_to_have_none", colours),
        trial("terminal::a_page_at_a_time_and_the_terminal_back", pages),
        trial("terminal::a_new_size_is_honoured", resized),
        trial("terminal::stopped_and_continued", stopped),
        trial("terminal::q_quits_and_the_modes_are_back", quits),
        trial(
            "terminal::every_signal_leaves_the_modes_as_found",
            signalled,
        ),
        trial("terminal::no_keys_where_standard_input_is_none", no_keys),
        trial("terminal::narrow_screens_fold_nothing", narrow),
        trial("terminal::columns_without_figures_are_hidden", hidden),
        trial("terminal::idle_cgroups_are_left_out", idle),
        trial("terminal::a_graph_is_drawn_and_the_terminal_back", graph),
        trial("terminal::a_graph_without_blocks_is_ascii", graph_ascii),
        trial("terminal::a_graph_needs_a_terminal", graph_nowhere),
    ]
}

/// A terminal of its own server, gone with it.
struct Terminal {
    socket: String,
    shown: Cell<u32>,
}

impl Terminal {
    fn new(name: &str, columns: u32, lines: u32) -> Terminal {
        let terminal = Terminal {
            socket: format!("psistat-{}-{name}", std::process::id()),
            shown: Cell::new(0),
        };
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let shell = "exec env -u NO_COLOR LC_ALL=C PS1='$ ' HISTFILE= bash --norc --noprofile";
        let size = ["-x", &columns, "-y", &lines];
        let mut args = vec!["-f", "/dev/null", "new-session", "-d"];
        args.extend(size);
        args.push(shell);
        terminal.tmux(&args);
        terminal.see("a prompt", |text| text.contains('$'));
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-u", "-L", &self.socket])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("tmux runs");
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn enter(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    /// What a command leaves on an empty screen, and one line more.
    fn show(&self, line: &str) -> String {
        self.shown.set(self.shown.get() + 1);
        let end = format!("ended {}", self.shown.get());
        // the command line itself is cleared away, and doesn't hold the word
        self.enter(&format!("clear; {line}; echo end''ed {}", self.shown.get()));
        // the shell's prompt comes a moment behind it
        let over = |text: &str| text.trim_end().ends_with(&format!("{end}\n$"));
        self.see("its end and a prompt", over)
    }

    fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// With its colours, as escape sequences.
    fn coloured(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Whether the alternate screen is on, and the cursor is seen.
    fn state(&self) -> String {
        self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"])
    }

    fn see(&self, what: &str, mut right: impl FnMut(&str) -> bool) -> String {
        until(what, || Some(self.text()).filter(|text| right(text)))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux")
            .args(["-L", &self.socket, "kill-server"])
            .status();
    }
}

/// Seven cgroups that have stalled ever since boot, however long that is; by their
/// counters, they have stalled no more since.
struct Tree(Scratch);

impl Tree {
    fn new() -> Tree {
        let tree = Tree(Scratch::new());
        for name in [
            "system.slice",
            "system.slice/a-service-with-a-name-that-is-long.service",
            "system.slice/cron.service",
            "system.slice/db-a\\x2db.service",
            "user.slice",
            "user.slice/a b",
            "user.slice/off",
        ] {
            tree.set(name, u64::MAX / 2);
        }
        tree
    }

    /// Of every file but that of interrupts; each is replaced at once.
    fn set(&self, name: &str, total: u64) {
        let cgroup = self.0.0.join(name);
        std::fs::create_dir_all(&cgroup).expect("a directory");
        let line = |kind| format!("{kind} avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n");
        let text = line("some") + &line("full");
        for file in ["cpu.pressure", "io.pressure", "memory.pressure"] {
            std::fs::write(cgroup.join("new"), &text).expect("a file");
            std::fs::rename(cgroup.join("new"), cgroup.join(file)).expect("a file");
        }
    }

    fn path(&self) -> String {
        self.0.0.display().to_string()
    }
}

fn lacking() -> Option<String> {
    missing(&["tmux", "bash"])
}

fn widths() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let tree = Tree::new();
    let (pressure, cgroups) = (fixture("all/2"), tree.path());
    for (columns, wide) in [(80, false), (200, true)] {
        let terminal = Terminal::new(&format!("w{columns}"), columns, 50);
        let text = terminal.show(&format!("{PSISTAT} -a -P {pressure}"));
        // beside where there is room, else below
        let one_line = text.lines().any(|line| line.matches("avg300").count() == 6);
        assert_eq!(one_line, wide, "{text}");
        assert_eq!(text.contains("memory some"), !wide, "{text}");

        let one = "-g /system.slice/cron.service -t";
        let text = terminal.show(&format!("{PSISTAT} {one} -C {cgroups}"));
        let row = text.lines().nth(2).unwrap_or_default();
        assert!(row.starts_with("20"), "{text}");
        assert!(row.ends_with(".service"), "{text}");
        assert_eq!(row.contains(" sy.../"), !wide, "{text}");

        let all = "-g '**' -t";
        let text = terminal.show(&format!("{PSISTAT} {all} -C {cgroups}"));
        // no line is folded: the time, two of the head, seven cgroups, and ours
        assert!(text.starts_with("20"), "{text}");
        assert_eq!(text.trim_end().lines().count(), 3 + 7 + 2, "{text}");
        let full = |line: &str| line.contains("...") && line.len() == 80;
        assert_eq!(text.lines().any(full), !wide, "{text}");
    }
    DONE
}

/// The backgrounds.
const YELLOW: &str = "43m";
const RED: &str = "41m";

fn colours() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let pressure = fixture("all/2");
    let terminal = Terminal::new("colours", 80, 24);
    for (line, yellow, red) in [
        // avg10: cpu 12.85, memory 45.12 and 40.01
        (format!("{PSISTAT} -P {pressure} -a"), true, false),
        (format!("{PSISTAT} -P {pressure} -a -c 1,40"), true, true),
        (format!("{PSISTAT} -P {pressure} -a -c 60,70"), false, false),
        (
            format!("{PSISTAT} -P {pressure} -a -c 1,40 -m"),
            false,
            false,
        ),
        (
            format!("NO_COLOR=1 {PSISTAT} -P {pressure} -a -c 1,40"),
            false,
            false,
        ),
        (
            format!("NO_COLOR= {PSISTAT} -P {pressure} -a -c 1,40"),
            true,
            true,
        ),
        (
            format!("TERM=dumb {PSISTAT} -P {pressure} -a -c 1,40"),
            false,
            false,
        ),
        (
            format!("{PSISTAT} -P {pressure} -a -c 1,40 | cat"),
            false,
            false,
        ),
    ] {
        terminal.show(&line);
        let text = terminal.coloured();
        assert_eq!(
            (text.contains(YELLOW), text.contains(RED)),
            (yellow, red),
            "{line}\n{text}"
        );
    }
    DONE
}

/// A page, ^C, and everything is as it was: what stood there, the cursor, the
/// modes.
fn pages() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let tree = Tree::new();
    let cgroups = tree.path();
    let terminal = Terminal::new("pages", 80, 12);
    terminal.enter("clear; stty -a | md5sum; echo be''fore");
    let before = terminal.see("the modes", |text| text.contains("before"));
    let modes = before.lines().next().unwrap_or_default().to_string();
    terminal.enter(&format!("{PSISTAT} -C {cgroups} -g '**' -n 3 0.1"));
    let page = terminal.see("a page", |text| text.contains("every 100ms"));
    assert!(page.contains("0 of 7 cgroups, 7 idle"), "{page}");
    assert!(!page.contains("before"), "{page}");
    assert_eq!(page.trim_end().lines().count(), 3, "{page}");
    assert_eq!(terminal.state().trim(), "1 0");
    terminal.key("C-c");
    let after = terminal.see("the old screen", |text| text.contains("before"));
    assert!(!after.contains("of 7 cgroups"), "{after}");
    until("the cursor", || {
        (terminal.state().trim() == "0 1").then_some(())
    });
    terminal.enter("echo code $?; stty -a | md5sum");
    let after = terminal.see("the modes", |text| text.matches(&modes).count() == 2);
    assert!(after.contains("code 130"), "{after}");
    // and so at its own end
    terminal.enter(&format!(
        "clear; {PSISTAT} -C {cgroups} -n 3 0.05 3; echo code $?"
    ));
    terminal.see("its end", |text| text.contains("code 0"));
    assert_eq!(terminal.state().trim(), "0 1");
    DONE
}

fn resized() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let tree = Tree::new();
    let cgroups = tree.path();
    let terminal = Terminal::new("resized", 80, 24);
    // an hour: what is laid out anew is what was read already
    terminal.enter(&format!("{PSISTAT} -C {cgroups} -n 50 1h"));
    terminal.see("a page", |text| text.contains("7 of 7 cgroups"));
    terminal.tmux(&["resize-window", "-x", "66", "-y", "7"]);
    // nothing scrolled away; before that, what tmux makes of the old page is there
    terminal.see("a small page", |text| {
        text.contains("...") && text.starts_with("20") && text.trim_end().lines().count() < 7
    });
    terminal.tmux(&["resize-window", "-x", "100", "-y", "24"]);
    terminal.see("all of it", |text| {
        text.trim_end().lines().count() == 10 && !text.contains("...")
    });
    terminal.key("C-c");
    // Not by its text: tmux moves lines between the two screens when it resizes.
    until("the old screen", || {
        (terminal.state().trim() == "0 1").then_some(())
    });

    // In lines, a new size brings a new head.
    terminal.enter(&format!("clear; {PSISTAT} -P {} -a 0.1", fixture("all/1")));
    terminal.see("blocks", |text| text.contains("memory some"));
    terminal.tmux(&["resize-window", "-x", "200", "-y", "24"]);
    terminal.see("rows", |text| {
        text.lines().any(|line| line.matches("avg300").count() == 6)
    });
    terminal.key("C-c");
    DONE
}

fn stopped() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let tree = Tree::new();
    let cgroups = tree.path();
    let terminal = Terminal::new("stopped", 80, 24);
    terminal.enter(&format!("{PSISTAT} -C {cgroups} -n 50 1h"));
    terminal.see("a page", |text| text.contains("7 of 7 cgroups"));
    terminal.key("C-z");
    terminal.see("the shell", |text| text.contains("Stopped"));
    assert_eq!(terminal.state().trim(), "0 1");
    terminal.enter("fg");
    terminal.see("the page again", |text| text.contains("7 of 7 cgroups"));
    assert_eq!(terminal.state().trim(), "1 0");
    terminal.key("C-c");
    terminal.see("the old screen", |text| text.contains("Stopped"));
    DONE
}

/// A shell in which `modes` prints the terminal's modes in one word.
fn with_modes(name: &str, columns: u32) -> (Terminal, String) {
    let terminal = Terminal::new(name, columns, 24);
    terminal.enter("modes() { echo modes $(stty -a | md5sum | cut -c -8); }; clear; modes");
    let text = terminal.see("the modes", |text| text.starts_with("modes "));
    let modes = text.lines().next().unwrap_or_default().to_string();
    (terminal, modes)
}

fn quits() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let tree = Tree::new();
    let cgroups = tree.path();
    let (terminal, modes) = with_modes("quits", 80);
    for key in ["q", "Q"] {
        terminal.enter(&format!(
            "clear; {PSISTAT} -C {cgroups} -n 50 1h; echo co''de $?; modes"
        ));
        let page = terminal.see("a page", |text| text.contains("7 of 7 cgroups  q quits"));
        assert!(page.contains("since boot"), "{page}");
        // another key does nothing, and is not echoed
        terminal.key("x");
        terminal.key("Up");
        terminal.key(key);
        let after = terminal.see("its end", |text| {
            text.contains("code 0") && text.contains(&modes)
        });
        assert!(!after.contains("7 of 7"), "{after}");
        assert_eq!(terminal.state().trim(), "0 1");
    }
    // stopped, the shell has its own modes; continued, keys are read again
    terminal.enter(&format!("clear; {PSISTAT} -C {cgroups} -n 50 1h; modes"));
    terminal.see("a page", |text| text.contains("7 of 7 cgroups"));
    terminal.key("C-z");
    terminal.see("the shell's modes", |text| {
        text.contains("Stopped") && text.contains(&modes)
    });
    terminal.enter("clear; fg; echo co''de $?; modes");
    terminal.see("the page again", |text| text.contains("7 of 7 cgroups"));
    terminal.key("q");
    terminal.see("its end", |text| {
        text.contains("code 0") && text.contains(&modes)
    });
    DONE
}

/// In a subshell: an interactive shell sets its own modes after a program that died
/// of a signal.
fn signalled() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let tree = Tree::new();
    let cgroups = tree.path();
    let directory = Scratch::new();
    let file = directory.0.join("pid");
    let (terminal, modes) = with_modes("signalled", 80);
    for (name, number) in [
        ("INT", 2),
        ("TERM", 15),
        ("HUP", 1),
        ("QUIT", 3),
        ("USR1", 10),
    ] {
        terminal.enter(&format!(
            "clear; (bash -c 'echo $$ > {}; exec {PSISTAT} -C {cgroups} -n 50 1h'; \
             echo co''de $?; modes)",
            file.display()
        ));
        terminal.see("a page", |text| text.contains("7 of 7 cgroups"));
        let pid = std::fs::read_to_string(&file).expect("a process");
        signal(pid.trim().parse().expect("a number"), name);
        let code = format!("code {}", 128 + number);
        terminal.see(name, |text| text.contains(&code) && text.contains(&modes));
        assert_eq!(terminal.state().trim(), "0 1");
    }
    DONE
}

/// ^C still works.
fn no_keys() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let tree = Tree::new();
    let cgroups = tree.path();
    let (terminal, modes) = with_modes("no-keys", 80);
    terminal.enter(&format!("{PSISTAT} -C {cgroups} -n 50 1h < /dev/null"));
    let page = terminal.see("a page", |text| text.contains("7 of 7 cgroups"));
    assert!(!page.contains("q quits"), "{page}");
    terminal.key("C-c");
    until("the old screen", || {
        (terminal.state().trim() == "0 1").then_some(())
    });
    terminal.enter("echo co''de $?; modes");
    terminal.see("its end", |text| {
        text.contains("code 130") && text.contains(&modes)
    });
    DONE
}

fn narrow() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let tree = Tree::new();
    let cgroups = tree.path();
    let terminal = Terminal::new("narrow", 40, 24);
    terminal.enter(&format!("{PSISTAT} -C {cgroups} -n 50 1h"));
    let page = terminal.see("a page", |text| text.contains("user.slice/off"));
    let title = page.lines().next().unwrap_or_default();
    assert!(title.ends_with("  since boot  7 of 7 cgroups"), "{page}");
    assert!(page.contains(" ---cpu--- -memory-- ---io----\n"), "{page}");
    // two lines for each, none of which is folded
    assert_eq!(page.trim_end().lines().count(), 3 + 2 * 7, "{page}");
    let names = page.lines().filter(|line| line.contains(".slice"));
    assert_eq!(names.count(), 7, "{page}");
    // only one has room
    terminal.tmux(&["resize-window", "-x", "40", "-y", "6"]);
    terminal.see("less", |text| {
        text.trim_end().lines().count() == 5 && text.contains("\n/system.slice\n")
    });
    // too narrow for its figures
    terminal.tmux(&["resize-window", "-x", "29", "-y", "12"]);
    terminal.see("a block", |text| {
        text.trim_end().lines().count() < 12 && text.contains("cpu    some 100.00")
    });
    terminal.key("q");
    DONE
}

/// The whole system has no cpu full. In a pipe and with -w it has its column.
fn hidden() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let terminal = Terminal::new("hidden", 80, 24);
    let pressure = fixture("no-irq/1");
    for (end, columns) in [("", 5), (" -w", 7), (" | cat", 7), (" -r irq", 1)] {
        let text = terminal.show(&format!("{PSISTAT} -P {pressure}{end}"));
        let row = text.lines().nth(2).unwrap_or_default();
        assert_eq!(row.split_whitespace().count(), columns, "{end}: {text}");
    }
    DONE
}

/// Also without -n, where the busy ones are sorted, but never one that was named.
fn idle() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let tree = Tree::new();
    let cgroups = tree.path();
    tree.set("system.slice/idle.service", 0);
    tree.set("user.slice/idle", 0);
    let terminal = Terminal::new("idle", 80, 24);
    let names = |end: &str| {
        let text = terminal.show(&format!("{PSISTAT} -C {cgroups} {end}"));
        let name = |line: &str| {
            let last = line.split(' ').next_back()?;
            last.contains(".slice").then(|| last.to_string())
        };
        (text.lines().filter_map(name).collect::<Vec<_>>(), text)
    };
    let (shown, text) = names("-g '**'");
    assert_eq!(shown.len(), 7, "{text}");
    assert!(text.contains("\n2 idle cgroups\n"), "{text}");
    for end in ["-g '**' -w", "-g '**' | cat"] {
        let (all, text) = names(end);
        assert_eq!(all.len(), 9, "{text}");
        assert!(all.is_sorted() && !text.contains(" idle "), "{text}");
    }
    let (shown, text) = names("-g /system.slice/idle.service -g '/user.slice/*'");
    let expected = [
        "/user.slice/a%20b",
        "/user.slice/off",
        "/system.slice/idle.service",
    ];
    assert_eq!(shown, expected, "{text}");
    assert!(text.contains("\n1 idle cgroup\n"), "{text}");
    // and again once it has stalled
    terminal.enter(&format!("clear; {PSISTAT} -C {cgroups} -n 50 0.1"));
    terminal.see("idle cgroups", |text| {
        text.contains("0 of 9 cgroups, 9 idle")
    });
    let mut total = 0;
    terminal.see("the busy one", |text| {
        total += 1_000_000;
        tree.set("user.slice/idle", total);
        text.contains("1 of 9 cgroups, 8 idle") && text.contains(" /user.slice/idle\n")
    });
    terminal.key("q");
    DONE
}

/// Pressure files of a system that is always stalled: each look adds an hour.
struct Stalled(Scratch, Cell<u64>);

impl Stalled {
    fn new() -> Stalled {
        let stalled = Stalled(Scratch::new(), Cell::new(0));
        stalled.add();
        stalled
    }

    /// In place and of one length, as psistat keeps the files open.
    fn add(&self) {
        use std::os::unix::fs::FileExt;
        self.1.set(self.1.get() + 3_600_000_000);
        let stall = format!(
            "avg10=0.00 avg60=0.00 avg300=0.00 total={:020}",
            self.1.get()
        );
        let text = format!("some {stall}\nfull {stall}\n");
        for name in ["cpu", "memory", "io"] {
            let mut options = std::fs::OpenOptions::new();
            let file = options.create(true).truncate(false).write(true);
            let file = file.open(self.0.0.join(name)).expect("a pressure file");
            file.write_all_at(text.as_bytes(), 0)
                .expect("a pressure file");
        }
    }

    fn path(&self) -> String {
        self.0.0.display().to_string()
    }
}

/// q and ^C, two sizes, and nothing is left on the screen.
fn graph() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let system = Stalled::new();
    let (terminal, modes) = with_modes("graph", 80);
    for (key, code) in [("q", 0), ("C-c", 130)] {
        terminal.enter(&format!(
            "clear; env LC_ALL=C.UTF-8 {PSISTAT} --graph -c 10,50 -P {} 0.1",
            system.path()
        ));
        let text = terminal.see("bars", |text| {
            system.add();
            text.lines().filter(|line| line.contains('█')).count() == 3 * 5
        });
        assert!(
            text.starts_with("20") && text.contains("every 100ms  q quits\n"),
            "{text}"
        );
        assert!(
            text.contains("\nmemory some") && text.contains("\n 100.00 max "),
            "{text}"
        );
        assert!(
            !text.contains("cpu    full") && text.contains("|2s ago"),
            "{text}"
        );
        assert!(terminal.coloured().contains("38;5;160m"), "{text}");
        terminal.tmux(&["resize-window", "-x", "40", "-y", "8"]);
        terminal.see("one line for each", |text| {
            system.add();
            let bars = text.lines().filter(|line| line.contains('█'));
            bars.count() == 5 && text.trim_end().ends_with("now")
        });
        terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
        terminal.see("the times", |text| text.contains("|6s ago"));
        terminal.key(key);
        until("the old screen", || {
            (terminal.state().trim() == "0 1").then_some(())
        });
        terminal.enter("echo co''de $?; modes");
        let code = format!("code {code}");
        let after = terminal.see("its end", |text| {
            text.contains(&code) && text.contains(&modes)
        });
        assert!(!after.contains('█') && !after.contains("memory"), "{after}");
    }
    DONE
}

fn graph_ascii() -> Outcome {
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let system = Stalled::new();
    let terminal = Terminal::new("ascii", 80, 24);
    for (environment, coloured) in [
        ("LC_ALL=C", true),
        ("LC_ALL=C.UTF-8 TERM=linux", true),
        ("LC_ALL=C NO_COLOR=1", false),
    ] {
        let path = system.path();
        terminal.enter(&format!(
            "clear; env {environment} {PSISTAT} --graph -P {path} 0.1"
        ));
        let text = terminal.see("bars", |text| {
            system.add();
            text.lines().filter(|line| line.contains('#')).count() == 3 * 5
        });
        assert!(text.is_ascii(), "{text}");
        let colours = terminal.coloured();
        assert_eq!(
            colours.contains("38;5;160m"),
            coloured,
            "{environment}: {colours}"
        );
        terminal.key("q");
        until("the old screen", || {
            (terminal.state().trim() == "0 1").then_some(())
        });
    }
    DONE
}

/// Nothing is drawn where a screen can't be.
fn graph_nowhere() -> Outcome {
    let sentence = "psistat: --graph draws on a terminal: standard output is none, or TERM is \
                    dumb or unset";
    let system = Stalled::new();
    let output = run(&["--graph", "-P", &system.path(), "0.01", "2"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), sentence);
    if let Some(why) = lacking() {
        return skip(&why);
    }
    let terminal = Terminal::new("dumb", 100, 24);
    let text = terminal.show(&format!("TERM=dumb {PSISTAT} --graph -P {}", system.path()));
    assert!(text.starts_with(sentence), "{text}");
    DONE
}
