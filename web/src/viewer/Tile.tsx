/** One plane on the screen: its canvas, the patient's sides at its edges, and what mouse, wheel and keys do there. */

import { effect, useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { type Ruler, TilePainter } from "./draw";
import { CUTS, type Plane, type Triple } from "./geometry";
import { Layout } from "./layout";
import { type ViewerStore, keyOf } from "./store";

export function Tile({ store, plane }: { store: ViewerStore; plane: Plane }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const layout = useRef<Layout | null>(null);
  const ruler = useSignal<Ruler | null>(null);
  const room = useSignal<[width: number, height: number]>([0, 0]);

  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      if (entry) room.value = [entry.contentRect.width, entry.contentRect.height];
    });
    observer.observe(canvas.current!.parentElement!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => painted(store, plane, canvas.current!, layout, ruler, room), [store, plane]);
  useEffect(() => effect(() => { if (!store.rulerOn.value) ruler.value = null; }), [store]);

  const sides = useComputed(() => store.grid.value?.sides(plane) ?? { left: "", right: "", top: "", bottom: "" });
  const place = useComputed(() => {
    const grid = store.grid.value;
    if (!grid || plane === "picture") return "";
    const axis = CUTS[plane].axis;
    return `${plane} ${store.cross.value[axis]! + 1}\u00a0/\u00a0${grid.size[axis]}`;
  });
  const { left, right, top, bottom } = sides.value;
  return (
    <div
      class={`tile ${plane}`}
      tabIndex={0}
      role="img"
      aria-label={`${place.value || "picture"}; left edge ${left || "not known"}, right edge ${right || "not known"}, top ${top || "not known"}`}
      onKeyDown={(event) => onKey(event, store, plane)}
    >
      <canvas ref={canvas} {...mouse(store, plane, layout, ruler)} />
      <span class="side left">{left}</span>
      <span class="side right">{right}</span>
      <span class="side top">{top}</span>
      <span class="side bottom">{bottom}</span>
      <span class="place">{place}</span>
    </div>
  );
}

/** Paint whenever something that is shown changes, at most once a frame. */
function painted(
  store: ViewerStore,
  plane: Plane,
  canvas: HTMLCanvasElement,
  layout: { current: Layout | null },
  ruler: { value: Ruler | null },
  room: { value: [number, number] },
): () => void {
  const painter = new TilePainter(canvas, plane);
  let frame = 0;
  const stop = effect(() => {
    const volume = store.volume.value;
    const grid = store.grid.value;
    const [width, height] = room.value;
    if (!volume || !grid || !width || !height) return;
    const scene = {
      volume,
      labelMaps: store.labelMaps.value,
      shapes: store.shapes.value,
      hidden: store.hidden.value,
      opacity: store.opacity.value,
      lit: store.lit.value,
      boxes: store.boxes.value,
      window: store.window.value,
      cross: store.cross.value,
    };
    const drawn = ruler.value;
    const laid = (layout.current = new Layout(grid, plane, width, height, store.zoom.value, scene.cross));
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      painter.draw(scene, laid, drawn, [width, height]);
      canvas.dataset["drawn"] = String(Number(canvas.dataset["drawn"] ?? 0) + 1);
    });
  });
  return () => {
    cancelAnimationFrame(frame);
    stop();
  };
}

type Dragging = { kind: "cross" | "ruler" | "window"; x: number; y: number; moved: boolean };

function mouse(store: ViewerStore, plane: Plane, layout: { current: Layout | null }, ruler: { value: Ruler | null }) {
  let dragging: Dragging | null = null;
  const at = (event: PointerEvent): Triple | null => layout.current?.index(event.offsetX, event.offsetY, store.cross.value) ?? null;
  const sample = (event: PointerEvent): Triple | null => {
    const found = layout.current?.contains(event.offsetX, event.offsetY) ? at(event) : null;
    return found && store.grid.value ? store.grid.value.clamped(found) : null;
  };
  return {
    onContextMenu: (event: Event) => event.preventDefault(),
    onPointerDown: (event: PointerEvent) => {
      (event.target as Element).setPointerCapture(event.pointerId);
      const kind = event.button === 2 ? "window" : event.button !== 0 ? null : store.rulerOn.value ? "ruler" : "cross";
      const place = at(event);
      if (!kind || !place) return;
      dragging = { kind, x: event.offsetX, y: event.offsetY, moved: false };
      if (kind === "ruler") ruler.value = { from: place, to: place };
    },
    onPointerMove: (event: PointerEvent) => {
      const under = sample(event);
      store.pointer.value = under;
      const shape = under && store.shapeAt(under);
      if (!dragging) store.lit.value = shape ? keyOf(shape) : null;
      else if (dragging.kind === "window") dragWindow(store, event.offsetX - dragging.x, event.offsetY - dragging.y);
      else if (dragging.kind === "cross" && under) store.moveTo(under);
      else if (dragging.kind === "ruler" && ruler.value) ruler.value = { ...ruler.value, to: at(event)! };
      if (dragging) dragging = { ...dragging, x: event.offsetX, y: event.offsetY, moved: true };
    },
    onPointerUp: (event: PointerEvent) => {
      const under = sample(event);
      if (dragging?.kind === "cross" && !dragging.moved && under) {
        store.moveTo(under);
        store.picked.value = store.shapeAt(under);
      }
      dragging = null;
    },
    onPointerLeave: () => {
      store.pointer.value = null;
      store.lit.value = null;
    },
    onDblClick: () => solo(store, plane),
    onWheel: (event: WheelEvent) => {
      event.preventDefault();
      if (event.ctrlKey) store.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2);
      // down is towards the feet, the back and the patient's left: the way a stack is read
      else store.scroll(CUTS[plane].axis, Math.sign(event.deltaY) * (plane === "axial" ? -1 : 1));
    },
  };
}

/** Right is wider, down is darker, in steps of a two-hundredth of the width. */
function dragWindow(store: ViewerStore, dx: number, dy: number): void {
  const [low, high] = store.window.value;
  const width = Math.max(1e-3, high - low) * (1 + dx / 200);
  const centre = (low + high) / 2 + (dy / 200) * (high - low);
  store.setWindow([centre - width / 2, centre + width / 2]);
}

function solo(store: ViewerStore, plane: Plane): void {
  if (plane !== "picture") store.solo.value = store.solo.value === plane ? null : plane;
}

function onKey(event: KeyboardEvent, store: ViewerStore, plane: Plane): void {
  const { axis, right, down, flipped } = CUTS[plane];
  const acts: Record<string, () => void> = {
    PageUp: () => store.scroll(axis, 1),
    PageDown: () => store.scroll(axis, -1),
    ArrowLeft: () => store.scroll(right, -1),
    ArrowRight: () => store.scroll(right, 1),
    ArrowUp: () => store.scroll(down, flipped ? 1 : -1),
    ArrowDown: () => store.scroll(down, flipped ? -1 : 1),
    Enter: () => {
      const shape = store.shapeAt(store.cross.value);
      store.picked.value = shape;
    },
    f: () => solo(store, plane),
    "+": () => store.zoomBy(1.25),
    "-": () => store.zoomBy(1 / 1.25),
  };
  const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : acts[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}
