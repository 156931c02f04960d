// Tests whether ports are free by binding them, for a moment or until released.
#define _GNU_SOURCE
#include "CContainerNetworking.h"
#include "namespace_thread.h"
#include "socket_address.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Measured against dumps of sock_diag(7), on Linux 6.18: a bind takes 7 us for TCP and 5 us for UDP, whatever other
// sockets exist. A dump of listeners takes 12 us with none and 300 us with 1,000. For TCP it is not sufficient: sockets
// that do not listen hold ports, too, and a dump of all walks the whole machine's hash table, for 210 us and up. One
// port therefore costs less by binding; a hundred take 0.7 ms by binding and 0.04 to 0.8 ms by dumps. Besides, only the
// kernel knows all conflicts (wildcards, IPV6_V6ONLY, SO_REUSEADDR, SO_REUSEPORT).
static int set_flag(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value);
}

// Repeats the bind with SO_REUSEADDR, which ignores closed connections (TIME_WAIT) but not listeners. The flag is
// cleared again: a socket with it does not block another one that sets it, too. The kernel also keeps a flag beside the
// port (tb->fastreuse, net/ipv4/inet_connection_sock.c), which admits such sockets without a check, until a socket
// without the flag is bound to the port. The second socket, at an unused loopback address, is for that.
static int bind_beside_old_connections(int fd, const union socket_address *place, socklen_t size, in_port_t number) {
  struct sockaddr_in nowhere = {.sin_family = AF_INET, .sin_port = number, .sin_addr = {htonl(0x7ffffffe)}};
  int second = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
  if (second >= 0 && bind(second, (struct sockaddr *)&nowhere, sizeof nowhere) == 0)
    set_flag(second, SOL_SOCKET, SO_REUSEADDR, 1);
  int result = 0;
  if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0 || bind(fd, &place->any, size) != 0 ||
      set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 0) != 0)
    result = -errno;
  if (second >= 0)
    close(second);
  return result;
}

static int drop_all(int fd) {
  struct sock_filter program = BPF_STMT(BPF_RET | BPF_K, 0);
  struct sock_fprog filter = {1, &program};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

// A datagram socket bound to a missing link matches no datagram, so senders are refused as for an unused port
// (compute_score in net/ipv4/udp.c and net/ipv6/udp.c). Other programs still find the port taken (udp_lib_lport_inuse),
// unless they have first bound themselves to a link. 0 for every link. Kernels before 5.0 cannot do this: there
// datagrams are dropped silently.
static int set_link(int fd, int index) { return set_flag(fd, SOL_SOCKET, SO_BINDTOIFINDEX, index); }

enum { NO_LINK = 0x7fffffff };

// The kernel binds to a broadcast address of a link as to its own, but traffic to it is not for one host alone: it is
// not translated, and cannot be connected to. The test is connect(2), which the kernel refuses without SO_BROADCAST.
static int is_broadcast(const union socket_address *place, socklen_t size) {
  in_addr_t address = ntohl(place->v4.sin_addr.s_addr);
  if (place->any.sa_family != AF_INET || address == INADDR_ANY || address >> 24 == IN_LOOPBACKNET)
    return 0;
  if (address == INADDR_BROADCAST)
    return 1;
  union socket_address whom = *place;
  whom.v4.sin_port = htons(9);
  int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0)
    return 0;
  int result = connect(probe, &whom.any, size) != 0 && errno == EACCES &&
               set_flag(probe, SOL_SOCKET, SO_BROADCAST, 1) == 0 && connect(probe, &whom.any, size) == 0;
  close(probe);
  return result;
}

static int is_multicast(const union socket_address *place) {
  return place->any.sa_family == AF_INET ? IN_MULTICAST(ntohl(place->v4.sin_addr.s_addr))
                                         : IN6_IS_ADDR_MULTICAST(&place->v6.sin6_addr);
}

