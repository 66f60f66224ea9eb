/*
 * The thirty lines that psilogd is measured against: poll(2), then syslog(3).
 *
 * usage: poll-syslog COUNT FILE TRIGGER [FILE TRIGGER ...]
 *
 * The last pair is armed COUNT times.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int pairs = (argc - 2) / 2, count = pairs > 0 ? pairs - 1 + atoi(argv[1]) : 0, i;
	struct pollfd *fds = calloc(count, sizeof *fds);

	if (pairs < 1 || count < pairs || !fds)
		return 2;
	openlog("poll-syslog", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	for (i = 0; i < count; i++) {
		char **pair = argv + 2 * (i < pairs ? i + 1 : pairs);
		int fd = open(pair[0], O_RDWR | O_NONBLOCK | O_CLOEXEC);

		if (fd < 0 || write(fd, pair[1], strlen(pair[1]) + 1) < 0)
			return 1;
		fds[i] = (struct pollfd){ .fd = fd, .events = POLLPRI };
	}
	while (poll(fds, count, -1) > 0)
		for (i = 0; i < count; i++)
			if (fds[i].revents & POLLERR)
				return 1;
			else if (fds[i].revents)
				syslog(LOG_WARNING, "pressure high: %s", argv[2 * (i < pairs ? i + 1 : pairs)]);
	return 1;
}
