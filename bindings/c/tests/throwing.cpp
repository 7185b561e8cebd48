// Callbacks that throw: throwing MODEL
#include <pentimento.h>

#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace {

int32_t throws_in_the_middle(void *user, float done) {
  if (done > 0.5F) throw std::runtime_error(static_cast<const char *>(user));
  return 0;
}

void throws_always(void *user, uint32_t, const char *) {
  ++*static_cast<int *>(user);
  throw 7;
}

#define REQUIRE(condition)                                                           \
  do {                                                                               \
    if (!(condition)) {                                                              \
      std::fprintf(stderr, "%d: %s: %s\n", __LINE__, #condition, pentimento_last_error()); \
      return 1;                                                                      \
    }                                                                                \
  } while (false)

int run(const char *path) {
  int lines = 0;
  uint64_t engine = 0, model = 0, restorer = 0;
  REQUIRE(pentimento_set_log(throws_always, &lines, PENTIMENTO_LOG_LEVEL_TRACE) ==
          PENTIMENTO_STATUS_OK);
  const pentimento_engine_options options = {"cpu", PENTIMENTO_PRECISION_AUTO, 0};
  REQUIRE(pentimento_engine_new(&options, &engine) == PENTIMENTO_STATUS_OK);
  REQUIRE(pentimento_model_open(path, &model) == PENTIMENTO_STATUS_OK);
  REQUIRE(pentimento_restorer_new(engine, model, nullptr, &restorer) == PENTIMENTO_STATUS_OK);
  char reason[] = "from C++";
  REQUIRE(pentimento_set_progress(restorer, throws_in_the_middle, reason) == PENTIMENTO_STATUS_OK);
  std::vector<unsigned char> pixels(32 * 32 * 3, 100);
  const pentimento_image image = {pixels.data(), pixels.size(), 32, 32, 0, 0, 0};
  for (int i = 0; i < 3; ++i) {
    REQUIRE(pentimento_restore(restorer, &image, &image) == PENTIMENTO_STATUS_CALLBACK);
    REQUIRE(std::strcmp(pentimento_last_error(), "the progress callback failed") == 0);
  }
  REQUIRE(pixels == std::vector<unsigned char>(32 * 32 * 3, 100));
  REQUIRE(pentimento_set_progress(restorer, nullptr, nullptr) == PENTIMENTO_STATUS_OK);
  REQUIRE(pentimento_restore(restorer, &image, &image) == PENTIMENTO_STATUS_OK);
  REQUIRE(lines > 0);
  REQUIRE(pentimento_restorer_free(restorer) == PENTIMENTO_STATUS_OK);
  REQUIRE(pentimento_model_free(model) == PENTIMENTO_STATUS_OK);
  REQUIRE(pentimento_engine_free(engine) == PENTIMENTO_STATUS_OK);
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 2 || run(argv[1]) != 0) return 1;
  std::puts("all as expected");
  return 0;
}
