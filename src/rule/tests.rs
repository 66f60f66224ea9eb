use super::*;

fn parse(text: &str) -> Result<Rule, ParseError> {
    Rule::parse(text.split_whitespace())
}

#[test]
fn parse_and_display_are_inverse() {
    for text in [
        "memory full 10%/2s level=warning name=memory for=20s clear=1m repeat=10m",
        "io some 150ms/2s level=crit name=x.y-z_1 for=0 clear=0 repeat=0",
        "cpu some 0.5%/500ms level=emerg name=a for=1us clear=6h repeat=8784h",
        "cpu full 12.25%/10s level=debug name=b for=2m clear=1m repeat=10m cgroup=/a/b",
        "irq full 1us/2s level=notice name=c for=2m clear=1m repeat=10m cgroup=/",
        "memory some 100%/2s level=info name=d for=2m clear=1m repeat=10m \
         cgroup=/with%20space/%25/%2A/%C3%A9%0A",
        "cpu full 10%/2s level=info name=e for=2m clear=1m repeat=10m \
         cgroup=/system.slice/**/*.service except=/system.slice/a%2Cb.service,/**/user*",
        "io some 50%/2s level=crit name=f for=1m clear=1m repeat=10m stuck=25s cgroup=/db",
        "cpu some 60%/2s level=notice name=g for=5m clear=1m repeat=10m busy=75%",
        "memory full 40%/2s level=crit name=h for=20s clear=2m repeat=0 avail=12.5%",
    ] {
        let rule = parse(text).map(|rule| rule.to_string());
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(rule, Ok(words.join(" ")));
    }
}

#[test]
fn defaults() {
    let text = "memory some 10%/2s level=warning name=memory-some for=20s clear=1m repeat=10m";
    assert_eq!(
        parse("memory some 10%/2s").map(|r| r.to_string()),
        Ok(text.into())
    );
}

#[test]
fn a_share_is_taken_of_the_window() {
    for (text, us) in [
        ("10%/2s", 200_000),
        ("0.01%/500ms", 50),
        ("100%/10s", 10_000_000),
    ] {
        let rule = parse(&format!("cpu some {text}"));
        assert_eq!(rule.map(|r| r.stall()), Ok(Micros(us)), "{text}");
    }
}

#[test]
fn cgroup_paths_are_normalised_and_unescaped() {
    let rule = parse("io full 10%/2s cgroup=//a///b%20c/");
    assert_eq!(
        rule.map(|r| r.cgroup.and_then(|c| c.plain())),
        Ok(Some(b"/a/b c".to_vec()))
    );
}

#[test]
fn which_cgroups_a_rule_covers() {
    let rule = parse("cpu full 10%/2s cgroup=/a/** except=/a/x,/a/*/y").unwrap();
    for path in [&b"/a/b"[..], b"/a/x/z", b"/a/b/c/y"] {
        assert!(rule.covers(path));
    }
    for path in [&b"/a"[..], b"/a/x", b"/a/b/y", b"/b/c"] {
        assert!(!rule.covers(path));
    }
    assert!(rule.reaches_below(b"/") && rule.reaches_below(b"/a/x"));
    assert!(!rule.reaches_below(b"/b"));
}

#[test]
fn the_capability_is_for_the_system_and_named_cgroups_whose_window_needs_it() {
    for (text, expected) in [
        ("io full 10%/2s", true),
        ("io full 10%/500ms", true),
        ("io full 10%/500ms cgroup=/a", true),
        ("io full 10%/3s cgroup=/a", true),
        ("io full 10%/2s cgroup=/a", false),
        ("io full 10%/10s cgroup=/a", false),
        ("io full 10%/2s cgroup=/", false),
        ("io full 10%/4s cgroup=/a/*", false),
    ] {
        let rule = parse(text);
        assert_eq!(rule.map(|r| r.wants_capability()), Ok(expected), "{text}");
    }
}

