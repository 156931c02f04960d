// Descriptors, threads and child processes.
#define _GNU_SOURCE
#include "CContainerNetworking.h"
#include "namespace_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int cn_eventfd(void) {
  int fd = eventfd(0, EFD_CLOEXEC);
  return fd >= 0 ? fd : -errno;
}

int cn_pipe(int *ends) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : -errno; }

int cn_pidfd(pid_t pid) {
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  // As waitpid(2): no such child to wait for.
  return fd >= 0 ? fd : errno == ESRCH ? -ECHILD : -errno;
}

// A pidfd becomes readable when the process ends; unlike SIGALRM or a polling loop it has no side effects.
static int wait_until_ended(pid_t pid, int timeout_ms) {
  int fd = cn_pidfd(pid);
  if (fd < 0)
    return fd;
  struct pollfd ended = {fd, POLLIN, 0};
  int ready;
  do
    ready = poll(&ended, 1, timeout_ms);
  while (ready < 0 && errno == EINTR);
  int error = ready < 0 ? -errno : ready == 0 ? -ETIMEDOUT : 0;
  close(fd);
  return error;
}

int cn_wait(pid_t pid, int timeout_ms, int *status) {
  if (timeout_ms >= 0) {
    int error = wait_until_ended(pid, timeout_ms);
    if (error < 0)
      return error;
  }
  while (waitpid(pid, status, 0) < 0)
    if (errno != EINTR)
      return -errno;
  return 0;
}

void cn_eventfd_signal(int fd) { eventfd_write(fd, 1); } // fails only when the counter is full: signalled already

struct thread_body {
  void (*body)(void *);
  void *context;
};

static void *run_thread(void *argument) {
  struct thread_body started = *(struct thread_body *)argument;
  free(argument);
  started.body(started.context);
  return NULL;
}

int cn_thread_start(const char *name, void (*body)(void *), void *context) {
  struct thread_body *started = malloc(sizeof *started);
  if (started == NULL)
    return -ENOMEM;
  *started = (struct thread_body){body, context};
  pthread_t thread;
  int error = start_thread(run_thread, started, &thread);
  if (error != 0) {
    free(started);
    return error;
  }
  pthread_setname_np(thread, name); // fails for a name that is too long, and for nothing else
  pthread_detach(thread);
  return 0;
}
