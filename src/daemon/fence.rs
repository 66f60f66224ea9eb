//! What psilogd gives up once everything is open. What it opens later, after SIGHUP or
//! for a new cgroup, it opens with what is left.

use std::error::Error;
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use super::{Daemon, spare_from_oom_killer};
use crate::config::{Config, OutputSpec, UserSpec};
use crate::roots::Roots;
use crate::rule::{ParseError, Reason, Rule};
use crate::sys::{self, Allowed, FileKind, Ids, Kept, Landlock};

/// The kernel's log.
const KMSG: &str = "/dev/kmsg";

/// Why psilogd can't give up what it has to.
#[derive(Debug)]
pub enum FenceError {
    /// No such user.
    UnknownUser(String),
    /// The user is known, but this process may not become it.
    User(UserSpec, io::Error),
    /// no_new_privs is refused.
    NewPrivileges(io::Error),
}

impl fmt::Display for FenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FenceError::UnknownUser(name) => write!(
                f,
                "user {name} is unknown: add the user, or give UID:GID, e.g. 65534:65534"
            ),
            FenceError::User(user, error) => write!(
                f,
                "can't become user {user}: {error}: start psilogd as root, or without a user"
            ),
            FenceError::NewPrivileges(error) => write!(f, "can't set no_new_privs: {error}"),
        }
    }
}

impl Error for FenceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            FenceError::UnknownUser(_) => None,
            FenceError::User(_, error) | FenceError::NewPrivileges(error) => Some(error),
        }
    }
}

/// The user that the configuration names.
///
/// # Errors
/// Where the name is unknown.
pub fn find_user(config: &Config) -> Result<Option<Ids>, FenceError> {
    let Some(user) = &config.settings.user else {
        return Ok(None);
    };
    let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
    match user.ids(&passwd) {
        Some((uid, gid)) => Ok(Some(Ids { uid, gid })),
        None => Err(FenceError::UnknownUser(user.to_string())),
    }
}

impl Daemon {
    /// Gives up privileges, for good.
    ///
    /// # Errors
    /// Where that is refused; psilogd must not go on then.
    pub fn fence(&mut self) -> Result<(), FenceError> {
        let user = find_user(&self.config)?;
        sys::no_core_dump();
        sys::no_new_privileges().map_err(FenceError::NewPrivileges)?;
        // Both need capabilities that are dropped now, and both may be refused. What is
        // touched later is locked later.
        spare_from_oom_killer();
        let _ = sys::lock_memory();
        let kept = kept(&self.config.rules, user.is_some());
        let settings = &self.config.settings;
        if let (Err(error), Some(user)) = (sys::drop_privileges(user, kept), &settings.user) {
            return Err(FenceError::User(user.clone(), error));
        }
        if settings.sandbox {
            self.sandbox = Sandbox::enter(&self.source.paths(), &self.roots);
        }
        Ok(())
    }

    /// Whether a configuration that was read again can be put into force by a process
    /// that has given up what it had.
    ///
    /// # Errors
    /// The setting that needs a restart.
    pub(super) fn check_reload(&self, config: &Config) -> Result<(), ParseError> {
        let (now, then) = (&self.config.settings, &config.settings);
        let refuse = |word: &str| {
            let help = "the change takes effect at the next start: restart psilogd";
            Err(ParseError {
                word: word.into(),
                reason: Reason::NeedsRestart,
                help: help.into(),
            })
        };
        let kmsg = OutputSpec::Kmsg;
        let is_new = then.outputs.contains(&kmsg) && !now.outputs.contains(&kmsg);
        match () {
            () if now.user != then.user => refuse("user"),
            () if now.sandbox != then.sandbox => refuse("sandbox"),
            () if is_new && now.user.is_some() && !is_writable(KMSG) => refuse("kmsg"),
            () => Ok(()),
        }
    }
}

/// What the kernel holds psilogd to. A kernel that knows less holds it to less.
pub(super) struct Sandbox {
    name: String,
    _landlock: Option<Landlock>,
}

impl Sandbox {
    /// Nothing is in force.
    pub(super) fn none() -> Sandbox {
        Sandbox {
            name: "off".into(),
            _landlock: None,
        }
    }

