//! A rule and a pressure file become an armed descriptor; reading it; what an
//! errno means and what would help.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::line::Line;
use crate::pressure::{BadPressure, Kind, Pressure, Resource, Stall};
use crate::rule::Rule;
use crate::time::Micros;

/// Unprivileged windows are multiples of the averages' period (psi_trigger_create).
const UNPRIVILEGED_WINDOW: Micros = Micros::secs(2);

/// Where pressure files are.
#[derive(Clone, Debug)]
pub struct Roots {
    /// The directory of the system-wide files.
    pub system: PathBuf,
    /// The cgroup2 mount, if there is one.
    pub cgroup: Option<PathBuf>,
}

impl Roots {
    /// /proc/pressure, or /run/pressure where a service manager has bound it
    /// because it hides the rest of /proc (systemd's ProcSubset=pid).
    pub fn find() -> Roots {
        let (usual, bound) = (Path::new("/proc/pressure"), Path::new("/run/pressure"));
        let system = match !usual.exists() && bound.exists() {
            true => bound,
            false => usual,
        };
        let mountinfo = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        Roots {
            system: system.into(),
            cgroup: crate::cgroup::mount_point(&mountinfo),
        }
    }

    /// With cgroups below another directory, if one is given.
    pub fn with_cgroups(mut self, directory: Option<&Path>) -> Roots {
        if let Some(directory) = directory {
            self.cgroup = Some(directory.into());
        }
        self
    }

    /// The file that a rule watches, of the cgroup at this path or of the system.
    fn file(&self, rule: &Rule, cgroup: Option<&[u8]>) -> Option<PathBuf> {
        let Some(path) = cgroup else {
            return Some(self.system.join(rule.resource.name()));
        };
        let mut file = self.cgroup.clone()?;
        file.push(OsStr::from_bytes(path.get(1..).unwrap_or_default()));
        file.push(rule.resource.cgroup_file());
        Some(file)
    }
}

/// What would help where a rule can't be armed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// PSI is off or not built in.
    Psi,
    /// /proc shows processes only.
    ProcSubset,
    /// The kernel keeps no irq pressure.
    Irq,
    /// Opening for writing needs CAP_SYS_RESOURCE.
    Capability,
    /// Without CAP_SYS_RESOURCE, windows are multiples of 2 s.
    Window,
    /// There is no cgroup2 mount.
    Cgroup2,
    /// There is no such cgroup.
    NoCgroup,
    /// The cgroup's pressure files are switched off.
    CgroupPressure,
    /// The cgroup's files belong to somebody else.
    Owner,
    /// The files are mounted read-only.
    ReadOnly,
    /// The root of a cgroup namespace can't be watched from inside.
    Namespace,
    /// No descriptors are left.
    Descriptors,
    /// No inotify watches are left.
    Inotify,
}

impl Hint {
    /// The token for `hint=`; psilogd(8), DIAGNOSTICS lists them.
    pub const fn token(self) -> &'static str {
        match self {
            Hint::Psi => "psi_off",
            Hint::ProcSubset => "proc_hidden",
            Hint::Irq => "no_irq_pressure",
            Hint::Capability => "capability",
            Hint::Window => "window_2s",
            Hint::Cgroup2 => "no_cgroup2",
            Hint::NoCgroup => "no_cgroup",
            Hint::CgroupPressure => "cgroup_pressure_off",
            Hint::Owner => "not_owner",
            Hint::ReadOnly => "read_only",
            Hint::Namespace => "namespace_root",
            Hint::Descriptors => "descriptors",
            Hint::Inotify => "inotify",
        }
    }

    /// The same for a person.
    pub const fn sentence(self) -> &'static str {
        match self {
            Hint::Psi => {
                "this kernel keeps no pressure figures: boot with psi=1 (it needs Linux 4.20 \
                 with CONFIG_PSI)"
            }
            Hint::ProcSubset => {
                "/proc shows processes only: unset systemd's ProcSubset=pid, or add \
                 BindPaths=/proc/pressure:/run/pressure"
            }
            Hint::Irq => "this kernel keeps no irq pressure (CONFIG_IRQ_TIME_ACCOUNTING)",
            Hint::Capability => {
                "this kernel arms triggers only with CAP_SYS_RESOURCE: run as root with it, or \
                 set systemd's AmbientCapabilities=CAP_SYS_RESOURCE"
            }
            Hint::Window => {
                "without CAP_SYS_RESOURCE a window is a multiple of 2s: write such a window, or \
                 grant the capability"
            }
            Hint::Cgroup2 => "no cgroup2 hierarchy is mounted",
            Hint::NoCgroup => "there is no such cgroup yet; it is armed when it comes",
            Hint::CgroupPressure => {
                "the cgroup has no pressure files: write 1 to its cgroup.pressure, or boot with \
                 psi=1"
            }
            Hint::Owner => {
                "the cgroup belongs to somebody else: run as root, or with CAP_DAC_OVERRIDE"
            }
            Hint::ReadOnly => {
                "it is mounted read-only: unset systemd's ProtectControlGroups=yes, or remount"
            }
            Hint::Namespace => {
                "the root of a cgroup namespace can't be watched from inside: name a cgroup \
                 below it"
            }
            Hint::Descriptors => "too many files are open: raise the limit (ulimit -n)",
            Hint::Inotify => {
                "cgroups that come are not noticed at once: raise fs.inotify.max_user_watches or \
                 max_user_instances"
            }
        }
    }
}

