//! A log line's text in a caller's buffer: a sentence and `key=value` pairs.
//! Nothing here allocates or formats a float. A key that doesn't fit is left
//! out whole, and so is every one behind it.

use std::fmt::{self, Write as _};

use crate::pattern::is_plain;
use crate::pressure::Percent;
use crate::time::Micros;

/// The longest line that is ever written, header and all: what every receiver
/// takes but a busybox syslogd with a small buffer (the setting `max_line`).
pub const LINE_MAX: usize = 1000;

/// A line that is being written.
pub struct Line<'a> {
    buffer: &'a mut [u8],
    len: usize,
    full: bool,
}

impl<'a> Line<'a> {
    /// An empty line; the buffer's length is the limit.
    pub fn new(buffer: &'a mut [u8]) -> Line<'a> {
        Line {
            buffer,
            len: 0,
            full: false,
        }
    }

    /// What was written so far.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// How long that is.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Literal text, cut at the end of the buffer.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.raw(text.as_bytes());
        self
    }

    /// Literal bytes, cut at the end of the buffer.
    pub fn raw(&mut self, bytes: &[u8]) {
        let room = self.buffer.len() - self.len;
        if bytes.len() > room {
            self.full = true;
        }
        let bytes = &bytes[..bytes.len().min(room)];
        self.buffer[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Formats what neither allocates nor is a float.
    fn format(&mut self, arguments: fmt::Arguments<'_>) {
        // Only `write_str` below could fail, and it doesn't.
        let _ = self.write_fmt(arguments);
    }

    /// A decimal number, padded to `width` with zeros (`b'0'`) or else spaces. By hand:
    /// with core::fmt a refresh of psistat takes a tenth more instructions.
    pub fn decimal(&mut self, number: u64, width: usize, pad: u8) -> &mut Self {
        /// Of u64::MAX.
        const DIGITS: usize = 20;
        let mut digits = [b'0'; DIGITS];
        let (mut first, mut rest) = (DIGITS, number);
        while rest > 0 || first == DIGITS {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let pad = if pad == b'0' { b"0" } else { b" " };
        for _ in DIGITS - first..width {
            self.raw(pad);
        }
        self.raw(&digits[first..]);
        self
    }

    /// `scaled` with its last `decimals` digits behind a point.
    fn fixed(&mut self, scaled: u64, decimals: usize) {
        let unit = [1, 10, 100][decimals.min(2)];
        self.decimal(scaled / unit, 1, b'0');
        self.raw(b".");
        self.decimal(scaled % unit, decimals, b'0');
    }

    /// ` key=word`; the word is plain by its nature (a name, a token).
    pub fn word(&mut self, key: &str, word: &str) -> &mut Self {
        self.key(key, |line| line.raw(word.as_bytes()))
    }

    /// ` key=bytes` with everything that is not plain as %XX.
    pub fn escaped(&mut self, key: &str, bytes: &[u8]) -> &mut Self {
        self.key(key, |line| {
            for &byte in bytes {
                match is_plain(byte) {
                    true => line.raw(&[byte]),
                    false => line.format(format_args!("%{byte:02X}")),
                }
            }
        })
    }

    /// ` key=number`.
    pub fn number(&mut self, key: &str, number: u64) -> &mut Self {
        self.key(key, |line| {
            line.decimal(number, 1, b'0');
        })
    }

    /// ` key=12.34`.
    pub fn percent(&mut self, key: &str, percent: Percent) -> &mut Self {
        self.key(key, |line| line.fixed(u64::from(percent.0), 2))
    }

    /// ` key=12.3`, in seconds.
    pub fn seconds(&mut self, key: &str, length: Micros) -> &mut Self {
        self.key(key, |line| line.fixed(length.0 / 100_000, 1))
    }

    /// ` key=6a2b1c3d.17`: an episode's identifier.
    pub fn id(&mut self, key: &str, start: u64, number: u64) -> &mut Self {
        self.key(key, |line| {
            line.format(format_args!("{start:x}.{number}"));
        })
    }

    fn key(&mut self, key: &str, value: impl FnOnce(&mut Self)) -> &mut Self {
        if self.full {
            return self;
        }
        let mark = self.len;
        self.raw(b" ");
        self.raw(key.as_bytes());
        self.raw(b"=");
        value(self);
        if self.full {
            self.len = mark;
        }
        self
    }
}

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text.as_bytes());
        Ok(())
    }
}

