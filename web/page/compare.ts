/** Before and after, one over the other with a divider that moves. */

import type { Face } from "pentimento";
import { context, element, make } from "./dom";
import type { ShownFace } from "./messages";

const area = element("compare", HTMLDivElement);
const before = element("before", HTMLCanvasElement);
const after = element("after", HTMLCanvasElement);
const divider = element("divider", HTMLDivElement);
const frames = element("frames", HTMLDivElement);
const split = element("split", HTMLInputElement);

/** What is shown, for other strengths. */
let pictures: { before: ImageBitmap; after: ImageBitmap } | undefined;
/** Width and height of the photo in its own pixels. */
let photo = [1, 1] as [number, number];

/** Shows a photo that is not restored yet. */
export function showPhoto(bitmap: ImageBitmap, width: number, height: number): void {
  photo = [width, height];
  area.style.setProperty("--ratio", `${bitmap.width} / ${bitmap.height}`);
  area.style.setProperty("--width", `${bitmap.width}px`);
  for (const canvas of [before, after]) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    context(canvas).drawImage(bitmap, 0, 0);
  }
  bitmap.close();
  pictures?.before.close();
  pictures?.after.close();
  pictures = undefined;
  frames.replaceChildren();
  area.classList.add("working");
  move(0);
}

/** Draws a frame around every face. */
export function showFaces(faces: Face[]): void {
  frames.replaceChildren(
    ...faces.map((face) => {
      const frame = make("div", "", "frame");
      const [left, top, right, bottom] = face.bounds ?? around(face);
      const percent = (value: number, axis: 0 | 1) => `${(100 * value) / photo[axis]}%`;
      frame.style.left = percent(left, 0);
      frame.style.top = percent(top, 1);
      frame.style.width = percent(right - left, 0);
      frame.style.height = percent(bottom - top, 1);
      return frame;
    }),
  );
}

/** Shows face number `index` as it became, before all are done: in an oval, over the photo.
 * `scale`: pixels of the result per pixel of the photo. */
export function showFace(index: number, face: ShownFace | undefined, scale: number): void {
  frames.children[index]?.classList.add(face ? "restored" : "left");
  if (!face) {
    return;
  }
  const draw = context(after);
  const factor = after.width / (photo[0] * scale);
  const side = face.bitmap.width;
  draw.save();
  draw.setTransform(factor, 0, 0, factor, 0, 0);
  draw.transform(...face.transform);
  draw.beginPath();
  draw.ellipse(side / 2, 0.54 * side, 0.31 * side, 0.41 * side, 0, 0, 2 * Math.PI);
  draw.clip();
  draw.drawImage(face.bitmap, 0, 0);
  draw.restore();
}

/** Shows the result. */
export function showResult(was: ImageBitmap, is: ImageBitmap, strength: number): void {
  pictures = { before: was, after: is };
  for (const canvas of [before, after]) {
    canvas.width = is.width;
    canvas.height = is.height;
  }
  area.style.setProperty("--width", `${is.width}px`);
  context(before).drawImage(was, 0, 0);
  showStrength(strength);
  area.classList.remove("working");
  frames.replaceChildren();
  move(50);
}

/** Shows how it looks with less of the restored faces. */
export function showStrength(strength: number): void {
  if (!pictures) {
    return;
  }
  const draw = context(after);
  draw.globalAlpha = 1;
  draw.drawImage(pictures.before, 0, 0);
  draw.globalAlpha = strength;
  draw.drawImage(pictures.after, 0, 0);
  draw.globalAlpha = 1;
}

/** Nothing is worked on any more. */
export function showStopped(): void {
  area.classList.remove("working");
}

/** Puts the divider `percent` from the left. */
function move(percent: number): void {
  split.value = String(percent);
  divide();
}

function divide(): void {
  const percent = Number(split.value);
  after.style.clipPath = `inset(0 0 0 ${percent}%)`;
  divider.style.left = `${percent}%`;
  split.setAttribute("aria-valuetext", `${percent} % before, ${100 - percent} % after`);
}

split.addEventListener("input", divide);

/** A box around the landmarks of a face without bounds. */
function around(face: Face): [number, number, number, number] {
  const [xs, ys] = [0, 1].map((axis) => face.landmarks.map((point) => point[axis]!));
  const margin = Math.max(...xs!) - Math.min(...xs!);
  return [
    Math.min(...xs!) - margin / 2,
    Math.min(...ys!) - margin,
    Math.max(...xs!) + margin / 2,
    Math.max(...ys!) + margin / 2,
  ];
}
