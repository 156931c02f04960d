// Transport sockets: created and bound, or connected, inside a namespace, and used from any thread.
#define _GNU_SOURCE
#include "CContainerNetworking.h"
#include "namespace_thread.h"
#include "socket_address.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static socklen_t fill(union socket_address *address, const cn_peer *peer) {
  return fill_address(address, peer->is_ipv6, peer->address, peer->port, peer->link);
}

struct request {
  const cn_peer *peer;
  const char **failed;
};

static int make(const struct request *request) {
  const cn_peer *peer = request->peer;
  int type = peer->protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
  *request->failed = "socket";
  int fd = socket(peer->is_ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, peer->protocol);
  return fd >= 0 ? fd : -errno;
}

static int fail(int fd) {
  int error = -errno;
  close(fd);
  return error;
}

static int bind_one(struct namespace_job *job) {
  const struct request *request = job->argument;
  const cn_peer *peer = request->peer;
  union socket_address address;
  socklen_t size = fill(&address, peer);
  int fd = make(request), on = 1;
  if (fd < 0)
    return fd;
  *request->failed = "setsockopt";
  // An address that is still missing, or gone for a moment while its link is recreated, is no failure.
  if (setsockopt(fd, peer->is_ipv6 ? SOL_IPV6 : SOL_IP, peer->is_ipv6 ? IPV6_FREEBIND : IP_FREEBIND, &on, sizeof on) != 0)
    return fail(fd);
  if (peer->is_ipv6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
    return fail(fd);
  // Ignores closed connections (TIME_WAIT). With UDP it would allow two sockets on one port.
  if (peer->protocol == IPPROTO_TCP && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
    return fail(fd);
  *request->failed = "bind";
  if (bind(fd, &address.any, size) != 0)
    return fail(fd);
  *request->failed = "listen";
  if (peer->protocol == IPPROTO_TCP && listen(fd, 512) != 0)
    return fail(fd);
  return fd;
}

static int connect_one(struct namespace_job *job) {
  const struct request *request = job->argument;
  union socket_address address;
  socklen_t size = fill(&address, request->peer);
  int fd = make(request);
  if (fd < 0)
    return fd;
  // Gives up on a silent peer after 15 seconds, instead of two minutes.
  int tries = 3;
  if (request->peer->protocol == IPPROTO_TCP)
    setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof tries);
  *request->failed = "connect";
  if (connect(fd, &address.any, size) != 0 && errno != EINPROGRESS)
    return fail(fd);
  return fd;
}

static int run(int namespace_fd, int (*body)(struct namespace_job *), const cn_peer *peer, const char **failed) {
  *failed = "setns";
  struct request request = {peer, failed};
  struct namespace_job job = {.namespace_fd = namespace_fd, .body = body, .argument = &request, .any_thread = 1};
  return namespace_thread_run(&job);
}

int cn_namespace_bind(int namespace_fd, const cn_peer *local, const char **failed) {
  return run(namespace_fd, bind_one, local, failed);
}

int cn_namespace_connect(int namespace_fd, const cn_peer *remote, const char **failed) {
  return run(namespace_fd, connect_one, remote, failed);
}

void cn_set_receive_buffer(int fd, int bytes) {
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

int cn_queue_percent(int fd) {
  uint32_t memory[SK_MEMINFO_VARS];
  socklen_t size = sizeof memory;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) != 0)
    return -errno;
  return (int)((uint64_t)memory[SK_MEMINFO_RMEM_ALLOC] * 100 / (memory[SK_MEMINFO_RCVBUF] + 1));
}

// The part of an address that distinguishes senders of one network is its end: for IPv6, the last eight bytes.
int cn_shut_out(int fd, const cn_peer *senders, size_t count) {
  struct sock_filter program[5 * CN_SHUT_OUT_LIMIT + 1];
  size_t length = 0;
  if (count == 0)
    return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &length, sizeof(int)) == 0 || errno == ENOENT ? 0 : -errno;
  if (count > CN_SHUT_OUT_LIMIT)
    return -EINVAL;
  for (size_t i = 0; i < count; i++) {
    const uint8_t *bytes = senders[i].address;
    // From the network header on (SKF_NET_OFF): 12 is the sender of IPv4 (RFC 791), 8 to 23 of IPv6 (RFC 8200).
    uint32_t words = senders[i].is_ipv6 ? 2 : 1;
    for (uint32_t word = 0; word < words; word++) {
      uint32_t offset = senders[i].is_ipv6 ? 16 + 4 * word : 12, value;
      memcpy(&value, bytes + (senders[i].is_ipv6 ? 8 + 4 * word : 0), sizeof value);
      program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_NET_OFF + offset);
      // Not equal: jump past the rest of this sender. Equal in its last word: jump to the end, which drops.
      uint8_t rest = (uint8_t)(2 * (words - 1 - word) + 1);
      program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(value), 0, rest);
    }
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
  }
  program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffff);
  struct sock_fprog filter = {(unsigned short)length, program};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0 ? 0 : -errno;
}

// Skips parts that cannot be sent: for their receivers they are lost datagrams.
int cn_send_datagrams(int fd, const uint8_t *bytes, const cn_datagram *datagrams, size_t count) {
  enum { at_once = 32 };
  union socket_address addresses[at_once];
  struct iovec parts[at_once];
  struct mmsghdr messages[at_once];
  int sent = 0;
  for (size_t done = 0; done < count;) {
    unsigned int number = 0;
    for (; number < at_once && done + number < count; number++) {
      const cn_datagram *datagram = &datagrams[done + number];
      parts[number] = (struct iovec){(void *)(bytes + datagram->offset), datagram->length};
      messages[number].msg_hdr = (struct msghdr){.msg_name = &addresses[number],
                                                 .msg_namelen = fill(&addresses[number], &datagram->peer),
                                                 .msg_iov = &parts[number],
                                                 .msg_iovlen = 1};
    }
    int result = sendmmsg(fd, messages, number, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (result > 0) {
      done += (size_t)result;
      sent += result;
    } else if (errno == EAGAIN || errno == EBADF) {
      break;
    } else if (errno != EINTR) {
      done++;
    }
  }
  return sent;
}
