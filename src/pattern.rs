//! Patterns of cgroups: `/system.slice/*.service`, `/kubepods.slice/**`. `*` matches
//! any bytes within one component, `**` any components. In names and patterns `%XX`
//! is the byte of that value. Pure: a pattern advances through a path one component
//! at a time, so that a walk of the tree enters only what can still match.

use std::fmt;

/// The states of a pattern are the bits of a u64: one per component, one for the end.
const COMPONENTS_MAX: usize = 63;
/// The longest pattern, without escapes: a path has 4095 bytes (PATH_MAX), and the mount
/// is in front of it.
const BYTES_MAX: usize = 4000;

#[derive(Clone, PartialEq, Eq, Debug)]
enum Component {
    /// `*` is None.
    Glob(Vec<Option<u8>>),
    /// `**`: one component or more at the end of a pattern, else none or more.
    Deep,
}

impl Component {
    /// Bytes with the slash before it, without escapes.
    fn len(&self) -> usize {
        match self {
            Component::Glob(glob) => 1 + glob.len(),
            Component::Deep => 3,
        }
    }
}

/// A pattern of absolute paths below the cgroup2 mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    components: Vec<Component>,
    /// The canonical text. It is kept because lines are written without allocation.
    text: String,
}

/// An absolute path below the cgroup2 mount, as bytes, `/` being the mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CgroupPath(Vec<u8>);

impl CgroupPath {
    /// A path in the spelling of directory entries, to be printed: `/`, or `/` and
    /// names without a slash at the end.
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

/// Whether a byte needs no escape in a value of a log line, and so in `cgroup=`.
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

/// Replaces each `%XX` by its byte; None if a `%` lacks its two hexadecimal digits.
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

/// The positions in a pattern that a path may have reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct States(u64);

impl States {
    /// Whether neither this directory nor anything below it can match.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Why a text is not a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PatternError {
    /// It is empty.
    Empty,
    /// `**` beside other characters.
    Deep,
    /// `?` or `[`.
    Wild,
    /// A `%` without two hexadecimal digits, or an escaped `/` or NUL.
    Escape,
    /// `.` or `..`.
    Dots,
    /// It is too long, or has too many components.
    TooLong,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PatternError::Empty => "expected a path below the cgroup2 mount, e.g. /system.slice/*",
            PatternError::Deep => "** must be alone between slashes, e.g. /system.slice/**",
            PatternError::Wild => {
                "only * and ** are wildcards; write a literal ? or [ as %3F or %5B"
            }
            PatternError::Escape => {
                "expected two hexadecimal digits after %, e.g. %20 for a space; %00 and %2F are \
                 not allowed"
            }
            PatternError::Dots => "the path of a cgroup has no component . or ..",
            PatternError::TooLong => {
                "a pattern has at most 4000 bytes and 63 components, a component at most 255 bytes"
            }
        })
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Reads a pattern as in `cgroup=`, with `%XX` for any byte. Without a slash at its
    /// beginning it matches at any depth: `*.service` is `/**/*.service`.
    pub fn parse(text: &[u8]) -> Result<Pattern, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let mut components = Vec::new();
        if text.first() != Some(&b'/') {
            components.push(Component::Deep);
        }
        for part in text.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
            components.push(component(part)?);
        }
        // what it matches is not escaped, and its own text is not to be too long for it
        let bytes: usize = components.iter().map(Component::len).sum();
        if components.len() > COMPONENTS_MAX || bytes > BYTES_MAX {
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

    /// Whether it has wildcards. A literal `*` is escaped in the text.
    pub fn is_wild(&self) -> bool {
        self.text.contains('*')
    }

    /// Whether it is the mount itself.
    pub fn is_root(&self) -> bool {
        self.components.is_empty()
    }

    /// The states after the whole path.
    fn at(&self, path: &[u8]) -> States {
        let names = path.split(|&b| b == b'/').filter(|name| !name.is_empty());
        names.fold(self.start(), |states, name| self.step(states, name))
    }

    /// Whether something below the absolute path can match.
    pub fn reaches_below(&self, path: &[u8]) -> bool {
        self.goes_on(self.at(path))
    }

    /// The absolute path that this is if it has no wildcards; `/` is the mount.
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

    /// The part of a matching path down to the name that the first wildcard matches: of
    /// `/user.slice/**` and `/user.slice/a/b` it is `/user.slice/a`. Without a wildcard it
    /// is the whole path.
    pub fn share<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        let is_literal = |component: &&Component| match component {
            Component::Glob(glob) => glob.iter().all(Option::is_some),
            Component::Deep => false,
        };
        let literal = self.components.iter().take_while(is_literal).count();
        let mut slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let end = slashes.nth(literal + 1).map_or(path.len(), |(at, _)| at);
        &path[..end]
    }

    /// The states of the mount itself.
    pub fn start(&self) -> States {
        self.skip(1)
    }

    /// The states of the child `name` of a directory at `states`.
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

    /// Adds the positions behind each `**` that may match no component. In ascending
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

/// Without recursion: on a mismatch the last `*` takes one byte more, so the steps are
/// at most the product of both lengths.
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
mod tests;
