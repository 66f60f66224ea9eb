//! Where the cgroup2 hierarchy is mounted, now: it may be mounted after the start, be
//! unmounted, and be mounted elsewhere. The kernel raises POLLPRI on an open mountinfo
//! when any mount changes (mounts_poll in fs/proc_namespace.c).

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Daemon;
use crate::cgroup::Tree;
use crate::roots::{Roots, mount_point};
use crate::sys::{self, Slot};

/// Bytes of room for mountinfo at first.
const TEXT: usize = 16 * 1024;

/// A directory, and which one it is: device and inode.
type Place = (PathBuf, Option<(u64, u64)>);

/// What is known of the mount.
pub(super) struct Mounts {
    /// `-C`.
    named: Option<PathBuf>,
    mountinfo: Option<File>,
    known: Option<Place>,
    /// Why mountinfo could not be read the last time: errno(3).
    pub error: Option<i32>,
}

impl Mounts {
    /// Nothing is known yet.
    pub(super) fn new(named: Option<PathBuf>) -> Mounts {
        Mounts {
            named,
            mountinfo: None,
            known: None,
            error: None,
        }
    }

    /// Looks for the mount, and puts it into `roots`; whether it is another one, or the
    /// first. What can't be read changes nothing.
    pub(super) fn find(&mut self, roots: &mut Roots) -> bool {
        // once more, as whatever fails at the start may pass
        let text = self.read().or_else(|_| self.read());
        self.error = text.as_ref().err().and_then(io::Error::raw_os_error);
        let cgroup = match (&self.named, text) {
            (Some(named), _) => Some(named.clone()),
            (None, Ok(text)) => mount_point(&text),
            (None, Err(_)) => return false,
        };
        let place = |path: &PathBuf| {
            let found = fs::metadata(path).ok();
            (path.clone(), found.map(|at| (at.dev(), at.ino())))
        };
        let place = cgroup.as_ref().map(place);
        let new = place != self.known;
        (self.known, roots.cgroup) = (place, cgroup);
        new
    }

    /// Opened first, so that a change after the reading is noticed.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut file = match &self.mountinfo {
            Some(file) => file,
            None => {
                let path = Path::new("/proc/self/mountinfo");
                self.mountinfo.insert(sys::open(path, libc::O_RDONLY)?)
            }
        };
        file.rewind()?;
        let mut text = Vec::with_capacity(TEXT);
        // a file of /proc is 0 bytes long: std would ask, and read a few bytes at a time
        file.take(u64::MAX).read_to_end(&mut text)?;
        Ok(text)
    }

    /// The slot of the poll array.
    pub(super) fn slot(&self) -> Slot {
        let file = self.mountinfo.as_ref();
        file.map_or(Slot::IDLE, |file| Slot::new(file.as_fd(), libc::POLLPRI))
    }
}

impl Daemon {
    /// Some mount has changed.
    pub(super) fn note_mounts(&mut self) {
        if self.find_mount() {
            self.rescan();
        }
    }

    /// Looks where cgroups are; whether that is elsewhere than before. What is armed
    /// stays as long as its file can be read.
    pub(super) fn find_mount(&mut self) -> bool {
        let new = self.mounts.find(&mut self.roots);
        if new {
            let mount: Option<&Path> = self.roots.cgroup.as_deref();
            self.tree = mount.map(Tree::new);
            self.sources.set_mount(mount);
            self.top.set_mount(mount);
            self.changed = true;
        }
        new
    }
}
