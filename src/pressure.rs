//! The kernel's pressure figures: the resources, the two kinds, and the text of a
//! pressure file (Documentation/accounting/psi.rst, psi_show() in
//! kernel/sched/psi.c).

use std::fmt;

/// What tasks wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// A CPU to run on.
    Cpu,
    /// Memory: reclaim, swap-in, refaults.
    Memory,
    /// Block I/O.
    Io,
    /// Interrupts (only kernels with CONFIG_IRQ_TIME_ACCOUNTING).
    Irq,
}

impl Resource {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Resource; 4] = [Resource::Cpu, Resource::Memory, Resource::Io, Resource::Irq];

    /// The name in rules and lines, and of the file in /proc/pressure.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Cpu => "cpu",
            Resource::Memory => "memory",
            Resource::Io => "io",
            Resource::Irq => "irq",
        }
    }

    /// The name of the file in a cgroup's directory.
    pub const fn cgroup_file(self) -> &'static str {
        match self {
            Resource::Cpu => "cpu.pressure",
            Resource::Memory => "memory.pressure",
            Resource::Io => "io.pressure",
            Resource::Irq => "irq.pressure",
        }
    }

    /// The resource of that name.
    pub fn parse(text: &str) -> Option<Resource> {
        Resource::ALL.into_iter().find(|r| r.name() == text)
    }
}

/// Who waits: some tasks, or all of them that are not idle at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// At least one task is stalled.
    Some,
    /// All non-idle tasks are stalled: nothing gets done.
    Full,
}

impl Kind {
    /// The word in rules, lines and pressure files.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Some => "some",
            Kind::Full => "full",
        }
    }

    /// The kind of that name.
    pub fn parse(text: &str) -> Option<Kind> {
        [Kind::Some, Kind::Full]
            .into_iter()
            .find(|k| k.name() == text)
    }
}

/// A percentage in hundredths, as the kernel prints it: `12.34` is 1234.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Percent(pub u32);

/// One line of a pressure file.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Averages {
    /// Share of the last 10 s, damped.
    pub avg10: Percent,
    /// Share of the last 60 s, damped.
    pub avg60: Percent,
    /// Share of the last 300 s, damped.
    pub avg300: Percent,
    /// Stalled time since boot (or since the cgroup was made), in microseconds.
    pub total: u64,
}

/// A pressure file. A line that the kernel doesn't print is None: `irq` has no
/// `some`, `cpu` has no `full` before 5.13.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pressure {
    /// The `some` line.
    pub some: Option<Averages>,
    /// The `full` line.
    pub full: Option<Averages>,
}

/// Why a text is not a pressure file, to be read behind the file's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PressureError {
    /// It has no lines.
    Empty,
    /// The last line has no line end: the file was cut.
    Truncated,
    /// A line is not `some|full avg10=N.NN avg60=N.NN avg300=N.NN total=N`.
    Garbage,
}

impl fmt::Display for PressureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PressureError::Empty => "is empty: the kernel records no pressure there",
            PressureError::Truncated => "ends in the middle of a line",
            PressureError::Garbage => "is not a pressure file",
        })
    }
}

impl std::error::Error for PressureError {}

impl Pressure {
    /// Reads the text of a pressure file. Lines and keys that a later kernel
    /// may add are ignored; the known ones must be valid.
    ///
    /// # Errors
    /// Where it is empty, was cut, or has no line of a pressure file.
    pub fn parse(text: &[u8]) -> Result<Pressure, PressureError> {
        match Pressure::parse_lines(text, None)? {
            pressure if pressure == Pressure::default() => Err(PressureError::Garbage),
            pressure => Ok(pressure),
        }
    }

    /// Reads only the line of that kind; None where there is none.
    ///
    /// # Errors
    /// Where the text is empty or was cut, or that line is not valid.
    pub fn parse_line(text: &[u8], kind: Kind) -> Result<Option<Averages>, PressureError> {
        Ok(Pressure::parse_lines(text, Some(kind))?.of(kind))
    }

    /// All lines, or the one of a kind.
    fn parse_lines(text: &[u8], only: Option<Kind>) -> Result<Pressure, PressureError> {
        let mut rest = match text.split_last() {
            None => return Err(PressureError::Empty),
            Some((b'\n', lines)) => Some(lines),
            Some(_) => return Err(PressureError::Truncated),
        };
        let mut pressure = Pressure::default();
        while let Some(lines) = rest {
            let (line, behind) = cut(lines, b'\n');
            let (word, figures) = cut(line, b' ');
            rest = behind;
            let (kind, slot) = match word {
                b"some" => (Kind::Some, &mut pressure.some),
                b"full" => (Kind::Full, &mut pressure.full),
                _ => continue,
            };
            if only.is_none_or(|only| only == kind) {
                let averages = figures.and_then(averages);
                *slot = Some(averages.ok_or(PressureError::Garbage)?);
                if only.is_some() {
                    break;
                }
            }
        }
        Ok(pressure)
    }

