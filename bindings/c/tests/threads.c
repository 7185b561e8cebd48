/* Two threads with a restorer each: threads MODEL ATTEMPTS
 * An attempt opens the model, restores three pictures in each thread and frees everything. Prints what
 * failed in it, and then begins another one, or a number that stands for all results. */
#include <pentimento.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 32, BYTES = SIDE * SIDE * 3, PICTURES = 3 };

struct work {
  pentimento_engine engine;
  pentimento_model model;
  unsigned seed;
  pentimento_status status;
  unsigned long long sum;
  char message[512];
};

static int failed(struct work *work, pentimento_status status) {
  if (status == PENTIMENTO_STATUS_OK) return 0;
  work->status = status;
  snprintf(work->message, sizeof work->message, "%s", pentimento_last_error());
  return 1;
}

static void *restore(void *argument) {
  static const unsigned long long PRIME = 1099511628211ULL;
  struct work *work = argument;
  pentimento_restorer restorer;
  unsigned char pixels[BYTES], result[BYTES];
  pentimento_image input, output;
  unsigned i, picture;
  if (failed(work, pentimento_restorer_new(work->engine, work->model, NULL, &restorer))) return NULL;
  memset(&input, 0, sizeof input);
  input.data = pixels;
  input.size = BYTES;
  input.width = input.height = SIDE;
  input.format = PENTIMENTO_PIXEL_FORMAT_RGB8;
  output = input;
  output.data = result;
  for (picture = 0; picture < PICTURES; picture++) {
    for (i = 0; i < BYTES; i++) pixels[i] = (unsigned char)((i * 7 + work->seed + picture) % 256);
    if (failed(work, pentimento_restore(restorer, &input, &output))) break;
    for (i = 0; i < BYTES; i++) work->sum = (work->sum ^ result[i]) * PRIME;
  }
  pentimento_restorer_free(restorer);
  return NULL;
}

/* Whether all of it succeeded. */
static int attempt(const char *path, unsigned long long *sum) {
  struct work work[2];
  pthread_t threads[2];
  int started[2], i, good = 1;
  pentimento_engine_options options;
  memset(&options, 0, sizeof options);
  options.device = "cpu";
  memset(work, 0, sizeof work);
  if (failed(work, pentimento_model_open(path, &work[0].model))) goto end;
  if (failed(work, pentimento_engine_new(&options, &work[0].engine))) goto end;
  work[1].model = work[0].model;
  work[1].engine = work[0].engine;
  for (i = 0; i < 2; i++) {
    work[i].seed = (unsigned)(i + 1) * 10;
    started[i] = pthread_create(&threads[i], NULL, restore, &work[i]) == 0;
    /* The program's own thread is none of the library's. */
    if (!started[i]) restore(&work[i]);
  }
  for (i = 0; i < 2; i++)
    if (started[i]) pthread_join(threads[i], NULL);
  *sum = work[0].sum ^ (work[1].sum << 1);
end:
  for (i = 0; i < 2; i++) {
    if (work[i].status == PENTIMENTO_STATUS_OK) continue;
    printf("status %d: %s\n", (int)work[i].status, work[i].message);
    good = 0;
  }
  if (work[0].engine) pentimento_engine_free(work[0].engine);
  if (work[0].model) pentimento_model_free(work[0].model);
  return good;
}

int main(int count, char **arguments) {
  int attempts, good = 0;
  unsigned long long sum;
  if (count < 3) return 2;
  for (attempts = atoi(arguments[2]); attempts > 0 && !good; attempts--) {
    sum = 0;
    good = attempt(arguments[1], &sum);
    if (good) printf("results %llx\n", sum);
    fflush(stdout);
  }
  return good ? 0 : 1;
}
