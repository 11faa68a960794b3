/** What is being loaded, and how far it is. */

import { megabytes, percent } from "../text";

export function Loading({ what, done, total, over = false }: { what: string; done: number; total: number; over?: boolean }) {
  const known = total > 0;
  return (
    <div class={over ? "over loading" : "loading"} role="status">
      <p>{what}{known && done < total ? `: ${megabytes(done)} of ${megabytes(total)}` : "…"}</p>
      <progress {...(known && done < total ? { value: percent(done, total), max: 100 } : {})} />
    </div>
  );
}