#[test]
fn evidence_is_asked_of_its_own_resource_during_for() {
    for (text, word) in [
        ("cpu some 10%/2s stuck=20s", "stuck="),
        ("memory full 10%/2s busy=75%", "busy="),
        ("io full 10%/2s avail=25%", "avail="),
        ("io full 10%/2s stuck=20s for=0", "for=0"),
        ("cpu some 10%/2s for=0 busy=1%", "for=0"),
        ("memory some 10%/2s for=0us avail=1%", "for=0"),
    ] {
        let refused = parse(text).map_err(|error| (error.reason, error.word));
        assert_eq!(refused.err(), Some((Reason::BadKey, word.into())), "{text}");
    }
    for (text, word) in [
        ("io full 10%/2s stuck=9999ms", "stuck=9999ms"),
        ("io full 10%/2s stuck=0", "stuck=0"),
        ("cpu some 10%/2s busy=75", "busy=75"),
        ("cpu some 10%/2s busy=101%", "busy=101%"),
        ("memory some 10%/2s avail=0%", "avail=0%"),
    ] {
        let refused = parse(text).map_err(|error| (error.reason, error.word));
        assert_eq!(
            refused.err(),
            Some((Reason::BadValue, word.into())),
            "{text}"
        );
    }
    for text in [
        "io some 1%/2s stuck=10s",
        "cpu some 1%/2s busy=100%",
        "memory some 1%/2s avail=100%",
    ] {
        assert!(parse(text).is_ok_and(|rule| rule.asks_evidence()), "{text}");
    }
}

#[test]
fn wrong_rules_are_refused_with_their_word() {
    for (text, reason, word) in [
        ("", Reason::BadCount, ""),
        ("cpu", Reason::BadCount, ""),
        ("cpu some", Reason::BadCount, ""),
        ("disk some 10%/2s", Reason::BadResource, "disk"),
        ("cpu any 10%/2s", Reason::BadKind, "any"),
        ("irq some 10%/2s", Reason::BadKind, "some"),
        ("cpu full 10%/2s", Reason::BadKind, "full"),
        ("cpu full 10%/2s cgroup=/", Reason::BadKind, "full"),
        ("cpu full 10%/2s cgroup=//", Reason::BadKind, "full"),
        ("cpu some 10%", Reason::BadStall, "10%"),
        ("cpu some /2s", Reason::BadStall, "/2s"),
        ("cpu some 0%/2s", Reason::BadStall, "0%/2s"),
        ("cpu some 0.00%/2s", Reason::BadStall, "0.00%/2s"),
        ("cpu some 100.01%/2s", Reason::BadStall, "100.01%/2s"),
        ("cpu some 1.234%/2s", Reason::BadStall, "1.234%/2s"),
        ("cpu some 99999%/2s", Reason::BadStall, "99999%/2s"),
        ("cpu some -1%/2s", Reason::BadStall, "-1%/2s"),
        ("cpu some +1%/2s", Reason::BadStall, "+1%/2s"),
        ("cpu some 1.+1%/2s", Reason::BadStall, "1.+1%/2s"),
        ("cpu some 42949673%/2s", Reason::BadStall, "42949673%/2s"),
        ("cpu some 0/2s", Reason::BadStall, "0/2s"),
        ("cpu some 3s/2s", Reason::BadStall, "3s/2s"),
        (
            "cpu some 4294967297us/2s",
            Reason::BadStall,
            "4294967297us/2s",
        ),
        ("cpu some 10%/", Reason::BadWindow, "10%/"),
        ("cpu some 10%/499ms", Reason::BadWindow, "10%/499ms"),
        ("cpu some 10%/10001ms", Reason::BadWindow, "10%/10001ms"),
        (
            "cpu some 10%/4296967296us",
            Reason::BadWindow,
            "10%/4296967296us",
        ),
        ("cpu some 10%/2", Reason::BadWindow, "10%/2"),
        ("cpu some 10%/2s high", Reason::BadKey, "high"),
        ("cpu some 10%/2s colour=red", Reason::BadKey, "colour=red"),
        ("cpu some 10%/2s for=1s for=2s", Reason::BadKey, "for=2s"),
        (
            "cpu some 10%/2s level=error",
            Reason::BadValue,
            "level=error",
        ),
        ("cpu some 10%/2s name=", Reason::BadValue, "name="),
        ("cpu some 10%/2s name=a/b", Reason::BadValue, "name=a/b"),
        ("cpu some 10%/2s for=", Reason::BadValue, "for="),
        ("cpu some 10%/2s clear=1", Reason::BadValue, "clear=1"),
        ("cpu some 10%/2s cgroup=a", Reason::BadValue, "cgroup=a"),
        (
            "cpu some 10%/2s cgroup=/a/../b",
            Reason::BadValue,
            "cgroup=/a/../b",
        ),
        ("cpu some 10%/2s cgroup=/a?", Reason::BadValue, "cgroup=/a?"),
        (
            "cpu some 10%/2s cgroup=/a**",
            Reason::BadValue,
            "cgroup=/a**",
        ),
        ("io full 1%/3s cgroup=/a/*", Reason::BadWindow, "1%/3s"),
        ("io full 1%/500ms cgroup=/**", Reason::BadWindow, "1%/500ms"),
        ("cpu some 10%/2s except=/a", Reason::BadKey, "except="),
        (
            "cpu some 10%/2s cgroup=/a except=/a",
            Reason::BadKey,
            "except=",
        ),
        (
            "cpu some 10%/2s cgroup=/* except=/a,",
            Reason::BadValue,
            "except=/a,",
        ),
        (
            "cpu some 10%/2s cgroup=/* except=a",
            Reason::BadValue,
            "except=a",
        ),
        (
            "cpu some 10%/2s cgroup=/a%2",
            Reason::BadValue,
            "cgroup=/a%2",
        ),
        (
            "cpu some 10%/2s cgroup=/a%00",
            Reason::BadValue,
            "cgroup=/a%00",
        ),
    ] {
        let error = parse(text).err();
        assert_eq!(
            error.map(|error| (error.reason, error.word)),
            Some((reason, word.to_string())),
            "{text}"
        );
    }
}

