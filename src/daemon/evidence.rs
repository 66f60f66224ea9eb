//! The files that evidence is read from. They are opened and read once at the start,
//! so that a later reading opens nothing of the host's, allocates nothing and touches
//! no new memory.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::evidence::{self, Evidence, Host};
use crate::pressure::Resource;
use crate::report::Hint;
use crate::roots::Roots;
use crate::rule::Rule;
use crate::sys;
use crate::time::Moment;
use crate::trigger::ArmError;

/// The longest text that is read. /proc/stat has at most 117 bytes for each CPU before
/// the rest, so this is enough for 2000 CPUs, and as many disks and partitions. What is
/// never used costs nothing: the kernel gives zeroed memory when it is touched.
const TEXT_MAX: usize = 256 * 1024;

/// Whether what a rule asks for could be had on this host now, for a check of the
/// configuration: the file that is absent, or is not the kernel's, is the error. The
/// files are read once, for the first rule that asks.
pub fn check_evidence(roots: &Roots) -> impl FnMut(&Rule) -> Result<(), ArmError> {
    let mut sources = None;
    move |rule| match rule.asks_evidence() {
        true => sources
            .get_or_insert_with(|| Sources::new(roots, sys::now()))
            .check(rule),
        false => Ok(()),
    }
}

/// A file of /proc.
#[derive(Default)]
struct Source {
    file: Option<File>,
    /// Whether it was read in this turn of the loop.
    fresh: bool,
    /// Whether the kernel gives its text in one piece.
    single: bool,
}

/// The host's counters, and the files that they come from.
pub(super) struct Sources {
    /// Where they are.
    directory: PathBuf,
    host: Host,
    meminfo: Source,
    vmstat: Source,
    diskstats: Source,
    stat: Source,
    /// As long as the longest text. Before a file of a cgroup is read, its path.
    text: Vec<u8>,
    /// None where cgroups are nowhere.
    mount: Option<Box<[u8]>>,
}

impl Sources {
    /// Opens and reads what is beside the directory of the pressure files: in /proc, or
    /// in /run where a service manager has bound them there. An absent file is no error.
    pub(super) fn new(roots: &Roots, at: Moment) -> Sources {
        let directory = roots.system.parent().unwrap_or(Path::new("/"));
        let mut sources = Sources {
            directory: directory.into(),
            host: Host::new(),
            meminfo: Source::in_one_piece(),
            vmstat: Source::default(),
            diskstats: Source::default(),
            stat: Source::in_one_piece(),
            text: vec![0; TEXT_MAX],
            mount: None,
        };
        sources.set_mount(roots.cgroup.as_deref());
        sources.reopen(at);
        sources
    }

    /// Opens and reads anew what could not be opened or was not the kernel's text: it may
    /// have been bound there since.
    pub(super) fn reopen(&mut self, at: Moment) {
        for resource in Resource::ALL {
            let (known, directory) = (self.can_read(resource), &self.directory);
            let open = |name, source: &mut Source| {
                if !known || source.file.is_none() {
                    source.file = sys::open(&directory.join(name), libc::O_RDONLY).ok();
                    source.fresh = false;
                }
            };
            match resource {
                Resource::Memory => {
                    open("meminfo", &mut self.meminfo);
                    open("vmstat", &mut self.vmstat);
                }
                Resource::Io => open("diskstats", &mut self.diskstats),
                Resource::Cpu => open("stat", &mut self.stat),
                Resource::Irq => {}
            }
            // a file that can't be read shows in can_read()
            let _ = self.refresh(resource, false, at);
        }
        self.turn();
    }

    /// [`Sources::check`], after another attempt to open what the rule asks for.
    ///
    /// # Errors
    /// The same.
    pub(super) fn provide(&mut self, rule: &Rule) -> Result<(), ArmError> {
        if self.check(rule).is_err() {
            self.reopen(sys::now());
        }
        self.check(rule)
    }

    /// Where cgroups are now.
    pub(super) fn set_mount(&mut self, mount: Option<&Path>) {
        self.mount = mount.map(|mount| mount.as_os_str().as_bytes().into());
    }

    /// A new turn of the loop: what was read before is old. Without this call, a file is
    /// not read a second time.
    pub(super) fn turn(&mut self) {
        let Sources {
            meminfo,
            vmstat,
            diskstats,
            stat,
            ..
        } = self;
        for source in [meminfo, vmstat, diskstats, stat] {
            source.fresh = false;
        }
    }

    /// Whether there is a file to read evidence on this resource from, and the kernel's
    /// text is in it: io needs diskstats, cpu stat, and memory meminfo.
    pub(super) fn can_read(&self, resource: Resource) -> bool {
        match resource {
            Resource::Io => self.host.knows_disks(),
            Resource::Cpu => self.host.cpu().is_some(),
            Resource::Memory => self.host.memory().available.is_some(),
            Resource::Irq => false,
        }
    }

