/** Judging links and samples: one case at a time, a key a verdict, each stored before the next is shown. */

import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import * as api from "../api";
import { Refusal } from "../parts/Refusal";
import { typing } from "../parts/keys";
import type { Agreement, Case, CorpusInfo, Verdict } from "../types";
import { Viewer } from "../viewer/Viewer";
import { ViewerStore, asApiError, keyOf, prefetch } from "../viewer/store";

const store = new ViewerStore();
const reader = signal(localStorage.getItem("reader") ?? "");
const info = signal<CorpusInfo | null>(null);
const filters = signal<Record<string, string>>({ kind: "link" });
const cases = signal<Case[]>([]);
const at = signal(0);
const total = signal(0);
const judged = signal(0);
const given = signal<ReadonlyMap<string, Verdict>>(new Map());
const note = signal("");
const saving = signal(false);
const agreement = signal<Agreement | null>(null);
const failed = signal<api.ApiError | null>(null);

async function tried(work: () => Promise<void>): Promise<void> {
  failed.value = null;
  try {
    await work();
  } catch (reason) {
    failed.value = asApiError(reason);
  }
}

const load = (): Promise<void> =>
  tried(async () => {
    info.value ??= await api.corpus();
    const page = await api.queue(filters.value, reader.value);
    cases.value = page.data;
    total.value = page.total;
    judged.value = page.judged;
    at.value = 0;
    show();
  });

function show(): void {
  note.value = "";
  const now = cases.value[at.value];
  const image = now?.image;
  if (!now || !image) return store.close();
  void present(now);
  const after = cases.value[at.value + 1]?.image;
  if (after) prefetch(after);
}

async function present(now: Case): Promise<void> {
  const image = now.image!;
  if (store.image.value?.image_id !== image.image_id) await store.open(image);
  if (cases.value[at.value]?.row_id !== now.row_id) return;
  const region = now.region;
  store.boxes.value = now.boxes.map((box) => ({ image_id: image.image_id, label: region?.label ?? "", colour: region?.colour ?? "#ffd666", box }));
  const all = store.regions.value.map(keyOf);
  store.toggle(all, !region);
  if (region) {
    store.toggle([keyOf(region)], true);
    store.goTo(region);
  } else if (now.boxes[0]) store.goTo({ box: now.boxes[0], centroid: null, mask_id: null, label_value: null });
}

const judge = (verdict: Verdict): Promise<void> =>
  tried(async () => {
    const now = cases.value[at.value];
    if (!now || saving.value || !reader.value) return;
    saving.value = true;
    try {
      await api.judge(now.row_id, verdict, note.value, reader.value);
    } finally {
      saving.value = false;
    }
    if (!given.value.has(now.row_id)) judged.value++;
    given.value = new Map(given.value).set(now.row_id, verdict);
    await step(1);
  });

async function step(by: number): Promise<void> {
  const next = at.value + by;
  if (next < 0) return;
  if (next >= cases.value.length) return load();
  at.value = next;
  show();
}

const KEYS: Record<string, () => void> = {
  y: () => void judge("right"),
  n: () => void judge("wrong"),
  u: () => void judge("unsure"),
  " ": () => void step(1),
  z: () => void step(-1),
};

