//! Cgroups as they come and go: inotify(7) on every directory in which one of
//! interest can appear. Not recursive, so a directory that comes is watched first
//! and read then; and its watch is removed by hand when it goes, because kernels
//! before 7.3 forget to.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::child;
use super::entries::{BUFFER, directories};
use crate::sys;

/// Not IN_MODIFY: every event of pressure raises that as well.
const IN_DIRECTORY: u32 =
    libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVE | libc::IN_ONLYDIR | libc::IN_DONT_FOLLOW;
/// Whoever switches a cgroup's pressure files on writes here.
const SWITCH: &[u8] = b"cgroup.pressure";
const IN_SWITCH: u32 = libc::IN_MODIFY | libc::IN_DONT_FOLLOW;

/// What has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// There is a cgroup at this path, or its pressure files were switched.
    Came(Vec<u8>),
    /// The cgroup at this path has gone. There may be another by now.
    Gone(Vec<u8>),
    /// Too much to be told: look at everything.
    Unknown,
}

/// A watch of the kernel's.
struct Mark {
    /// Below the mount; a directory, or its `cgroup.pressure`.
    path: Box<[u8]>,
    number: i32,
}

/// The part of the tree in which cgroups of interest can appear.
pub struct Tree {
    mount: Box<[u8]>,
    inotify: Option<File>,
    /// By path.
    marks: Vec<Mark>,
    /// Why what comes is not noticed, or not everywhere.
    inotify_error: Option<i32>,
}

/// Whether cgroups of interest can appear below a path.
pub type Reaches<'a> = &'a dyn Fn(&[u8]) -> bool;

impl Tree {
    /// Nothing is watched yet.
    pub fn new(mount: &Path) -> Tree {
        Tree {
            mount: mount.as_os_str().as_bytes().into(),
            inotify: None,
            marks: Vec::new(),
            inotify_error: None,
        }
    }

