/* Reads a file every so many milliseconds, for ever: what a careless monitor does
 * to a pressure file.
 *
 * usage: reader FILE MILLISECONDS
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	int fd = open(argv[1], O_RDONLY);
	if (fd < 0)
		return 1;
	for (;;) {
		char text[256];
		if (pread(fd, text, sizeof text, 0) < 0)
			return 1;
		usleep(1000 * atoi(argv[2]));
	}
}
