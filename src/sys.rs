//! The only unsafe code: thin safe functions over libc for what std doesn't
//! offer. They take borrowed descriptors and slices and return [`io::Result`].
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::time::{Micros, Moment};

/// -1 becomes the last OS error.
fn cerr(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

/// A slot of the poll array. Laid out as pollfd, so that an array of them is
/// what poll(2) takes.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Slot(libc::pollfd);

impl Slot {
    /// A slot that poll(2) passes over.
    pub const IDLE: Slot = Slot(libc::pollfd {
        fd: -1,
        events: 0,
        revents: 0,
    });

    /// Waits for `events` on `fd`. The descriptor is only borrowed for the call:
    /// whoever closes it takes it out of the array first, and poll(2) answers a
    /// stale number with POLLNVAL, not with undefined behaviour.
    pub fn new(fd: BorrowedFd<'_>, events: i16) -> Slot {
        Slot(libc::pollfd {
            fd: fd.as_raw_fd(),
            events,
            revents: 0,
        })
    }

    /// What poll(2) has seen.
    pub fn seen(&self) -> i16 {
        self.0.revents
    }
}

/// poll(2). A time-out is rounded up to whole milliseconds, or the last fraction
/// would spin. An interruption (SIGCONT) counts as nothing seen.
pub fn poll(slots: &mut [Slot], timeout: Option<Micros>) -> io::Result<()> {
    let timeout = match timeout {
        None => -1,
        Some(time) => i32::try_from(time.0.div_ceil(1000)).unwrap_or(i32::MAX),
    };
    // SAFETY: Slot is a transparent pollfd, and pointer and length are those of
    // one exclusively borrowed slice.
    let result = unsafe {
        libc::poll(
            slots.as_mut_ptr().cast::<libc::pollfd>(),
            slots.len() as libc::nfds_t,
            timeout,
        )
    };
    match cerr(result) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            for slot in slots {
                slot.0.revents = 0;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn clock(id: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writing. The clocks used here exist on every
    // Linux that has PSI, so the call can't fail; were it to, time stays 0.
    unsafe { libc::clock_gettime(id, &mut time) };
    time
}

fn micros(time: libc::timespec) -> u64 {
    (time.tv_sec as u64) * 1_000_000 + (time.tv_nsec as u64) / 1000
}

/// CLOCK_MONOTONIC.
pub fn now() -> Moment {
    Moment(micros(clock(libc::CLOCK_MONOTONIC)))
}

/// Time since boot, suspend included (CLOCK_BOOTTIME).
pub fn uptime() -> Micros {
    Micros(micros(clock(libc::CLOCK_BOOTTIME)))
}

/// Seconds since the epoch (CLOCK_REALTIME).
#[allow(clippy::unnecessary_cast)] // time_t is 32 bits wide on some targets
pub fn wall() -> i64 {
    clock(libc::CLOCK_REALTIME).tv_sec as i64
}

/// A point in local time, as RFC 3164 prints it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// 0 to 11.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

/// Local time by TZ or /etc/localtime (localtime_r(3)).
#[allow(clippy::unnecessary_cast)] // time_t is 32 bits wide on some targets
pub fn local(seconds: i64) -> Local {
    let time = libc::timespec {
        tv_sec: seconds as _,
        tv_nsec: 0,
    };
    let mut tm = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid, and a zeroed tm is a valid one (plain
    // numbers and a null zone name), which is what stays there on an error.
    let tm = unsafe {
        libc::localtime_r(&time.tv_sec, tm.as_mut_ptr());
        tm.assume_init()
    };
    Local {
        month: tm.tm_mon.clamp(0, 11) as u8,
        day: tm.tm_mday.clamp(1, 31) as u8,
        hour: tm.tm_hour.clamp(0, 23) as u8,
        minute: tm.tm_min.clamp(0, 59) as u8,
        second: tm.tm_sec.clamp(0, 60) as u8,
    }
}

/// Signals as a descriptor: those given are blocked and read from it.
pub struct Signals(File);

/// A signal that psilogd understands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM: stop.
    Term,
    /// SIGINT: stop.
    Int,
    /// SIGHUP: read the configuration again.
    Hup,
    /// SIGUSR1: log where every rule stands.
    Usr1,
}

const SIGNALS: [(libc::c_int, Signal); 4] = [
    (libc::SIGTERM, Signal::Term),
    (libc::SIGINT, Signal::Int),
    (libc::SIGHUP, Signal::Hup),
    (libc::SIGUSR1, Signal::Usr1),
];

impl Signals {
    /// Blocks TERM, INT, HUP and USR1 and opens the signalfd(2).
    pub fn new() -> io::Result<Signals> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set, the other calls get pointers
        // to it; the descriptor that signalfd returns is owned by nobody else.
        let fd = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for (number, _) in SIGNALS {
                libc::sigaddset(set.as_mut_ptr(), number);
            }
            cerr(libc::sigprocmask(
                libc::SIG_BLOCK,
                set.as_ptr(),
                std::ptr::null_mut(),
            ))?;
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            OwnedFd::from_raw_fd(cerr(libc::signalfd(-1, set.as_ptr(), flags))?)
        };
        Ok(Signals(File::from(fd)))
    }

    /// The next pending signal.
    pub fn take(&mut self) -> Option<Signal> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        loop {
            let read = self.0.read(&mut info).ok()?;
            // ssi_signo is the first field, a u32 (signalfd(2))
            let number = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
            let known = SIGNALS.iter().find(|(known, _)| *known as u32 == number);
            match known {
                Some((_, signal)) if read == info.len() => return Some(*signal),
                _ => continue,
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether CAP_SYS_RESOURCE is effective, in whatever user namespace: the
/// kernel's check of a trigger (psi_trigger_create) looks at no more.
pub fn has_sys_resource() -> bool {
    const VERSION_3: u32 = 0x2008_0522;
    const CAP_SYS_RESOURCE: u32 = 24;
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    // two of { effective, permitted, inheritable }
    let mut data = [0u32; 6];
    // SAFETY: capget(2) of version 3 writes two structs of three u32, which is
    // what `data` has room for; both pointers are valid for writing.
    let result = unsafe { libc::syscall(libc::SYS_capget, &mut header, data.as_mut_ptr()) };
    result == 0 && data[0] & (1 << CAP_SYS_RESOURCE) != 0
}

/// Standard output; open for as long as the process lives (std sees to that at
/// the start, and nobody here closes it).
// SAFETY: see above; 1 is never handed out for another file.
pub const STDOUT: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) };

/// Standard error, likewise.
// SAFETY: as for STDOUT.
pub const STDERR: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) };

