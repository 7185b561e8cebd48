/* Everything that a program can do wrong: each call must return the error that is expected of it.
 * bad_use MODEL NO-MODEL */
#include <pentimento.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

#define EXPECT(wanted, call) expect(PENTIMENTO_STATUS_##wanted, call, #call, __LINE__)

static void expect(pentimento_status wanted, pentimento_status got, const char *call, int line) {
  const char *message = pentimento_last_error();
  if (got != wanted || (got == PENTIMENTO_STATUS_OK) != (message[0] == '\0')) {
    fprintf(stderr, "line %d: %s: status %d, expected %d: %s\n", line, call, (int)got, (int)wanted,
            message);
    failures++;
  }
}

static int32_t cancel_in_the_middle(void *user, float done) {
  (*(int *)user)++;
  return done > 0.5F ? 1 : 0;
}

static int32_t answers_nonsense(void *user, float done) {
  (void)user;
  return done > 0.5F ? 77 : 0;
}

static uint64_t own_restorer;

/* Calls the restorer that is calling: it must neither wait for itself nor crash. */
static int32_t calls_back(void *user, float done) {
  (void)done;
  EXPECT(BUSY, pentimento_restore(own_restorer, user, user));
  EXPECT(BUSY, pentimento_set_progress(own_restorer, NULL, NULL));
  return 0;
}

static int32_t frees_itself(void *user, float done) {
  (void)user;
  if (done == 0.0F) EXPECT(OK, pentimento_restorer_free(own_restorer));
  return 0;
}

static void log_line(void *user, uint32_t level, const char *text) {
  (void)level;
  *(size_t *)user += strlen(text);
}

static pentimento_image picture(unsigned char *data, uint32_t format) {
  pentimento_image image;
  memset(&image, 0, sizeof image);
  image.data = data;
  image.width = image.height = 32;
  image.format = format;
  image.size = (size_t)32 * 32 * (format == 0 ? 3 : format == 3 ? 12 : 4);
  return image;
}

static void nulls(void) {
  const uint64_t none = 0;
  EXPECT(ARGUMENT, pentimento_engine_new(NULL, NULL));
  EXPECT(ARGUMENT, pentimento_model_open(NULL, NULL));
  EXPECT(ARGUMENT, pentimento_model_open("x", NULL));
  EXPECT(ARGUMENT, pentimento_model_from_bytes(NULL, 5, NULL));
  EXPECT(ARGUMENT, pentimento_restorer_options_default(NULL));
  EXPECT(ARGUMENT, pentimento_device_count(NULL));
  EXPECT(ARGUMENT, pentimento_device_name(0, NULL, 5));
  EXPECT(ARGUMENT, pentimento_restore_faces(none, NULL, NULL, NULL, 3));
  EXPECT(ARGUMENT, pentimento_restored_faces(none, NULL, 3, NULL));
  EXPECT(HANDLE, pentimento_engine_device(none, NULL, 0));
  EXPECT(HANDLE, pentimento_model_describe(none, NULL));
  EXPECT(HANDLE, pentimento_restorer_new(none, none, NULL, NULL));
  EXPECT(HANDLE, pentimento_restore(none, NULL, NULL));
  EXPECT(HANDLE, pentimento_restorer_output_size(none, 1, 1, NULL, NULL));
  EXPECT(HANDLE, pentimento_restorer_seconds(none, NULL));
  EXPECT(HANDLE, pentimento_set_progress(none, NULL, NULL));
  EXPECT(HANDLE, pentimento_engine_free(none));
  EXPECT(HANDLE, pentimento_model_free(none));
  EXPECT(HANDLE, pentimento_restorer_free(none));
  EXPECT(HANDLE, pentimento_restorer_free(UINT64_MAX));
}

static void models(const char *path, const char *other) {
  uint64_t model = 123;
  EXPECT(FILE, pentimento_model_open("/no/such/model.safetensors", &model));
  EXPECT(MODEL, pentimento_model_open(other, &model));
  EXPECT(ARGUMENT, pentimento_model_open("\xff\xfe", &model));
  EXPECT(MODEL, pentimento_model_from_bytes((const uint8_t *)"junk", 4, &model));
  EXPECT(MODEL, pentimento_model_from_bytes((const uint8_t *)"", 0, &model));
  EXPECT(ARGUMENT, pentimento_model_from_bytes((const uint8_t *)"", SIZE_MAX, &model));
  /* Of another architecture than any that is known. */
  const char *header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}      ";
  unsigned char file[128] = {0};
  size_t length = strlen(header);
  file[0] = (unsigned char)length;
  memcpy(file + 8, header, length);
  EXPECT(MODEL, pentimento_model_from_bytes(file, 8 + length + 4, &model));
  if (model != 123) fprintf(stderr, "a failed call wrote its result\n"), failures++;

  /* A model file with its end missing, and one with a byte changed in its header. */
  FILE *stream = fopen(path, "rb");
  unsigned char *bytes = malloc(1 << 22);
  size_t size = stream && bytes ? fread(bytes, 1, 1 << 22, stream) : 0;
  if (stream) fclose(stream);
  EXPECT(OK, pentimento_model_from_bytes(bytes, size, &model));
  EXPECT(OK, pentimento_model_free(model));
  EXPECT(HANDLE, pentimento_model_free(model));
  EXPECT(MODEL, pentimento_model_from_bytes(bytes, size / 2, &model));
  bytes[9] ^= 0xff;
  EXPECT(MODEL, pentimento_model_from_bytes(bytes, size, &model));
  free(bytes);
}

