/** The one kind of NIfTI-1 file that the server sends: plain, little-endian, four sample types, values final. */

export type Samples = Int16Array | Uint8Array | Uint16Array | Float32Array;

export interface Voxels {
  /** Samples along x, y, z. */
  size: [nx: number, ny: number, nz: number];
  data: Samples;
}

const KINDS: Record<number, { new (buffer: ArrayBuffer, offset: number, length: number): Samples; BYTES_PER_ELEMENT: number }> = {
  2: Uint8Array,
  4: Int16Array,
  16: Float32Array,
  512: Uint16Array,
};

/** Read the samples; no copy is made. Throws RangeError for a file that is not as docs/api.md says. */
export function readNifti(buffer: ArrayBuffer): Voxels {
  const view = new DataView(buffer);
  if (buffer.byteLength < 352 || view.getInt32(0, true) !== 348) throw new RangeError("not a little-endian NIfTI-1 file");
  const size = [1, 2, 3].map((axis) => Math.max(1, view.getInt16(40 + 2 * axis, true))) as Voxels["size"];
  const kind = KINDS[view.getInt16(70, true)];
  if (!kind) throw new RangeError(`samples of NIfTI type ${view.getInt16(70, true)}`);
  const offset = view.getFloat32(108, true);
  const count = size[0] * size[1] * size[2];
  if (buffer.byteLength < offset + count * kind.BYTES_PER_ELEMENT) throw new RangeError("the file is cut short");
  return { size, data: new kind(buffer, offset, count) };
}
