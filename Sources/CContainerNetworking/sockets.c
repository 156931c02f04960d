// Netlink sockets: opened on the namespace thread, they stay in their namespace, and are usable from any thread.
#define _GNU_SOURCE
#include "CContainerNetworking.h"
#include "namespace_thread.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

// An opaque type for libmnl's socket, so that no libmnl type is visible above.
static struct mnl_socket *unwrap(const cn_socket *socket) { return (struct mnl_socket *)socket; }

struct open_request {
  int protocol;
  struct mnl_socket *socket;
};

static int open_socket(struct namespace_job *job) {
  struct open_request *request = job->argument;
  request->socket = mnl_socket_open2(request->protocol, SOCK_CLOEXEC);
  return request->socket ? 0 : -errno;
}

int cn_socket_open(int namespace_fd, int protocol, int timeout_ms, cn_socket **result) {
  struct open_request request = {protocol, NULL};
  struct namespace_job job = {.namespace_fd = namespace_fd, .body = open_socket, .argument = &request};
  int error = namespace_thread_run(&job);
  if (error < 0)
    return error;

  struct mnl_socket *socket = request.socket;
  int on = 1;
  struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
  // Strict checking came in Linux 4.20, the others in 4.12 and 4.3: a kernel without nf_tables maps is not supported.
  if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) != 0 ||
      mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &on, sizeof on) != 0 ||
      mnl_socket_setsockopt(socket, NETLINK_CAP_ACK, &on, sizeof on) != 0 ||
      mnl_socket_setsockopt(socket, NETLINK_GET_STRICT_CHK, &on, sizeof on) != 0 ||
      setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) != 0) {
    error = -errno;
    mnl_socket_close(socket);
    return error;
  }
  *result = (cn_socket *)socket;
  return 0;
}

void cn_socket_close(cn_socket *socket) { mnl_socket_close(unwrap(socket)); }

uint32_t cn_socket_port_id(const cn_socket *socket) { return mnl_socket_get_portid(unwrap(socket)); }

uint64_t cn_socket_namespace_cookie(const cn_socket *socket) {
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  int fd = mnl_socket_get_fd(unwrap(socket));
  return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

ssize_t cn_socket_send(const cn_socket *socket, const void *bytes, size_t count) {
  ssize_t sent;
  do
    sent = mnl_socket_sendto(unwrap(socket), bytes, count);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

ssize_t cn_socket_receive(const cn_socket *socket, void *bytes, size_t capacity) {
  ssize_t received;
  do
    received = mnl_socket_recvfrom(unwrap(socket), bytes, capacity);
  while (received < 0 && errno == EINTR);
  return received < 0 ? -errno : received;
}

int cn_socket_join(const cn_socket *socket, int group) {
  return mnl_socket_setsockopt(unwrap(socket), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0 ? 0 : -errno;
}

void cn_socket_set_buffers(const cn_socket *socket, int bytes) {
  int fd = mnl_socket_get_fd(unwrap(socket));
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

int cn_socket_wait(const cn_socket *socket, int wake_fd) {
  struct pollfd waits[2] = {{mnl_socket_get_fd(unwrap(socket)), POLLIN, 0}, {wake_fd, POLLIN, 0}};
  while (poll(waits, 2, -1) < 0)
    if (errno != EINTR)
      return -errno;
  return waits[1].revents == 0;
}

ssize_t cn_socket_take(const cn_socket *socket, void *bytes, size_t capacity) {
  ssize_t received;
  do
    received = recv(mnl_socket_get_fd(unwrap(socket)), bytes, capacity, MSG_DONTWAIT);
  while (received < 0 && errno == EINTR);
  return received < 0 ? -errno : received;
}

int cn_socket_drain(const cn_socket *socket) {
  char byte;
  int fd = mnl_socket_get_fd(unwrap(socket));
  for (;;) {
    if (recv(fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == EINTR || errno == ENOBUFS)
      continue;
    return errno == EAGAIN ? 0 : -errno;
  }
}