export function Review() {
  useEffect(() => {
    if (reader.value) void load();
    const onKey = (event: KeyboardEvent): void => {
      const act = KEYS[event.key];
      if (!act || typing(event) || event.ctrlKey || event.metaKey || event.altKey || !reader.value) return;
      if (event.key === " " && (event.target as HTMLElement).closest("button, a, summary, input")) return;
      event.preventDefault();
      act();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  return (
    <div class="room">
      <Viewer store={store} empty={<p class="soft">{reader.value ? "This case has no image." : "Say who reads, then the first case comes."}</p>} />
      <aside aria-label="review">{reader.value ? <Desk /> : <WhoReads />}</aside>
    </div>
  );
}

function WhoReads() {
  const name = useSignal("");
  return (
    <form
      class="lock"
      onSubmit={(event) => {
        event.preventDefault();
        if (!name.value.trim()) return;
        reader.value = name.value.trim();
        localStorage.setItem("reader", reader.value);
        void load();
      }}
    >
      <label for="reader">A short name for your verdicts, such as r1. It is all that is kept of you.</label>
      <input id="reader" autocomplete="off" maxLength={20} onInput={(event) => (name.value = event.currentTarget.value)} />
      <button type="submit" class="primary">Begin</button>
    </form>
  );
}

function Desk() {
  const now = cases.value[at.value];
  return (
    <>
      <div class="row filters">
        <select aria-label="kind" value={filters.value["kind"]} onChange={(event) => refilter({ kind: event.currentTarget.value })}>
          <option value="link">links</option>
          <option value="sample">samples</option>
        </select>
        <Choice field="rule" />
        <Choice field="builder" />
        <Choice field="region" />
        <select aria-label="confidence" onChange={(event) => refilter({ max_confidence: event.currentTarget.value })}>
          <option value="">any confidence</option>
          <option value="0.9">below 0.9</option>
          <option value="0.7">below 0.7</option>
        </select>
      </div>
      <p class="row soft filters">
        <progress value={judged.value} max={Math.max(1, total.value)} aria-label="progress" />
        {judged.value} of {total.value} judged by {reader.value}
        <button class="quiet" onClick={() => { reader.value = ""; given.value = new Map(); agreement.value = null; localStorage.removeItem("reader"); }}>change reader</button>
      </p>
      {failed.value && <Refusal error={failed.value}><button onClick={() => void (now ? tried(async () => undefined) : load())}>Go on</button></Refusal>}
      {agreement.value ? <Together /> : now ? <CaseCard now={now} /> : <p class="soft">Nothing is left to judge with these filters.</p>}
      <button onClick={() => (agreement.value ? (agreement.value = null) : void tried(async () => void (agreement.value = await api.agreement())))}>
        {agreement.value ? "Back to the queue" : "Agreement"}
      </button>
    </>
  );
}

function refilter(change: Record<string, string>): void {
  filters.value = { ...filters.value, ...change };
  void load();
}

function Choice({ field }: { field: "rule" | "builder" | "region" }) {
  const choices = info.value?.filters[field] ?? [];
  return (
    <select aria-label={field} value={filters.value[field] ?? ""} onChange={(event) => refilter({ [field]: event.currentTarget.value })}>
      <option value="">any {field}</option>
      {choices.map((choice) => <option key={choice} value={choice}>{choice}</option>)}
    </select>
  );
}

function CaseCard({ now }: { now: Case }) {
  const before = given.value.get(now.row_id);
  const button = (verdict: Verdict, key: string) => (
    <button class={verdict} aria-pressed={before === verdict} disabled={saving.value} onClick={() => void judge(verdict)}>
      {verdict} <kbd>{key}</kbd>
    </button>
  );
  return (
    <article class="case">
      <p class="said">{now.sentence}</p>
      <p class="claim">{now.region && <i class="dot" style={{ background: now.region.colour }} />}{now.claim}</p>
      <p class="soft">{[now.rule, now.builder, `confidence ${now.confidence.toFixed(2)}`].filter(Boolean).join(" · ")}</p>
      <div class="verdicts">
        {button("right", "y")}
        {button("wrong", "n")}
        {button("unsure", "u")}
      </div>
      <textarea rows={2} aria-label="note" placeholder="Note (optional)" value={note} onInput={(event) => (note.value = event.currentTarget.value)} />
      <p class="row">
        <button onClick={() => void step(-1)} disabled={at.value === 0}>back <kbd>z</kbd></button>
        <button onClick={() => void step(1)}>next <kbd>space</kbd></button>
        <span class="soft" role="status">{saving.value ? "storing…" : before ? `stored: ${before}` : ""}</span>
      </p>
    </article>
  );
}

function Together() {
  const { pairs, disagreements, judged: counts } = agreement.value!;
  return (
    <div class="scroll">
      <table>
        <thead><tr><th>readers</th><th>both judged</th><th>agree</th><th>kappa</th></tr></thead>
        <tbody>
          {pairs.map(({ a, b, n, agree, kappa }) => (
            <tr key={a + b}><td>{a}, {b}</td><td>{n}</td><td>{agree}</td><td>{kappa === null ? "–" : kappa.toFixed(2)}</td></tr>
          ))}
        </tbody>
      </table>
      {!pairs.length && <p class="soft">Agreement needs two readers; so far {Object.entries(counts).map(([who, n]) => `${who} ${n}`).join(", ") || "none"}.</p>}
      {disagreements.map(({ case: one, verdicts }) => (
        <article key={one.row_id} class="row-card">
          <p>{one.sentence}</p>
          <p class="soft">{one.claim}</p>
          <p>{Object.entries(verdicts).map(([who, verdict]) => `${who}: ${verdict}`).join(" · ")}</p>
          <button onClick={() => { cases.value = [one, ...cases.value]; at.value = 0; agreement.value = null; show(); }}>Look at it</button>
        </article>
      ))}
    </div>
  );
}
