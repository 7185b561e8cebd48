/* Fails the n-th system call of a program, or ends the program there.
 *
 *   cc -shared -fPIC -O1 -o faults.so faults.c -ldl
 *   LD_PRELOAD=./faults.so FAULTS=enospc:3 FAULTS_UNDER=$PWD FAULTS_LOG=met pentimento restore ...
 *
 * FAULTS        KIND:N fails the N-th place of this kind once. KIND+:N fails all places from there on,
 *               as a full disk does.
 * FAULTS_UNDER  A folder. Calls count when their file is below it, or has a relative path.
 * FAULTS_LOG    A file that gets a line when a place was met: the call, and its file.
 * FAULTS_LATER  Where it is set, calls count once the program has called faults_begin, if it can find it.
 *
 * Linux with glibc. The library stands between the program and its C library, so it needs no change of
 * the program. Calls that a program makes without the C library are not seen. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* What a call does. */
enum { OPEN = 1, CREATE = 2, READ = 4, WRITE = 8, SYNC = 16, NAME = 32, STAT = 64, LIST = 128, MAP = 256,
       MEMORY = 512, THREAD = 1024, REMOVE = 2048 };
#define CHANGES (CREATE | WRITE | SYNC | NAME | REMOVE)

enum action { FAIL, SHORT, KILL, POWER };

static const struct kind {
    const char *name;
    int calls, error;
    enum action action;
} KINDS[] = {
    /* A full disk still removes files. */
    {"enospc", CREATE | WRITE | SYNC | NAME, ENOSPC, FAIL},
    {"eio", OPEN | CREATE | READ | WRITE | SYNC | NAME | REMOVE | STAT | LIST | MAP, EIO, FAIL},
    {"eintr", OPEN | CREATE | READ | WRITE | SYNC, EINTR, FAIL},
    {"emfile", OPEN | CREATE | LIST, EMFILE, FAIL},
    {"eacces", OPEN | CREATE | NAME | REMOVE | STAT | LIST, EACCES, FAIL},
    {"short", READ | WRITE, 0, SHORT},
    /* Sudden death of the program, and of the machine: what was not synced is gone. */
    {"kill", CHANGES, 0, KILL},
    {"power", CHANGES, 0, POWER},
    /* Allocations of 64 kB and more. */
    {"memory", MEMORY, ENOMEM, FAIL},
    {"thread", THREAD, EAGAIN, FAIL},
};

#define LARGE 65536
#define FILES 4096

static const struct kind *plan;
static long place;
static int stays;
static atomic_int begun;
static char under[4096], log_path[4096];
static atomic_long met;
static atomic_char inside[FILES];

/* Files that were written: a second handle, and how much of it is safe from a loss of power. */
static struct { int handle, of; off_t synced; } written[FILES];
static int writes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("FAULTS"), *folder = getenv("FAULTS_UNDER"), *log = getenv("FAULTS_LOG");
    if (!text) return;
    begun = !getenv("FAULTS_LATER");
    snprintf(under, sizeof under, "%s", folder ? folder : "");
    snprintf(log_path, sizeof log_path, "%s", log ? log : "");
    size_t end = strlen(under);
    if (end > 1 && under[end - 1] == '/') under[end - 1] = 0;
    size_t len = strcspn(text, "+:");
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (strlen(KINDS[i].name) == len && !strncmp(KINDS[i].name, text, len)) {
            const char *rest = text + len;
            stays = *rest == '+';
            place = atol(rest + stays + 1);
            plan = &KINDS[i];
        }
    if (!plan || place < 1) {
        fprintf(stderr, "faults: FAULTS=%s names no kind and place\n", text);
        _exit(99);
    }
}

/* What comes before, such as the start of an interpreter, is not the library's. */
EXPORT void faults_begin(void) { begun = 1; }

/* Raw, so that nothing here counts. */
static void note(const char *call, const char *file) {
    char line[4200];
    int len = snprintf(line, sizeof line, "%s %s\n", call, file);
    int to = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (to >= 0) {
        syscall(SYS_write, to, line, (size_t)len);
        syscall(SYS_close, to);
    }
}

/* Keeps the lock, at which a thread waits whose sync comes too late. */
static void drop_unsynced(void) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < writes; i++) syscall(SYS_ftruncate, written[i].handle, written[i].synced);
}

/* Whether this call fails. */
static int fails(int call, const char *name, const char *file) {
    if (!plan || !begun || !(plan->calls & call)) return 0;
    long now = atomic_fetch_add(&met, 1) + 1;
    if (now != place && !(stays && now > place)) return 0;
    if (now == place) note(name, file ? file : "");
    if (plan->action == POWER) drop_unsynced();
    if (plan->action == POWER || plan->action == KILL) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = plan->error;
    return 1;
}

