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

const DESKTOP = { viewport: { width: 1180, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

async function open(device, colorScheme = "light", query = "?device=cpu") {
  const context = await browser.newContext({ ...device, colorScheme });
  context.setDefaultTimeout(240_000);
  const page = await context.newPage();
  // A driver that runs on the CPU takes longer than the CPU itself.
  await page.goto(`${server.origin}/page/${query}`);
  return page;
}

async function shoot(page, name) {
  const path = join(output, `${name}.jpg`);
  // All of the page; `fullPage` would forget that a phone has no mouse.
  const { width } = page.viewportSize();
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width, height });
  await page.screenshot({ path, type: "jpeg", quality: 80 });
  console.log(path);
}

/** Portraits stuck beside each other on a page of an album, shrunk, brown, blurred and compressed: an
 * old photo of our own. `side`: of a print, in pixels. */
async function oldPhoto(side, faces) {
  const page = await browser.newPage();
  await page.goto(`${server.origin}/page/icon.svg`);
  const base64 = await page.evaluate(
    async ({ side, faces }) => {
      const border = Math.round(side / 24);
      const margin = Math.round(side / 10);
      const step = side + 2 * border + margin;
      const canvas = new OffscreenCanvas(step * faces.length + margin, step + margin);
      const draw = canvas.getContext("2d");
      draw.fillStyle = "#4a3f35";
      draw.fillRect(0, 0, canvas.width, canvas.height);
      for (const [i, name] of faces.entries()) {
        const photo = await createImageBitmap(await (await fetch(`/photos/${name}`)).blob());
        // As many pixels as a cheap scan of a small print has.
        const scan = new OffscreenCanvas(side / 2, side / 2);
        scan.getContext("2d").drawImage(photo, 0, 0, side / 2, side / 2);
        draw.save();
        draw.translate(margin + step * i + step / 2 - margin / 2, margin / 2 + step / 2);
        draw.rotate((i % 2 ? 1 : -1) * (faces.length > 1 ? 0.012 : 0));
        draw.fillStyle = "#efe6d2";
        draw.fillRect(-side / 2 - border, -side / 2 - border, side + 2 * border, side + 2 * border);
        draw.filter = "sepia(0.8) contrast(0.85) brightness(1.03)";
        draw.imageSmoothingQuality = "high";
        draw.drawImage(scan, -side / 2, -side / 2, side, side);
        draw.restore();
      }
      const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.6 });
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

const album = await oldPhoto(280, ["portrait_03.jpg", "portrait_11.jpg", "portrait_38.jpg"]);
const print = await oldPhoto(320, ["portrait_38.jpg"]);

for (const [name, device, photo] of [["desktop", DESKTOP, album], ["phone", PHONE, print]]) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(device, colorScheme);
    await ready(page);
    await shoot(page, `${name}-${colorScheme}-empty`);
    await page.setInputFiles("#file", photo);
    await restored(page);
    await shoot(page, `${name}-${colorScheme}-restored`);
    await page.context().close();
  }
}

const engineers = await open(DESKTOP, "light", "");
await ready(engineers);
await engineers.getByText("For engineers").click();
await engineers.getByLabel(/Time every kernel/).check();
await engineers.setInputFiles("#file", album);
await restored(engineers);
const panel = { path: join(output, "engineers.jpg"), type: "jpeg", quality: 80 };
await engineers.locator("#engineers").screenshot(panel);
console.log(panel.path);
await engineers.context().close();

const refused = await open(PHONE);
await ready(refused);
await refused.setInputFiles("#file", { name: "letter.jpg", mimeType: "image/jpeg", buffer: Buffer.from("Dear Anna") });
await refused.getByRole("alert").waitFor();
await shoot(refused, "phone-light-refused");

await browser.close();

const plain = await launch({ webgpu: false });
const without = await plain.newPage(DESKTOP);
await without.goto(`${server.origin}/page/`);
await without.getByRole("alert").waitFor();
await shoot(without, "desktop-light-no-webgpu");
await plain.close();
await server.close();
