// Raw sockets get a copy of every packet that a namespace takes for its own (raw(7)), whether a program waits for it or
// not: what was let through is seen even where no answer comes back.
#include "agent.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { SOCKETS = 6 };
static const struct {
  int family, protocol;
} kinds[SOCKETS] = {{AF_INET, TCP},  {AF_INET, UDP},  {AF_INET, ICMP},
                    {AF_INET6, TCP}, {AF_INET6, UDP}, {AF_INET6, ICMP6}};
static int sockets[SOCKETS];

// What was heard and not told yet; each once.
static struct {
  int token;
  struct sockaddr_storage from;
} heard[4 * TOKEN_MAX];
static int heard_count;

void hear_open(void) {
  for (int index = 0; index < SOCKETS; index++) {
    int room = 1 << 20;
    sockets[index] = require(
        socket(kinds[index].family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, kinds[index].protocol), "raw socket");
    setsockopt(sockets[index], SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    watch(sockets[index], POLLIN, hear_ready);
  }
}

// The number of a connection's first segment: TCP option 2, RFC 9293 3.1.
static int token_of_segment(const uint8_t *segment, ssize_t count) {
  if (count < 20 || (segment[13] & 0x12) != 0x02)
    return 0;
  ssize_t end = (segment[12] >> 4) * 4;
  for (ssize_t at = 20; at + 1 < end && end <= count && segment[at] != 0;) {
    if (segment[at] == 1) {
      at++;
      continue;
    }
    if (segment[at] == 2 && at + 3 < end)
      return (segment[at + 2] << 8 | segment[at + 3]) - MSS_BASE;
    if (segment[at + 1] < 2)
      return 0;
    at += segment[at + 1];
  }
  return 0;
}

static void note(int token, struct sockaddr_storage *from) {
  if (token < 1 || token > TOKEN_MAX)
    return;
  // A raw socket tells the protocol in the place of a port.
  ((struct sockaddr_in *)from)->sin_port = 0;
  for (int index = 0; index < heard_count; index++)
    if (heard[index].token == token && memcmp(&heard[index].from, from, length_of(from)) == 0)
      return;
  if (heard_count == sizeof heard / sizeof heard[0])
    return;
  heard[heard_count].token = token;
  heard[heard_count++].from = *from;
}

void hear_ready(int fd) {
  int kind = 0;
  while (sockets[kind] != fd)
    kind++;
  for (;;) {
    struct sockaddr_storage from = {0};
    uint8_t packet[2048], *bytes = packet;
    socklen_t size = sizeof from;
    ssize_t count = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &size);
    if (count < 0)
      return;
    // By IPv4 they give the IP header too.
    ssize_t header = kinds[kind].family == AF_INET && count > 0 ? (packet[0] & 15) * 4 : 0;
    bytes += header, count -= header;
    switch (kinds[kind].protocol) {
    case TCP:
      note(token_of_segment(bytes, count), &from);
      break;
    case UDP:
      note(token_in(bytes + 8, count - 8), &from);
      break;
    default:
      if (count > 8 && bytes[0] == (kinds[kind].protocol == ICMP ? 8 : 128))
        note(token_in(bytes + 8, count - 8), &from);
    }
  }
}

void hear_tell(void) {
  for (int index = 0; index < heard_count; index++)
    printf("heard %d %s\n", heard[index].token, text_of(&heard[index].from));
  heard_count = 0;
}

void hear_clear(void) { heard_count = 0; }