    /// Whether what the rule asks for can be had.
    ///
    /// # Errors
    /// The file that is absent, or had no such text when it was read last.
    pub(super) fn check(&self, rule: &Rule) -> Result<(), ArmError> {
        if !rule.asks_evidence() || self.can_read(rule.resource) {
            return Ok(());
        }
        let (name, source) = match rule.resource {
            Resource::Memory => ("meminfo", &self.meminfo),
            Resource::Io => ("diskstats", &self.diskstats),
            Resource::Cpu | Resource::Irq => ("stat", &self.stat),
        };
        let error = match source.file {
            Some(_) => io::ErrorKind::InvalidData.into(),
            None => io::Error::from_raw_os_error(libc::ENOENT),
        };
        let path = self.directory.join(name);
        Err(ArmError::new(&path, error, Some(Hint::NoEvidence)))
    }

    /// Evidence on the rule's resource at that moment, of the host or of the cgroup at
    /// this path. A file that was read in this turn is not read again. What an absent
    /// file would say is None.
    ///
    /// # Errors
    /// Those of pread(2) on a file that was opened at the start. The files of a cgroup
    /// are absent once it is removed, and that is no error.
    pub(super) fn read(
        &mut self,
        rule: &Rule,
        cgroup: Option<&[u8]>,
        at: Moment,
    ) -> io::Result<Evidence> {
        self.refresh(rule.resource, cgroup.is_some(), at)?;
        Ok(match rule.resource {
            Resource::Memory => {
                let mut memory = self.host.memory();
                if let Some(path) = cgroup {
                    let text = self.cgroup_file(path, b"memory.events\0");
                    memory.oom_kills = text.and_then(evidence::oom_kills);
                }
                Evidence::Memory(memory)
            }
            Resource::Io if self.can_read(Resource::Io) => Evidence::Io(self.host.io()),
            Resource::Cpu => {
                let Some(mut cpu) = self.host.cpu() else {
                    return Ok(Evidence::None);
                };
                let text = cgroup.and_then(|path| self.cgroup_file(path, b"cpu.stat\0"));
                cpu.throttled = text.and_then(evidence::throttled);
                Evidence::Cpu(cpu)
            }
            Resource::Io | Resource::Irq => Evidence::None,
        })
    }

    /// Reads the host's files for a resource. A cgroup has kills of its own, and
    /// /proc/vmstat is the dearest to read.
    fn refresh(&mut self, resource: Resource, of_cgroup: bool, at: Moment) -> io::Result<()> {
        let (host, text) = (&mut self.host, self.text.as_mut_slice());
        match resource {
            Resource::Memory => {
                self.meminfo.read(text, |text| host.meminfo(text))?;
                if !of_cgroup {
                    self.vmstat.read(text, |text| host.vmstat(text))?;
                }
                Ok(())
            }
            Resource::Io => self.diskstats.read(text, |text| host.diskstats(at, text)),
            Resource::Cpu => self.stat.read(text, |text| host.stat(text)),
            Resource::Irq => Ok(()),
        }
    }

    /// The text of a cgroup's file; the name ends in NUL. None if it can't be read.
    fn cgroup_file(&mut self, cgroup: &[u8], name: &[u8]) -> Option<&[u8]> {
        // `/` is the mount itself
        let cgroup = if cgroup == b"/" { b"" } else { cgroup };
        let mut length = 0;
        for part in [self.mount.as_deref()?, cgroup, b"/", name] {
            let place = self.text.get_mut(length..length + part.len())?;
            place.copy_from_slice(part);
            length += part.len();
        }
        let path = CStr::from_bytes_with_nul(&self.text[..length]).ok()?;
        let file = File::from(sys::open_at(None, path).ok()?);
        let length = read_piece(&file, &mut self.text, 0).ok()?;
        self.text.get(..length)
    }
}

impl Source {
    /// The kernel writes and gives it as one record (single_open() in fs/seq_file.c), so
    /// that its end needs no reading of its own.
    fn in_one_piece() -> Source {
        Source {
            single: true,
            ..Source::default()
        }
    }

    /// Reads the file and hands its text over, but once a turn.
    fn read(&mut self, buffer: &mut [u8], take: impl FnOnce(&[u8])) -> io::Result<()> {
        let (Some(file), false) = (&self.file, self.fresh) else {
            return Ok(());
        };
        let mut read = || match self.single {
            true => read_piece(file, buffer, 0),
            false => read(file, buffer),
        };
        let length = read().or_else(|_| read())?;
        take(&buffer[..length]);
        self.fresh = true;
        Ok(())
    }
}

/// As much of a file as the buffer holds. The kernel gives about a page at a time, of
/// whole lines.
fn read(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match read_piece(file, buffer, length)? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

/// What one pread(2) gives of a file from there on.
fn read_piece(file: &File, buffer: &mut [u8], from: usize) -> io::Result<usize> {
    loop {
        match file.read_at(&mut buffer[from..], from as u64) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests;
