/** Where things are in the patient and on the screen. Index triples are (x, y, z) here, because canvases are; the patient is LPS. */

import type { ImageInfo, Side } from "../types";

export type Plane = "axial" | "coronal" | "sagittal" | "picture";
export type Triple = [x: number, y: number, z: number];

/** Canonical index axes (0 x, 1 y, 2 z): the one cut, the ones running right and down; whether down runs against the index. */
export interface Cut {
  axis: number;
  right: number;
  down: number;
  flipped: boolean;
}

export const CUTS: Record<Plane, Cut> = {
  axial: { axis: 2, right: 0, down: 1, flipped: false },
  coronal: { axis: 1, right: 0, down: 2, flipped: true },
  sagittal: { axis: 0, right: 1, down: 2, flipped: true },
  picture: { axis: 2, right: 0, down: 1, flipped: false },
};

export interface Sides {
  left: string;
  right: string;
  top: string;
  bottom: string;
}

/** The grid of an image with its axes in (x, y, z) order; a picture is one slice thick. */
export class Grid {
  readonly size: Triple;
  readonly spacing: Triple;
  readonly unit: "mm" | "pixel";
  private readonly origin: Triple;
  /** columns[j] is the LPS unit vector of index axis j */
  private readonly columns: [Triple, Triple, Triple];

  constructor(private readonly image: ImageInfo) {
    const flat = image.dimensions === 2;
    this.size = triple([...image.shape].reverse(), 1);
    this.spacing = triple([...image.spacing].reverse(), 1);
    this.origin = triple(image.origin, 0);
    this.unit = image.grid_unit;
    const n = image.dimensions;
    const column = (j: number): Triple => triple([0, 1, 2].map((i) => (i < n && j < n ? (image.direction[i * n + j] ?? 0) : i === j ? 1 : 0)), 0);
    // a picture's own plane: x to the patient's left, y to the feet
    const onPicture = ([x, y]: Triple): Triple => [x, 0, -y];
    const columns: [Triple, Triple, Triple] = [column(0), column(1), column(2)];
    this.columns = flat ? [onPicture(columns[0]), onPicture(columns[1]), [0, 1, 0]] : columns;
  }

  /** LPS millimetres of an index position (sample centres at whole numbers). */
  world(index: Triple): Triple {
    const at = (i: number): number =>
      this.origin[i]! + [0, 1, 2].reduce((sum, j) => sum + this.columns[j]![i]! * this.spacing[j]! * index[j]!, 0);
    return [at(0), at(1), at(2)];
  }

  /** The index position of LPS millimetres; the axes stand at right angles, so the inverse is the transpose. */
  index(world: Triple): Triple {
    const along = (j: number): number =>
      [0, 1, 2].reduce((sum, i) => sum + this.columns[j]![i]! * (world[i]! - this.origin[i]!), 0) / this.spacing[j]!;
    return [along(0), along(1), along(2)];
  }

  /** A position on a sample of this grid. */
  clamped(index: Triple): Triple {
    return index.map((at, axis) => Math.max(0, Math.min(this.size[axis]! - 1, Math.round(at)))) as Triple;
  }

  /** The letters at the edges of a plane, from the directions in the header; empty where the side is not known. */
  sides(plane: Plane): Sides {
    const cut = CUTS[plane];
    const right = this.columns[cut.right]!;
    const down = cut.flipped ? negated(this.columns[cut.down]!) : this.columns[cut.down]!;
    const vertical = { top: letters(negated(down)), bottom: letters(down) };
    if (plane === "picture" && this.image.view !== "frontal")
      return { left: "", right: "", ...(this.image.view === "lateral" ? vertical : { top: "", bottom: "" }) };
    return { left: letters(negated(right)), right: letters(right), ...vertical };
  }

  /** The patient's side of a place; "none" where sides have no meaning. */
  side(world: Triple): Side {
    if (this.image.dimensions === 2 && this.image.view !== "frontal") return "none";
    const middle = this.image.midline_mm ?? this.world(this.size.map((n) => (n - 1) / 2) as Triple)[0];
    const off = world[0] - middle;
    return Math.abs(off) <= 5 ? "midline" : off > 0 ? "left" : "right";
  }
}

/** The corners of a half-open box in index positions of sample edges; a picture's box is one slice thick. */
export function boxCorners(box: number[]): { low: Triple; high: Triple } {
  const half = box.length / 2;
  const low = triple(box.slice(0, half).reverse(), 0);
  const high = triple(box.slice(half).reverse(), 1);
  return { low: low.map((v) => v - 0.5) as Triple, high: high.map((v) => v - 0.5) as Triple };
}

const PAIRS = ["RL", "AP", "FH"];
/** a second letter says that an axis leans by 20 degrees or more */
const LEANS = 0.342;

function letters(direction: Triple): string {
  const order = [0, 1, 2].sort((a, b) => Math.abs(direction[b]!) - Math.abs(direction[a]!));
  return order
    .slice(0, 2)
    .filter((axis, rank) => rank === 0 || Math.abs(direction[axis]!) > LEANS)
    .map((axis) => PAIRS[axis]![direction[axis]! > 0 ? 1 : 0])
    .join("");
}

const negated = (v: Triple): Triple => v.map((n) => -n) as Triple;

function triple(values: number[], rest: number): Triple {
  return [values[0] ?? rest, values[1] ?? rest, values[2] ?? rest];
}
