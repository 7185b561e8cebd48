/*
 * pentimento.h: restores degraded faces in pictures, on any GPU or on the CPU.
 *
 * Made of src/ffi by bindings/c/tests/header.rs; not to be edited.
 *
 * Objects are numbers, which are never used again: one that was freed is an error. Every function
 * that returns a pentimento_status leaves a message for its thread, which pentimento_last_error
 * returns. Nothing is printed, nothing exits, nothing is thrown.
 *
 * Engines and models may be used by several threads at a time, a restorer by one. Pointers that are
 * not NULL must point to what their types say, for as long as the call lasts; texts end with NUL.
 * Where a call fails, what its pointers lead to is not written.
 */
#ifndef PENTIMENTO_H
#define PENTIMENTO_H


#include <stddef.h>
#include <stdint.h>

// The result of a call; pentimento_last_error says more.
typedef enum pentimento_status {
  // It worked.
  PENTIMENTO_STATUS_OK = 0,
  // An argument is NULL, out of its range, or does not fit the others.
  PENTIMENTO_STATUS_ARGUMENT = 1,
  // There is no such object: it was freed, is of another kind, or never was.
  PENTIMENTO_STATUS_HANDLE = 2,
  // A file could not be read.
  PENTIMENTO_STATUS_FILE = 3,
  // A model file is damaged, or no known network.
  PENTIMENTO_STATUS_MODEL = 4,
  // The device that was asked for is not there, or failed.
  PENTIMENTO_STATUS_DEVICE = 5,
  // The device stopped working: free the engine and all that was made with it, make new ones.
  PENTIMENTO_STATUS_DEVICE_LOST = 6,
  // The work does not fit the memory.
  PENTIMENTO_STATUS_OUT_OF_MEMORY = 7,
  // The network's result holds NaN or infinity.
  PENTIMENTO_STATUS_NON_FINITE = 8,
  // The progress callback stopped the work.
  PENTIMENTO_STATUS_CANCELLED = 9,
  // A callback failed: it returned something else than 0 or 1, or threw a C++ exception.
  PENTIMENTO_STATUS_CALLBACK = 10,
  // The restorer is at work in another call.
  PENTIMENTO_STATUS_BUSY = 11,
  // A mistake of the library. The process goes on; the object at work may have to be made anew.
  PENTIMENTO_STATUS_INTERNAL = 12,
} pentimento_status;

// The task of a network.
typedef enum pentimento_model_task {
  // An aligned, square face becomes a restored one.
  PENTIMENTO_MODEL_TASK_RESTORE_FACE = 0,
  // Any picture becomes larger.
  PENTIMENTO_MODEL_TASK_UPSCALE = 1,
  // A vector becomes a picture; not usable from C.
  PENTIMENTO_MODEL_TASK_GENERATE = 2,
  // Says what each pixel of a face shows; not usable from C.
  PENTIMENTO_MODEL_TASK_PARSE = 3,
  // Finds faces.
  PENTIMENTO_MODEL_TASK_DETECT = 4,
} pentimento_model_task;

// How numbers are stored on the device.
typedef enum pentimento_precision {
  // f16 on a GPU that has it, f32 elsewhere.
  PENTIMENTO_PRECISION_AUTO = 0,
  // f32, the reference.
  PENTIMENTO_PRECISION_F32 = 1,
  // f16; an error on a device without it.
  PENTIMENTO_PRECISION_F16 = 2,
} pentimento_precision;

// How pixels lie in memory.
typedef enum pentimento_pixel_format {
  // Three bytes: red, green, blue.
  PENTIMENTO_PIXEL_FORMAT_RGB8 = 0,
  // Four bytes: red, green, blue, alpha.
  PENTIMENTO_PIXEL_FORMAT_RGBA8 = 1,
  // Four bytes: blue, green, red, alpha.
  PENTIMENTO_PIXEL_FORMAT_BGRA8 = 2,
  // A plane of floats from 0 to 1 for each of red, green and blue. Rounded to 8 bits when read.
  PENTIMENTO_PIXEL_FORMAT_F32_PLANAR = 3,
} pentimento_pixel_format;

