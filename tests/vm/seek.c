/* So many processes read 4 KB at random places of a disk, past the page cache, for so
 * many seconds, or until their parent is killed.
 *
 * usage: seek DEVICE PROCESSES SECONDS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char page[4096] __attribute__((aligned(4096)));

static int reads(const char *device, uint32_t noise, time_t end)
{
	int fd = open(device, O_RDONLY | O_DIRECT);
	off_t pages = lseek(fd, 0, SEEK_END) / (off_t)sizeof page;

	if (pages <= 0)
		return 1;
	while (time(NULL) < end) {
		noise = noise * 1664525 + 1013904223;
		if (pread(fd, page, sizeof page, (noise >> 8) % pages * sizeof page) <= 0)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	time_t end = time(NULL) + atol(argv[3]);
	int status, failed = 0;

	for (int n = atoi(argv[2]); n > 0; n--)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			return reads(argv[1], n, end);
		}
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}
