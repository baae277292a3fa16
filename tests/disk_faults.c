// tests/disk_faults.c: a disk that is slow, hangs or fails, for one process. Built and preloaded
// by tests/_disk.py, which steers it while the process runs: DISK_FAULTS_CONTROL names a file that
// both map, DISK_FAULTS_UNDER the directory whose files are meant. Delays meet every file there,
// errors only the journal's.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// As tests/_disk.py packs it.
struct Fault {
    uint32_t delay_ms;
    uint32_t error;  // errno
};
struct Control {
    struct Fault sync, write;
    uint32_t delays, errors;  // that were met
};
enum { kSliceMs = 5 };

static struct Control none;
static struct Control* control = &none;  // as long as nobody steers
static const char* under;

__attribute__((constructor)) static void begin(void) {
    const char* path = getenv("DISK_FAULTS_CONTROL");
    under = getenv("DISK_FAULTS_UNDER");
    const int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (!under || fd < 0) return;
    void* mapped = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED) control = mapped;
}

static uint32_t get(const uint32_t* field) { return __atomic_load_n(field, __ATOMIC_RELAXED); }

static int path_of(int fd, char* path, size_t bytes) {
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, bytes - 1);
    if (length < 0) return 0;
    path[length] = '\0';
    return strncmp(path, under, strlen(under)) == 0;
}

// Healing ends a delay that is under way. Answers the errno to fail with, 0: none.
static int meet(int fd, const struct Fault* fault) {
    char path[4096];
    if (!get(&fault->delay_ms) && !get(&fault->error)) return 0;
    const int saved = errno;
    if (!path_of(fd, path, sizeof(path))) {
        errno = saved;
        return 0;
    }
    if (get(&fault->delay_ms)) __atomic_fetch_add(&control->delays, 1, __ATOMIC_RELAXED);
    for (uint32_t waited = 0; waited < get(&fault->delay_ms); waited += kSliceMs) {
        const struct timespec slice = {0, kSliceMs * 1000000L};
        nanosleep(&slice, NULL);
    }
    errno = saved;
    if (!get(&fault->error) || !strstr(path, "/journal")) return 0;
    __atomic_fetch_add(&control->errors, 1, __ATOMIC_RELAXED);
    return (int)get(&fault->error);
}

// What the program would have called.
#define REAL(name)                 \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define SYNC(name)                                  \
    int name(int fd) {                              \
        REAL(name);                                 \
        const int error = meet(fd, &control->sync); \
        if (!error) return real(fd);                \
        errno = error;                              \
        return -1;                                  \
    }
#define WRITE(result, name, parameters, arguments)   \
    result name parameters {                         \
        REAL(name);                                  \
        const int error = meet(fd, &control->write); \
        if (!error) return real arguments;           \
        errno = error;                               \
        return -1;                                   \
    }

SYNC(fdatasync)
SYNC(fsync)
WRITE(ssize_t, pwrite, (int fd, const void* data, size_t bytes, off_t at), (fd, data, bytes, at))
WRITE(ssize_t, pwrite64, (int fd, const void* data, size_t bytes, off64_t at),
      (fd, data, bytes, at))
WRITE(ssize_t, pwritev, (int fd, const struct iovec* data, int count, off_t at),
      (fd, data, count, at))
WRITE(ssize_t, pwritev64, (int fd, const struct iovec* data, int count, off64_t at),
      (fd, data, count, at))
WRITE(int, fallocate, (int fd, int mode, off_t at, off_t bytes), (fd, mode, at, bytes))
WRITE(int, fallocate64, (int fd, int mode, off64_t at, off64_t bytes), (fd, mode, at, bytes))
