//! Patterns of cgroups: `/system.slice/*.service`, `/kubepods.slice/**`. `*`
//! stands for any bytes of one component, `**` for any components. How such names
//! are written, too: `%XX` stands for any byte. Pure: a pattern is stepped through
//! a path one component at a time, so that a walk down the tree enters only what
//! can still match.

use std::fmt;

/// The states of a pattern are the bits of a u64, one a component and one for
/// the end.
const COMPONENTS_MAX: usize = 63;

#[derive(Clone, PartialEq, Eq, Debug)]
enum Component {
    /// `*` is None.
    Glob(Vec<Option<u8>>),
    /// `**`: at the end of a pattern one component or more, else none or more.
    Deep,
}

/// A pattern of absolute paths below the cgroup2 mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    components: Vec<Component>,
    /// As [`Pattern::parse`] reads it back; kept, since lines are written without
    /// allocation.
    text: String,
}

/// An absolute path below the cgroup2 mount, as bytes, `/` being the mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CgroupPath(Vec<u8>);

impl CgroupPath {
    /// A path as directory entries spell it, to be printed: `/`, or `/` and names
    /// without a slash at the end.
    pub(crate) fn of(bytes: Vec<u8>) -> CgroupPath {
        CgroupPath(bytes)
    }

    /// The bytes of the path: `/`, or `/` and names without a slash at the end.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&byte| literal(f, byte))
    }
}

/// Bytes that stand for themselves in a value of a log line, and so in `cgroup=`.
pub const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !matches!(byte, b'"' | b'=' | b'%')
}

/// A byte as a pattern spells it.
fn literal(out: &mut impl fmt::Write, byte: u8) -> fmt::Result {
    match is_plain(byte) && !matches!(byte, b'*' | b'?' | b'[' | b'#' | b',') {
        true => out.write_char(char::from(byte)),
        false => write!(out, "%{byte:02X}"),
    }
}

/// `%XX` becomes its byte; None where no two hexadecimal digits follow a `%`.
pub(crate) fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&b) = rest.next() {
        if b == b'%' {
            let digit = |b: &u8| char::from(*b).to_digit(16).map(|d| d as u8);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(high << 4 | low);
        } else {
            bytes.push(b);
        }
    }
    Some(bytes)
}

/// How far a path has come in a pattern: a set of places in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct States(u64);

