/* A storm of numbered lines through syslog(3): LINES MILLISECONDS. Prints the
 * longest call in microseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <time.h>

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	int lines = argc > 1 ? atoi(argv[1]) : 500;
	long long interval = (argc > 2 ? atoi(argv[2]) : 20) * 1000LL;
	long long longest = 0, due = now();

	openlog("psilogd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	for (int number = 1; number <= lines; number++, due += interval) {
		struct timespec at = { due / 1000000, due % 1000000 * 1000 };

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		long long start = now();
		syslog(LOG_CRIT, "memory pressure critical: event=begin level=crit "
		       "id=6a2b1c3d.%d avg10=0.00", number);
		if (now() - start > longest)
			longest = now() - start;
	}
	printf("%lld\n", longest);
	return 0;
}
