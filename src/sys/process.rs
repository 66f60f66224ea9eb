//! The process as a whole: its capabilities, its limits, its memory, and children that
//! close descriptors.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::cerr;
use super::privilege::Kept;

thread_local! {
    /// Whether CAP_SYS_RESOURCE is effective, once it was asked for.
    static SYS_RESOURCE: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Whether CAP_SYS_RESOURCE is effective, in whatever user namespace: the
/// kernel's check of a trigger (psi_trigger_create) looks at no more. The kernel is asked
/// once, and after each change of the sets.
pub fn has_sys_resource() -> bool {
    let known = SYS_RESOURCE.get();
    let has =
        known.unwrap_or_else(|| Capabilities::get().is_ok_and(|sets| sets.has_sys_resource()));
    SYS_RESOURCE.set(Some(has));
    has
}

/// In bytes.
pub fn page_size() -> usize {
    // SAFETY: no pointers.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.unsigned_abs() as usize
}

/// Keeps every page that has been touched, or will be, in memory. On-fault, so that
/// pages that are never used cost nothing.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: no pointers; locking changes nothing that Rust can see.
    cerr(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_ONFAULT) })?;
    Ok(())
}

// Read so that cargo builds anew where only the layout has changed.
#[cfg(static_layout)]
const _: &[u8] = include_bytes!("../../packaging/static.ld");

// Where packaging/static.ld has put the code: all other before what runs from an event to
// its line.
#[cfg(static_layout)]
unsafe extern "C" {
    static first_code: u8;
    static event_code: u8;
    static etext: u8;
}

/// Lets go of all locks, and of the code and the stack that only the start needed. What
/// is needed again comes back when it is used: from the page cache, or from the disk.
#[cfg(static_layout)]
#[inline(never)] // the caller's frame could reach below `here`
pub fn forget_start() {
    /// Bytes of stack that a start may have used.
    const STACK: usize = 128 * 1024;
    let here = 0u8;
    let stack = (&raw const here).wrapping_sub(2 * 4096);
    // SAFETY: the code is readable, mapped from its file, and never written.
    // Below this function's frame the stack holds nothing, and nothing else is that near:
    // the kernel leaves a gap (mm/mmap.c, stack_guard_gap).
    unsafe {
        libc::munlockall();
        touch(&raw const event_code, &raw const etext);
        forget(&raw const first_code, &raw const event_code);
        forget(stack.wrapping_sub(STACK), stack);
    }
}

/// Reads a byte of every page.
///
/// # Safety
/// All of it has to be readable.
#[cfg(static_layout)]
unsafe fn touch(from: *const u8, to: *const u8) {
    for offset in (0..to as usize - from as usize).step_by(4096) {
        // SAFETY: as the caller promises.
        unsafe { from.add(offset).read_volatile() };
    }
}

/// Lets go of the pages that lie within.
///
/// # Safety
/// Nothing between them is lost with its pages.
#[cfg(static_layout)]
unsafe fn forget(from: *const u8, to: *const u8) {
    let page = page_size();
    let whole = |address: *const u8| address.map_addr(|address| address & !(page - 1));
    let (from, to) = (whole(from.wrapping_add(page - 1)), whole(to));
    // SAFETY: as the caller promises.
    unsafe {
        libc::madvise(
            from.cast_mut().cast(),
            to as usize - from as usize,
            libc::MADV_DONTNEED,
        )
    };
}

/// Nothing: only packaging/static.ld says where what is.
#[cfg(not(static_layout))]
pub fn forget_start() {}

/// RLIMIT_NOFILE, which also is the longest array that poll(2) takes.
fn descriptor_limits() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is valid for writing.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    (result == 0).then_some(limit)
}

/// The soft limit of descriptors; None if it can't be had.
pub fn descriptor_limit() -> Option<usize> {
    usize::try_from(descriptor_limits()?.rlim_cur).ok()
}

