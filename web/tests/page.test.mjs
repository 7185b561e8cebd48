// The page, as somebody uses it.

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, needsShared, repository, serve, shared } from "./support.mjs";

/** SwiftShader takes minutes to compile the network's kernels, more beside other work: one test is
 * for the GPU, the others let the engine compute on the CPU. */
const PATIENCE = 600_000;
const ON_CPU = "?device=cpu";
const photo = shared && join(shared, "data/scenes/t2i_006379ab91.jpg");
const other = shared && join(shared, "data/scenes/t2i_00cb962437.jpg");

let server;
let browser;
let scratch;

before(async () => {
  server = await serve({ page: join(repository, "web/dist/page") });
  browser = await launch();
  scratch = await mkdtemp(join(tmpdir(), "pentimento-web-"));
});

after(async () => {
  await browser?.close();
  await server?.close();
  await rm(scratch, { recursive: true, force: true });
});

/** The page in a context of its own; what it asks for and what it complains of is kept. */
async function open(test, { options = {}, from = browser, query = ON_CPU } = {}) {
  const context = await from.newContext({ acceptDownloads: true, ...options });
  test.after(() => context.close());
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const requests = [];
  const complaints = [];
  context.on("request", (request) => requests.push(`${request.method()} ${request.url()}`));
  page.on("console", (message) => {
    if (message.type() === "error") {
      complaints.push(message.text());
    }
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      globalThis.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
    });
  });
  await page.goto(`${server.origin}/page/${query}`);
  return { page, context, requests, complaints };
}

const ready = (page) => page.locator("body[data-ready]").waitFor({ state: "attached" });
const status = (page) => page.locator("#status");
const restored = (page) =>
  page.waitForFunction(() => /restored|No face was found/.test(document.getElementById("status").textContent));

/** Drops a file on the page, as the browser itself does. */
async function drop(page, path) {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await session.send("Input.dispatchDragEvent", { type, x: 200, y: 300, data });
  }
}

/** Presses "Download", checks the file's name and yields its bytes. */
async function download(page, name) {
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download" }).click(),
  ]);
  assert.equal(file.suggestedFilename(), name);
  return readFile(await file.path());
}

test("a photo is dropped, its faces are restored, the result is downloaded", needsShared, async (t) => {
  const { page, requests, complaints } = await open(t);
  await ready(page);
  await drop(page, photo);
  await restored(page);
  assert.match(await status(page).textContent(), /^[1-9]\d* faces? restored/);
  assert.ok((await page.locator("#faces canvas").count()) >= 1);
  const bytes = await download(page, "t2i_006379ab91-restored.jpg");
  assert.deepEqual([...bytes.subarray(0, 3)], [0xff, 0xd8, 0xff]);
  assert.notDeepEqual(bytes, await readFile(photo));
  const own = [`GET ${server.origin}/page/`, `GET blob:${server.origin}/`];
  const foreign = requests.filter((request) => !own.some((start) => request.startsWith(start)));
  assert.deepEqual(foreign, [], "requests to elsewhere");
  assert.deepEqual(await page.evaluate(() => globalThis.violations), []);
  assert.deepEqual(complaints, []);
});

test("the GPU restores a photo, and when it is lost, another one", needsShared, async (t) => {
  const { page, complaints } = await open(t, { query: "" });
  await ready(page);
  await page.getByText("For engineers").click();
  assert.match(await page.locator("#facts").textContent(), /webgpu/);
  await page.getByLabel(/Time every kernel/).check();
  await drop(page, photo);
  await restored(page);
  assert.match(await status(page).textContent(), /^[1-9]\d* faces? restored/);
  const rows = await page.locator("#kernels tbody tr").allTextContents();
  t.diagnostic(rows.slice(0, 3).join(" | "));
  assert.ok(rows.length >= 3, `${rows.length} kernels`);
  t.diagnostic(await page.locator("#facts").textContent());
  await download(page, "t2i_006379ab91-restored.jpg");
  assert.deepEqual(complaints, []);

  const [worker] = page.workers();
  await worker.evaluate(() => {
    const { createBuffer } = GPUDevice.prototype;
    let left = 20;
    GPUDevice.prototype.createBuffer = function (descriptor) {
      left -= 1;
      if (left === 0) {
        this.destroy();
      }
      return createBuffer.call(this, descriptor);
    };
  });
  const seen = [];
  await page.exposeFunction("saw", (text) => seen.push(text));
  await page.evaluate(() => {
    const status = document.getElementById("status");
    new MutationObserver(() => globalThis.saw(status.textContent)).observe(status, { childList: true });
  });
  await page.setInputFiles("#file", other);
  await page.waitForFunction(() => /lost/.test(document.getElementById("status").textContent));
  await restored(page);
  assert.ok(seen.some((text) => /lost/.test(text)), `it was said: ${seen.join(" | ")}`);
  await download(page, "t2i_00cb962437-restored.jpg");
});

