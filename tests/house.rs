//! The house that the map in `src/lib.rs` draws: what each room may touch, how long
//! a function and a file may be. Code of tests is exempt.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Lines of a function, from `fn` to its closing brace, comments and all.
const FUNCTION_MAX: usize = 40;
/// Lines of a file, tests and all.
const FILE_MAX: usize = 450;

type Rooms = BTreeSet<String>;

/// Every room, from the ground up, and what it may touch by the map.
fn map() -> Vec<(String, Rooms)> {
    let text = fs::read_to_string("src/lib.rs").unwrap();
    let mut rows: Vec<(String, Rooms)> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("//! | [`")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let room = cells[1].trim_matches(|c| "[]`".contains(c));
        let touched = match cells[3] {
            "nothing" | "libc" => Rooms::new(),
            some => some.split(", ").map(|name| name.to_string()).collect(),
        };
        rows.push((room.trim_start_matches("mod@").into(), touched));
    }
    rows
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
    found.sort();
}

/// The source files of the library and of both programs.
fn files() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    sources(Path::new("src"), &mut found);
    found.retain(|path| path.extension().is_some_and(|end| end == "rs"));
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).unwrap());
    found.into_iter().map(read).collect()
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
}

/// The code alone: comments, texts and characters are spaces, and so are modules
/// and functions of tests. Lines stay where they are.
fn code(text: &str) -> String {
    let mut code = blanked(text);
    while let Some(start) = code.find("#[cfg(test)]") {
        let rest = &code[start..];
        let end = match rest.find(['{', ';']) {
            Some(open) if rest.as_bytes()[open] == b'{' => block(&code, start + open).end,
            Some(end) => start + end + 1,
            None => code.len(),
        };
        blank(&mut code, start..end);
    }
    code
}

fn blank(code: &mut String, range: Range<usize>) {
    let spaces: String = code[range.clone()]
        .chars()
        .map(|c| if c == '\n' { '\n' } else { ' ' })
        .collect();
    code.replace_range(range, &spaces);
}

