/*
 * Makes CPU pressure in a cgroup on a plan and shows when the triggers there fire:
 * the yardstick for the model of the kernel in tests/replay/kernel.rs. Nothing else
 * runs in that cgroup, so what is stalled in it is what was planned.
 *
 * usage: triggers [-u] [-p MS] [-r MS] CGROUP TIMES ON OFF [TIMES ON OFF ...] -- TRIGGER ...
 *
 * The plan: TIMES times ON ms of more busy loops than CPUs, then OFF ms of none.
 * A trigger is "cpu some 100000 1000000", in microseconds. -u gives
 * CAP_SYS_RESOURCE away before they are registered; -p makes MS ms of pressure
 * before that; -r reads cpu.pressure every MS ms, as somebody else would. Prints, in microseconds of
 * CLOCK_MONOTONIC, "trigger RES KIND STALL WINDOW", "start T", "on T", "off T",
 * "event N T" and "end T TOTAL".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST 8

static pid_t loops[64];
static long cpus;
static const char *cgroup;

static void die(const char *what)
{
	perror(what);
	for (long i = 0; i < 3 * cpus; i++)
		if (loops[i])
			kill(loops[i], SIGKILL);
	exit(1);
}

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void all(int signal)
{
	for (long i = 0; i < 3 * cpus; i++)
		kill(loops[i], signal);
}

static void give_away(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &head, caps))
		die("capget");
	caps[0].effective &= ~(1u << CAP_SYS_RESOURCE);
	if (syscall(SYS_capset, &head, caps))
		die("capset");
}

static int file(const char *name, const char *rest, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%s%s", cgroup, name, rest);
	fd = open(path, flags);
	if (fd < 0)
		die(path);
	return fd;
}

static long long total(void)
{
	char text[256] = "";
	int fd = file("cpu", ".pressure", O_RDONLY);
	char *at;

	if (read(fd, text, sizeof text - 1) < 0)
		die("cpu.pressure");
	close(fd);
	at = strstr(text, "total=");
	return at ? atoll(at + 6) : -1;
}

/* Somebody else who reads. */
static pid_t reader(long ms)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		usleep(ms * 1000);
		total();
	}
}

/* Polls until a moment, and reports every event. */
static void watch(struct pollfd *fds, int n, long long until)
{
	for (long long at = now(); at < until; at = now()) {
		struct timespec left = { (until - at) / 1000000, (until - at) % 1000000 * 1000 };

		if (ppoll(fds, n, &left, NULL) <= 0)
			continue;
		at = now();
		for (int i = 0; i < n; i++)
			if (fds[i].revents)
				printf("event %d %lld\n", i, at);
	}
}

int main(int argc, char **argv)
{
	struct pollfd fds[MOST];
	struct sched_param first = { .sched_priority = 50 };
	long ms = 0, past = 0;
	int option, n = 0, plan;
	pid_t other = 0;

	setvbuf(stdout, NULL, _IOFBF, 1 << 20);
	while ((option = getopt(argc, argv, "+up:r:")) != -1) {
		if (option == 'u')
			give_away();
		else if (option == 'p')
			past = atol(optarg);
		else if (option == 'r')
			ms = atol(optarg);
		else
			return 2;
	}
	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (3 * cpus > 64 || optind == argc)
		return 2;
	cgroup = argv[optind++];
	for (long i = 0; i < 3 * cpus; i++) {
		loops[i] = fork();
		if (loops[i] == 0) {
			int procs = file("cgroup", ".procs", O_WRONLY);

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (write(procs, "0", 1) != 1)
				die("cgroup.procs");
			raise(SIGSTOP);
			for (;;)
				;
		}
	}
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		die("sched_setscheduler");
	if (ms)
		other = reader(ms);
	sleep(1);
	if (past) {
		all(SIGCONT);
		usleep(past * 1000);
		all(SIGSTOP);
		sleep(3);
	}

	plan = optind;
	while (optind < argc && strcmp(argv[optind], "--"))
		optind++;
	for (int i = optind + 1; i < argc && n < MOST; i++, n++) {
		char resource[16], rest[64];

		if (sscanf(argv[i], "%15s %63[^\n]", resource, rest) != 2)
			return 2;
		fds[n].fd = file(resource, ".pressure", O_RDWR | O_NONBLOCK);
		fds[n].events = POLLPRI;
		if (write(fds[n].fd, rest, strlen(rest) + 1) < 0)
			die(argv[i]);
		printf("trigger %s\n", argv[i]);
	}
	printf("start %lld\n", now());
	for (int i = plan; i + 2 < optind; i += 3)
		for (long times = atol(argv[i]); times > 0; times--) {
			long on = atol(argv[i + 1]), off = atol(argv[i + 2]);
			long long at = now();

			if (on) {
				all(SIGCONT);
				printf("on %lld\n", at);
				watch(fds, n, at + on * 1000);
			}
			all(SIGSTOP);
			at = now();
			printf("off %lld\n", at);
			watch(fds, n, at + off * 1000);
		}
	printf("end %lld %lld\n", now(), total());
	all(SIGKILL);
	if (other)
		kill(other, SIGKILL);
	return 0;
}
