//! A filter of system calls (seccomp(2)): a list of those that psilogd makes once it
//! has started. Any other fails with EPERM, and the kernel logs it (auditd or dmesg, type
//! 1326): a call that was forgotten here is noticed, and psilogd survives it.

mod calls;

use std::io;

use calls::{ARCH, CALLS, Check};

const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;
const SECCOMP_FILTER_FLAG_LOG: libc::c_ulong = 2;
/// What a filter returns (linux/seccomp.h).
const ALLOW: u32 = 0x7fff_0000;
const REFUSE: u32 = 0x0005_0000 | libc::EPERM as u32;
/// Where struct seccomp_data has the call's number, the architecture and the lower half
/// of the first argument.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENT: u32 = 16;
/// Instructions (linux/bpf_common.h): load a word, jump where it is equal or has a bit,
/// return.
const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Puts the filter in force for this process and its children.
///
/// # Errors
/// ENOSYS for a machine that no list is known for; those of seccomp(2).
pub fn seccomp() -> io::Result<()> {
    let Some(architecture) = ARCH else {
        return Err(io::Error::from_raw_os_error(libc::ENOSYS));
    };
    let mut filter = program(architecture);
    let program = libc::sock_fprog {
        len: filter.len() as libc::c_ushort,
        filter: filter.as_mut_ptr(),
    };
    let (mode, flags) = (SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG);
    // SAFETY: the pointer is to a program whose instructions outlive the call; the kernel
    // copies and checks them.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

const fn step(code: u16, k: u32) -> libc::sock_filter {
    jump(code, k, 0, 0)
}

/// Goes on `yes` instructions behind the next one where the test is true, else `no`.
const fn jump(code: u16, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter {
        code,
        jt: yes,
        jf: no,
        k,
    }
}

/// The filter. Every list of values is short, so that no jump is too far.
fn program(architecture: u32) -> Vec<libc::sock_filter> {
    let mut program = vec![
        step(LOAD, ARCHITECTURE),
        jump(IF_EQUAL, architecture, 1, 0),
        step(RETURN, REFUSE),
        step(LOAD, NUMBER),
    ];
    for (number, check) in CALLS {
        let before = program.len();
        // the distance is filled in when it is known
        program.push(step(IF_EQUAL, *number as u32));
        match check {
            Check::Always => {}
            Check::OneOf(argument, values) => {
                program.push(step(LOAD, ARGUMENT + 8 * argument));
                for value in *values {
                    program.push(jump(IF_EQUAL, *value, 0, 1));
                    program.push(step(RETURN, ALLOW));
                }
                program.push(step(RETURN, REFUSE));
            }
            Check::Without(argument, bits) => {
                program.push(step(LOAD, ARGUMENT + 8 * argument));
                program.push(jump(IF_ANY_BIT, *bits, 0, 1));
                program.push(step(RETURN, REFUSE));
            }
        }
        if !matches!(check, Check::OneOf(..)) {
            program.push(step(RETURN, ALLOW));
        }
        program[before].jf = (program.len() - before - 1) as u8;
    }
    program.push(step(RETURN, REFUSE));
    program
}

#[cfg(test)]
mod tests;
