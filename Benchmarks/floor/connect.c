#define _GNU_SOURCE
#include "CBenchmarkFloor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void visit(int namespace_fd) {
  if (setns(namespace_fd, CLONE_NEWNET) != 0)
    abort();
}

// What never arrives ends the wait after seconds, not minutes.
static int tcp_socket(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  struct timeval limit = {.tv_sec = 5};
  int retries = 2;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof retries);
  return fd;
}

int floor_listen(int home, int namespace_fd, uint16_t port) {
  visit(namespace_fd);
  int fd = tcp_socket();
  visit(home);
  if (fd < 0)
    return fd;
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = port};
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&any, sizeof any) != 0 || listen(fd, 64) != 0) {
    int result = -errno;
    close(fd);
    return result;
  }
  return fd;
}

// Both ends of one connection; `time` is how long connect(2) took.
static int make_pair(const struct sockaddr_in *to, int listener, int ends[2], int64_t *time) {
  ends[0] = tcp_socket();
  if (ends[0] < 0)
    return ends[0];
  int64_t start = now();
  int result = connect(ends[0], (const struct sockaddr *)to, sizeof *to) == 0 ? 0 : -errno;
  *time = now() - start;
  if (result == 0 && (ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
    result = -errno;
  if (result < 0)
    close(ends[0]);
  return result;
}

// Both ends forget the connection at once, so that no port is used up.
static void forget_pair(const int ends[2]) {
  struct linger none = {.l_onoff = 1};
  setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close(ends[0]);
  close(ends[1]);
}

int64_t floor_connect(
    int home, int namespace_fd, uint32_t address, uint16_t port, int listener, int count, int64_t *times) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = port, .sin_addr = {.s_addr = address}};
  visit(namespace_fd);
  int64_t start = now();
  int result = 0;
  for (int turn = 0; result == 0 && turn < count; turn++) {
    int ends[2];
    result = make_pair(&to, listener, ends, &times[turn]);
    if (result == 0)
      forget_pair(ends);
  }
  int64_t elapsed = now() - start;
  visit(home);
  return result < 0 ? result : elapsed;
}

enum { CHUNK = 256 << 10 };

struct transfer {
  int socket;
  int64_t bytes;
};

static void *send_all(void *argument) {
  struct transfer *transfer = argument;
  static char chunk[CHUNK];
  while (transfer->bytes > 0) {
    ssize_t sent = send(transfer->socket, chunk, transfer->bytes < CHUNK ? transfer->bytes : CHUNK, MSG_NOSIGNAL);
    if (sent < 0)
      break;
    transfer->bytes -= sent;
  }
  shutdown(transfer->socket, SHUT_WR);
  return NULL;
}

int64_t floor_transfer(int home, int namespace_fd, uint32_t address, uint16_t port, int listener, int64_t bytes) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = port, .sin_addr = {.s_addr = address}};
  int ends[2];
  int64_t start;
  visit(namespace_fd);
  int result = make_pair(&to, listener, ends, &start);
  visit(home);
  if (result < 0)
    return result;
  struct timeval limit = {.tv_sec = 5};
  setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char *buffer = malloc(CHUNK);
  struct transfer transfer = {.socket = ends[0], .bytes = bytes};
  pthread_t sender;
  start = now();
  if (buffer == NULL || pthread_create(&sender, NULL, send_all, &transfer) != 0) {
    free(buffer);
    forget_pair(ends);
    return -ENOMEM;
  }
  int64_t rest = bytes;
  while (rest > 0) {
    ssize_t received = recv(ends[1], buffer, CHUNK, 0);
    if (received <= 0) {
      result = received < 0 ? -errno : -EPIPE;
      break;
    }
    rest -= received;
  }
  int64_t elapsed = now() - start;
  free(buffer);
  // Wakes a sender that waits for room.
  if (result < 0)
    shutdown(ends[0], SHUT_RDWR);
  pthread_join(sender, NULL);
  forget_pair(ends);
  return result < 0 ? result : elapsed;
}
