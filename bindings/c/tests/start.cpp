// How long it takes from nothing to the first picture, and to the next: start MODEL [DEVICE]
#include <pentimento.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

void check(pentimento_status status) {
  if (status == PENTIMENTO_STATUS_OK) return;
  std::fprintf(stderr, "error: %s\n", pentimento_last_error());
  std::exit(1);
}

template <typename Work>
void time(const char *what, Work work) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t processor = std::clock();
  check(work());
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  // Of all threads: what counts on a machine that others use too.
  const double computed = 1e3 * static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC;
  std::printf("%-12s %9.1f ms, processors %9.1f ms\n", what, took.count(), computed);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 2) return 1;
  uint64_t engine = 0, model = 0, restorer = 0;
  const pentimento_engine_options options = {argc > 2 ? argv[2] : nullptr,
                                             PENTIMENTO_PRECISION_AUTO, 0};
  time("the device", [&] { return pentimento_engine_new(&options, &engine); });
  char name[128];
  check(pentimento_engine_device(engine, name, sizeof name));
  std::printf("%s\n", name);
  time("the model", [&] { return pentimento_model_open(argv[1], &model); });
  time("a restorer",
       [&] { return pentimento_restorer_new(engine, model, nullptr, &restorer); });
  uint32_t width = 0, height = 0;
  check(pentimento_restorer_output_size(restorer, 64, 64, &width, &height));
  std::vector<unsigned char> pixels(size_t{3} * width * height, 100);
  const pentimento_image image = {pixels.data(), pixels.size(), width, height, 0, 0, 0};
  time("the first", [&] { return pentimento_restore(restorer, &image, &image); });
  time("the second", [&] { return pentimento_restore(restorer, &image, &image); });
  check(pentimento_restorer_free(restorer));
  check(pentimento_model_free(model));
  check(pentimento_engine_free(engine));
  return 0;
}
