#define _GNU_SOURCE
#include "CBenchmarkFloor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// A Swift thread in a foreign namespace would spread it over the process.
static void go_home(int home) {
  if (setns(home, CLONE_NEWNET) != 0)
    abort();
}

int floor_enter_new_namespace(void) { return unshare(CLONE_NEWNET) == 0 ? 0 : -errno; }

int64_t floor_processor_time(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int floor_probe(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP), on = 1;
  if (fd < 0)
    return -errno;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  int result = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : -errno;
  close(fd);
  return result;
}

int floor_namespace(int home, int place) {
  if (unshare(CLONE_NEWNET) != 0)
    return -errno;
  int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  int result = fd < 0 || dup3(fd, place, O_CLOEXEC) < 0 ? -errno : 0;
  if (fd >= 0)
    close(fd);
  go_home(home);
  return result;
}

int floor_socket(int home, int namespace_fd, int protocol) {
  if (setns(namespace_fd, CLONE_NEWNET) != 0)
    return -errno;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  int result = fd < 0 ? -errno : fd;
  go_home(home);
  // A batch of a thousand containers is one datagram.
  int size = 8 << 20;
  if (fd >= 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  return result;
}

int floor_exchange(int socket, const void *bytes, size_t count, uint32_t last) {
  if (send(socket, bytes, count, 0) < 0)
    return -errno;
  _Alignas(struct nlmsghdr) char buffer[16 << 10];
  for (;;) {
    ssize_t received = recv(socket, buffer, sizeof buffer, 0);
    if (received < 0)
      return -errno;
    int rest = (int)received;
    for (struct nlmsghdr *message = (void *)buffer; NLMSG_OK(message, rest); message = NLMSG_NEXT(message, rest)) {
      if (message->nlmsg_type != NLMSG_ERROR)
        continue;
      int error = ((struct nlmsgerr *)NLMSG_DATA(message))->error;
      if (error != 0 || message->nlmsg_seq == last)
        return error;
    }
  }
}
