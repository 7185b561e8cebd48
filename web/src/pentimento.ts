/**
 * Restores degraded faces in photos, on the GPU of whoever looks at the page.
 *
 * ```ts
 * import { Pentimento } from "pentimento";
 *
 * const pentimento = await Pentimento.load({
 *   model: "/weights/mmrbnet-256.safetensors",
 *   detector: "/weights/face-detector.safetensors",
 * });
 * const restored = await pentimento.restore(file);
 * const jpeg = restored.blob("restored.jpg");
 * ```
 *
 * It runs where it is imported, in a page or in a worker of it; in a worker the page stays
 * responsive while large photos are decoded.
 */

import initialise, { Photo, Restored as Native, Restorer, Watch } from "../wasm/pentimento_web.js";
import type { Device, Face, Outcome, Timings } from "../wasm/pentimento_web.js";
import { fetchCached, type Progress } from "./cache.js";
import { coded, isPentimentoError } from "./errors.js";

export { Photo, isPentimentoError };
export { forget } from "./cache.js";
export type { Code, PentimentoError } from "./errors.js";
export type { Device, Face, Outcome, Progress, Timings };

/** Weights: where they are fetched from, once, or a file's bytes. */
export type Weights = string | URL | Uint8Array;

/** What {@link Pentimento.load} takes. */
export interface LoadOptions {
  /** A network that restores faces, as `.safetensors` or PyTorch's `.pth`. */
  model: Weights;
  /** A network that finds faces. */
  detector: Weights;
  /**
   * "gpu" by default; "cpu" needs no WebGPU and takes many times as long. Where it is left out, the CPU
   * goes on when the GPU is lost and cannot be opened again; {@link Pentimento.device} then names it.
   */
  device?: "gpu" | "cpu";
  /** "auto" by default: f16 where the GPU has it. */
  precision?: "auto" | "f32" | "f16";
  /** Where the WebAssembly file is, if not beside this module. */
  wasm?: string | URL;
  /** Told of bytes of weights that have come. */
  onProgress?: (progress: Progress) => void;
}

/** A restored face before it is blended into its photo. */
export interface RestoredFace {
  /** The face, upright. */
  image: ImageData;
  /** Where it belongs in the result, as `CanvasRenderingContext2D.setTransform` takes it. */
  transform: [number, number, number, number, number, number];
}

/** What {@link Pentimento.restore} takes. */
export interface RestoreOptions {
  /** Pixels of the result per pixel of the photo and side: 1 to 4, 1 by default. */
  scale?: number;
  /** Which faces; without it those that are found. */
  faces?: Face[];
  /** Stops the work. */
  signal?: AbortSignal;
  /** Told of the faces that were found, from left to right. */
  onFaces?: (faces: Face[]) => void;
  /** Told of every face as soon as it is done, from left to right; with the restored face, where it
   * was not left as it was. */
  onFace?: (outcome: Outcome, face?: RestoredFace) => void;
  /** Told several times a second how much of the faces' work is done, from 0 to 1. */
  onProgress?: (done: number) => void;
  /** Told when the GPU was lost and the work starts again on a new one. */
  onLost?: () => void;
}

/** A photo with its faces restored. Holds memory of the engine until {@link Restored.free}. */
export class Restored {
  readonly #native: Native;

  /** @internal */
  constructor(native: Native) {
    this.#native = native;
  }

  /** Columns. */
  get width(): number {
    return this.#native.width;
  }

  /** Rows. */
  get height(): number {
    return this.#native.height;
  }

  /** What became of every face, from left to right. */
  get faces(): Outcome[] {
    return this.#native.faces;
  }

