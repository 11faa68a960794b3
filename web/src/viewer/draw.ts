/** Painting one tile: the slice, masks as outlines (filled where lit), boxes with their names, the crosshair, the ruler. */

import type { AnswerBox, Range } from "../types";
import { type Plane, type Triple, boxCorners } from "./geometry";
import type { Layout } from "./layout";
import type { Samples, Voxels } from "./nifti";
import { type Outline, type Slice, greyPixels, labelPlane, outlines, steps } from "./slices";
import { type Shape, keyOf } from "./store";

export interface Scene {
  volume: Voxels;
  labelMaps: Map<string, Voxels>;
  shapes: Map<string, Shape>;
  hidden: ReadonlySet<string>;
  opacity: ReadonlyMap<string, number>;
  lit: string | null;
  boxes: AnswerBox[];
  window: Range;
  cross: Triple;
}

export interface Ruler {
  from: Triple;
  to: Triple;
}

/** how strongly a region that is pointed at is filled */
const LIT = 0.4;

/** A picture of one slice at its own resolution, made again only when what it shows changes. */
class Kept<T> {
  private key: unknown[] = [];
  private value: T | undefined;

  get(key: unknown[], make: () => T): T {
    if (this.value === undefined || key.length !== this.key.length || key.some((part, i) => part !== this.key[i])) {
      this.key = key;
      this.value = make();
    }
    return this.value;
  }
}

interface Labelled {
  samples: Samples;
  slice: Slice;
  present: Set<number>;
  borders: Map<number, Outline>;
}

export class TilePainter {
  private readonly context: CanvasRenderingContext2D;
  private readonly grey = new Kept<HTMLCanvasElement>();
  private readonly labelled = new Map<string, Kept<Labelled>>();

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly plane: Plane,
  ) {
    this.context = onCpu(canvas);
  }

  draw(scene: Scene, layout: Layout, ruler: Ruler | null, [width, height]: [number, number]): void {
    const { context, canvas, plane } = this;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    context.scale(ratio, ratio);
    const index = scene.cross[layout.cut.axis]!;
    const [low, high] = scene.window;
    const grey = this.grey.get([scene.volume, index, low, high], () => asCanvas(greyPixels(scene.volume, plane, index, scene.window)));
    drawCanvas(context, grey, layout, true);
    for (const [maskId, labels] of scene.labelMaps) drawLabels(context, scene, maskId, this.cut(maskId, labels, index), layout);
    drawBoxes(context, scene.boxes, layout, index);
    if (plane !== "picture") drawCross(context, layout, scene.cross);
    if (ruler && ruler.from[layout.cut.axis] === index) drawRuler(context, layout, ruler);
  }

  private cut(maskId: string, labels: Voxels, index: number): Labelled {
    let kept = this.labelled.get(maskId);
    if (!kept) this.labelled.set(maskId, (kept = new Kept()));
    return kept.get([labels, index], () => {
      const slice = steps(labels.size, this.plane, index);
      const samples = labelPlane(labels, this.plane, index);
      return { samples, slice, present: new Set(samples), borders: outlines(samples, slice) };
    });
  }
}

/** Slices change at every turn of the wheel; without a graphics card a canvas on the "GPU" takes ten times as long. */
function onCpu(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  return canvas.getContext("2d", { willReadFrequently: true })!;
}

function asCanvas(pixels: ImageData): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  onCpu(canvas).putImageData(pixels, 0, 0);
  return canvas;
}

function drawCanvas(context: CanvasRenderingContext2D, canvas: HTMLCanvasElement, layout: Layout, smooth: boolean): void {
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = "medium";
  context.drawImage(canvas, layout.left, layout.top, layout.width, layout.height);
}

function drawLabels(context: CanvasRenderingContext2D, scene: Scene, maskId: string, cut: Labelled, layout: Layout): void {
  const shown = new Map<number, Shape>();
  const fills = new Map<number, number>();
  for (const value of cut.present) {
    const key = keyOf({ mask_id: maskId, label_value: value });
    const shape = scene.shapes.get(key);
    if (!shape || scene.hidden.has(key)) continue;
    shown.set(value, shape);
    const alpha = Math.max(scene.opacity.get(key) ?? 0, key === scene.lit ? LIT : 0);
    if (alpha > 0) fills.set(value, rgba(shape.colour, alpha));
  }
  if (fills.size) drawCanvas(context, asCanvas(fillPixels(cut.samples, cut.slice, fills)), layout, false);
  drawOutlines(context, cut.borders, shown, layout, scene.lit);
}

