/* Keeps so many processes busy together: for ON milliseconds out of every ON + OFF,
 * COUNT times. More of them than CPUs is CPU pressure of exactly that length. With a
 * PRIORITY they are real-time tasks (SCHED_FIFO).
 *
 * usage: spin PROCESSES ON OFF COUNT [PRIORITY]
 */
#include <sched.h>
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
	if (argc != 5 && argc != 6)
		return 2;
	struct sched_param param = { .sched_priority = argc == 6 ? atoi(argv[5]) : 0 };
	if (argc == 6 && sched_setscheduler(0, SCHED_FIFO, &param) != 0)
		return 1;
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