  /** The picture. `strength`: how much of the restored faces is taken, from 0 to 1. */
  image(strength = 1): ImageData {
    return new ImageData(this.#native.pixels(strength), this.width, this.height);
  }

  /** A file in the format that `name` ends with: .jpg, .png, .webp, .tif, .bmp. What the photo's
   * file says of camera and colours is carried over. */
  blob(name: string, strength = 1): Blob {
    const type = TYPES[name.split(".").pop()?.toLowerCase() ?? ""];
    return new Blob([this.#native.encode(name, strength)], type ? { type } : {});
  }

  /** Gives its memory back. */
  free(): void {
    this.#native.free();
  }
}

const TYPES: Record<string, string> = {
  bmp: "image/bmp",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  png: "image/png",
  tif: "image/tiff",
  tiff: "image/tiff",
  webp: "image/webp",
};

/** How often progress is told, in milliseconds. */
const TICK = 150;
/** Browsers refuse new devices for a moment after one was lost: how often and when it is tried. */
const REOPEN_AFTER = [0, 500, 2000];

/** An engine with its networks, ready to restore photos. */
export class Pentimento {
  readonly #options: LoadOptions;
  /** The GPU's, as far as the browser tells. */
  #name: string | undefined;
  #restorer: Restorer;
  #timeSteps = false;
  /** Photos wait for each other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(options: LoadOptions, restorer: Restorer, name?: string) {
    this.#options = options;
    this.#restorer = restorer;
    this.#name = name;
  }

  /**
   * Fetches the engine and its weights, which stay in the browser's cache storage, and makes both
   * ready on the GPU.
   *
   * @throws {PentimentoError} "no-webgpu", "fetch", "checkpoint", "memory".
   */
  static async load(options: LoadOptions): Promise<Pentimento> {
    const name = (options.device ?? "gpu") === "gpu" ? await requireWebGpu() : undefined;
    await (options.wasm ? initialise({ module_or_path: options.wasm }) : initialise());
    return new Pentimento(options, await open(options), name);
  }

  /**
   * Decodes a photo; {@link restore} does so itself. What the engine does not read (AVIF, HEIC, GIF)
   * is left to the browser.
   *
   * @throws {PentimentoError} "image" for a file that is not a picture or is damaged.
   */
  static async decode(source: Blob | ImageData): Promise<Photo> {
    return decode(source);
  }

  /** What it computes on. */
  get device(): Device {
    const device = this.#restorer.device;
    return { ...device, name: this.#name ?? device.name };
  }

  /** Name of the restoring network's architecture. */
  get architecture(): string {
    return this.#restorer.architecture;
  }

  /** Where the time of the last face went. Steps are timed where {@link timeSteps} asks for it and
   * the GPU can. */
  get timings(): Timings {
    return this.#restorer.timings();
  }

  /** Whether the following photos time every step, which makes them slower. */
  timeSteps(wanted: boolean): void {
    this.#timeSteps = wanted;
  }

  /**
   * Restores the faces of a photo: a file (JPEG, PNG, WebP, TIFF, BMP), pixels, or a decoded
   * {@link Photo}. Photos that are asked for while one is worked on wait for it.
   *
   * @throws {PentimentoError} "image" for a file that is not a picture or is damaged, "cancelled",
   * "memory", and "device-lost" when {@link LoadOptions.device} names the GPU and it was lost more
   * than once.
   */
  async restore(
    photo: Blob | ImageData | Photo,
    options: RestoreOptions = {},
  ): Promise<Restored> {
    const turn = this.#last.then(() => this.#restore(photo, options));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Gives all memory back. */
  close(): void {
    this.#restorer.free();
  }

  async #restore(source: Blob | ImageData | Photo, options: RestoreOptions): Promise<Restored> {
    stopIfAborted(options.signal);
    const photo = source instanceof Photo ? source : await decode(source);
    try {
      try {
        return await this.#run(photo, options);
      } catch (error) {
        if (!isPentimentoError(error) || error.code !== "device-lost") {
          throw error;
        }
        options.onLost?.();
        return await this.#again(photo, options);
      }
    } finally {
      if (photo !== source) {
        photo.free();
      }
    }
  }

  /** The photo on a new device, or on the CPU where that fails and nobody asked for the GPU. */
  async #again(photo: Photo, options: RestoreOptions): Promise<Restored> {
    try {
      await this.#reopen();
      return await this.#run(photo, options);
    } catch (error) {
      const failed = isPentimentoError(error) && /^device/.test(error.code);
      if (!failed || this.#options.device !== undefined) {
        throw error;
      }
      console.warn(`${error.message}; the CPU goes on`);
      const restorer = await open({ ...this.#options, device: "cpu" });
      this.#restorer.free();
      this.#restorer = restorer;
      this.#name = undefined;
      return await this.#run(photo, options);
    }
  }

  async #run(photo: Photo, options: RestoreOptions): Promise<Restored> {
    stopIfAborted(options.signal);
    const restorer = this.#restorer;
    restorer.timeSteps(this.#timeSteps);
    const watch = new Watch();
    const cancel = () => watch.cancel();
    options.signal?.addEventListener("abort", cancel);
    const ticker = setInterval(() => options.onProgress?.(watch.done), TICK);
    try {
      const faces = options.faces ?? (await restorer.find(photo, watch));
      options.onFaces?.(faces);
      const show = (
        outcome: Outcome,
        rgba?: Uint8ClampedArray<ArrayBuffer>,
        transform?: RestoredFace["transform"],
      ) => {
        const side = Math.sqrt((rgba?.length ?? 0) / 4);
        const face = rgba && transform && { image: new ImageData(rgba, side, side), transform };
        options.onFace?.(outcome, face);
      };
      return new Restored(await restorer.restore(photo, faces, options.scale ?? 1, watch, show));
    } finally {
      clearInterval(ticker);
      options.signal?.removeEventListener("abort", cancel);
      watch.free();
    }
  }

  /** A new device in place of the lost one. */
  async #reopen(): Promise<void> {
    let lost: unknown;
    for (const delay of REOPEN_AFTER) {
      await new Promise((resolve) => setTimeout(resolve, delay));
      try {
        const restorer = await open(this.#options);
        this.#restorer.free();
        this.#restorer = restorer;
        return;
      } catch (error) {
        lost = error;
      }
    }
    throw lost;
  }
}

async function open(options: LoadOptions): Promise<Restorer> {
  const { device = "gpu", precision = "auto" } = options;
  const parts = [options.model, options.detector];
  const progress = parts.map((): Progress => ({ loaded: 0, total: 0 }));
  const weights = parts.map((part, i) =>
    part instanceof Uint8Array
      ? part
      : fetchCached(part, (now) => {
          progress[i] = now;
          const sum = (key: keyof Progress) => progress.reduce((all, p) => all + p[key], 0);
          options.onProgress?.({ loaded: sum("loaded"), total: sum("total") });
        }),
  );
  const [model, detector] = await Promise.all(weights);
  return Restorer.open(model!, detector!, device, precision);
}

/** What is used of WebGPU here; the engine uses the rest. */
interface Gpu {
  requestAdapter(): Promise<{ info: Record<"vendor" | "architecture" | "description", string> } | null>;
}

/**
 * The GPU's name, as far as the browser tells.
 *
 * @throws {PentimentoError} "no-webgpu", with what to do.
 */
async function requireWebGpu(): Promise<string | undefined> {
  const { gpu } = globalThis.navigator as { gpu?: Gpu };
  if (!gpu) {
    const why = globalThis.isSecureContext
      ? "this browser has no WebGPU; a current Chrome, Edge, Safari or Firefox has it"
      : "WebGPU is only there for pages that come over https, or from this machine itself";
    throw coded(why, "no-webgpu");
  }
  const adapter = await gpu.requestAdapter();
  if (!adapter) {
    const why =
      "this browser has WebGPU, but finds no GPU that it trusts; its settings or an update of the " +
      "graphics driver may help";
    throw coded(why, "no-webgpu");
  }
  const { vendor, architecture, description } = adapter.info;
  return description || `${vendor} ${architecture}`.trim() || undefined;
}

async function decode(source: Blob | ImageData): Promise<Photo> {
  if (source instanceof ImageData) {
    const bytes = new Uint8Array(source.data.buffer, source.data.byteOffset, source.data.length);
    return Photo.fromPixels(bytes, source.width, source.height);
  }
  const name = source instanceof File ? source.name : "the photo";
  const bytes = new Uint8Array(await source.arrayBuffer());
  try {
    return Photo.decode(bytes, name);
  } catch (error) {
    // One of ours that is damaged stays so: browsers would show what is left of it.
    const bitmap = isOurs(bytes) ? undefined : await createImageBitmap(source).catch(() => undefined);
    if (!bitmap) {
      throw error;
    }
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    if (!context) {
      throw error;
    }
    context.drawImage(bitmap, 0, 0);
    return decode(context.getImageData(0, 0, bitmap.width, bitmap.height));
  }
}

/** Whether a file begins as JPEG, PNG, WebP, TIFF or BMP do. */
function isOurs(bytes: Uint8Array): boolean {
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  return /^(\xff\xd8\xff|\x89PNG|RIFF....WEBP|II\*\0|MM\0\*|BM)/s.test(head);
}

function stopIfAborted(signal?: AbortSignal): void {
  if (signal?.aborted) {
    throw coded("cancelled", "cancelled");
  }
}
