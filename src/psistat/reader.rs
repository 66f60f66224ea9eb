//! Reads pressure files: each file at most once per reading, and the clock right after
//! each file.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::pattern::Pattern;
use crate::pressure::{Pressure, PressureError, Resource};
use crate::roots::Roots;
use crate::stat::{Group, Reading, Readings, Selection, includes};
use crate::sys;

use super::error::{Missing, ReadError};

/// More than any pressure file has: two lines of at most 80 bytes.
const FILE_MAX: usize = 512;

/// Everything that is read at every reading.
pub struct Reader {
    selection: Selection,
    /// Fixed groups, their files kept open.
    kept: Vec<Kept>,
    /// The cgroup2 mount, and what to look for below it.
    mount: PathBuf,
    patterns: Vec<Pattern>,
}

/// A group whose files stay open.
struct Kept {
    /// As in [`Group`].
    path: Option<Vec<u8>>,
    id: u64,
    directory: PathBuf,
    files: [Option<File>; 4],
}

impl Reader {
    /// Opens the files that are fixed: the system's if there are no patterns, else those
    /// of the patterns that are plain paths.
    ///
    /// # Errors
    /// A group without any pressure file, or one that can't be read.
    pub fn open(
        selection: Selection,
        pressure: Option<&Path>,
        cgroups: Option<&Path>,
        patterns: &[Pattern],
    ) -> Result<Reader, ReadError> {
        let mut reader = Reader {
            selection,
            kept: Vec::new(),
            mount: PathBuf::new(),
            patterns: Vec::new(),
        };
        // /proc/self/mountinfo is read only if it is needed.
        let roots = Roots::find;
        if patterns.is_empty() {
            let directory = pressure.map_or_else(|| roots().system, Path::to_path_buf);
            let mut kept = Kept::new(None, directory);
            if !kept.open(selection)? && !kept.has_others() {
                return Err(no_system(kept.directory, pressure.is_some()));
            }
            reader.kept.push(kept);
            return Ok(reader);
        }
        let mount = cgroups.map(Path::to_path_buf).or_else(|| roots().cgroup);
        reader.mount = mount.ok_or_else(no_mount)?;
        directory(&reader.mount, 'C')?;
        for pattern in patterns {
            match pattern.plain() {
                None => reader.patterns.push(pattern.clone()),
                Some(path) => reader.keep(path)?,
            }
        }
        Ok(reader)
    }

    /// The cgroup2 mount; empty without patterns.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// Opens the files of the cgroup at this path, once.
    fn keep(&mut self, path: Vec<u8>) -> Result<(), ReadError> {
        if self.is_kept(&path) {
            return Ok(());
        }
        let directory = self.mount.join(OsStr::from_bytes(&path[1..]));
        let mut kept = Kept::new(Some(path.clone()), directory);
        if !kept.open(self.selection)? && !kept.has_others() {
            return Err(no_cgroup(kept.directory, path));
        }
        self.kept.push(kept);
        Ok(())
    }

    fn is_kept(&self, path: &[u8]) -> bool {
        self.kept
            .iter()
            .any(|kept| kept.path.as_deref() == Some(path))
    }

    /// Reads every group once; in ascending order of path.
    pub fn read(&mut self) -> Result<Vec<Group>, ReadError> {
        let mut groups = Vec::with_capacity(self.kept.len());
        for kept in &mut self.kept {
            groups.push(kept.read(self.selection)?);
        }
        if self.patterns.is_empty() {
            groups.sort_by(|a, b| a.path.cmp(&b.path));
            return Ok(groups);
        }
        // The cgroups are collected before their files are read, so that a cgroup that
        // two patterns match is read once.
        let mut found = Vec::new();
        for pattern in &self.patterns {
            walk(&self.mount, pattern, &mut found);
        }
        found.sort();
        found.dedup_by(|a, b| a.0 == b.0);
        found.retain(|(path, _)| !self.is_kept(path));
        for (path, id) in found {
            groups.push(self.read_found(path, id)?);
        }
        groups.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(groups)
    }

    /// The first reading. Without any cgroup the pattern is probably wrong; later that is
    /// no error, since cgroups are removed at any time.
    pub fn read_first(&mut self) -> Result<Vec<Group>, ReadError> {
        let groups = self.read()?;
        match groups.is_empty() {
            true => Err(ReadError::NoMatch(self.mount.clone())),
            false => Ok(groups),
        }
    }

    /// Reads a cgroup that a walk found, unless it was removed meanwhile.
    fn read_found(&self, path: Vec<u8>, id: u64) -> Result<Group, ReadError> {
        let mut file = self.mount.clone().into_os_string();
        file.push(OsStr::from_bytes(&path));
        file.push("/");
        let stem = file.len();
        let mut file = file.into_encoded_bytes();
        let mut readings: Readings = [None; 4];
        for resource in Resource::ALL {
            if !includes(self.selection, resource) {
                continue;
            }
            file.truncate(stem);
            file.extend_from_slice(resource.cgroup_file().as_bytes());
            let name = Path::new(OsStr::from_bytes(&file));
            let Ok(mut open) = open_file(name) else {
                continue;
            };
            let mut text = [0; FILE_MAX];
            let Ok(length) = open.read(&mut text) else {
                continue;
            };
            let read = reading(&text[..length]);
            let read = read.map_err(|why| ReadError::Text(name.to_path_buf(), why));
            readings[resource as usize] = Some(read?);
        }
        Ok(Group {
            path: Some(path),
            id,
            readings,
        })
    }
}

