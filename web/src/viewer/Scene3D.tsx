/** The 3D tile. Its renderer is loaded when it is first wanted: first paint does not wait for it. */

import { effect, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { ViewerStore } from "./store";

export const hasWebGL2 = (): boolean => document.createElement("canvas").getContext("webgl2") !== null;

export function Scene3D({ store }: { store: ViewerStore }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const state = useSignal<"loading" | "ready" | "no-webgl2">("loading");
  useEffect(() => {
    if (!hasWebGL2()) {
      state.value = "no-webgl2";
      return;
    }
    let stop = (): void => undefined;
    let closed = false;
    void import("./niivue").then(async ({ Rendering }) => {
      const rendering = await Rendering.on(canvas.current!);
      if (closed) return rendering.close();
      const redraw = effect(() => {
        const [image, volume] = [store.image.value, store.volume.value];
        if (image && volume) rendering.show(image, volume, store.labelMaps.value, store.shapes.value, store.hidden.value);
      });
      stop = () => {
        redraw();
        rendering.close();
      };
      state.value = "ready";
    });
    return () => {
      closed = true;
      stop();
    };
  }, [store]);
  return (
    <div class="tile scene" data-state={state.value}>
      {state.value === "no-webgl2" ? (
        <p class="soft">This browser has no WebGL2, so there is no 3D view. The slices do not need it.</p>
      ) : (
        <canvas ref={canvas} aria-label="3D view; drag to turn it" />
      )}
      {state.value === "loading" && <p class="soft">Loading the 3D view…</p>}
    </div>
  );
}
