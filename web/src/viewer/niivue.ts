/**
 * The one file that knows NiiVue: the regions in 3D, on a copy of the volume that is small enough for any graphics card.
 *
 * NiiVue keeps every layer as a 3D RGBA texture and rebuilds it at each change of window, which takes half a minute for 512x512x275 where
 * there is no graphics card; slices are therefore drawn by `draw.ts`, and only the 3D view is NiiVue's.
 */

import { NVImage, Niivue, SLICE_TYPE } from "@niivue/niivue";

import type { ImageInfo, Range } from "../types";
import { Grid, type Triple } from "./geometry";
import type { Voxels } from "./nifti";
import { type Shape, keyOf } from "./store";

const LARGEST = 128;

export class Rendering {
  private turn: Promise<void> = Promise.resolve();

  private constructor(private readonly nv: Niivue) {}

  static async on(canvas: HTMLCanvasElement): Promise<Rendering> {
    const nv = new Niivue({
      backColor: [0, 0, 0, 1],
      show3Dcrosshair: false,
      isOrientCube: true,
      dragAndDropEnabled: false,
      loadingText: "",
      logLevel: "error",
      crosshairWidth: 0,
    });
    await nv.attachToCanvas(canvas, false);
    nv.setSliceType(SLICE_TYPE.RENDER);
    // the patient seen from the front
    nv.setRenderAzimuthElevation(180, 5);
    return new Rendering(nv);
  }

  /** Show the visible regions on a faint skeleton (CT) or body; calls that come faster than they can be drawn wait their turn. */
  show(
    image: ImageInfo,
    volume: Voxels,
    labelMaps: Map<string, Voxels>,
    shapes: Map<string, Shape>,
    hidden: ReadonlySet<string>,
  ): void {
    this.turn = this.turn.then(async () => {
      const grid = new Grid(image);
      const step = grid.size.map((n) => Math.ceil(n / LARGEST)) as Triple;
      const merged = coloured(labelMaps, shapes, hidden, step);
      const window: Range = image.modality === "CT" ? [200, 1200] : image.window;
      const layers = [await asImage(grid, thinned(volume, step), step, window, merged ? 0.3 : 1)];
      if (merged) {
        const regions = await asImage(grid, merged.voxels, step, [0, 255], 1);
        regions.setColormapLabel(merged.colours);
        layers.push(regions);
      }
      for (const old of [...this.nv.volumes]) this.nv.removeVolume(old);
      for (const layer of layers) this.nv.addVolume(layer);
      this.nv.drawScene();
    });
  }

  close(): void {
    this.nv.cleanup();
    this.nv.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/** Every step-th sample along each axis. */
function thinned(volume: Voxels, step: Triple): Voxels {
  const size = volume.size.map((n, axis) => Math.ceil(n / step[axis]!)) as Triple;
  const data = new Float32Array(size[0] * size[1] * size[2]);
  let to = 0;
  for (let z = 0; z < size[2]; z++)
    for (let y = 0; y < size[1]; y++) {
      const line = (z * step[2] * volume.size[1] + y * step[1]) * volume.size[0];
      for (let x = 0; x < size[0]; x++) data[to++] = volume.data[line + x * step[0]]!;
    }
  return { size, data };
}

/** All visible regions of all label maps as one label map with a colour table. */
function coloured(
  labelMaps: Map<string, Voxels>,
  shapes: Map<string, Shape>,
  hidden: ReadonlySet<string>,
  step: Triple,
): { voxels: Voxels; colours: { R: number[]; G: number[]; B: number[]; A: number[]; I: number[]; labels: string[] } } | null {
  const shown = [...shapes].filter(([key, shape]) => !hidden.has(key) && labelMaps.has(shape.mask_id)).map(([, shape]) => shape);
  if (!shown.length) return null;
  const number = new Map(shown.map((shape, i) => [keyOf(shape), i + 1]));
  let merged: Voxels | null = null;
  for (const [mask_id, labels] of labelMaps) {
    const thin = thinned(labels, step);
    for (let i = 0; i < thin.data.length; i++) thin.data[i] = number.get(keyOf({ mask_id, label_value: thin.data[i]! })) ?? 0;
    if (!merged) merged = thin;
    else for (let i = 0; i < thin.data.length; i++) merged.data[i] = thin.data[i]! || merged.data[i]!;
  }
  const channel = (shift: number): number[] => [0, ...shown.map((shape) => (Number.parseInt(shape.colour.slice(1), 16) >> shift) & 0xff)];
  return {
    voxels: { size: merged!.size, data: Uint8Array.from(merged!.data) },
    colours: {
      R: channel(16),
      G: channel(8),
      B: channel(0),
      A: [0, ...shown.map(() => 255)],
      I: [0, ...shown.map((_, i) => i + 1)],
      labels: ["", ...shown.map((shape) => shape.label)],
    },
  };
}

/** A NiiVue image of samples on a thinned grid; NIfTI's world is RAS. */
function asImage(grid: Grid, voxels: Voxels, step: Triple, [low, high]: Range, opacity: number): Promise<NVImage> {
  const origin = grid.world([0, 0, 0]);
  const ras = ([x, y, z]: Triple): Triple => [-x, -y, z];
  const column = (axis: number): Triple => {
    const index = [0, 0, 0] as Triple;
    index[axis] = step[axis]!;
    return ras(grid.world(index).map((v, i) => v - origin[i]!) as Triple);
  };
  const [a, b, c, o] = [column(0), column(1), column(2), ras(origin)];
  const affine = [0, 1, 2].flatMap((row) => [a[row]!, b[row]!, c[row]!, o[row]!]).concat([0, 0, 0, 1]);
  const spacing = grid.spacing.map((mm, axis) => mm * step[axis]!);
  const bytes = NVImage.createNiftiArray(voxels.size, spacing, affine, voxels.data instanceof Uint8Array ? 2 : 16, voxels.data);
  return NVImage.loadFromUrl({ url: bytes.buffer as ArrayBuffer, name: "volume.nii", colormap: "gray", opacity, cal_min: low, cal_max: high });
}
