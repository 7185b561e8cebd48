/* Restores the face in a PPM file: ppm MODEL IN.ppm OUT.ppm [DEVICE [DETECTOR]]
 *   cc ppm.c -o ppm $(pkg-config --cflags --libs pentimento) */
#include <pentimento.h>
#include <stdio.h>
#include <stdlib.h>

static void check(pentimento_status status) {
  if (status != PENTIMENTO_STATUS_OK) {
    fprintf(stderr, "error: %s\n", pentimento_last_error());
    exit(EXIT_FAILURE);
  }
}

static pentimento_image picture(uint32_t width, uint32_t height) {
  pentimento_image image = {.width = width, .height = height, .format = PENTIMENTO_PIXEL_FORMAT_RGB8};
  image.size = (size_t)3 * width * height;
  image.data = malloc(image.size > 0 ? image.size : 1);
  return image;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: ppm MODEL IN.ppm OUT.ppm [DEVICE [DETECTOR]]\n");
    return EXIT_FAILURE;
  }
  pentimento_engine_options device = {.device = argc > 4 ? argv[4] : NULL};
  pentimento_restorer_options options;
  pentimento_engine engine;
  pentimento_model model;
  pentimento_restorer restorer;
  check(pentimento_restorer_options_default(&options));
  check(pentimento_engine_new(&device, &engine));
  check(pentimento_model_open(argv[1], &model));
  if (argc > 5) check(pentimento_model_open(argv[5], &options.detector));
  check(pentimento_restorer_new(engine, model, &options, &restorer));

  uint32_t width, height;
  FILE *file = fopen(argv[2], "rb");
  if (!file || fscanf(file, "P6 %u %u 255", &width, &height) != 2 || fgetc(file) == EOF ||
      width > 16384 || height > 16384) {
    fprintf(stderr, "error: %s is no PPM file\n", argv[2]);
    return EXIT_FAILURE;
  }
  pentimento_image input = picture(width, height);
  size_t there = fread(input.data, 1, input.size, file);
  fclose(file);
  check(pentimento_restorer_output_size(restorer, width, height, &width, &height));
  pentimento_image output = picture(width, height);
  if (there == input.size) check(pentimento_restore(restorer, &input, &output));

  file = there == input.size ? fopen(argv[3], "wb") : NULL;
  int written = file && fprintf(file, "P6\n%u %u 255\n", width, height) > 0 &&
                fwrite(output.data, 1, output.size, file) == output.size;
  if (file && fclose(file) != 0) written = 0;
  free(input.data), free(output.data);
  pentimento_restorer_free(restorer), pentimento_model_free(model), pentimento_engine_free(engine);
  if (argc > 5) pentimento_model_free(options.detector);
  return written ? EXIT_SUCCESS : EXIT_FAILURE;
}