// How much is logged.
typedef enum pentimento_log_level {
  // Nothing.
  PENTIMENTO_LOG_LEVEL_OFF = 0,
  // What failed.
  PENTIMENTO_LOG_LEVEL_ERROR = 1,
  // What may surprise.
  PENTIMENTO_LOG_LEVEL_WARN = 2,
  // What is done.
  PENTIMENTO_LOG_LEVEL_INFO = 3,
  // Every step.
  PENTIMENTO_LOG_LEVEL_DEBUG = 4,
  // Everything.
  PENTIMENTO_LOG_LEVEL_TRACE = 5,
} pentimento_log_level;

// Which faces of a photo are restored.
typedef enum pentimento_which {
  // Every one.
  PENTIMENTO_WHICH_ALL = 0,
  // The one with the largest distance of the eyes.
  PENTIMENTO_WHICH_LARGEST = 1,
  // The one nearest to the middle of the photo.
  PENTIMENTO_WHICH_CENTRAL = 2,
} pentimento_which;

// Options of an engine. All zeros: the best GPU, or else the CPU.
typedef struct pentimento_engine_options {
  // NULL: the best real GPU, or else the CPU. Otherwise "cpu", the number of a device, or a part
  // of its name, vendor, driver or backend.
  const char *device;
  // One of pentimento_precision.
  uint32_t precision;
  // The most bytes that the weights and intermediates of one network may take; 0: no limit.
  uint64_t memory;
} pentimento_engine_options;

// An engine. 0 is none.
typedef uint64_t pentimento_engine;

// Gets one line of the log: `user`, a pentimento_log_level and a text in UTF-8, which is valid
// during the call. May be called from any thread. It must not call the library.
typedef void (*pentimento_log_callback)(void *user, uint32_t level, const char *text);

// Calls a log callback.
typedef void (*pentimento_log_guard)(pentimento_log_callback callback,
                                     void *user,
                                     uint32_t level,
                                     const char *text);

// A model. 0 is none.
typedef uint64_t pentimento_model;

// Facts about a model.
typedef struct pentimento_model_info {
  // Name of the architecture, with its NUL.
  char architecture[32];
  // The task of its network.
  enum pentimento_model_task task;
  // Side of the picture that it takes, where that is fixed, otherwise 0.
  uint32_t size;
  // Output pixels per input pixel and side.
  uint32_t factor;
} pentimento_model_info;

// How pictures are restored. pentimento_restorer_options_default fills it in.
typedef struct pentimento_restorer_options {
  // A model that finds faces; then pictures are photos whose faces are found, restored and put
  // back. 0: none, then every picture is taken for one aligned face, and the result has the
  // network's size.
  pentimento_model detector;
  // A model that enlarges what is around the faces of a photo; 0: none.
  pentimento_model background;
  // A model that says which pixels of a restored face are the face, for blending: a parser; 0:
  // none, then a soft oval is blended.
  pentimento_model parser;
  // How much of the restored face is taken, 0 to 1.
  double strength;
  // Faces of a photo whose eyes are less than this apart are left, in pixels.
  double smallest;
  // The least confidence that makes a face, 0 to 1.
  float threshold;
  // Output pixels per pixel of the photo and side, 1 to 4.
  uint32_t scale;
  // One of pentimento_which.
  uint32_t which;
  // 1: all faces will be given to pentimento_restore_faces, so that no detector is needed. 0:
  // what is set here for photos needs a detector.
  uint32_t given_faces;
} pentimento_restorer_options;

// A restorer. 0 is none.
typedef uint64_t pentimento_restorer;

// Is told how much is done, from 0 to 1, in the thread that restores. Returns 0 to go on, 1 to
// cancel; anything else fails the call with PENTIMENTO_STATUS_CALLBACK.
typedef int32_t (*pentimento_progress_callback)(void *user, float done);