/// As many descriptors as the hard limit allows: the soft one, 1024 as a rule, is
/// for programs that use select(2).
pub fn raise_descriptor_limit() {
    if let Some(mut limit) = descriptor_limits() {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the pointer is valid for reading; a refusal leaves the limit as it was.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    }
}

/// Descriptors that triggers leave free: for outputs that are opened again, the
/// configuration, inotify, the search for the most-stalled cgroup, and evidence.
const RESERVE: u64 = 10;

/// Whether fewer descriptors than the reserve are left below this one, which was just
/// opened: open(2) takes the lowest free number. Of a limit under 30 the reserve is a
/// third, so that something is watched at all.
pub fn is_in_reserve(fd: BorrowedFd<'_>) -> bool {
    descriptor_limits().is_some_and(|limit| {
        let reserve = RESERVE.min(limit.rlim_cur / 3);
        fd.as_raw_fd() as u64 >= limit.rlim_cur - reserve
    })
}

/// Before CAP_IPC_LOCK is dropped: lets memory be locked without it too, where the limit
/// may be raised.
pub(super) fn stay_lockable() {
    let may_lock = |sets: Capabilities| sets.0[0] & Capabilities::IPC_LOCK != 0;
    if !Capabilities::get().is_ok_and(may_lock) {
        return;
    }
    let all = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the pointer is valid for reading; a refusal leaves the limit as it was.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &all) };
}

/// So many descriptors are closed one after the other.
const CLOSED_IN_A_ROW: usize = 8;
/// Processes that help, at most.
const CLOSERS_MAX: usize = 64;

/// Closes descriptors together: each close of a trigger waits for an RCU grace period
/// of the kernel, and closes that wait at the same time wait once. So child processes
/// that share the descriptor table close a part each; where none can be created, this
/// process closes the part itself.
pub fn close_together(fds: Vec<OwnedFd>) {
    let share = fds.len().div_ceil(CLOSERS_MAX).max(CLOSED_IN_A_ROW);
    let mut parts = fds.chunks(share);
    // the last part, or the only one, is this process's own
    let own = parts.next_back().unwrap_or_default();
    let children: Vec<_> = parts.filter_map(close_in_child).collect();
    close_all(own);
    for pid in children {
        // SAFETY: no status is wanted; the child is this process's, which has no other
        // thread that waits.
        while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } == -1
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
    // closed in every case, by the kernel's count
    fds.into_iter().for_each(std::mem::forget);
}

/// Closes the descriptors of the caller, who forgets them.
fn close_all(fds: &[OwnedFd]) {
    for fd in fds {
        // SAFETY: close_together hands every descriptor to one call only, here or in a
        // child, and forgets its owner afterwards: none is used or closed again.
        unsafe { libc::close(fd.as_raw_fd()) };
    }
}

/// Starts a child that closes these descriptors; its pid. Where there can be none, they
/// are closed already.
fn close_in_child(mut fds: &[OwnedFd]) -> Option<libc::pid_t> {
    extern "C" fn run(fds: *mut libc::c_void) -> libc::c_int {
        // SAFETY: `fds` is the address of the slice given to clone below, valid in this
        // child's copy of the memory.
        close_all(unsafe { *fds.cast::<&[OwnedFd]>() });
        0
    }
    let mut stack = [0u128; 1024];
    let top = stack.as_mut_ptr_range().end.cast();
    let flags = libc::CLONE_FILES | libc::SIGCHLD;
    // SAFETY: without CLONE_VM the child runs `run` on its own copy of the memory, stack
    // and argument included, and makes no call but close(2).
    let pid = unsafe { libc::clone(run, top, flags, std::ptr::from_mut(&mut fds).cast()) };
    if pid == -1 {
        close_all(fds);
        return None;
    }
    Some(pid)
}

/// The sets of capabilities as capget(2) and capset(2) of version 3 have them: two
/// structs of effective, permitted and inheritable, for the numbers from 0 and from
/// 32 on.
#[derive(Clone, Copy)]
pub(super) struct Capabilities([u32; 6]);

