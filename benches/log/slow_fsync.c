/* Loaded before libc (LD_PRELOAD): every fsync and fdatasync takes SLOW_FSYNC_MICROS longer, as on a slower volume. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_first(void) {
  const char *micros = getenv("SLOW_FSYNC_MICROS");
  long nanos = (micros ? atol(micros) : 1000) * 1000;
  struct timespec pause = {nanos / 1000000000, nanos % 1000000000};
  nanosleep(&pause, NULL);
}

int fsync(int file) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_first();
  return real(file);
}

int fdatasync(int file) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_first();
  return real(file);
}
