// Makes reads of one file fail, as a broken disk does: LD_PRELOAD this.
// LD_FAILING_FILE: how its path ends. LD_FAILING_ERRNO: the error. LD_FAILING_FROM: reads that reach beyond so many bytes fail.
// LD_FAILING_ONCE: a file that stands for one failure: it is removed by it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd, long long end)
{
    const char *file = getenv("LD_FAILING_FILE"), *once = getenv("LD_FAILING_ONCE");
    char link[64], path[4096];
    if (!file || end <= atoll(getenv("LD_FAILING_FROM")))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path), wanted = strlen(file);
    if (length < wanted || memcmp(path + length - wanted, file, wanted) || (once && unlink(once)))
        return 0;
    errno = atoi(getenv("LD_FAILING_ERRNO"));
    return 1;
}

ssize_t read(int fd, void *buffer, size_t count)
{
    static ssize_t (*next)(int, void *, size_t);
    if (!next)
        next = dlsym(RTLD_NEXT, "read");
    int before = errno;
    if (fails(fd, (long long)lseek64(fd, 0, SEEK_CUR) + count))
        return -1;
    errno = before;
    return next(fd, buffer, count);
}

ssize_t pread64(int fd, void *buffer, size_t count, off64_t offset)
{
    static ssize_t (*next)(int, void *, size_t, off64_t);
    if (!next)
        next = dlsym(RTLD_NEXT, "pread64");
    int before = errno;
    if (fails(fd, (long long)offset + count))
        return -1;
    errno = before;
    return next(fd, buffer, count, offset);
}

ssize_t pread(int fd, void *buffer, size_t count, off_t offset)
{
    return pread64(fd, buffer, count, offset);
}
