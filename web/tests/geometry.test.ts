import { describe, expect, it } from "vitest";

import type { ImageInfo } from "../src/types";
import { Grid, type Plane, type Triple, boxCorners } from "../src/viewer/geometry";
import { Layout, MARGIN } from "../src/viewer/layout";
import { labelPlane, outlines, steps } from "../src/viewer/slices";

function image(more: Partial<ImageInfo> = {}): ImageInfo {
  return {
    image_id: "img_1", modality: "CT", dimensions: 3, shape: [24, 32, 40], spacing: [3, 1.5, 1], origin: [-20, -24, -36],
    direction: [1, 0, 0, 0, 1, 0, 0, 0, 1], grid_unit: "mm", unit: "HU", view: "volume", title: "", window: [0, 1], presets: [],
    midline_mm: null, masks: [], ...more,
  };
}

const picture = (view: string, direction = [1, 0, 0, 1]): ImageInfo =>
  image({ dimensions: 2, shape: [100, 80], spacing: [1, 1], origin: [0, 0], direction, grid_unit: "pixel", view });

/** A turn about z, as a row-major direction. */
function turned(degrees: number): number[] {
  const [c, s] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return [c, -s, 0, s, c, 0, 0, 0, 1];
}

const letters = (grid: Grid, plane: Plane): string => {
  const { left, right, top, bottom } = grid.sides(plane);
  return [left, right, top, bottom].join(" ");
};

describe("sides", () => {
  it("has the patient's right on the left, the front on top and the head on top", () => {
    const grid = new Grid(image());
    expect(letters(grid, "axial")).toBe("R L A P");
    expect(letters(grid, "coronal")).toBe("R L H F");
    expect(letters(grid, "sagittal")).toBe("A P H F");
  });

  it("comes from the header and not from the array", () => {
    expect(letters(new Grid(image({ direction: [-1, 0, 0, 0, 1, 0, 0, 0, 1] })), "axial")).toBe("L R A P");
  });

  it("says with a second letter that a plane leans", () => {
    expect(letters(new Grid(image({ direction: turned(25) })), "axial")).toBe("RA LP AL PR");
  });

  it("is known for frontal pictures only", () => {
    expect(letters(new Grid(picture("frontal")), "picture")).toBe("R L H F");
    expect(letters(new Grid(picture("frontal", [-1, 0, 0, 1])), "picture")).toBe("L R H F");
    expect(letters(new Grid(picture("lateral")), "picture")).toBe("  H F");
    expect(letters(new Grid(picture("")), "picture")).toBe("   ");
  });

  it("calls the patient's left left, by the midline where it is known", () => {
    const grid = new Grid(image());
    expect(grid.side([15, 0, 0])).toBe("left");
    expect(grid.side([-15, 0, 0])).toBe("right");
    expect(grid.side([0, 0, 0])).toBe("midline");
    expect(new Grid(image({ midline_mm: 30 })).side([15, 0, 0])).toBe("right");
    expect(new Grid(picture("lateral")).side([70, 0, 0])).toBe("none");
  });
});

describe("places", () => {
  it("come back from the patient, oblique or not", () => {
    for (const direction of [image().direction, turned(33)]) {
      const grid = new Grid(image({ direction }));
      const back = grid.index(grid.world([3, 17, 8]));
      back.forEach((v, i) => expect(v).toBeCloseTo([3, 17, 8][i]!, 9));
    }
  });

  it("come back from the screen in every plane, at every zoom", () => {
    const grid = new Grid(image());
    for (const plane of ["axial", "coronal", "sagittal"] as const)
      for (const zoom of [1, 5]) {
        const layout = new Layout(grid, plane, 400, 300, zoom, [20, 16, 12]);
        const through: Triple = [11, 22, 7];
        layout.index(...layout.screen(through), through).forEach((v, i) => expect(v).toBeCloseTo(through[i]!, 9));
      }
  });

  it("put the patient's left on the screen's right and the head on top", () => {
    const grid = new Grid(image());
    for (const plane of ["axial", "coronal"] as const) {
      const layout = new Layout(grid, plane, 400, 300, 1, [20, 16, 12]);
      expect(layout.screen(grid.index([15, 0, 0]))[0]).toBeGreaterThan(layout.screen(grid.index([-15, 0, 0]))[0]);
    }
    const coronal = new Layout(grid, "coronal", 400, 300, 1, [20, 16, 12]);
    expect(coronal.screen(grid.index([0, 0, 30]))[1]).toBeLessThan(coronal.screen(grid.index([0, 0, -30]))[1]);
  });

  it("keep millimetres equal in both directions", () => {
    const layout = new Layout(new Grid(image()), "coronal", 400, 300, 1, [20, 16, 12]);
    expect(layout.width / layout.height).toBeCloseTo(40 / 72, 9);
    expect(layout.height).toBeCloseTo(300 - 2 * MARGIN, 9);
  });

  it("leave no gap at an edge when zoomed, and keep the crosshair in view", () => {
    const grid = new Grid(image());
    for (const centre of [[0, 0, 0], [39, 31, 23], [20, 16, 12]] as Triple[]) {
      const layout = new Layout(grid, "axial", 300, 300, 4, centre);
      const [x, y] = layout.screen(centre);
      expect(Math.min(x, y)).toBeGreaterThanOrEqual(0);
      expect(Math.max(x, y)).toBeLessThanOrEqual(300);
      expect(layout.left).toBeLessThanOrEqual(MARGIN);
      expect(layout.left + layout.width).toBeGreaterThanOrEqual(300 - MARGIN - 1e-9);
    }
  });

  it("take half-open boxes to the edges of their samples", () => {
    expect(boxCorners([1, 2, 3, 4, 5, 6])).toEqual({ low: [2.5, 1.5, 0.5], high: [5.5, 4.5, 3.5] });
    expect(boxCorners([2, 3, 5, 6])).toEqual({ low: [2.5, 1.5, -0.5], high: [5.5, 4.5, 0.5] });
  });
});

