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
