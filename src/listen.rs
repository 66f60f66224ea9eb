//! Pressure files that a service manager has opened for psilogd and passes on
//! (sd_listen_fds(3)): whoever opened a file decides which windows its trigger may have.

use std::os::fd::OwnedFd;

use crate::pressure::Resource;
use crate::sys;

/// The resources of so many descriptors by their names, which are separated by colons:
/// `cpu`, `memory`, `io` or `irq`, as the files of /proc/pressure are called. None for a
/// descriptor with another name, or with none.
pub fn resources(names: &str, count: usize) -> Vec<Option<Resource>> {
    let resource = |name: &str| {
        let mut all = Resource::ALL.into_iter();
        all.find(|resource| resource.name() == name)
    };
    let named = names.split(':').map(resource);
    named.chain(std::iter::repeat(None)).take(count).collect()
}

/// Files of the whole system that no rule has armed yet.
#[derive(Default)]
pub struct Passed(Vec<(Resource, OwnedFd)>);

impl Passed {
    /// What the environment names: `LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`. To be
    /// called before anything else is opened. Other descriptors are closed.
    pub fn from_environment() -> Passed {
        let variable = |name| std::env::var(name).ok();
        let number = |name| variable(name)?.parse().ok();
        if number("LISTEN_PID") != Some(std::process::id()) {
            return Passed::default();
        }
        let count = number("LISTEN_FDS").unwrap_or(0) as usize;
        let names = variable("LISTEN_FDNAMES").unwrap_or_default();
        let passed = sys::passed_descriptors(count);
        let resources = resources(&names, passed.len());
        let files = resources.into_iter().zip(passed);
        Passed(
            files
                .filter_map(|(resource, fd)| Some((resource?, fd?)))
                .collect(),
        )
    }

    /// One for this resource, which is then the caller's.
    pub fn take(&mut self, resource: Resource) -> Option<OwnedFd> {
        let at = self.0.iter().position(|(other, _)| *other == resource)?;
        Some(self.0.remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_files() {
        let (cpu, io) = (Some(Resource::Cpu), Some(Resource::Io));
        for (names, count, expected) in [
            ("cpu:io", 2, vec![cpu, io]),
            ("cpu:io", 1, vec![cpu]),
            ("io:io", 3, vec![io, io, None]),
            (
                "memory:irq",
                2,
                vec![Some(Resource::Memory), Some(Resource::Irq)],
            ),
            ("", 1, vec![None]),
            ("unknown::CPU:cpu ", 4, vec![None; 4]),
            ("cpu", 0, vec![]),
        ] {
            assert_eq!(resources(names, count), expected, "{names}");
        }
    }
}
