/* Loaded in front of libc: makes fsync fail, or never return, for files whose path holds a given text.
 *
 * The file FSYNC_FAULT names says what happens, as one line: "fail TEXT" or "stall TEXT". A stalled call
 * first creates "<FSYNC_FAULT>.reached". Without the file every call goes through. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_faulty(int fd) {
    char name[64], path[4096], plan[4096];
    const char *control = getenv("FSYNC_FAULT");
    if (!control) return 0;
    int file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = read(file, plan, sizeof plan - 1);
    close(file);
    if (length <= 0) return 0;
    plan[length] = 0;
    plan[strcspn(plan, "\n")] = 0;
    char *text = strchr(plan, ' ');
    if (!text) return 0;
    *text++ = 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    length = readlink(name, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    if (!strstr(path, text)) return 0;
    if (strcmp(plan, "stall") == 0) {
        snprintf(path, sizeof path, "%s.reached", control);
        close(open(path, O_CREAT | O_WRONLY, 0644));
        for (;;) pause();
    }
    return 1;
}

int fsync(int fd) {
    if (is_faulty(fd)) return errno = EIO, -1;
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    if (is_faulty(fd)) return errno = EIO, -1;
    return (int)syscall(SYS_fdatasync, fd);
}
