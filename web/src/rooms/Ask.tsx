/** One study and a conversation: drop a scan, ask, see where the answer points. */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import * as api from "../api";
import { Conversation, type Exchange, download } from "../conversation";
import { Loading } from "../parts/Loading";
import { MarkedText } from "../parts/MarkedText";
import { Refusal } from "../parts/Refusal";
import { models } from "../state";
import { megabytes } from "../text";
import type { FileInfo, ImageInfo, Region } from "../types";
import { Viewer } from "../viewer/Viewer";
import { type Shape, ViewerStore, asApiError, keyOf } from "../viewer/store";

const store = new ViewerStore();
const conversation = new Conversation();
const file = signal<FileInfo | null>(null);
const prior = signal<FileInfo | null>(null);
const arriving = signal<{ what: string; done: number; total: number } | null>(null);
const refused = signal<api.ApiError | null>(null);
const about = signal<Shape | null>(null);
const model = signal("");
const draft = signal("");
const dragging = signal(false);

async function take(coming: Promise<FileInfo>, asPrior = false): Promise<void> {
  refused.value = null;
  try {
    const arrived = await coming;
    const first = arrived.images[0];
    if (!first) throw new api.ApiError(422, "empty", "There is no image in this file.", "", "Drop a NIfTI, a zip of one DICOM study, or a PNG or JPEG.");
    if (asPrior) await showPrior(arrived, first);
    else {
      file.value = arrived;
      prior.value = null;
      store.setPrior(null);
      about.value = null;
      conversation.clear();
      void store.open(first);
    }
  } catch (reason) {
    refused.value = asApiError(reason);
  } finally {
    arriving.value = null;
  }
}

async function showPrior(arrived: FileInfo, image: ImageInfo): Promise<void> {
  const beside = new ViewerStore();
  await beside.open(image);
  prior.value = arrived;
  store.setPrior(beside);
}

function upload(chosen: File | undefined, asPrior = false): void {
  if (!chosen) return;
  const progress = (done: number, total: number): void => {
    arriving.value = done < total ? { what: "Sending", done, total } : { what: `Reading ${megabytes(total)}`, done: 0, total: 0 };
  };
  progress(0, chosen.size);
  void take(api.upload(chosen, progress), asPrior);
}

function loadExample(): void {
  arriving.value = { what: "Making a phantom", done: 0, total: 0 };
  void take(api.example());
}

/** Lay over the scan what an answer drew: masks that are not in the image's table, and boxes. */
function showGrounding({ grounding }: Exchange): void {
  const image = store.image.value;
  if (!image) return;
  for (const mask of grounding.masks ?? []) {
    if (mask.image_id !== image.image_id) continue;
    void store.addMask(mask.mask_id);
    store.addRegion({ ...mask, region_id: keyOf(mask), name: mask.label, side: "none", mean: 0, sd: 0 } satisfies Region);
  }
  store.boxes.value = (grounding.boxes ?? []).filter((box) => box.image_id === image.image_id);
  const here = [...(grounding.masks ?? []), ...(grounding.marks ?? []), ...store.boxes.value].find((place) => place.image_id === image.image_id && place.box);
  if (here) store.goTo({ centroid: null, mask_id: null, label_value: null, ...here });
}

function ask(question: string, region: Shape | null = about.value): void {
  const words = question.trim();
  const using = model.value || models.value[0]?.id;
  if (!words || !file.value || !using || conversation.busy) return;
  draft.value = "";
  void conversation.ask(words, region, using, file.value, prior.value, showGrounding);
}

export function Ask() {
  const onDrop = (event: DragEvent): void => {
    event.preventDefault();
    dragging.value = false;
    upload(event.dataTransfer?.files[0]);
  };
  return (
    <div
      class={`room ${dragging.value ? "dropping" : ""}`}
      onDragOver={(event) => { event.preventDefault(); dragging.value = true; }}
      onDragLeave={(event) => { if (event.currentTarget === event.target) dragging.value = false; }}
      onDrop={onDrop}
    >
      <Viewer store={store} empty={<DropZone />} onAsk={(shape) => { about.value = shape; document.getElementById("question")?.focus(); }} />
      <aside aria-label="conversation">
        {file.value && <StudyBar />}
        <Talk />
        <Composer />
      </aside>
      {arriving.value && store.image.value && <Loading {...arriving.value} over />}
    </div>
  );
}

function DropZone() {
  if (arriving.value) return <Loading {...arriving.value} />;
  return (
    <div class="drop">
      {refused.value && <Refusal error={refused.value} />}
      <h1>Drop a scan here</h1>
      <p>A NIfTI file, a zip of a DICOM study, one DICOM file, or an X‑ray as PNG or JPEG.</p>
      <p class="row">
        <FileButton label="Choose a file" onFile={(chosen) => upload(chosen)} primary />
        <button onClick={loadExample}>Load an example</button>
      </p>
      <p class="soft">The example is a phantom: a made-up patient. What you drop goes to the server that you started and nowhere else.</p>
    </div>
  );
}

function FileButton({ label, onFile, primary = false }: { label: string; onFile: (file: File | undefined) => void; primary?: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button class={primary ? "primary" : ""} onClick={() => input.current?.click()}>{label}</button>
      <input
        ref={input}
        type="file"
        class="unseen"
        tabIndex={-1}
        aria-label={label}
        onChange={(event) => { onFile(event.currentTarget.files?.[0]); event.currentTarget.value = ""; }}
      />
    </>
  );
}