static int counts(int folder, const char *path) {
    if (!path || !*under) return 0;
    if (path[0] != '/') return folder == AT_FDCWD || (folder >= 0 && folder < FILES && inside[folder]);
    size_t len = strlen(under);
    return !strncmp(path, under, len) && (path[len] == '/' || path[len] == 0);
}

static int is_inside(int file) { return file >= 0 && file < FILES && inside[file]; }

#define REAL(type, name, ...)                                                                            \
    static type (*real)(__VA_ARGS__);                                                                    \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static int opened(int folder, const char *path, int flags, mode_t mode, const char *name) {
    int changes = flags & (O_CREAT | O_TRUNC) || (flags & O_ACCMODE) != O_RDONLY;
    int here = counts(folder, path);
    if (here && fails(changes ? CREATE : OPEN, name, path)) return -1;
    int file = syscall(SYS_openat, folder, path, flags | O_LARGEFILE, mode);
    if (file < 0 || file >= FILES) return file;
    inside[file] = here;
    if (here && changes && plan && plan->action == POWER) {
        pthread_mutex_lock(&lock);
        if (writes < FILES) {
            written[writes].handle = syscall(SYS_fcntl, file, F_DUPFD_CLOEXEC, 3000);
            written[writes].of = file;
            written[writes].synced = flags & O_TRUNC ? 0 : lseek(file, 0, SEEK_END);
            if (!(flags & O_APPEND)) lseek(file, 0, SEEK_SET);
            writes++;
        }
        pthread_mutex_unlock(&lock);
    }
    return file;
}

#define MODE                                                                                             \
    mode_t mode = 0;                                                                                     \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                 \
        va_list all;                                                                                     \
        va_start(all, flags);                                                                            \
        mode = va_arg(all, mode_t);                                                                      \
        va_end(all);                                                                                     \
    }

EXPORT int open(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode, "open"); }
EXPORT int open64(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode, "open"); }
EXPORT int openat(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode, "open"); }
EXPORT int openat64(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode, "open"); }

EXPORT int close(int file) {
    if (file >= 0 && file < FILES) inside[file] = 0;
    return syscall(SYS_close, file);
}

/* A second handle of a file counts as the first. */
static int controlled(int file, int what, void *with) {
    int result = syscall(SYS_fcntl, file, what, with);
    if ((what == F_DUPFD || what == F_DUPFD_CLOEXEC) && result >= 0 && result < FILES)
        inside[result] = is_inside(file);
    return result;
}
#define CONTROL                                                                                          \
    va_list all;                                                                                         \
    va_start(all, what);                                                                                 \
    void *with = va_arg(all, void *);                                                                    \
    va_end(all);                                                                                         \
    return controlled(file, what, with)
EXPORT int fcntl(int file, int what, ...) { CONTROL; }
EXPORT int fcntl64(int file, int what, ...) { CONTROL; }

static size_t half(size_t bytes) { return bytes > 1 ? bytes / 2 : bytes; }

EXPORT ssize_t read(int file, void *to, size_t bytes) {
    if (is_inside(file) && fails(READ, "read", "")) {
        if (plan->action != SHORT) return -1;
        bytes = half(bytes);
    }
    return syscall(SYS_read, file, to, bytes);
}

static ssize_t positioned(int file, void *to, size_t bytes, off_t at) {
    if (is_inside(file) && fails(READ, "pread", "")) {
        if (plan->action != SHORT) return -1;
        bytes = half(bytes);
    }
    return syscall(SYS_pread64, file, to, bytes, at);
}
EXPORT ssize_t pread(int file, void *to, size_t bytes, off_t at) { return positioned(file, to, bytes, at); }
EXPORT ssize_t pread64(int file, void *to, size_t bytes, off_t at) { return positioned(file, to, bytes, at); }

EXPORT ssize_t readv(int file, const struct iovec *to, int count) {
    if (is_inside(file) && fails(READ, "readv", "")) {
        if (plan->action != SHORT) return -1;
        count = count > 1 ? 1 : count;
    }
    return syscall(SYS_readv, file, to, count);
}

EXPORT ssize_t write(int file, const void *from, size_t bytes) {
    if (is_inside(file) && fails(WRITE, "write", "")) {
        if (plan->action != SHORT) return -1;
        bytes = half(bytes);
    }
    return syscall(SYS_write, file, from, bytes);
}

EXPORT ssize_t writev(int file, const struct iovec *from, int count) {
    if (is_inside(file) && fails(WRITE, "writev", "")) {
        if (plan->action != SHORT) return -1;
        count = count > 1 ? 1 : count;
    }
    return syscall(SYS_writev, file, from, count);
}

/* Programs may fall back on read and write, which are asked then. */
EXPORT ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *there, size_t bytes, unsigned flags) {
    if ((is_inside(from) || is_inside(to)) && fails(WRITE, "copy_file_range", "")) {
        if (plan->action != SHORT) return -1;
        bytes = half(bytes);
    }
    return syscall(SYS_copy_file_range, from, at, to, there, bytes, flags);
}

