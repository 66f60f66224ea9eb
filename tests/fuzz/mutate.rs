//! Random changes of bytes.

use super::random::Random;

/// Below `count`, which is not 0.
pub fn below(random: &mut Random, count: usize) -> usize {
    random.within(0, count as u64 - 1) as usize
}

/// A part of so many bytes, of 16 at most.
fn some_part(random: &mut Random, length: usize) -> std::ops::Range<usize> {
    let start = below(random, length + 1);
    let end = (start + below(random, 17)).min(length);
    start..end
}

/// Makes up to four changes; parts of other inputs come in as well.
pub fn change(random: &mut Random, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    for _ in 0..=below(random, 4) {
        let part = some_part(random, input.len());
        match below(random, 6) {
            0 => drop(input.drain(part)),
            1 => {
                let copy = input[part.clone()].to_vec();
                drop(input.splice(part.start..part.start, copy));
            }
            2 => {
                let other = &corpus[below(random, corpus.len())];
                let from = some_part(random, other.len());
                drop(input.splice(part, other[from].iter().copied()));
            }
            3 => input.insert(part.start, random.next() as u8),
            _ => {
                if let Some(byte) = input.get_mut(part.start) {
                    *byte = match below(random, 3) {
                        0 => random.next() as u8,
                        1 => *byte ^ 1 << below(random, 8),
                        _ => byte.wrapping_add(below(random, 3) as u8).wrapping_sub(1),
                    };
                }
            }
        }
    }
}
