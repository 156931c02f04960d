// The floor of a benchmark: bytes that were built beforehand, over plain sockets, and nothing else. What this takes, the
// kernel and SQLite take.
#ifndef CBENCHMARKFLOOR_H
#define CBENCHMARKFLOOR_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// Every function returns a value >= 0, or -errno; -EIO for a refusal of SQLite's. Those that visit a namespace do so on
// the calling thread and come back to `home`; they end the program rather than stay.

// Puts this process, which has one thread yet, into a network namespace of its own.
int floor_enter_new_namespace(void);
// A new namespace, as descriptor number `place`.
int floor_namespace(int home, int place);
// A netlink socket of the namespace.
int floor_socket(int home, int namespace_fd, int protocol);
// Sends one datagram and reads answers up to the acknowledgement of the message numbered `last`.
int floor_exchange(int socket, const void *bytes, size_t count, uint32_t last);
// Binds a TCP socket of this namespace to a port of every IPv4 address, for the moment.
int floor_probe(uint16_t port);
// Nanoseconds of processor time that this process has had.
int64_t floor_processor_time(void);

// A record to be saved, or removed when it has no text; of the kind "event", one to be appended.
typedef struct {
  const char *kind;
  const char *identifier;
  const char *_Nullable text;
} floor_change;

typedef struct floor_store floor_store;
// A new database as the library's store has it: WAL, synchronous = NORMAL.
int floor_store_open(const char *path, floor_store *_Nullable *_Nonnull store);
// One transaction: the revision is read and counted up, and the changes are made; with `survives_power_cut` it waits for the
// disk (synchronous = FULL).
int floor_store_update(floor_store *store, const floor_change *changes, size_t count, int survives_power_cut);
void floor_store_close(floor_store *store);
// Opens the library's own database, steps over all records and looks at each column, and closes it; gives how many there are.
int floor_store_read(const char *path);

// A TCP socket of the namespace that listens on every IPv4 address.
int floor_listen(int home, int namespace_fd, uint16_t port);
// Connects `count` times from the namespace to an IPv4 address, both in network byte order, where `listener` takes it; each
// connection is closed before the next. Writes how long each connect(2) took, and returns how long all took, nanoseconds.
int64_t floor_connect(
    int home, int namespace_fd, uint32_t address, uint16_t port, int listener, int count, int64_t *times);
// Sends so many bytes over one connection that is made likewise; returns how long that took until all were received,
// nanoseconds.
int64_t floor_transfer(int home, int namespace_fd, uint32_t address, uint16_t port, int listener, int64_t bytes);

#pragma clang assume_nonnull end
#endif
