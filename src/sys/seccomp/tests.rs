use super::*;

/// What the kernel's machine for such programs does, as far as they use it.
fn run(program: &[libc::sock_filter], architecture: u32, number: u32, arguments: [u32; 6]) -> u32 {
    let (mut at, mut word) = (0, 0);
    loop {
        let step = program[at];
        let yes = match step.code {
            LOAD => {
                word = match step.k {
                    NUMBER => number,
                    ARCHITECTURE => architecture,
                    argument => arguments[(argument - ARGUMENT) as usize / 8],
                };
                true
            }
            IF_EQUAL => word == step.k,
            IF_ANY_BIT => word & step.k != 0,
            RETURN => return step.k,
            other => panic!("no such instruction: {other:x}"),
        };
        at += 1 + usize::from(if yes { step.jt } else { step.jf });
    }
}

#[test]
fn what_is_listed_is_allowed_and_nothing_else() {
    let Some(here) = ARCH else { return };
    let program = program(here);
    assert!(program.len() < libc::c_ushort::MAX as usize);
    let run = |number: libc::c_long, arguments| run(&program, here, number as u32, arguments);
    let listed = |number| CALLS.iter().find(|(listed, _)| *listed == number);
    for number in 0..600 {
        let allowed = run(number, [0; 6]) == ALLOW;
        let expected = match listed(number) {
            None | Some((_, Check::OneOf(..))) => false,
            Some((_, Check::Always | Check::Without(..))) => true,
        };
        assert_eq!(allowed, expected, "{number}");
    }
    for number in [
        libc::SYS_execve,
        libc::SYS_ptrace,
        libc::SYS_unlinkat,
        libc::SYS_kill,
    ] {
        assert_eq!(run(number, [0; 6]), REFUSE);
    }
    // the numbers of x32, which x86_64 kernels may have
    assert_eq!(run(0x4000_0000 | libc::SYS_read, [0; 6]), REFUSE);
}

#[test]
fn arguments_are_looked_at() {
    let Some(here) = ARCH else { return };
    let program = program(here);
    let run = |number: libc::c_long, at: usize, value: libc::c_int| {
        let mut arguments = [0; 6];
        arguments[at] = value as u32;
        run(&program, here, number as u32, arguments) == ALLOW
    };
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
        assert!(run(libc::SYS_socket, 0, family));
    }
    assert!(!run(libc::SYS_socket, 0, libc::AF_NETLINK) && !run(libc::SYS_socket, 0, 17));
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    assert!(run(libc::SYS_mprotect, 2, writable));
    assert!(!run(libc::SYS_mprotect, 2, writable | libc::PROT_EXEC));
    assert!(run(libc::SYS_clone, 0, libc::CLONE_FILES | libc::SIGCHLD));
    assert!(!run(
        libc::SYS_clone,
        0,
        libc::CLONE_NEWUSER | libc::SIGCHLD
    ));
    assert!(run(libc::SYS_prctl, 0, libc::PR_SET_NAME));
    assert!(!run(libc::SYS_prctl, 0, libc::PR_SET_DUMPABLE));
}

#[test]
fn another_machine_has_other_numbers() {
    let Some(here) = ARCH else { return };
    let program = program(here);
    // i386 on x86_64
    assert_eq!(
        run(&program, 0x4000_0003, libc::SYS_read as u32, [0; 6]),
        REFUSE
    );
}
