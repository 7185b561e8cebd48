/// <reference lib="esnext.disposable" />
/* tslint:disable */
/* eslint-disable */

/** The device that the engine computes on. */
export interface Device {
    name: string;
    backend: string;
    kind: string;
    driver: string;
    max_binding: number;
    workgroup_memory: number;
    features: string[];
}

/** A face of a photo. */
export interface Face {
    /** Eyes, tip of the nose, corners of the mouth, the left one of each pair first: `[x, y]`. */
    landmarks: [number, number][];
    /** The detector's confidence, 0 to 1. */
    score?: number;
    /** Left, top, right, bottom. */
    bounds?: [number, number, number, number];
}

/** The outcome of a face: restored, or skipped. */
export interface Outcome extends Face {
    /** How the head is turned, in degrees. */
    pose: { yaw: number; pitch: number; roll: number };
    /** Whether it was cut out as a head that is turned far to the side. */
    turned: boolean;
    /** Whether the dots of a print cover it. The network got their averages. */
    printed: boolean;
    /** Why it was skipped, and so left as it was; not there where it was restored. */
    skipped?: string;
}

/** Where the time of the last face went. */
export interface Timings {
    /** From the crop to the restored face, in milliseconds. */
    total: number;
    /** Each step of the network; empty where the GPU cannot time its work. */
    steps: { name: string; kernel: string; time: number }[];
}

/** Called for every face as soon as it is done, from left to right. `rgba` is the restored face,
 * `size` pixels wide and high; its pixel `[x, y]` belongs at `[a x + c y + e, b x + d y + f]` of the
 * result, as canvas transforms count. Both are not there where the face was left as it was. */
export type Show = (
face: Outcome,
rgba?: Uint8ClampedArray<ArrayBuffer>,
transform?: [number, number, number, number, number, number],
) => void;



/** The subject of an error of the engine: its property `code`. */
export type ErrorCode =
| "cancelled"
| "checkpoint"
| "device"
| "device-lost"
| "image"
| "input"
| "internal"
| "memory"
| "non-finite";



/**
 * A decoded photo.
 */
export class Photo {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Decodes a JPEG, PNG, WebP, TIFF, BMP or PNM file and turns it upright. `name` is for
     * messages.
     *
     * # Errors
     * `image` when it is not such a picture, or is damaged.
     */
    static decode(bytes: Uint8Array | number[], name: string): Photo;
    /**
     * A photo of `width × height` pixels of four bytes, as canvases yield them.
     *
     * # Errors
     * `input` when `rgba` has another size.
     */
    static fromPixels(rgba: Uint8Array | number[], width: number, height: number): Photo;
    /**
     * Its pixels, four bytes each, as canvases take them.
     */
    pixels(): Uint8ClampedArray<ArrayBuffer>;
    /**
     * Rows.
     */
    readonly height: number;
    /**
     * Columns.
     */
    readonly width: number;
}

/**
 * A photo as it was and with its faces restored, both at the size of the result.
 */
export class Restored {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The bytes of a file in the format that the extension of `name` means, with what the photo's
     * file said of camera and colours.
     *
     * # Errors
     * `image` when the extension means no format, or one that cannot hold so large a picture.
     */
    encode(name: string, strength: number): Uint8Array<ArrayBuffer>;
    /**
     * The pixels, four bytes each, as canvases take them. `strength`: how much of the restored
     * faces is taken, from 0 (none) to 1.
     */
    pixels(strength: number): Uint8ClampedArray<ArrayBuffer>;
    /**
     * The outcome of every face, from left to right.
     */
    readonly faces: Outcome[];
    /**
     * Rows.
     */
    readonly height: number;
    /**
     * Columns.
     */
    readonly width: number;
}

/**
 * A device, a network for faces and a detector, made ready.
 */
export class Restorer {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The faces in `photo`, from left to right.
     *
     * # Errors
     * `cancelled`, `device-lost`, `memory`.
     */
    find(photo: Photo, watch: Watch): Promise<Face[]>;
    /**
     * Opens `device` ("gpu" or "cpu") and makes the weights ready on it. `precision` is "auto",
     * "f32" or "f16".
     *
     * # Errors
     * `device` when there is no WebGPU, `checkpoint` when a file is none that is known, `memory`.
     */
    static open(model: Uint8Array | number[], detector: Uint8Array | number[], device: string, precision: string): Promise<Restorer>;
    /**
     * Restores `faces` of `photo`. `scale`: pixels of the result per pixel of the photo and side.
     *
     * # Errors
     * `cancelled`, `device-lost`, `memory`, `input`.
     */
    restore(photo: Photo, faces: Face[], scale: number, watch: Watch, show: Show): Promise<Restored>;
    /**
     * Whether every step of the network is timed, where the GPU can: it is slower then.
     */
    timeSteps(wanted: boolean): void;
    /**
     * Where the time of the last face went.
     */
    timings(): Timings;
    /**
     * The network's architecture.
     */
    readonly architecture: string;
    /**
     * The device that it computes on.
     */
    readonly device: Device;
}

/**
 * Watches and stops the work on one photo.
 */
export class Watch {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Makes the work fail with `cancelled` as soon as it looks.
     */
    cancel(): void;
    /**
     * For one photo.
     */
    constructor();
    /**
     * How much of the faces' work is done, 0 to 1.
     */
    readonly done: number;
}

/**
 * Called once, when the module is loaded.
 */
export function start(): void;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;
