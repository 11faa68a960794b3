/** Stands in for NiiVue's zarr decoders, which this page never needs: see vite.config.ts. */
export default class NoCodec {
  static fromConfig(): never {
    throw new Error("this page reads no zarr");
  }
}
