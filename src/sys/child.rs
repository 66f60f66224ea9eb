//! A child process that does slow work: it runs a function of this program and is
//! reached through a socket.

use std::ffi::CStr;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::process::{keep_reading_capabilities, page_size};
use super::{cerr, lock_memory, open};

/// A child process, until its end was noticed.
pub struct Child(libc::pid_t);

impl Child {
    /// Whether it has ended. Then nothing is left of it, not even a zombie, and its
    /// number means nothing any more. Doesn't wait.
    pub fn is_over(&self) -> bool {
        // SAFETY: no status is wanted. An error is ECHILD: whoever started this process
        // had it ignore SIGCHLD, and the kernel has removed the child itself.
        unsafe { libc::waitpid(self.0, std::ptr::null_mut(), libc::WNOHANG) != 0 }
    }
}

/// Starts a child that calls `run` with its end of a socket and ends when that returns;
/// the other end, which keeps the limits of messages. The child has the `name` in
/// /proc/PID/comm, no other descriptor, no capability but to read what it may not, and
/// its memory locked where this is allowed. It blocks the signals that are blocked here.
/// It is killed when this process ends.
///
/// # Errors
/// Of socketpair(2) and fork(2).
pub fn start_child(name: &CStr, run: impl FnOnce(BorrowedFd<'_>)) -> io::Result<(OwnedFd, Child)> {
    let (near, far) = socket_pair()?;
    // SAFETY: the child gets a copy of the memory and its only thread. libc's fork()
    // leaves its allocator usable there. The child never returns from the branch below.
    match cerr(unsafe { libc::fork() })? {
        0 => {
            let child = || {
                isolate(name, far.as_raw_fd());
                run(far.as_fd());
            };
            // a panic must not go on in the daemon's loop
            let _ = catch_unwind(AssertUnwindSafe(child));
            // SAFETY: ends the child at once, without the parent's exit handlers.
            unsafe { libc::_exit(0) }
        }
        pid => Ok((near, Child(pid))),
    }
}

/// Makes all memory this process's own that it has written, after [`start_child`]. A page
/// that is shared with a child is copied when it is written next, and for that the kernel
/// needs a page, which is waited for where memory is short.
///
/// # Errors
/// Where there is no /proc/self/maps (proc_pid_maps(5)).
#[cold]
#[inline(never)] // not among what runs with an event
pub fn own_memory() -> io::Result<()> {
    let file = open(Path::new("/proc/self/maps"), libc::O_RDONLY)?;
    let mut maps = Vec::with_capacity(4 * 1024);
    file.take(u64::MAX).read_to_end(&mut maps)?;
    for line in maps.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b' ');
        let (range, rights) = (fields.next(), fields.next());
        if let (Some(range), Some(b"rw-p")) = (range.and_then(addresses), rights) {
            own_pages(range);
        }
    }
    Ok(())
}

/// `FROM-TO` in hexadecimal digits.
fn addresses(range: &[u8]) -> Option<Range<usize>> {
    let (from, to) = std::str::from_utf8(range).ok()?.split_once('-')?;
    let number = |digits| usize::from_str_radix(digits, 16).ok();
    Some(number(from)?..number(to)?)
}

/// Writes what is there to all pages that are in use.
fn own_pages(range: Range<usize>) {
    /// So many are looked at in one call.
    const PAGES: usize = 256;
    let page = page_size();
    for from in range.clone().step_by(page * PAGES) {
        let mut used = [0; PAGES];
        let length = (range.end - from).min(page * PAGES);
        let from = std::ptr::with_exposed_provenance_mut::<u8>(from);
        // SAFETY: there is a byte for each page; what is no memory is refused.
        if unsafe { libc::mincore(from.cast(), length, used.as_mut_ptr()) } != 0 {
            continue;
        }
        for (index, _) in used.iter().enumerate().filter(|(_, used)| **used & 1 != 0) {
            let byte = from.wrapping_add(index * page);
            // SAFETY: it is there, and may be written. It keeps its value: this process
            // has one thread.
            unsafe { byte.write_volatile(byte.read_volatile()) };
        }
    }
}

