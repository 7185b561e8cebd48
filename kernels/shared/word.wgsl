// Channels of a pixel of x that an invocation stages at a time.
#if X_EIGHTS
const WORD = 8u;
alias Word = mat2x4<f16>;
#else
const WORD = 4u;
alias Word = vec4<f16>;
#endif
