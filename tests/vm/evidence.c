/* Prints what the host's counters say, once per second, for so many seconds: the texts
 * of the files, without the lines that nothing reads, and without a file that is as it
 * was. tests/README.md has the format.
 *
 * usage: evidence SECONDS
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* What the lines that are kept begin with; none: all that have a counter other than 0. */
static const struct source {
	const char *name, *starts[5];
} sources[] = {
	{ "diskstats", { NULL } },
	{ "stat", { "cpu", NULL } },
	{ "meminfo", { "MemTotal:", "MemAvailable:", "SwapTotal:", "SwapFree:", NULL } },
	{ "vmstat", { "oom_kill ", NULL } },
	{ "pressure/cpu", { "", NULL } },
	{ "pressure/memory", { "", NULL } },
	{ "pressure/io", { "", NULL } },
};
enum { SOURCES = sizeof sources / sizeof *sources };

static char text[1 << 16], out[1 << 16], before[SOURCES][1 << 12];
static size_t used;

static int kept(const struct source *source, const char *line)
{
	for (const char *const *start = source->starts; *start; start++)
		if (strncmp(line, *start, strlen(*start)) == 0)
			return 1;
	if (*source->starts)
		return 0;
	int name = 0;
	sscanf(line, "%*s %*s %*s%n", &name);
	return strspn(line + name, " 0") < strlen(line + name);
}

static void take(int number, int fd)
{
	const struct source *source = &sources[number];
	size_t head = used;
	size_t length = 0;
	ssize_t n;

	while ((n = pread(fd, text + length, sizeof text - 1 - length, length)) > 0)
		length += n;
	text[length] = '\0';
	used += snprintf(out + used, sizeof out - used, "== %s\n", source->name);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (kept(source, line))
			used += snprintf(out + used, sizeof out - used, "%s\n", line);
	if (strncmp(before[number], out + head, sizeof *before - 1) == 0)
		used = head;
	else
		snprintf(before[number], sizeof *before, "%s", out + head);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	int fds[SOURCES];
	for (int n = 0; n < SOURCES; n++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%s", sources[n].name);
		fds[n] = open(path, O_RDONLY);
		if (fds[n] < 0)
			return 1;
	}
	mlockall(MCL_CURRENT | MCL_FUTURE);
	struct timespec next, now;
	clock_gettime(CLOCK_BOOTTIME, &next);
	for (int left = atoi(argv[1]); left > 0; left--) {
		clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &next, NULL);
		clock_gettime(CLOCK_BOOTTIME, &now);
		used = 0;
		used += snprintf(out, sizeof out, "@ %lld.%03ld\n", (long long)now.tv_sec,
				 now.tv_nsec / 1000000);
		for (int n = 0; n < SOURCES; n++)
			take(n, fds[n]);
		if (write(1, out, used) < 0)
			return 1;
		next.tv_sec++;
	}
	return 0;
}
