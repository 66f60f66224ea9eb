//! The directories in a directory, read without allocating.

use std::io;
use std::os::fd::BorrowedFd;

use crate::sys;

/// Room for some hundred entries a system call.
pub const BUFFER: usize = 8192;

/// Where an entry's fields lie (linux_dirent64, getdents64(2)).
const LENGTH: usize = 16;
const TYPE: usize = 18;
const NAME: usize = 19;

/// Hands the name of every directory in a directory to `each`, which returns
/// whether to go on.
pub fn directories(
    directory: BorrowedFd<'_>,
    buffer: &mut [u8],
    each: &mut dyn FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    while some_directories(directory, buffer, each)? {}
    Ok(())
}

/// The same for one bufferful; whether there may be more, and `each` wants it.
pub fn some_directories(
    directory: BorrowedFd<'_>,
    buffer: &mut [u8],
    each: &mut dyn FnMut(&[u8]) -> bool,
) -> io::Result<bool> {
    let length = sys::directory_entries(directory, buffer)?;
    let mut rest = buffer.get(..length).unwrap_or_default();
    if rest.is_empty() {
        return Ok(false);
    }
    while let Some((name, kind, behind)) = first(rest) {
        rest = behind;
        let inside = name != b"." && name != b"..";
        if kind == libc::DT_DIR && inside && !each(name) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first entry's name and type, and what lies behind it.
fn first(entries: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let length = entries.get(LENGTH..LENGTH + 2)?;
    let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
    let kind = *entries.get(TYPE)?;
    let name = entries.get(NAME..length)?;
    let name = name.split(|&b| b == 0).next()?;
    Some((name, kind, &entries[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn only_directories_and_all_of_them() -> io::Result<()> {
        let root = std::env::temp_dir().join(format!("psilogd-entries-{}", std::process::id()));
        let long = "n".repeat(255);
        let mut wanted: Vec<String> = (0..500).map(|n| format!("d {n}\n")).collect();
        wanted.push(long);
        for name in &wanted {
            std::fs::create_dir_all(root.join(name))?;
        }
        std::fs::write(root.join("file"), "")?;
        let read = |most: usize| -> io::Result<Vec<String>> {
            let open = std::fs::File::open(&root)?;
            let mut names = Vec::new();
            directories(open.as_fd(), &mut [0; 1024], &mut |name| {
                names.push(String::from_utf8_lossy(name).into_owned());
                names.len() < most
            })?;
            names.sort();
            Ok(names)
        };
        wanted.sort();
        let (all, three) = (read(usize::MAX), read(3));
        std::fs::remove_dir_all(&root)?;
        assert_eq!(all?, wanted);
        assert_eq!(three?.len(), 3);
        Ok(())
    }

    #[test]
    fn a_cut_entry_is_none() {
        for bytes in [&[][..], &[0; 18], &[0; 19], &[255; 19], &[255; 300]] {
            assert!(first(bytes).is_none());
        }
    }
}
