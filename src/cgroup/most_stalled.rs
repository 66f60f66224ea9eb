//! The most-stalled cgroup when the whole system is pressed: from the root down
//! along avg10, while one child carries most of it. It runs in a process of its own
//! ([`Search`](super::Search)): each of its files can hang. Its bounds are for the CPU
//! that it takes from a pressed system.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::entries::{BUFFER, directories};
use crate::pressure::{Kind, Percent, Pressure, Resource};
use crate::sys;
use crate::time::{Micros, Moment};

/// Pressure files that are read, each once.
const FILES_MAX: usize = 256;
/// How long that may take; looked at between files.
const TIME_MAX: Micros = Micros::millis(100);
/// A child stands out with this share of its parent's stall, in percent.
const SHARE: u32 = 80;
/// PATH_MAX, and a component of it (limits.h).
const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;

/// Finds the most-stalled cgroup. Its buffers are allocated at the start.
pub struct MostStalled {
    /// With the mount in front.
    path: Vec<u8>,
    mount: usize,
    entries: Vec<u8>,
    name: Vec<u8>,
}

/// The child that is stalled most so far.
struct Best {
    name: [u8; NAME_MAX],
    length: usize,
    avg10: Percent,
    /// Whether another is stalled as much.
    tie: bool,
}

impl MostStalled {
    /// Searches below this directory.
    pub fn new(mount: &Path) -> MostStalled {
        let mount = mount.as_os_str().as_bytes();
        let mut path = vec![1; mount.len() + PATH_MAX];
        path.clear();
        path.extend_from_slice(mount);
        MostStalled {
            path,
            mount: mount.len(),
            entries: vec![1; BUFFER],
            name: vec![1; NAME_MAX + 32],
        }
    }

    /// The path and avg10 of the most-stalled cgroup where the system's avg10 is
    /// `whole`; None where no child of the root stands out.
    pub fn find(
        &mut self,
        resource: Resource,
        kind: Kind,
        whole: Percent,
    ) -> Option<(&[u8], Percent)> {
        self.find_until(sys::now() + TIME_MAX, resource, kind, whole)
    }

    fn find_until(
        &mut self,
        end: Moment,
        resource: Resource,
        kind: Kind,
        whole: Percent,
    ) -> Option<(&[u8], Percent)> {
        let mut files = FILES_MAX;
        self.path.truncate(self.mount);
        let mut found = None;
        let mut above = whole;
        while let Some(directory) = self.open() {
            let best = self.best(&directory, resource, kind, &mut files, end);
            let Some(best) = best.filter(|best| best.stands_out(above)) else {
                break;
            };
            if self.path.len() + best.length + 2 > self.mount + PATH_MAX {
                break;
            }
            self.path.push(b'/');
            self.path.extend_from_slice(&best.name[..best.length]);
            above = best.avg10;
            found = Some(best.avg10);
        }
        found.map(|avg10| (&self.path[self.mount..], avg10))
    }

    /// The directory at the path; its NUL stays behind the path's end.
    fn open(&mut self) -> Option<OwnedFd> {
        let length = self.path.len();
        self.path.push(0);
        let name = CStr::from_bytes_with_nul(&self.path).ok();
        let open = name.and_then(|name| sys::open_at(None, name).ok());
        self.path.truncate(length);
        open
    }

    /// The most-stalled child, of those that the bounds leave time for.
    fn best(
        &mut self,
        directory: &OwnedFd,
        resource: Resource,
        kind: Kind,
        files: &mut usize,
        end: Moment,
    ) -> Option<Best> {
        let mut best: Option<Best> = None;
        let file = &mut self.name;
        let done = directories(directory.as_fd(), &mut self.entries, &mut |name| {
            if *files == 0 || sys::now() >= end {
                return false;
            }
            *files -= 1;
            file.clear();
            file.extend_from_slice(name);
            file.push(b'/');
            file.extend_from_slice(resource.cgroup_file().as_bytes());
            file.push(0);
            let Some(avg10) = read(directory, file, kind) else {
                return true;
            };
            match &mut best {
                Some(best) if avg10 < best.avg10 => {}
                Some(best) if avg10 == best.avg10 => best.tie = true,
                _ => best = Best::new(name, avg10),
            }
            true
        });
        done.ok().and(best)
    }
}

