//! Random changes of bytes.

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers from the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// A part of so many bytes, of 16 at most.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let end = (start + self.below(17)).min(length);
        start..end
    }
}

/// Makes up to four changes; parts of other inputs come in as well.
pub fn change(random: &mut Random, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    for _ in 0..=random.below(4) {
        let part = random.part(input.len());
        match random.below(6) {
            0 => drop(input.drain(part)),
            1 => {
                let copy = input[part.clone()].to_vec();
                drop(input.splice(part.start..part.start, copy));
            }
            2 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.part(other.len());
                drop(input.splice(part, other[from].iter().copied()));
            }
            3 => input.insert(part.start, random.next() as u8),
            _ => {
                if let Some(byte) = input.get_mut(part.start) {
                    *byte = match random.below(3) {
                        0 => random.next() as u8,
                        1 => *byte ^ 1 << random.below(8),
                        _ => byte.wrapping_add(random.below(3) as u8).wrapping_sub(1),
                    };
                }
            }
        }
    }
}