/// How a unix socket carries messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketType {
    /// SOCK_DGRAM.
    Datagram,
    /// SOCK_STREAM.
    Stream,
}

/// A non-blocking unix socket, connected to a path of at most 107 bytes, or to an
/// abstract name, which begins with `@` in place of its NUL (unix(7)). A stream
/// whose listener's backlog is full gives EAGAIN, not a wait (unix(7)).
pub fn connect_unix(path: &str, kind: SocketType) -> io::Result<OwnedFd> {
    let kind = match kind {
        SocketType::Datagram => libc::SOCK_DGRAM,
        SocketType::Stream => libc::SOCK_STREAM,
    };
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers; the new descriptor is owned by nobody else.
    let socket =
        unsafe { OwnedFd::from_raw_fd(cerr(libc::socket(libc::AF_UNIX, kind | flags, 0))?) };
    let mut address = libc::sockaddr_un {
        sun_family: libc::AF_UNIX as libc::sa_family_t,
        sun_path: [0; 108],
    };
    if path.len() >= address.sun_path.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in address.sun_path.iter_mut().zip(path.bytes()) {
        *to = from as libc::c_char;
    }
    let mut length = size_of::<libc::sockaddr_un>();
    if path.starts_with('@') {
        // here the length tells where the name ends, not a NUL
        address.sun_path[0] = 0;
        length = std::mem::offset_of!(libc::sockaddr_un, sun_path) + path.len();
    }
    // SAFETY: the address is valid for reading with this length, which is at most
    // its size, and a path ends in a NUL because it is shorter than its field.
    cerr(unsafe {
        libc::connect(
            socket.as_raw_fd(),
            std::ptr::from_ref(&address).cast(),
            length as libc::socklen_t,
        )
    })?;
    Ok(socket)
}

/// send(2) that neither blocks nor raises SIGPIPE; how many bytes were taken.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: pointer and length are those of one borrowed slice.
    let sent = unsafe {
        libc::send(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            flags,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// write(2), which blocks if the descriptor does; how many bytes were taken.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of one borrowed slice.
    let written = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Whether a write would not block now.
pub fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut slots = [Slot::new(fd, libc::POLLOUT)];
    poll(&mut slots, Some(Micros::ZERO)).is_ok() && slots[0].seen() != 0
}

/// What stands behind a descriptor, as far as writing goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// A pipe.
    Pipe,
    /// A terminal or another character device.
    Device,
    /// A socket.
    Socket,
    /// A file, which never blocks.
    Other,
}

