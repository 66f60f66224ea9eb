//! Cgroups as they are created and removed: inotify(7) on every directory in which one
//! of interest can appear. inotify is not recursive, so a new directory is watched first
//! and read afterwards. Its watch is removed by hand when the directory is removed,
//! because kernels before 7.3 keep it.
//!
//! What is kept is bounded, whatever others create: directories near the root are watched
//! first, and those beyond the limit are not.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Bound;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::child;
use super::entries::{BUFFER, some_directories};
use crate::sorted::SortedMap;
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

/// The inotify watches: paths below the mount of directories, or of their
/// `cgroup.pressure`, and the watch descriptors (inotify(7)).
#[derive(Default)]
struct Watches {
    /// They come in no order: to insert into a vector would move half of them each time.
    wds: BTreeMap<Rc<[u8]>, i32>,
    paths: SortedMap<i32, Rc<[u8]>>,
}

impl Watches {
    /// Adds one; the watch descriptor that another directory of this path had.
    fn insert(&mut self, path: &[u8], wd: i32) -> Option<i32> {
        let path: Rc<[u8]> = path.into();
        self.paths.insert(wd, Rc::clone(&path));
        let old = self.wds.insert(path, wd).filter(|old| *old != wd)?;
        self.paths.remove(&old);
        Some(old)
    }

    /// Removes that of a path.
    fn remove(&mut self, path: &[u8]) -> Option<i32> {
        let wd = self.wds.remove(path)?;
        self.paths.remove(&wd);
        Some(wd)
    }

    /// The paths below one.
    fn below(&self, path: &[u8]) -> Vec<Rc<[u8]>> {
        let below = child(path, b"");
        let rest = self
            .wds
            .range::<[u8], _>((Bound::Included(&below[..]), Bound::Unbounded))
            .map(|(path, _)| path);
        rest.take_while(|path| path.starts_with(&below))
            .cloned()
            .collect()
    }
}

/// The part of the tree in which cgroups of interest can appear.
pub struct Tree {
    mount: Box<[u8]>,
    inotify: Option<File>,
    watches: Watches,
    /// The directory that is looked into.
    current: Option<(OwnedFd, Vec<u8>)>,
    /// Directories that are still to be looked into, those near the root first.
    ahead: VecDeque<Vec<u8>>,
    /// So many are kept in `ahead`, and watched.
    most: usize,
    /// Whether some are neither.
    partial: bool,
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
            watches: Watches::default(),
            current: None,
            ahead: VecDeque::new(),
            most: usize::MAX,
            partial: false,
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

    /// Whether there are more directories of interest than may be watched, so that
    /// cgroups can appear unnoticed.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Starts to watch every directory that leads to a cgroup of interest, and no other,
    /// up to so many; [`Tree::explore`] finds all cgroups in them.
    pub fn scan(&mut self, most: usize, reaches: Reaches<'_>) {
        (self.inotify_error, self.partial, self.most) = (None, false, most);
        self.prune(reaches);
        self.current = None;
        self.ahead = VecDeque::from([b"/".to_vec()]);
    }

    /// Whether [`Tree::explore`] has more to find.
    pub fn is_exploring(&self) -> bool {
        !self.ahead.is_empty() || self.current.is_some()
    }

    /// Watches directories of interest, and finds what is in them: so many at once, and
    /// at most a bufferful of names more.
    pub fn explore(&mut self, count: usize, reaches: Reaches<'_>) -> Vec<Change> {
        let mut found = Vec::new();
        let mut buffer = [0; BUFFER];
        for _ in 0..count {
            if self.current.is_none() {
                match self.ahead.pop_front() {
                    Some(path) if reaches(&path) => self.enter(path),
                    Some(_) => {}
                    None => break,
                }
            }
            self.read(reaches, &mut buffer, &mut found);
            if found.len() >= count {
                break;
            }
        }
        found
    }

    /// Removes the watches that don't lead to a cgroup of interest.
    pub fn prune(&mut self, reaches: Reaches<'_>) {
        let leads = |path: &[u8]| match switched(path) {
            Some(cgroup) => reaches(parent(cgroup)),
            None => reaches(path),
        };
        let all = self.watches.wds.keys();
        let others = all.filter(|path| !leads(path));
        for path in others.cloned().collect::<Vec<_>>() {
            self.unwatch(&path);
        }
    }

