/** The page: takes photos, hands them to the worker, shows what comes back. */

import modelUrl from "weights-model?url";
import detectorUrl from "weights-detector?url";
import { wireCamera } from "./camera";
import * as compare from "./compare";
import { context, element, make } from "./dom";
import type { Job, Reply, Request, ShownFace } from "./messages";
import { clearNotice, notice } from "./notice";
import { tellFirst, tellReady, tellTimings } from "./timings";

const welcome = element("welcome", HTMLElement);
const result = element("result", HTMLElement);
const status = element("status", HTMLElement);
const progress = element("progress", HTMLProgressElement);
const file = element("file", HTMLInputElement);
const strength = element("strength", HTMLInputElement);
const strengthValue = element("strength-value", HTMLOutputElement);
const download = element("download", HTMLButtonElement);
const faces = element("faces", HTMLUListElement);
const timeSteps = element("time-steps", HTMLInputElement);

/** Asked for last; replies to earlier work are ignored. */
let job: Job = 0;
/** When the photo of this work came. */
let since = 0;
let name = "photo";
/** The result that is shown, and the name of its photo. */
let shown: { job: Job; name: string } | undefined;
let scale = 1;
let found = 0;
let done = 0;
let ready = false;
let cached = true;

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const ask = (request: Request) => worker.postMessage(request);

function load(device: "gpu" | "cpu"): void {
  const [model, detector] = [modelUrl, detectorUrl].map(
    (url) => new URL(url, document.baseURI).href,
  );
  ask({ kind: "load", model: model!, detector: detector!, device });
}

function say(text: string, part?: number): void {
  // Once: screen readers read it out.
  if (status.textContent !== text) {
    status.textContent = text;
  }
  progress.hidden = part === undefined;
  progress.value = part ?? 0;
}

const plural = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** Takes a new photo, in place of what is worked on. */
function take(photo: Blob): void {
  clearNotice();
  name = photo instanceof File ? photo.name : "photo.png";
  start(photo);
}

function start(photo?: Blob): void {
  job += 1;
  since = performance.now();
  found = done = 0;
  scale = Number(document.querySelector<HTMLInputElement>("[name=scale]:checked")?.value ?? 1);
  if (ready) {
    say("Opening the photo …", 0);
  }
  const again = photo ? { photo } : {};
  ask({ kind: "restore", job, scale, timeSteps: timeSteps.checked, ...again });
}

worker.onmessage = ({ data: reply }: MessageEvent<Reply>) => {
  if ("job" in reply && reply.job !== undefined && reply.job !== job && reply.kind !== "file") {
    return;
  }
  switch (reply.kind) {
    case "loading": {
      const { loaded, total } = reply;
      cached = false;
      const size = `${Math.round(total / 1e6)} MB, once`;
      say(`Fetching what restores faces: ${size}`, total ? loaded / total : 0);
      break;
    }
    case "ready":
      ready = true;
      document.body.dataset.ready = "";
      tellReady(reply.device, reply.architecture, cached);
      say(job === 0 ? "" : "Opening the photo …", job === 0 ? undefined : 0);
      break;
    case "photo":
      shown = undefined;
      download.disabled = true;
      welcome.hidden = true;
      result.hidden = false;
      compare.showPhoto(reply.bitmap, reply.width, reply.height);
      say("Looking for faces …", 0);
      break;
    case "faces":
      found = reply.faces.length;
      done = 0;
      faces.replaceChildren();
      compare.showFaces(reply.faces);
      say(found ? `${plural(found, "face")} found, restoring …` : "No face was found.", 0);
      break;
    case "face":
      done = Math.max(done, reply.index + 1);
      tellFirst(performance.now() - since);
      compare.showFace(reply.index, reply.face, scale);
      listFace(reply.index, reply.outcome.skipped, reply.face);
      say(`Face ${done} of ${found} is done.`, done / found);
      break;
    case "progress":
      if (found && done < found) {
        progress.value = Math.max(progress.value, reply.done);
      }
      break;
    case "lost":
      say("The graphics device was lost. Starting again on a new one …", 0);
      break;
    case "done": {
      compare.showResult(reply.before, reply.after, Number(strength.value) / 100);
      const restored = reply.faces.filter((face) => face.skipped === undefined).length;
      tellTimings(performance.now() - since, reply.timings, reply.faces.length);
      shown = { job, name };
      download.disabled = false;
      say(summary(reply.faces.length, restored, reply.width, reply.height));
      break;
    }
    case "file":
      save(reply.blob, reply.name);
      break;
    case "failed":
      if (reply.code === "cancelled") {
        break;
      }
      say("");
      compare.showStopped();
      notice(reply.code, reply.message, {
        onCpu: () => {
          clearNotice();
          say("Getting ready …", 0);
          load("cpu");
        },
        onReload: () => location.reload(),
      });
      break;
  }
};