/// Two ends that keep messages apart; the end of one shows at the other.
fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [RawFd; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the pointer is to room for two descriptors, which have no other owner
    // once the call has succeeded.
    unsafe {
        cerr(libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()))?;
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
}

/// Gives up what the child doesn't need. All of it may be refused.
fn isolate(name: &CStr, kept: RawFd) {
    let _ = keep_reading_capabilities();
    // SAFETY: the name outlives the call; the signal is a number. The capabilities are
    // dropped before, as that can reset the signal (prctl(2)).
    unsafe {
        libc::prctl(libc::PR_SET_NAME, name.as_ptr());
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    close_all_but(kept);
    let _ = lock_memory();
}

/// Closes every other descriptor, standard output included: its reader waits for the
/// end of the daemon.
fn close_all_but(kept: RawFd) {
    let kept = kept.unsigned_abs();
    if let Some(last) = kept.checked_sub(1) {
        close_range(0, last);
    }
    close_range(kept + 1, u32::MAX);
}

/// close_range(2); where that isn't known (before Linux 5.9), one after the other.
fn close_range(first: u32, last: u32) {
    /// More than a daemon has descriptors.
    const MANY: u32 = 1 << 20;
    // SAFETY: the owners of these descriptors are copies of the parent's objects, which
    // this child never uses: it ends by _exit(2).
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, last, 0) == 0 {
            return;
        }
        for fd in first..=last.min(MANY) {
            libc::close(fd as libc::c_int);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{default_signal, receive, receive_now, send};

    fn echo(socket: BorrowedFd<'_>) {
        let mut buffer = [0; 64];
        while let Ok(length @ 1..) = receive(socket, &mut buffer) {
            let open = std::fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count());
            // the directory itself is one more
            buffer[length] = u8::try_from(open - 1).unwrap();
            let _ = send(socket, &buffer[..=length]);
        }
    }

    #[test]
    fn addresses_of_a_mapping() {
        assert_eq!(addresses(b"7f00-7fff0"), Some(0x7f00..0x7fff0));
        for wrong in [&b""[..], b"7f00", b"7f00-", b"-7f00", b"7g-7f", b"\xff-1"] {
            assert_eq!(addresses(wrong), None, "{wrong:?}");
        }
    }

    fn wait_for(child: &Child) {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !child.is_over() {
            assert!(std::time::Instant::now() < end);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    #[test]
    fn it_has_one_descriptor_and_a_name_and_ends_with_the_socket() -> io::Result<()> {
        let (socket, child) = start_child(c"psilogd-echo", echo)?;
        assert_eq!(send(socket.as_fd(), b"abc")?, 3);
        let mut buffer = [0; 8];
        assert_eq!(receive(socket.as_fd(), &mut buffer)?, 4);
        assert_eq!(&buffer[..4], b"abc\x01");
        let comm = std::fs::read_to_string(format!("/proc/{}/comm", child.0))?;
        assert_eq!(comm, "psilogd-echo\n");
        let error = receive_now(socket.as_fd(), &mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(!child.is_over());
        drop(socket);
        wait_for(&child);
        assert!(!Path::new(&format!("/proc/{}", child.0)).exists());
        Ok(())
    }

    #[test]
    fn the_end_of_a_child_shows_at_the_socket() -> io::Result<()> {
        let (socket, child) = start_child(c"psilogd-gone", |socket| {
            let _ = receive(socket, &mut [0; 8]);
            default_signal(libc::SIGKILL);
        })?;
        assert_eq!(send(socket.as_fd(), b"x")?, 1);
        // ECONNRESET where it left a message unread
        let ended = receive(socket.as_fd(), &mut [0; 8]);
        assert!(ended.as_ref().is_ok_and(|length| *length == 0), "{ended:?}");
        wait_for(&child);
        assert!(send(socket.as_fd(), b"x").is_err());
        Ok(())
    }
}