impl States {
    /// Nothing below here can match.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Why a text is not a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PatternError {
    /// Nothing in it.
    Empty,
    /// `**` beside other characters.
    Deep,
    /// `?` or `[`.
    Wild,
    /// A `%` without two hexadecimal digits, or one that stands for `/` or NUL.
    Escape,
    /// `.` or `..`.
    Dots,
    /// Too long, or too many components.
    TooLong,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PatternError::Empty => {
                "a cgroup is a path below the cgroup2 mount, for example /system.slice/*"
            }
            PatternError::Deep => "** stands alone between slashes, for example /system.slice/**",
            PatternError::Wild => {
                "only * and ** stand for something else; for a literal ? or [ write %3F or %5B"
            }
            PatternError::Escape => {
                "after % stand two hexadecimal digits, for example %20 for a space; not %00, and \
                 / is written as it is"
            }
            PatternError::Dots => "a cgroup's path has no . and no .. in it",
            PatternError::TooLong => {
                "a pattern is at most 4000 bytes and 63 components long, a component 255 bytes"
            }
        })
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Reads a pattern in which `%XX` stands for any byte, as in `cgroup=`. Without
    /// a slash at its beginning it matches at any depth: `*.service` is
    /// `/**/*.service`.
    pub fn parse(text: &[u8]) -> Result<Pattern, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > 4000 {
            return Err(PatternError::TooLong);
        }
        let mut components = Vec::new();
        if text.first() != Some(&b'/') {
            components.push(Component::Deep);
        }
        for part in text.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
            components.push(component(part)?);
        }
        if components.len() > COMPONENTS_MAX {
            return Err(PatternError::TooLong);
        }
        Ok(Pattern::of(components))
    }

    /// The pattern that matches this path alone.
    pub fn path(path: &CgroupPath) -> Pattern {
        let names = path.0.split(|&b| b == b'/').filter(|name| !name.is_empty());
        let glob = |name: &[u8]| Component::Glob(name.iter().copied().map(Some).collect());
        Pattern::of(names.map(glob).collect())
    }

    fn of(components: Vec<Component>) -> Pattern {
        let mut text = String::new();
        for component in &components {
            text.push('/');
            match component {
                Component::Deep => text.push_str("**"),
                Component::Glob(glob) => glob.iter().for_each(|part| match part {
                    None => text.push('*'),
                    // writing to a String does not fail
                    Some(byte) => literal(&mut text, *byte).unwrap_or_default(),
                }),
            }
        }
        if text.is_empty() {
            text.push('/');
        }
        Pattern { components, text }
    }

    /// As [`Pattern::parse`] reads it back.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is the mount itself.
    pub fn is_root(&self) -> bool {
        self.components.is_empty()
    }

    /// Where a path stands.
    fn at(&self, path: &[u8]) -> States {
        let names = path.split(|&b| b == b'/').filter(|name| !name.is_empty());
        names.fold(self.start(), |states, name| self.step(states, name))
    }

    /// Whether something below the absolute path can match.
    pub fn reaches_below(&self, path: &[u8]) -> bool {
        self.goes_on(self.at(path))
    }

    /// The path that this is if nothing in it stands for anything else, with the
    /// slash at its beginning; `/` is the mount.
    pub fn plain(&self) -> Option<Vec<u8>> {
        let mut path = Vec::new();
        for component in &self.components {
            let Component::Glob(glob) = component else {
                return None;
            };
            path.push(b'/');
            for byte in glob {
                path.push((*byte)?);
            }
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Some(path)
    }

    /// Where the mount itself stands in the pattern.
    pub fn start(&self) -> States {
        self.skip(1)
    }

    /// Where the child `name` of a directory at `states` stands.
    pub fn step(&self, states: States, name: &[u8]) -> States {
        let mut next = 0;
        for (at, component) in self.components.iter().enumerate() {
            if states.0 & (1 << at) == 0 {
                continue;
            }
            match component {
                Component::Glob(glob) if glob_matches(glob, name) => next |= 1 << (at + 1),
                Component::Glob(_) => {}
                Component::Deep if at + 1 == self.components.len() => next |= 3 << at,
                Component::Deep => next |= 1 << at,
            }
        }
        self.skip(next)
    }

    /// Whether a directory at `states` matches.
    pub fn accepts(&self, states: States) -> bool {
        states.0 & (1 << self.components.len()) != 0
    }

    /// Whether something below a directory at `states` can match.
    pub fn goes_on(&self, states: States) -> bool {
        states.0 & ((1 << self.components.len()) - 1) != 0
    }

    /// Whether the absolute path matches.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.accepts(self.at(path))
    }

    /// Adds the places behind a `**` that may stand for nothing. In ascending
    /// order, so that a chain of them is skipped in one pass.
    fn skip(&self, mut states: u64) -> States {
        for (at, component) in self.components.iter().enumerate() {
            let last = at + 1 == self.components.len();
            if states & (1 << at) != 0 && !last && matches!(component, Component::Deep) {
                states |= 1 << (at + 1);
            }
        }
        States(states)
    }
}

fn component(part: &[u8]) -> Result<Component, PatternError> {
    if part == b"**" {
        return Ok(Component::Deep);
    }
    if part == b"." || part == b".." {
        return Err(PatternError::Dots);
    }
    if part.contains(&b'?') || part.contains(&b'[') {
        return Err(PatternError::Wild);
    }
    let mut glob = Vec::new();
    for (index, literal) in part.split(|&b| b == b'*').enumerate() {
        if index > 0 {
            if glob.last() == Some(&None) {
                return Err(PatternError::Deep);
            }
            glob.push(None);
        }
        let literal = unescape(literal).ok_or(PatternError::Escape)?;
        if literal.contains(&0) || literal.contains(&b'/') {
            return Err(PatternError::Escape);
        }
        glob.extend(literal.into_iter().map(Some));
    }
    if glob.len() > 255 {
        return Err(PatternError::TooLong);
    }
    if glob == [Some(b'.')] || glob == [Some(b'.'), Some(b'.')] {
        return Err(PatternError::Dots);
    }
    Ok(Component::Glob(glob))
}

/// The usual way without recursion: on a mismatch the last `*` takes one byte
/// more, which is at most the product of both lengths.
fn glob_matches(glob: &[Option<u8>], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut retry = None;
    loop {
        match (glob.get(at), name.get(read)) {
            (None, None) => return true,
            (Some(None), _) => {
                at += 1;
                retry = Some((at, read));
                continue;
            }
            (Some(Some(literal)), Some(byte)) if literal == byte => {
                at += 1;
                read += 1;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((behind, from)) if from < name.len() => {
                at = behind;
                read = from + 1;
                retry = Some((behind, from + 1));
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn what_is_no_pattern_says_why() {
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
}
