//! Clocks, and local time (clock_gettime(2), localtime_r(3)).

use std::mem::MaybeUninit;

use crate::time::{Micros, Moment};

fn clock(id: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writing. The clocks used here exist on every
    // Linux that has PSI, so the call can't fail; were it to, time stays 0.
    unsafe { libc::clock_gettime(id, &mut time) };
    time
}

fn micros(time: libc::timespec) -> u64 {
    (time.tv_sec as u64) * 1_000_000 + (time.tv_nsec as u64) / 1000
}

/// CLOCK_MONOTONIC.
pub fn now() -> Moment {
    Moment(micros(clock(libc::CLOCK_MONOTONIC)))
}

/// Time since boot, suspend included (CLOCK_BOOTTIME).
pub fn uptime() -> Micros {
    Micros(micros(clock(libc::CLOCK_BOOTTIME)))
}

/// Time since the epoch (CLOCK_REALTIME); [`local`] splits it up.
pub fn wall() -> Micros {
    Micros(micros(clock(libc::CLOCK_REALTIME)))
}

/// A point in local time, to the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// Of the common era.
    pub year: u32,
    /// 0 to 11.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

/// Local time by TZ or /etc/localtime (localtime_r(3)) of a time since the epoch.
#[allow(clippy::unnecessary_cast)] // time_t is 32 bits wide on some targets
pub fn local(wall: Micros) -> Local {
    let time = libc::timespec {
        tv_sec: (wall.0 / 1_000_000) as _,
        tv_nsec: 0,
    };
    let mut tm = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid, and a zeroed tm is a valid one (plain
    // numbers and a null zone name), which is what stays there on an error.
    let tm = unsafe {
        libc::localtime_r(&time.tv_sec, tm.as_mut_ptr());
        tm.assume_init()
    };
    Local {
        year: u32::try_from(i64::from(tm.tm_year) + 1900).unwrap_or_default(),
        month: tm.tm_mon.clamp(0, 11) as u8,
        day: tm.tm_mday.clamp(1, 31) as u8,
        hour: tm.tm_hour.clamp(0, 23) as u8,
        minute: tm.tm_min.clamp(0, 59) as u8,
        second: tm.tm_sec.clamp(0, 60) as u8,
    }
}