/// The kind, and device and inode numbers (fstat(2)).
pub fn file_kind(fd: BorrowedFd<'_>) -> (FileKind, (u64, u64)) {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the pointer is valid for writing, and a zeroed stat is a valid one,
    // which is what stays there on an error.
    let stat = unsafe {
        libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr());
        stat.assume_init()
    };
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFIFO => FileKind::Pipe,
        libc::S_IFCHR => FileKind::Device,
        libc::S_IFSOCK => FileKind::Socket,
        _ => FileKind::Other,
    };
    (kind, (stat.st_dev, stat.st_ino))
}

/// The same pipe or terminal as a new, non-blocking open file: O_NONBLOCK on the
/// descriptor itself would hold for every process that shares it.
pub fn reopen_nonblocking(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    Ok(file.into())
}

/// The host's name (gethostname(2)); empty if there is none.
pub fn hostname() -> Vec<u8> {
    let mut name = vec![0u8; 256];
    // SAFETY: pointer and length are those of the vector; one byte less, so that
    // a name that was cut still ends in a NUL.
    unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let length = name.iter().position(|&b| b == 0).unwrap_or_default();
    name.truncate(length);
    name
}

/// Keeps every page that has been touched, or will be, in memory. On-fault, so
/// that pages which nobody uses cost nothing.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: no pointers; locking changes nothing that Rust can see.
    cerr(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_ONFAULT) })?;
    Ok(())
}

/// Microseconds since the epoch (CLOCK_REALTIME).
pub fn wall_micros() -> u64 {
    micros(clock(libc::CLOCK_REALTIME))
}

/// The year of a point in local time; [`local`] has the rest.
pub fn local_year(seconds: i64) -> i64 {
    let mut tm = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: as in `local`.
    let tm = unsafe {
        libc::localtime_r(&(seconds as _), tm.as_mut_ptr());
        tm.assume_init()
    };
    i64::from(tm.tm_year) + 1900
}

/// A set of signals.
fn signal_set(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set, which then is only added to; a
    // number that is no signal is refused, not undefined.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

/// Whether whoever started us had the signal ignored, as nohup(1) has SIGHUP.
fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new action is set, and the old one is written to a zeroed
    // struct of its type, which is a valid one should the call fail.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Signals, by number, that are blocked and read from a descriptor.
pub struct Caught(File);

impl Caught {
    /// Blocks the signals, but for those that are ignored, and opens the
    /// signalfd(2).
    pub fn new(signals: &[libc::c_int]) -> io::Result<Caught> {
        let mut wanted = signals.to_vec();
        // SIGWINCH is ignored by default, but without SIG_IGN.
        wanted.retain(|signal| !is_ignored(*signal));
        let set = signal_set(&wanted);
        // SAFETY: the set is initialised and outlives the calls; the descriptor
        // that signalfd returns is owned by nobody else.
        let fd = unsafe {
            cerr(libc::sigprocmask(
                libc::SIG_BLOCK,
                &set,
                std::ptr::null_mut(),
            ))?;
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            OwnedFd::from_raw_fd(cerr(libc::signalfd(-1, &set, flags))?)
        };
        Ok(Caught(File::from(fd)))
    }

    /// The next pending signal's number.
    pub fn take(&mut self) -> Option<libc::c_int> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        self.0.read_exact(&mut info).ok()?;
        // ssi_signo is the first field, a u32 (signalfd(2))
        let number = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
        libc::c_int::try_from(number).ok()
    }
}

impl AsFd for Caught {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Does to this process what the signal does by default. For SIGSTOP that
/// returns when somebody continues it; for one that ends a process, only if that
/// can't be: then the caller exits on its own.
pub fn default_signal(signal: libc::c_int) {
    let set = signal_set(&[signal]);
    // SAFETY: no handler of ours exists, so that SIG_DFL replaces nothing that
    // Rust relies on; the set is initialised and outlives the call.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::raise(signal);
    }
}

