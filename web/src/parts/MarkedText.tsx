/** Text whose sentences carry the colours of their places: hover lights the region, click goes there. Text stays text. */

import type { ViewerStore } from "../viewer/store";
import { keyOf } from "../viewer/store";
import { spans } from "../text";

export interface Place {
  start: number;
  end: number;
  label: string;
  colour: string;
  mask_id: string | null;
  label_value: number | null;
  box: number[] | null;
  centroid: number[] | null;
}

export function MarkedText({ text, marks, store }: { text: string; marks: Place[]; store: ViewerStore }) {
  return (
    <p class="marked">
      {spans(text, marks).map((span, i) =>
        span.marks.length ? (
          <span key={i} class="sentence" style={{ borderColor: span.marks[0]!.colour }}>
            {before(span.text)}
            <span class="unbroken">
              {lastWord(span.text)}
              {span.marks.map((mark) => (
                <button
                  key={mark.label}
                  class="mark"
                  title={`go to the ${mark.label}`}
                  aria-label={`go to the ${mark.label}`}
                  onPointerEnter={() => (store.lit.value = keyOf(mark))}
                  onPointerLeave={() => (store.lit.value = null)}
                  onFocus={() => (store.lit.value = keyOf(mark))}
                  onBlur={() => (store.lit.value = null)}
                  onClick={() => store.goTo(mark)}
                >
                  <i class="dot" style={{ background: mark.colour }} />
                </button>
              ))}
            </span>
            {span.text.slice(span.text.trimEnd().length)}
          </span>
        ) : (
          <span key={i}>{span.text}</span>
        ),
      )}
    </p>
  );
}

/** A sentence's marks stay on the line of its last word. */
const lastWord = (text: string): string => /\S*$/.exec(text.trimEnd())![0];
const before = (text: string): string => text.trimEnd().slice(0, text.trimEnd().length - lastWord(text).length);
