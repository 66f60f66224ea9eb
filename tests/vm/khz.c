/* Prints the rate of this machine's TSC in kHz, measured against CLOCK_MONOTONIC: it is
 * that of a guest under TCG as well, and a guest on a busy host measures another. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

struct pair { long long ns, ticks; };

/* The best of many: nobody was in between. */
static struct pair sample(void)
{
	struct pair best = { 0, 0 };
	long long least = 1LL << 62;

	for (int n = 0; n < 1000; n++) {
		struct timespec t;
		long long before = __rdtsc();
		clock_gettime(CLOCK_MONOTONIC, &t);
		long long after = __rdtsc();
		if (after - before >= least)
			continue;
		least = after - before;
		best.ns = t.tv_sec * 1000000000LL + t.tv_nsec;
		best.ticks = before + least / 2;
	}
	return best;
}

int main(void)
{
	struct pair first = sample();
	usleep(300000);
	struct pair last = sample();

	printf("%lld\n", (last.ticks - first.ticks) * 1000000 / (last.ns - first.ns));
	return 0;
}
