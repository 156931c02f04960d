// Single packets in the form in which programs in a namespace send them, and their answers.
#define _GNU_SOURCE
#include "CContainerNetworking.h"
#include "namespace_thread.h"
#include "socket_address.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ECHO_V4 = 8, ECHO_REPLY_V4 = 0, ECHO_V6 = 128, ECHO_REPLY_V6 = 129 };

static int is_echo(const cn_port *port) {
  return port->protocol == IPPROTO_ICMP || port->protocol == IPPROTO_ICMPV6;
}

static int is_raw(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_RAW;
}

static int open_probe(struct namespace_job *job) {
  cn_port *source = job->argument;
  int family = source->is_ipv6 ? AF_INET6 : AF_INET;
  int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  int type = source->protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
  int fd = socket(family, type | flags, source->protocol);
  // A new namespace's ping_group_range is empty: no user, root included, may send echoes by datagram sockets.
  if (fd < 0 && errno == EACCES && is_echo(source))
    fd = socket(family, SOCK_RAW | flags, source->protocol);
  if (fd < 0)
    return -errno;
  int on = 1;
  union socket_address address;
  socklen_t size = fill_address(&address, source->is_ipv6, source->address, 0, 0);
  if (setsockopt(fd, source->is_ipv6 ? SOL_IPV6 : SOL_IP, source->is_ipv6 ? IPV6_RECVERR : IP_RECVERR, &on,
                 sizeof on) != 0 ||
      bind(fd, &address.any, size) != 0 || getsockname(fd, &address.any, &size) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  if (is_raw(fd)) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    source->port = (uint16_t)(now.tv_nsec ^ now.tv_nsec >> 16 ^ getpid());
  } else {
    source->port = ntohs(source->is_ipv6 ? address.v6.sin6_port : address.v4.sin_port);
  }
  return fd;
}

int cn_namespace_open_probe(int namespace_fd, cn_port *source) {
  struct namespace_job job = {.namespace_fd = namespace_fd, .body = open_probe, .argument = source};
  return namespace_thread_run(&job);
}

// RFC 1071.
static uint16_t checksum(const uint8_t *bytes, size_t count) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < count; i += 2)
    sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

int cn_probe_send(int fd, const cn_port *source, const cn_port *destination) {
  union socket_address address;
  uint16_t port = is_echo(destination) ? 0 : destination->port;
  socklen_t size = fill_address(&address, destination->is_ipv6, destination->address, port, 0);
  if (is_echo(source)) {
    // Type, code, checksum, identifier, sequence number 1, eight zero bytes. The kernel fills in checksum and
    // identifier for datagram sockets, and the checksum for raw IPv6 ones.
    uint8_t echo[16] = {source->is_ipv6 ? ECHO_V6 : ECHO_V4, 0, 0, 0, source->port >> 8, (uint8_t)source->port, 0, 1};
    if (!source->is_ipv6) {
      uint16_t sum = checksum(echo, sizeof echo);
      echo[2] = sum >> 8;
      echo[3] = (uint8_t)sum;
    }
    return sendto(fd, echo, sizeof echo, 0, &address.any, size) < 0 ? -errno : 0;
  }
  if (connect(fd, &address.any, size) != 0)
    return errno == EINPROGRESS ? 0 : -errno;
  if (source->protocol == IPPROTO_TCP)
    return 0;
  return send(fd, NULL, 0, 0) < 0 ? -errno : 0;
}

// A pending ICMP error, with its sender; 0 for none.
static int take_error(int fd, cn_answer *answer) {
  uint8_t bytes[64], control[512];
  struct iovec part = {bytes, sizeof bytes};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
    return 0;
  for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item != NULL; item = CMSG_NXTHDR(&message, item)) {
    int is_v4 = item->cmsg_level == SOL_IP && item->cmsg_type == IP_RECVERR;
    int is_v6 = item->cmsg_level == SOL_IPV6 && item->cmsg_type == IPV6_RECVERR;
    if (!is_v4 && !is_v6)
      continue;
    struct sock_extended_err error;
    memcpy(&error, CMSG_DATA(item), sizeof error);
    answer->error = (int)error.ee_errno;
    if (error.ee_origin == SO_EE_ORIGIN_ICMP || error.ee_origin == SO_EE_ORIGIN_ICMP6) {
      const uint8_t *offender = CMSG_DATA(item) + sizeof error;
      answer->has_address = 1;
      answer->is_ipv6 = is_v6 != 0;
      if (is_v6)
        memcpy(answer->address, offender + offsetof(struct sockaddr_in6, sin6_addr), 16);
      else
        memcpy(answer->address, offender + offsetof(struct sockaddr_in, sin_addr), 4);
    }
    return 1;
  }
  return 0;
}

// Whether a received datagram is the answer: a raw socket receives every program's.
static int is_answer(int fd, const cn_port *source, const uint8_t *bytes, ssize_t count) {
  if (!is_echo(source))
    return 1;
  int raw = is_raw(fd);
  size_t offset = raw && !source->is_ipv6 && count > 0 ? (bytes[0] & 15) * 4u : 0;
  if (count < (ssize_t)offset + 8)
    return 0;
  const uint8_t *echo = bytes + offset;
  int same = !raw || ((echo[4] << 8 | echo[5]) == source->port);
  return same && echo[0] == (source->is_ipv6 ? ECHO_REPLY_V6 : ECHO_REPLY_V4);
}

int cn_probe_wait(int fd, const cn_port *source, int timeout_ms, cn_answer *answer) {
  memset(answer, 0, sizeof *answer);
  int is_tcp = source->protocol == IPPROTO_TCP;
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (;;) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    long left = timeout_ms - ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000);
    struct pollfd wait = {fd, is_tcp ? POLLOUT : POLLIN, 0};
    int ready = poll(&wait, 1, left > 0 ? (int)left : 0);
    if (ready < 0 && errno != EINTR)
      return -errno;
    if (ready == 0)
      return 0;
    if (ready < 0)
      continue;
    if (take_error(fd, answer))
      return 1;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0) {
      answer->error = error;
      return 1;
    }
    if (is_tcp)
      return 1;
    uint8_t bytes[2048];
    ssize_t count = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      answer->error = errno;
      return 1;
    }
    if (count >= 0 && is_answer(fd, source, bytes, count))
      return 1;
    // Other programs' packets may arrive at a raw socket without end.
    if (left <= 0)
      return 0;
  }
}
