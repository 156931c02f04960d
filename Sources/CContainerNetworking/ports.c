// Whether ports are free: asked of the kernel by taking them, for the moment of a bind.
#define _GNU_SOURCE
#include "CContainerNetworking.h"
#include "namespace_thread.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Measured against dumps of sock_diag(7), on Linux 6.18: a bind is 7 us for TCP and 5 us for UDP, whatever else the
// machine has. A dump of listeners is 12 us with none and 300 us with 1,000; and it does not do for TCP, where a port is
// held by sockets that do not listen too, and a dump of all walks the whole machine's hash table, for 210 us and up. So
// one port costs less by binding, a hundred 0.7 ms by binding and 0.04 to 0.8 ms by dumps; and what conflicts with what
// (wildcards, IPV6_V6ONLY, SO_REUSEADDR, SO_REUSEPORT) is for the kernel to say.
static int try_port(const cn_port *port) {
  int is_tcp = port->protocol == IPPROTO_TCP;
  int type = port->protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
  int fd = socket(port->is_ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, port->protocol);
  if (fd < 0)
    return -errno;
  int on = 1, result = 0;
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port->port)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port->port)};
  memcpy(&v4.sin_addr, port->address, sizeof v4.sin_addr);
  memcpy(&v6.sin6_addr, port->address, sizeof v6.sin6_addr);
  // With it connections that are over (TIME_WAIT) do not count, and listeners still do. To UDP it would hide them.
  if (is_tcp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
    result = -errno;
  else if (port->is_ipv6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
    result = -errno;
  else if (bind(fd, port->is_ipv6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
                port->is_ipv6 ? sizeof v6 : sizeof v4) != 0)
    result = -errno;
  close(fd);
  return result;
}

struct port_list {
  cn_port *ports;
  size_t count;
};

static int try_ports(struct namespace_job *job) {
  struct port_list *list = job->argument;
  for (size_t i = 0; i < list->count; i++)
    list->ports[i].result = try_port(&list->ports[i]);
  return 0;
}

int cn_namespace_try_ports(int namespace_fd, cn_port *ports, size_t count) {
  struct port_list list = {ports, count};
  struct namespace_job job = {.namespace_fd = namespace_fd, .body = try_ports, .argument = &list};
  return namespace_thread_run(&job);
}