// Calls a progress callback.
typedef int32_t (*pentimento_progress_guard)(pentimento_progress_callback callback,
                                             void *user,
                                             float done);

// A picture in memory that the caller owns. Alpha is not multiplied in.
typedef struct pentimento_image {
  // The first pixel; for an input it is only read.
  void *data;
  // Bytes that `data` points to.
  size_t size;
  // Columns.
  uint32_t width;
  // Rows.
  uint32_t height;
  // Bytes from the beginning of a row to that of the next; 0: no gaps.
  size_t stride;
  // Bytes from the beginning of a plane to that of the next; 0: no gaps. Of planar formats only.
  size_t plane_stride;
  // One of pentimento_pixel_format.
  uint32_t format;
} pentimento_image;

// A face in a photo.
typedef struct pentimento_face {
  // Both eyes, the tip of the nose, both corners of the mouth, of each pair the one at the left
  // of an upright face's picture first: x and y in pixels.
  double landmarks[5][2];
  // Left, top, right, bottom; zeros where they are not known.
  float bounds[4];
  // The detector's confidence, 0 to 1; 0 where the face was given.
  float score;
  // 1 where it was restored, 0 where it was left as it was.
  uint32_t restored;
} pentimento_face;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library, as "1.2.3". Never NULL, never to be freed.
const char *pentimento_version(void);

// Opens a device. `options` may be NULL. The engine is freed with pentimento_engine_free.
enum pentimento_status pentimento_engine_new(const struct pentimento_engine_options *options,
                                             pentimento_engine *engine);

// Frees an engine. What was made with it stays valid.
enum pentimento_status pentimento_engine_free(pentimento_engine engine);

// Writes the name of the engine's device to `name`, of `capacity` bytes, NUL included.
enum pentimento_status pentimento_engine_device(pentimento_engine engine,
                                                char *name,
                                                size_t capacity);

// Writes the number of devices of this machine to `count`, the CPU included. Asks every driver,
// which takes time.
enum pentimento_status pentimento_device_count(size_t *count);

// Writes the name of device number `index` to `name`, of `capacity` bytes, NUL included. The CPU
// is the last one; the number of another one chooses it in pentimento_engine_options.
enum pentimento_status pentimento_device_name(size_t index, char *name, size_t capacity);

// Lets `callback` get the log of the whole process up to `level`, a pentimento_log_level; NULL
// ends it. Only one callback gets it at a time. When this returns, a former callback may still be
// running in another thread.
enum pentimento_status pentimento_set_log(pentimento_log_callback callback,
                                          void *user,
                                          uint32_t level);

// pentimento_set_log with a `guard` that calls the callback: how the header contains C++
// exceptions.
enum pentimento_status pentimento_set_log_guarded(pentimento_log_guard guard,
                                                  pentimento_log_callback callback,
                                                  void *user,
                                                  uint32_t level);

// Opens a .safetensors or .pth file. The model is freed with pentimento_model_free.
enum pentimento_status pentimento_model_open(const char *path, pentimento_model *model);

// Opens such a file in memory. The bytes are copied.
enum pentimento_status pentimento_model_from_bytes(const uint8_t *bytes,
                                                   size_t length,
                                                   pentimento_model *model);

// Frees a model. What was made with it stays valid.
enum pentimento_status pentimento_model_free(pentimento_model model);

// Writes what a model is to `info`.
enum pentimento_status pentimento_model_describe(pentimento_model model,
                                                 struct pentimento_model_info *info);

// Fills in the defaults: one aligned face per picture, all of it taken.
enum pentimento_status pentimento_restorer_options_default(struct pentimento_restorer_options *options);

