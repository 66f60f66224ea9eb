//! Microseconds, the kernel's unit for stalls and windows: lengths
//! ([`Micros`]) with the grammar that rules use, and points on
//! CLOCK_MONOTONIC ([`Moment`]). Arithmetic saturates, nothing here panics.

use std::fmt;
use std::ops::{Add, Sub};

/// A length of time in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Micros(pub u64);

/// The longest duration of a rule or a setting: one year. It keeps every sum of two
/// durations and a moment far below the largest u64.
pub const LONGEST: Micros = Micros(366 * 24 * 3_600_000_000);

const UNITS: [(&str, u64); 5] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
];

/// Why a text is not a duration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DurationError {
    /// It does not begin with a whole number.
    Number,
    /// The number is not followed by one of us, ms, s, m, h.
    Unit,
    /// It is longer than [`LONGEST`].
    TooLong,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DurationError::Number => "expected a duration, e.g. 500ms, 20s or 2m",
            DurationError::Unit => "expected a whole number and a unit us, ms, s, m or h, e.g. 20s",
            DurationError::TooLong => "the duration must be at most one year (8784h)",
        })
    }
}

impl std::error::Error for DurationError {}

impl Micros {
    /// Zero.
    pub const ZERO: Micros = Micros(0);

    /// `n` seconds.
    pub const fn secs(n: u64) -> Micros {
        Micros(n.saturating_mul(1_000_000))
    }

    /// `n` milliseconds.
    pub const fn millis(n: u64) -> Micros {
        Micros(n.saturating_mul(1_000))
    }

    /// Reads `20s`, `500ms`, `2m`, … A bare `0` needs no unit.
    pub fn parse(text: &str) -> Result<Micros, DurationError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(DurationError::Number);
        }
        if unit.is_empty() && number.bytes().all(|b| b == b'0') {
            return Ok(Micros::ZERO);
        }
        let scale = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(DurationError::Unit)?
            .1;
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        match number.checked_mul(scale) {
            Some(us) if us <= LONGEST.0 => Ok(Micros(us)),
            _ => Err(DurationError::TooLong),
        }
    }
}

/// The shortest exact text that [`Micros::parse`] reads back: `2m`, `1500ms`, `0`.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let (name, scale) = UNITS
            .iter()
            .rev()
            .find(|(_, scale)| self.0 % scale == 0)
            .unwrap_or(&UNITS[0]);
        write!(f, "{}{name}", self.0 / scale)
    }
}

impl Add for Micros {
    type Output = Micros;
    fn add(self, other: Micros) -> Micros {
        Micros(self.0.saturating_add(other.0))
    }
}

impl Sub for Micros {
    type Output = Micros;
    fn sub(self, other: Micros) -> Micros {
        Micros(self.0.saturating_sub(other.0))
    }
}

/// A point in time: microseconds of CLOCK_MONOTONIC, which stops during suspend like
/// the kernel's trigger windows (they use sched_clock).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment(pub u64);

impl Moment {
    /// The time from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Moment) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Micros> for Moment {
    type Output = Moment;
    fn add(self, length: Micros) -> Moment {
        Moment(self.0.saturating_add(length.0))
    }
}

impl Sub<Micros> for Moment {
    type Output = Moment;
    fn sub(self, length: Micros) -> Moment {
        Moment(self.0.saturating_sub(length.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print() {
        for (text, us) in [
            ("1us", 1),
            ("150ms", 150_000),
            ("2s", 2_000_000),
            ("5m", 300_000_000),
            ("6h", 21_600_000_000),
            ("0", 0),
            ("1500ms", 1_500_000),
        ] {
            let parsed = Micros::parse(text);
            assert_eq!(parsed, Ok(Micros(us)), "{text}");
            assert_eq!(Micros(us).to_string(), text);
        }
        assert_eq!(
            Micros::parse("120s").map(|d| d.to_string()),
            Ok("2m".into())
        );
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        for (text, why) in [
            ("", DurationError::Number),
            ("s", DurationError::Number),
            ("-1s", DurationError::Number),
            ("5", DurationError::Unit),
            ("5sec", DurationError::Unit),
            ("1.5s", DurationError::Unit),
            ("5S", DurationError::Unit),
            ("9000h", DurationError::TooLong),
            ("18446744073709551616us", DurationError::TooLong),
            ("18446744073709551615h", DurationError::TooLong),
        ] {
            assert_eq!(Micros::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_moment_never_goes_below_zero() {
        assert_eq!(Moment(5).since(Moment(9)), Micros::ZERO);
        assert_eq!(Moment(5) - Micros(9), Moment(0));
    }
}
