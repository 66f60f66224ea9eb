//! Landlock (landlock(7)): what this process may still open.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{cerr, is_directory};

/// The same numbers everywhere but on MIPS, where they are no calls.
const SYS_CREATE_RULESET: libc::c_long = 444;
const SYS_ADD_RULE: libc::c_long = 445;
const SYS_RESTRICT_SELF: libc::c_long = 446;
const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;

/// What may be done with files (linux/landlock.h).
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// Binding and connecting TCP sockets, from version 4 on.
const TCP: u64 = 3;
/// Connecting to abstract sockets and sending signals to processes outside, from
/// version 6 on.
const SCOPES: u64 = 3;

/// A file, or a directory with all that is below it, that may be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowed<'a> {
    /// Where it is; what doesn't exist is left out.
    pub path: &'a Path,
    /// For reading.
    pub read: bool,
    /// For writing, without truncating it.
    pub write: bool,
    /// Whether it is kept open. A rule is about an inode, and the kernel makes a new one
    /// for a directory of /proc when it has forgotten the old one, which it doesn't while
    /// the directory is open. Other file systems find the old inode again, and one that is
    /// kept open can't be unmounted.
    pub keep: bool,
}

/// struct landlock_ruleset_attr. A kernel that knows less takes the rest if it is 0.
#[repr(C)]
struct RulesetAttr {
    files: u64,
    net: u64,
    scopes: u64,
}

/// struct landlock_path_beneath_attr.
#[repr(C, packed)]
struct PathBeneathAttr {
    access: u64,
    parent: i32,
}

/// What is in force.
pub struct Landlock {
    /// The version of the kernel's interface.
    pub version: u32,
    _kept: Vec<OwnedFd>,
}

/// Lets this process and its children open `allowed` and nothing else, as far as the
/// kernel knows how to forbid it: no execution, no creation, removal, renaming or
/// truncation of files, no TCP, no signals to others. Files that are open stay open, and
/// sockets with paths can be connected to.
///
/// # Errors
/// ENOSYS and EOPNOTSUPP where the kernel has no Landlock or it is off; EPERM without
/// no_new_privs.
pub fn landlock(allowed: &[Allowed<'_>]) -> io::Result<Landlock> {
    let version = version()?;
    let files: u64 = match version {
        1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3 | 4 => (1 << 15) - 1,
        _ => (1 << 16) - 1,
    };
    let ruleset = create(&RulesetAttr {
        files,
        net: if version >= 4 { TCP } else { 0 },
        scopes: if version >= 6 { SCOPES } else { 0 },
    })?;
    let kept = allowed.iter().filter_map(|allowed| add(&ruleset, *allowed));
    let _kept = kept.collect();
    // SAFETY: numbers only; the descriptor is borrowed for the call.
    result(unsafe { libc::syscall(SYS_RESTRICT_SELF, ruleset.as_raw_fd(), 0) })?;
    Ok(Landlock { version, _kept })
}

fn version() -> io::Result<u32> {
    let none = std::ptr::null::<RulesetAttr>();
    // SAFETY: with this flag no attributes are read.
    let version =
        result(unsafe { libc::syscall(SYS_CREATE_RULESET, none, 0, CREATE_RULESET_VERSION) })?;
    Ok(version.unsigned_abs())
}

fn create(attr: &RulesetAttr) -> io::Result<OwnedFd> {
    let (attr, size) = (std::ptr::from_ref(attr), size_of::<RulesetAttr>());
    // SAFETY: the pointer is to a struct of that size; the new descriptor has no other
    // owner.
    unsafe {
        let fd = result(libc::syscall(SYS_CREATE_RULESET, attr, size, 0))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Adds a rule; the file if it is kept.
fn add(ruleset: &OwnedFd, allowed: Allowed<'_>) -> Option<OwnedFd> {
    let path = CString::new(allowed.path.as_os_str().as_bytes()).ok()?;
    // SAFETY: the path is a valid string for the call; the new descriptor has no other
    // owner.
    let file = unsafe {
        let fd = cerr(libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC)).ok()?;
        OwnedFd::from_raw_fd(fd)
    };
    let mut access = 0;
    if allowed.read {
        // only a directory can be listed
        access |= READ_FILE
            | if is_directory(file.as_fd()) {
                READ_DIR
            } else {
                0
            };
    }
    if allowed.write {
        access |= WRITE_FILE;
    }
    let attr = PathBeneathAttr {
        access,
        parent: file.as_raw_fd(),
    };
    let (ruleset, attr) = (ruleset.as_raw_fd(), std::ptr::from_ref(&attr));
    // SAFETY: the pointer is to a struct of this type of rule, valid for the call.
    let added = unsafe { libc::syscall(SYS_ADD_RULE, ruleset, RULE_PATH_BENEATH, attr, 0) };
    (result(added).is_ok() && allowed.keep).then_some(file)
}

fn result(returned: libc::c_long) -> io::Result<libc::c_int> {
    cerr(libc::c_int::try_from(returned).unwrap_or(-1))
}
