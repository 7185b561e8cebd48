/** A photo from the camera. */

import { context, element } from "./dom";

const dialog = element("camera", HTMLDialogElement);
const view = element("camera-view", HTMLVideoElement);

/** Wires the button that opens the camera. `take` gets the photo, `fail` a sentence. */
export function wireCamera(take: (photo: Blob) => void, fail: (why: string) => void): void {
  element("camera-open", HTMLButtonElement).addEventListener("click", () => {
    void open(fail);
  });
  element("camera-take", HTMLButtonElement).addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    canvas.width = view.videoWidth;
    canvas.height = view.videoHeight;
    context(canvas).drawImage(view, 0, 0);
    canvas.toBlob((blob) => {
      dialog.close();
      if (blob) {
        take(new File([blob], "camera.png", { type: blob.type }));
      }
    }, "image/png");
  });
  element("camera-close", HTMLButtonElement).addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", stop);
}

async function open(fail: (why: string) => void): Promise<void> {
  try {
    const video = { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1920 } };
    view.srcObject = await navigator.mediaDevices.getUserMedia({ video });
    dialog.showModal();
  } catch (error) {
    const refused = error instanceof DOMException && error.name === "NotAllowedError";
    fail(refused ? "The camera was not allowed." : "No camera was found.");
  }
}

function stop(): void {
  if (view.srcObject instanceof MediaStream) {
    view.srcObject.getTracks().forEach((track) => track.stop());
  }
  view.srcObject = null;
}