/// A rule that could not be armed, or a pressure file that could not be read.
#[derive(Debug)]
pub struct BadTrigger {
    path: PathBuf,
    /// What the system said.
    pub error: io::Error,
    /// What would help.
    pub hint: Option<Hint>,
}

impl BadTrigger {
    /// errno(3); EIO for a file that is no pressure file.
    pub fn errno(&self) -> i32 {
        self.error.raw_os_error().unwrap_or(libc::EIO)
    }
}

/// `/proc/pressure/io: No such file or directory: …`
impl fmt::Display for BadTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.error)?;
        match self.hint {
            Some(hint) => write!(f, ": {}", hint.sentence()),
            None => Ok(()),
        }
    }
}

/// An armed trigger. One descriptor wakes us and is read.
#[derive(Debug)]
pub struct Trigger {
    file: File,
    kind: Kind,
}

impl Trigger {
    /// Opens the rule's pressure file, reads the baseline and arms the trigger;
    /// in this order, since the first events of an unprivileged trigger are
    /// false and only growth since before it was armed can tell.
    pub fn arm(
        rule: &Rule,
        cgroup: Option<&[u8]>,
        roots: &Roots,
    ) -> Result<(Trigger, Stall), BadTrigger> {
        let Some(path) = roots.file(rule, cgroup) else {
            return Err(BadTrigger {
                path: "cgroup2".into(),
                error: io::Error::from_raw_os_error(libc::ENOENT),
                hint: Some(Hint::Cgroup2),
            });
        };
        let try_arm = || {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(&path)?;
            let trigger = Trigger {
                file,
                kind: rule.kind,
            };
            let baseline = trigger.read()?;
            trigger.write(rule)?;
            Ok((trigger, baseline))
        };
        try_arm().map_err(|error| BadTrigger {
            hint: hint(&error, rule, roots, &path),
            path: path.clone(),
            error,
        })
    }

    /// Writes `some 150000 2000000` with its NUL: without it the kernel overwrites
    /// the last digit (psi_write), and a window of 10 s becomes one of 1 s.
    fn write(&self, rule: &Rule) -> io::Result<()> {
        let mut buffer = [0; 32];
        let mut text = Line::new(&mut buffer);
        text.text(rule.kind.name()).text(" ");
        text.decimal(rule.stall().0, 1, b'0').text(" ");
        text.decimal(rule.window.0, 1, b'0').raw(b"\0");
        (&self.file).write_all(text.bytes())
    }

    /// Reads the pressure file. ENODEV: the cgroup is gone.
    pub fn read(&self) -> io::Result<Stall> {
        let mut text = [0; 512];
        let length = self.file.read_at(&mut text, 0)?;
        let pressure = Pressure::parse(&text[..length]);
        let bad = |_: BadPressure| io::Error::from_raw_os_error(libc::EIO);
        let none = || io::Error::from_raw_os_error(libc::EINVAL);
        pressure.map_err(bad)?.of(self.kind).ok_or_else(none)
    }
}

impl From<Trigger> for OwnedFd {
    fn from(trigger: Trigger) -> OwnedFd {
        trigger.file.into()
    }
}