impl Best {
    fn new(name: &[u8], avg10: Percent) -> Option<Best> {
        let mut best = Best {
            name: [0; NAME_MAX],
            length: name.len(),
            avg10,
            tie: false,
        };
        best.name.get_mut(..name.len())?.copy_from_slice(name);
        Some(best)
    }

    fn stands_out(&self, above: Percent) -> bool {
        let carries = self.avg10.0 * 100 >= above.0 * SHARE;
        carries && self.avg10 > Percent(0) && !self.tie
    }
}

/// The avg10 in a pressure file below a directory; None where the cgroup was removed,
/// or has none.
fn read(directory: &OwnedFd, file: &[u8], kind: Kind) -> Option<Percent> {
    let file = CStr::from_bytes_with_nul(file).ok()?;
    let file = File::from(sys::open_at(Some(directory.as_fd()), file).ok()?);
    let mut text = [0; 512];
    let length = file.read_at(&mut text, 0).ok()?;
    let pressure = Pressure::parse(&text[..length]).ok()?;
    Some(pressure.of(kind)?.avg10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// Plain directories and files with these figures.
    struct Host(PathBuf);

    impl Host {
        fn new(name: &str, cgroups: &[(&str, &str)]) -> Host {
            let name = format!("psilogd-stalled-{name}-{}", std::process::id());
            let root = std::env::temp_dir().join(name);
            for (path, avg10) in cgroups {
                let path = root.join(path);
                fs::create_dir_all(&path).unwrap();
                let rest = "avg60=0.00 avg300=0.00 total=0\n";
                let text = format!("some avg10={avg10} {rest}full avg10=0.00 {rest}");
                fs::write(path.join("io.pressure"), text).unwrap();
            }
            Host(root)
        }

        fn find(&self, whole: u32) -> Option<(String, u32)> {
            let mut search = MostStalled::new(&self.0);
            let end = sys::now() + Micros::secs(3600);
            let found = search.find_until(end, Resource::Io, Kind::Some, Percent(whole));
            found.map(|(path, avg10)| (String::from_utf8_lossy(path).into_owned(), avg10.0))
        }
    }

    impl Drop for Host {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn it_goes_down_while_one_child_carries_most() {
        let host = Host::new(
            "down",
            &[
                ("a", "3.00"),
                ("b", "40.00"),
                ("b/c", "9.00"),
                ("b/d", "39.00"),
                ("b/d/e", "31.00"),
                ("b/d/f", "20.00"),
            ],
        );
        assert_eq!(host.find(5000), Some(("/b/d".into(), 3900)));
        assert_eq!(host.find(5001), None);
    }

    #[test]
    fn nothing_where_no_child_stands_out() {
        let host = Host::new("even", &[("a", "40.00"), ("b", "40.00"), ("c", "0.00")]);
        assert_eq!(host.find(4000), None);
        let host = Host::new("calm", &[("a", "0.00")]);
        assert_eq!(host.find(0), None);
        let host = Host::new("none", &[]);
        assert_eq!(host.find(0), None);
    }

    #[test]
    fn odd_names_and_files_that_are_none() {
        let long = "n".repeat(255);
        let host = Host::new("odd", &[(&long, "9.00"), (&format!("{long}/\n x"), "9.00")]);
        fs::create_dir(host.0.join("empty")).unwrap();
        assert_eq!(host.find(1000), Some((format!("/{long}/\n x"), 900)));
    }

    #[test]
    fn files_and_time_are_bounded() {
        let names: Vec<String> = (0..1000).map(|n| format!("{n}")).collect();
        let cgroups: Vec<_> = names.iter().map(|name| (name.as_str(), "1.00")).collect();
        let host = Host::new("many", &cgroups);
        let mut search = MostStalled::new(&host.0);
        let directory = search.open().unwrap();
        let never = sys::now() + Micros::secs(3600);
        let mut files = FILES_MAX;
        let (resource, kind) = (Resource::Io, Kind::Some);
        search.best(&directory, resource, kind, &mut files, never);
        assert_eq!(files, 0);
        let directory = search.open().unwrap();
        let mut files = FILES_MAX;
        let best = search.best(&directory, resource, kind, &mut files, sys::now());
        assert!(best.is_none() && files == FILES_MAX);
    }
}