/// The matching directories below the mount with their inode numbers, which cgroup2
/// does not reuse. Unreadable ones are skipped: cgroups are removed at any time.
fn walk(mount: &Path, pattern: &Pattern, found: &mut Vec<(Vec<u8>, u64)>) {
    let mut ahead = vec![(Vec::new(), pattern.start())];
    while let Some((path, states)) = ahead.pop() {
        let below = path.get(1..).unwrap_or_default();
        let Ok(entries) = std::fs::read_dir(mount.join(OsStr::from_bytes(below))) else {
            continue;
        };
        for entry in entries.flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name();
            let states = pattern.step(states, name.as_bytes());
            if states.is_empty() {
                continue;
            }
            let path = [&path, &b"/"[..], name.as_bytes()].concat();
            if pattern.accepts(states) {
                found.push((path.clone(), entry.ino()));
            }
            if pattern.goes_on(states) {
                ahead.push((path, states));
            }
        }
    }
}

impl Kept {
    fn new(path: Option<Vec<u8>>, directory: PathBuf) -> Kept {
        Kept {
            path,
            id: 0,
            directory,
            files: [const { None }; 4],
        }
    }

    fn file(&self, resource: Resource) -> PathBuf {
        self.directory.join(match self.path {
            None => resource.name(),
            Some(_) => resource.cgroup_file(),
        })
    }

    /// Opens the selected files that exist; whether there are any.
    fn open(&mut self, selection: Selection) -> Result<bool, ReadError> {
        for resource in Resource::ALL {
            if includes(selection, resource) {
                let name = self.file(resource);
                self.files[resource as usize] = match open_file(&name) {
                    Ok(file) => Some(file),
                    Err(error) if is_gone(&error) => None,
                    // The caller has a better sentence about that file.
                    Err(error) if error.kind() == io::ErrorKind::NotADirectory => None,
                    Err(error) => return Err(refused(name, error)),
                };
            }
        }
        Ok(self.files.iter().any(Option::is_some))
    }

    /// Whether there are files that are not selected.
    fn has_others(&self) -> bool {
        let all = Resource::ALL.map(|resource| self.file(resource));
        all.iter().any(|file| file.exists())
    }

    fn read(&mut self, selection: Selection) -> Result<Group, ReadError> {
        // A removed cgroup may have been created again, but that is another one.
        if self.path.is_some() && self.files.iter().all(Option::is_none) {
            self.id = self.id.saturating_add(1);
            self.open(selection)?;
        }
        let mut readings: Readings = [None; 4];
        for resource in Resource::ALL {
            let Some(file) = &self.files[resource as usize] else {
                continue;
            };
            let mut text = [0; FILE_MAX];
            match file.read_at(&mut text, 0) {
                Ok(length) => {
                    let read = reading(&text[..length]);
                    let read = read.map_err(|why| ReadError::Text(self.file(resource), why));
                    readings[resource as usize] = Some(read?);
                }
                Err(error) if is_gone(&error) => {
                    self.files = [const { None }; 4];
                    readings = [None; 4];
                    break;
                }
                Err(error) => return Err(refused(self.file(resource), error)),
            }
        }
        Ok(Group {
            path: self.path.clone(),
            id: self.id,
            readings,
        })
    }
}

/// Why this directory, which `-P` may have named, has no pressure files of the system.
fn no_system(path: PathBuf, named: bool) -> ReadError {
    if named {
        return match directory(&path, 'P') {
            Err(why) => why,
            Ok(()) => ReadError::Missing(path, Missing::Others),
        };
    }
    let why = match (exists("/proc/self"), exists("/proc/stat")) {
        (false, _) => Missing::Proc('P'),
        (true, false) => Missing::ProcSubset,
        (true, true) => Missing::Psi,
    };
    ReadError::Missing(path, why)
}

/// Why no cgroup2 mount is known.
fn no_mount() -> ReadError {
    let mounts = "/proc/self/mountinfo";
    match exists(mounts) {
        true => ReadError::NoMount,
        false => ReadError::Missing(mounts.into(), Missing::Proc('C')),
    }
}

/// Why the cgroup of this path and directory has no pressure files.
fn no_cgroup(directory: PathBuf, path: Vec<u8>) -> ReadError {
    let why = match std::fs::metadata(&directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return refused(directory, error);
        }
        Err(_) => Missing::Cgroup(path),
        Ok(found) if !found.is_dir() => Missing::CgroupFile(path),
        Ok(_) => Missing::CgroupOff(path),
    };
    ReadError::Missing(directory, why)
}

/// Whether it is a directory, as this option expects.
fn directory(path: &Path, option: char) -> Result<(), ReadError> {
    let why = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => Missing::File(option),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Missing::Directory(option),
            _ => return Err(refused(path.into(), error)),
        },
    };
    Err(ReadError::Missing(path.into(), why))
}

/// Opens a file for reading, but nothing that reading could wait for: the writer of a
/// pipe. A directory is refused when it is read.
///
/// # Errors
/// Those of open(2); InvalidInput for a pipe or a device.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(file);
    }
    let why = "it is a pipe or a device";
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// ENOENT if it can't be opened, ENODEV once its cgroup is removed.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

fn refused(path: PathBuf, error: io::Error) -> ReadError {
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => ReadError::Missing(path, Missing::Psi),
        Some(libc::EMFILE | libc::ENFILE) => ReadError::Descriptors,
        _ => ReadError::Io(path, error),
    }
}

/// The reading of a file whose text was read just now.
fn reading(text: &[u8]) -> Result<Reading, PressureError> {
    let at = sys::now();
    if text.len() == FILE_MAX {
        return Err(PressureError::Garbage);
    }
    let pressure = Pressure::parse(text)?;
    Ok(Reading { at, pressure })
}
