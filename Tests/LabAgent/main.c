// lab-agent NAME: the lab's hands in a network namespace. It answers, it notes which probes arrive, and it sends probes.
// Commands come by standard input, a line each:
//   serve PORT                            answer on this port
//   probe NUMBER tcp|udp|icmp ADDRESS PORT
//   again                                 send those anew of which nothing is known
//   sync                                  take in whatever has arrived; tell what is new, then "synced"
//   clear                                 forget the probes, and what was heard
// What sync tells:
//   heard NUMBER ADDRESS                  a probe arrived here, from that address
//   result NUMBER answered NAME ADDRESS   as the server of that name saw it; "- -" of an echo reply
//   result NUMBER reset                   by the other end
//   result NUMBER icmp TYPE CODE ADDRESS  the error that came, and from whom
//   result NUMBER failed ERRNO            this namespace itself would not send it
#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *name;

static struct pollfd watched[MAX_SOCKETS];
static void (*parts[MAX_SOCKETS])(int);
static nfds_t watched_count;

int require(int result, const char *what) {
  if (result < 0) {
    printf("failed %s: %s\n", what, strerror(errno));
    fflush(stdout);
    exit(1);
  }
  return result;
}

const char *text_of(const struct sockaddr_storage *address) {
  static char text[INET6_ADDRSTRLEN];
  const void *bytes = address->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
                                                    : (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr;
  return inet_ntop(address->ss_family, bytes, text, sizeof text) ? text : "?";
}

socklen_t length_of(const struct sockaddr_storage *address) {
  return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

struct sockaddr_storage any_address(int family, uint16_t port) {
  struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
  // The port is at the same place in both.
  ((struct sockaddr_in *)&address)->sin_port = htons(port);
  return address;
}

int token_in(const uint8_t *bytes, ssize_t count) {
  char text[64] = {0};
  ssize_t prefix = sizeof QUESTION - 1;
  if (count <= prefix || count >= (ssize_t)sizeof text || memcmp(bytes, QUESTION, (size_t)prefix) != 0)
    return 0;
  memcpy(text, bytes + prefix, (size_t)(count - prefix));
  return atoi(text);
}

void watch(int fd, short events, void (*ready)(int)) {
  if (watched_count == MAX_SOCKETS)
    errno = EMFILE, require(-1, "watch");
  watched[watched_count] = (struct pollfd){.fd = fd, .events = events};
  parts[watched_count++] = ready;
}

void unwatch(int fd) {
  for (nfds_t index = 0; index < watched_count; index++)
    if (watched[index].fd == fd) {
      watched[index] = watched[--watched_count];
      parts[index] = parts[watched_count];
      return;
    }
}

// Takes in what has arrived; waits for it if there is nothing. Returns whether there was anything besides commands.
static int handle(int timeout, int *has_command) {
  int count = poll(watched, watched_count, timeout), handled = 0;
  if (count < 0 && errno != EINTR)
    require(count, "poll");
  *has_command = count > 0 && watched[0].revents;
  // From a copy: parts come and go meanwhile.
  static struct pollfd ready[MAX_SOCKETS];
  static void (*of[MAX_SOCKETS])(int);
  nfds_t all = watched_count;
  memcpy(ready, watched, sizeof ready[0] * all);
  memcpy(of, parts, sizeof of[0] * all);
  for (nfds_t index = 1; count > 0 && index < all; index++)
    if (ready[index].revents) {
      handled = 1;
      of[index](ready[index].fd);
    }
  return handled;
}

static int obey(char *line) {
  char protocol[8], address[64];
  int token, port, unused;
  if (sscanf(line, "serve %d", &port) == 1) {
    serve((uint16_t)port);
  } else if (sscanf(line, "probe %d %7s %63s %d", &token, protocol, address, &port) == 4) {
    int family = strchr(address, ':') ? AF_INET6 : AF_INET;
    struct sockaddr_storage to = any_address(family, (uint16_t)port);
    void *bytes = family == AF_INET ? (void *)&((struct sockaddr_in *)&to)->sin_addr
                                    : (void *)&((struct sockaddr_in6 *)&to)->sin6_addr;
    if (inet_pton(family, address, bytes) != 1 || token < 1 || token > TOKEN_MAX)
      return 0;
    int number = strcmp(protocol, "tcp") == 0 ? TCP : strcmp(protocol, "udp") == 0 ? UDP
                                                  : family == AF_INET              ? ICMP
                                                                                   : ICMP6;
    probe_send(token, number, to);
  } else if (strcmp(line, "again") == 0) {
    probe_again();
  } else if (strcmp(line, "clear") == 0) {
    hear_clear();
    probe_clear();
  } else if (strcmp(line, "sync") == 0) {
    while (handle(0, &unused))
      ;
    hear_tell();
    probe_tell();
    puts("synced");
  } else {
    return 0;
  }
  return 1;
}

int main(int count, char **arguments) {
  if (count != 2) {
    fputs("usage: lab-agent NAME\n", stderr);
    return 2;
  }
  name = arguments[1];
  static char input[1 << 16];
  size_t filled = 0;
  watch(0, POLLIN, NULL);
  hear_open();
  puts("ready");
  for (;;) {
    fflush(stdout);
    int has_command;
    handle(-1, &has_command);
    if (!has_command)
      continue;
    ssize_t more = read(0, input + filled, sizeof input - filled - 1);
    if (more <= 0)
      return 0; // nobody commands any more
    filled += (size_t)more;
    input[filled] = 0;
    char *line = input, *end;
    for (; (end = strchr(line, '\n')); line = end + 1) {
      *end = 0;
      if (!obey(line)) {
        printf("failed to understand: %s\n", line);
        fflush(stdout);
        return 2;
      }
    }
    filled = strlen(line);
    memmove(input, line, filled);
  }
}
