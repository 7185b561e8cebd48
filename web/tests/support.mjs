// What the end-to-end tests share: a server for what was built, and a browser with WebGPU.

import { spawnSync } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize, resolve } from "node:path";
import { chromium } from "playwright-core";

/** The project. */
export const repository = resolve(import.meta.dirname, "../..");

/** The folder with goldens and data; tests that need it are skipped without. */
export const shared = process.env.PENTIMENTO_SHARED;

/** Options of a test that needs the shared folder. */
export const needsShared = {
  skip: shared ? false : "PENTIMENTO_SHARED does not name the folder with goldens and data",
};

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".txt": "text/plain",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

/** A page that asks for no icon. */
const EMPTY = `<!doctype html><title>-</title><link rel="icon" href="data:,">`;

/** Serves folders by the first part of the path, and an empty page at its root; `close` ends it. */
export async function serve(folders) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    const [, first, ...rest] = path.split("/");
    if (first === "") {
      response.writeHead(200, { "content-type": TYPES[".html"] }).end(EMPTY);
      return;
    }
    const folder = folders[first];
    let file = folder && join(folder, ...rest);
    if (file?.endsWith("/") || rest.join("") === "") {
      file = file && join(file, "index.html");
    }
    const found = file && (await stat(file).catch(() => undefined));
    if (!found?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, "content-length": found.size });
    createReadStream(file).pipe(response);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address();
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

/** A browser with WebGPU through a driver that runs on the CPU, or without any. */
export function launch({ webgpu = true } = {}) {
  const executablePath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome"]
    .filter(Boolean)
    .find((path) => existsSync(path));
  const gpu = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];
  const camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
  return chromium.launch({
    executablePath,
    args: ["--no-sandbox", ...camera, ...(webgpu ? gpu : ["--disable-features=WebGPU"])],
  });
}

/** Runs the native program and yields the file it wrote, in a folder that `after` removes. */
export async function native(test, name, ...arguments_) {
  const folder = await mkdtemp(join(tmpdir(), "pentimento-web-"));
  test.after(() => rm(folder, { recursive: true }));
  const output = join(folder, name);
  const program = ["run", "--quiet", "--bin", "pentimento", "--", "restore", ...arguments_];
  const { status, stderr } = spawnSync("cargo", [...program, "-o", output], {
    cwd: repository,
    encoding: "utf8",
  });
  if (status !== 0) {
    throw new Error(`pentimento restore ${arguments_.join(" ")}: ${stderr}`);
  }
  return output;
}
