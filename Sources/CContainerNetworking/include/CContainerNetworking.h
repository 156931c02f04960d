// Functions that Swift cannot reach by itself: calls that glibc declares only under _GNU_SOURCE, libmnl, and the
// kernel's own headers for their constants. Swift above this line makes no system call that changes a thread's
// namespace.
#ifndef CCONTAINERNETWORKING_H
#define CCONTAINERNETWORKING_H

#include <netinet/in.h> // before linux/netfilter.h, which uses its types

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

// Every function returns a value >= 0, or -errno.

// ---- Namespaces. Each runs on the namespace thread (namespace_thread.c), never on the caller's.

// Creates a network namespace and returns a descriptor of it (CLOEXEC).
int cn_namespace_create(void);

// Opens `path` (open(2) flags, CLOEXEC added) while inside the namespace: /proc/sys/net stays in that namespace.
int cn_namespace_open_file(int namespace_fd, const char *path, int flags);

typedef enum { CN_INHERITED, CN_OWN_GROUP, CN_OWN_SESSION, CN_OWN_TERMINAL } cn_grouping;

// A file to bind over another.
typedef struct {
  const char *source;
  const char *target; // a target that is not there stays so
} cn_binding;

// A program to start. The streams are descriptors for 0, 1, 2; the program has no others, no signal blocked, and every
// disposition at its default. NULL environment or directory: this process's own.
typedef struct {
  const char *path; // or a name that is looked up in PATH
  char *const _Nullable *_Nonnull argv;
  char *const _Nullable *_Nullable environment;
  const char *_Nullable directory;
  int streams[3];
  cn_grouping grouping;
  int ends_with_parent; // SIGKILL when this process ends, however it ends
  // If set, the program has a mount namespace, or a UTS namespace, of its own.
  const cn_binding *_Nullable bindings;
  size_t binding_count;
  const char *_Nullable hostname;
  const char *_Nullable domainname;
  // Descriptors of the mount and UTS namespaces to join; -1 for none.
  int mount_namespace;
  int uts_namespace;
  // With bindings: /sys is mounted again, so that it shows the namespace's links. Its mounts at these paths below it
  // are kept; NULL-terminated.
  const char *const _Nullable *_Nullable sysfs_mounts;
} cn_program;

// The failure to start a program: the call, and the file concerned, if any.
typedef struct {
  const char *_Nullable call;
  const char *_Nullable file;
} cn_start_failure;

// Starts a program inside the namespace (programs.c); returns its pid.
int cn_namespace_spawn(int namespace_fd, const cn_program *program, cn_start_failure *failure);

// Runs `body` on a thread of its own inside the namespace and joins it.
int cn_namespace_run(int namespace_fd, void (*body)(void *_Nullable), void *_Nullable context);

// A port to test, and its result.
typedef struct {
  uint8_t address[16]; // network order; IPv4 in the first four bytes
  uint16_t port;
  uint8_t is_ipv6;
  uint8_t protocol; // IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP
  int result;       // -errno when the port could not be bound; else the socket that has it, or 0 when it was let go
} cn_port;

// Binds each port inside the namespace, and releases it at once unless it is to be kept (ports.c). One visit for all;
// none if the calling thread is already in the namespace of that cookie, 0 for an unknown one. A kept socket refuses
// all traffic: a stream socket does not listen, a datagram socket matches no datagram.
int cn_namespace_bind_ports(int namespace_fd, uint64_t cookie, cn_port *ports, size_t count, int keeps);
// Makes a kept socket receive, which for a datagram socket needs CAP_NET_RAW, or refuse all traffic again.
int cn_port_silence(int fd, int is_silent);

// Sends a datagram to `to`, a struct sockaddr, from one of the socket's addresses: 4 or 16 bytes, or none for the
// kernel's choice; for IPv6 by a link, or 0. Does not block: -EAGAIN.
ssize_t cn_datagram_send(int fd, const void *bytes, size_t count, const void *to, size_t to_size,
                         const void *_Nullable source, size_t source_size, uint32_t link);

// An address and port of a socket.
typedef struct {
  uint8_t address[16]; // network order; IPv4 in the first four bytes
  uint16_t port;
  uint8_t is_ipv6;
  uint8_t protocol; // IPPROTO_TCP, IPPROTO_UDP
  uint32_t link;    // index of a link-local address's link, else 0
} cn_peer;

// A socket of the namespace (transport.c), CLOEXEC and non-blocking: one that is bound and, with TCP, listens; one that
// is connected or, with TCP, connecting. On failure `failed` names the call.
int cn_namespace_bind(int namespace_fd, const cn_peer *local, const char *_Nullable *_Nonnull failed);
int cn_namespace_connect(int namespace_fd, const cn_peer *remote, const char *_Nullable *_Nonnull failed);
// Sets the receive buffer: SO_RCVBUFFORCE, else up to the unprivileged limit.
void cn_set_receive_buffer(int fd, int bytes);
// A datagram to send: a part of some bytes.
typedef struct {
  cn_peer peer;
  uint32_t offset;
  uint32_t length;
} cn_datagram;

