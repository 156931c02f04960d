#ifndef NAMESPACE_THREAD_H
#define NAMESPACE_THREAD_H

#include <pthread.h>

// One thing to do inside a namespace. `body` returns >= 0 or -errno.
struct namespace_job {
  int namespace_fd; // -1: the process's own
  int (*body)(struct namespace_job *job);
  void *argument;
  int any_thread; // whether a thread that is in the namespace already may do it
  int result;
  int done;
};

// Runs the job on the namespace thread and waits for it.
int namespace_thread_run(struct namespace_job *job);

// Starts a thread with every signal blocked: one that is meant for the program must not land there.
int start_thread(void *(*body)(void *), void *context, pthread_t *thread);

#endif
