//! Where pressure files are: /proc/pressure and the cgroup2 mount.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::pressure::Resource;

/// Where pressure files are.
#[derive(Clone, Debug)]
pub struct Roots {
    /// The directory of the system-wide files.
    pub system: PathBuf,
    /// The cgroup2 mount, if there is one.
    pub cgroup: Option<PathBuf>,
}

impl Roots {
    /// Both of them.
    pub fn find() -> Roots {
        let mountinfo = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        Roots {
            cgroup: mount_point(&mountinfo),
            ..Roots::find_system()
        }
    }

    /// /proc/pressure, or /run/pressure where a service manager has bound it
    /// because it hides the rest of /proc (systemd's ProcSubset=pid); no cgroups.
    pub fn find_system() -> Roots {
        let (usual, bound) = (Path::new("/proc/pressure"), Path::new("/run/pressure"));
        let system = match !usual.exists() && bound.exists() {
            true => bound,
            false => usual,
        };
        Roots {
            system: system.into(),
            cgroup: None,
        }
    }

    /// With cgroups below another directory, if one is given.
    pub fn with_cgroups(mut self, directory: Option<&Path>) -> Roots {
        if let Some(directory) = directory {
            self.cgroup = Some(directory.into());
        }
        self
    }

    /// The pressure file of a resource, of the cgroup at this path or of the system;
    /// None where cgroups are nowhere.
    pub fn file(&self, resource: Resource, cgroup: Option<&[u8]>) -> Option<PathBuf> {
        let Some(path) = cgroup else {
            return Some(self.system.join(resource.name()));
        };
        let mut file = self.cgroup.clone()?;
        file.push(OsStr::from_bytes(path.get(1..).unwrap_or_default()));
        file.push(resource.cgroup_file());
        Some(file)
    }
}

/// The cgroup2 mount point, from the text of /proc/self/mountinfo (proc(5)):
/// `/sys/fs/cgroup` on a unified host, `/sys/fs/cgroup/unified` on a hybrid one.
/// Where there are several, one of the whole tree (or of all that our namespace
/// sees of it) comes before one of a part.
pub fn mount_point(mountinfo: &[u8]) -> Option<PathBuf> {
    let mounts = || {
        mountinfo.split(|&b| b == b'\n').filter_map(|line| {
            let mut fields = line.split(|&b| b == b' ');
            let (root, point) = (fields.nth(3)?, fields.next()?);
            fields.find(|field| *field == b"-")?;
            (fields.next()? == b"cgroup2").then_some((root, point))
        })
    };
    let whole = mounts().find(|(root, _)| *root == b"/");
    let (_, point) = whole.or_else(|| mounts().next())?;
    Some(OsString::from_vec(unescape(point)).into())
}

/// Space, tab, newline and backslash stand as `\ooo` in mountinfo.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = &behind[3..];
            }
            _ => bytes.push(byte),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unified_hybrid_and_odd_hosts() {
        let unified = b"24 30 0:22 / /proc rw - proc proc rw\n\
                        35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(unified), Some("/sys/fs/cgroup".into()));
        let hybrid = b"40 30 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                       41 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n";
        assert_eq!(mount_point(hybrid), Some("/sys/fs/cgroup/unified".into()));
        let odd = b"41 30 0:31 / /mnt/a\\040b\\134 rw a:1 b:2 - cgroup2 none rw\n";
        assert_eq!(mount_point(odd), Some("/mnt/a b\\".into()));
        let part = b"40 30 0:31 /a/b /mnt/part rw - cgroup2 none rw\n\
                     41 30 0:31 / /sys/fs/cgroup rw - cgroup2 none rw\n";
        assert_eq!(mount_point(part), Some("/sys/fs/cgroup".into()));
        // a container without a cgroup namespace of its own
        let bound = b"41 30 0:31 /docker/a /sys/fs/cgroup ro - cgroup2 none rw\n";
        assert_eq!(mount_point(bound), Some("/sys/fs/cgroup".into()));
        assert_eq!(mount_point(b"24 30 0:22 / /proc rw - proc proc rw\n"), None);
        assert_eq!(mount_point(b"\n\nshort - cgroup2\n"), None);
    }
}