impl Capabilities {
    const SYS_RESOURCE: u32 = 1 << 24;
    const IPC_LOCK: u32 = 1 << 14;
    const DAC_OVERRIDE: u32 = 1 << 1;
    const DAC_READ_SEARCH: u32 = 1 << 2;

    /// The header's version and process: _LINUX_CAPABILITY_VERSION_3, this thread.
    const fn header() -> [u32; 2] {
        [0x2008_0522, 0]
    }

    fn get() -> io::Result<Capabilities> {
        let (mut header, mut sets) = (Self::header(), [0; 6]);
        // SAFETY: the header is two 32-bit numbers, and version 3 writes six, which is
        // what there is room for; both pointers are valid for the call.
        let result =
            unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) };
        match result {
            0 => Ok(Capabilities(sets)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn has_sys_resource(&self) -> bool {
        self.0[0] & Capabilities::SYS_RESOURCE != 0
    }

    /// Drops for good all but these, which are kept where they are permitted.
    pub(super) fn keep(kept: Kept) -> io::Result<()> {
        let mut mask = 0;
        if kept.sys_resource {
            mask |= Capabilities::SYS_RESOURCE;
        }
        if kept.dac_override {
            mask |= Capabilities::DAC_OVERRIDE;
        }
        Capabilities::get()?.masked(mask).set()
    }

    /// Of those permitted only these, effective and not inheritable. All of them are
    /// among the first 32.
    fn masked(&self, mask: u32) -> Capabilities {
        let permitted = self.0[1] & mask;
        Capabilities([permitted, permitted, 0, 0, 0, 0])
    }

    /// Puts them in force for this thread.
    fn set(&self) -> io::Result<()> {
        SYS_RESOURCE.set(None);
        let mut header = Self::header();
        // SAFETY: as in `get`, but that the six numbers are only read.
        let result =
            unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), self.0.as_ptr()) };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Calls `open` without CAP_SYS_RESOURCE in this thread's effective set, and restores
/// the set. The kernel judges a trigger by the credentials that its file was opened
/// with, whoever writes to it later. If the capability can't be dropped, `open` is not
/// called, and the error is that of capset(2); if it can't be restored, it is gone, as
/// [`has_sys_resource`] then says.
pub fn without_sys_resource<T>(open: impl FnOnce() -> T) -> io::Result<T> {
    if !has_sys_resource() {
        return Ok(open());
    }
    let before = Capabilities::get()?;
    let mut dropped = before;
    dropped.0[0] &= !Capabilities::SYS_RESOURCE;
    dropped.set()?;
    let opened = open();
    let _ = before.set();
    Ok(opened)
}

/// Drops for good what isn't needed to read files that belong to others. For a child
/// process: a filter of system calls may refuse it.
pub(super) fn keep_reading_capabilities() -> io::Result<()> {
    let reading = Capabilities::DAC_OVERRIDE | Capabilities::DAC_READ_SEARCH;
    Capabilities::get()?.masked(reading).set()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    /// The other end of a socket reads its end once every copy of this end is closed.
    /// The largest number is beyond what CLOSERS_MAX processes close in the smallest
    /// parts, and within the usual limit of 1024 descriptors.
    #[test]
    fn what_is_closed_together_is_closed() -> io::Result<()> {
        for count in [0, 1, 8, 9, 100, 600] {
            let (mut near, far) = UnixStream::pair()?;
            let copies: io::Result<Vec<_>> = (0..count).map(|_| far.try_clone()).collect();
            drop(far);
            close_together(copies?.into_iter().map(OwnedFd::from).collect());
            near.set_read_timeout(Some(std::time::Duration::from_secs(60)))?;
            assert_eq!(near.read(&mut [0])?, 0, "{count} copies");
        }
        Ok(())
    }

    #[test]
    fn capability_is_what_proc_says() -> io::Result<()> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let effective = u64::from_str_radix(effective.unwrap_or_default().trim(), 16);
        assert_eq!(
            effective.map(|caps| caps >> 24 & 1 == 1),
            Ok(has_sys_resource())
        );
        Ok(())
    }
}
