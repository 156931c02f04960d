// The namespace thread: one C thread that joins a namespace, does one thing there, and goes back home.
//
// A Swift thread must never do this. New threads inherit the namespace of the thread that starts them, so one `await`
// in the wrong place would spread a foreign namespace over the process. This thread starts no threads, and it ends,
// rather than serve on, if it cannot go home.
#define _GNU_SOURCE
#include "CContainerNetworking.h"
#include "namespace_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER; // one job at a time
static pthread_mutex_t state_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t state_changed = PTHREAD_COND_INITIALIZER;
static struct namespace_job *current;
static int thread_alive;
static pid_t thread_process; // a fork has the flag but not the thread

// setns(2) requires CAP_SYS_ADMIN even where it changes nothing; reading one's own namespace requires none.
static int is_same_file(int first, int second) {
  struct stat a, b;
  return second >= 0 && fstat(first, &a) == 0 && fstat(second, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void *serve(void *unused) {
  (void)unused;
  int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  int home_error = errno;
  int stay = home >= 0;
  pthread_mutex_lock(&state_lock);
  do {
    while (current == NULL)
      pthread_cond_wait(&state_changed, &state_lock);
    struct namespace_job *job = current;
    pthread_mutex_unlock(&state_lock);

    if (home < 0)
      job->result = -home_error;
    else if (is_same_file(home, job->namespace_fd))
      job->result = job->body(job);
    else if (job->namespace_fd >= 0 && setns(job->namespace_fd, CLONE_NEWNET) != 0)
      job->result = -errno;
    else {
      job->result = job->body(job);
      stay = setns(home, CLONE_NEWNET) == 0;
    }

    pthread_mutex_lock(&state_lock);
    if (!stay)
      thread_alive = 0;
    current = NULL;
    job->done = 1;
    pthread_cond_broadcast(&state_changed);
  } while (stay);
  pthread_mutex_unlock(&state_lock);
  if (home >= 0)
    close(home);
  return NULL;
}

int start_thread(void *(*body)(void *), void *context, pthread_t *thread) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(thread, NULL, body, context);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return -error;
}

// Two checks, 2 us; a visit takes two switches of threads, 10 to 50 us.
static int is_here(int namespace_fd) {
  struct stat here, there;
  return namespace_fd >= 0 && stat("/proc/thread-self/ns/net", &here) == 0 && fstat(namespace_fd, &there) == 0 &&
         here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

int namespace_thread_run(struct namespace_job *job) {
  if (job->any_thread && is_here(job->namespace_fd))
    return job->body(job);
  job->done = 0;
  pthread_mutex_lock(&queue_lock);
  pthread_mutex_lock(&state_lock);
  int error = 0;
  if (!thread_alive || thread_process != getpid()) {
    pthread_t thread;
    error = start_thread(serve, NULL, &thread);
    if (error == 0) {
      pthread_detach(thread);
      thread_alive = 1;
      thread_process = getpid();
    }
  }
  if (error == 0) {
    current = job;
    pthread_cond_broadcast(&state_changed);
    while (!job->done)
      pthread_cond_wait(&state_changed, &state_lock);
  }
  pthread_mutex_unlock(&state_lock);
  pthread_mutex_unlock(&queue_lock);
  return error != 0 ? error : job->result;
}

struct closure {
  int namespace_fd;
  int result;
  void (*body)(void *);
  void *context;
};

static void *run_closure(void *argument) {
  struct closure *closure = argument;
  if (setns(closure->namespace_fd, CLONE_NEWNET) != 0)
    closure->result = -errno;
  else
    closure->body(closure->context);
  return NULL; // the thread ends here, and its namespace with it
}

int cn_namespace_run(int namespace_fd, void (*body)(void *), void *context) {
  struct closure closure = {namespace_fd, 0, body, context};
  pthread_t thread;
  int error = start_thread(run_closure, &closure, &thread);
  if (error != 0)
    return error;
  pthread_join(thread, NULL);
  return closure.result;
}