    /// Puts all in force that the kernel has: the files of the configuration can be read
    /// again, and new cgroups be armed.
    fn enter(files: &[PathBuf], roots: &Roots) -> Sandbox {
        // the time zone is read once, before its file can't be
        sys::local(sys::wall());
        let landlock = landlock(files, roots).ok();
        let version = landlock.as_ref().map(|landlock| landlock.version);
        let landlock_name = version.map(|version| format!("landlock{version}"));
        let seccomp = sys::seccomp().ok().map(|()| "seccomp".to_string());
        let names: Vec<String> = landlock_name.into_iter().chain(seccomp).collect();
        Sandbox {
            name: match names.is_empty() {
                true => "none".into(),
                false => names.join(","),
            },
            _landlock: landlock,
        }
    }

    /// What is in force, as the start line names it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Allows what psilogd opens after the start.
fn landlock(files: &[PathBuf], roots: &Roots) -> io::Result<Landlock> {
    // A mount may follow at the usual place.
    let cgroups = roots.cgroup.as_deref();
    let cgroups = cgroups.unwrap_or(Path::new("/sys/fs/cgroup"));
    let mut allowed = vec![
        Allowed {
            keep: true,
            ..both(&roots.system)
        },
        both(cgroups),
        // mountinfo, and counter files that could not be opened before
        Allowed {
            write: false,
            ..both(Path::new("/proc"))
        },
        writable(Path::new(KMSG)),
    ];
    let configuration: Vec<_> = files.iter().flat_map(|file| configuration(file)).collect();
    allowed.extend(configuration.iter().map(|path| Allowed {
        write: false,
        ..both(path)
    }));
    // a reload opens the terminal anew
    for (fd, path) in [
        (sys::STDOUT, "/proc/self/fd/1"),
        (sys::STDERR, "/proc/self/fd/2"),
    ] {
        if sys::file_kind(fd).0 == FileKind::Device {
            allowed.push(writable(Path::new(path)));
        }
    }
    sys::landlock(&allowed)
}

fn both(path: &Path) -> Allowed<'_> {
    Allowed {
        path,
        read: true,
        write: true,
        keep: false,
    }
}

fn writable(path: &Path) -> Allowed<'_> {
    Allowed {
        read: false,
        ..both(path)
    }
}

/// What a reload reads: the directory of a file, since an editor puts another file
/// there, and that of the file behind a link. No directory of devices: /dev/null is an
/// empty configuration. A directory is itself one, if it exists.
fn configuration(file: &Path) -> Vec<PathBuf> {
    let target = file.canonicalize();
    if target
        .as_ref()
        .is_ok_and(|target| target.exists() && !target.is_file())
    {
        return vec![file.into()];
    }
    let directory = |path: &Path| match path.parent() {
        Some(parent) if parent == Path::new("") => PathBuf::from("."),
        Some(parent) => parent.into(),
        None => path.into(),
    };
    let files = [Some(file), target.as_deref().ok()];
    files.into_iter().flatten().map(directory).collect()
}

fn is_writable(path: &str) -> bool {
    OpenOptions::new().write(true).open(path).is_ok()
}

/// What the rules need later. Where psilogd stays the user that started it, a reload may
/// bring any rule, so it keeps what any rule can need. Another user has only what the
/// rules in force at the start need: CAP_SYS_RESOURCE for a window that is no multiple of
/// 2 s, and CAP_DAC_OVERRIDE to open the files of cgroups, which root owns.
fn kept(rules: &[Rule], other_user: bool) -> Kept {
    let window = |rule: &Rule| rule.wants_capability() && !rule.has_common_window();
    Kept {
        sys_resource: !other_user || rules.iter().any(window),
        dac_override: !other_user || rules.iter().any(|rule| rule.cgroup.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_user_keeps_what_its_rules_need() {
        for (text, sys_resource, dac_override) in [
            ("io full 10%/2s", false, false),
            ("io full 10%/500ms", true, false),
            ("io full 10%/2s cgroup=/a", false, true),
            ("io full 10%/1s cgroup=/a", true, true),
            ("io full 10%/4s cgroup=/a/*", false, true),
        ] {
            let rules = [Rule::parse(text.split(' ')).unwrap()];
            let needed = Kept {
                sys_resource,
                dac_override,
            };
            assert_eq!(kept(&rules, true), needed, "{text}");
            let any = Kept {
                sys_resource: true,
                dac_override: true,
            };
            assert_eq!(kept(&rules, false), any);
        }
    }
}
