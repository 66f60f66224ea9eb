//! inotify(7).

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::cerr;

/// An inotify(7) instance that doesn't block; events are read from it.
pub fn inotify() -> io::Result<File> {
    // SAFETY: no pointers; the new descriptor has no other owner.
    let fd = unsafe {
        let fd = cerr(libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK))?;
        OwnedFd::from_raw_fd(fd)
    };
    Ok(fd.into())
}

/// Watches a path; the watch descriptor, which is the old one if it was watched.
pub fn inotify_add(inotify: BorrowedFd<'_>, path: &CStr, mask: u32) -> io::Result<i32> {
    // SAFETY: the path is a valid string for the call.
    cerr(unsafe { libc::inotify_add_watch(inotify.as_raw_fd(), path.as_ptr(), mask) })
}

/// Removes a watch; one that was removed already is no error.
pub fn inotify_remove(inotify: BorrowedFd<'_>, wd: i32) {
    // SAFETY: no pointers; a number that is no watch is refused.
    unsafe { libc::inotify_rm_watch(inotify.as_raw_fd(), wd) };
}
