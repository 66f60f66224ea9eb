/* Puts the time of its arrival, in hundredths of a second since boot, before every
 * line of standard input. */
#include <stdio.h>
#include <time.h>

int main(void)
{
	char line[4096];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof line, stdin)) {
		struct timespec now;
		clock_gettime(CLOCK_BOOTTIME, &now);
		printf("%lld %s", now.tv_sec * 100LL + now.tv_nsec / 10000000, line);
	}
	return 0;
}
