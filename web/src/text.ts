/** Text with marks: cut at code points, never at UTF-16 halves, and never into markup. */

export interface Span<T> {
  text: string;
  marks: T[];
}

/** Cut text at the starts and ends of marks; each span knows the marks that cover it. */
export function spans<T extends { start: number; end: number }>(text: string, marks: T[]): Span<T>[] {
  const points = Array.from(text);
  const cuts = new Set([0, points.length]);
  for (const mark of marks) for (const at of [mark.start, mark.end]) if (at > 0 && at < points.length) cuts.add(at);
  const ordered = [...cuts].sort((a, b) => a - b);
  return ordered.slice(0, -1).map((start, i) => ({
    text: points.slice(start, ordered[i + 1]).join(""),
    marks: marks.filter((mark) => mark.start <= start && start < mark.end),
  }));
}

/** "12.3 mL", "410 mm²" for a picture of known spacing, "93 px" where the size is not known. */
export function sizeOf(region: { mm3: number; voxels: number; box: number[] | null }): string {
  if (!region.mm3) return `${region.voxels.toLocaleString("en")} px`;
  if (region.box?.length === 4) return `${Math.round(region.mm3).toLocaleString("en")} mm²`;
  const ml = region.mm3 / 1000;
  return `${ml >= 100 ? Math.round(ml).toLocaleString("en") : ml.toPrecision(3)} mL`;
}

export const percent = (part: number, whole: number): number => (whole ? Math.min(100, Math.round((100 * part) / whole)) : 0);

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** "1 image", "4 images". */
export const counted = (n: number, noun: string): string => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
