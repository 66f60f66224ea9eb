//! A log line's text in a caller's buffer: a sentence and `key=value` pairs.
//! Nothing here allocates or formats a float. A key that doesn't fit is left
//! out whole, and so is every one behind it.

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
        let end = self.len + bytes.len();
        match self.buffer.get_mut(self.len..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len = end;
            }
            None => {
                self.raw(&bytes[..self.buffer.len() - self.len]);
                self.full = true;
            }
        }
    }

    /// One byte, if there is room.
    fn byte(&mut self, byte: u8) {
        match self.buffer.get_mut(self.len) {
            Some(place) => {
                *place = byte;
                self.len += 1;
            }
            None => self.full = true,
        }
    }

    /// A decimal number, padded to `width` with zeros (`b'0'`) or spaces.
    pub fn decimal(&mut self, number: u64, width: usize, pad: u8) -> &mut Self {
        let (text, first) = digits(number, 0);
        for _ in text.len() - first..width {
            self.byte(pad);
        }
        self.raw(&text[first..]);
        self
    }

    /// `scaled` with its last `decimals` digits behind a point.
    fn fixed(&mut self, scaled: u64, decimals: usize) {
        let (text, first) = digits(scaled, decimals);
        self.raw(&text[first..]);
    }

    /// ` key=word`; the word is plain by its nature (a name, a token).
    pub fn word(&mut self, key: &str, word: &str) -> &mut Self {
        let before = self.key(key);
        self.raw(word.as_bytes());
        self.whole(before)
    }

    /// ` key=bytes` with everything that is not plain as %XX.
    pub fn escaped(&mut self, key: &str, bytes: &[u8]) -> &mut Self {
        let before = self.key(key);
        for &byte in bytes {
            if is_plain(byte) {
                self.byte(byte);
            } else {
                self.byte(b'%');
                self.byte(b"0123456789ABCDEF"[usize::from(byte >> 4)]);
                self.byte(b"0123456789ABCDEF"[usize::from(byte & 15)]);
            }
        }
        self.whole(before)
    }

    /// ` key=number`.
    pub fn number(&mut self, key: &str, number: u64) -> &mut Self {
        let before = self.key(key);
        self.fixed(number, 0);
        self.whole(before)
    }

    /// ` key=12.34`.
    pub fn percent(&mut self, key: &str, percent: Percent) -> &mut Self {
        let before = self.key(key);
        self.fixed(u64::from(percent.0), 2);
        self.whole(before)
    }

    /// ` key=12.3`, in seconds.
    pub fn seconds(&mut self, key: &str, length: Micros) -> &mut Self {
        let before = self.key(key);
        self.fixed(length.0 / 100_000, 1);
        self.whole(before)
    }

    /// ` key=6a2b1c3d.17`: an episode's identifier.
    pub fn id(&mut self, key: &str, start: u64, number: u64) -> &mut Self {
        let before = self.key(key);
        let nibbles = start.checked_ilog2().unwrap_or(0) / 4;
        for nibble in (0..=nibbles).rev() {
            self.byte(b"0123456789abcdef"[(start >> (4 * nibble) & 15) as usize]);
        }
        self.byte(b'.');
        self.fixed(number, 0);
        self.whole(before)
    }

    /// ` key=`; how long the line was before.
    fn key(&mut self, key: &str) -> usize {
        let before = self.len;
        self.byte(b' ');
        self.raw(key.as_bytes());
        self.byte(b'=');
        before
    }

    /// Takes the key back if its value doesn't fit, or one before it didn't.
    fn whole(&mut self, before: usize) -> &mut Self {
        if self.full {
            self.len = before;
        }
        self
    }
}

/// Bytes of the digits of u64::MAX, and of a point.
const DIGITS: usize = 21;

/// A decimal number with its last `decimals` digits behind a point, and where it begins.
/// By hand: with core::fmt a refresh of psistat takes a tenth more instructions.
fn digits(number: u64, decimals: usize) -> ([u8; DIGITS], usize) {
    let mut text = [b'.'; DIGITS];
    let (mut first, mut rest) = (DIGITS, number);
    let whole = DIGITS - decimals;
    loop {
        first -= 1;
        text[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if first == whole {
            // the point is there already
            first -= 1;
        } else if rest == 0 && first < whole {
            return (text, first);
        }
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
