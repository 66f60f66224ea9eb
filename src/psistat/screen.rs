//! Standard output as a terminal or a pipe, and waiting for the next reading.
//! A full screen is the alternate one with the cursor hidden and, where standard
//! input is the terminal too, keys read one by one; every way out of here undoes
//! that.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys::{self, Signals, Slot};
use crate::time::Moment;

use keys::{Keys, Pressed};

mod keys;

/// The size of a pipe, and of a terminal that reports none.
const SIZE: (usize, usize) = (80, 25);

const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// What is wanted of standard output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Line after line.
    Lines,
    /// One screen at a time, on a terminal.
    Pages,
    /// Nothing until the end, and then even after ^C.
    Last,
}

/// Why a wait is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// It is time.
    Due,
    /// What is on the screen is to be laid out anew.
    Resized,
    /// This signal asks for the end.
    Signal(libc::c_int),
    /// The key that quits was pressed.
    Quit,
    /// The reader has closed the pipe.
    Unread,
}

/// Standard output.
pub struct Screen {
    /// Unbuffered: a row or a page is one write(2).
    out: File,
    terminal: bool,
    pages: bool,
    entered: bool,
    signals: Option<Signals>,
    keys: Option<Keys>,
}

impl Screen {
    /// Takes over standard output. Signals stay what they are, and ^C ends psistat
    /// by itself, but where there is something to undo or to print.
    pub fn new(mode: Mode) -> io::Result<Screen> {
        let out = io::stdout();
        let terminal = out.is_terminal();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let pages = mode == Mode::Pages && terminal && !dumb;
        const ENDS: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];
        let mut wanted = Vec::new();
        if pages || mode == Mode::Last {
            wanted.extend(ENDS);
        }
        if pages {
            // The others that end a process by default, so that none leaves the
            // terminal as it is now; then those of a shell's job control.
            wanted.extend([libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM]);
            wanted.extend([libc::SIGTSTP, libc::SIGCONT]);
        }
        if terminal && mode != Mode::Last {
            wanted.push(libc::SIGWINCH);
        }
        // What is ignored (nohup(1)) stays ignored.
        wanted.retain(|signal| !sys::is_ignored(*signal));
        Ok(Screen {
            out: File::from(out.as_fd().try_clone_to_owned()?),
            terminal,
            pages,
            entered: false,
            keys: if pages { Keys::of_stdin()? } else { None },
            signals: match wanted.is_empty() {
                true => None,
                false => Some(Signals::new(&wanted)?),
            },
        })
    }

    /// Whether colours may be used (<https://no-color.org>).
    pub fn takes_colours(&self) -> bool {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        self.terminal && set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
    }

    /// Whether text is UTF-8 here, by the environment as setlocale(3) reads it.
    pub fn is_utf8(&self) -> bool {
        let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set);
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        self.terminal && (locale.ends_with("utf-8") || locale.ends_with("utf8"))
    }

    /// Whether it has the block characters ▁ to █. The font of the kernel's console has
    /// two of the eight.
    pub fn has_blocks(&self) -> bool {
        self.is_utf8() && std::env::var_os("TERM").is_none_or(|term| term != "linux")
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether it shows one page at a time.
    pub fn has_pages(&self) -> bool {
        self.pages
    }

    /// Whether keys are read, of which one quits.
    pub fn takes_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Columns and lines.
    pub fn size(&self) -> (usize, usize) {
        match self.terminal {
            true => sys::window_size(self.out.as_fd()).unwrap_or(SIZE),
            false => SIZE,
        }
    }

    /// Writes text, all at once.
    pub fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.out.write_all(text)
    }

    /// Writes a page over the last one: no clearing first, which would flicker.
    /// `text` is lines that fit.
    pub fn page(&mut self, text: &[u8]) -> io::Result<()> {
        if let Some(keys) = &mut self.keys {
            // Asked at every page: a shell may move a job without a signal. What is
            // on the screen is the shell's while psistat is in the background.
            if !keys.is_in_foreground() {
                return Ok(());
            }
            keys.take_over();
        }
        let mut page = Vec::with_capacity(text.len() + 512);
        if !self.entered {
            page.extend_from_slice(ENTER);
        }
        page.extend_from_slice(b"\x1b[H");
        for line in text.split_inclusive(|&b| b == b'\n') {
            page.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
            page.extend_from_slice(b"\x1b[K\r\n");
        }
        page.extend_from_slice(b"\x1b[J");
        self.entered = true;
        self.out.write_all(&page)
    }

    /// Leaves the terminal as it was found.
    pub fn leave(&mut self) {
        if std::mem::take(&mut self.entered) {
            // no reader is left to see an error
            let _ = self.out.write_all(LEAVE);
        }
        if let Some(keys) = &mut self.keys {
            keys.give_back();
        }
    }

    /// Waits until `due`, or until something else is to be done.
    pub fn wait(&mut self, due: Moment) -> io::Result<Wake> {
        loop {
            let now = sys::now();
            if now >= due {
                return Ok(Wake::Due);
            }
            let idle = Slot::IDLE;
            let signals = self.signals.as_ref();
            let mut slots = [
                signals.map_or(idle, |signals| Slot::new(signals.as_fd(), libc::POLLIN)),
                // Asks for nothing, so that only the end of the reading side is reported.
                Slot::new(self.out.as_fd(), 0),
                self.keys.as_ref().map_or(idle, Keys::slot),
            ];
            sys::poll(&mut slots, Some(due.since(now)))?;
            if let Some(signal) = self.signals.as_mut().and_then(Signals::take) {
                return Ok(self.caught(signal));
            }
            if slots[1].seen() & (libc::POLLERR | libc::POLLHUP) != 0 {
                return Ok(Wake::Unread);
            }
            if slots[2].seen() != 0 {
                match self.keys.as_mut().map(Keys::read) {
                    Some(Pressed::Quit) => return Ok(Wake::Quit),
                    Some(Pressed::Nothing) | None => {}
                    Some(Pressed::Closed) => self.keys = None,
                }
            }
        }
    }

    /// What a signal means for whoever waits.
    fn caught(&mut self, signal: libc::c_int) -> Wake {
        match signal {
            libc::SIGWINCH => Wake::Resized,
            libc::SIGTSTP => {
                self.leave();
                sys::default_signal(libc::SIGSTOP);
                Wake::Resized
            }
            // Also after a SIGSTOP, of which there was no notice: the shell has
            // set its own modes meanwhile.
            libc::SIGCONT => {
                if let Some(keys) = &mut self.keys {
                    keys.lose();
                }
                Wake::Resized
            }
            signal => Wake::Signal(signal),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

impl AsFd for Screen {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.out.as_fd()
    }
}