/// Columns and lines of the terminal `fd`; None if it is none or doesn't tell
/// (TIOCGWINSZ).
pub fn window_size(fd: BorrowedFd<'_>) -> Option<(usize, usize)> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one winsize, which the pointer is valid for, and
    // the descriptor is borrowed for the call.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    let told = result == 0 && size.ws_col > 0 && size.ws_row > 0;
    told.then_some((usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// An inotify(7) instance that doesn't block; events are read from it.
pub fn inotify() -> io::Result<File> {
    // SAFETY: no pointers; the new descriptor is owned by nobody else.
    let fd = unsafe {
        let fd = cerr(libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK))?;
        OwnedFd::from_raw_fd(fd)
    };
    Ok(fd.into())
}

/// Watches a path; the watch's number, which is the old one if it was watched.
pub fn inotify_add(inotify: BorrowedFd<'_>, path: &CStr, mask: u32) -> io::Result<i32> {
    // SAFETY: the path is a valid string for the call.
    cerr(unsafe { libc::inotify_add_watch(inotify.as_raw_fd(), path.as_ptr(), mask) })
}

/// Removes a watch; one that is gone already is no matter.
pub fn inotify_remove(inotify: BorrowedFd<'_>, watch: i32) {
    // SAFETY: no pointers; a number that is no watch is refused.
    unsafe { libc::inotify_rm_watch(inotify.as_raw_fd(), watch) };
}

/// Opens a path for reading, relative to a directory if one is given.
pub fn open_at(directory: Option<BorrowedFd<'_>>, path: &CStr) -> io::Result<OwnedFd> {
    let directory = directory.map_or(libc::AT_FDCWD, |fd| fd.as_raw_fd());
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: the path is a valid string for the call; the new descriptor is owned
    // by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(cerr(libc::openat(directory, path.as_ptr(), flags))?) })
}

/// The next entries of a directory as the kernel writes them (getdents64(2)); how
/// many bytes they are, none at the end. std's reader allocates.
pub fn directory_entries(directory: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of one exclusively borrowed slice.
    let length = unsafe {
        libc::syscall(
            libc::SYS_getdents64,
            directory.as_raw_fd(),
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    };
    usize::try_from(length).map_err(|_| io::Error::last_os_error())
}

/// As many descriptors as the hard limit allows: the soft one, 1024 as a rule, is
/// for programs that use select(2).
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is valid for reading and writing; a refusal leaves the
    // limit as it was.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// So many descriptors are closed one after the other.
const CLOSED_IN_A_ROW: usize = 8;
/// Processes that help, at most.
const CLOSERS_MAX: usize = 64;

/// Closes descriptors of which each takes its time: a trigger's close waits for an
/// RCU grace period, and those who wait together wait once. So processes that
/// share our descriptor table close a part each; where none can be had, we do.
pub fn close_together(fds: Vec<OwnedFd>) {
    struct Part {
        fds: *const OwnedFd,
        count: usize,
    }
    extern "C" fn close(part: *mut libc::c_void) -> libc::c_int {
        // SAFETY: `part` is the Part given to clone below, and the array that it
        // points into outlives this process's copy of the memory. Every number is
        // in one part only, and nobody uses it any more.
        unsafe {
            let part = &*part.cast::<Part>();
            for index in 0..part.count {
                libc::close((*part.fds.add(index)).as_raw_fd());
            }
        }
        0
    }
    let share = fds.len().div_ceil(CLOSERS_MAX).max(CLOSED_IN_A_ROW);
    let mut stack = [0u128; 1024];
    let mut helpers = Vec::new();
    for chunk in fds.chunks(share) {
        let mut part = Part {
            fds: chunk.as_ptr(),
            count: chunk.len(),
        };
        let argument = std::ptr::from_mut(&mut part).cast();
        let top = stack.as_mut_ptr_range().end.cast();
        let flags = libc::CLONE_FILES | libc::SIGCHLD;
        // The last part, or the only one, is ours.
        let last = std::ptr::eq(chunk.as_ptr_range().end, fds.as_ptr_range().end);
        let pid = match last {
            true => -1,
            // SAFETY: without CLONE_VM the child runs `close` on its own copy of our
            // memory, stack and argument included, and makes no call but close(2).
            false => unsafe { libc::clone(close, top, flags, argument) },
        };
        match pid {
            -1 => drop(close(argument)),
            pid => helpers.push(pid),
        }
    }
    for pid in helpers {
        // SAFETY: no status is wanted; the child is ours and nobody else waits.
        while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } == -1
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
    // closed in every case, by the kernel's count
    fds.into_iter().for_each(std::mem::forget);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn poll_waits_at_least_as_long_as_it_was_told() {
        let start = now();
        assert!(poll(&mut [Slot::IDLE], Some(Micros(1_001))).is_ok());
        assert!(now().since(start) >= Micros(1_001));
    }

    #[test]
    fn poll_sees_what_is_there_and_passes_over_idle_slots() -> io::Result<()> {
        let (mut near, far) = UnixStream::pair()?;
        near.write_all(b"x")?;
        let mut slots = [Slot::IDLE, Slot::new(far.as_fd(), libc::POLLIN)];
        poll(&mut slots, None)?;
        assert_eq!((slots[0].seen(), slots[1].seen()), (0, libc::POLLIN));
        Ok(())
    }

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