function StudyBar() {
  const { images } = file.value!;
  const shown = store.image.value?.image_id;
  return (
    <div class="study-bar">
      {images.length > 1 ? (
        <select aria-label="series" value={shown} onChange={(event) => { const next = images.find((i) => i.image_id === event.currentTarget.value); if (next) void store.open(next); }}>
          {images.map((image) => <option key={image.image_id} value={image.image_id}>{image.title}</option>)}
        </select>
      ) : (
        <span>{images[0]?.title}</span>
      )}
      <FileButton label="Open another" onFile={(chosen) => upload(chosen)} />
      {prior.value ? (
        <button onClick={() => { prior.value = null; store.setPrior(null); }}>Remove prior</button>
      ) : (
        <FileButton label="Add a prior" onFile={(chosen) => upload(chosen, true)} />
      )}
      {refused.value && <Refusal error={refused.value} />}
    </div>
  );
}

function Talk() {
  const end = useRef<HTMLDivElement>(null);
  const exchanges = conversation.exchanges.value;
  useEffect(() => end.current?.scrollIntoView({ block: "end" }), [exchanges]);
  return (
    <div class="talk" role="log" aria-label="questions and answers">
      {!exchanges.length && file.value && <Suggestions />}
      {!exchanges.length && !file.value && <p class="soft">Questions and answers will stand here. An answer that has a place marks it on the scan.</p>}
      {exchanges.map((exchange) => <Talked key={exchange.id} exchange={exchange} />)}
      <div ref={end} />
    </div>
  );
}

function Suggestions() {
  const using = models.value.find((m) => m.id === model.value) ?? models.value[0];
  return (
    <div class="suggestions">
      <p class="soft">What this model was trained to answer:</p>
      {using?.radfoundry.questions.map((question) => (
        <button key={question} onClick={() => ask(question)}>{question}</button>
      ))}
    </div>
  );
}

function Talked({ exchange }: { exchange: Exchange }) {
  const { state, error, answer, grounding } = exchange;
  const marks = grounding.marks ?? [];
  return (
    <article class="talked">
      <p class="question">
        {exchange.about && <span class="about"><i class="dot" style={{ background: exchange.about.colour }} />{exchange.about.label}</span>}
        {exchange.question}
      </p>
      {state === "waiting" && <p class="soft" role="status">{exchange.queued ? `Waiting, ${exchange.queued} before this one…` : "Thinking…"}</p>}
      {answer && <MarkedText text={answer} marks={marks} store={store} />}
      {state === "done" && !marks.length && <p class="soft">This answer points to no place in the scan.</p>}
      {state === "stopped" && <p class="soft">Stopped.</p>}
      {error && (
        <Refusal error={error}>
          <button onClick={() => ask(exchange.question, exchange.about)}>
            {error.status === 429 ? `Try again (the queue asks for ${error.retryAfterSeconds} s)` : "Try again"}
          </button>
        </Refusal>
      )}
      {state === "done" && <Provenance exchange={exchange} />}
    </article>
  );
}

function Provenance({ exchange }: { exchange: Exchange }) {
  const { about: asked, seconds, confidence, notice } = exchange.grounding;
  const facts = [
    `about ${asked?.region ? `the ${asked.region}` : "the whole study"}`,
    exchange.model,
    seconds === undefined ? "" : `${seconds.toFixed(1)} s`,
    confidence === null || confidence === undefined ? "" : `confidence ${confidence.toFixed(2)}`,
    notice ?? "",
  ];
  return (
    <p class="provenance">
      {facts.filter(Boolean).join(" · ")}
      <button class="quiet" onClick={() => void navigator.clipboard.writeText(exchange.answer)}>copy</button>
    </p>
  );
}

function Composer() {
  const ready = file.value !== null && models.value.length > 0;
  const busy = conversation.busy;
  return (
    <form class="composer" onSubmit={(event) => { event.preventDefault(); ask(draft.value); }}>
      {about.value && (
        <p class="about-bar">
          about <i class="dot" style={{ background: about.value.colour }} />{about.value.label}
          <button type="button" class="quiet" aria-label="ask about the whole study" onClick={() => (about.value = null)}>×</button>
        </p>
      )}
      <textarea
        id="question"
        rows={2}
        aria-label="question"
        placeholder={ready ? "Ask about this study" : "Open a scan first"}
        disabled={!ready}
        value={draft}
        onInput={(event) => (draft.value = event.currentTarget.value)}
        onKeyDown={(event) => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); ask(draft.value); } }}
      />
      <p class="row">
        {busy ? (
          <button type="button" class="primary" onClick={() => conversation.stop()}>Stop</button>
        ) : (
          <button type="submit" class="primary" disabled={!ready || !draft.value.trim()}>Ask</button>
        )}
        {models.value.length > 1 && (
          <select aria-label="model" value={model} onChange={(event) => (model.value = event.currentTarget.value)}>
            {models.value.map(({ id }) => <option key={id} value={id}>{id}</option>)}
          </select>
        )}
        <button type="button" class="quiet" disabled={!conversation.exchanges.value.length} onClick={() => download("conversation.json", conversation.exported())}>
          Export
        </button>
      </p>
    </form>
  );
}
