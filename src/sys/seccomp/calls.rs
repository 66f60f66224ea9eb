//! The system calls that psilogd and psilogd-top make once they are fenced in, with
//! musl and with glibc. What only one machine has is at the end.
#![cfg_attr(
    not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64"
    )),
    allow(dead_code, unused_imports)
)]

/// What is asked of a call's arguments.
#[derive(Clone, Copy)]
pub(super) enum Check {
    /// Nothing.
    Always,
    /// That this argument, counted from 0, has one of these values.
    OneOf(u32, &'static [u32]),
    /// That it has none of these bits.
    Without(u32, u32),
}

use Check::{Always, OneOf, Without};

/// AUDIT_ARCH_* (linux/audit.h) where the list is right.
pub(super) const ARCH: Option<u32> = match () {
    () if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) => Some(0xc000_003e),
    () if cfg!(all(target_arch = "aarch64", target_endian = "little")) => Some(0xc000_00b7),
    () if cfg!(all(target_arch = "arm", target_endian = "little")) => Some(0x4000_0028),
    () if cfg!(target_arch = "riscv64") => Some(0xc000_00f3),
    () => None,
};

const UNIX_AND_IP: &[u32] = &[
    libc::AF_UNIX as u32,
    libc::AF_INET as u32,
    libc::AF_INET6 as u32,
];
/// FIONBIO; TCGETS and TIOCGWINSZ, by which libc looks for a terminal.
const IOCTLS: &[u32] = &[0x5421, 0x5401, 0x5413];
const PRCTLS: &[u32] = &[libc::PR_SET_NAME as u32, libc::PR_SET_PDEATHSIG as u32];
const EXECUTABLE: u32 = libc::PROT_EXEC as u32;
/// CLONE_NEW*: no new namespaces.
const NAMESPACES: u32 = 0x7e02_0000;

/// Of another machine nothing is known, not even whether it has these calls.
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "riscv64"
)))]
pub(super) const CALLS: &[(libc::c_long, Check)] = &[];

#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "riscv64"
))]
pub(super) const CALLS: &[(libc::c_long, Check)] = &[
    (libc::SYS_read, Always),
    (libc::SYS_pread64, Always),
    (libc::SYS_write, Always),
    (libc::SYS_writev, Always),
    (libc::SYS_sendto, Always),
    (libc::SYS_sendmsg, Always),
    (libc::SYS_recvfrom, Always),
    (libc::SYS_ppoll, Always),
    (libc::SYS_clock_gettime, Always),
    // where poll(2) or the signalfd fails
    (libc::SYS_clock_nanosleep, Always),
    (libc::SYS_nanosleep, Always),
    (libc::SYS_rt_sigtimedwait, Always),
    (libc::SYS_prlimit64, Always),
    (libc::SYS_close, Always),
    (libc::SYS_lseek, Always),
    (libc::SYS_fcntl, Always),
    (libc::SYS_ioctl, OneOf(1, IOCTLS)),
    // files, cgroups
    (libc::SYS_openat, Always),
    (libc::SYS_fstat, Always),
    (libc::SYS_statx, Always),
    (libc::SYS_getdents64, Always),
    (libc::SYS_inotify_init1, Always),
    (libc::SYS_inotify_add_watch, Always),
    (libc::SYS_inotify_rm_watch, Always),
    (libc::SYS_capget, Always),
    (libc::SYS_capset, Always),
    // outputs
    (libc::SYS_socket, OneOf(0, UNIX_AND_IP)),
    (libc::SYS_connect, Always),
    (libc::SYS_bind, Always),
    (libc::SYS_getsockopt, Always),
    (libc::SYS_uname, Always),
    // memory
    #[cfg(not(target_arch = "arm"))]
    (libc::SYS_mmap, Without(2, EXECUTABLE)),
    (libc::SYS_mprotect, Without(2, EXECUTABLE)),
    (libc::SYS_munmap, Always),
    (libc::SYS_mremap, Always),
    (libc::SYS_madvise, Always),
    (libc::SYS_mincore, Always),
    (libc::SYS_brk, Always),
    (libc::SYS_mlockall, Always),
    (libc::SYS_munlockall, Always),
    // the search, the processes that close triggers, the end
    (libc::SYS_clone, Without(0, NAMESPACES)),
    (libc::SYS_socketpair, OneOf(0, UNIX_AND_IP)),
    (libc::SYS_prctl, OneOf(0, PRCTLS)),
    (libc::SYS_close_range, Always),
    (libc::SYS_wait4, Always),
    (libc::SYS_exit, Always),
    (libc::SYS_exit_group, Always),
    // what libc and Rust's library do on their own
    (libc::SYS_rt_sigaction, Always),
    (libc::SYS_rt_sigprocmask, Always),
    (libc::SYS_rt_sigreturn, Always),
    (libc::SYS_sigaltstack, Always),
    (libc::SYS_restart_syscall, Always),
    (libc::SYS_futex, Always),
    (libc::SYS_getpid, Always),
    (libc::SYS_gettid, Always),
    (libc::SYS_set_tid_address, Always),
    (libc::SYS_set_robust_list, Always),
    (libc::SYS_getrandom, Always),
    // machines
    #[cfg(not(target_arch = "arm"))]
    (libc::SYS_newfstatat, Always),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, Always),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, Always),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lstat, Always),
    #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
    (libc::SYS_poll, Always),
    #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
    (libc::SYS_fork, Always),
    #[cfg(target_arch = "arm")]
    (libc::SYS_open, Always),
    #[cfg(target_arch = "arm")]
    (libc::SYS_mmap2, Without(2, EXECUTABLE)),
    #[cfg(target_arch = "arm")]
    (libc::SYS__llseek, Always),
    #[cfg(target_arch = "arm")]
    (libc::SYS_fcntl64, Always),
    #[cfg(target_arch = "arm")]
    (libc::SYS_stat64, Always),
    #[cfg(target_arch = "arm")]
    (libc::SYS_lstat64, Always),
    #[cfg(target_arch = "arm")]
    (libc::SYS_fstat64, Always),
    #[cfg(target_arch = "arm")]
    (libc::SYS_fstatat64, Always),
    #[cfg(target_arch = "arm")]
    (libc::SYS_send, Always),
    #[cfg(target_arch = "arm")]
    (libc::SYS_recv, Always),
    #[cfg(target_arch = "arm")]
    (libc::SYS_sigreturn, Always),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_getrlimit, Always),
    #[cfg(target_arch = "arm")]
    (libc::SYS_ugetrlimit, Always),
    #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
    (libc::SYS_setrlimit, Always),
    // clock_gettime64, clock_nanosleep_time64, ppoll_time64, rt_sigtimedwait_time64 and
    // futex_time64, which some versions of the libc crate don't name
    #[cfg(target_arch = "arm")]
    (403, Always),
    #[cfg(target_arch = "arm")]
    (407, Always),
    #[cfg(target_arch = "arm")]
    (421, Always),
    #[cfg(target_arch = "arm")]
    (414, Always),
    #[cfg(target_arch = "arm")]
    (422, Always),
];