fn blanked(text: &str) -> String {
    let mut code = text.to_string();
    let mut at = 0;
    while at < code.len() {
        let end = at + opaque(&code[at..], code[..at].chars().next_back());
        if end == at {
            at += code[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        let length = code.len();
        blank(&mut code, at..end);
        // a character of several bytes is one space
        at = end - (length - code.len());
    }
    code
}

/// Bytes of the comment, text or character that `rest` begins with; 0 if it is none.
fn opaque(rest: &str, before: Option<char>) -> usize {
    let until = |from: usize, end: &str| {
        let found = rest[from..].find(end).map(|at| from + at + end.len());
        found.unwrap_or(rest.len())
    };
    if rest.starts_with("//") {
        return until(0, "\n") - 1;
    }
    if rest.starts_with("/*") {
        return until(2, "*/");
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    // a character, not a lifetime: 'x' or '\…'
    if rest.starts_with("'\\") || rest.starts_with('\'') && rest.chars().nth(2) == Some('\'') {
        return quoted(rest, '\'');
    }
    let word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let raw = rest.strip_prefix('b').unwrap_or(rest);
    if let (false, Some(hashes)) = (word, raw.strip_prefix('r')) {
        let count = hashes.len() - hashes.trim_start_matches('#').len();
        if hashes[count..].starts_with('"') {
            let start = rest.len() - hashes.len() + count + 1;
            return until(start, &format!("\"{}", "#".repeat(count)));
        }
    }
    0
}

fn quoted(rest: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// From the brace at `open` to behind the one that closes it.
fn block(code: &str, open: usize) -> Range<usize> {
    let mut depth = 0;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return open..open + at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    open..code.len()
}

/// Words of a path or a group of paths: `a::b` is a, `{a::b, c}` is a and c.
fn heads(path: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        text[..end.unwrap_or(text.len())].into()
    };
    if !path.starts_with('{') {
        return vec![word(path)];
    }
    let group = &path[1..block(path, 0).end - 1];
    let mut depth = 0;
    let parts = group.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let heads = parts.map(|part| word(part.trim()));
    heads.filter(|head| !head.is_empty()).collect()
}

/// Rooms that a file touches, by `crate::` or by as many `super::` as lead out.
fn touched(path: &Path, text: &str) -> Rooms {
    let code: String = code(text);
    let name = path.file_stem().unwrap_or_default();
    let depth = path.components().count() - 1 - usize::from(name == "mod");
    let up = "super::".repeat(depth);
    let mut found = Rooms::new();
    for prefix in ["crate::", up.as_str()] {
        for (at, _) in code.match_indices(prefix) {
            let inside = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if !inside {
                found.extend(heads(&code[at + prefix.len()..]));
            }
        }
    }
    found
}

/// What the rooms touch, by the code.
fn imports() -> BTreeMap<String, Rooms> {
    let mut rooms = BTreeMap::<String, Rooms>::new();
    for (path, text) in files() {
        let inside = path.strip_prefix("src").unwrap();
        let first = inside.iter().next().unwrap_or_default().to_string_lossy();
        let room = first.trim_end_matches(".rs").to_string();
        if room == "bin" || room == "lib" || is_test(&path) {
            continue;
        }
        let mut found = touched(&path, &text);
        found.remove(&room);
        rooms.entry(room).or_default().extend(found);
    }
    rooms
}

#[test]
fn a_room_touches_what_the_map_allows() {
    let (map, imports) = (map(), imports());
    let mut wrong = Vec::new();
    let mut below = Rooms::new();
    for (room, allowed) in &map {
        for other in allowed.difference(&below) {
            wrong.push(format!(
                "map: {room} may touch {other}, which isn't below it"
            ));
        }
        below.insert(room.clone());
        let Some(touched) = imports.get(room) else {
            wrong.push(format!("map: {room} isn't in src"));
            continue;
        };
        for other in touched.difference(allowed) {
            wrong.push(format!("src: {room} touches {other}, which it may not"));
        }
        for other in allowed.difference(touched) {
            wrong.push(format!("map: {room} may touch {other}, but doesn't"));
        }
    }
    for room in imports.keys().filter(|room| !below.contains(*room)) {
        wrong.push(format!("map: {room} is missing"));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Where the body of a function begins, or the semicolon in its place.
fn body(function: &str) -> usize {
    let mut depth = 0;
    let found = function.find(|c| {
        depth += i32::from("([".contains(c)) - i32::from(")]".contains(c));
        depth == 0 && "{;".contains(c)
    });
    found.unwrap_or(function.len())
}

/// Names and lengths of the functions of a file, with the line that each is on.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let code = code(text);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let name = heads(&code[at + 3..]).remove(0);
        let inside = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let open = at + body(&code[at..]);
        if !inside && !name.is_empty() && code[open..].starts_with('{') {
            let end = block(&code, open).end;
            let lines = code[at..end].lines().count();
            found.push((name, code[..at].matches('\n').count() + 1, lines));
        }
    }
    found
}

#[test]
fn functions_and_files_are_short() {
    let mut long = Vec::new();
    for (path, text) in files() {
        let (path, lines) = (path.display(), text.lines().count());
        if lines > FILE_MAX {
            long.push(format!("{path}: {lines} lines"));
        }
        let test = is_test(Path::new(&path.to_string()));
        for (name, line, lines) in functions(&text) {
            if lines > FUNCTION_MAX && !test {
                long.push(format!("{path}:{line}: {name}() has {lines} lines"));
            }
        }
    }
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

/// Every path in the tables of src/README.md exists, and where it says "`name` in
/// `path`", that file has a function or a type of this name.
#[test]
fn the_readme_names_what_is_there() {
    let readme = fs::read_to_string("src/README.md").unwrap();
    let rows: String = readme
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    let parts: Vec<_> = rows.split('`').collect();
    let mut wrong = Vec::new();
    for (at, part) in parts.iter().enumerate().skip(1).step_by(2) {
        if !part.contains('/') && !part.ends_with(".rs") || part.contains('*') {
            continue;
        }
        let places = [Path::new("src").join(part), part.into()];
        let Some(path) = places.iter().find(|path| path.exists()) else {
            wrong.push(format!("{part} doesn't exist"));
            continue;
        };
        if parts[at - 1] == " in " && path.is_file() {
            let name = parts[at - 2].rsplit("::").next().unwrap_or_default();
            let text = fs::read_to_string(path).unwrap();
            let is_there = |what| text.contains(&format!("{what}{name}"));
            if !["fn ", "struct ", "enum ", "impl fmt::"]
                .into_iter()
                .any(is_there)
            {
                wrong.push(format!("{part} has no {name}"));
            }
        }
    }
    assert!(
        parts.len() > 100 && wrong.is_empty(),
        "\n{}",
        wrong.join("\n")
    );
}

#[test]
fn texts_and_comments_are_no_code() {
    let text = "fn a<'a>() { // }\n '}'; b\"\\\"}\"; r#\"}\"#; /* } */ }\n\
                #[cfg(test)]\nmod tests { fn b() {} }\nfn c();\nfn d(e: [u8; 2]) {\n\n}\n";
    let found = functions(text);
    let expected = [("a", 1, 2), ("d", 6, 3)];
    let expected = expected.map(|(name, line, lines)| (name.to_string(), line, lines));
    assert_eq!(found, expected);
    let text = "use crate::{a::{b, c}, d};\n// crate::e\nfn f() -> crate::g::H { super::i::j() }";
    let found = touched(Path::new("src/x.rs"), text);
    assert_eq!(Vec::from_iter(&found), ["a", "d", "g", "i"]);
    assert!(!touched(Path::new("src/x/y.rs"), text).contains("i"));
}
