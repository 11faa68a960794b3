/** A refusal in three lines: what, why, mend; and what can be done here. */

import type { ComponentChildren } from "preact";

import type { ApiError } from "../api";

export function Refusal({ error, children }: { error: ApiError; children?: ComponentChildren }) {
  return (
    <div class="refusal" role="alert">
      <p class="what">{error.what}</p>
      {error.why && <p>{error.why}</p>}
      {error.mend && <p class="mend">{error.mend}</p>}
      {children}
    </div>
  );
}