static void pictures(uint64_t restorer) {
  static unsigned char in[32 * 32 * 16], out[32 * 32 * 16];
  const pentimento_image good = picture(in, 0), target = picture(out, 0);
  EXPECT(OK, pentimento_restore(restorer, &good, &target));
  EXPECT(ARGUMENT, pentimento_restore(restorer, NULL, &target));
  EXPECT(ARGUMENT, pentimento_restore(restorer, &good, NULL));
  pentimento_image wrong = good;
  wrong.data = NULL;
  EXPECT(ARGUMENT, pentimento_restore(restorer, &wrong, &target));
  wrong = good, wrong.size--;
  EXPECT(ARGUMENT, pentimento_restore(restorer, &wrong, &target));
  wrong = good, wrong.width = 0;
  EXPECT(ARGUMENT, pentimento_restore(restorer, &wrong, &target));
  wrong = good, wrong.width = wrong.height = UINT32_MAX;
  EXPECT(ARGUMENT, pentimento_restore(restorer, &wrong, &target));
  wrong = good, wrong.stride = SIZE_MAX;
  EXPECT(ARGUMENT, pentimento_restore(restorer, &wrong, &target));
  wrong = good, wrong.stride = 95;
  EXPECT(ARGUMENT, pentimento_restore(restorer, &wrong, &target));
  wrong = good, wrong.format = 99;
  EXPECT(ARGUMENT, pentimento_restore(restorer, &wrong, &target));
  wrong = picture(in, PENTIMENTO_PIXEL_FORMAT_F32_PLANAR), wrong.plane_stride = 128;
  EXPECT(ARGUMENT, pentimento_restore(restorer, &wrong, &target));
  wrong.plane_stride = SIZE_MAX / 2;
  EXPECT(ARGUMENT, pentimento_restore(restorer, &wrong, &target));
  wrong = target, wrong.height = 16;
  EXPECT(ARGUMENT, pentimento_restore(restorer, &good, &wrong));
  memset(in, 0xff, sizeof in); /* NaN as floats */
  wrong = picture(in, PENTIMENTO_PIXEL_FORMAT_F32_PLANAR);
  EXPECT(ARGUMENT, pentimento_restore(restorer, &wrong, &target));
  pentimento_face face;
  memset(&face, 0xff, sizeof face);
  EXPECT(ARGUMENT, pentimento_restore_faces(restorer, &good, &target, &face, 1));
  memset(&face, 0, sizeof face);
  EXPECT(OK, pentimento_restore_faces(restorer, &good, &target, &face, 1));
  size_t count = 0;
  EXPECT(OK, pentimento_restored_faces(restorer, &face, 1, &count));
  EXPECT(OK, pentimento_restored_faces(restorer, NULL, 0, &count));
  if (count != 1 || face.restored) fprintf(stderr, "a point is no face\n"), failures++;
}

