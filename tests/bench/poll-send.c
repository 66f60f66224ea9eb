/*
 * The same with non-blocking care: a receiver that hangs, restarts or is absent never
 * delays poll(2), and the last line is sent when it is back. Signals arrive through
 * poll(2) too: SIGTERM and SIGINT stop it, SIGCHLD only wakes it.
 *
 * usage: poll-send SOCKET COUNT FILE TRIGGER [FILE TRIGGER ...]
 *
 * The last pair is armed COUNT times.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MS 1000

enum { SIGNALS, RECEIVER, TRIGGERS };

static struct sockaddr_un receiver = { .sun_family = AF_UNIX };
static char line[512];
static int length; /* of a line that is not sent yet */

static void connect_again(struct pollfd *slot)
{
	if (slot->fd >= 0)
		close(slot->fd);
	slot->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (slot->fd >= 0 &&
	    connect(slot->fd, (struct sockaddr *)&receiver, sizeof receiver) < 0) {
		close(slot->fd);
		slot->fd = -1;
	}
}

/* Sends the line, or leaves it for the next turn. */
static void send_line(struct pollfd *slot)
{
	for (int attempt = 0; attempt < 2 && length > 0; attempt++) {
		if (slot->fd < 0 || attempt > 0)
			connect_again(slot);
		if (send(slot->fd, line, length, MSG_NOSIGNAL) >= 0)
			length = 0;
		else if (errno == EAGAIN || errno == ENOBUFS)
			break;
	}
	slot->events = length > 0 ? POLLOUT : 0;
}

static void log_pressure(struct pollfd *slot, const char *file)
{
	char stamp[sizeof "Jan  1 00:00:00"];
	time_t now = time(NULL);
	struct tm tm;

	strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", localtime_r(&now, &tm));
	length = snprintf(line, sizeof line, "<%d>%s poll-send[%d]: pressure high: %s",
			  LOG_DAEMON | LOG_WARNING, stamp, getpid(), file);
	if (length >= (int)sizeof line)
		length = sizeof line - 1;
	send_line(slot);
}

/* Whether a signal asks it to stop. */
static int takes_stop(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof info) == sizeof info)
		if (info.ssi_signo != SIGCHLD)
			return 1;
	return 0;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int arm(const char *file, const char *trigger)
{
	int fd = open(file, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && write(fd, trigger, strlen(trigger) + 1) >= 0)
		return fd;
	perror(file);
	exit(1);
}

/* One turn of the loop; 1 to stop. */
static int serve(struct pollfd *fds, int count, int pairs, char **files)
{
	if (fds[SIGNALS].revents && takes_stop(fds[SIGNALS].fd))
		return 1;
	if (length > 0)
		send_line(&fds[RECEIVER]);
	for (int i = 0; i < count; i++) {
		struct pollfd *slot = &fds[TRIGGERS + i];

		if (slot->revents & (POLLERR | POLLNVAL)) {
			close(slot->fd); /* its cgroup was removed */
			slot->fd = -1;
		} else if (slot->revents) {
			log_pressure(&fds[RECEIVER], files[2 * (i < pairs ? i : pairs - 1)]);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	int pairs = (argc - 3) / 2, count = pairs > 0 ? pairs - 1 + atoi(argv[2]) : 0;
	struct pollfd *fds = calloc(TRIGGERS + count, sizeof *fds);

	if (pairs < 1 || count < pairs || !fds)
		return 2;
	strncpy(receiver.sun_path, argv[1], sizeof receiver.sun_path - 1);
	tzset();
	fds[SIGNALS] = (struct pollfd){ .fd = open_signals(), .events = POLLIN };
	fds[RECEIVER].fd = -1;
	connect_again(&fds[RECEIVER]);
	for (int i = 0; i < count; i++) {
		char **pair = argv + 1 + 2 * (i < pairs ? i + 1 : pairs);

		fds[TRIGGERS + i] = (struct pollfd){ .fd = arm(pair[0], pair[1]), .events = POLLPRI };
	}
	for (;;) {
		if (poll(fds, TRIGGERS + count, length > 0 ? RETRY_MS : -1) < 0 && errno != EINTR)
			return 1;
		if (serve(fds, count, pairs, argv + 3))
			return 0;
	}
}
