// Starting a program inside a namespace.
//
// posix_spawn(3) cannot tie a child to its parent, so this does the same work, and that too: a child that shares our
// memory, on a stack of its own, until it executes (clone(2), CLONE_VM | CLONE_VFORK). Nothing is copied, and the child
// reports its failure by writing to our memory. It may only call functions that neither allocate nor lock.
#define _GNU_SOURCE
#include "CContainerNetworking.h"
#include "namespace_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct start {
  const cn_program *program;
  pid_t parent;
  cn_start_failure failure; // what failed in the child, and its errno
  int error;
};

static int reset_signals(void) {
  // Every signal stays blocked, as on the namespace thread, until no handler of ours can run in the child. glibc's
  // sigaction(2) refuses the two signals that glibc reserves, and ignored ones are inherited. The kernel's own
  // structure, whatever its layout, means SIG_DFL when it is all zeros.
  const long default_action[16] = {0};
  for (int signal = 1; signal < NSIG; signal++)
    syscall(SYS_rt_sigaction, signal, default_action, NULL, NSIG / 8); // refused for SIGKILL and SIGSTOP
  sigset_t none;
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, NULL);
}

// Moves the three streams into place, in any order, and leaves the program no other descriptor.
static int set_streams(const int *streams) {
  int sources[3];
  for (int i = 0; i < 3; i++) {
    int in_the_way = streams[i] < 3 && streams[i] != i; // a stream before it would overwrite it
    sources[i] = in_the_way ? fcntl(streams[i], F_DUPFD_CLOEXEC, 3) : streams[i];
    if (sources[i] < 0) {
      errno = in_the_way ? errno : EBADF;
      return -1;
    }
  }
  for (int i = 0; i < 3; i++)
    if ((sources[i] == i ? fcntl(i, F_SETFD, 0) : dup2(sources[i], i)) < 0)
      return -1;
  // Linux 5.11. Before it, descriptors that other code of this process opened without O_CLOEXEC are inherited; ours
  // never are.
  syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
  return 0;
}

// PR_SET_PDEATHSIG watches the *thread* that started the child. Here that is the namespace thread, which lives as long
// as the process, unless it cannot return from a namespace (namespace_thread.c): then the program ends early, not late.
static int end_with_parent(pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
    return -1;
  if (getppid() == parent)
    return 0;
  errno = ESRCH; // it died before we could ask to be told
  return -1;
}

// Runs in the mount namespace made by clone(2). Its mounts are invisible outside. The machine's later mounts and
// unmounts propagate to it, so that it keeps no file system busy (as ip-netns(8) does).
static int bind_files(struct start *start) {
  const cn_program *program = start->program;
  if (program->binding_count == 0)
    return 0;
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
    return -1;
  for (size_t i = 0; i < program->binding_count; i++) {
    const cn_binding *binding = &program->bindings[i];
    if (access(binding->target, F_OK) != 0 && errno == ENOENT)
      continue;
    if (mount(binding->source, binding->target, NULL, MS_BIND, NULL) != 0) {
      start->failure.file = access(binding->source, F_OK) != 0 ? binding->source : binding->target;
      errno = start->failure.file == binding->source ? ENOENT : errno;
      return -1;
    }
  }
  return 0;
}

// A sysfs shows the network namespace in which it was mounted (net/core/net-sysfs.c). Mounts on the former one, such as
// control groups, are moved to the new one through a descriptor of the old directory, which leads beneath the new
// mount. Where mounting a sysfs is forbidden or unsupported, the former one stays.
static void mount_sysfs(const cn_program *program) {
  if (program->binding_count == 0 || program->sysfs_mounts == NULL)
    return;
  int old = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (old < 0)
    return;
  if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0) {
    for (const char *const *path = program->sysfs_mounts; *path != NULL; path++) {
      char source[PATH_MAX], target[PATH_MAX];
      char digits[12], *number = digits + sizeof digits - 1;
      *number = 0;
      for (int rest = old; number > digits && (rest > 0 || *number == 0); rest /= 10)
        *--number = (char)('0' + rest % 10);
      if (strlen(*path) > PATH_MAX - 64)
        continue;
      stpcpy(stpcpy(stpcpy(stpcpy(source, "/proc/self/fd/"), number), "/"), *path);
      stpcpy(stpcpy(target, "/sys/"), *path);
      mount(source, target, NULL, MS_BIND | MS_REC, NULL); // a place that the new one has not stays so
    }
  }
  close(old);
}