function summary(all: number, restored: number, width: number, height: number): string {
  const size = `${width} × ${height} pixels`;
  if (all === 0) {
    return `No face was found in this photo. It is shown as it is, ${size}.`;
  }
  const left = all - restored;
  const others = left ? `, ${left} left as ${left === 1 ? "it was" : "they were"}` : "";
  return `${plural(restored, "face")} restored${others}. ${size}.`;
}

/** Adds a face to the row below the photo. */
function listFace(index: number, skipped: string | undefined, face?: ShownFace): void {
  const item = make("li");
  if (face) {
    const canvas = make("canvas");
    canvas.width = canvas.height = face.bitmap.width;
    context(canvas).drawImage(face.bitmap, 0, 0);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Face ${index + 1}, restored`);
    item.append(canvas);
  } else {
    item.append(make("p", `Face ${index + 1} was left as it was: ${skipped ?? ""}.`));
  }
  faces.append(item);
}

function save(blob: Blob, name: string): void {
  const link = make("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** The result's name: that of the photo, in a format that is written. */
function resultName(photo: string): string {
  const [, stem = "photo", extension = ""] = /^(.*?)(?:\.([^.]*))?$/.exec(photo) ?? [];
  const known = /^(jpe?g|png|webp|tiff?|bmp)$/i.test(extension);
  return `${stem}-restored.${known ? extension.toLowerCase() : "jpg"}`;
}

function wire(): void {
  file.addEventListener("change", () => {
    const photo = file.files?.[0];
    if (photo) {
      take(photo);
    }
    // So that the same file can be chosen again.
    file.value = "";
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) {
      document.body.classList.remove("over");
    }
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    const photo = event.dataTransfer?.files[0];
    if (photo) {
      take(photo);
    }
  });
  document.addEventListener("paste", (event) => {
    const photo = [...(event.clipboardData?.files ?? [])].find((f) => f.type.startsWith("image/"));
    if (photo) {
      take(photo);
    }
  });
  strength.addEventListener("input", () => {
    strengthValue.value = `${strength.value} %`;
    compare.showStrength(Number(strength.value) / 100);
  });
  for (const choice of document.querySelectorAll("[name=scale]")) {
    choice.addEventListener("change", () => start());
  }
  timeSteps.addEventListener("change", () => {
    if (!result.hidden) {
      start();
    }
  });
  download.addEventListener("click", () => {
    if (shown) {
      const name = resultName(shown.name);
      ask({ kind: "encode", job: shown.job, name, strength: Number(strength.value) / 100 });
    }
  });
  element("another", HTMLButtonElement).addEventListener("click", () => file.click());
  wireCamera(take, (why) => notice("camera", why, {}));
}

wire();
say("Getting ready …", 0);
// `?device=cpu`: without WebGPU also where it is there.
load(new URLSearchParams(location.search).get("device") === "cpu" ? "cpu" : "gpu");
if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register(new URL("sw.js", document.baseURI)).catch(() => undefined);
}
