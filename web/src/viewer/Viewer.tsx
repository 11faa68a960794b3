/** The viewer: tiles, tools, regions, and the line that says what is under the pointer. The same in all rooms. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { Loading } from "../parts/Loading";
import { Refusal } from "../parts/Refusal";
import { typing } from "../parts/keys";
import type { Side } from "../types";
import { RegionPanel } from "./RegionPanel";
import { Scene3D } from "./Scene3D";
import { Tile } from "./Tile";
import type { Shape, ViewerStore } from "./store";

export interface ViewerProps {
  store: ViewerStore;
  onAsk?: (shape: Shape) => void;
  empty?: preact.ComponentChildren;
}

export function Viewer({ store, onAsk, empty }: ViewerProps) {
  const panel = useSignal(window.innerWidth > 1600);
  useEffect(() => presetKeys(store), [store]);
  const status = store.status.value;
  const shown = store.image.value !== null;
  return (
    <section class="viewer" aria-label="viewer">
      {shown && <Tools store={store} panel={panel} />}
      <div class="stages">
        {shown && panel.value && store.regions.value.length > 0 && <RegionPanel store={store} />}
        {shown && <Stage store={store} />}
        {shown && store.prior.value && <Stage store={store.prior.value} caption="prior" />}
        {!shown && status.kind === "empty" && <div class="nothing">{empty}</div>}
        {status.kind === "loading" && <Loading what={`Loading ${status.what}`} done={status.done} total={status.total} over={shown} />}
        {status.kind === "failed" && <div class="over"><Refusal error={status.error} /></div>}
      </div>
      {shown && <Readout store={store} {...(onAsk ? { onAsk } : {})} />}
    </section>
  );
}

function Stage({ store, caption }: { store: ViewerStore; caption?: string }) {
  const solo = store.solo.value;
  const planes = solo ? [solo] : store.planes.value;
  const count = planes.length + (store.scene3d.value && !solo ? 1 : 0);
  return (
    <div class="stage-room">
      {caption && <p class="stage-caption">{caption}</p>}
      <div class={`stage tiles-${count}`}>
        {planes.map((plane) => (
          <Tile key={plane} store={store} plane={plane} />
        ))}
        {store.scene3d.value && !solo && store.planes.value.length === 3 && <Scene3D store={store} />}
      </div>
    </div>
  );
}

function Tools({ store, panel }: { store: ViewerStore; panel: { value: boolean } }) {
  const image = store.image.value!;
  const [low, high] = store.window.value;
  const is = (window: [number, number]): boolean => window[0] === low && window[1] === high;
  return (
    <div class="tools" role="toolbar" aria-label="viewer tools">
      <button aria-pressed={panel.value} onClick={() => (panel.value = !panel.value)} disabled={!store.regions.value.length}>
        Regions <span class="count">{store.regions.value.length}</span>
      </button>
      <span class="group" role="group" aria-label="window">
        {image.presets.map((preset, i) => (
          <button key={preset.name} title={`key ${i + 1}`} aria-pressed={is(preset.window)} onClick={() => store.setWindow(preset.window)}>
            {preset.name}
          </button>
        ))}
      </span>
      <span class="group">
        <button aria-pressed={store.rulerOn.value} onClick={() => (store.rulerOn.value = !store.rulerOn.value)}>ruler</button>
        <button title="key -" onClick={() => store.zoomBy(1 / 1.25)} aria-label="zoom out">−</button>
        <button title="key +" onClick={() => store.zoomBy(1.25)} aria-label="zoom in">+</button>
        {image.dimensions === 3 && (
          <button aria-pressed={store.scene3d.value} onClick={() => (store.scene3d.value = !store.scene3d.value)}>3D</button>
        )}
        {store.solo.value && <button onClick={() => (store.solo.value = null)}>all planes</button>}
      </span>
      <span class="window">{Math.round(low)} to {Math.round(high)} {image.unit}</span>
    </div>
  );
}

const SIDE_WORDS: Record<Side, string> = {
  left: "patient's left",
  right: "patient's right",
  midline: "midline",
  bilateral: "both sides",
  none: "",
};

function Readout({ store, onAsk }: { store: ViewerStore; onAsk?: (shape: Shape) => void }) {
  const at = useComputed(() => store.pointer.value ?? store.cross.value);
  const image = store.image.value!;
  const grid = store.grid.value;
  if (!grid) return null;
  const world = grid.world(at.value);
  const value = store.valueAt(at.value);
  const shape = store.shapeAt(at.value);
  const picked = store.picked.value;
  const [x, y, z] = at.value;
  const place = grid.unit === "mm" && image.dimensions === 3
    ? `${["x", "y", "z"].map((axis, i) => `${axis} ${tenths(world[i]!)}`).join("  ")} mm`
    : `row ${y + 1}, column ${x + 1}`;
  return (
    <div class="readout" aria-live="off">
      {image.dimensions === 3 && <span>slice {z + 1} / {grid.size[2]}</span>}
      <span class="mono">{place}</span>
      <span>{SIDE_WORDS[grid.side(world)]}</span>
      <span class="mono value">{value === null ? "" : `${Number.isInteger(value) ? value : value.toFixed(2)} ${image.unit}`}</span>
      <span class="under">{shape && <><i class="dot" style={{ background: shape.colour }} />{shape.label}</>}</span>
      {picked && onAsk && (
        <button class="ask-this" onClick={() => onAsk(picked)}>
          <i class="dot" style={{ background: picked.colour }} />ask about the {picked.label}
        </button>
      )}
    </div>
  );
}

/** One decimal, and no negative zero. */
const tenths = (mm: number): string => (Math.round(mm * 10) / 10 + 0).toFixed(1);

/** Keys 1 to 6 choose a window wherever one is not typing; r is the ruler. */
function presetKeys(store: ViewerStore): () => void {
  const onKey = (event: KeyboardEvent): void => {
    if (typing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const preset = store.image.value?.presets[Number(event.key) - 1];
    if (preset) store.setWindow(preset.window);
    else if (event.key === "r" && store.image.value) store.rulerOn.value = !store.rulerOn.value;
  };
  window.addEventListener("keydown", onKey);
  return () => window.removeEventListener("keydown", onKey);
}
