/** The list of what is marked in the image: search, show and hide, opacity, size, go to. */

import { useSignal } from "@preact/signals";

import { sizeOf } from "../text";
import { type ViewerStore, keyOf } from "./store";

export function RegionPanel({ store }: { store: ViewerStore }) {
  const sought = useSignal("");
  const words = sought.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = store.regions.value.filter((region) => words.every((word) => region.label.toLowerCase().includes(word)));
  const keys = found.map(keyOf);
  const allHidden = keys.every((key) => store.hidden.value.has(key));
  return (
    <div class="regions">
      <div class="regions-head">
        <input
          type="search"
          placeholder="Find a region"
          aria-label="find a region"
          value={sought.value}
          onInput={(event) => (sought.value = event.currentTarget.value)}
        />
        <button onClick={() => store.toggle(keys, allHidden)}>{allHidden ? "show" : "hide"} all</button>
      </div>
      <ul>
        {found.map((region) => {
          const key = keyOf(region);
          const shown = !store.hidden.value.has(key);
          return (
            <li
              key={region.region_id}
              class={store.lit.value === key ? "lit" : ""}
              onPointerEnter={() => (store.lit.value = key)}
              onPointerLeave={() => (store.lit.value = null)}
            >
              <input type="checkbox" aria-label={`show ${region.label}`} checked={shown} onChange={() => store.toggle([key], !shown)} />
              <i class="dot" style={{ background: region.colour }} />
              <button class="name" title="go to" onClick={() => store.goTo(region)} onFocus={() => (store.lit.value = key)}>
                {region.label}
              </button>
              <span class="size">{sizeOf(region)}</span>
              <input
                type="range"
                min="0"
                max="1"
                step="0.05"
                aria-label={`fill of ${region.label}`}
                value={store.opacity.value.get(key) ?? 0}
                onInput={(event) => store.setOpacity(key, Number(event.currentTarget.value))}
              />
            </li>
          );
        })}
      </ul>
      {!found.length && <p class="soft">No region is called that.</p>}
    </div>
  );
}
