// usage: churn SECONDS DIRECTORY SLOTS PID
// Cgroups below DIRECTORY that die at every age from 0 to 3 s, SLOTS of them at a
// time, and others that die at the moment at which PID arms them: they are removed up
// to 2 ms after one of their files was opened. PID is stopped while they are made, so
// that no opening is missed. Prints how many.
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct counts {
	volatile long made, aged, struck, unopened, refused;
} *counts;
static const char *directory;
static unsigned seed;

static long now(void) {
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000L + time.tv_nsec / 1000;
}

static long below(long limit) {
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % limit;
}

static int make(char *path, size_t size, const char *kind, long number) {
	snprintf(path, size, "%s/%s-%ld", directory, kind, number);
	int made = mkdir(path, 0755) == 0;
	__sync_fetch_and_add(made ? &counts->made : &counts->refused, 1);
	return made;
}

// Of the same name again and again: one dies, the next one is there at once.
static void let_age(long end, int slots) {
	char path[200];
	long *death = calloc(slots, sizeof *death);
	for (int left = slots; left > 0; usleep(500)) {
		left = 0;
		for (int slot = 0; slot < slots; slot++) {
			if (death[slot] && now() >= death[slot]) {
				snprintf(path, sizeof path, "%s/age-%d", directory, slot);
				if (rmdir(path) == 0) {
					counts->aged++;
					death[slot] = 0;
				}
			}
			if (!death[slot] && now() < end && make(path, sizeof path, "age", slot))
				death[slot] = now() + below(3000000);
			left += death[slot] != 0 || now() < end;
		}
	}
}

static int count_events(const char *events, ssize_t length) {
	int count = 0;
	for (ssize_t at = 0; at < length; count++)
		at += sizeof(struct inotify_event) + ((const struct inotify_event *)(events + at))->len;
	return count;
}

static void strike(long end, pid_t armer) {
	char path[200], events[4096];
	int inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	for (long number = 0; now() < end; number++) {
		kill(armer, SIGSTOP);
		int made = make(path, sizeof path, "now", number % 100);
		int watch = made ? inotify_add_watch(inotify, path, IN_OPEN) : -1;
		kill(armer, SIGCONT);
		if (!made)
			continue;
		struct pollfd opened = {inotify, POLLIN, 0};
		int seen = 0;
		// one of the files, or a later one
		for (long opens = 1 + below(3); seen < opens && poll(&opened, 1, 1000) > 0;)
			seen += count_events(events, read(inotify, events, sizeof events));
		*(seen ? &counts->struck : &counts->unopened) += 1;
		for (long until = now() + below(1L << (2 + below(10))); now() < until;)
			;
		// the kernel before 7.3 keeps a watch for ever if its cgroup goes first
		if (below(2))
			inotify_rm_watch(inotify, watch), watch = -1;
		rmdir(path);
		if (watch >= 0)
			inotify_rm_watch(inotify, watch);
		while (read(inotify, events, sizeof events) > 0)
			;
		usleep(1000);
	}
}

int main(int count, char **args) {
	if (count != 5)
		return 2;
	directory = args[2];
	counts = mmap(0, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long end = now() + atol(args[1]) * 1000000L;
	pid_t striker = fork();
	seed = striker ? 7 : 99;
	if (striker == 0) {
		strike(end, atoi(args[4]));
		return 0;
	}
	let_age(end, atoi(args[3]));
	waitpid(striker, 0, 0);
	printf("%ld cgroups, %ld removed by age, %ld as they were armed, %ld before, %ld refused\n",
		counts->made, counts->aged, counts->struck, counts->unopened, counts->refused);
	return counts->made != counts->aged + counts->struck + counts->unopened;
}
