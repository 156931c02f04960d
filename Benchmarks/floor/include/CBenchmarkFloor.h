// The floor of a benchmark: bytes that were built beforehand, over plain sockets, and nothing else. What this takes, the
// kernel takes.
#ifndef CBENCHMARKFLOOR_H
#define CBENCHMARKFLOOR_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// Every function returns a value >= 0, or -errno. Those that visit a namespace do so on the calling thread and come
// back to `home`; they end the program rather than stay.

// A new namespace, as descriptor number `place`.
int floor_namespace(int home, int place);
// A netlink socket of the namespace.
int floor_socket(int home, int namespace_fd, int protocol);
// Sends one datagram and reads answers up to the acknowledgement of the message numbered `last`.
int floor_exchange(int socket, const void *bytes, size_t count, uint32_t last);

#pragma clang assume_nonnull end
#endif
