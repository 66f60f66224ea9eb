/* A disk that can be saturated, or dead: a network block device that this process
 * serves from memory, so many requests and so many MB a second, one after the other.
 * After SIGSTOP it completes nothing; after SIGCONT it goes on where it stopped.
 *
 * usage: nbd DEVICE MB REQUESTS MB_PER_SECOND [partition]
 *
 * With "partition" it has a table with one partition on it. Prints "ready" as soon as
 * it can be used.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/nbd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static unsigned char *store;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int all(ssize_t (*call)(int, void *, size_t), int fd, void *data, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = call(fd, (char *)data + done, length - done);
		if (n <= 0)
			return 0;
		done += n;
	}
	return 1;
}

static ssize_t writes(int fd, void *data, size_t length)
{
	return write(fd, data, length);
}

/* Sleeps for what a request of so many bytes costs, behind those before it. */
static void pace(size_t bytes, double requests, double megabytes)
{
	static double free_at;
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	double now = time.tv_sec + time.tv_nsec / 1e9;
	if (free_at < now)
		free_at = now;
	free_at += 1 / requests + bytes / (megabytes * 1e6);
	time.tv_sec = free_at;
	time.tv_nsec = (free_at - time.tv_sec) * 1e9;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static void serve(int sock, double requests, double megabytes)
{
	struct nbd_request request;

	while (all(read, sock, &request, sizeof request)) {
		uint32_t type = ntohl(request.type), length = ntohl(request.len);
		unsigned char *data = store + be64toh(request.from);
		struct nbd_reply reply = { .magic = htonl(NBD_REPLY_MAGIC) };

		memcpy(reply.handle, request.handle, sizeof reply.handle);
		if (type == NBD_CMD_DISC)
			break;
		if (type == NBD_CMD_WRITE && !all(read, sock, data, length))
			break;
		pace(type == NBD_CMD_FLUSH ? 0 : length, requests, megabytes);
		if (!all(writes, sock, &reply, sizeof reply) ||
		    (type == NBD_CMD_READ && !all(writes, sock, data, length)))
			break;
	}
}

/* The kernel reads the table of partitions when the device is opened with its size set. */
static void wait_until_ready(const char *device)
{
	uint64_t size = 0;

	while (size == 0) {
		usleep(50000);
		int fd = open(device, O_RDONLY);
		if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) < 0)
			die(device);
		if (size)
			ioctl(fd, BLKRRPART);
		close(fd);
	}
	puts("ready");
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	size_t size = (size_t)atol(argv[2]) << 20;
	store = mmap(NULL, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (store == MAP_FAILED)
		die("mmap");
	if (argc > 5) {
		uint32_t first = 8, sectors = size / 512 - first;
		store[446 + 4] = 0x83;
		memcpy(store + 446 + 8, &first, 4);
		memcpy(store + 446 + 12, &sectors, 4);
		memcpy(store + 510, "\x55\xaa", 2);
	}

	int socks[2], device = open(argv[1], O_RDWR);
	if (device < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, socks) < 0)
		die(argv[1]);
	if (ioctl(device, NBD_SET_BLKSIZE, 512UL) < 0 ||
	    ioctl(device, NBD_SET_SIZE_BLOCKS, size / 512) < 0 ||
	    ioctl(device, NBD_SET_FLAGS, NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH) < 0 ||
	    ioctl(device, NBD_SET_SOCK, socks[0]) < 0)
		die("ioctl");
	if (fork() == 0) {
		close(socks[1]);
		ioctl(device, NBD_DO_IT);
		return 0;
	}
	close(socks[0]);
	close(device);
	if (fork() == 0) {
		close(socks[1]);
		wait_until_ready(argv[1]);
		return 0;
	}
	serve(socks[1], atof(argv[3]), atof(argv[4]));
	return 0;
}
