/** Weights from the network, once: they stay in the browser's cache storage. */

import { coded } from "./errors.js";

/** Bytes that have come, of how many. */
export interface Progress {
  loaded: number;
  total: number;
}

const NAME = "pentimento-weights";

/**
 * The bytes at `url`: from the cache storage, where it is there and has them, or else from the
 * network, of which `progress` is told.
 *
 * @throws {PentimentoError} "fetch" when they do not come, or not all of them.
 */
export async function fetchCached(
  url: string | URL,
  progress: (progress: Progress) => void,
): Promise<Uint8Array> {
  // Pages without https and some private windows have no cache storage.
  const cache = await globalThis.caches?.open(NAME).catch(() => undefined);
  const known = await cache?.match(url).catch(() => undefined);
  if (known) {
    return new Uint8Array(await known.arrayBuffer());
  }
  const bytes = await download(url, progress);
  const headers = { "content-type": "application/octet-stream" };
  // A full disk is no reason to stop: the next visit fetches again.
  await cache?.put(url, new Response(bytes, { headers })).catch(() => undefined);
  return bytes;
}

/** Removes weights from the cache storage: all but those at `keep`. */
export async function forget(keep: (string | URL)[] = []): Promise<void> {
  const cache = await globalThis.caches?.open(NAME).catch(() => undefined);
  const kept = new Set(keep.map((url) => new URL(url, globalThis.location.href).href));
  for (const request of (await cache?.keys()) ?? []) {
    if (!kept.has(request.url)) {
      await cache?.delete(request);
    }
  }
}

async function download(
  url: string | URL,
  progress: (progress: Progress) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const failed = (why: string) => coded(`the weights at ${url} could not be fetched: ${why}`, "fetch");
  const response = await fetch(url).catch((error: unknown) => {
    throw failed(error instanceof Error ? error.message : "no answer");
  });
  if (!response.ok || !response.body) {
    throw failed(`the server says ${response.status}`);
  }
  // Of a compressed transfer the length is not that of the file.
  const encoded = response.headers.has("content-encoding");
  const total = encoded ? 0 : Number(response.headers.get("content-length") ?? 0);
  const parts: Uint8Array[] = [];
  let loaded = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw failed("the connection broke off");
    });
    if (done) {
      break;
    }
    parts.push(value);
    loaded += value.length;
    progress({ loaded, total: Math.max(total, loaded) });
  }
  if (total && loaded !== total) {
    throw failed(`${loaded} of ${total} bytes came`);
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