function fillPixels(samples: Samples, slice: Slice, fills: Map<number, number>): ImageData {
  const image = new ImageData(slice.width, slice.height);
  const out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i]!;
    if (value) out[i] = fills.get(value) ?? 0;
  }
  return image;
}

function drawOutlines(
  context: CanvasRenderingContext2D,
  borders: Map<number, Outline>,
  shown: Map<number, Shape>,
  layout: Layout,
  lit: string | null,
): void {
  context.lineCap = "square";
  for (const [value, { segments }] of borders) {
    const shape = shown.get(value);
    if (!shape) continue;
    const thick = keyOf(shape) === lit ? 2.5 : 1.5;
    context.strokeStyle = shape.colour;
    context.lineWidth = thick;
    context.beginPath();
    for (let i = 0; i < segments.length; i += 6) {
      const dx = (segments[i + 4]! * thick) / 2;
      const dy = (segments[i + 5]! * thick) / 2;
      context.moveTo(layout.left + segments[i]! * layout.stepX + dx, layout.top + segments[i + 1]! * layout.stepY + dy);
      context.lineTo(layout.left + segments[i + 2]! * layout.stepX + dx, layout.top + segments[i + 3]! * layout.stepY + dy);
    }
    context.stroke();
  }
}

function drawBoxes(context: CanvasRenderingContext2D, boxes: AnswerBox[], layout: Layout, index: number): void {
  context.font = "600 12px system-ui, 'DejaVu Sans', sans-serif";
  context.textBaseline = "middle";
  for (const { box, label, colour } of boxes) {
    const { low, high } = boxCorners(box);
    if (index <= low[layout.cut.axis]! || index >= high[layout.cut.axis]!) continue;
    const [x0, y0] = layout.screen(low);
    const [x1, y1] = layout.screen(high);
    const [left, top] = [Math.min(x0, x1), Math.min(y0, y1)];
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.strokeRect(left, top, Math.abs(x1 - x0), Math.abs(y1 - y0));
    const width = context.measureText(label).width + 8;
    const above = top > 18 ? top - 18 : top + 2;
    context.fillStyle = "rgba(0, 0, 0, 0.75)";
    context.fillRect(left, above, width, 16);
    context.fillStyle = "#e8e6dc";
    context.fillText(label, left + 4, above + 8.5);
  }
}

function drawCross(context: CanvasRenderingContext2D, layout: Layout, cross: Triple): void {
  const [x, y] = layout.screen(cross).map((v) => Math.round(v) + 0.5) as [number, number];
  const gap = 14;
  context.strokeStyle = "rgba(255, 214, 102, 0.55)";
  context.lineWidth = 1;
  context.beginPath();
  for (const [fromX, fromY, toX, toY] of [
    [layout.left, y, x - gap, y],
    [x + gap, y, layout.left + layout.width, y],
    [x, layout.top, x, y - gap],
    [x, y + gap, x, layout.top + layout.height],
  ] as const) {
    context.moveTo(fromX, fromY);
    context.lineTo(toX, toY);
  }
  context.stroke();
}

function drawRuler(context: CanvasRenderingContext2D, layout: Layout, { from, to }: Ruler): void {
  const [x0, y0] = layout.screen(from);
  const [x1, y1] = layout.screen(to);
  const { grid } = layout;
  const length = Math.hypot(...grid.world(from).map((v, i) => v - grid.world(to)[i]!));
  const words = grid.unit === "mm" ? `${length.toFixed(1)} mm` : `${length.toFixed(0)} px`;
  context.strokeStyle = "#ffd666";
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
  context.font = "600 13px system-ui, 'DejaVu Sans', sans-serif";
  const width = context.measureText(words).width + 8;
  context.fillStyle = "rgba(0, 0, 0, 0.75)";
  context.fillRect(x1 + 6, y1 - 9, width, 18);
  context.fillStyle = "#ffd666";
  context.textBaseline = "middle";
  context.fillText(words, x1 + 10, y1);
}

/** A colour with an opacity as one number of an RGBA buffer (little-endian). */
function rgba(colour: string, alpha: number): number {
  const value = Number.parseInt(colour.slice(1), 16);
  return ((Math.round(alpha * 255) << 24) | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}