test("after the page is ready it only asks for its own files", needsShared, async (t) => {
  const { page, requests } = await open(t);
  await ready(page);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const before = requests.length;
  await page.setInputFiles("#file", photo);
  await restored(page);
  const asked = requests.slice(before).filter((request) => !request.includes("blob:"));
  const own = `GET ${server.origin}/page/assets/`;
  assert.deepEqual(asked.filter((request) => !request.startsWith(own)), []);
});

test("keys move the divider and change the strength, which changes the picture", needsShared, async (t) => {
  const { page } = await open(t);
  await ready(page);
  await page.setInputFiles("#file", photo);
  await restored(page);
  const split = page.getByRole("slider", { name: "Between before and after" });
  await split.focus();
  await page.keyboard.press("Home");
  assert.equal(await split.getAttribute("aria-valuetext"), "0 % before, 100 % after");
  const digest = (canvas) =>
    page.evaluate(async (id) => {
      const canvas = document.getElementById(id);
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return [...new Uint8Array(await crypto.subtle.digest("SHA-256", data))].join();
    }, canvas);
  const full = await digest("after");
  await page.getByRole("slider", { name: "Strength" }).focus();
  await page.keyboard.press("Home");
  const none = await digest("after");
  const original = await digest("before");
  assert.equal(none, original, "without strength it is the photo");
  assert.notEqual(full, original);
});

test("a photo can be enlarged", needsShared, async (t) => {
  const { page } = await open(t);
  await ready(page);
  await page.setInputFiles("#file", photo);
  await restored(page);
  const size = async () => (await status(page).textContent()).match(/(\d+) × (\d+)/).slice(1).map(Number);
  const [width, height] = await size();
  await page.getByRole("radio", { name: "Twice" }).check({ force: true });
  await page.waitForFunction(
    (wanted) => document.getElementById("status").textContent.includes(wanted),
    `${2 * width} × ${2 * height}`,
  );
});

test("a second photo takes the place of the first", needsShared, async (t) => {
  const { page, complaints } = await open(t);
  await ready(page);
  await page.setInputFiles("#file", photo);
  await page.waitForFunction(() => /Looking|found/.test(document.getElementById("status").textContent));
  await page.setInputFiles("#file", other);
  await restored(page);
  await download(page, "t2i_00cb962437-restored.jpg");
  assert.deepEqual(complaints, []);
});

test("a photo comes from the clipboard", needsShared, async (t) => {
  const { page } = await open(t);
  await ready(page);
  const bytes = (await readFile(photo)).toString("base64");
  await page.evaluate((base64) => {
    const data = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([data], "pasted.jpg", { type: "image/jpeg" }));
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
  }, bytes);
  await restored(page);
  assert.match(await status(page).textContent(), /restored/);
});

test("a photo is taken with the camera", async (t) => {
  const { page } = await open(t, { options: { permissions: ["camera"] } });
  await ready(page);
  await page.getByRole("button", { name: "Take one" }).click();
  await page.waitForFunction(() => document.getElementById("camera-view").videoWidth > 0);
  await page.getByRole("button", { name: "Take the photo" }).click();
  await restored(page);
  assert.ok(await page.locator("#result").isVisible());
  assert.equal(await page.evaluate(() => document.getElementById("camera-view").srcObject), null);
});

