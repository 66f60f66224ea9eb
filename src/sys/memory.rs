//! Memory for what a reload brings. Nothing on the way from an event to its line
//! allocates, but a reload does, and Rust ends a program that gets no memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Enough for a reload of a thousand rules. What is never used costs nothing: it is
/// zeroed memory, which the kernel gives when it is touched.
const RESERVE: usize = 512 * 1024;
/// It is given out in pieces of so many bytes.
const PIECE: usize = 16;
/// How often the system is asked.
const ATTEMPTS: usize = 3;

/// The system's allocator, and a reserve for when that has nothing: mmap(2) fails with
/// ENOMEM under a limit (RLIMIT_AS, vm.overcommit_memory=2), or for a moment.
pub struct Memory {
    reserve: UnsafeCell<[u8; RESERVE]>,
    /// Pieces that were given out since it was last whole, and, in the lower half,
    /// allocations that live in it: with the last of them it is whole again.
    state: AtomicU32,
}

// SAFETY: a piece of the reserve is given out once, which `state` decides atomically.
unsafe impl Sync for Memory {}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Memory {
    /// With the whole reserve.
    pub const fn new() -> Memory {
        Memory {
            reserve: UnsafeCell::new([0; RESERVE]),
            state: AtomicU32::new(0),
        }
    }

    fn has(&self, pointer: *mut u8) -> bool {
        let start = self.reserve.get() as usize;
        (start..start + RESERVE).contains(&(pointer as usize))
    }

    /// Memory of the reserve; null where there is too little left.
    #[cold]
    fn take(&self, layout: Layout) -> *mut u8 {
        let start = self.reserve.get() as usize;
        let mut offset = 0;
        let taken = self.state.fetch_update(Relaxed, Relaxed, |state| {
            let (used, live) = ((state >> 16) as usize * PIECE, state & 0xffff);
            offset = (start + used).next_multiple_of(layout.align()) - start;
            let end = offset.checked_add(layout.size())?.div_ceil(PIECE);
            let fits = end <= RESERVE / PIECE && live < 0xffff;
            fits.then_some((end as u32) << 16 | (live + 1))
        });
        match taken {
            // SAFETY: the offset lies within the reserve.
            Ok(_) => unsafe { self.reserve.get().cast::<u8>().add(offset) },
            Err(_) => null_mut(),
        }
    }

    /// Where something of the reserve begins and ends, in pieces.
    fn pieces(&self, pointer: *mut u8, size: usize) -> (u32, u32) {
        let offset = pointer as usize - self.reserve.get() as usize;
        let end = (offset + size).div_ceil(PIECE);
        (offset.div_ceil(PIECE) as u32, end as u32)
    }

    /// Gives what is longer or shorter the same place, if nothing is behind it.
    #[cold]
    fn stretch(&self, pointer: *mut u8, before: usize, size: usize) -> bool {
        if size > RESERVE {
            return false;
        }
        let (_, end) = self.pieces(pointer, before);
        let (_, new) = self.pieces(pointer, size);
        let stretched = self.state.fetch_update(Relaxed, Relaxed, |state| {
            let fits = state >> 16 == end && new as usize <= RESERVE / PIECE;
            fits.then_some(new << 16 | (state & 0xffff))
        });
        stretched.is_ok()
    }

    /// What is at its end can be given out anew at once.
    #[cold]
    fn give_back(&self, pointer: *mut u8, size: usize) {
        let (start, end) = self.pieces(pointer, size);
        let less = |state: u32| match (state >> 16, state & 0xffff) {
            (_, 1) => 0,
            (used, live) if used == end => start << 16 | (live - 1),
            _ => state - 1,
        };
        let all = |state| Some(less(state));
        let _ = self.state.fetch_update(Relaxed, Relaxed, all);
    }
}

// SAFETY: System keeps the contract; what comes from the reserve is aligned, is given out
// once, and stays until it is given back.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        for _ in 0..ATTEMPTS {
            // SAFETY: the caller's promise on the layout.
            let pointer = unsafe { System.alloc(layout) };
            if !pointer.is_null() {
                return pointer;
            }
        }
        self.take(layout)
    }

    /// Memory that the kernel has just given is zeroed already, and is not touched here.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise on the layout.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if !pointer.is_null() {
            return pointer;
        }
        let pointer = self.take(layout);
        if !pointer.is_null() {
            // SAFETY: as long as the layout says, and nobody else's.
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.has(pointer) {
            true => self.give_back(pointer, layout.size()),
            // SAFETY: it came from the system, with this layout.
            false => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.has(pointer) {
            // SAFETY: it came from the system, with this layout.
            let new = unsafe { System.realloc(pointer, layout, size) };
            if !new.is_null() {
                return new;
            }
        } else if self.stretch(pointer, layout.size(), size) {
            return pointer;
        }
        // SAFETY: the caller's promise on the size, with the alignment of before; both
        // places are as long as the shorter of the two, and apart.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(pointer, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn what_the_reserve_gives_is_aligned_and_apart() {
        let memory = Box::new(Memory::new());
        let first = memory.take(layout(3, 1));
        let second = memory.take(layout(64, 64));
        assert!(memory.has(first) && memory.has(second));
        assert_eq!(second as usize % 64, 0);
        assert!(second as usize >= first as usize + 3);
        assert!(memory.take(layout(RESERVE, 1)).is_null());
    }

    #[test]
    fn it_is_whole_again_with_the_last_that_is_given_back() {
        let memory = Box::new(Memory::new());
        let most = layout(RESERVE, 1);
        assert!(memory.take(layout(RESERVE + 1, 1)).is_null());
        for _ in 0..2 {
            let half = layout(RESERVE / 2, 1);
            let (a, b) = (memory.take(half), memory.take(half));
            // SAFETY: both came from it, with this layout.
            unsafe {
                memory.dealloc(a, half);
                assert!(memory.take(half).is_null());
                memory.dealloc(b, half);
            }
        }
        assert!(!memory.take(most).is_null());
    }

    #[test]
    fn what_grows_stays_where_it_is_or_moves_with_its_content() {
        let memory = Box::new(Memory::new());
        let (small, large) = (layout(4, 4), layout(RESERVE / 2, 4));
        let pointer = memory.take(small);
        // SAFETY: within what it was given, and with the layouts that it came with.
        unsafe {
            pointer.copy_from_nonoverlapping(b"text".as_ptr(), 4);
            assert_eq!(memory.realloc(pointer, small, large.size()), pointer);
            let behind = memory.take(small);
            let moved = memory.realloc(pointer, large, RESERVE);
            assert!(!memory.has(moved));
            assert_eq!(std::slice::from_raw_parts(moved, 4), b"text");
            memory.dealloc(behind, small);
            assert_eq!(memory.state.load(Relaxed), 0);
            memory.dealloc(moved, layout(RESERVE, 4));
        }
    }

    /// A vector that grows piece by piece, as a text is read.
    #[test]
    fn what_was_given_back_at_the_end_is_given_out_again() {
        let memory = Box::new(Memory::new());
        memory.take(layout(1, 1));
        let (a, b) = (memory.take(layout(40, 8)), memory.take(layout(100, 1)));
        memory.give_back(b, 100);
        assert_eq!(memory.take(layout(9, 1)), b);
        memory.give_back(a, 40);
        assert_ne!(memory.take(layout(9, 1)), a);
    }
}
