//! Shell completion of both tools: what is kept is what `generate` writes now,
//! and each shell takes it.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use super::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("completion::the_files_are_current", current),
        trial("completion::bash_completes_every_option", bash),
        trial("completion::bash_completes_arguments", bash_arguments),
        trial("completion::zsh_reads_them", || {
            reads("zsh", "_psilogd", "_psistat")
        }),
        trial("completion::fish_reads_them", || {
            reads("fish", "psilogd.fish", "psistat.fish")
        }),
        trial("completion::fish_completes_an_option", fish),
    ]
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/completion")
}

fn current() -> Outcome {
    let made = std::env::temp_dir().join(format!("psistat-completion-{}", std::process::id()));
    std::fs::create_dir_all(&made).expect("a directory");
    let bin = Path::new(PSISTAT).parent().expect("a directory");
    let done = Command::new(kept().join("generate"))
        .args([bin, &made])
        .status()
        .expect("generate runs");
    assert!(done.success());
    let mut files = 0;
    for entry in std::fs::read_dir(&made).expect("files").flatten() {
        files += 1;
        let old = kept().join(entry.file_name());
        let same = std::fs::read(entry.path()).ok() == std::fs::read(&old).ok();
        assert!(
            same,
            "{} is not current: run packaging/completion/generate target/debug",
            old.display()
        );
    }
    assert_eq!(files, 6);
    std::fs::remove_dir_all(&made).expect("a directory");
    DONE
}

/// What bash offers behind these words.
fn offers(tool: &str, words: &[&str]) -> Vec<String> {
    let script = r#"
        . "$1"; tool=$2; shift 2
        COMP_WORDS=("$tool" "$@"); COMP_CWORD=$#
        "_$tool"; printf '%s\n' "${COMPREPLY[@]}""#;
    let file = kept().join(format!("{tool}.bash"));
    let output = Command::new("bash")
        .args(["--norc", "-c", script, "bash"])
        .arg(file)
        .arg(tool)
        .args(words)
        .output()
        .expect("bash runs");
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(str::to_string).collect()
}

/// The options that `-h` lists, by both names: `-x, --long ARG   text`.
fn options(program: &str) -> Vec<String> {
    let output = Command::new(program).arg("-h").output().expect(program);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(str::trim_start);
    lines
        .filter(|line| line.starts_with('-'))
        .flat_map(|line| line.split(' ').take_while(|word| word.starts_with('-')))
        .map(|word| word.trim_end_matches(',').to_string())
        .collect()
}

fn bash() -> Outcome {
    if let Some(why) = missing(&["bash"]) {
        return skip(&why);
    }
    for (tool, program) in [("psilogd", PSILOGD), ("psistat", PSISTAT)] {
        let options = options(program);
        assert!(options.len() >= 8, "{options:?}");
        assert_eq!(offers(tool, &["-"]), options);
        assert_eq!(offers(tool, &["-h", ""]), options);
    }
    assert_eq!(offers("psistat", &["--su"]), ["--suggest"]);
    DONE
}

fn bash_arguments() -> Outcome {
    if let Some(why) = missing(&["bash"]) {
        return skip(&why);
    }
    // the files of the completion read from <(...), for which bash opens /dev/fd
    if let Err(why) = works("bash", &["-c", ": < <(:)"]) {
        return skip(why);
    }
    for option in ["-o", "--output"] {
        assert_eq!(offers("psilogd", &[option, "std"]), ["stdout", "stderr"]);
    }
    assert_eq!(offers("psilogd", &["--dr"]), ["--drill"]);
    assert_eq!(offers("psistat", &["-r", "m"]), ["memory", "memory,io"]);
    assert_eq!(offers("psistat", &["-g", "*"]), ["**"]);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/sr");
    let found = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    assert_eq!(offers("psistat", &["-C", source]), [found]);
    DONE
}

fn reads(shell: &'static str, one: &str, other: &str) -> Outcome {
    if let Some(why) = missing(&[shell]) {
        return skip(&why);
    }
    for file in [one, other] {
        let output = Command::new(shell)
            .arg("-n")
            .arg(kept().join(file))
            .output()
            .expect(shell);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
    }
    DONE
}

fn fish() -> Outcome {
    if let Some(why) = missing(&["fish"]) {
        return skip(&why);
    }
    let script = format!(
        "source {0}/psistat.fish; complete -C 'psistat --su'; complete -C 'psistat -r mem'; \
         source {0}/psilogd.fish; complete -C 'psilogd --dri'",
        kept().display()
    );
    let output = Command::new("fish")
        .args(["--no-config", "-c", &script])
        .output()
        .expect("fish runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("--suggest\tmeasure, then print rules"),
        "{output:?}"
    );
    assert!(text.contains("memory"), "{text}");
    assert!(text.contains("--drill\tsend a test begin"), "{text}");
    DONE
}
