/** What a viewer shows, as signals: one store a room; whatever draws reads from it, whatever acts writes to it. */

import { batch, computed, signal } from "@preact/signals";

import * as api from "../api";
import type { AnswerBox, ImageInfo, Range, Region } from "../types";
import { Grid, type Plane, type Triple, boxCorners } from "./geometry";
import { type Voxels, readNifti } from "./nifti";

export interface Shape {
  mask_id: string;
  label_value: number;
  label: string;
  colour: string;
}

export type Status =
  | { kind: "empty" }
  | { kind: "loading"; what: string; done: number; total: number }
  | { kind: "ready" }
  | { kind: "failed"; error: api.ApiError };

export const keyOf = (shape: { mask_id: string | null; label_value: number | null }): string => `${shape.mask_id}#${shape.label_value}`;

/** Volumes are kept for a while: the next case of a review and the way back to a study cost nothing. */
const kept = new Map<string, { coming: Promise<Voxels>; bytes: number }>();
const KEEP_BYTES = 600e6;

function voxels(path: string, progress: api.Progress): Promise<Voxels> {
  const known = kept.get(path);
  if (known) return known.coming;
  const entry = { coming: api.bytes(path, progress).then(readNifti), bytes: 0 };
  kept.set(path, entry);
  entry.coming.then(
    ({ data }) => {
      entry.bytes = data.byteLength;
      forgetOldest();
    },
    () => kept.delete(path),
  );
  return entry.coming;
}

function forgetOldest(): void {
  let bytes = [...kept.values()].reduce((sum, entry) => sum + entry.bytes, 0);
  for (const [path, entry] of kept) {
    if (bytes <= KEEP_BYTES) return;
    bytes -= entry.bytes;
    if (entry.bytes) kept.delete(path);
  }
}

const volumePath = (image: ImageInfo): string => `files/${encodeURIComponent(image.image_id)}/volume`;
const maskPath = (id: string): string => `masks/${encodeURIComponent(id)}`;

/** Load an image's pixels and masks ahead of time; should that fail, opening it will say so. */
export function prefetch(image: ImageInfo): void {
  for (const path of [volumePath(image), ...image.masks.map((mask) => maskPath(mask.mask_id))])
    voxels(path, () => undefined).catch(() => undefined);
}

export class ViewerStore {
  readonly image = signal<ImageInfo | null>(null);
  readonly volume = signal<Voxels | null>(null);
  readonly status = signal<Status>({ kind: "empty" });
  readonly regions = signal<Region[]>([]);
  readonly labelMaps = signal<Map<string, Voxels>>(new Map());
  readonly boxes = signal<AnswerBox[]>([]);
  readonly cross = signal<Triple>([0, 0, 0]);
  readonly window = signal<Range>([0, 1]);
  readonly zoom = signal(1);
  readonly solo = signal<Plane | null>(null);
  readonly rulerOn = signal(false);
  readonly scene3d = signal(false);
  readonly hidden = signal<ReadonlySet<string>>(new Set());
  readonly opacity = signal<ReadonlyMap<string, number>>(new Map());
  /** key of the region under the pointer or of the sentence that is pointed at */
  readonly lit = signal<string | null>(null);
  readonly picked = signal<Shape | null>(null);
  readonly pointer = signal<Triple | null>(null);
  readonly prior = signal<ViewerStore | null>(null);

  readonly grid = computed(() => (this.image.value ? new Grid(this.image.value) : null));
  readonly planes = computed((): Plane[] => (this.image.value?.dimensions === 2 ? ["picture"] : ["axial", "coronal", "sagittal"]));
  readonly shapes = computed(() => new Map(this.regions.value.map((region) => [keyOf(region), region as Shape])));

  /** the viewer beside this one: the crosshair and the window of one are those of the other */
  private peer: ViewerStore | null = null;
  private turn = 0;

  /** Show an image with its regions; what was shown before stays until the new pixels are there. */
  async open(image: ImageInfo, known: Region[] | null = null): Promise<void> {
    const turn = ++this.turn;
    const progress = (done: number, total: number): void => {
      if (turn === this.turn) this.status.value = { kind: "loading", what: image.title, done, total };
    };
    progress(0, 0);
    try {
      const volume = await voxels(volumePath(image), progress);
      if (turn !== this.turn) return;
      this.show(image, volume, known ?? []);
      // the server may have to look for regions first, which takes it seconds: the scan does not wait for them
      const found = known ?? (await api.regions(image.image_id));
      if (turn !== this.turn) return;
      if (!known) this.regions.value = [...found, ...this.regions.value];
      await Promise.all(image.masks.map((mask) => this.addMask(mask.mask_id)));
    } catch (reason) {
      if (turn === this.turn) this.status.value = { kind: "failed", error: asApiError(reason) };
    }
  }

  private show(image: ImageInfo, volume: Voxels, regions: Region[]): void {
    batch(() => {
      this.image.value = image;
      this.volume.value = volume;
      this.regions.value = regions;
      this.labelMaps.value = new Map();
      this.boxes.value = [];
      this.picked.value = null;
      this.lit.value = null;
      this.solo.value = null;
      this.hidden.value = new Set();
      this.window.value = image.window;
      this.zoom.value = 1;
      this.cross.value = volume.size.map((n) => Math.floor(n / 2)) as Triple;
      this.status.value = { kind: "ready" };
    });
  }

