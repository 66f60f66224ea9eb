use super::*;

fn matches(pattern: &str, path: &[u8]) -> bool {
    Pattern::parse(pattern.as_bytes()).unwrap().matches(path)
}

#[test]
fn what_matches() {
    for (pattern, path) in [
        ("/", &b"/"[..]),
        ("/a/b", b"/a/b"),
        ("//a//b/", b"/a/b"),
        ("/a%20b/%2A%25", b"/a b/*%"),
        ("/%FF", b"/\xff"),
        ("/*", b"/a"),
        ("/a*", b"/a"),
        ("/a*b*c", b"/a.b.b.c"),
        ("/a*b*c", b"/abbbc"),
        ("/system.slice/*.service", b"/system.slice/cron.service"),
        ("/*/*", b"/a/b"),
        ("**", b"/a"),
        ("**", b"/a/b/c"),
        ("/**", b"/a"),
        ("/a/**", b"/a/b/c"),
        ("/a/**/z", b"/a/z"),
        ("/a/**/z", b"/a/b/c/z"),
        ("/a/**/**/z", b"/a/z"),
        ("/**/b/**/d*", b"/a/b/c/b/dx"),
        ("*.service", b"/system.slice/cron.service"),
        ("b/c", b"/a/b/c"),
        ("a", b"/a"),
    ] {
        assert!(matches(pattern, path), "{pattern}");
    }
}

#[test]
fn what_does_not_match() {
    for (pattern, path) in [
        ("/", &b"/a"[..]),
        ("/a", b"/"),
        ("/a", b"/ab"),
        ("/a", b"/a/b"),
        ("/*", b"/"),
        ("/*", b"/a/b"),
        ("/a*b", b"/a/b"),
        ("/a*b", b"/abc"),
        ("/system.slice/*.service", b"/system.slice/a/b.service"),
        ("**", b"/"),
        ("/a/**", b"/a"),
        ("/a/**", b"/b/c"),
        ("/a/**/z", b"/a/b"),
        ("/**/*", b"/"),
        ("b/c", b"/b/x/c"),
    ] {
        assert!(!matches(pattern, path), "{pattern}");
    }
}

#[test]
fn other_texts_are_refused_with_a_reason() {
    for (text, why) in [
        ("", PatternError::Empty),
        ("/a**", PatternError::Deep),
        ("***", PatternError::Deep),
        ("/a?", PatternError::Wild),
        ("/[ab]", PatternError::Wild),
        ("/a%2", PatternError::Escape),
        ("/a%2Fb", PatternError::Escape),
        ("/a%00", PatternError::Escape),
        ("/a%2*0", PatternError::Escape),
        ("/a/../b", PatternError::Dots),
        ("/%2E", PatternError::Dots),
    ] {
        assert_eq!(Pattern::parse(text.as_bytes()), Err(why), "{text}");
    }
    for long in ["/a".repeat(64), "x".repeat(256), "/a/".repeat(1400)] {
        assert_eq!(
            Pattern::parse(long.as_bytes()),
            Err(PatternError::TooLong),
            "{}",
            long.len()
        );
    }
    assert!(Pattern::parse("/a".repeat(63).as_bytes()).is_ok());
}

/// Escaped it is three times as long.
#[test]
fn a_long_pattern_reads_back_however_it_is_spelled() {
    let name = "\u{e9}".repeat(127);
    let long = |count| format!("/{name}").repeat(count);
    let pattern = Pattern::parse(long(15).as_bytes()).unwrap();
    assert_eq!(Pattern::parse(pattern.text().as_bytes()), Ok(pattern));
    assert_eq!(
        Pattern::parse(long(16).as_bytes()),
        Err(PatternError::TooLong)
    );
}

#[test]
fn parse_and_text_are_inverse() {
    for (text, canonical) in [
        ("/", "/"),
        ("//a//b/", "/a/b"),
        ("*.service", "/**/*.service"),
        ("/a/**/b*c", "/a/**/b*c"),
        ("/%2a%20%41/%2C,#/\u{e9}", "/%2A%20A/%2C%2C%23/%C3%A9"),
    ] {
        let pattern = Pattern::parse(text.as_bytes()).unwrap();
        assert_eq!(pattern.text(), canonical);
        assert_eq!(Pattern::parse(canonical.as_bytes()), Ok(pattern));
    }
    let odd = CgroupPath::of(b"/a b/*".to_vec());
    assert_eq!(Pattern::path(&odd).plain().as_deref(), Some(odd.bytes()));
    assert_eq!(Pattern::path(&odd).text(), odd.to_string());
}

#[test]
fn a_plain_pattern_is_a_path() {
    let plain = |text: &[u8]| Pattern::parse(text).unwrap().plain();
    assert_eq!(plain(b"/a%20b//c/"), Some(b"/a b/c".to_vec()));
    assert_eq!(plain(b"/"), Some(b"/".to_vec()));
    for text in [&b"a"[..], b"/a*", b"/a/**", b"**"] {
        assert_eq!(plain(text), None);
    }
}

/// A walk enters what can still match and nothing else.
#[test]
fn a_walk_is_pruned() {
    let pattern = Pattern::parse(b"/a/*/c").unwrap();
    let root = pattern.start();
    assert!(pattern.goes_on(root) && !pattern.accepts(root));
    assert!(pattern.step(root, b"b").is_empty());
    let below = pattern.step(pattern.step(root, b"a"), b"x");
    assert!(pattern.goes_on(below));
    let end = pattern.step(below, b"c");
    assert!(pattern.accepts(end) && !pattern.goes_on(end));
}

/// Against a matcher that tries everything, over every short text.
#[test]
fn globs_agree_with_the_obvious_way() {
    fn obvious(glob: &[Option<u8>], name: &[u8]) -> bool {
        match glob.split_first() {
            None => name.is_empty(),
            Some((None, rest)) => (0..=name.len()).any(|n| obvious(rest, &name[n..])),
            Some((Some(b), rest)) => name.first() == Some(b) && obvious(rest, &name[1..]),
        }
    }
    let words = |letters: &[u8], most: u32| -> Vec<Vec<u8>> {
        let base = letters.len();
        (0..=most)
            .flat_map(|length| (0..base.pow(length)).map(move |n| (length, n)))
            .map(|(length, n)| {
                let digit = |at: u32| letters[n / base.pow(at) % base];
                (0..length).map(digit).collect()
            })
            .collect()
    };
    let names = words(b"ab", 5);
    for glob in words(b"ab*", 5) {
        let glob: Vec<_> = glob.iter().map(|&b| (b != b'*').then_some(b)).collect();
        for name in &names {
            assert_eq!(glob_matches(&glob, name), obvious(&glob, name), "{glob:?}");
        }
    }
}

#[test]
fn the_first_wildcard_names_the_share() {
    for (pattern, path, share) in [
        ("/user.slice/**", "/user.slice/a/b/c", "/user.slice/a"),
        ("/user.slice/**", "/user.slice/a", "/user.slice/a"),
        ("/user.slice/u*/x", "/user.slice/u1/x", "/user.slice/u1"),
        ("/**/x", "/a/b/x", "/a"),
        ("*.service", "/system.slice/a.service", "/system.slice"),
        ("/a/b", "/a/b", "/a/b"),
        ("/*", "/", "/"),
    ] {
        let pattern = Pattern::parse(pattern.as_bytes()).unwrap();
        assert_eq!(pattern.share(path.as_bytes()), share.as_bytes(), "{path}");
    }
}
