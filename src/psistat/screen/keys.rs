//! Keys from the terminal that is standard input, one by one. They are read, and
//! the terminal's modes changed, in the foreground only: in the background the
//! kernel would stop psistat for either.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use crate::sys::{self, Slot, TerminalMode};

/// What the keys that were pressed ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pressed {
    /// The end.
    Quit,
    /// None of them means anything.
    Nothing,
    /// There will be no more keys.
    Closed,
}

/// Standard input as a keyboard.
pub struct Keys {
    input: File,
    /// The terminal's modes to be put back; None while they are in force.
    found: Option<TerminalMode>,
    /// Whether the modes in force are ours.
    taken: bool,
}

impl Keys {
    /// None where standard input is not the controlling terminal: then it is no
    /// terminal, or one that somebody else reads.
    ///
    /// # Errors
    /// Where no descriptors are left.
    pub fn of_stdin() -> io::Result<Option<Keys>> {
        let stdin = io::stdin();
        if sys::is_in_foreground(stdin.as_fd()).is_err() {
            return Ok(None);
        }
        Ok(Some(Keys {
            input: File::from(stdin.as_fd().try_clone_to_owned()?),
            found: None,
            taken: false,
        }))
    }

    /// Whether psistat is in the foreground.
    pub fn is_in_foreground(&self) -> bool {
        sys::is_in_foreground(self.input.as_fd()).unwrap_or(false)
    }

    /// Reads keys from now on. To be called in the foreground.
    pub fn take_over(&mut self) {
        if self.taken {
            return;
        }
        let read = || TerminalMode::of(self.input.as_fd()).ok();
        self.found = self.found.or_else(read);
        // A terminal that refuses has been hung up, which the next wait notices.
        self.taken = self
            .found
            .is_some_and(|found| found.key_by_key().set(self.input.as_fd()).is_ok());
    }

    /// Leaves the terminal as it was found. A job in the background doesn't touch
    /// it: the shell's modes are in force.
    pub fn give_back(&mut self) {
        if std::mem::take(&mut self.taken) && self.is_in_foreground() {
            let found = self.found.take();
            // A terminal that has been hung up has no modes.
            let _ = found.map(|found| found.set(self.input.as_fd()));
        }
    }

    /// Somebody else may have set the terminal's modes; those to be put back in
    /// the end are the same.
    pub fn lose(&mut self) {
        self.taken = false;
    }

    /// For poll(2): waits for a key while keys are ours.
    pub fn slot(&self) -> Slot {
        match self.taken {
            true => Slot::new(self.input.as_fd(), libc::POLLIN),
            false => Slot::IDLE,
        }
    }

    /// Reads what poll(2) has seen.
    pub fn read(&mut self) -> Pressed {
        let mut keys = [0; 64];
        match self.input.read(&mut keys) {
            Ok(0) => Pressed::Closed,
            Ok(count) if keys[..count].iter().any(|key| b"qQ".contains(key)) => Pressed::Quit,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Pressed::Closed,
            _ => Pressed::Nothing,
        }
    }
}