describe("slices", () => {
  const size: Triple = [3, 4, 5];
  const data = Uint16Array.from({ length: 60 }, (_, i) => i);
  const at = (x: number, y: number, z: number): number => (z * 4 + y) * 3 + x;

  it("walk the volume as the planes lie", () => {
    expect(Array.from(labelPlane({ size, data }, "axial", 2)).slice(0, 3)).toEqual([at(0, 0, 2), at(1, 0, 2), at(2, 0, 2)]);
    expect(Array.from(labelPlane({ size, data }, "coronal", 1)).slice(0, 4)).toEqual([at(0, 1, 4), at(1, 1, 4), at(2, 1, 4), at(0, 1, 3)]);
    expect(Array.from(labelPlane({ size, data }, "sagittal", 2)).slice(0, 5)).toEqual([at(2, 0, 4), at(2, 1, 4), at(2, 2, 4), at(2, 3, 4), at(2, 0, 3)]);
    expect(steps(size, "sagittal", 0)).toMatchObject({ width: 4, height: 5 });
  });

  it("outline a square by four runs that lie inside it", () => {
    const plane = Uint8Array.from([0, 0, 0, 0, 0, 7, 7, 0, 0, 7, 7, 0, 0, 0, 0, 0]);
    const { segments } = outlines(plane, { width: 4, height: 4 }).get(7)!;
    const runs = Array.from({ length: segments.length / 6 }, (_, i) => segments.slice(6 * i, 6 * i + 6));
    expect(runs).toHaveLength(4);
    expect(runs).toContainEqual([1, 1, 3, 1, 0, 1]);
    expect(runs).toContainEqual([1, 3, 3, 3, 0, -1]);
    expect(runs).toContainEqual([1, 1, 1, 3, 1, 0]);
    expect(runs).toContainEqual([3, 1, 3, 3, -1, 0]);
  });

  it("outline each of two neighbours on its own side, and the picture's edge too", () => {
    const found = outlines(Uint8Array.from([1, 2]), { width: 2, height: 1 });
    expect(found.get(1)!.segments).toHaveLength(24);
    expect(found.get(2)!.segments).toHaveLength(24);
  });

  it("draw as much border as the labels have, whatever they look like", () => {
    for (let seed = 1; seed < 40; seed++) {
      const [width, height] = [1 + (seed % 7), 1 + ((seed * 3) % 5)];
      const plane = Uint8Array.from({ length: width * height }, (_, i) => ((i * 2654435761 * seed) >>> 7) % 3);
      const label = (x: number, y: number): number => (x < 0 || y < 0 || x >= width || y >= height ? 0 : plane[y * width + x]!);
      for (const value of [1, 2]) {
        let borders = 0;
        for (let y = 0; y < height; y++)
          for (let x = 0; x < width; x++)
            if (label(x, y) === value)
              for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]] as const) if (label(x + dx, y + dy) !== value) borders++;
        const segments = outlines(plane, { width, height }).get(value)?.segments ?? [];
        let drawn = 0;
        for (let i = 0; i < segments.length; i += 6) drawn += Math.abs(segments[i + 2]! - segments[i]!) + Math.abs(segments[i + 3]! - segments[i + 1]!);
        expect(drawn).toBe(borders);
      }
    }
  });
});
