// Restores a picture in memory with progress and a time limit: progress MODEL [DEVICE]
//
//   c++ progress.cpp -o progress $(pkg-config --cflags --libs pentimento)
#include <pentimento.h>

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

void check(pentimento_status status) {
  if (status != PENTIMENTO_STATUS_OK) throw std::runtime_error(pentimento_last_error());
}

// Frees its object when it goes out of scope.
struct Handle {
  uint64_t number = 0;
  pentimento_status (*release)(uint64_t);
  explicit Handle(pentimento_status (*release)(uint64_t)) : release(release) {}
  Handle(const Handle &) = delete;
  Handle &operator=(const Handle &) = delete;
  ~Handle() { release(number); }
};

int32_t report(void *user, float done) {
  const auto &deadline = *static_cast<std::chrono::steady_clock::time_point *>(user);
  std::printf("%3.0f %%\n", static_cast<double>(done) * 100);
  return std::chrono::steady_clock::now() > deadline ? 1 : 0;
}

void run(const char *path, const char *device) {
  Handle engine(pentimento_engine_free), model(pentimento_model_free);
  Handle restorer(pentimento_restorer_free);
  const pentimento_engine_options options = {device, PENTIMENTO_PRECISION_AUTO, 0};
  check(pentimento_engine_new(&options, &engine.number));
  check(pentimento_model_open(path, &model.number));
  check(pentimento_restorer_new(engine.number, model.number, nullptr, &restorer.number));
  auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(5);
  check(pentimento_set_progress(restorer.number, report, &deadline));

  uint32_t width = 0, height = 0;
  check(pentimento_restorer_output_size(restorer.number, 64, 64, &width, &height));
  std::vector<float> face(3 * 64 * 64, 0.5F), restored(size_t{3} * width * height);
  const auto format = static_cast<uint32_t>(PENTIMENTO_PIXEL_FORMAT_F32_PLANAR);
  const pentimento_image input = {face.data(), face.size() * sizeof(float), 64, 64, 0, 0, format};
  const pentimento_image output = {
      restored.data(), restored.size() * sizeof(float), width, height, 0, 0, format};
  check(pentimento_restore(restorer.number, &input, &output));
  std::printf("%u x %u, pentimento %s\n", width, height, pentimento_version());
}

}  // namespace

int main(int argc, char **argv) {
  try {
    if (argc < 2) throw std::runtime_error("usage: progress MODEL [DEVICE]");
    run(argv[1], argc > 2 ? argv[2] : nullptr);
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