// Sends without waiting; returns the number of parts sent.
int cn_send_datagrams(int fd, const uint8_t *bytes, const cn_datagram *datagrams, size_t count);
// The used part of the receive buffer (SO_MEMINFO), percent.
int cn_queue_percent(int fd);
// Makes the kernel drop datagrams of exactly these senders to the socket; none to drop none. One family, the socket's.
#define CN_SHUT_OUT_LIMIT 16
int cn_shut_out(int fd, const cn_peer *_Nullable senders, size_t count);

// Opens a non-blocking socket inside the namespace, bound to `source` unless its address is all zeros (probes.c).
// `source->port` is then its port, or the identifier of its echoes.
int cn_namespace_open_probe(int namespace_fd, cn_port *source);
// Sends one packet: starts to connect, or sends an empty datagram or an echo request.
int cn_probe_send(int fd, const cn_port *source, const cn_port *destination);

// The answer to a probe.
typedef struct {
  int error;           // 0 for an answer, else errno
  uint8_t has_address; // whether `address` is who sent an ICMP error
  uint8_t is_ipv6;
  uint8_t address[16];
} cn_answer;

// Waits for the answer: 1 with `answer` set, 0 if none came in that time.
int cn_probe_wait(int fd, const cn_port *source, int timeout_ms, cn_answer *answer);

// Bind-mounts the namespace at `path`, so that it outlives every descriptor. `directory` is made a shared mount first,
// as ip-netns(8) does, when `share` is not 0. On failure `failed` names the call.
int cn_namespace_pin(int namespace_fd, const char *path, const char *directory, int share,
                     const char *_Nullable *_Nonnull failed);
int cn_namespace_unpin(const char *path);

// 1 when the descriptor is a network namespace, 0 otherwise.
int cn_is_network_namespace(int fd);

// ---- Netlink sockets, by libmnl.

typedef struct cn_socket cn_socket;

// Opens and binds a socket of `protocol` inside the namespace: port id by the kernel, CLOEXEC, extended ACK, capped
// ACK, strict checking, and `timeout_ms` for one receive.
int cn_socket_open(int namespace_fd, int protocol, int timeout_ms, cn_socket *_Nullable *_Nonnull result);
void cn_socket_close(cn_socket *socket);
uint32_t cn_socket_port_id(const cn_socket *socket);
// The kernel's cookie of the socket's namespace, unique while the machine runs (SO_NETNS_COOKIE, Linux 5.14); else 0.
uint64_t cn_socket_namespace_cookie(const cn_socket *socket);
ssize_t cn_socket_send(const cn_socket *socket, const void *bytes, size_t count);
ssize_t cn_socket_receive(const cn_socket *socket, void *bytes, size_t capacity);
int cn_socket_join(const cn_socket *socket, int group);
// Sets buffers for large batches and event bursts: SO_SNDBUFFORCE/SO_RCVBUFFORCE, else up to the unprivileged limit.
void cn_socket_set_buffers(const cn_socket *socket, int bytes);
// The same for what has arrived: -EAGAIN at once where nothing has.
ssize_t cn_socket_take(const cn_socket *socket, void *bytes, size_t capacity);
// Waits until a datagram is there (1) or `wake_fd` is readable (0).
int cn_socket_wait(const cn_socket *socket, int wake_fd);
// Discards pending datagrams. After an overflow, a socket receives again only once its queue is empty.
int cn_socket_drain(const cn_socket *socket);

// ---- File-system sockets (unix_sockets.c), by a directory and a name in it.

// A listening socket, CLOEXEC and non-blocking, for the user alone; an existing file of the name is removed.
int cn_unix_listen(const char *directory, const char *name);
// A connected socket, CLOEXEC; connect, read and write may take timeout_ms each.
int cn_unix_connect(const char *directory, const char *name, int timeout_ms);

// ---- Descriptors and processes.

int cn_eventfd(void);
void cn_eventfd_signal(int fd);
int cn_pipe(int *_Nonnull ends);
// Runs `body` on a new detached thread named `name` (15 bytes at most), with every signal blocked.
int cn_thread_start(const char *name, void (*body)(void *_Nullable), void *_Nullable context);
// A descriptor, CLOEXEC, that is readable once a child of ours has ended; -ECHILD for no such child to wait for.
int cn_pidfd(pid_t pid);
// Waits for a child that we started: 0 with its wait status, -ETIMEDOUT after timeout_ms (negative: no limit).
int cn_wait(pid_t pid, int timeout_ms, int *status);
// Device and inode of the file behind the descriptor, which identify a namespace.
int cn_identity(int fd, uint64_t *device, uint64_t *inode);
// The file system's magic number (statfs(2)).
int64_t cn_filesystem_type(const char *path);
// Returns freed memory to the kernel (malloc_trim(3)).
void cn_memory_trim(void);

#pragma clang assume_nonnull end
#endif
