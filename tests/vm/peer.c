/* The least that waits for a pressure trigger: poll(2) and syslog(3). What it sees
 * is what the kernel reported, and when: the yardstick for psilogd's lines.
 *
 * usage: peer FILE "some 150000 2000000"
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	int fd = open(argv[1], O_RDWR | O_NONBLOCK);
	if (fd < 0 || write(fd, argv[2], strlen(argv[2]) + 1) < 0) {
		perror(argv[1]);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	openlog("peer", LOG_PID, LOG_DAEMON);
	puts("armed");
	for (;;) {
		struct pollfd slot = { .fd = fd, .events = POLLPRI };
		if (poll(&slot, 1, -1) < 0 || slot.revents & POLLERR)
			return 1;
		char text[256];
		ssize_t length = pread(fd, text, sizeof text - 1, 0);
		text[length > 0 ? length : 0] = '\0';
		char *total = strstr(text, "total=");
		total = total ? strtok(total, "\n") : "total=?";
		syslog(LOG_WARNING, "event %s", total);
		printf("event %s\n", total);
	}
}
