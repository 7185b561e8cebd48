/* A device is lost in the middle of a program: lost MODEL [DEVICE]
 * Prints the status of the call that met it and what restores now; then everything else must work. */
#include <pentimento.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 32, BYTES = SIDE * SIDE * 3 };

static char said[4096];

static void log_line(void *user, uint32_t level, const char *text) {
  (void)user;
  if (level == PENTIMENTO_LOG_LEVEL_WARN && strstr(text, "the CPU")) {
    strncat(said, text, sizeof said - strlen(said) - 1);
  }
}

static void must(pentimento_status status, const char *what) {
  if (status == PENTIMENTO_STATUS_OK) return;
  printf("%s: status %d: %s\n", what, (int)status, pentimento_last_error());
  exit(1);
}

static pentimento_status restore(pentimento_restorer restorer, unsigned char *result) {
  unsigned char pixels[BYTES];
  pentimento_image input, output;
  int i;
  for (i = 0; i < BYTES; i++) pixels[i] = (unsigned char)(i * 7 % 256);
  memset(&input, 0, sizeof input);
  input.data = pixels;
  input.size = BYTES;
  input.width = input.height = SIDE;
  input.format = PENTIMENTO_PIXEL_FORMAT_RGB8;
  output = input;
  output.data = result;
  return pentimento_restore(restorer, &input, &output);
}

/* Largest difference of two results. */
static int difference(const unsigned char *a, const unsigned char *b) {
  int i, largest = 0;
  for (i = 0; i < BYTES; i++) {
    int now = abs((int)a[i] - (int)b[i]);
    if (now > largest) largest = now;
  }
  return largest;
}

int main(int count, char **arguments) {
  static unsigned char expected[BYTES], result[BYTES];
  pentimento_engine cpu, engine;
  pentimento_model model;
  pentimento_restorer other, restorer;
  pentimento_engine_options options;
  pentimento_status status;
  char name[256];
  if (count < 2) return 2;
  must(pentimento_set_log(log_line, NULL, PENTIMENTO_LOG_LEVEL_WARN), "the log");
  must(pentimento_model_open(arguments[1], &model), "the model");
  memset(&options, 0, sizeof options);
  options.device = "cpu";
  must(pentimento_engine_new(&options, &cpu), "the CPU");
  must(pentimento_restorer_new(cpu, model, NULL, &other), "a restorer on the CPU");
  must(restore(other, expected), "the CPU's result");

  options.device = count > 2 ? arguments[2] : NULL;
  status = pentimento_engine_new(&options, &engine);
  if (status == PENTIMENTO_STATUS_OK) status = pentimento_restorer_new(engine, model, NULL, &restorer);
  if (status == PENTIMENTO_STATUS_OK) {
    status = restore(restorer, result);
    must(pentimento_restorer_device(restorer, name, sizeof name), "the device's name");
    printf("%s\n", name);
  }
  if (status == PENTIMENTO_STATUS_OK && difference(expected, result) > 1) {
    printf("the result differs by %d\n", difference(expected, result));
    return 1;
  }
  printf("status %d: %s%s\n", (int)status, pentimento_last_error(), said);

  /* The other session goes on, and so does a new one on the same device. */
  must(restore(other, result), "the other session");
  if (difference(expected, result) != 0) return 1;
  must(pentimento_engine_new(&options, &engine), "a new engine");
  must(pentimento_restorer_new(engine, model, NULL, &restorer), "a new restorer");
  must(restore(restorer, result), "a new session");
  if (difference(expected, result) > 1) return 1;
  must(pentimento_restorer_device(restorer, name, sizeof name), "the device's name");
  printf("then %s\n", name);
  return 0;
}
