// The engine in the page: PyTorch's goldens, and faces as the native program restores them.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { launch, native, needsShared, repository, serve, shared } from "./support.mjs";

/** Largest relative L2 error of an operation and of a network, in f32 and in f16. */
const OPERATION = { f32: 1e-5, f16: 2e-3 };
const NETWORK = { f32: 1e-4, f16: 2e-2 };

/** How long a case may take, in milliseconds: SwiftShader compiles its kernels in it. */
const LIMIT = 60_000;

/** How long a test may take: on an idle machine all operations take one minute. */
const patience = { timeout: 900_000 };

/** Cases of steps behind the networks, and of several outputs: the native tests run them. */
const ELSEWHERE = ["fpn_odd", "nms", "priors_decode_64x96", "priors_decode_75x131"];

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

/** Runs one case with the page's GPU; yields its relative L2 error, or null where it is not known how
 * it is built. `tensors`: the names of its files. */
async function operation({ name, tensors, f16 }) {
  const meta = await (await fetch(`/ops/${name}/meta.json`)).text();
  const files = new Map();
  for (const tensor of tensors) {
    files.set(tensor, await bytes(`/ops/${name}/${tensor}.npy`));
  }
  return (await gpu.operation(name, meta, (tensor) => files.get(tensor), f16)) ?? null;
}

test("single operations agree with PyTorch", { ...needsShared, ...patience }, async (t) => {
  const folder = join(shared, "goldens/ops");
  const cases = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !ELSEWHERE.includes(entry.name))
    .map(({ name }) => {
      const files = readdirSync(join(folder, name)).filter((file) => file.endsWith(".npy"));
      return { name, tensors: files.map((file) => basename(file, ".npy")) };
    });
  assert.ok(cases.length >= 100, `only ${cases.length} cases were found`);
  const fresh = async () => {
    const page = await open(t, { ops: folder });
    const f16 = await page.evaluate(async () => {
      globalThis.gpu = await engine.Gpu.open();
      return gpu.f16;
    });
    return { page, f16 };
  };
  let { page, f16: offered } = await fresh();
  t.diagnostic(offered ? "f16 too" : "f16 is not offered");
  const largest = { f32: 0, f16: 0 };
  for (const dtype of ["f32", "f16"]) {
    for (const { name, tensors } of dtype === "f16" && !offered ? [] : cases) {
      // Weights so small that only the epsilon is left of them vanish in f16.
      if (dtype === "f16" && name === "modconv_clean_eps") {
        continue;
      }
      let ended = false;
      await t.test(`${name}, ${dtype}`, { timeout: LIMIT }, async () => {
        const error = await page.evaluate(operation, { name, tensors, f16: dtype === "f16" });
        ended = true;
        assert.notEqual(error, null, "it is not known how this is built");
        assert.ok(error <= OPERATION[dtype], `relative error ${error}`);
        largest[dtype] = Math.max(largest[dtype], error);
      });
      // A page whose GPU hangs computes nothing else.
      if (!ended) {
        await page.context().browser().close();
        ({ page } = await fresh());
      }
    }
  }
  t.diagnostic(`largest relative error: ${largest.f32.toExponential(1)}`);
});

test("small networks agree with PyTorch", patience, async (t) => {
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

test("faces are restored as the native program restores them", { ...needsShared, ...patience }, async (t) => {
  const folder = join(shared, "data/faces-256/val");
  const faces = readdirSync(folder).sort().filter((_, i) => i % 30 === 0).slice(0, 3);
  assert.equal(faces.length, 3);
  const page = await open(t, { faces: folder, weights: join(repository, "weights") });
  await page.evaluate(async () => {
    globalThis.network = await engine.Faces.open(await bytes("/weights/mmrbnet-256.safetensors"));
  });
  for (const name of faces) {
    const device = ["--device", "cpu", "--aligned"];
    const result = await native(t, `${basename(name)}.png`, join(folder, name), ...device);
    const [mean, largest] = await page.evaluate(
      async ({ name, native }) => {
        const decoded = Uint8Array.from(atob(native), (c) => c.charCodeAt(0));
        return [...(await network.compare(await bytes(`/faces/${name}`), decoded))];
      },
      { name, native: readFileSync(result).toString("base64") },
    );
    t.diagnostic(`${name}: ${mean.toFixed(4)} levels on average, ${largest} at most`);
    assert.ok(mean <= 1, `${name}: ${mean} levels`);
  }
});
