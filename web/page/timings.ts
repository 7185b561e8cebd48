/** The panel for engineers. */

import type { Device, Timings } from "pentimento";
import { element, make } from "./dom";

const facts = element("facts", HTMLDListElement);
const table = element("kernels", HTMLTableElement);

/** What is known, in the order in which it is shown. */
const known = new Map<string, string>();

function tell(name: string, value: string): void {
  known.set(name, value);
  facts.replaceChildren(
    ...[...known].flatMap(([name, value]) => [make("dt", name), make("dd", value)]),
  );
}

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;
const percent = (part: number) => (part < 0.005 ? "< 1 %" : `${(100 * part).toFixed(0)} %`);

/** Tells of the device, and how long everything took since the page was opened. */
export function tellReady(device: Device, architecture: string, cached: boolean): void {
  tell("Device", [...new Set([device.name, device.kind, device.backend])].filter(Boolean).join(", "));
  tell("Features", device.features.join(", ") || "none");
  if (device.kind !== "cpu") {
    tell("Workgroup memory", `${device.workgroup_memory / 1024} KiB`);
    tell("Largest binding", `${Math.round(device.max_binding / 2 ** 20)} MiB`);
  }
  tell("Network", architecture);
  const from = cached ? "weights from the cache" : "weights from the network";
  tell("From opening the page to ready", `${seconds(performance.now())} (${from})`);
}

/** Tells of the first face of the page's first photo, which had been there for `elapsed` ms. */
export function tellFirst(elapsed: number): void {
  if (!known.has("From the first photo to its first face")) {
    tell("From the first photo to its first face", seconds(elapsed));
  }
}

/** Tells where the time of a photo went, which took `elapsed` ms. */
export function tellTimings(elapsed: number, timings: Timings, faces: number): void {
  tell("Last photo", `${seconds(elapsed)}, ${faces} ${faces === 1 ? "face" : "faces"}`);
  tell("Network on its last face", seconds(timings.total));
  const kernels = new Map<string, { steps: number; time: number }>();
  for (const { kernel, time } of timings.steps) {
    const row = kernels.get(kernel) ?? { steps: 0, time: 0 };
    kernels.set(kernel, { steps: row.steps + 1, time: row.time + time });
  }
  table.hidden = kernels.size === 0;
  const all = timings.steps.reduce((sum, step) => sum + step.time, 0);
  const rows = [...kernels].sort(([, a], [, b]) => b.time - a.time);
  table.tBodies[0]?.replaceChildren(
    ...rows.map(([kernel, { steps, time }]) => {
      const share = all > 0 ? time / all : 0;
      const row = make("tr");
      const name = make("th", kernel);
      name.scope = "row";
      const bar = make("td", "", "bar");
      const filled = make("div");
      filled.style.width = `${100 * share}%`;
      bar.append(filled, make("span", percent(share)));
      const spent = make("td", `${time.toFixed(1)} ms`, "number");
      row.append(name, make("td", String(steps), "number"), spent, bar);
      return row;
    }),
  );
}
