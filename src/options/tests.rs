//! Drop-ins: a directory goes in, a configuration or its mistakes come out.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{LoadError, Loaded, Source};
use crate::rule::{Reason, Rule};

/// An /etc of this test alone, removed with it.
struct Etc(PathBuf);

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Etc {
    fn new(files: &[(&str, &str)]) -> Etc {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("psilogd-options-{}-{count}", std::process::id());
        let etc = Etc(std::env::temp_dir().join(name));
        fs::create_dir_all(etc.path("conf.d")).unwrap();
        mode(&etc.path("conf.d"), 0o755);
        for (name, text) in files {
            etc.write(name, text);
        }
        etc
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        mode(&self.path(name), 0o644);
    }

    fn source(&self) -> Source {
        Source {
            file: self.path("conf"),
            drop_ins: Some(self.path("conf.d")),
            ..Source::default()
        }
    }

    /// What is printed, without the path of this test.
    fn lines(&self, loaded: &Loaded) -> Vec<String> {
        let text = loaded.to_string().replace(self.0.to_str().unwrap(), "");
        text.lines().map(String::from).collect()
    }
}

impl Drop for Etc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// File, line and reason of every mistake.
fn mistakes(etc: &Etc, loaded: Result<Loaded, LoadError>) -> Vec<(String, usize, Reason)> {
    let LoadError(mistakes) = loaded.unwrap_err();
    let name = |file: &Path| file.strip_prefix(&etc.0).unwrap().display().to_string();
    let mistakes = mistakes.iter();
    mistakes
        .map(|bad| (name(&bad.file), bad.error.line, bad.error.error.reason))
        .collect()
}

fn one(file: &str, line: usize, reason: Reason) -> Vec<(String, usize, Reason)> {
    vec![(file.into(), line, reason)]
}

#[test]
fn drop_ins_are_read_in_the_order_of_their_bytes() {
    let etc = Etc::new(&[
        ("conf", "grace 1m\nqueue 16\n"),
        ("conf.d/a.conf", "grace 3m\n"),
        ("conf.d/Z.conf", "grace 2m\nqueue 17\n"),
        ("conf.d/10.conf", "queue 18\npoll 5s\n"),
        ("conf.d/9.conf", "\nrule memory off\nio full 1%/2s\n"),
        // none of these is one
        ("conf.d/.hidden.conf", "x\n"),
        ("conf.d/b.conf~", "x\n"),
        ("conf.d/b.conf.dpkg-old", "x\n"),
        ("conf.d/README", "x\n"),
    ]);
    let loaded = etc.source().load().unwrap();
    let lines = etc.lines(&loaded);
    for line in [
        "facility daemon # default",
        "grace 3m # /conf.d/a.conf:1",
        "poll 5s # /conf.d/10.conf:2",
        "queue 17 # /conf.d/Z.conf:2",
        "io full 1%/2s level=warning name=io-full for=20s clear=1m repeat=10m # /conf.d/9.conf:3",
    ] {
        assert!(
            lines.iter().any(|other| other == line),
            "{line}: {lines:#?}"
        );
    }
    let built_in = lines.iter().filter(|line| line.ends_with(" # built-in"));
    assert_eq!(built_in.count(), 5, "{lines:#?}");
    assert!(loaded.warnings.is_empty());
}

#[test]
fn without_a_file_and_without_a_directory_the_built_in_rules_are_in_force() {
    let etc = Etc::new(&[]);
    fs::remove_dir(etc.path("conf.d")).unwrap();
    let loaded = etc.source().load().unwrap();
    assert_eq!(loaded.config.rules.len(), 6);
    // with -f the file must be there, and drop-ins are not read
    fs::create_dir(etc.path("conf.d")).unwrap();
    etc.write("conf.d/a.conf", "x\n");
    let mut named = Source::of(etc.path("conf"), Vec::new());
    assert_eq!(
        mistakes(&etc, named.load()),
        one("conf", 0, Reason::Unreadable)
    );
    etc.write("conf", "grace 1m\n");
    assert_eq!(named.load().unwrap().config.rules.len(), 6);
}

#[test]
fn operands_and_options_replace_what_all_files_say() {
    let etc = Etc::new(&[
        ("conf", "output kmsg\noutput stdout\nuser 1:1\n"),
        ("conf.d/a.conf", "rule cpu off\nio full 1%/2s\n"),
    ]);
    let operand = Rule::parse("cpu some 1%/2s".split(' ')).unwrap();
    let mut source = Source {
        rules: vec![operand],
        copy: true,
        no_sandbox: true,
        ..etc.source()
    };
    let lines = etc.lines(&source.load().unwrap());
    let mine = lines.iter().filter(|line| line.ends_with("# command line"));
    let mine: Vec<_> = mine.map(|line| line.split(" level=").next()).collect();
    let expected = [
        "output stderr # command line",
        "sandbox off # command line",
        "cpu some 1%/2s",
    ];
    assert_eq!(mine, expected.map(Some));
    assert!(
        lines.contains(&"output stdout # /conf:2".into()),
        "{lines:#?}"
    );
    assert_eq!(lines.len(), 11 + 2 + 1, "{lines:#?}");
}

