//! What a line has to look like, whatever is in it.

use std::collections::BTreeSet;

/// One line of printable ASCII.
pub fn printable(text: &[u8]) {
    let plain = text.iter().all(|byte| matches!(byte, 0x20..=0x7e));
    assert!(plain, "not printable: {}", text.escape_ascii());
}

/// A whole line as psilogd(8), LINES has it: a sentence and a colon, then each key once,
/// `event` and `level` first. The keys and values behind those.
pub fn line(text: &[u8]) -> Vec<(&str, &str)> {
    printable(text);
    let text = std::str::from_utf8(text).unwrap();
    let (sentence, keys) = text.split_once(": ").unwrap();
    assert!(!sentence.is_empty() && !sentence.contains('='), "{text}");
    let pairs: Vec<(&str, &str)> = keys
        .split(' ')
        .map(|word| word.split_once('=').unwrap_or_else(|| panic!("{text}")))
        .collect();
    let mut known = BTreeSet::new();
    for (key, value) in &pairs {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        assert!(!key.is_empty() && key.bytes().all(letter), "{text}");
        assert!(
            !value.is_empty() && !value.contains(['"', '=']),
            "{key}: {text}"
        );
        assert!(known.insert(*key), "{key} twice: {text}");
    }
    assert!(
        matches!(pairs[..], [("event", _), ("level", _), ..]),
        "{text}"
    );
    pairs
}

/// A sentence for a person: no control characters, and no longer than a screen.
pub fn sentence(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 2000, "{text}");
}