#[test]
fn an_error_is_printable_and_short() {
    let word = format!("\x1b[31m{}", "x".repeat(500));
    let text = ParseError::new(&word, Reason::BadWord, "help").to_string();
    assert!(text.chars().all(|c| !c.is_control()), "{text:?}");
    assert!(text.len() < 120, "{text}");
}

#[test]
fn a_word_is_quoted_and_its_letters_are_kept() {
    let error = |word| ParseError::new(word, Reason::BadWord, "help").to_string();
    assert_eq!(error("\u{e9}\t"), "\"\u{e9}\\t\": help");
    assert_eq!(error(""), "help");
}

#[test]
fn every_reason_has_a_token_of_its_own() {
    let reasons = [
        Reason::BadWord,
        Reason::BadResource,
        Reason::BadKind,
        Reason::BadStall,
        Reason::BadWindow,
        Reason::BadKey,
        Reason::BadValue,
        Reason::BadCount,
        Reason::DuplicateName,
        Reason::NoRule,
        Reason::Empty,
        Reason::Removed,
        Reason::NotText,
        Reason::Unreadable,
    ];
    let tokens: std::collections::BTreeSet<_> = reasons.map(Reason::token).into();
    assert_eq!(tokens.len(), reasons.len());
}

#[test]
fn a_name_has_32_characters_at_most() {
    let named = |length| parse(&format!("io full 1%/2s name={}", "x".repeat(length)));
    assert!(named(NAME_MAX).is_ok());
    assert!(named(NAME_MAX + 1).is_err());
}

#[test]
fn a_stall_may_be_the_whole_window() {
    let rule = parse("cpu some 2s/2s").expect("a rule");
    assert_eq!(rule.stall(), rule.window);
}

#[test]
fn a_stall_is_a_share_of_its_window() {
    let rule = parse("cpu some 150ms/2s").expect("a rule");
    assert_eq!(rule.threshold_share(), Percent(750));
}
