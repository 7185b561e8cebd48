/** The engine in a thread of its own, so that the page never stands still. */

import { Pentimento, forget, isPentimentoError, type Photo, type Restored } from "pentimento";
import type { Job, Reply, Request } from "./messages";

/** The longer side of what is shown, at most: some browsers' canvases hold no more. */
const SHOWN = 2560;

const scope = self as unknown as {
  postMessage(message: Reply, transfer: Transferable[]): void;
  onmessage: (event: MessageEvent<Request>) => void;
};

let engine: Promise<Pentimento> | undefined;
let photo: Photo | undefined;
let restored: { job: Job; result: Restored } | undefined;
let running: AbortController | undefined;
/** One piece of work ends before the next begins. */
let last: Promise<void> = Promise.resolve();

scope.onmessage = ({ data: request }) => {
  switch (request.kind) {
    case "load":
      engine = Pentimento.load({
        model: request.model,
        detector: request.detector,
        device: request.device,
        onProgress: (progress) => say({ kind: "loading", ...progress }),
      });
      engine.then(
        ({ device, architecture }) => {
          say({ kind: "ready", device, architecture });
          // Weights of earlier versions of the page.
          void forget([request.model, request.detector]);
        },
        (error: unknown) => fail(error),
      );
      break;
    case "restore": {
      running?.abort();
      const stop = (running = new AbortController());
      last = last.then(() => restore(request, stop.signal));
      break;
    }
    case "encode":
      try {
        if (restored?.job === request.job) {
          const blob = restored.result.blob(request.name, request.strength);
          say({ kind: "file", job: request.job, name: request.name, blob });
        }
      } catch (error) {
        fail(error, request.job);
      }
      break;
  }
};

async function restore(
  request: Extract<Request, { kind: "restore" }>,
  signal: AbortSignal,
): Promise<void> {
  const { job, scale } = request;
  try {
    const pentimento = await engine;
    if (!pentimento || signal.aborted) {
      return;
    }
    if (request.photo) {
      const decoded = await Pentimento.decode(request.photo);
      photo?.free();
      photo = decoded;
    }
    if (!photo) {
      return;
    }
    const { width, height } = photo;
    const seen = await shown(new ImageData(photo.pixels(), width, height));
    say({ kind: "photo", job, bitmap: seen, width, height }, [seen]);
    pentimento.timeSteps(request.timeSteps);
    let index = 0;
    // Faces' pictures are made while the next face is computed.
    const faces: Promise<void>[] = [];
    const result = await pentimento.restore(photo, {
      scale,
      signal,
      onFaces: (faces) => say({ kind: "faces", job, faces }),
      onFace: (outcome, face) => {
        const place = index++;
        const show = async () => {
          if (!face) {
            say({ kind: "face", job, index: place, outcome });
            return;
          }
          const bitmap = await createImageBitmap(face.image);
          const sent = { bitmap, transform: face.transform };
          say({ kind: "face", job, index: place, outcome, face: sent }, [bitmap]);
        };
        faces.push(show());
      },
      onProgress: (done) => say({ kind: "progress", job, done }),
      onLost: () => {
        index = 0;
        say({ kind: "lost", job });
      },
    });
    restored?.result.free();
    restored = { job, result };
    await Promise.all(faces);
    const [before, after] = await Promise.all([shown(result.image(0)), shown(result.image(1))]);
    const { timings } = pentimento;
    const size = { width: result.width, height: result.height };
    say({ kind: "done", job, before, after, ...size, faces: result.faces, timings }, [before, after]);
  } catch (error) {
    fail(error, job);
  }
}

/** A picture of at most {@link SHOWN} pixels along its longer side. */
function shown(image: ImageData): Promise<ImageBitmap> {
  const factor = SHOWN / Math.max(image.width, image.height);
  if (factor >= 1) {
    return createImageBitmap(image);
  }
  const [resizeWidth, resizeHeight] = [image.width, image.height].map((side) =>
    Math.max(1, Math.round(side * factor)),
  );
  return createImageBitmap(image, { resizeWidth, resizeHeight, resizeQuality: "high" });
}

function say(reply: Reply, transfer: Transferable[] = []): void {
  scope.postMessage(reply, transfer);
}

function fail(error: unknown, job?: Job): void {
  const message = error instanceof Error ? error.message : String(error);
  const code = isPentimentoError(error) ? error.code : "internal";
  say({ kind: "failed", ...(job === undefined ? {} : { job }), code, message });
}
