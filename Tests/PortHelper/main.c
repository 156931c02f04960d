// A program with sockets, for tests of who holds a port and where datagrams go.
//   port-helper hold tcp|udp ADDRESS PORT [GREETING]   holds the port; answers every datagram with the greeting
//   port-helper ask ADDRESS PORT                       sends each line of its input as a datagram, always from the same
//                                                      port, and prints the answer, or "-" when none comes in 500 ms
// ADDRESS "*" is [::] with IPv4 on the same socket; ADDRESS%LINK has it bound to a link first (SO_BINDTODEVICE).
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct addrinfo *resolve(const char *address, const char *port, int type) {
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = type}, *result;
  if (getaddrinfo(strcmp(address, "*") == 0 ? "::" : address, port, &hints, &result) != 0) {
    fprintf(stderr, "%s %s: no address and port\n", address, port);
    exit(2);
  }
  return result;
}

static void require(int result, const char *what) {
  if (result < 0) {
    perror(what);
    exit(1);
  }
}

static int hold(const char *protocol, const char *address, const char *port, const char *greeting) {
  int is_udp = strcmp(protocol, "udp") == 0, on = 1, only = strcmp(address, "*") != 0;
  char plain[64];
  snprintf(plain, sizeof plain, "%s", address);
  const char *link = strchr(address, '%');
  plain[strcspn(plain, "%")] = 0;
  struct addrinfo *place = resolve(plain, port, is_udp ? SOCK_DGRAM : SOCK_STREAM);
  int fd = socket(place->ai_family, place->ai_socktype, place->ai_protocol);
  require(fd, "socket");
  if (place->ai_family == AF_INET6)
    require(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only), "IPV6_V6ONLY");
  require(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  if (link)
    require(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, link + 1, strlen(link + 1)), "SO_BINDTODEVICE");
  require(bind(fd, place->ai_addr, place->ai_addrlen), "bind");
  if (!is_udp)
    require(listen(fd, 8), "listen");
  puts("ready");
  fflush(stdout);
  for (;;) {
    char bytes[512];
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    if (!is_udp)
      pause();
    else if (recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size) >= 0 && greeting)
      sendto(fd, greeting, strlen(greeting), 0, (struct sockaddr *)&from, size);
  }
}

static int ask(const char *address, const char *port) {
  struct addrinfo *place = resolve(address, port, SOCK_DGRAM);
  int fd = socket(place->ai_family, place->ai_socktype, place->ai_protocol);
  require(fd, "socket");
  struct timeval limit = {0, 500000};
  require(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), "SO_RCVTIMEO");
  // Not connected: an ICMP error of an earlier datagram is not to fail a later one.
  char line[512], answer[512];
  while (fgets(line, sizeof line, stdin)) {
    while (recv(fd, answer, sizeof answer, MSG_DONTWAIT) >= 0)
      ;
    sendto(fd, line, strlen(line), 0, place->ai_addr, place->ai_addrlen);
    ssize_t count = recv(fd, answer, sizeof answer - 1, 0);
    printf("%.*s\n", count < 0 ? 1 : (int)count, count < 0 ? "-" : answer);
    fflush(stdout);
  }
  return 0;
}

int main(int count, char **arguments) {
  if (count >= 5 && strcmp(arguments[1], "hold") == 0)
    return hold(arguments[2], arguments[3], arguments[4], count > 5 ? arguments[5] : NULL);
  if (count == 4 && strcmp(arguments[1], "ask") == 0)
    return ask(arguments[2], arguments[3]);
  fputs("usage: port-helper hold tcp|udp ADDRESS PORT [GREETING] | port-helper ask ADDRESS PORT\n", stderr);
  return 2;
}
