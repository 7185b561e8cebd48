/** The page without a network: its files are kept when it is first seen. Weights keep themselves
 * (src/cache.ts). */

declare const self: ServiceWorkerGlobalScope;

/** The page's files and a digest of them all, which the build puts in place of the names. */
declare const FILES: string[];
declare const VERSION: string;

const NAME = `pentimento-page-${VERSION}`;

self.addEventListener("install", (event) => {
  const keep = async () => {
    const cache = await caches.open(NAME);
    // Not from the browser's own cache, which may hold another version.
    await cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })));
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});

self.addEventListener("activate", (event) => {
  const clear = async () => {
    const names = await caches.keys();
    const old = names.filter((name) => name.startsWith("pentimento-page-") && name !== NAME);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(clear());
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") {
    return;
  }
  const answer = async () => {
    const cache = await caches.open(NAME);
    const known = await cache.match(event.request, { ignoreSearch: true });
    return known ?? fetch(event.request);
  };
  event.respondWith(answer());
});

export {};
