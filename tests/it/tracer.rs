//! Makes another process try a system call, with ptrace(2): what is proved is what the
//! built program is held to, without a door in it for tests. For x86_64.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::DEADLINE;

/// A process that is stopped inside a call in which it waits.
pub struct Stopped {
    pid: libc::pid_t,
    registers: libc::user_regs_struct,
}

/// An argument of a call.
pub enum Argument<'a> {
    Number(i64),
    /// The address of these bytes.
    Bytes(&'a [u8]),
}

fn trace(request: libc::c_uint, pid: libc::pid_t, address: u64, data: u64) -> io::Result<i64> {
    // SAFETY: the addresses are the other process's, or that of registers borrowed by the
    // caller.
    let result = unsafe { libc::ptrace(request, pid, address, data) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

impl Stopped {
    /// Stops it. It has to be a descendant where the kernel restricts ptrace(2) (Yama).
    pub fn attach(pid: u32) -> io::Result<Stopped> {
        let pid = pid as libc::pid_t;
        let end = Instant::now() + DEADLINE;
        loop {
            trace(libc::PTRACE_ATTACH, pid, 0, 0)?;
            wait(pid)?;
            let registers = registers(pid)?;
            let stopped = Stopped { pid, registers };
            // one that is running has no instruction of a call behind it
            if registers.orig_rax as i64 >= 0 {
                return Ok(stopped);
            }
            drop(stopped);
            assert!(Instant::now() < end, "{pid} never waits in a system call");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What the call returns: a result, or an errno(3) below 0.
    pub fn call(&self, number: libc::c_long, arguments: &[Argument<'_>]) -> io::Result<i64> {
        let mut values = [0; 6];
        // behind what the process uses of its stack
        let mut free = (self.registers.rsp - 4096) & !15;
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = match argument {
                Argument::Number(number) => *number as u64,
                Argument::Bytes(bytes) => {
                    free -= 256;
                    self.write(free, bytes)?;
                    free
                }
            };
        }
        let mut registers = self.registers;
        // the instruction before is the one that made the call in which it waits
        registers.rip -= 2;
        registers.rax = number as u64;
        registers.orig_rax = u64::MAX;
        let [a, b, c, d, e, f] = values;
        (registers.rdi, registers.rsi, registers.rdx) = (a, b, c);
        (registers.r10, registers.r8, registers.r9) = (d, e, f);
        self.set(&registers)?;
        trace(libc::PTRACE_SINGLESTEP, self.pid, 0, 0)?;
        wait(self.pid)?;
        let result = self::registers(self.pid)?.rax as i64;
        self.set(&self.registers)?;
        Ok(result)
    }

    fn set(&self, registers: &libc::user_regs_struct) -> io::Result<()> {
        let data = std::ptr::from_ref(registers) as u64;
        trace(libc::PTRACE_SETREGS, self.pid, 0, data).map(drop)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        for (index, word) in bytes.chunks(8).enumerate() {
            let mut whole = [0; 8];
            whole[..word.len()].copy_from_slice(word);
            let (at, word) = (at + 8 * index as u64, u64::from_ne_bytes(whole));
            trace(libc::PTRACE_POKEDATA, self.pid, at, word)?;
        }
        Ok(())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = trace(libc::PTRACE_DETACH, self.pid, 0, 0);
    }
}

fn registers(pid: libc::pid_t) -> io::Result<libc::user_regs_struct> {
    let mut registers = MaybeUninit::<libc::user_regs_struct>::zeroed();
    let data = registers.as_mut_ptr() as u64;
    trace(libc::PTRACE_GETREGS, pid, 0, data)?;
    // SAFETY: plain numbers, which the kernel has filled in.
    Ok(unsafe { registers.assume_init() })
}

/// Waits for the next stop.
fn wait(pid: libc::pid_t) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: the pointer is valid for writing; __WALL waits for others than children too.
    let waited = unsafe { libc::waitpid(pid, &mut status, libc::__WALL) };
    match waited == pid && libc::WIFSTOPPED(status) {
        true => Ok(()),
        false => Err(io::Error::other(format!("status {status:x} of {waited}"))),
    }
}
