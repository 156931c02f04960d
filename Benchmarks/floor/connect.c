#define _GNU_SOURCE
#include "CBenchmarkFloor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// A socket of a namespace; the thread is back home after.
static int tcp_socket(int home, int namespace_fd) {
  if (setns(namespace_fd, CLONE_NEWNET) != 0)
    return -errno;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result = fd < 0 ? -errno : fd;
  if (setns(home, CLONE_NEWNET) != 0)
    abort();
  return result;
}

int floor_listen(int home, int namespace_fd, uint16_t port) {
  int fd = tcp_socket(home, namespace_fd);
  if (fd < 0)
    return fd;
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = port};
  if (bind(fd, (struct sockaddr *)&any, sizeof any) != 0 || listen(fd, 64) != 0) {
    int result = -errno;
    close(fd);
    return result;
  }
  return fd;
}

int floor_connect(int home, int namespace_fd, uint32_t address, uint16_t port, int listener, int count, int64_t *times) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = port, .sin_addr = {.s_addr = address}};
  // Both ends forget the connection at once, so that no port is used up.
  struct linger none = {.l_onoff = 1};
  for (int turn = 0; turn < count; turn++) {
    int fd = tcp_socket(home, namespace_fd);
    if (fd < 0)
      return fd;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    int result = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? 0 : -errno;
    clock_gettime(CLOCK_MONOTONIC, &end);
    times[turn] = (end.tv_sec - start.tv_sec) * 1000000000ll + (end.tv_nsec - start.tv_nsec);
    if (result == 0) {
      int other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
      if (other >= 0)
        close(other);
    }
    close(fd);
    if (result < 0)
      return result;
  }
  return 0;
}
