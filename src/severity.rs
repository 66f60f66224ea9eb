//! The severities of syslog, by the names that syslog.conf(5) and `level=` use
//! (RFC 5424, table 2; RFC 3164, 4.1.1).

use std::fmt;

/// How severe a line is.
#[derive(Clone, Copy)]
pub struct Severity(syslog::Severity);

impl Severity {
    /// System is unusable.
    pub const EMERG: Severity = Severity(syslog::Severity::LOG_EMERG);
    /// Action must be taken immediately.
    pub const ALERT: Severity = Severity(syslog::Severity::LOG_ALERT);
    /// Critical conditions.
    pub const CRIT: Severity = Severity(syslog::Severity::LOG_CRIT);
    /// Error conditions.
    pub const ERR: Severity = Severity(syslog::Severity::LOG_ERR);
    /// Warning conditions.
    pub const WARNING: Severity = Severity(syslog::Severity::LOG_WARNING);
    /// Normal but significant condition.
    pub const NOTICE: Severity = Severity(syslog::Severity::LOG_NOTICE);
    /// Informational messages.
    pub const INFO: Severity = Severity(syslog::Severity::LOG_INFO);
    /// Debug-level messages.
    pub const DEBUG: Severity = Severity(syslog::Severity::LOG_DEBUG);

    /// All of them, most severe first, each at the index of its number.
    pub const ALL: [Severity; 8] = [
        Severity::EMERG,
        Severity::ALERT,
        Severity::CRIT,
        Severity::ERR,
        Severity::WARNING,
        Severity::NOTICE,
        Severity::INFO,
        Severity::DEBUG,
    ];

    /// The number, 0 (emerg) to 7 (debug).
    pub const fn number(self) -> u8 {
        self.0 as u8
    }

    /// The name: `crit`.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 8] = [
            "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
        ];
        NAMES[usize::from(self.number())]
    }

    /// The severity of this name; None if there is none.
    pub fn parse(name: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl PartialEq for Severity {
    fn eq(&self, other: &Severity) -> bool {
        self.number() == other.number()
    }
}

impl Eq for Severity {}

impl fmt::Debug for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_standard_and_names_read_back() {
        for (number, severity) in (0..).zip(Severity::ALL) {
            assert_eq!(severity.number(), number);
            assert_eq!(Severity::parse(severity.name()), Some(severity));
        }
        assert_eq!(Severity::WARNING.number(), 4);
        assert_eq!(Severity::WARNING.name(), "warning");
        assert_eq!(Severity::parse("error"), None);
    }
}