#[test]
fn every_mistake_has_its_file_and_line() {
    let etc = Etc::new(&[
        ("conf", "io full 1%/2s\nx\n"),
        ("conf.d/a.conf", "\ngrace 1m\ngrace 2m\n"),
        ("conf.d/b.conf", "io some 1%/20s\n"),
    ]);
    symlink("nowhere", etc.path("conf.d/c.conf")).unwrap();
    fs::create_dir(etc.path("conf.d/d.conf")).unwrap();
    let expected = [
        ("conf", 2, Reason::BadWord),
        ("conf.d/a.conf", 3, Reason::BadCount),
        ("conf.d/b.conf", 1, Reason::BadWindow),
        ("conf.d/c.conf", 0, Reason::Unreadable),
        ("conf.d/d.conf", 0, Reason::Unreadable),
    ];
    let expected = expected.map(|(file, line, why)| (file.to_string(), line, why));
    assert_eq!(mistakes(&etc, etc.source().load()), expected);
    // a file in place of the directory
    let etc = Etc::new(&[]);
    fs::remove_dir(etc.path("conf.d")).unwrap();
    etc.write("conf.d", "");
    let expected = one("conf.d", 0, Reason::Unreadable);
    assert_eq!(mistakes(&etc, etc.source().load()), expected);
}

#[test]
fn what_is_switched_off_in_vain_is_a_warning_and_everything_an_error() {
    let etc = Etc::new(&[
        ("conf", "io full 1%/2s\n"),
        ("conf.d/a.conf", "rule cpu off\n"),
    ]);
    let loaded = etc.source().load().unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let sentence = format!(
        "{}:1: \"cpu\": no earlier rule has this name",
        etc.path("conf.d/a.conf").display()
    );
    assert_eq!(warnings, [sentence]);
    etc.write("conf.d/a.conf", "rule io-full off\n");
    let expected = one("conf.d/a.conf", 1, Reason::NoRule);
    assert_eq!(mistakes(&etc, etc.source().load()), expected);
}

#[test]
fn the_first_file_is_missed_once_and_a_drop_in_never() {
    let etc = Etc::new(&[
        ("conf", "grace 1m\n"),
        ("conf.d/a.conf", "queue 16\n"),
        ("conf.d/b.conf", "io full 1%/2s\n"),
    ]);
    let mut source = etc.source();
    assert_eq!(source.load().unwrap().config.rules.len(), 7);
    fs::remove_file(etc.path("conf.d/b.conf")).unwrap();
    assert_eq!(source.load().unwrap().config.rules.len(), 6);
    // said first, although another file has a mistake: it is said once
    fs::remove_file(etc.path("conf")).unwrap();
    etc.write("conf.d/a.conf", "queue 1\n");
    let mut expected = one("conf", 0, Reason::Removed);
    expected.extend(one("conf.d/a.conf", 1, Reason::BadValue));
    assert_eq!(mistakes(&etc, source.load()), expected);
    // a directory with all that was in it
    fs::remove_dir_all(etc.path("conf.d")).unwrap();
    assert_eq!(source.load().unwrap().config.settings.queue, 64);
}

#[test]
fn a_file_that_was_emptied_may_be_about_to_be_written() {
    for name in ["conf", "conf.d/a.conf"] {
        let etc = Etc::new(&[("conf", "# none\n"), ("conf.d/a.conf", "# none\n")]);
        etc.write("conf.d/b.conf", "");
        let mut source = etc.source();
        source.load().unwrap();
        etc.write(name, "");
        for _ in 0..2 {
            assert_eq!(mistakes(&etc, source.load()), one(name, 0, Reason::Empty));
        }
        etc.write(name, "# nothing\n");
        source.load().unwrap();
    }
}

#[test]
fn root_reads_nothing_that_others_can_write() {
    let etc = Etc::new(&[("conf.d/a.conf", "grace 1m\n")]);
    let careful = || Source {
        only_root: true,
        ..etc.source()
    };
    // who runs this owns both; the mode is looked at where that is root
    let owned = fs::metadata(etc.path("conf.d")).unwrap().uid() == 0;
    assert_eq!(careful().load().is_ok(), owned);
    let refused = |name: &str| one(name, 0, Reason::WritableByOthers);
    for (name, bad, good) in [("conf.d/a.conf", 0o664, 0o644), ("conf.d", 0o777, 0o755)] {
        mode(&etc.path(name), bad);
        let found = mistakes(&etc, careful().load());
        assert!(
            found.starts_with(&refused("conf.d")) || found == refused(name),
            "{found:?}"
        );
        assert!(!owned || found == refused(name), "{found:?}");
        mode(&etc.path(name), good);
    }
}

#[test]
fn a_reload_may_read_what_was_read_before() {
    let etc = Etc::new(&[("conf.d/a.conf", ""), ("conf.d/b.conf", "")]);
    let mut source = etc.source();
    source.load().unwrap();
    let names = ["conf", "conf.d", "conf.d/a.conf", "conf.d/b.conf"];
    assert_eq!(source.paths(), names.map(|name| etc.path(name)));
}
