//! What a process gives up once everything is open: its user, its capabilities, new
//! privileges of what it might execute, and core dumps.

use std::io;

use super::cerr;
use super::process::{Capabilities, stay_lockable};

/// Numbers of a user and a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ids {
    /// The user.
    pub uid: u32,
    /// The group, without any supplementary ones.
    pub gid: u32,
}

/// Capabilities that are kept where the process has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// CAP_SYS_RESOURCE.
    pub sys_resource: bool,
    /// CAP_DAC_OVERRIDE.
    pub dac_override: bool,
}

/// Becomes this user, if one is given, and drops every capability but `kept`, for good.
/// A refusal to drop capabilities (a filter of system calls) is an error only if a user
/// is given: then they were root's.
///
/// # Errors
/// Of setgroups(2), setresgid(2), setresuid(2), prctl(2) and capset(2). The process may
/// then be half another user: the caller has to exit.
pub fn drop_privileges(user: Option<Ids>, kept: Kept) -> io::Result<()> {
    stay_lockable();
    let Some(ids) = user else {
        let _ = Capabilities::keep(kept);
        return Ok(());
    };
    if !is_already(ids) {
        // SAFETY: numbers only, and no list of groups where their count is 0.
        unsafe {
            cerr(libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0))?;
            cerr(libc::setgroups(0, std::ptr::null()))?;
            cerr(libc::setresgid(ids.gid, ids.gid, ids.gid))?;
            cerr(libc::setresuid(ids.uid, ids.uid, ids.uid))?;
        }
    }
    Capabilities::keep(kept)
}

/// Whether the effective user is root.
pub fn is_root() -> bool {
    // SAFETY: no arguments; the call can't fail.
    unsafe { libc::geteuid() == 0 }
}

/// Whether nothing is to be done to be this user.
fn is_already(ids: Ids) -> bool {
    let (mut uids, mut gids) = ([0; 3], [0; 3]);
    let ([a, b, c], [d, e, f]) = (&mut uids, &mut gids);
    // SAFETY: six pointers to numbers that are valid for writing.
    let results = unsafe { [libc::getresuid(a, b, c), libc::getresgid(d, e, f)] };
    results == [0; 2] && uids == [ids.uid; 3] && gids == [ids.gid; 3]
}

/// Nothing that this process executes has more privileges than it (prctl(2)); a filter
/// of system calls needs this.
pub fn no_new_privileges() -> io::Result<()> {
    // SAFETY: numbers only.
    cerr(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    Ok(())
}

/// Writes no core dump, which would hold the configuration. A limit of 0 would do for a
/// file only; 1 is less than a file needs, and the kernel takes it for "none" where
/// kernel.core_pattern is a program (fs/coredump.c).
pub fn no_core_dump() {
    let limit = libc::rlimit {
        rlim_cur: 1,
        rlim_max: 1,
    };
    // SAFETY: the pointer is valid for reading; a refusal leaves the limit as it was,
    // which then is 0.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &limit) };
}
