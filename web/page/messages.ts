/** What the page and its worker say to each other. */

import type { Code, Device, Face, Outcome, RestoredFace, Timings } from "pentimento";

/** A piece of work: later ones replace earlier ones. */
export type Job = number;

/** To the worker. */
export type Request =
  | { kind: "load"; model: string; detector: string; device: "gpu" | "cpu" }
  /** Without a photo: the last one again. */
  | { kind: "restore"; job: Job; photo?: Blob; scale: number; timeSteps: boolean }
  | { kind: "encode"; job: Job; name: string; strength: number };

/** A restored face that can be sent. */
export interface ShownFace {
  bitmap: ImageBitmap;
  transform: RestoredFace["transform"];
}

/** From the worker. */
export type Reply =
  | { kind: "loading"; loaded: number; total: number }
  | { kind: "ready"; device: Device; architecture: string }
  | { kind: "photo"; job: Job; bitmap: ImageBitmap; width: number; height: number }
  | { kind: "faces"; job: Job; faces: Face[] }
  | { kind: "face"; job: Job; index: number; outcome: Outcome; face?: ShownFace }
  | { kind: "progress"; job: Job; done: number }
  | { kind: "lost"; job: Job }
  | {
      kind: "done";
      job: Job;
      before: ImageBitmap;
      after: ImageBitmap;
      width: number;
      height: number;
      faces: Outcome[];
      timings: Timings;
    }
  | { kind: "file"; job: Job; name: string; blob: Blob }
  | { kind: "failed"; job?: Job; code: Code; message: string };
