// Work inside a namespace: creating one, opening its files; and pinning it to a path.
#define _GNU_SOURCE
#include "CContainerNetworking.h"
#include "namespace_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static int create(struct namespace_job *job) {
  (void)job;
  if (unshare(CLONE_NEWNET) != 0)
    return -errno;
  int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  return fd >= 0 ? fd : -errno;
}

int cn_namespace_create(void) {
  struct namespace_job job = {.namespace_fd = -1, .body = create};
  return namespace_thread_run(&job);
}

struct file_request {
  const char *path;
  int flags;
};

static int open_file(struct namespace_job *job) {
  struct file_request *request = job->argument;
  int fd = open(request->path, request->flags | O_CLOEXEC);
  return fd >= 0 ? fd : -errno;
}

int cn_namespace_open_file(int namespace_fd, const char *path, int flags) {
  struct file_request request = {path, flags};
  struct namespace_job job = {
      .namespace_fd = namespace_fd, .body = open_file, .argument = &request, .any_thread = 1};
  return namespace_thread_run(&job);
}

// A bind mount on itself, shared, so that a pin made here is visible in every mount namespace (as ip-netns(8) does).
static int share_directory(const char *directory) {
  if (mount("", directory, "none", MS_SHARED | MS_REC, NULL) == 0)
    return 0;
  if (errno != EINVAL)
    return -errno;
  if (mount(directory, directory, "none", MS_BIND | MS_REC, NULL) != 0)
    return -errno;
  return mount("", directory, "none", MS_SHARED | MS_REC, NULL) == 0 ? 0 : -errno;
}

int cn_namespace_pin(int namespace_fd, const char *path, const char *directory, int share, const char **failed) {
  if (share) {
    *failed = "mkdir";
    if (mkdir(directory, 0755) != 0 && errno != EEXIST)
      return -errno;
    *failed = "mount";
    int shared = share_directory(directory);
    if (shared < 0)
      return shared;
  }
  *failed = "open";
  int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
  if (file < 0)
    return -errno;
  close(file);
  char source[64];
  snprintf(source, sizeof source, "/proc/self/fd/%d", namespace_fd);
  *failed = "mount";
  if (mount(source, path, "none", MS_BIND, NULL) != 0) {
    int error = -errno;
    unlink(path);
    return error;
  }
  return 0;
}

int cn_namespace_unpin(const char *path) {
  // EINVAL: not a mount point, as after a crash between the file and the mount.
  if (umount2(path, MNT_DETACH) != 0 && errno != EINVAL)
    return -errno;
  return unlink(path) == 0 ? 0 : -errno;
}

int cn_is_network_namespace(int fd) {
  return ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

int cn_identity(int fd, uint64_t *device, uint64_t *inode) {
  struct stat status;
  if (fstat(fd, &status) != 0)
    return -errno;
  *device = status.st_dev;
  *inode = status.st_ino;
  return 0;
}

int64_t cn_filesystem_type(const char *path) {
  struct statfs status;
  return statfs(path, &status) == 0 ? (int64_t)status.f_type : -errno;
}
