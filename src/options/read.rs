//! The files of a configuration: their bytes, and which files there are.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::{ConfigError, FILE_MAX};
use crate::rule::{ParseError, Reason};
use crate::sys;

/// Why a file or a directory is not read.
pub(super) enum Unreadable {
    Missing,
    /// It was there when it was read last.
    Removed,
    /// It is empty, and had text when it was read last.
    Emptied,
    Kind(&'static str),
    Error(io::Error),
    /// It belongs to this user.
    Owner(u32),
    /// Users other than its owner can write it, by its mode.
    Writable(u32),
}

impl Unreadable {
    fn reason(&self) -> Reason {
        match self {
            Unreadable::Owner(_) | Unreadable::Writable(_) => Reason::WritableByOthers,
            Unreadable::Removed => Reason::Removed,
            Unreadable::Emptied => Reason::Empty,
            _ => Reason::Unreadable,
        }
    }

    /// About `what` is not read: a file or a directory.
    fn sentence(self, what: &str) -> String {
        match self {
            Unreadable::Owner(uid) => format!(
                "the {what} belongs to the user with number {uid}, who could change what root's \
                 psilogd does: make it root's with chown"
            ),
            Unreadable::Writable(mode) => format!(
                "other users can write the {what} (mode {mode:03o}) and could change what root's \
                 psilogd does: chmod go-w"
            ),
            Unreadable::Missing => format!("the {what} does not exist"),
            Unreadable::Removed => format!("the {what} was removed: reload again if that is right"),
            Unreadable::Emptied => format!(
                "the {what} is empty and was not before: to do without its lines, leave a \
                 comment in it"
            ),
            Unreadable::Kind(kind) => format!("expected a {what}, found {kind}"),
            Unreadable::Error(error) => format!("the {what} can't be read: {error}"),
        }
    }

    /// The error of the whole file or directory.
    pub(super) fn error(self, what: &str) -> ConfigError {
        let reason = self.reason();
        let error = ParseError {
            word: String::new(),
            reason,
            help: self.sentence(what),
        };
        ConfigError { line: 0, error }
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Unreadable {
        match error.kind() {
            ErrorKind::NotFound => Unreadable::Missing,
            _ => Unreadable::Error(error),
        }
    }
}

/// The bytes of a configuration file, up to one more than a configuration may have.
/// A pipe is refused, because SIGHUP reads again and must not block; /dev/null is an
/// empty configuration.
pub(super) fn read(file: &Path, only_root: bool) -> Result<Vec<u8>, Unreadable> {
    use std::io::Read;
    use std::os::unix::fs::FileTypeExt;
    let open = sys::open(file, libc::O_RDONLY | libc::O_NONBLOCK)?;
    let meta = open.metadata()?;
    let kind = meta.file_type();
    if kind.is_dir() {
        return Err(Unreadable::Kind("a directory"));
    }
    if kind.is_fifo() || kind.is_socket() || kind.is_block_device() {
        return Err(Unreadable::Kind("a pipe, a socket or a device"));
    }
    if only_root && kind.is_file() {
        check_owner(&meta)?;
    }
    // and a byte, or std would look for the end a few bytes at a time
    let size = usize::try_from(meta.len())
        .unwrap_or(FILE_MAX)
        .min(FILE_MAX);
    let mut text = Vec::with_capacity(size + 1);
    let mut limited = open.take(FILE_MAX as u64 + 1);
    limited.read_to_end(&mut text)?;
    Ok(text)
}

/// The drop-ins of a directory, which need not exist: `*.conf` in the order of their
/// bytes, without those whose names begin with a dot.
pub(super) fn drop_ins(directory: &Path, only_root: bool) -> Result<Vec<PathBuf>, Unreadable> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    if only_root {
        check_owner(&fs::metadata(directory)?)?;
    }
    let mut files = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let bytes = name.as_bytes();
        if bytes.ends_with(b".conf") && !bytes.starts_with(b".") {
            files.push(directory.join(name));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Refuses what users whom root does not trust can write.
fn check_owner(meta: &fs::Metadata) -> Result<(), Unreadable> {
    match (meta.uid(), meta.mode() & 0o777) {
        (0, mode) if mode & 0o022 == 0 => Ok(()),
        (0, mode) => Err(Unreadable::Writable(mode)),
        (uid, _) => Err(Unreadable::Owner(uid)),
    }
}