static int synced(int file, int call) {
    if (is_inside(file) && fails(SYNC, "sync", "")) return -1;
    int result = syscall(call, file);
    if (result == 0 && plan && plan->action == POWER) {
        struct stat now;
        pthread_mutex_lock(&lock);
        for (int i = writes - 1; i >= 0; i--)
            if (written[i].of == file) {
                if (syscall(SYS_fstat, file, &now) == 0) written[i].synced = now.st_size;
                break;
            }
        pthread_mutex_unlock(&lock);
    }
    return result;
}
EXPORT int fsync(int file) { return synced(file, SYS_fsync); }
EXPORT int fdatasync(int file) { return synced(file, SYS_fdatasync); }

EXPORT int ftruncate64(int file, off64_t bytes) {
    if (is_inside(file) && fails(WRITE, "truncate", "")) return -1;
    return syscall(SYS_ftruncate, file, bytes);
}

EXPORT int rename(const char *from, const char *to) {
    if (counts(AT_FDCWD, to) && fails(NAME, "rename", to)) return -1;
    return syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}
EXPORT int link(const char *from, const char *to) {
    if (counts(AT_FDCWD, to) && fails(NAME, "link", to)) return -1;
    return syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}
EXPORT int linkat(int at, const char *from, int there, const char *to, int flags) {
    if (counts(there, to) && fails(NAME, "link", to)) return -1;
    return syscall(SYS_linkat, at, from, there, to, flags);
}
EXPORT int unlink(const char *path) {
    if (counts(AT_FDCWD, path) && fails(REMOVE, "unlink", path)) return -1;
    return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
EXPORT int mkdir(const char *path, mode_t mode) {
    if (counts(AT_FDCWD, path) && fails(NAME, "mkdir", path)) return -1;
    return syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

EXPORT int statx(int at, const char *path, int flags, unsigned mask, struct statx *to) {
    /* Rust's library asks with a null pointer whether there is this call. */
    const char *volatile asked = path;
    int here = asked && *asked ? counts(at, asked) : asked && is_inside(at);
    if (here && fails(STAT, "stat", asked)) return -1;
    return syscall(SYS_statx, at, path, flags, mask, to);
}
EXPORT char *realpath(const char *path, char *to) {
    if (counts(AT_FDCWD, path) && fails(STAT, "realpath", path)) return NULL;
    REAL(char *, realpath, const char *, char *);
    return real(path, to);
}
EXPORT DIR *opendir(const char *path) {
    if (counts(AT_FDCWD, path) && fails(LIST, "opendir", path)) return NULL;
    REAL(DIR *, opendir, const char *);
    return real(path);
}

/* Maps of files, and memory that a program asks of the system itself. */
static void *mapped(void *at, size_t bytes, int protect, int flags, int file, off_t from) {
    int memory = flags & MAP_ANONYMOUS;
    int fault = memory ? bytes >= LARGE && fails(MEMORY, "mmap", "") : is_inside(file) && fails(MAP, "mmap", "");
    return fault ? MAP_FAILED : (void *)syscall(SYS_mmap, at, bytes, protect, flags, file, from);
}
EXPORT void *mmap(void *at, size_t bytes, int protect, int flags, int file, off_t from) {
    return mapped(at, bytes, protect, flags, file, from);
}
EXPORT void *mmap64(void *at, size_t bytes, int protect, int flags, int file, off64_t from) {
    return mapped(at, bytes, protect, flags, file, from);
}

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static int no_memory(const char *call, size_t bytes) {
    return bytes >= LARGE && plan && plan->calls == MEMORY && fails(MEMORY, call, "");
}
EXPORT void *malloc(size_t bytes) { return no_memory("malloc", bytes) ? NULL : __libc_malloc(bytes); }
EXPORT void *calloc(size_t count, size_t bytes) {
    size_t all;
    int far = __builtin_mul_overflow(count, bytes, &all);
    return !far && no_memory("calloc", all) ? NULL : __libc_calloc(count, bytes);
}
EXPORT void *realloc(void *old, size_t bytes) {
    return no_memory("realloc", bytes) ? NULL : __libc_realloc(old, bytes);
}
EXPORT int posix_memalign(void **to, size_t align, size_t bytes) {
    if (no_memory("memalign", bytes)) return ENOMEM;
    *to = __libc_memalign(align, bytes);
    return *to ? 0 : ENOMEM;
}

EXPORT int pthread_create(pthread_t *to, const pthread_attr_t *how, void *(*what)(void *), void *with) {
    if (fails(THREAD, "thread", "")) return EAGAIN;
    REAL(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    return real(to, how, what, with);
}