  /** Fetch a label map and lay it over the image, if it is not there yet. */
  async addMask(maskId: string): Promise<void> {
    if (this.labelMaps.value.has(maskId)) return;
    const image = this.image.value;
    const labels = await voxels(maskPath(maskId), () => undefined);
    if (this.image.value === image) this.labelMaps.value = new Map(this.labelMaps.value).set(maskId, labels);
  }

  /** Show a region that was not in the image's table: a mask that an answer made. */
  addRegion(region: Region): void {
    if (!this.shapes.value.has(keyOf(region))) this.regions.value = [...this.regions.value, region];
  }

  /** Move the crosshair, and that of the viewer beside to the same place in the patient. */
  moveTo(index: Triple): void {
    const grid = this.grid.value;
    if (!grid) return;
    const sample = grid.clamped(index);
    const peer = this.peer?.grid.value;
    batch(() => {
      this.cross.value = sample;
      if (peer && peer.unit === grid.unit) this.peer!.cross.value = peer.clamped(peer.index(grid.world(sample)));
    });
  }

  setWindow(window: Range): void {
    batch(() => {
      this.window.value = window;
      if (this.peer) this.peer.window.value = window;
    });
  }

  /** Show an earlier examination beside this one, or (null) no longer. */
  setPrior(prior: ViewerStore | null): void {
    if (this.peer) this.peer.peer = null;
    this.peer = prior;
    if (prior) prior.peer = this;
    this.prior.value = prior;
    this.setWindow(this.window.value);
    this.moveTo(this.cross.value);
  }

  /** Move the crosshair into a region: to its sample nearest to the centroid, since a centroid may lie outside; else to its box. */
  goTo(place: { centroid: number[] | null; box: number[] | null; mask_id: string | null; label_value: number | null }): void {
    const grid = this.grid.value;
    const labels = place.mask_id ? this.labelMaps.value.get(place.mask_id) : undefined;
    if (!grid || !place.box) return;
    const { low, high } = boxCorners(place.box);
    const middle = low.map((v, axis) => (v + high[axis]!) / 2) as Triple;
    const [x, y, z] = place.centroid ?? [];
    const aim = x !== undefined && y !== undefined ? grid.index([x, y, z ?? 0]) : middle;
    const inside = labels && place.label_value !== null ? nearest(labels, place.label_value, low, high, aim, grid.spacing) : null;
    this.moveTo(inside ?? middle);
  }

  /** The first visible region at an index position. */
  shapeAt(index: Triple): Shape | null {
    const volume = this.volume.value;
    if (!volume) return null;
    const offset = (index[2] * volume.size[1] + index[1]) * volume.size[0] + index[0];
    for (const [maskId, labels] of this.labelMaps.value) {
      const key = keyOf({ mask_id: maskId, label_value: labels.data[offset] ?? 0 });
      const shape = this.shapes.value.get(key);
      if (shape && !this.hidden.value.has(key)) return shape;
    }
    return null;
  }

  valueAt(index: Triple): number | null {
    const volume = this.volume.value;
    return volume ? (volume.data[(index[2] * volume.size[1] + index[1]) * volume.size[0] + index[0]] ?? null) : null;
  }

  scroll(axis: number, by: number): void {
    const next: Triple = [...this.cross.value];
    next[axis] = next[axis]! + by;
    this.moveTo(next);
  }

  zoomBy(factor: number): void {
    this.zoom.value = Math.max(1, Math.min(12, this.zoom.value * factor));
  }

  toggle(keys: string[], show: boolean): void {
    const hidden = new Set(this.hidden.value);
    for (const key of keys) if (show) hidden.delete(key);
      else hidden.add(key);
    this.hidden.value = hidden;
  }

  setOpacity(key: string, value: number): void {
    this.opacity.value = new Map(this.opacity.value).set(key, value);
  }

  close(): void {
    this.turn++;
    this.setPrior(null);
    batch(() => {
      this.image.value = null;
      this.volume.value = null;
      this.regions.value = [];
      this.labelMaps.value = new Map();
      this.boxes.value = [];
      this.picked.value = null;
      this.status.value = { kind: "empty" };
    });
  }
}

/** The sample of a label, within a box, that lies nearest to an index position. */
function nearest(labels: Voxels, value: number, low: Triple, high: Triple, aim: Triple, spacing: Triple): Triple | null {
  let best: Triple | null = null;
  let least = Number.POSITIVE_INFINITY;
  const [nx, ny] = labels.size;
  for (let z = Math.ceil(low[2]); z < high[2]; z++)
    for (let y = Math.ceil(low[1]); y < high[1]; y++)
      for (let x = Math.ceil(low[0]); x < high[0]; x++) {
        if (labels.data[(z * ny + y) * nx + x] !== value) continue;
        const far = ((x - aim[0]) * spacing[0]) ** 2 + ((y - aim[1]) * spacing[1]) ** 2 + ((z - aim[2]) * spacing[2]) ** 2;
        if (far < least) [least, best] = [far, [x, y, z]];
      }
  return best;
}

export function asApiError(reason: unknown): api.ApiError {
  if (reason instanceof api.ApiError) return reason;
  const why = reason instanceof Error ? reason.message : String(reason);
  return new api.ApiError(0, "page", "This cannot be shown.", why, "Reload the page; if it happens again, report it with these lines.");
}
