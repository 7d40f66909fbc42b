/* Control messages: a header of fixed size, then the bytes, in one SEQPACKET datagram. Both ends
 * run the same program on the same host, so the header is the struct itself. */
#include "common/chan.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/log.h"

struct chan_head {
	uint32_t type, from;
	int32_t number;
};

/* Room for the one descriptor that may travel. */
union chan_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

bool chan_pair(int fds[2])
{
	return !socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
}

static void attach_fd(struct msghdr *msg, union chan_control *control, int fd)
{
	memset(control, 0, sizeof(*control));
	msg->msg_control = control->bytes;
	msg->msg_controllen = sizeof(control->bytes);
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
}

bool chan_send(int fd, const struct chan_message *m)
{
	struct chan_head head = { (uint32_t)m->type, m->from, m->number };
	/* sendmsg only reads, but an iovec cannot say so. */
	union { const char *in; char *out; } bytes = { .in = m->bytes.p };
	struct iovec parts[2] = { { &head, sizeof(head) }, { bytes.out, m->bytes.len } };
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = m->bytes.len ? 2 : 1 };
	union chan_control control;
	ssize_t n;

	if (m->bytes.len > CHAN_MAX_BYTES) {
		errno = EMSGSIZE;
		return false;
	}
	if (m->fd >= 0)
		attach_fd(&msg, &control, m->fd);
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}

/* Takes over what descriptors came: the only one is returned, more than one are closed: -1. */
static int take_fd(struct msghdr *msg)
{
	int fd = -1;
	size_t count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(fd) <= c->cmsg_len; at += sizeof(fd)) {
			if (fd >= 0)
				close(fd);
			memcpy(&fd, (char *)c + at, sizeof(fd));
			count++;
		}
	}
	if (count <= 1)
		return fd;
	close(fd);
	msg->msg_flags |= MSG_CTRUNC;
	return -1;
}

/* Whether the datagram is one of ours, whole, with all that was sent along. */
static bool is_whole(const struct msghdr *msg, const struct chan_head *head, size_t len)
{
	return len >= sizeof(*head) && !(msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	       head->type >= CHAN_BEAT && head->type <= CHAN_CONN;
}

/* As recvmsg, but uninterrupted. */
static ssize_t receive(int fd, struct msghdr *msg)
{
	ssize_t n;

	do
		n = recvmsg(fd, msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n;
}

/* One datagram: as chan_recv, but 2 for one that was dropped. */
static int receive_one(int fd, struct chan_message *m, struct buf *into)
{
	struct chan_head head = { 0 };
	union chan_control control;
	char *bytes = buf_reserve(into, CHAN_MAX_BYTES);
	struct iovec parts[2] = { { &head, sizeof(head) }, { bytes, CHAN_MAX_BYTES } };
	struct msghdr msg = {
		.msg_iov = parts, .msg_iovlen = 2,
		.msg_control = control.bytes, .msg_controllen = sizeof(control.bytes),
	};
	const ssize_t n = receive(fd, &msg);

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -1;
	const int came = take_fd(&msg);
	if (!is_whole(&msg, &head, (size_t)n)) {
		log_warn("dropped a control message type=%u bytes=%zd", head.type, n);
		if (came >= 0)
			close(came);
		return 2;
	}
	into->len = (size_t)n - sizeof(head);
	*m = (struct chan_message){
		(enum chan_type)head.type, head.from, head.number, came, buf_view(into)
	};
	return 1;
}

int chan_recv(int fd, struct chan_message *m, struct buf *into)
{
	int got;

	/* A bad message, or a descriptor too many for this process, does not end the channel. */
	do {
		buf_clear(into);
		got = receive_one(fd, m, into);
	} while (got == 2);
	return got;
}