// Restores pictures with `model` on `engine`. `options` may be NULL. The restorer keeps what it
// needs of its engine and models, and is freed with pentimento_restorer_free.
//
// Where the engine's options name no device and the GPU is lost, the CPU goes on: the call succeeds,
// the log says so in a line of PENTIMENTO_LOG_LEVEL_WARN, and pentimento_restorer_device names the
// CPU. Where they name one, the call fails with PENTIMENTO_STATUS_DEVICE_LOST; a new engine opens the
// device again. Other engines and their restorers go on in both cases.
enum pentimento_status pentimento_restorer_new(pentimento_engine engine,
                                               pentimento_model model,
                                               const struct pentimento_restorer_options *options,
                                               pentimento_restorer *restorer);

// Frees a restorer. A call that is at work with it finishes first.
enum pentimento_status pentimento_restorer_free(pentimento_restorer restorer);

// Lets `callback` watch the following calls of the restorer; NULL ends it.
enum pentimento_status pentimento_set_progress(pentimento_restorer restorer,
                                               pentimento_progress_callback callback,
                                               void *user);

// pentimento_set_progress with a `guard` that calls the callback: how the header contains C++
// exceptions.
enum pentimento_status pentimento_set_progress_guarded(pentimento_restorer restorer,
                                                       pentimento_progress_guard guard,
                                                       pentimento_progress_callback callback,
                                                       void *user);

// Writes the size of the result for a picture of `width` × `height`.
enum pentimento_status pentimento_restorer_output_size(pentimento_restorer restorer,
                                                       uint32_t width,
                                                       uint32_t height,
                                                       uint32_t *output_width,
                                                       uint32_t *output_height);

// Restores a picture. `output` has the size that pentimento_restorer_output_size says; it is
// written only when the call succeeds, and may be the memory of `input`.
enum pentimento_status pentimento_restore(pentimento_restorer restorer,
                                          const struct pentimento_image *input,
                                          const struct pentimento_image *output);

// Restores a photo whose faces are known: `count` of them at `faces`, of which only the landmarks
// are read. No detector is needed.
enum pentimento_status pentimento_restore_faces(pentimento_restorer restorer,
                                                const struct pentimento_image *input,
                                                const struct pentimento_image *output,
                                                const struct pentimento_face *faces,
                                                size_t count);

// Writes the faces of the last photo, from left to right, to `faces`, as many as `capacity` allows,
// and their number to `count`. `faces` may be NULL when `capacity` is 0.
enum pentimento_status pentimento_restored_faces(pentimento_restorer restorer,
                                                 struct pentimento_face *faces,
                                                 size_t capacity,
                                                 size_t *count);

// Writes the name of the device that restores to `name`, of `capacity` bytes, NUL included: the
// engine's, or the CPU's where it took the place of a GPU that was lost.
enum pentimento_status pentimento_restorer_device(pentimento_restorer restorer,
                                                  char *name,
                                                  size_t capacity);

// Writes how long the last call took that restored something, in seconds.
enum pentimento_status pentimento_restorer_seconds(pentimento_restorer restorer, double *seconds);

// The error of the last call of this thread, as one sentence in UTF-8; empty when the call worked.
// Never NULL; valid until the next call of this thread.
const char *pentimento_last_error(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#if defined(__cplusplus) && (defined(__cpp_exceptions) || defined(_CPPUNWIND))
/*
 * In C++ a callback may throw: the exception ends here, and the call that it interrupts returns
 * PENTIMENTO_STATUS_CALLBACK. (From other languages nothing may be thrown through the library: it
 * ends the process.)
 */
extern "C" {
static inline int32_t pentimento_contain_progress(pentimento_progress_callback callback, void *user,
                                                  float done) {
  try {
    return callback(user, done);
  } catch (...) {
    return -1;
  }
}

static inline void pentimento_contain_log(pentimento_log_callback callback, void *user,
                                          uint32_t level, const char *text) {
  try {
    callback(user, level, text);
  } catch (...) {
  }
}
}

#define pentimento_set_progress(restorer, callback, user) \
  pentimento_set_progress_guarded(restorer, pentimento_contain_progress, callback, user)
#define pentimento_set_log(callback, user, level) \
  pentimento_set_log_guarded(pentimento_contain_log, callback, user, level)
#endif

#endif /* PENTIMENTO_H */
