#ifndef SOCKET_ADDRESS_H
#define SOCKET_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

union socket_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

// Fills in an address of 4 or 16 bytes in network order, a port in the machine's, and the link that a link-local address is
// on. Returns its size.
static inline socklen_t fill_address(union socket_address *address, int is_ipv6, const uint8_t *bytes, uint16_t port,
                                     uint32_t link) {
  memset(address, 0, sizeof *address);
  if (is_ipv6) {
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(port);
    address->v6.sin6_scope_id = link;
    memcpy(&address->v6.sin6_addr, bytes, sizeof address->v6.sin6_addr);
    return sizeof address->v6;
  }
  address->v4.sin_family = AF_INET;
  address->v4.sin_port = htons(port);
  memcpy(&address->v4.sin_addr, bytes, sizeof address->v4.sin_addr);
  return sizeof address->v4;
}

#endif
