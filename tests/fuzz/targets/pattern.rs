//! Patterns of cgroups, against a matcher that tries everything.

use psilogd::pattern::Pattern;

use super::clean;

/// A pattern, a line end, and a path.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (text, path) = (parts.next().unwrap(), parts.next().unwrap_or_default());
    match Pattern::parse(text) {
        Ok(pattern) => check(&pattern, path),
        Err(why) => clean::sentence(&why.to_string()),
    }
}

fn check(pattern: &Pattern, path: &[u8]) {
    let text = pattern.text();
    clean::printable(text.as_bytes());
    assert_eq!(Pattern::parse(text.as_bytes()).as_ref(), Ok(pattern));
    assert_eq!(pattern.is_wild(), text.contains('*'));
    match pattern.plain() {
        Some(plain) => assert!(!pattern.is_wild() && pattern.matches(&plain)),
        None => assert!(pattern.is_wild()),
    }

    let names: Vec<&[u8]> = path
        .split(|b| *b == b'/')
        .filter(|n| !n.is_empty())
        .collect();
    // what takes too long otherwise is left to longer runs of fewer bytes
    let names = &names[..names.len().min(12)];
    let model = Model::new(text);
    let table = model.table(names);
    for count in 0..=names.len() {
        let path = [b"/", &names[..count].join(&b'/')[..]].concat();
        let matches = pattern.matches(&path);
        assert_eq!(
            matches,
            model.matches(&table, count),
            "{text} {}",
            path.escape_ascii()
        );
        let goes_on = model.goes_on(&table, count);
        assert_eq!(
            pattern.reaches_below(&path),
            goes_on,
            "{text} {}",
            path.escape_ascii()
        );
        if matches {
            let share = pattern.share(&path);
            assert!(path.starts_with(share));
            assert!(matches!(path.get(share.len()), None | Some(b'/')) || share == b"/");
            assert!(pattern.is_wild() || share == path);
        }
    }
}

/// The components of a canonical text.
struct Model<'a>(Vec<&'a str>);

/// By component, then by name: whether the components before it match the names before it.
type Table = Vec<Vec<bool>>;

impl<'a> Model<'a> {
    fn new(text: &'a str) -> Model<'a> {
        Model(text.split('/').filter(|part| !part.is_empty()).collect())
    }

    /// Every `**` may match any names here, and none.
    fn table(&self, names: &[&[u8]]) -> Table {
        let mut table = vec![vec![false; names.len() + 1]; self.0.len() + 1];
        table[0][0] = true;
        for (at, component) in self.0.iter().enumerate() {
            for count in 0..=names.len() {
                table[at + 1][count] = match (*component, count) {
                    ("**", 0) => table[at][0],
                    ("**", _) => table[at][count] || table[at + 1][count - 1],
                    (_, 0) => false,
                    (glob, _) => table[at][count - 1] && is_name(glob, names[count - 1]),
                };
            }
        }
        table
    }

    /// A `**` at the end matches one name or more.
    fn matches(&self, table: &Table, count: usize) -> bool {
        let end = self.0.len();
        match self.0.last() {
            Some(&"**") => (0..count).any(|before| table[end - 1][before]),
            _ => table[end][count],
        }
    }

    fn goes_on(&self, table: &Table, count: usize) -> bool {
        let open = |at: usize| table[at][count];
        let deep = self.0.last() == Some(&"**") && open(self.0.len());
        deep || (0..self.0.len()).any(open)
    }
}

/// `*` is any bytes, `%XX` is a byte.
fn is_name(glob: &str, name: &[u8]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    let mut rest = glob.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'*' {
            for at in 0..name.len() {
                reached[at + 1] |= reached[at];
            }
            continue;
        }
        let mut byte = *first;
        if byte == b'%' {
            let digits = std::str::from_utf8(&behind[..2]).unwrap();
            byte = u8::from_str_radix(digits, 16).unwrap();
            rest = &behind[2..];
        }
        for at in (0..name.len()).rev() {
            reached[at + 1] = reached[at] && name[at] == byte;
        }
        reached[0] = false;
    }
    reached[name.len()]
}
