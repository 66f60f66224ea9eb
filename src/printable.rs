//! Text that may name anything, made fit for a terminal.

/// A sentence for a terminal: names in it may be any bytes, and what a terminal would
/// obey, or what turns the direction of writing, becomes an escape as in Rust or C.
pub fn printable(sentence: &str) -> String {
    let mut text = String::with_capacity(sentence.len());
    for c in sentence.chars() {
        match c {
            '"' | '\'' | '\\' => text.push(c),
            _ => text.extend(c.escape_debug()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Controls of both sets, a line end, and what turns the direction of text.
    #[test]
    fn a_terminal_obeys_no_name() {
        for (name, printed) in [
            ("plain /a-b's \"c\" d\\x2de", "plain /a-b's \"c\" d\\x2de"),
            ("größe", "größe"),
            ("\x1b]0;x\x07\n", "\\u{1b}]0;x\\u{7}\\n"),
            ("\u{9b}31m\x7f", "\\u{9b}31m\\u{7f}"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(printable(name), printed);
        }
    }
}
