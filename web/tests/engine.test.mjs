// The engine in the page: PyTorch's goldens, and faces as the native program restores them.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { launch, native, needsShared, repository, serve, shared } from "./support.mjs";

/** Largest relative L2 error of an operation and of a network, in f32 and in f16. */
const OPERATION = { f32: 1e-5, f16: 2e-3 };
const NETWORK = { f32: 1e-4, f16: 2e-2 };

/** All cases, and each with the kernels for software too; otherwise one of each operation, because
 * SwiftShader takes seconds to compile a kernel. */
const all = Boolean(process.env.PENTIMENTO_ALL_OPERATIONS);

/** What a case computes, without its sizes. */
const operation = (name) => name.replace(/_(k?\d\w*|lr.*|demod.*|k3s2.*|size_.*)$/, "");

/** A page that holds the module of the tests. */
async function open(test, folders = {}) {
  const server = await serve({ tests: join(repository, "web/dist/tests"), ...folders });
  test.after(() => server.close());
  const browser = await launch();
  test.after(() => browser.close());
  const page = await browser.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") {
      test.diagnostic(message.text());
    }
  });
  await page.goto(server.origin);
  await page.evaluate(async () => {
    const engine = await import("/tests/engine/pentimento_web_tests.js");
    await engine.default();
    globalThis.engine = engine;
    globalThis.bytes = async (path) => {
      const response = await fetch(path);
      if (!response.ok) {
        throw new Error(`${path}: ${response.status}`);
      }
      return new Uint8Array(await response.arrayBuffer());
    };
  });
  return page;
}

test("single operations agree with PyTorch", needsShared, async (t) => {
  const folder = join(shared, "goldens/ops");
  const page = await open(t, { ops: folder });
  const cases = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .filter((name, i, names) => all || i === 0 || operation(name) !== operation(names[i - 1]));
  const results = await page.evaluate(
    async ({ cases, all }) => {
      const gpu = await engine.Gpu.open();
      const results = [];
      for (const name of cases) {
        const meta = await (await fetch(`/ops/${name}/meta.json`)).text();
        const files = new Map();
        const { tensors } = JSON.parse(meta);
        // The names of outputs beside the first are found by asking.
        for (const tensor of [...Object.keys(tensors), "output", "output_indices"]) {
          const response = await fetch(`/ops/${name}/${tensor}.npy`);
          if (response.ok) {
            files.set(tensor, new Uint8Array(await response.arrayBuffer()));
          }
        }
        for (const f16 of gpu.f16 ? [false, true] : [false]) {
          // The browser's driver runs on the CPU, where other kernels are chosen.
          for (const real of all ? [true, false] : [true]) {
            const read = (tensor) => files.get(tensor);
            const told = (error) => String(error.message ?? error);
            const error = await gpu.operation(name, meta, read, f16, real).catch(told);
            results.push({ name, f16, real, error });
          }
        }
      }
      return { f16: gpu.f16, results };
    },
    { cases, all },
  );
  const ran = results.results.filter(({ error }) => error !== undefined && error !== null);
  t.diagnostic(`${ran.length} results, f16 ${results.f16 ? "too" : "is not offered"}`);
  assert.ok(ran.length >= (all ? 100 : 50), `only ${ran.length} cases ran`);
  const wrong = ran.filter(({ name, f16, error }) => {
    // Weights so small that only the epsilon is left of them vanish in f16.
    const vanishes = f16 && name === "modconv_clean_eps";
    return !vanishes && !(error <= OPERATION[f16 ? "f16" : "f32"]);
  });
  assert.deepEqual(wrong, []);
});

test("small networks agree with PyTorch", async (t) => {
  const goldens = join(repository, "tests/goldens/mmrbnet");
  const page = await open(t, { goldens });
  for (const name of ["default", "fir_32_sft_half"]) {
    const error = await page.evaluate(async (name) => {
      const [checkpoint, input, output] = await Promise.all(
        ["checkpoint.safetensors", "input.npy", "output.npy"].map((file) =>
          bytes(`/goldens/${name}/${file}`),
        ),
      );
      return engine.network(checkpoint, input, output, false);
    }, name);
    t.diagnostic(`${name}: ${error.toExponential(2)}`);
    assert.ok(error <= NETWORK.f32, `${name}: ${error}`);
  }
});

test("faces are restored as the native program restores them", needsShared, async (t) => {
  const folder = join(shared, "data/faces-256/val");
  const faces = readdirSync(folder).sort().filter((_, i) => i % 30 === 0).slice(0, 3);
  assert.equal(faces.length, 3);
  const page = await open(t, { faces: folder, weights: join(repository, "weights") });
  for (const name of faces) {
    const device = ["--device", "cpu", "--aligned"];
    const result = await native(t, `${basename(name)}.png`, join(folder, name), ...device);
    const [mean, largest] = await page.evaluate(
      async ({ name, native }) => {
        const weights = await bytes("/weights/mmrbnet-256.safetensors");
        const file = await bytes(`/faces/${name}`);
        const decoded = Uint8Array.from(atob(native), (c) => c.charCodeAt(0));
        return [...(await engine.face(weights, file, decoded))];
      },
      { name, native: readFileSync(result).toString("base64") },
    );
    t.diagnostic(`${name}: ${mean.toFixed(4)} levels on average, ${largest} at most`);
    assert.ok(mean <= 1, `${name}: ${mean} levels`);
  }
});
