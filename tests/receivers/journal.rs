//! Real journald behind `output journal`: the fields that journalctl finds, the catalog,
//! and rsyslogd behind the journal.

use std::collections::BTreeMap;
use std::fs;

use libtest_mimic::Trial;

use psilogd::report::MESSAGE_IDS;

use crate::receiver::{Kind, Message, Receiver, journalctl, namespace, namespaces};
use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("journal::every_key_is_found_by_its_field", fields),
        trial("journal::the_catalog_explains_every_event", catalog),
        trial("journal::a_line_is_explained", explained),
        trial("journal::rsyslogd_gets_what_is_forwarded", forwarded),
        trial("journal::rsyslogd_reads_it_from_the_journal", imjournal),
    ]
}

/// Starts journald, or says why not.
macro_rules! journald {
    ($scratch:expr) => {
        match Receiver::new(Kind::JournaldNative, $scratch.0.join("a")) {
            Ok(receiver) => receiver,
            Err(why) => return skip(why),
        }
    };
}

/// The text of a drill's line, as a syslog socket would get it.
fn drill(receiver: &Receiver) -> Vec<String> {
    let drill = ["--drill", "-f", "/dev/null", "-o", &receiver.output()];
    let (status, report, errors) = run(&drill);
    assert_eq!((status, &*errors), (Some(0), ""));
    let lines = report.lines().filter_map(|line| line.strip_prefix("  "));
    lines.map(String::from).collect()
}

fn fields() -> Outcome {
    let scratch = Scratch::new();
    let mut journald = journald!(scratch);
    journald.start();
    let lines = drill(&journald);
    until("both lines", || journald.messages().len() == 2);
    // the recipe's match
    let found = journald.journalctl(&["-o", "export", "PSI_EVENT=begin", "PRIORITY=2"]);
    assert_eq!(found.matches("\nMESSAGE=").count(), 1, "{found}");
    let fields: BTreeMap<&str, &str> = found
        .lines()
        .filter_map(|field| field.split_once('='))
        .collect();
    assert_eq!(fields["MESSAGE"], lines[0]);
    let line = Line::new(&lines[0]);
    for word in lines[0].split(' ').filter(|word| word.contains('=')) {
        let (key, value) = word.split_once('=').expect("a key");
        let name = format!("PSI_{}", key.to_ascii_uppercase());
        assert_eq!(fields.get(&*name), Some(&value), "{found}");
    }
    let psi = fields.keys().filter(|name| name.starts_with("PSI_"));
    assert_eq!(psi.count(), lines[0].matches('=').count());
    assert_eq!(fields["_TRANSPORT"], "journal");
    assert_eq!(fields["SYSLOG_IDENTIFIER"], "psilogd");
    // both lines of the episode, and no others
    let id = format!("PSI_ID={}", line.key("id"));
    let episode = journald.journalctl(&["-o", "cat", &id]);
    assert_eq!(episode.lines().collect::<Vec<_>>(), lines);
    let json = journald.journalctl(&["-o", "json", "PSI_EVENT=end", "PSI_RES=memory"]);
    assert!(json.contains("\"PSI_RULE\":\"memory-critical\""), "{json}");
    done()
}

