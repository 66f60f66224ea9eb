//! Signals as a descriptor (signalfd(2)), and what they do by default.

use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use super::cerr;

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
/// SIGWINCH is ignored by default, but without SIG_IGN.
pub fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new action is set, and the old one is written to a zeroed
    // struct of its type, which is a valid one should the call fail.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Has a signal no effect, in children as well.
pub fn ignore(signal: libc::c_int) {
    // SAFETY: no handler of ours exists, so that SIG_IGN replaces nothing.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Signals, by number, that are blocked and read from a descriptor.
pub struct Signals {
    file: File,
    set: libc::sigset_t,
}

impl Signals {
    /// Blocks the signals and opens the signalfd(2).
    pub fn new(signals: &[libc::c_int]) -> io::Result<Signals> {
        let set = signal_set(signals);
        // SAFETY: the set is initialised and outlives the calls; the descriptor
        // that signalfd returns has no other owner.
        let fd = unsafe {
            cerr(libc::sigprocmask(
                libc::SIG_BLOCK,
                &set,
                std::ptr::null_mut(),
            ))?;
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            OwnedFd::from_raw_fd(cerr(libc::signalfd(-1, &set, flags))?)
        };
        let file = File::from(fd);
        Ok(Signals { file, set })
    }

    /// The next pending signal's number. One that can't be read would be there for ever,
    /// and poll(2) would not wait: it is taken without the descriptor, whatever the error
    /// says.
    pub fn take(&mut self) -> Option<libc::c_int> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        match self.file.read(&mut info) {
            Ok(length) if length == info.len() => {
                // ssi_signo is the first field, a u32 (signalfd(2))
                let number = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
                libc::c_int::try_from(number).ok()
            }
            _ => self.take_pending(),
        }
    }

    /// sigtimedwait(2), without waiting.
    fn take_pending(&self) -> Option<libc::c_int> {
        let none = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the set is initialised, and no information on the signal is asked for.
        cerr(unsafe { libc::sigtimedwait(&self.set, std::ptr::null_mut(), &none) }).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
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
