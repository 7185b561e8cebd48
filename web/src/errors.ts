/** Errors: one sentence, and a code to tell them apart. */

import type { ErrorCode } from "../wasm/pentimento_web.js";

/** What an error is about: {@link PentimentoError.code}. */
export type Code = ErrorCode | "fetch" | "no-webgpu";

/** Something that went wrong, as one sentence. */
export interface PentimentoError extends Error {
  code: Code;
}

/** Whether this package threw `error`. */
export function isPentimentoError(error: unknown): error is PentimentoError {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}

/** `message` as an error of this package. */
export function coded(message: string, code: Code): PentimentoError {
  return Object.assign(new Error(message), { code });
}