/// The longest beginning of `line` that is at most `limit` bytes and ends
/// between two keys. Values hold no space, so every space behind `event=` is
/// such an end; `event=` and `level=` themselves are never cut off.
pub fn whole_keys(line: &[u8], limit: usize) -> Option<&[u8]> {
    if line.len() <= limit {
        return Some(line);
    }
    let end = line[..=limit].iter().rposition(|&b| b == b' ')?;
    let cut = &line[..end];
    let has = |key: &[u8]| cut.windows(key.len()).any(|at| at == key);
    (has(b" event=") && has(b" level=")).then_some(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(limit: usize, write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut buffer = vec![0; limit];
        let mut line = Line::new(&mut buffer);
        write(&mut line);
        String::from_utf8_lossy(line.bytes()).into_owned()
    }

    #[test]
    fn numbers() {
        let text = line(200, |line| {
            line.text("x:").number("a", 0).number("b", u64::MAX);
            line.percent("c", Percent(5)).percent("d", Percent(10_000));
            line.seconds("e", Micros(677_299_999))
                .seconds("f", Micros(99_999));
            line.id("g", 0x6a2b_1c3d, 17).id("h", 0, 0);
        });
        let expected = "x: a=0 b=18446744073709551615 c=0.05 d=100.00 e=677.2 f=0.0 \
                        g=6a2b1c3d.17 h=0.0";
        assert_eq!(text, expected);
    }

    #[test]
    fn padding() {
        let text = line(20, |line| {
            line.decimal(7, 2, b' ')
                .decimal(7, 2, b'0')
                .decimal(123, 2, b'0');
        });
        assert_eq!(text, " 707123");
    }

    #[test]
    fn whatever_is_in_a_value_it_stays_one_printable_word() {
        let every: Vec<u8> = (0..=255).collect();
        let text = line(2000, |line| {
            line.text("x:").escaped("a", &every);
        });
        let value = text.split_once("a=").map(|(_, value)| value.to_string());
        let value = value.unwrap_or_default();
        assert!(
            value
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"\"= ".contains(&b)),
            "{value}"
        );
        assert!(value.contains("%00") && value.contains("%25") && value.contains("%FF"));
    }

    #[test]
    fn a_key_that_does_not_fit_is_left_out_whole_and_all_behind_it() {
        for limit in 0..40 {
            let text = line(limit, |line| {
                line.text("x:")
                    .number("aa", 1000)
                    .escaped("b", b"\n\n\n")
                    .number("c", 1);
            });
            let all = "x: aa=1000 b=%0A%0A%0A c=1";
            assert!(all.starts_with(&text) && text.len() <= limit);
            let rest = &all[text.len()..];
            assert!(
                limit < 2 || rest.is_empty() || rest.starts_with(' '),
                "{limit}: {text}"
            );
        }
    }

    #[test]
    fn a_cut_line_has_whole_keys_and_keeps_event_and_level() {
        let all = b"x y: event=begin level=crit a=1 b=22";
        for limit in 0..=all.len() {
            match whole_keys(all, limit) {
                None => assert!(limit < 27, "{limit}"),
                Some(cut) => {
                    assert!(cut.len() <= limit);
                    assert!(cut.len() == all.len() || all[cut.len()] == b' ');
                    assert!(cut.ends_with(b"crit") || cut.ends_with(b"1") || cut == all);
                }
            }
        }
        assert_eq!(whole_keys(all, 27), Some(&all[..27]));
    }
}
