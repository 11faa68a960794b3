/** Cutting planes out of volumes: grey pixels through a window, labels, and the outlines of labels as paths. */

import type { Range } from "../types";
import { CUTS, type Plane } from "./geometry";
import type { Samples, Voxels } from "./nifti";

export interface Slice {
  width: number;
  height: number;
}

interface Steps extends Slice {
  /** offset of the upper left sample, and the way to the next sample right and down */
  start: number;
  right: number;
  down: number;
}

/** How to walk through a volume to read a plane from its upper left corner. */
export function steps(size: Voxels["size"], plane: Plane, index: number): Steps {
  const cut = CUTS[plane];
  const stride = [1, size[0], size[0] * size[1]];
  const height = size[cut.down]!;
  const down = stride[cut.down]! * (cut.flipped ? -1 : 1);
  const start = index * stride[cut.axis]! + (cut.flipped ? (height - 1) * stride[cut.down]! : 0);
  return { width: size[cut.right]!, height, start, right: stride[cut.right]!, down };
}

/** Grey pixels, opaque, of one slice. */
export function greyPixels(volume: Voxels, plane: Plane, index: number, [low, high]: Range): ImageData {
  const walk = steps(volume.size, plane, index);
  const image = new ImageData(walk.width, walk.height);
  const out = new Uint32Array(image.data.buffer);
  const scale = 255 / Math.max(high - low, 1e-6);
  const { data } = volume;
  let to = 0;
  for (let row = 0, line = walk.start; row < walk.height; row++, line += walk.down) {
    for (let column = 0, from = line; column < walk.width; column++, from += walk.right) {
      const scaled = (data[from]! - low) * scale;
      const grey = scaled <= 0 ? 0 : scaled >= 255 ? 255 : (scaled + 0.5) | 0;
      out[to++] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
  }
  return image;
}

/** The labels of one slice, row by row. */
export function labelPlane(labels: Voxels, plane: Plane, index: number): Samples {
  const walk = steps(labels.size, plane, index);
  const out = labels.data instanceof Uint8Array ? new Uint8Array(walk.width * walk.height) : new Uint16Array(walk.width * walk.height);
  let to = 0;
  for (let row = 0, line = walk.start; row < walk.height; row++, line += walk.down)
    for (let column = 0, from = line; column < walk.width; column++, from += walk.right) out[to++] = labels.data[from]!;
  return out;
}

export interface Outline {
  /** x0, y0, x1, y1 in sample edges and the direction inwards (dx, dy): six numbers a segment */
  segments: number[];
}

/** The borders of every label of a plane, as runs along sample edges; inwards lets the line be drawn inside its own region. */
export function outlines(plane: Samples, { width, height }: Slice): Map<number, Outline> {
  const found = new Map<number, Outline>();
  const add = (label: number, x0: number, y0: number, x1: number, y1: number, dx: number, dy: number): void => {
    let outline = found.get(label);
    if (!outline) found.set(label, (outline = { segments: [] }));
    outline.segments.push(x0, y0, x1, y1, dx, dy);
  };
  const at = (x: number, y: number): number => (x < 0 || y < 0 || x >= width || y >= height ? 0 : plane[y * width + x]!);
  // horizontal borders between row y - 1 and row y, then the same for columns; equal neighbours along a border make one run
  walkBorders(width, height, (x, y) => [at(x, y - 1), at(x, y)], (label, from, to, y, inside) => add(label, from, y, to, y, 0, inside));
  walkBorders(height, width, (y, x) => [at(x - 1, y), at(x, y)], (label, from, to, x, inside) => add(label, x, from, x, to, inside, 0));
  return found;
}

function walkBorders(
  along: number,
  across: number,
  pair: (along: number, across: number) => [number, number],
  add: (label: number, from: number, to: number, at: number, inwards: number) => void,
): void {
  for (let line = 0; line <= across; line++) {
    for (let which = 0; which < 2; which++) {
      let run = 0;
      let from = 0;
      for (let i = 0; i <= along; i++) {
        const both = i < along ? pair(i, line) : ([0, 0] as [number, number]);
        const label = both[which]! !== both[1 - which]! ? both[which]! : 0;
        if (label === run) continue;
        if (run) add(run, from, i, line, which === 0 ? -1 : 1);
        run = label;
        from = i;
      }
    }
  }
}
