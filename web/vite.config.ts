import { createHash } from "node:crypto";
import { copyFile, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";

const root = resolve(import.meta.dirname, "page");
const repository = resolve(import.meta.dirname, "..");
const weights = join(repository, "weights");

/** The checkpoint that finds faces: the project's own, or another one. */
const detector = process.env.PENTIMENTO_DETECTOR ?? join(weights, "face-detector.safetensors");

/** Tells the service worker which files the page is made of. Weights keep themselves. */
function offline(): Plugin {
  let folder = "";
  return {
    name: "offline",
    apply: "build",
    configResolved: (config) => {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle: async () => {
      const all = await readdir(folder, { recursive: true });
      const digest = createHash("sha256");
      const files = ["./"];
      for (const file of all.sort()) {
        const path = join(folder, file);
        const isWeights = /\.(safetensors|pth)$/.test(file);
        if (file === "sw.js" || isWeights || (await stat(path)).isDirectory()) {
          continue;
        }
        digest.update(file).update(await readFile(path));
        files.push(file);
      }
      const path = join(folder, "sw.js");
      const code = await readFile(path, "utf8");
      const filled = code
        .replaceAll("FILES", JSON.stringify(files))
        .replaceAll("VERSION", JSON.stringify(digest.digest("hex").slice(0, 16)));
      await writeFile(path, filled);
    },
  };
}

/** The licences of what is shipped. */
function licences(): Plugin {
  return {
    name: "licences",
    apply: "build",
    closeBundle: async () => {
      const texts = ["LICENSE-MIT", "LICENSE-APACHE", "weights/LICENSE-YuNet.txt"];
      for (const text of texts) {
        const name = `${basename(text, ".txt")}.txt`;
        await copyFile(join(repository, text), join(root, "../dist/page", name));
      }
    },
  };
}

export default defineConfig({
  root,
  // Wherever it is put.
  base: "./",
  resolve: {
    alias: [
      { find: "pentimento", replacement: resolve(import.meta.dirname, "src/pentimento.ts") },
      { find: /^weights-model/, replacement: join(weights, "mmrbnet-256.safetensors") },
      { find: /^weights-detector/, replacement: detector },
    ],
  },
  assetsInclude: ["**/*.safetensors", "**/*.pth"],
  worker: { format: "es" },
  build: {
    outDir: "../dist/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: join(root, "index.html"), sw: join(root, "offline/sw.ts") },
      output: {
        entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
  server: { fs: { allow: [repository, resolve(detector, "..")] } },
  plugins: [licences(), offline()],
});
