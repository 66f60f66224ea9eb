/*
 * Makes a process try system calls (ptrace(2)), one per argument:
 *
 *   attempt PID execve open:/etc/passwd create:/tmp/x socket kill exec-memory
 *
 * and prints "WHAT RESULT" for each: 0 if it worked, else the error's number. The
 * process has to wait in a system call. For x86_64.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

static int pid;
static struct user_regs_struct before;

static void must(long result, const char *what)
{
	if (result == -1) {
		perror(what);
		exit(1);
	}
}

static long call(long number, long a, long b, long c, long d)
{
	struct user_regs_struct regs = before;
	int status;

	regs.rip -= 2;		/* the instruction that made the call it waits in */
	regs.rax = number;
	regs.orig_rax = -1;
	regs.rdi = a;
	regs.rsi = b;
	regs.rdx = c;
	regs.r10 = d;
	regs.r8 = -1;
	regs.r9 = 0;
	must(ptrace(PTRACE_SETREGS, pid, 0, &regs), "PTRACE_SETREGS");
	must(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), "PTRACE_SINGLESTEP");
	must(waitpid(pid, &status, __WALL), "waitpid");
	must(ptrace(PTRACE_GETREGS, pid, 0, &regs), "PTRACE_GETREGS");
	must(ptrace(PTRACE_SETREGS, pid, 0, &before), "PTRACE_SETREGS");
	return regs.rax;
}

/* puts a text behind what the process uses of its stack */
static long text(const char *from)
{
	long to = (before.rsp - 4096) & ~15L;
	size_t length = strlen(from) + 1;

	for (size_t at = 0; at < length; at += 8) {
		long word = 0;
		memcpy(&word, from + at, length - at < 8 ? length - at : 8);
		must(ptrace(PTRACE_POKEDATA, pid, to + at, word), "PTRACE_POKEDATA");
	}
	return to;
}

static long attempt(const char *what)
{
	const char *path = strchr(what, ':');

	if (path && !strncmp(what, "open", 4))
		return call(SYS_openat, AT_FDCWD, text(path + 1), O_RDONLY, 0);
	if (path && !strncmp(what, "create", 6))
		return call(SYS_openat, AT_FDCWD, text(path + 1), O_WRONLY | O_CREAT, 0600);
	if (!strcmp(what, "execve"))
		return call(SYS_execve, text("/nothing"), 0, 0, 0);
	if (!strcmp(what, "socket"))
		return call(SYS_socket, 16, 3, 0, 0);	/* AF_NETLINK */
	if (!strcmp(what, "kill"))
		return call(SYS_kill, 1, 0, 0, 0);
	if (!strcmp(what, "setuid"))
		return call(SYS_setuid, 0, 0, 0, 0);
	if (!strcmp(what, "exec-memory"))
		return call(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
	fprintf(stderr, "attempt: what is %s?\n", what);
	exit(2);
}

int main(int argc, char **argv)
{
	int status;

	if (argc < 3)
		return 2;
	pid = atoi(argv[1]);
	must(ptrace(PTRACE_ATTACH, pid, 0, 0), "PTRACE_ATTACH");
	must(waitpid(pid, &status, __WALL), "waitpid");
	must(ptrace(PTRACE_GETREGS, pid, 0, &before), "PTRACE_GETREGS");
	for (int at = 2; at < argc; at++) {
		long result = attempt(argv[at]);
		printf("%s %ld\n", argv[at], result < 0 ? -result : 0);
	}
	must(ptrace(PTRACE_DETACH, pid, 0, 0), "PTRACE_DETACH");
	return 0;
}
