//! The only unsafe code: thin safe functions over libc for what std doesn't
//! offer, by what they are about. They take borrowed descriptors and slices and
//! return [`std::io::Result`].
#![allow(unsafe_code)]

mod child;
mod clock;
mod file;
mod inotify;
mod landlock;
mod memory;
mod poll;
mod privilege;
mod process;
mod seccomp;
mod signal;
mod socket;

use std::io;

pub use child::{Child, own_memory, start_child};
pub use clock::{Local, local, now, uptime, wall};
pub use file::{
    FileKind, STDERR, STDOUT, TerminalMode, directory_entries, file_kind, is_directory,
    is_in_foreground, open, open_at, passed_descriptors, reopen_nonblocking, window_size, write,
};
pub use inotify::{inotify, inotify_add, inotify_remove};
pub use landlock::{Allowed, Landlock, landlock};
pub use memory::Memory;
pub use poll::{Slot, is_writable, poll};
pub use privilege::{Ids, Kept, drop_privileges, is_root, no_core_dump, no_new_privileges};
pub use process::{
    close_together, descriptor_limit, forget_start, has_sys_resource, is_in_reserve, lock_memory,
    raise_descriptor_limit, without_sys_resource,
};
pub use seccomp::seccomp;
pub use signal::{Signals, default_signal, ignore, is_ignored};
pub use socket::{SocketType, connect_unix, hostname, receive, receive_now, send};

/// -1 becomes the last OS error.
fn cerr(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
