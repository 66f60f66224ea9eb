//! Descriptors of files, pipes, terminals and directories.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::cerr;

/// Standard output; open for as long as the process lives (std sees to that at
/// the start, and psilogd never closes it).
// SAFETY: see above; 1 is never handed out for another file.
pub const STDOUT: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) };

/// Standard error, likewise.
// SAFETY: as for STDOUT.
pub const STDERR: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) };

/// write(2), which blocks if the descriptor does; how many bytes were taken.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of one borrowed slice.
    let written = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// What a descriptor leads to, as far as writing is concerned.
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

/// Descriptors from 3 on, so many, that whoever started this process passes on
/// (sd_listen_fds(3)); None for one that isn't open. None of them is passed on further.
/// To be called once, before anything else is opened.
pub fn passed_descriptors(count: usize) -> Vec<Option<OwnedFd>> {
    /// More are not looked at.
    const MOST: usize = 256;
    let fds = (3..).take(count.min(MOST));
    fds.map(|fd| {
        // SAFETY: a number that is not open is refused. The others have no owner here:
        // they were open before this program began, and the caller asks once.
        unsafe {
            let set = libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            (set == 0).then(|| OwnedFd::from_raw_fd(fd))
        }
    })
    .collect()
}

fn stat(fd: BorrowedFd<'_>) -> libc::stat {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the pointer is valid for writing, and a zeroed stat is a valid one,
    // which is what stays there on an error.
    unsafe {
        libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr());
        stat.assume_init()
    }
}

/// Whether it is a directory (fstat(2)).
pub fn is_directory(fd: BorrowedFd<'_>) -> bool {
    stat(fd).st_mode & libc::S_IFMT == libc::S_IFDIR
}

/// The kind, and device and inode numbers (fstat(2)).
pub fn file_kind(fd: BorrowedFd<'_>) -> (FileKind, (u64, u64)) {
    let stat = stat(fd);
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

/// Columns and lines of the terminal `fd`; None if it is no terminal or
/// reports no size (TIOCGWINSZ).
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
    let known = result == 0 && size.ws_col > 0 && size.ws_row > 0;
    known.then_some((usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// Opens a path for reading, relative to a directory if one is given.
pub fn open_at(directory: Option<BorrowedFd<'_>>, path: &CStr) -> io::Result<OwnedFd> {
    let directory = directory.map_or(libc::AT_FDCWD, |fd| fd.as_raw_fd());
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: the path is a valid string for the call; the new descriptor has no
    // other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(cerr(libc::openat(directory, path.as_ptr(), flags))?) })
}

/// Opens an existing file, with the flags of open(2); it is closed on exec. One system
/// call: musl's open(3), which std calls, makes a second one.
pub fn open(path: &Path, flags: libc::c_int) -> io::Result<File> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let flags = flags | libc::O_CLOEXEC;
    loop {
        // SAFETY: the path is a valid string for the call.
        match cerr(unsafe { libc::openat(libc::AT_FDCWD, path.as_ptr(), flags) }) {
            // SAFETY: the new descriptor has no other owner.
            Ok(fd) => return Ok(unsafe { File::from_raw_fd(fd) }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
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

/// A terminal's modes, as they were found (termios(3)).
#[derive(Clone, Copy)]
pub struct TerminalMode(libc::termios);

impl TerminalMode {
    /// The modes in force.
    ///
    /// # Errors
    /// ENOTTY where `fd` is no terminal, EIO where it has been hung up.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<TerminalMode> {
        let mut mode = MaybeUninit::<libc::termios>::zeroed();
        // SAFETY: tcgetattr writes one termios, which the pointer is valid for; a
        // zeroed one is valid too, should the call fail.
        let (result, mode) = unsafe {
            let result = libc::tcgetattr(fd.as_raw_fd(), mode.as_mut_ptr());
            (result, mode.assume_init())
        };
        cerr(result)?;
        Ok(TerminalMode(mode))
    }

    /// The same, but every key is read at once and not echoed. Keys that send
    /// signals (^C, ^Z) still do, and output is unchanged.
    #[must_use]
    pub fn key_by_key(mut self) -> TerminalMode {
        self.0.c_lflag &= !(libc::ICANON | libc::ECHO);
        self.0.c_cc[libc::VMIN] = 1;
        self.0.c_cc[libc::VTIME] = 0;
        self
    }

    /// Puts these modes in force. The kernel stops a process that asks for this in
    /// the background (SIGTTOU): see [`is_in_foreground`].
    ///
    /// # Errors
    /// As for [`TerminalMode::of`].
    pub fn set(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: the pointer is to a termios that the kernel filled in, borrowed
        // for the call.
        cerr(unsafe { libc::tcsetattr(fd.as_raw_fd(), libc::TCSANOW, &self.0) })?;
        Ok(())
    }
}

/// Whether a terminal's keys and modes are this process's at the moment, which
/// they are not for a job in the background.
///
/// # Errors
/// ENOTTY where `fd` is not the controlling terminal.
pub fn is_in_foreground(fd: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: no pointers; the descriptor is borrowed for the calls.
    let (group, ours) = unsafe { (libc::tcgetpgrp(fd.as_raw_fd()), libc::getpgrp()) };
    Ok(cerr(group)? == ours)
}
