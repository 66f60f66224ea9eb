//! Why a rule could not be armed here, found without arming it: a check of the
//! configuration must neither wake the kernel's poller nor touch a cgroup.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{ArmError, Trigger, hint};
use crate::report::Hint;
use crate::roots::Roots;
use crate::rule::Rule;

/// Whether a rule could be armed on this host now. `privileged` is whether psilogd has
/// CAP_SYS_RESOURCE.
///
/// # Errors
/// Those of [`Trigger::arm`] that are visible without writing to the file.
pub fn forecast(rule: &Rule, roots: &Roots, privileged: bool) -> Result<(), ArmError> {
    let plain = rule.cgroup.as_ref().and_then(|pattern| pattern.plain());
    let no_cgroups = || !roots.cgroup.as_deref().is_some_and(Path::is_dir);
    if rule.cgroup.is_some() && no_cgroups() {
        let path = roots.cgroup.as_deref().unwrap_or(Path::new("cgroup2"));
        return Err(bad(path, libc::ENOENT, Hint::Cgroup2));
    }
    // It is unknown what a pattern will match. The system's file shows whether the
    // kernel records the resource.
    let cgroup = plain.as_deref();
    let Some(path) = roots.file(rule.resource, cgroup) else {
        return Err(bad(Path::new("cgroup2"), libc::ENOENT, Hint::Cgroup2));
    };
    let file = OpenOptions::new()
        .read(true)
        // the file is that of the trigger, unless the rule is a pattern
        .write(!rule.is_pattern())
        .custom_flags(libc::O_NONBLOCK)
        .open(&path);
    let (kind, privileged) = (rule.kind, privileged && rule.wants_capability());
    let read = file.and_then(|file| {
        Trigger {
            file,
            kind,
            privileged,
        }
        .read()
    });
    if let Err(error) = read {
        let hint = match rule.is_pattern() {
            true => system_hint(&error, rule, roots),
            false => hint(&error, rule, roots, &path),
        };
        return Err(ArmError { path, error, hint });
    }
    match !privileged && !rule.has_common_window() {
        true => Err(bad(&path, libc::EINVAL, Hint::Window)),
        false => Ok(()),
    }
}

fn bad(path: &Path, errno: i32, hint: Hint) -> ArmError {
    ArmError {
        path: path.into(),
        error: io::Error::from_raw_os_error(errno),
        hint: Some(hint),
    }
}

fn system_hint(error: &io::Error, rule: &Rule, roots: &Roots) -> Option<Hint> {
    let mut rule = rule.clone();
    rule.cgroup = None;
    hint(error, &rule, roots, &roots.system)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    const FIGURES: &str = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n\
                           full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

    /// A host of plain files: cpu, memory and io, and a cgroup `a`.
    struct Host(PathBuf);

    impl Host {
        fn new(name: &str) -> Host {
            let root = std::env::temp_dir().join(format!("psilogd-{}-{name}", std::process::id()));
            fs::create_dir_all(root.join("pressure")).unwrap();
            fs::create_dir_all(root.join("cgroup/a")).unwrap();
            for file in ["pressure/cpu", "pressure/io", "cgroup/a/io.pressure"] {
                fs::write(root.join(file), FIGURES).unwrap();
            }
            Host(root)
        }

        fn roots(&self) -> Roots {
            Roots {
                system: self.0.join("pressure"),
                cgroup: Some(self.0.join("cgroup")),
            }
        }
    }

    impl Drop for Host {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn rule(text: &str) -> Rule {
        Rule::parse(text.split(' ')).expect("a rule")
    }

    fn found(text: &str, roots: &Roots, privileged: bool) -> Option<&'static str> {
        let why = forecast(&rule(text), roots, privileged).err()?;
        Some(why.hint.map_or("none", Hint::token))
    }

    #[test]
    fn what_can_be_armed_is_not_written_to() {
        let host = Host::new("armed");
        for text in [
            "io full 10%/2s",
            "io full 10%/2s cgroup=/a",
            "io full 10%/2s cgroup=/*",
        ] {
            for privileged in [true, false] {
                assert_eq!(found(text, &host.roots(), privileged), None, "{text}");
            }
        }
        assert_eq!(found("io full 10%/500ms", &host.roots(), true), None);
        for file in ["pressure/io", "cgroup/a/io.pressure"] {
            assert_eq!(fs::read_to_string(host.0.join(file)).unwrap(), FIGURES);
        }
    }

    #[test]
    fn what_can_not_be_armed_is_found() {
        let host = Host::new("unarmed");
        let (roots, mut none) = (host.roots(), host.roots());
        none.cgroup = None;
        let mut off = host.roots();
        off.system = host.0.join("nothing");
        let mut gone = host.roots();
        gone.cgroup = Some(host.0.join("nothing"));
        for (text, roots, token) in [
            ("io full 10%/500ms", &roots, "window_2s"),
            ("io full 10%/3s cgroup=/a", &roots, "window_2s"),
            ("irq full 10%/2s", &roots, "no_irq_pressure"),
            ("irq full 10%/2s cgroup=/*", &roots, "no_irq_pressure"),
            ("io full 10%/2s", &off, "psi_off"),
            ("io full 10%/2s cgroup=/b", &roots, "no_cgroup"),
            ("io full 10%/2s cgroup=/a", &none, "no_cgroup2"),
            ("io full 10%/2s cgroup=/*", &none, "no_cgroup2"),
            ("io full 10%/2s cgroup=/*", &gone, "no_cgroup2"),
        ] {
            assert_eq!(found(text, roots, false), Some(token), "{text}");
        }
    }
}