    /// Watches the way to a path as far as it is there.
    pub fn follow(&mut self, path: &[u8]) {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (length, _) in slashes {
            let above = &path[..length.max(1)];
            match self.watch(above, IN_DIRECTORY) {
                Ok(()) => {}
                Err(error) => return self.note(&error, length == 0),
            }
        }
    }

    /// Takes the kernel's events, a bufferful at most: poll(2) shows whether there are
    /// more, and triggers are served first. New directories are to be explored.
    ///
    /// Events that poll(2) has `shown` and that can't be read would wake it for ever:
    /// nothing is watched then until the next [`Tree::scan`].
    pub fn take(&mut self, shown: bool) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut buffer = [0; 4096];
        let Some(mut inotify) = self.inotify.as_ref() else {
            return changes;
        };
        let read = inotify.read(&mut buffer);
        let length = match read.or_else(|_| inotify.read(&mut buffer)) {
            Ok(length) => length,
            Err(error) => {
                let nothing = !shown && error.kind() == io::ErrorKind::WouldBlock;
                if !nothing && error.kind() != io::ErrorKind::Interrupted {
                    (self.inotify, self.inotify_error) = (None, error.raw_os_error());
                    self.watches = Watches::default();
                }
                return changes;
            }
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
        self.watch(&child(path, SWITCH), IN_SWITCH).is_ok() || !self.is_there(path)
    }

    /// Whether the cgroup at this path, or its pressure files, may still be created.
    pub fn may_appear(&self, path: &[u8]) -> bool {
        self.watches.wds.contains_key(&child(path, SWITCH)[..]) || !self.is_there(path)
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
        let Some(path) = self.watches.paths.get(&event.wd).cloned() else {
            return;
        };
        if event.mask & libc::IN_IGNORED != 0 {
            self.watches.remove(&path);
        } else if event.mask & libc::IN_MODIFY != 0 {
            changes.extend(switched(&path).map(|cgroup| Change::Created(cgroup.to_vec())));
        } else if event.mask & libc::IN_ISDIR != 0 {
            let path = child(&path, event.name);
            if event.mask & (libc::IN_CREATE | libc::IN_MOVED_TO) != 0 {
                changes.push(Change::Created(path.clone()));
                self.look_into(path);
            } else {
                self.leave(&path);
                changes.push(Change::Removed(path));
            }
        }
    }

    fn look_into(&mut self, path: Vec<u8>) {
        match self.ahead.len() < self.most {
            true => self.ahead.push_back(path),
            false => self.partial = true,
        }
    }

    /// Watches a directory, before it is read.
    fn enter(&mut self, path: Vec<u8>) {
        let watched = self.watches.wds.contains_key(&path[..]);
        if !watched && self.watches.wds.len() >= self.most {
            self.partial = true;
        } else if let Err(error) = self.watch(&path, IN_DIRECTORY) {
            self.note(&error, path == b"/");
        }
        let open = self.name(&path).and_then(|name| sys::open_at(None, &name));
        self.current = open.ok().map(|open| (open, path));
    }

    /// Reads one bufferful of the directory that is looked into.
    fn read(&mut self, reaches: Reaches<'_>, buffer: &mut [u8], found: &mut Vec<Change>) {
        let Some((open, above)) = self.current.take() else {
            return;
        };
        let more = some_directories(open.as_fd(), buffer, &mut |name| {
            let path = child(&above, name);
            if reaches(&path) {
                self.look_into(path.clone());
            }
            found.push(Change::Created(path));
            true
        });
        // what can't be read to its end was removed
        self.current = more.is_ok_and(|more| more).then_some((open, above));
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
        for below in self.watches.below(path) {
            self.unwatch(&below);
        }
        self.unwatch(path);
    }

    fn watch(&mut self, path: &[u8], mask: u32) -> io::Result<()> {
        if self.inotify.is_none() {
            self.inotify = Some(sys::inotify()?);
        }
        let Some(inotify) = &self.inotify else {
            return Ok(());
        };
        let wd = sys::inotify_add(inotify.as_fd(), &self.name(path)?, mask)?;
        // another directory of the same name
        if let Some(old) = self.watches.insert(path, wd) {
            sys::inotify_remove(inotify.as_fd(), old);
        }
        Ok(())
    }

    fn unwatch(&mut self, path: &[u8]) {
        if let (Some(wd), Some(inotify)) = (self.watches.remove(path), &self.inotify) {
            sys::inotify_remove(inotify.as_fd(), wd);
        }
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
