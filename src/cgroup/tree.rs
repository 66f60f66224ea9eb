//! Cgroups as they are created and removed: inotify(7) on every directory in which one
//! of interest can appear. inotify is not recursive, so a new directory is watched first
//! and read afterwards. Its watch is removed by hand when the directory is removed,
//! because kernels before 7.3 keep it.

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

/// A change of the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A cgroup is at this path, or its pressure files were switched.
    Created(Vec<u8>),
    /// The cgroup at this path was removed. There may be another by now.
    Removed(Vec<u8>),
    /// The kernel's queue overflowed: anything may have changed.
    Overflow,
}

/// An inotify watch.
struct Watch {
    /// Below the mount; a directory, or its `cgroup.pressure`.
    path: Box<[u8]>,
    /// The watch descriptor (inotify(7)).
    wd: i32,
}

/// The part of the tree in which cgroups of interest can appear.
pub struct Tree {
    mount: Box<[u8]>,
    inotify: Option<File>,
    /// In the order of their paths.
    watches: Vec<Watch>,
    /// Directories that are still to be looked into.
    ahead: Vec<Vec<u8>>,
    /// Why new cgroups are not noticed, or not everywhere: errno(3).
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
            watches: Vec::new(),
            ahead: Vec::new(),
            inotify_error: None,
        }
    }

    /// What poll(2) can wait for.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(File::as_fd)
    }

    /// Why new cgroups are not noticed: errno(3).
    pub fn inotify_error(&self) -> Option<i32> {
        self.inotify_error
    }

    /// Starts to watch every directory that leads to a cgroup of interest, and no other;
    /// [`Tree::explore`] finds all cgroups in them.
    pub fn scan(&mut self, reaches: Reaches<'_>) {
        self.inotify_error = None;
        self.prune(reaches);
        self.ahead = vec![b"/".to_vec()];
    }

    /// Whether [`Tree::explore`] has more to find.
    pub fn is_exploring(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Watches so many directories of interest, and finds what is in them.
    pub fn explore(&mut self, count: usize, reaches: Reaches<'_>) -> Vec<Change> {
        let mut found = Vec::new();
        for _ in 0..count {
            let Some(path) = self.ahead.pop() else {
                break;
            };
            if reaches(&path) {
                self.enter(&path, &mut found);
            }
        }
        found
    }

    /// Removes the watches that don't lead to a cgroup of interest.
    pub fn prune(&mut self, reaches: Reaches<'_>) {
        for watch in std::mem::take(&mut self.watches) {
            let directory = match switched(&watch.path) {
                Some(cgroup) => parent(cgroup),
                None => &watch.path,
            };
            match reaches(directory) {
                true => self.watches.push(watch),
                false => self.unwatch(watch.wd),
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

    /// Takes the kernel's events, a bufferful at most: poll(2) shows whether there are
    /// more, and triggers are served first. New directories are to be explored.
    pub fn take(&mut self) -> Vec<Change> {
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
            self.take_event(event, &mut changes);
        }
        changes
    }

    /// Watches for the pressure files of the cgroup at this path to be switched on;
    /// false where it is there and has no switch, so that they never will be.
    pub fn watch_switch(&mut self, path: &[u8]) -> bool {
        // the watch of its parent shows when it is removed
        self.watch(child(path, SWITCH), IN_SWITCH).is_ok() || !self.is_there(path)
    }

    /// Whether the cgroup at this path, or its pressure files, may still be created.
    pub fn may_appear(&self, path: &[u8]) -> bool {
        self.find(&child(path, SWITCH)).is_ok() || !self.is_there(path)
    }

    fn is_there(&self, path: &[u8]) -> bool {
        let open = self.name(path).and_then(|name| sys::open_at(None, &name));
        open.is_ok()
    }

    fn take_event(&mut self, event: Event<'_>, changes: &mut Vec<Change>) {
        if event.mask & libc::IN_Q_OVERFLOW != 0 {
            // removals may be among the lost events, so no watch is kept
            self.prune(&|_| false);
            changes.push(Change::Overflow);
            return;
        }
        let Some(at) = self.watches.iter().position(|watch| watch.wd == event.wd) else {
            return;
        };
        let path = &self.watches[at].path;
        if event.mask & libc::IN_IGNORED != 0 {
            self.watches.remove(at);
        } else if event.mask & libc::IN_MODIFY != 0 {
            changes.extend(switched(path).map(|cgroup| Change::Created(cgroup.to_vec())));
        } else if event.mask & libc::IN_ISDIR != 0 {
            let path = child(path, event.name);
            if event.mask & (libc::IN_CREATE | libc::IN_MOVED_TO) != 0 {
                changes.push(Change::Created(path.clone()));
                self.ahead.push(path);
            } else {
                self.leave(&path);
                changes.push(Change::Removed(path));
            }
        }
    }

    /// Watches a directory and finds what is in it.
    fn enter(&mut self, path: &[u8], found: &mut Vec<Change>) {
        if let Err(error) = self.watch(path.to_vec(), IN_DIRECTORY) {
            self.note(&error, path == b"/");
        }
        let Ok(open) = self.name(path).and_then(|name| sys::open_at(None, &name)) else {
            return;
        };
        // what can't be read to its end was removed
        let _ = directories(open.as_fd(), &mut [0; BUFFER], &mut |name| {
            let path = child(path, name);
            found.push(Change::Created(path.clone()));
            self.ahead.push(path);
            true
        });
    }

    /// Keeps an error of inotify. A directory that was removed is none, except the
    /// mount.
    fn note(&mut self, error: &io::Error, mount: bool) {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) if !mount => {}
            errno => self.inotify_error = errno,
        }
    }

    /// Removes the watches of a removed directory and of all below it.
    fn leave(&mut self, path: &[u8]) {
        let below = child(path, b"");
        let first = self.watches.partition_point(|watch| *watch.path < *below);
        let count = self.watches[first..].partition_point(|watch| watch.path.starts_with(&below));
        let mut removed: Vec<Watch> = self.watches.drain(first..first + count).collect();
        if let Ok(at) = self.find(path) {
            removed.push(self.watches.remove(at));
        }
        for watch in removed {
            self.unwatch(watch.wd);
        }
    }

    fn watch(&mut self, path: Vec<u8>, mask: u32) -> io::Result<()> {
        if self.inotify.is_none() {
            self.inotify = Some(sys::inotify()?);
        }
        let Some(inotify) = &self.inotify else {
            return Ok(());
        };
        let wd = sys::inotify_add(inotify.as_fd(), &self.name(&path)?, mask)?;
        match self.find(&path) {
            // another directory of the same name
            Ok(at) if self.watches[at].wd != wd => {
                let old = std::mem::replace(&mut self.watches[at].wd, wd);
                self.unwatch(old);
            }
            Ok(_) => {}
            Err(at) => {
                let path = path.into();
                self.watches.insert(at, Watch { path, wd });
            }
        }
        Ok(())
    }

    fn unwatch(&self, wd: i32) {
        if let Some(inotify) = &self.inotify {
            sys::inotify_remove(inotify.as_fd(), wd);
        }
    }

    fn find(&self, path: &[u8]) -> Result<usize, usize> {
        self.watches
            .binary_search_by(|watch| (*watch.path).cmp(path))
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
    wd: i32,
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
            wd: i32::from_ne_bytes(field(0)?),
            mask: u32::from_ne_bytes(field(4)?),
            name: name.split(|&b| b == 0).next()?,
        };
        Some((event, &bytes[16 + length..]))
    }
}

#[cfg(test)]
mod tests;
