/** How one plane lies on its tile: uniform millimetres, centred, zoomed about the crosshair. */

import { CUTS, type Cut, type Grid, type Plane, type Triple } from "./geometry";

/** room for the side letters */
export const MARGIN = 20;

export class Layout {
  readonly cut: Cut;
  /** screen pixels per sample to the right and down */
  readonly stepX: number;
  readonly stepY: number;
  /** screen position of the slice's upper left corner */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;

  constructor(
    readonly grid: Grid,
    plane: Plane,
    tileWidth: number,
    tileHeight: number,
    zoom: number,
    centre: Triple,
  ) {
    const cut = (this.cut = CUTS[plane]);
    const mmX = grid.size[cut.right]! * grid.spacing[cut.right]!;
    const mmY = grid.size[cut.down]! * grid.spacing[cut.down]!;
    const scale = Math.max(1e-6, Math.min((tileWidth - 2 * MARGIN) / mmX, (tileHeight - 2 * MARGIN) / mmY)) * zoom;
    this.stepX = scale * grid.spacing[cut.right]!;
    this.stepY = scale * grid.spacing[cut.down]!;
    this.width = mmX * scale;
    this.height = mmY * scale;
    const across = centre[cut.right]! + 0.5;
    const along = cut.flipped ? grid.size[cut.down]! - 0.5 - centre[cut.down]! : centre[cut.down]! + 0.5;
    this.left = placed(tileWidth, this.width, across * this.stepX);
    this.top = placed(tileHeight, this.height, along * this.stepY);
  }

  /** Screen position of an index position (sample centres at whole numbers). */
  screen(index: Triple): [x: number, y: number] {
    const { cut, grid } = this;
    const along = cut.flipped ? grid.size[cut.down]! - 0.5 - index[cut.down]! : index[cut.down]! + 0.5;
    return [this.left + (index[cut.right]! + 0.5) * this.stepX, this.top + along * this.stepY];
  }

  /** Index position under a screen position, in the slice through `through`. */
  index(x: number, y: number, through: Triple): Triple {
    const { cut, grid } = this;
    const found: Triple = [...through];
    const along = (y - this.top) / this.stepY;
    found[cut.right] = (x - this.left) / this.stepX - 0.5;
    found[cut.down] = cut.flipped ? grid.size[cut.down]! - 0.5 - along : along - 0.5;
    return found;
  }

  contains(x: number, y: number): boolean {
    return x >= this.left && y >= this.top && x < this.left + this.width && y < this.top + this.height;
  }
}

/** Where a side begins: in the middle where it fits, else with its point of interest in the middle but no gap at an edge. */
function placed(room: number, length: number, focus: number): number {
  if (length <= room - 2 * MARGIN + 0.5) return (room - length) / 2;
  return Math.min(MARGIN, Math.max(room - MARGIN - length, room / 2 - focus));
}
