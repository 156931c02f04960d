#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
  int fd; // -1: closed
  int protocol;
  struct sockaddr_storage to;
  char result[160]; // empty while nothing is known
  int is_told;
} probes[TOKEN_MAX + 1];

__attribute__((format(printf, 2, 3))) static void settle(int token, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(probes[token].result, sizeof probes[token].result, format, arguments);
  va_end(arguments);
  unwatch(probes[token].fd);
  close(probes[token].fd);
  probes[token].fd = -1;
}

static uint16_t checksum(const uint8_t *bytes, size_t count) {
  uint32_t sum = 0;
  for (size_t index = 0; index < count; index++)
    sum += (uint32_t)bytes[index] << (index % 2 ? 0 : 8);
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

// The ICMP error that came for a probe, if one did: ip(7), IP_RECVERR.
static int has_error(int token) {
  struct sockaddr_storage to;
  char control[512], bytes[128];
  struct iovec part = {bytes, sizeof bytes};
  struct msghdr message = {&to, sizeof to, &part, 1, control, sizeof control, 0};
  if (recvmsg(probes[token].fd, &message, MSG_ERRQUEUE) < 0)
    return 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    int is_error = (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR) ||
                   (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_RECVERR);
    if (!is_error)
      continue;
    struct sock_extended_err *error = (struct sock_extended_err *)CMSG_DATA(header);
    struct sockaddr_storage from = {0};
    memcpy(&from, SO_EE_OFFENDER(error),
           header->cmsg_level == IPPROTO_IP ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    if (error->ee_origin == SO_EE_ORIGIN_LOCAL)
      settle(token, "failed %u", error->ee_errno);
    else
      settle(token, "icmp %u %u %s", error->ee_type, error->ee_code, text_of(&from));
    return 1;
  }
  return 0;
}

// What an error number of a socket says.
static void take_error(int token, int error) {
  if (error == EAGAIN || error == EINPROGRESS || error == EINTR || has_error(token))
    return;
  if ((error == ECONNREFUSED || error == ECONNRESET) && probes[token].protocol == TCP)
    settle(token, "reset");
  else
    settle(token, "failed %d", error);
}

static void ask(int token) {
  char text[64];
  uint8_t bytes[80] = {0};
  size_t length = (size_t)snprintf(text, sizeof text, QUESTION "%d", token), header = 0;
  if (probes[token].protocol != UDP) {
    header = 8;
    bytes[0] = probes[token].protocol == ICMP ? 8 : 128;
    bytes[4] = (uint8_t)(token >> 8), bytes[5] = (uint8_t)token;
  }
  memcpy(bytes + header, text, length);
  if (probes[token].protocol == ICMP) {
    uint16_t sum = checksum(bytes, header + length);
    bytes[2] = (uint8_t)(sum >> 8), bytes[3] = (uint8_t)sum;
  }
  if (send(probes[token].fd, bytes, header + length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    take_error(token, errno);
}

static void open_probe(int token) {
  int family = probes[token].to.ss_family, protocol = probes[token].protocol, on = 1, mss = MSS_BASE + token;
  int type = protocol == TCP ? SOCK_STREAM : protocol == UDP ? SOCK_DGRAM : SOCK_RAW;
  int fd = require(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), "probe's socket");
  probes[token].fd = fd;
  if (family == AF_INET)
    require(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on), "IP_RECVERR");
  else
    require(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on), "IPV6_RECVERR");
  if (protocol == TCP)
    require(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss), "TCP_MAXSEG");
  struct sockaddr_storage to = probes[token].to;
  if (type == SOCK_RAW)
    ((struct sockaddr_in *)&to)->sin_port = 0;
  watch(fd, POLLIN, probe_ready);
  if (connect(fd, (struct sockaddr *)&to, length_of(&to)) < 0)
    take_error(token, errno);
  else if (protocol != TCP)
    ask(token);
}

void probe_send(int token, int protocol, struct sockaddr_storage to) {
  probes[token].protocol = protocol;
  probes[token].to = to;
  probes[token].result[0] = 0;
  probes[token].is_told = 0;
  open_probe(token);
}

void probe_again(void) {
  for (int token = 1; token <= TOKEN_MAX; token++) {
    if (probes[token].fd <= 0 || probes[token].result[0])
      continue;
    if (probes[token].protocol == TCP) {
      unwatch(probes[token].fd);
      close(probes[token].fd);
      open_probe(token);
    } else {
      ask(token);
    }
  }
}

void probe_ready(int fd) {
  int token = 1;
  while (token <= TOKEN_MAX && probes[token].fd != fd)
    token++;
  if (token > TOKEN_MAX)
    return;
  uint8_t bytes[256];
  ssize_t count = recv(fd, bytes, sizeof bytes - 1, 0);
  if (count < 0) {
    take_error(token, errno);
  } else if (probes[token].protocol == TCP || probes[token].protocol == UDP) {
    bytes[count] = 0;
    char *line = (char *)bytes;
    line[strcspn(line, "\n")] = 0;
    // A connection that was closed without a word is no answer of an agent's.
    settle(token, "answered %s", count > 0 ? line : "? ?");
  } else {
    ssize_t header = probes[token].protocol == ICMP ? (bytes[0] & 15) * 4 : 0;
    if (count > header + 8 && bytes[header] == (probes[token].protocol == ICMP ? 0 : 129) &&
        token_in(bytes + header + 8, count - header - 8) == token)
      settle(token, "answered - -");
  }
}

void probe_tell(void) {
  for (int token = 1; token <= TOKEN_MAX; token++)
    if (probes[token].result[0] && !probes[token].is_told) {
      printf("result %d %s\n", token, probes[token].result);
      probes[token].is_told = 1;
    }
}

void probe_clear(void) {
  for (int token = 1; token <= TOKEN_MAX; token++) {
    if (probes[token].fd > 0) {
      unwatch(probes[token].fd);
      close(probes[token].fd);
    }
    probes[token].fd = -1;
    probes[token].result[0] = 0;
  }
}
