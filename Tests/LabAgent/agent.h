// What the parts of lab-agent know of each other. One thread; each part gives its descriptors to poll(2) and is told
// which of them have something.
#ifndef LAB_AGENT_H
#define LAB_AGENT_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58, MAX_SOCKETS = 4096 };

// A probe is known by a number from 1 to TOKEN_MAX, which travels with it: in a datagram's or echo request's text, and
// as the maximum segment size, less MSS_BASE, of a connection's first segment.
enum { TOKEN_MAX = 900, MSS_BASE = 500 };
#define QUESTION "lab-probe "

extern const char *name; // of this agent

// Ends the program, with errno, if the result is negative.
int require(int result, const char *what);
// An address without its port; IPv4 as such.
const char *text_of(const struct sockaddr_storage *address);
socklen_t length_of(const struct sockaddr_storage *address);
struct sockaddr_storage any_address(int family, uint16_t port);
// The number after QUESTION; 0 for anything else.
int token_in(const uint8_t *bytes, ssize_t count);

// serve.c: answers everyone on a port, by TCP and UDP, IPv4 and IPv6, with its name and the caller's address.
void serve(uint16_t port);
void serve_ready(int fd);

// hear.c: notes every probe that arrived, whether anything answers it or not.
void hear_open(void);
void hear_ready(int fd);
void hear_tell(void);
void hear_clear(void);

// probe.c: sends probes and learns what became of them.
void probe_send(int token, int protocol, struct sockaddr_storage to);
void probe_again(void);
void probe_ready(int fd);
void probe_tell(void);
void probe_clear(void);

// main.c: has poll(2) watch a descriptor for events, of a part.
void watch(int fd, short events, void (*ready)(int));
void unwatch(int fd);

#endif