/// A directory in which journalctl has made a database of the catalog.
fn with_catalog() -> Result<Scratch, String> {
    let scratch = Scratch::new();
    let directory = scratch.0.join("usr/lib/systemd/catalog");
    fs::create_dir_all(&directory).expect("a directory");
    let text = include_str!("../../packaging/systemd/psilogd.catalog");
    fs::write(directory.join("psilogd.catalog"), text).expect("a file");
    let root = format!("--root={}", scratch.0.display());
    let output = journalctl().args([&root, "--update-catalog"]).output();
    let output = output.map_err(|error| format!("no journalctl: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    Ok(scratch)
}

fn catalog() -> Outcome {
    let scratch = match with_catalog() {
        Ok(scratch) => scratch,
        Err(why) => return skip(why),
    };
    let root = format!("--root={}", scratch.0.display());
    let output = journalctl().args([&root, "--list-catalog"]).output()?;
    let list = String::from_utf8_lossy(&output.stdout);
    assert_eq!(list.lines().count(), MESSAGE_IDS.len(), "{list}");
    for (event, _, id) in MESSAGE_IDS {
        let found = list.lines().find(|line| line.starts_with(id));
        assert!(
            found.is_some_and(|line| line.contains(" psilogd: ")),
            "{event}: {list}"
        );
    }
    done()
}

/// journalctl looks for its database in a place that is fixed.
fn explained() -> Outcome {
    if !namespaces() {
        return skip("no private mount namespace (unshare -m) without root");
    }
    let scratch = Scratch::new();
    let mut journald = journald!(scratch);
    let database = match with_catalog() {
        Ok(database) => database,
        Err(why) => return skip(why),
    };
    journald.start();
    let lines = drill(&journald);
    until("both lines", || journald.messages().len() == 2);
    let script = "mount --bind \"$1/var/lib\" /var/lib && shift && exec \"$@\"";
    let program = journalctl();
    let mut command = namespace(script);
    command.arg(&database.0).arg(program.get_program());
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let journal = scratch.0.join("a/run/log/journal");
    command
        .arg("-D")
        .arg(journal)
        .args(["-q", "--no-pager", "-x"]);
    command.args(["-o", "short", "PSI_EVENT=begin"]);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&lines[0]), "{text}");
    for part in [
        "Subject: Memory pressure has begun (memory-critical)",
        "Defined-By: psilogd",
        "Documentation: man:psilogd(8) man:psilogd.conf(5)",
        "For 20.0 seconds, tasks in cgroup / have waited for memory",
        "3. Who uses the memory: ",
        "Silence: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('@'), "{text}");
    done()
}

/// As a syslog socket would have got them: facility, severity, name, text.
fn assert_same(messages: &[Message], lines: &[String]) {
    let texts: Vec<&str> = messages
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(texts, lines);
    for (message, severity) in messages.iter().zip(["2", "5"]) {
        assert_eq!(message.facility, "3", "{message:#?}");
        assert_eq!(message.severity, severity, "{message:#?}");
        assert!(message.pid.parse::<u32>().is_ok(), "{message:#?}");
    }
}

fn of_psilogd(receiver: &Receiver) -> Vec<Message> {
    let mut messages = receiver.messages();
    messages.retain(|message| message.ident == "psilogd");
    messages
}

fn forwarded() -> Outcome {
    let scratch = Scratch::new();
    let mut journald = journald!(scratch);
    let mut rsyslogd = match Receiver::new(Kind::Rsyslogd, scratch.0.join("b")) {
        Ok(receiver) => receiver,
        Err(why) => return skip(why),
    };
    rsyslogd.start();
    journald.forward_to(&rsyslogd);
    journald.start();
    let lines = drill(&journald);
    until("both lines", || of_psilogd(&rsyslogd).len() == 2);
    assert_same(&of_psilogd(&rsyslogd), &lines);
    done()
}

fn imjournal() -> Outcome {
    let scratch = Scratch::new();
    let mut journald = journald!(scratch);
    journald.start();
    let lines = drill(&journald);
    // journald's directory: what it reads is there
    let mut rsyslogd = match Receiver::new(Kind::Imjournal, scratch.0.join("a")) {
        Ok(receiver) => receiver,
        Err(why) => return skip(why),
    };
    if !fs::exists("/etc/machine-id")? {
        return skip("no /etc/machine-id, without which rsyslogd finds no journal");
    }
    rsyslogd.start();
    until("both lines", || of_psilogd(&rsyslogd).len() == 2);
    assert_same(&of_psilogd(&rsyslogd), &lines);
    let pid = of_psilogd(&rsyslogd)[0].pid.clone();
    let sent = journald.journalctl(&["-o", "export", "PSI_EVENT=begin"]);
    assert!(sent.contains(&format!("\nSYSLOG_PID={pid}\n")), "{sent}");
    done()
}
