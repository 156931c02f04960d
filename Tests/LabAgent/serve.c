#include "agent.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int bound(int family, int type, uint16_t port) {
  int on = 1, fd = require(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  struct sockaddr_storage address = any_address(family, port);
  if (family == AF_INET6)
    require(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), "IPV6_V6ONLY");
  require(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  require(bind(fd, (struct sockaddr *)&address, length_of(&address)), "bind");
  return fd;
}

static void accept_ready(int fd) {
  struct sockaddr_storage from;
  char answer[128];
  for (;;) {
    socklen_t size = sizeof from;
    int caller = accept4(fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);
    if (caller < 0)
      return;
    int length = snprintf(answer, sizeof answer, "%s %s\n", name, text_of(&from));
    send(caller, answer, (size_t)length, MSG_NOSIGNAL);
    close(caller);
  }
}

// Answers from the address that was asked, as a server with several must: a caller hears no other.
static void datagram_ready(int fd) {
  for (;;) {
    struct sockaddr_storage from;
    uint8_t bytes[128];
    char control[128], answer[128];
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {&from, sizeof from, &part, 1, control, sizeof control, 0};
    ssize_t count = recvmsg(fd, &message, 0);
    if (count < 0)
      return;
    if (!token_in(bytes, count))
      continue;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == IP_PKTINFO && header->cmsg_level == IPPROTO_IP) {
      struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(header);
      info->ipi_spec_dst = info->ipi_addr;
      info->ipi_ifindex = 0;
    } else if (header) {
      ((struct in6_pktinfo *)CMSG_DATA(header))->ipi6_ifindex = 0;
    }
    int length = snprintf(answer, sizeof answer, "%s %s\n", name, text_of(&from));
    part = (struct iovec){answer, (size_t)length};
    sendmsg(fd, &message, MSG_NOSIGNAL);
  }
}

void serve(uint16_t port) {
  int families[] = {AF_INET, AF_INET6}, on = 1;
  for (int index = 0; index < 2; index++) {
    int listener = bound(families[index], SOCK_STREAM, port);
    require(listen(listener, 256), "listen");
    watch(listener, POLLIN, accept_ready);
    int datagrams = bound(families[index], SOCK_DGRAM, port);
    if (families[index] == AF_INET)
      require(setsockopt(datagrams, IPPROTO_IP, IP_PKTINFO, &on, sizeof on), "IP_PKTINFO");
    else
      require(setsockopt(datagrams, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on), "IPV6_RECVPKTINFO");
    watch(datagrams, POLLIN, datagram_ready);
  }
}
