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