// With a cookie: -EXDEV unless the calling thread is in the namespace of that cookie.
static int bind_port(const cn_port *port, uint64_t cookie) {
  int is_udp = port->protocol == IPPROTO_UDP;
  int fd = socket(port->is_ipv6 ? AF_INET6 : AF_INET, (is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK,
                  port->protocol);
  if (fd < 0)
    return -errno;
  uint64_t here = 0;
  socklen_t here_size = sizeof here;
  if (cookie != 0 && (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &here, &here_size) != 0 || here != cookie)) {
    close(fd);
    return -EXDEV;
  }
  union socket_address place;
  socklen_t size = fill_address(&place, port->is_ipv6, port->address, port->port, 0);
  int result = 0;
  // Drops every datagram that arrives meanwhile, so that none is kept without a reader.
  if ((port->is_ipv6 && set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0) || (is_udp && drop_all(fd) != 0))
    result = -errno;
  else if (is_multicast(&place))
    result = -EDESTADDRREQ;
  else if (bind(fd, &place.any, size) != 0)
    result = errno == EADDRINUSE && port->protocol == IPPROTO_TCP
                 ? bind_beside_old_connections(fd, &place, size, htons(port->port))
                 : -errno;
  if (result == 0 && is_broadcast(&place, size))
    result = -EDESTADDRREQ;
  // With IPv4 all traffic to a published port is translated, and reaches no socket.
  if (result == 0 && is_udp && port->is_ipv6)
    set_link(fd, NO_LINK);
  if (result == 0)
    return fd;
  close(fd);
  return result;
}

struct port_list {
  cn_port *ports;
  size_t count;
  int keeps;
  uint64_t cookie;
};

static int bind_ports(struct namespace_job *job) {
  struct port_list *list = job->argument;
  for (size_t i = 0; i < list->count; i++) {
    int result = bind_port(&list->ports[i], list->cookie);
    if (result == -EXDEV)
      return result; // at the first of them: no thread goes elsewhere meanwhile
    if (result >= 0 && !list->keeps) {
      close(result);
      result = 0;
    }
    list->ports[i].result = result;
  }
  return 0;
}

int cn_namespace_bind_ports(int namespace_fd, uint64_t cookie, cn_port *ports, size_t count, int keeps) {
  struct port_list list = {ports, count, keeps, cookie};
  // Usually the host is the process's own namespace: then no visit by another thread, which takes longer than the bind.
  struct namespace_job own = {.argument = &list};
  if (cookie != 0 && bind_ports(&own) != -EXDEV)
    return 0;
  list.cookie = 0;
  struct namespace_job job = {.namespace_fd = namespace_fd, .body = bind_ports, .argument = &list};
  return namespace_thread_run(&job);
}

int cn_port_silence(int fd, int is_silent) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
    return -errno;
  // A listener that is shut down is bound still, and listens no more (inet_shutdown in net/ipv4/af_inet.c). To listen, the
  // kernel looks for conflicts once more, where connections that are over count without the flag, those of this listener
  // too, which inherit it (inet_csk_listen_start, inet_csk_bind_conflict). A listener excludes others with the flag as well.
  if (type != SOCK_DGRAM) {
    if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR, !is_silent) != 0)
      return -errno;
    return is_silent && shutdown(fd, SHUT_RD) != 0 && errno != ENOTCONN ? -errno : 0;
  }
  int unused = 0;
  if (is_silent) {
    set_link(fd, NO_LINK);
    return drop_all(fd) == 0 ? 0 : -errno;
  }
  if (set_link(fd, 0) != 0 && errno != ENOPROTOOPT)
    return -errno;
  return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused) == 0 || errno == ENOENT ? 0 : -errno;
}

ssize_t cn_datagram_send(int fd, const void *bytes, size_t count, const void *to, size_t to_size, const void *source,
                         size_t source_size, uint32_t link) {
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
  } control;
  memset(&control, 0, sizeof control);
  struct iovec part = {(void *)bytes, count};
  struct msghdr message = {.msg_name = (void *)to, .msg_namelen = to_size, .msg_iov = &part, .msg_iovlen = 1};
  struct in_pktinfo v4 = {.ipi_ifindex = 0};
  struct in6_pktinfo v6 = {.ipi6_ifindex = link};
  int is_ipv6 = source_size == sizeof v6.ipi6_addr;
  if (is_ipv6)
    memcpy(&v6.ipi6_addr, source, sizeof v6.ipi6_addr);
  else if (source_size == sizeof v4.ipi_spec_dst)
    memcpy(&v4.ipi_spec_dst, source, sizeof v4.ipi_spec_dst);
  if (source_size > 0) {
    message.msg_control = &control;
    message.msg_controllen = is_ipv6 ? CMSG_SPACE(sizeof v6) : CMSG_SPACE(sizeof v4);
    control.header.cmsg_level = is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
    control.header.cmsg_type = is_ipv6 ? IPV6_PKTINFO : IP_PKTINFO;
    control.header.cmsg_len = is_ipv6 ? CMSG_LEN(sizeof v6) : CMSG_LEN(sizeof v4);
    memcpy(CMSG_DATA(&control.header), is_ipv6 ? (void *)&v6 : (void *)&v4, is_ipv6 ? sizeof v6 : sizeof v4);
  }
  ssize_t sent;
  do
    sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}
