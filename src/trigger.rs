//! Arms a rule on a pressure file, reads it, and turns an errno into the cause and
//! its remedy.

mod forecast;

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::line::Line;
use crate::pressure::{Averages, Kind, Pressure, Resource};
use crate::report::Hint;
use crate::roots::Roots;
use crate::rule::Rule;
use crate::sys;
use crate::time::Micros;

pub use forecast::forecast;

/// Why a rule could not be armed, or a pressure file not be read.
#[derive(Debug)]
pub struct ArmError {
    path: PathBuf,
    /// The system's error.
    pub error: io::Error,
    /// What would help.
    pub hint: Option<Hint>,
}

impl ArmError {
    /// What a rule asks for at this path can't be had.
    pub fn new(path: &Path, error: io::Error, hint: Option<Hint>) -> ArmError {
        ArmError {
            path: path.into(),
            error,
            hint,
        }
    }

    /// errno(3); EIO for a file that is no pressure file.
    pub fn errno(&self) -> i32 {
        self.error.raw_os_error().unwrap_or(libc::EIO)
    }
}

/// `/proc/pressure/io: No such file or directory: …`
impl fmt::Display for ArmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.error)?;
        match self.hint {
            Some(hint) => write!(f, ": {}", hint.sentence()),
            None => Ok(()),
        }
    }
}

impl Error for ArmError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// An armed trigger. One descriptor wakes us and is read.
#[derive(Debug)]
pub struct Trigger {
    file: File,
    kind: Kind,
    privileged: bool,
}

fn no_mount() -> ArmError {
    ArmError {
        path: "cgroup2".into(),
        error: io::Error::from_raw_os_error(libc::ENOENT),
        hint: Some(Hint::Cgroup2),
    }
}

impl Trigger {
    /// Opens the rule's pressure file, reads the baseline and arms the trigger;
    /// in this order, since the first events of an unprivileged trigger are false,
    /// and only the growth since before it was armed shows which.
    ///
    /// # Errors
    /// The system's, and EMFILE as soon as only the reserve of descriptors is left.
    pub fn arm(
        rule: &Rule,
        cgroup: Option<&[u8]>,
        roots: &Roots,
    ) -> Result<(Trigger, Averages), ArmError> {
        let path = roots.file(rule.resource, cgroup).ok_or_else(no_mount)?;
        let bad = |error, hint| ArmError {
            path: path.clone(),
            error,
            hint,
        };
        let capable = rule.wants_capability();
        let open = || open(&path);
        let refused = |error| bad(error, Some(Hint::Capset));
        let opened = match capable {
            true => open(),
            false => sys::without_sys_resource(open).map_err(refused)?,
        };
        let arm = |file| {
            let trigger = Trigger {
                file,
                kind: rule.kind,
                privileged: capable && sys::has_sys_resource(),
            };
            let baseline = trigger.read()?;
            trigger.write(rule.stall(), rule.window)?;
            Ok((trigger, baseline))
        };
        opened.and_then(arm).map_err(|error| {
            let hint = hint(&error, rule, roots, &path);
            bad(error, hint)
        })
    }

    /// Arms the rule on a pressure file of the whole system that somebody else has opened.
    /// The kernel judges by their credentials. Whether they had CAP_SYS_RESOURCE shows in
    /// a window that needs it: one that is a microsecond short of what is asked for. A
    /// file without it refuses that, and takes the right one.
    ///
    /// # Errors
    /// EBUSY where it is armed already, EBADF where it is not open for writing, EINVAL
    /// where the window needs the capability; EIO where it is no pressure file.
    pub fn arm_opened(rule: &Rule, file: OwnedFd) -> io::Result<(Trigger, Averages)> {
        let mut trigger = Trigger {
            file: file.into(),
            kind: rule.kind,
            privileged: true,
        };
        let baseline = trigger.read()?;
        let (stall, window) = (rule.stall(), rule.window);
        if !rule.has_common_window() {
            trigger.write(stall, window)?;
            return Ok((trigger, baseline));
        }
        let short = Micros(window.0 - 1);
        if trigger.write(stall.min(short), short).is_err() {
            trigger.privileged = false;
            trigger.write(stall, window)?;
        }
        Ok((trigger, baseline))
    }

    /// Whether it was opened with CAP_SYS_RESOURCE: no other reader of the
    /// file can take its events.
    pub fn is_privileged(&self) -> bool {
        self.privileged
    }

    /// Writes `some 150000 2000000` with its NUL: without it the kernel overwrites
    /// the last digit (psi_write), and a window of 10 s becomes one of 1 s.
    fn write(&self, stall: Micros, window: Micros) -> io::Result<()> {
        let mut buffer = [0; 32];
        let mut text = Line::new(&mut buffer);
        text.text(self.kind.name()).text(" ");
        text.decimal(stall.0, 1, b'0').text(" ");
        text.decimal(window.0, 1, b'0').raw(b"\0");
        (&self.file).write_all(text.bytes())
    }

    /// Reads the pressure file, a second time if that fails. ENODEV: the cgroup is gone.
    pub fn read(&self) -> io::Result<Averages> {
        let mut text = [0; 512];
        let length = self.file.read_at(&mut text, 0);
        let length = length.or_else(|_| self.file.read_at(&mut text, 0))?;
        let text = &text[..length];
        let errno = match Pressure::parse_line(text, self.kind) {
            Ok(Some(averages)) => return Ok(averages),
            Ok(None) if Pressure::parse(text).is_ok() => libc::EINVAL,
            _ => libc::EIO,
        };
        Err(io::Error::from_raw_os_error(errno))
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

fn open(path: &Path) -> io::Result<File> {
    let file = sys::open(path, libc::O_RDWR | libc::O_NONBLOCK)?;
    match sys::is_in_reserve(file.as_fd()) {
        true => Err(io::Error::from_raw_os_error(libc::EMFILE)),
        false => Ok(file),
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
        (libc::EINVAL, _) if !sys::has_sys_resource() && !rule.has_common_window() => {
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
            assert_eq!(roots().file(rule.resource, path), Some(expected.into()));
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
            let path = roots()
                .file(rule.resource, plain.as_deref())
                .unwrap_or_default();
            let error = io::Error::from_raw_os_error(errno);
            let found = hint(&error, &rule, &roots(), &path);
            assert_eq!(found.map(Hint::token), Some(token), "{errno} {text}");
        }
    }
}