test("a file that is no photo, and one that is broken, are refused in words", needsShared, async (t) => {
  const { page, complaints } = await open(t);
  await ready(page);
  const text = join(scratch, "letter.jpg");
  await writeFile(text, "Dear Anna, here is the photo.");
  const broken = join(scratch, "broken.jpg");
  const whole = await readFile(photo);
  await writeFile(broken, whole.subarray(0, whole.length / 2));
  for (const file of [text, broken]) {
    await page.setInputFiles("#file", file);
    const notice = page.getByRole("alert");
    await notice.waitFor();
    assert.match(await notice.textContent(), /This file cannot be read as a photo/);
    t.diagnostic((await notice.textContent()).replace(/\s+/g, " ").trim());
  }
  assert.ok(await page.locator("#welcome").isVisible(), "another one can be brought");
  await page.setInputFiles("#file", photo);
  await restored(page);
  assert.ok(await page.getByRole("alert").isHidden());
  assert.deepEqual(complaints, []);
});

test("without WebGPU the page says so, and goes on without it when asked", needsShared, async (t) => {
  const plain = await launch({ webgpu: false });
  t.after(() => plain.close());
  const { page } = await open(t, { from: plain, query: "" });
  const notice = page.getByRole("alert");
  await notice.waitFor();
  assert.match(await notice.textContent(), /WebGPU/);
  await page.getByRole("button", { name: "Go on without it" }).click();
  await ready(page);
  await page.setInputFiles("#file", photo);
  await restored(page);
  assert.match(await status(page).textContent(), /^[1-9]\d* faces? restored/);
});

test("the page works offline once it was seen", needsShared, async (t) => {
  const { page, context } = await open(t);
  await ready(page);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await context.setOffline(true);
  await page.reload();
  await ready(page);
  assert.match(await page.locator("#facts").textContent(), /weights from the cache/);
  await page.setInputFiles("#file", photo);
  await restored(page);
  assert.match(await status(page).textContent(), /^[1-9]\d* faces? restored/);
});

test("engineers see how long it took", needsShared, async (t) => {
  const { page } = await open(t);
  await ready(page);
  await page.getByText("For engineers").click();
  await page.setInputFiles("#file", photo);
  await restored(page);
  const facts = await page.locator("#facts").textContent();
  t.diagnostic(facts);
  assert.match(facts, /From opening the page to ready/);
  assert.match(facts, /From the first photo to its first face/);
});

test("axe finds nothing to complain of", needsShared, async (t) => {
  const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
  for (const colorScheme of ["light", "dark"]) {
    // Scripts that the policy does not know, such as axe itself.
    const { page } = await open(t, { options: { colorScheme, bypassCSP: true } });
    const check = async (state) => {
      await page.addScriptTag({ path: axe });
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html).join(" ")}`);
      assert.deepEqual(found, [], `${colorScheme}, ${state}`);
    };
    await ready(page);
    await check("empty");
    await page.setInputFiles("#file", photo);
    await restored(page);
    await page.getByText("For engineers").click();
    await check("restored");
    const text = join(scratch, "note.jpg");
    await writeFile(text, "no photo");
    await page.setInputFiles("#file", text);
    await page.getByRole("alert").waitFor();
    await check("refused");
  }
});

test("the files are as small as they should be", async () => {
  const folder = join(repository, "web/dist/page");
  const files = await readdir(folder, { recursive: true });
  let [wasm, rest] = [0, 0];
  for (const file of files) {
    const { size } = await stat(join(folder, file));
    if (file.endsWith(".wasm")) {
      wasm += size;
    } else if (/\.[a-z]+$/.test(file) && !/\.(safetensors|pth)$/.test(file)) {
      rest += size;
    }
  }
  assert.ok(wasm > 100_000 && wasm <= 2.5e6, `the WebAssembly file has ${wasm} bytes`);
  assert.ok(rest <= 300_000, `the page has ${rest} bytes besides`);
});