static int join(int namespace_fd, int type) {
  return namespace_fd < 0 ? 0 : setns(namespace_fd, type);
}

static const char *prepare(struct start *start) {
  const cn_program *program = start->program;
  // A mount namespace requires that the calling thread shares no file system information with this one (clone(2),
  // CLONE_FS).
  if (join(program->uts_namespace, CLONE_NEWUTS) != 0 || join(program->mount_namespace, CLONE_NEWNS) != 0)
    return "setns";
  if (bind_files(start) != 0)
    return "mount";
  mount_sysfs(program);
  if (program->hostname != NULL && sethostname(program->hostname, strlen(program->hostname)) != 0)
    return "sethostname";
  if (program->domainname != NULL && setdomainname(program->domainname, strlen(program->domainname)) != 0)
    return "setdomainname";
  if (program->ends_with_parent && end_with_parent(start->parent) != 0)
    return "prctl";
  if ((program->grouping == CN_OWN_SESSION || program->grouping == CN_OWN_TERMINAL) && setsid() < 0)
    return "setsid";
  if (program->grouping == CN_OWN_GROUP && setpgid(0, 0) != 0)
    return "setpgid";
  if (program->directory != NULL && chdir(program->directory) != 0) {
    start->failure.file = program->directory;
    return "chdir";
  }
  if (set_streams(program->streams) != 0)
    return "dup2";
  if (program->grouping == CN_OWN_TERMINAL && ioctl(0, TIOCSCTTY, 0) != 0)
    return "ioctl";
  return reset_signals() != 0 ? "sigprocmask" : NULL;
}

static int run_child(void *argument) {
  struct start *start = argument;
  const cn_program *program = start->program;
  start->failure.call = prepare(start);
  if (start->failure.call == NULL) {
    execvpe(program->path, program->argv, program->environment ? program->environment : environ);
    start->failure.call = "execve";
  }
  start->error = errno;
  _exit(127);
}

static int start_program(struct namespace_job *job) {
  struct start *start = job->argument;
  // execvpe builds a path, and the arguments of sh for a script without #!, on the stack, which also has the mounts'
  // paths.
  size_t count = 0;
  while (start->program->argv[count] != NULL)
    count++;
  size_t size = (96 << 10) + (count + 2) * sizeof(char *);
  size = (size + 4095) & ~(size_t)4095;
  char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) {
    start->failure.call = "mmap";
    return -errno;
  }
  start->parent = getpid();
  // CLONE_VFORK: this waits until the child has executed or ended, so the stack and `start` are ours again.
  int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
  if (start->program->binding_count > 0)
    flags |= CLONE_NEWNS;
  if (start->program->hostname != NULL || start->program->domainname != NULL)
    flags |= CLONE_NEWUTS;
  pid_t pid = clone(run_child, stack + size, flags, start);
  int error = errno;
  munmap(stack, size);
  if (pid < 0) {
    start->failure.call = "clone";
    return -error;
  }
  if (start->error == 0)
    return pid;
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
    ;
  return -start->error;
}

int cn_namespace_spawn(int namespace_fd, const cn_program *program, cn_start_failure *failure) {
  struct start start = {.program = program};
  struct namespace_job job = {.namespace_fd = namespace_fd, .body = start_program, .argument = &start};
  int result = namespace_thread_run(&job);
  *failure = start.failure;
  if (failure->call == NULL)
    failure->call = "setns";
  return result;
}
