/* Keeps so many processes busy together: for ON milliseconds out of every ON + OFF,
 * COUNT times. More of them than CPUs is CPU pressure of exactly that length.
 *
 * usage: spin PROCESSES ON OFF COUNT
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	int processes = atoi(argv[1]), on = atoi(argv[2]), off = atoi(argv[3]);
	long long start = now() + 50;
	while (processes-- > 0)
		if (fork() == 0) {
			for (int n = 0; n < atoi(argv[4]); n++) {
				long long begin = start + (long long)n * (on + off);
				long long wait = begin - now();
				if (wait > 0)
					usleep(1000 * wait);
				while (now() < begin + on)
					;
			}
			return 0;
		}
	while (wait(NULL) > 0)
		;
	return 0;
}