    /// The line of that kind.
    pub fn of(&self, kind: Kind) -> Option<Averages> {
        match kind {
            Kind::Some => self.some,
            Kind::Full => self.full,
        }
    }
}

/// What is before the first such byte, and what is behind it: None without one.
fn cut(text: &[u8], end: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == end) {
        Some(at) => {
            let (before, behind) = text.split_at(at);
            (before, behind.get(1..))
        }
        None => (text, None),
    }
}

/// The figures of a line.
fn averages(mut rest: &[u8]) -> Option<Averages> {
    let mut averages = Averages::default();
    let mut seen = 0u8;
    loop {
        let (key, behind) = cut(rest, b'=');
        let (value, behind) = cut(behind?, b' ');
        seen |= match key {
            b"avg10" => {
                averages.avg10 = percent(value)?;
                1
            }
            b"avg60" => {
                averages.avg60 = percent(value)?;
                2
            }
            b"avg300" => {
                averages.avg300 = percent(value)?;
                4
            }
            b"total" => {
                averages.total = number(value)?;
                8
            }
            _ => 0,
        };
        match behind {
            Some(behind) => rest = behind,
            None => return (seen == 15).then_some(averages),
        }
    }
}

/// Whole decimal digits, nothing else, within u64.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, &b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// `N.NN`, as LOAD_INT and LOAD_FRAC print it.
fn percent(text: &[u8]) -> Option<Percent> {
    let (whole, [b'.', hundredths @ ..]) = text.split_last_chunk::<3>()? else {
        return None;
    };
    let value = number(whole)?
        .checked_mul(100)?
        .checked_add(number(hundredths)?)?;
    u32::try_from(value).ok().map(Percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_this_kernel() {
        let text = b"some avg10=0.10 avg60=10.55 avg300=100.00 total=3628286\n\
                     full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        let pressure = Pressure::parse(text);
        assert_eq!(
            pressure,
            Ok(Pressure {
                some: Some(Averages {
                    avg10: Percent(10),
                    avg60: Percent(1055),
                    avg300: Percent(10000),
                    total: 3_628_286
                }),
                full: Some(Averages::default()),
            })
        );
    }

    #[test]
    fn a_missing_line_is_none() {
        let irq = Pressure::parse(b"full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
        assert_eq!(
            irq.map(|p| (p.some, p.full.map(|s| s.total))),
            Ok((None, Some(7)))
        );
    }

    #[test]
    fn a_line_is_read_without_the_others() {
        let text = b"most total=1\nsome total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        let total = |kind| {
            let line = Pressure::parse_line(text, kind);
            line.map(|averages| averages.map(|averages| averages.total))
        };
        assert_eq!(total(Kind::Full), Ok(Some(7)));
        assert_eq!(total(Kind::Some), Err(PressureError::Garbage));
        let irq = b"full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(Pressure::parse_line(irq, Kind::Some), Ok(None));
    }

    #[test]
    fn what_a_later_kernel_may_add_is_ignored() {
        let text = b"some avg10=0.00 avg60=0.00 avg300=0.00 avg900=0.00 total=5\nmost total=9\n";
        assert_eq!(
            Pressure::parse(text).map(|p| p.some.map(|s| s.total)),
            Ok(Some(5))
        );
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        for (text, why) in [
            (&b""[..], PressureError::Empty),
            (b"some avg10=0.00 avg60=0.00", PressureError::Truncated),
            (b"some avg10=0.00 avg60=0.00\n", PressureError::Garbage),
            (b"\n", PressureError::Garbage),
            (b"\xff\xfe\0\n", PressureError::Garbage),
            (
                b"some avg10=x avg60=0.00 avg300=0.00 total=5\n",
                PressureError::Garbage,
            ),
            (
                b"some avg10=0.0 avg60=0.00 avg300=0.00 total=5\n",
                PressureError::Garbage,
            ),
            (
                b"some avg10=0.00 avg60=0.00 avg300=0.00 total=-5\n",
                PressureError::Garbage,
            ),
            (
                b"some avg10=0.00 avg60=0.00 avg300=0.00 total=18446744073709551616\n",
                PressureError::Garbage,
            ),
            (
                b"some avg10=0.00  avg60=0.00 avg300=0.00 total=5\n",
                PressureError::Garbage,
            ),
            (
                b"some avg10=0.00 avg60=0.00 avg300=0.00 total=5 \n",
                PressureError::Garbage,
            ),
            (
                b"some avg10=.00 avg60=0.00 avg300=0.00 total=5\n",
                PressureError::Garbage,
            ),
            (b"some\n", PressureError::Garbage),
        ] {
            assert_eq!(Pressure::parse(text), Err(why), "{}", text.escape_ascii());
        }
    }
}
