//! The user that psilogd becomes, as `user` and -u name it.

use std::fmt;

use crate::rule::{ParseError, Reason};

/// The longest name (useradd(8)).
const NAME_MAX: usize = 32;
pub(super) const USER_HELP: &str =
    "expected the name of a user, UID:GID in decimal, e.g. 65534:65534, or none";

/// A user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UserSpec {
    /// By name, with the primary group that /etc/passwd has for it.
    Name(String),
    /// By number, for a host without /etc/passwd.
    Ids {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
}

impl UserSpec {
    /// Reads `NAME` or `UID:GID`.
    ///
    /// # Errors
    /// A word that is neither. That a name is unknown shows at the start.
    pub fn parse(word: &str) -> Result<UserSpec, ParseError> {
        let bad = || ParseError::new(word, Reason::BadValue, USER_HELP);
        if let Some((uid, gid)) = word.split_once(':') {
            // (u32)-1 is no user: to setresuid(2) it is "unchanged"
            let id = |text: &str| {
                let digits = text.bytes().all(|b| b.is_ascii_digit());
                let id = text.parse().ok().filter(|id| digits && *id != u32::MAX);
                id.ok_or_else(bad)
            };
            let (uid, gid) = (id(uid)?, id(gid)?);
            return Ok(UserSpec::Ids { uid, gid });
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let begins = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        match begins && word.len() <= NAME_MAX && word.bytes().all(plain) {
            true => Ok(UserSpec::Name(word.into())),
            false => Err(bad()),
        }
    }
}

impl UserSpec {
    /// The numbers of the user and its primary group; a name's by the text of /etc/passwd
    /// (passwd(5)). None if that doesn't have the name.
    pub fn ids(&self, passwd: &[u8]) -> Option<(u32, u32)> {
        let name = match self {
            UserSpec::Ids { uid, gid } => return Some((*uid, *gid)),
            UserSpec::Name(name) => name.as_bytes(),
        };
        passwd.split(|&b| b == b'\n').find_map(|line| {
            let mut fields = line.split(|&b| b == b':');
            let is_it = fields.next()? == name;
            let mut id = |skipped: usize| {
                let field = fields.nth(skipped)?;
                std::str::from_utf8(field).ok()?.parse().ok()
            };
            // name, password, user, group
            let ids = (id(1)?, id(0)?);
            is_it.then_some(ids)
        })
    }
}

impl fmt::Display for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserSpec::Name(name) => f.write_str(name),
            UserSpec::Ids { uid, gid } => write!(f, "{uid}:{gid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_passwd() {
        let passwd = b"root:x:0:0::/root:/bin/sh\n\nbad\nbad:x:a:b:\n+::::::\n\xff:x:7:8:\n\
                       psilogd:!:104:65534::/:/bin/false\nlast:x:1:2";
        let ids = |name: &str| UserSpec::Name(name.into()).ids(passwd);
        assert_eq!(ids("root"), Some((0, 0)));
        assert_eq!(ids("psilogd"), Some((104, 65534)));
        assert_eq!(ids("last"), Some((1, 2)));
        for name in ["bad", "psilog", "x", ""] {
            assert_eq!(ids(name), None, "{name}");
        }
        assert_eq!(UserSpec::Ids { uid: 3, gid: 4 }.ids(b""), Some((3, 4)));
    }

    #[test]
    fn a_user_is_a_name_or_two_numbers() {
        for word in ["psilogd", "_psilogd", "a.b-c_9", "0:0", "65534:100"] {
            let user = UserSpec::parse(word).map(|user| user.to_string());
            assert_eq!(user.as_deref(), Ok(word));
        }
        let long = "a".repeat(NAME_MAX + 1);
        for word in [
            "",
            ":",
            "1",
            "1:",
            ":1",
            "1:2:3",
            "+1:2",
            "-1:0",
            "1:4294967295",
            "4294967296:1",
            "1: 2",
            "-a",
            "a b",
            "a/b",
            "a:1",
            "é",
            &long,
        ] {
            assert!(UserSpec::parse(word).is_err(), "{word}");
        }
    }
}
