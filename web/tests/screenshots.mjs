// Pictures of the page for docs/web: `node web/tests/screenshots.mjs`, after tools/web/build.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch, repository, serve, shared } from "./support.mjs";

if (!shared) {
  throw new Error("PENTIMENTO_SHARED does not name the folder with photos");
}
const output = join(repository, "docs/web");
await mkdir(output, { recursive: true });
const server = await serve({ page: join(repository, "web/dist/page"), photos: join(shared, "data/photos") });
const browser = await launch();

const DESKTOP = { width: 1180, height: 900 };
const PHONE = { width: 390, height: 844 };

async function open({ viewport = DESKTOP, colorScheme = "light" } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: 1 });
  context.setDefaultTimeout(240_000);
  const page = await context.newPage();
  // A driver that runs on the CPU takes longer than the CPU itself.
  await page.goto(`${server.origin}/page/?device=cpu`);
  return page;
}

async function shoot(page, name) {
  const path = join(output, `${name}.jpg`);
  await page.screenshot({ path, type: "jpeg", quality: 72, fullPage: true });
  console.log(path);
}

/** Three portraits beside each other, shrunk, gray, and compressed hard: an old photo of our own. */
async function oldPhoto(side, faces) {
  const page = await browser.newPage();
  await page.goto(`${server.origin}/page/icon.svg`);
  const base64 = await page.evaluate(
    async ({ side, faces }) => {
      const canvas = new OffscreenCanvas(side * faces.length, Math.round(1.15 * side));
      const draw = canvas.getContext("2d");
      draw.fillStyle = "#8d8578";
      draw.fillRect(0, 0, canvas.width, canvas.height);
      draw.filter = "sepia(0.75) contrast(0.8) brightness(1.05) blur(0.6px)";
      for (const [i, name] of faces.entries()) {
        const photo = await createImageBitmap(await (await fetch(`/photos/${name}`)).blob());
        draw.drawImage(photo, i * side, 0.15 * side * (i % 2), side, side);
      }
      const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.45 });
      const bytes = new Uint8Array(await blob.arrayBuffer());
      return btoa(String.fromCharCode(...bytes));
    },
    { side, faces },
  );
  await page.close();
  return { name: "grandparents.jpg", mimeType: "image/jpeg", buffer: Buffer.from(base64, "base64") };
}

const ready = (page) => page.locator("body[data-ready]").waitFor({ state: "attached" });
const restored = (page) =>
  page.waitForFunction(() => /pixels\.$/.test(document.getElementById("status").textContent));

const photo = await oldPhoto(250, ["portrait_03.jpg", "portrait_07.jpg", "portrait_12.jpg"]);

for (const [device, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open({ viewport, colorScheme });
    await ready(page);
    await shoot(page, `${device}-${colorScheme}-empty`);
    await page.setInputFiles("#file", photo);
    await restored(page);
    await shoot(page, `${device}-${colorScheme}-restored`);
    if (device === "desktop" && colorScheme === "light") {
      await page.getByText("For engineers").click();
      await page.getByLabel(/Time every kernel/).check();
      await page.locator("#kernels tbody tr").first().waitFor();
      await restored(page);
      await page.locator("#engineers").scrollIntoViewIfNeeded();
      await page.locator("#engineers").screenshot({ path: join(output, "engineers.jpg"), type: "jpeg", quality: 72 });
    }
    await page.context().close();
  }
}

const refused = await open({ viewport: PHONE });
await ready(refused);
await refused.setInputFiles("#file", { name: "letter.jpg", mimeType: "image/jpeg", buffer: Buffer.from("Dear Anna") });
await refused.getByRole("alert").waitFor();
await shoot(refused, "phone-light-refused");

await browser.close();

const plain = await launch({ webgpu: false });
const without = await plain.newPage({ viewport: DESKTOP });
await without.goto(`${server.origin}/page/`);
await without.getByRole("alert").waitFor();
await shoot(without, "desktop-light-no-webgpu");
await plain.close();
await server.close();
