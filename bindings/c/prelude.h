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
