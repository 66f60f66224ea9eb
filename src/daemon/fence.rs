//! What psilogd gives up once everything is open. What it opens later, after SIGHUP or
//! for a new cgroup, it opens with what is left.

use std::error::Error;
use std::fmt;
use std::fs::OpenOptions;
use std::io;

use super::{Daemon, stay_in_memory};
use crate::config::{Config, OutputSpec, UserSpec};
use crate::rule::{ParseError, Reason, Rule};
use crate::sys::{self, Ids, Kept};

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
    Ok(match &config.settings.user {
        None => None,
        Some(UserSpec::Ids { uid, gid }) => Some(Ids {
            uid: *uid,
            gid: *gid,
        }),
        Some(UserSpec::Name(name)) => {
            let found = sys::look_up_user(name);
            Some(found.ok_or_else(|| FenceError::UnknownUser(name.clone()))?)
        }
    })
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
        if user.is_some() {
            // needs capabilities that are dropped now
            stay_in_memory();
        }
        let kept = kept(&self.config.rules, user.is_some());
        sys::drop_privileges(user, kept).map_err(|error| match self.user() {
            Some(user) => FenceError::User(user, error),
            None => FenceError::NewPrivileges(error),
        })
    }

    fn user(&self) -> Option<UserSpec> {
        self.config.settings.user.clone()
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
            () if is_new && now.user.is_some() && !is_writable(KMSG) => refuse("kmsg"),
            () => Ok(()),
        }
    }
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
