/* Touches so many MB of memory over and over for so many seconds: with less RAM
 * than that, it thrashes. Pages are half noise, so that zram gains little.
 *
 * usage: hog MB SECONDS
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { PAGE = 4096 };

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	size_t pages = (size_t)atol(argv[1]) * (1 << 20) / PAGE;
	time_t end = time(NULL) + atol(argv[2]);
	unsigned char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	uint32_t noise = 1;
	for (size_t page = 0; page < pages; page++)
		for (size_t byte = 0; byte < PAGE / 2; byte += 4) {
			noise = noise * 1664525 + 1013904223;
			*(uint32_t *)(memory + page * PAGE + byte) = noise;
			if (byte == 0 && time(NULL) >= end)
				return 0;
		}
	while (time(NULL) < end)
		for (size_t n = 0; n < pages / 16; n++) {
			noise = noise * 1664525 + 1013904223;
			memory[(noise >> 8) % pages * PAGE]++;
		}
	return 0;
}