    /// What poll(2) can wait for.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(File::as_fd)
    }

    /// errno(3) of what keeps us from noticing what comes.
    pub fn inotify_error(&self) -> Option<i32> {
        self.inotify_error
    }

    /// Watches whatever reaches a cgroup of interest, no longer what doesn't, and
    /// finds all that is there.
    pub fn scan(&mut self, reaches: Reaches<'_>) -> Vec<Change> {
        self.inotify_error = None;
        self.prune(reaches);
        let mut found = Vec::new();
        if reaches(b"/") {
            self.enter(b"/".to_vec(), reaches, &mut found);
        }
        found
    }

    /// No longer watches what doesn't reach a cgroup of interest.
    pub fn prune(&mut self, reaches: Reaches<'_>) {
        for mark in std::mem::take(&mut self.marks) {
            let directory = match switched(&mark.path) {
                Some(cgroup) => parent(cgroup),
                None => &mark.path,
            };
            match reaches(directory) {
                true => self.marks.push(mark),
                false => self.unwatch(mark.number),
            }
        }
    }

    /// Watches the way to a path as far as it is there.
    pub fn follow(&mut self, path: &[u8]) {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (length, _) in slashes {
            let above = path[..length.max(1)].to_vec();
            match self.watch(above, IN_DIRECTORY) {
                Ok(()) => {}
                Err(error) => return self.note(&error, length == 0),
            }
        }
    }

    /// Takes what the kernel has to tell, a bufferful at most: poll(2) tells
    /// whether there is more, and triggers come first.
    pub fn take(&mut self, reaches: Reaches<'_>) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut buffer = [0; 4096];
        let Some(mut inotify) = self.inotify.as_ref() else {
            return changes;
        };
        let Ok(length) = inotify.read(&mut buffer) else {
            return changes;
        };
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((event, behind)) = Event::first(rest) {
            rest = behind;
            self.happened(event, reaches, &mut changes);
        }
        changes
    }

    /// Watches for the pressure files of the cgroup at this path to be switched on;
    /// false where it is there and has no switch, so that they never will be.
    pub fn watch_switch(&mut self, path: &[u8]) -> bool {
        // what has gone its parent tells
        self.watch(child(path, SWITCH), IN_SWITCH).is_ok() || !self.is_there(path)
    }

    /// Whether the cgroup at this path, or its pressure files, may come yet.
    pub fn may_come(&self, path: &[u8]) -> bool {
        self.find(&child(path, SWITCH)).is_ok() || !self.is_there(path)
    }

    fn is_there(&self, path: &[u8]) -> bool {
        let open = self.name(path).and_then(|name| sys::open_at(None, &name));
        open.is_ok()
    }

    fn happened(&mut self, event: Event<'_>, reaches: Reaches<'_>, changes: &mut Vec<Change>) {
        if event.mask & libc::IN_Q_OVERFLOW != 0 {
            // of what has gone nothing will be told, so none is kept
            self.prune(&|_| false);
            changes.push(Change::Unknown);
            return;
        }
        let Some(at) = self
            .marks
            .iter()
            .position(|mark| mark.number == event.number)
        else {
            return;
        };
        let path = &self.marks[at].path;
        if event.mask & libc::IN_IGNORED != 0 {
            self.marks.remove(at);
        } else if event.mask & libc::IN_MODIFY != 0 {
            changes.extend(switched(path).map(|cgroup| Change::Came(cgroup.to_vec())));
        } else if event.mask & libc::IN_ISDIR != 0 {
            let path = child(path, event.name);
            if event.mask & (libc::IN_CREATE | libc::IN_MOVED_TO) != 0 {
                changes.push(Change::Came(path.clone()));
                self.enter(path, reaches, changes);
            } else {
                self.leave(&path);
                changes.push(Change::Gone(path));
            }
        }
    }

    /// Watches a directory and all below it that reach, and finds what is there.
    fn enter(&mut self, path: Vec<u8>, reaches: Reaches<'_>, found: &mut Vec<Change>) {
        let mut buffer = Vec::new();
        let mut ahead = vec![path];
        while let Some(path) = ahead.pop() {
            if !reaches(&path) {
                continue;
            }
            if let Err(error) = self.watch(path.clone(), IN_DIRECTORY) {
                self.note(&error, path == b"/");
            }
            let Ok(open) = self.name(&path).and_then(|name| sys::open_at(None, &name)) else {
                continue;
            };
            buffer.resize(BUFFER, 0);
            // what can't be read to its end has gone
            let _ = directories(open.as_fd(), &mut buffer, &mut |name| {
                let path = child(&path, name);
                found.push(Change::Came(path.clone()));
                ahead.push(path);
                true
            });
        }
    }

    /// A directory that has gone is no trouble, except the mount. Even with trouble,
    /// what can be found is better found now than never.
    fn note(&mut self, error: &io::Error, mount: bool) {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) if !mount => {}
            errno => self.inotify_error = errno,
        }
    }

    /// Forgets a directory that has gone, and all below it.
    fn leave(&mut self, path: &[u8]) {
        let below = child(path, b"");
        let first = self.marks.partition_point(|mark| *mark.path < *below);
        let count = self.marks[first..].partition_point(|mark| mark.path.starts_with(&below));
        let mut gone: Vec<Mark> = self.marks.drain(first..first + count).collect();
        if let Ok(at) = self.find(path) {
            gone.push(self.marks.remove(at));
        }
        for mark in gone {
            self.unwatch(mark.number);
        }
    }

    fn watch(&mut self, path: Vec<u8>, mask: u32) -> io::Result<()> {
        if self.inotify.is_none() {
            self.inotify = Some(sys::inotify()?);
        }
        let Some(inotify) = &self.inotify else {
            return Ok(());
        };
        let number = sys::inotify_add(inotify.as_fd(), &self.name(&path)?, mask)?;
        match self.find(&path) {
            // another directory of the same name
            Ok(at) if self.marks[at].number != number => {
                let old = std::mem::replace(&mut self.marks[at].number, number);
                self.unwatch(old);
            }
            Ok(_) => {}
            Err(at) => {
                let path = path.into();
                self.marks.insert(at, Mark { path, number });
            }
        }
        Ok(())
    }

    fn unwatch(&self, number: i32) {
        if let Some(inotify) = &self.inotify {
            sys::inotify_remove(inotify.as_fd(), number);
        }
    }

    fn find(&self, path: &[u8]) -> Result<usize, usize> {
        self.marks.binary_search_by(|mark| (*mark.path).cmp(path))
    }

    fn name(&self, path: &[u8]) -> io::Result<CString> {
        Ok(CString::new([&self.mount, path].concat())?)
    }
}

/// The cgroup whose switch this is.
fn switched(path: &[u8]) -> Option<&[u8]> {
    let cgroup = path.strip_suffix(SWITCH)?.strip_suffix(b"/")?;
    Some(if cgroup.is_empty() { b"/" } else { cgroup })
}

/// The directory above.
fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&b| b == b'/') {
        Some(length @ 1..) => &path[..length],
        _ => b"/",
    }
}

struct Event<'a> {
    number: i32,
    mask: u32,
    name: &'a [u8],
}

impl Event<'_> {
    /// The first event and what lies behind it (struct inotify_event).
    fn first(bytes: &[u8]) -> Option<(Event<'_>, &[u8])> {
        let field = |at: usize| {
            let field = bytes.get(at..at + 4)?;
            Some([field[0], field[1], field[2], field[3]])
        };
        let length = u32::from_ne_bytes(field(12)?) as usize;
        let name = bytes.get(16..16 + length)?;
        let event = Event {
            number: i32::from_ne_bytes(field(0)?),
            mask: u32::from_ne_bytes(field(4)?),
            name: name.split(|&b| b == 0).next()?,
        };
        Some((event, &bytes[16 + length..]))
    }
}

#[cfg(test)]
mod tests;
