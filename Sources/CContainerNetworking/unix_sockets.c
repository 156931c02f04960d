// File-system sockets (unix(7)), by a directory and a name in it: a path may be longer than the limit of such a
// socket's address.
#define _GNU_SOURCE
#include "CContainerNetworking.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

// The address is valid while the returned descriptor is open.
static int locate(const char *directory, const char *name, struct sockaddr_un *address) {
  int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return -errno;
  address->sun_family = AF_UNIX;
  int length = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", fd, name);
  if (length > 0 && (size_t)length < sizeof address->sun_path)
    return fd;
  close(fd);
  return -ENAMETOOLONG;
}

static int finish(int directory, int fd, int ok) {
  int error = errno;
  close(directory);
  if (ok)
    return fd;
  if (fd >= 0)
    close(fd);
  return -error;
}

int cn_unix_listen(const char *directory, const char *name) {
  struct sockaddr_un address;
  int place = locate(directory, name, &address);
  if (place < 0)
    return place;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int ok = fd >= 0 && (unlink(address.sun_path) == 0 || errno == ENOENT) &&
           bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && chmod(address.sun_path, 0600) == 0 &&
           listen(fd, 64) == 0;
  return finish(place, fd, ok);
}

int cn_unix_connect(const char *directory, const char *name, int timeout_ms) {
  struct sockaddr_un address;
  int place = locate(directory, name, &address);
  if (place < 0)
    return place;
  struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
           connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  return finish(place, fd, ok);
}
