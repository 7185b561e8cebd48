/** What went wrong, in plain words, and what to do about it. */

import type { Code } from "pentimento";
import { element } from "./dom";

const box = element("notice", HTMLDivElement);
const text = element("notice-text", HTMLParagraphElement);
const advice = element("notice-advice", HTMLParagraphElement);
const action = element("notice-action", HTMLButtonElement);

/** What a person can do. */
interface Ways {
  onCpu?: () => void;
  onReload?: () => void;
}

/** Shows what went wrong. */
export function notice(code: Code | "camera", message: string, ways: Ways): void {
  // Those about pictures begin with a file's name.
  const sentence =
    code === "image" ? message : message.charAt(0).toUpperCase() + message.slice(1);
  const [what, todo] = words(code, sentence);
  text.textContent = what;
  advice.textContent = todo;
  const [label, way] = offer(code, ways);
  action.hidden = way === undefined;
  action.textContent = label;
  action.onclick = way ?? null;
  box.hidden = false;
}

/** Takes it away again. */
export function clearNotice(): void {
  box.hidden = true;
}

function words(code: Code | "camera", sentence: string): [string, string] {
  const ended = /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
  switch (code) {
    case "no-webgpu":
      return [
        "This browser does not let the page use the graphics chip (WebGPU).",
        `${ended} You can also go on without it: it takes longer.`,
      ];
    case "fetch":
      return ["What restores the faces could not be fetched.", ended];
    case "image":
      return ["This file cannot be read as a photo.", ended];
    case "memory":
      return ["This photo needs more memory than there is.", `${ended} A smaller one may do.`];
    case "device-lost":
      return [
        "The graphics device stopped working, twice.",
        "Load the page again, close other pages that draw much, or go on without it.",
      ];
    case "camera":
      return [ended, "You can choose a photo from your files instead."];
    default:
      return ["Something went wrong.", ended];
  }
}

function offer(code: Code | "camera", ways: Ways): [string, (() => void) | undefined] {
  switch (code) {
    case "no-webgpu":
    case "device-lost":
    case "device":
      return ["Go on without it", ways.onCpu];
    case "fetch":
      return ["Try again", ways.onReload];
    default:
      return ["", undefined];
  }
}