/* All formats, with and without gaps, show the same picture. */
static void formats(uint64_t restorer) {
  static unsigned char in[32 * 32 * 16], out[32 * 32 * 16], first[32 * 32 * 3];
  for (uint32_t format = 0; format < 8; format++) {
    pentimento_image source = picture(in, format % 4), target = picture(out, format % 4);
    const size_t pixel = format % 4 == 0 ? 3 : 4;
    if (format >= 4) {
      source.stride = target.stride = 32 * pixel + 4;
      source.size = target.size = sizeof in;
    }
    const size_t stride = source.stride ? source.stride : 32 * pixel;
    memset(out, 0x5a, sizeof out);
    for (size_t i = 0; i < sizeof first; i++) {
      const size_t y = i / 96, x = i / 3 % 32, c = i % 3;
      const unsigned char value = (unsigned char)(x * 7 + y * 5 + c * 40);
      const float level = (float)value / 255.0F;
      const size_t k = format % 4 == 2 ? 2 - c : c;
      if (format % 4 == 3) {
        memcpy(in + c * 32 * stride + y * stride + x * 4, &level, sizeof level);
      } else {
        in[y * stride + x * pixel + k] = value;
        if (pixel == 4) in[y * stride + x * pixel + 3] = 255;
      }
    }
    EXPECT(OK, pentimento_restore(restorer, &source, &target));
    for (size_t i = 0; i < sizeof first; i++) {
      const size_t y = i / 96, x = i / 3 % 32, c = i % 3;
      const size_t k = format % 4 == 2 ? 2 - c : c;
      int value = out[y * stride + x * pixel + k];
      if (format % 4 == 3) {
        float level;
        memcpy(&level, out + c * 32 * stride + y * stride + x * 4, sizeof level);
        value = (int)(level * 255.0F + 0.5F);
      }
      if (format == 0) first[i] = (unsigned char)value;
      if (value != first[i]) {
        fprintf(stderr, "format %u differs at %d\n", (unsigned)format, (int)i), failures++;
        break;
      }
    }
    if (format >= 4 && out[32 * pixel] != 0x5a) fprintf(stderr, "a gap was written\n"), failures++;
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return EXIT_FAILURE;
  nulls();
  models(argv[1], argv[2]);

  size_t logged = 0, count = 0;
  EXPECT(ARGUMENT, pentimento_set_log(log_line, &logged, 99));
  EXPECT(OK, pentimento_set_log(log_line, &logged, PENTIMENTO_LOG_LEVEL_DEBUG));
  uint64_t engine = 0, model = 0, restorer = 0, other = 0;
  pentimento_engine_options options = {"no such device", 0, 0};
  EXPECT(DEVICE, pentimento_engine_new(&options, &engine));
  options.device = "cpu", options.precision = 9;
  EXPECT(ARGUMENT, pentimento_engine_new(&options, &engine));
  options.precision = PENTIMENTO_PRECISION_F16;
  EXPECT(DEVICE, pentimento_engine_new(&options, &engine));
  options.precision = PENTIMENTO_PRECISION_AUTO, options.memory = 1000;
  EXPECT(OK, pentimento_engine_new(&options, &other));
  options.memory = 0;
  EXPECT(OK, pentimento_engine_new(&options, &engine));
  EXPECT(OK, pentimento_set_log(NULL, NULL, 0));
  if (logged == 0) fprintf(stderr, "nothing was logged\n"), failures++;

  char name[4] = "xxx";
  EXPECT(ARGUMENT, pentimento_engine_device(engine, name, 0));
  EXPECT(OK, pentimento_engine_device(engine, name, sizeof name));
  if (strcmp(name, "CPU") != 0) fprintf(stderr, "the device is %s\n", name), failures++;
  EXPECT(OK, pentimento_model_open(argv[1], &model));
  pentimento_model_info info;
  EXPECT(OK, pentimento_model_describe(model, &info));
  if (strcmp(info.architecture, "MMRB-Net") != 0 || info.size != 32) failures++;
  EXPECT(HANDLE, pentimento_model_describe(engine, &info));
  EXPECT(HANDLE, pentimento_engine_free(model));

  pentimento_restorer_options how;
  EXPECT(OK, pentimento_restorer_options_default(&how));
  how.detector = model;
  EXPECT(ARGUMENT, pentimento_restorer_new(engine, model, &how, &restorer));
  how.detector = engine;
  EXPECT(HANDLE, pentimento_restorer_new(engine, model, &how, &restorer));
  how.detector = 0, how.background = model;
  EXPECT(ARGUMENT, pentimento_restorer_new(engine, model, &how, &restorer));
  how.background = 0, how.which = 7;
  EXPECT(ARGUMENT, pentimento_restorer_new(engine, model, &how, &restorer));
  EXPECT(OK, pentimento_restorer_new(other, model, NULL, &restorer));
  static unsigned char pixels[32 * 32 * 3];
  const pentimento_image image = picture(pixels, 0);
  EXPECT(OUT_OF_MEMORY, pentimento_restore(restorer, &image, &image));
  EXPECT(OK, pentimento_restorer_free(restorer));
  EXPECT(HANDLE, pentimento_restore(restorer, &image, &image));
  EXPECT(ARGUMENT, pentimento_restorer_new(engine, model, NULL, NULL));
  EXPECT(OK, pentimento_restorer_new(engine, model, NULL, &restorer));
  /* What a restorer needs, it keeps. */
  EXPECT(OK, pentimento_engine_free(engine));
  EXPECT(OK, pentimento_engine_free(other));
  EXPECT(OK, pentimento_model_free(model));
  EXPECT(HANDLE, pentimento_restorer_new(engine, model, NULL, &other));
  pictures(restorer);
  formats(restorer);

  int calls = 0;
  EXPECT(OK, pentimento_set_progress(restorer, cancel_in_the_middle, &calls));
  EXPECT(CANCELLED, pentimento_restore(restorer, &image, &image));
  if (calls < 2) fprintf(stderr, "the callback was called %d times\n", calls), failures++;
  EXPECT(OK, pentimento_set_progress(restorer, answers_nonsense, NULL));
  EXPECT(CALLBACK, pentimento_restore(restorer, &image, &image));
  own_restorer = restorer;
  EXPECT(OK, pentimento_set_progress(restorer, calls_back, (void *)(uintptr_t)&image));
  EXPECT(OK, pentimento_restore(restorer, &image, &image));
  EXPECT(OK, pentimento_set_progress(restorer, frees_itself, NULL));
  EXPECT(OK, pentimento_restore(restorer, &image, &image));
  EXPECT(HANDLE, pentimento_restore(restorer, &image, &image));
  double seconds;
  EXPECT(HANDLE, pentimento_restorer_seconds(restorer, &seconds));
  (void)count;
  if (strlen(pentimento_version()) < 5) failures++;
  if (failures == 0) puts("all as expected");
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