impl AsFd for Trigger {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn hint(error: &io::Error, rule: &Rule, roots: &Roots, path: &Path) -> Option<Hint> {
    let irq = rule.resource == Resource::Irq;
    match (error.raw_os_error()?, &rule.cgroup) {
        (libc::EOPNOTSUPP, _) => Some(Hint::Psi),
        (libc::ENOENT, None) if roots.system.join("cpu").exists() && irq => Some(Hint::Irq),
        (libc::ENOENT, None) if !Path::new("/proc/stat").exists() => Some(Hint::ProcSubset),
        (libc::ENOENT, None) => Some(Hint::Psi),
        (libc::ENOENT | libc::ENODEV, Some(_)) => {
            let directory = path.parent()?;
            if !directory.exists() {
                Some(Hint::NoCgroup)
            } else if irq && directory.join(Resource::Cpu.cgroup_file()).exists() {
                Some(Hint::Irq)
            } else {
                Some(Hint::CgroupPressure)
            }
        }
        (libc::EACCES | libc::EPERM, None) => Some(Hint::Capability),
        (libc::EPERM, Some(_)) => Some(Hint::Namespace),
        (libc::EACCES, Some(_)) => Some(Hint::Owner),
        (libc::EROFS, _) => Some(Hint::ReadOnly),
        (libc::EMFILE | libc::ENFILE, _) => Some(Hint::Descriptors),
        (libc::EINVAL, _)
            if !crate::sys::has_sys_resource() && rule.window.0 % UNPRIVILEGED_WINDOW.0 != 0 =>
        {
            Some(Hint::Window)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text.split(' ')).expect("a rule")
    }

    fn roots() -> Roots {
        Roots {
            system: "/nonexistent/pressure".into(),
            cgroup: Some("/nonexistent/cgroup".into()),
        }
    }

    #[test]
    fn files_of_rules() {
        let rule = rule("io full 1%/2s cgroup=/**");
        for (path, expected) in [
            (None, "/nonexistent/pressure/io"),
            (
                Some(&b"/a b/c"[..]),
                "/nonexistent/cgroup/a b/c/io.pressure",
            ),
            (Some(b"/"), "/nonexistent/cgroup/io.pressure"),
        ] {
            assert_eq!(roots().file(&rule, path), Some(expected.into()));
        }
    }

    /// The write ends in a NUL: seen on a plain file in a pressure file's place.
    #[test]
    fn the_trigger_write_is_nul_terminated() -> io::Result<()> {
        let directory = std::env::temp_dir().join(format!("psilogd-nul-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let file = directory.join("io");
        let figures = "avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        std::fs::write(&file, format!("some {figures}full {figures}"))?;
        let roots = Roots {
            system: directory.clone(),
            cgroup: None,
        };
        let armed = Trigger::arm(&rule("io full 10s/10s"), None, &roots);
        let written = std::fs::read(&file)?;
        std::fs::remove_dir_all(&directory)?;
        assert!(armed.is_ok(), "{armed:?}");
        assert_eq!(&written[..23], b"full 10000000 10000000\0");
        Ok(())
    }

    #[test]
    fn an_errno_becomes_a_sentence_with_what_would_help() {
        for (errno, text, token) in [
            (libc::ENOENT, "io full 1%/2s", "psi_off"),
            (libc::EOPNOTSUPP, "io full 1%/2s", "psi_off"),
            (libc::EACCES, "io full 1%/2s", "capability"),
            (libc::EPERM, "io full 1%/2s", "capability"),
            (libc::EROFS, "io full 1%/2s cgroup=/a", "read_only"),
            (libc::EPERM, "io full 1%/2s cgroup=/", "namespace_root"),
            (libc::EACCES, "io full 1%/2s cgroup=/a", "not_owner"),
            (libc::ENOENT, "io full 1%/2s cgroup=/a", "no_cgroup"),
            (libc::EMFILE, "io full 1%/2s", "descriptors"),
        ] {
            let rule = rule(text);
            let plain = rule.cgroup.as_ref().and_then(|pattern| pattern.plain());
            let path = roots().file(&rule, plain.as_deref()).unwrap_or_default();
            let error = io::Error::from_raw_os_error(errno);
            let found = hint(&error, &rule, &roots(), &path);
            assert_eq!(found.map(Hint::token), Some(token), "{errno} {text}");
        }
    }
}
