//! Bytes as a sequence of choices.

/// Takes choices off the front of some bytes. Once they are used up, every choice is the
/// first one, and every number is 0.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *byte
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// At most 256 choices.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Of any magnitude, and near 0 and the largest more often than not.
    pub fn number(&mut self) -> u64 {
        let (shift, value) = (self.byte() % 65, u64::from(self.byte()));
        match shift {
            64 => u64::MAX - value,
            shift => value << shift,
        }
    }

    /// A number of at most two bytes.
    pub fn small(&mut self) -> u64 {
        u64::from(self.byte()) << 8 | u64::from(self.byte())
    }

    pub fn option<T>(&mut self, of: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| of(self))
    }

    /// At most so many bytes, and at least one: a name.
    pub fn name(&mut self, most: usize) -> &'a [u8] {
        let length = (1 + self.below(256)).min(most).min(self.0.len());
        let (name, rest) = self.0.split_at(length);
        self.0 = rest;
        match name {
            [] => b"x",
            name => name,
        }
    }
}
