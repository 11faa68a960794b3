/** What was built: studies by filter, a study's report beside the viewer, its links and samples, and what was rejected. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import * as api from "../api";
import { MarkedText, type Place } from "../parts/MarkedText";
import { Refusal } from "../parts/Refusal";
import { counted } from "../text";
import type { CorpusInfo, Link, Region, RejectedRow, Sample, StudyInfo, StudyRow } from "../types";
import { Viewer } from "../viewer/Viewer";
import { ViewerStore, asApiError, keyOf } from "../viewer/store";

const store = new ViewerStore();
const info = signal<CorpusInfo | null>(null);
const rows = signal<StudyRow[]>([]);
const next = signal<string | null>(null);
const filters = signal<Record<string, string>>({});
const rejected = signal<RejectedRow[] | null>(null);
const open = signal<StudyInfo | null>(null);
const tab = signal<"report" | "links" | "samples">("report");
const failed = signal<api.ApiError | null>(null);

async function tried(work: () => Promise<void>): Promise<void> {
  failed.value = null;
  try {
    await work();
  } catch (reason) {
    failed.value = asApiError(reason);
  }
}

const list = (more = false): Promise<void> =>
  tried(async () => {
    info.value ??= await api.corpus();
    const page = await api.studies(filters.value, more ? next.value : null);
    rows.value = more ? [...rows.value, ...page.data] : page.data;
    next.value = page.next;
  });

const listRejected = (): Promise<void> => tried(async () => void (rejected.value = (await api.rejected()).data));

const openStudy = (studyId: string): Promise<void> =>
  tried(async () => {
    const found = await api.study(studyId);
    open.value = found;
    store.setPrior(null);
    const first = found.images[0];
    if (first) void store.open(first, regionsOf(found, first.image_id));
    else store.close();
  });

const openPrior = (studyId: string): Promise<void> =>
  tried(async () => {
    const found = await api.study(studyId);
    const first = found.images[0];
    if (!first) return;
    const beside = new ViewerStore();
    await beside.open(first, regionsOf(found, first.image_id));
    store.setPrior(beside);
  });

const regionsOf = (study: StudyInfo, imageId: string): Region[] => study.regions.filter((region) => region.image_id === imageId);

export function CorpusRoom() {
  useEffect(() => { if (!info.value) void list(); }, []);
  return (
    <div class="room">
      <Viewer store={store} empty={<p class="soft">Choose a study on the right.</p>} />
      <aside aria-label="corpus">
        {failed.value && <Refusal error={failed.value}><button onClick={() => void list()}>Try again</button></Refusal>}
        {open.value ? <Study study={open.value} /> : <Studies />}
      </aside>
    </div>
  );
}

function Studies() {
  if (!info.value) return <p class="soft" role="status">Reading the corpus…</p>;
  const { counts, filters: choices, name } = info.value;
  const select = (field: "modality" | "finding" | "split") => (
    <select
      aria-label={field}
      value={filters.value[field] ?? ""}
      onChange={(event) => { filters.value = { ...filters.value, [field]: event.currentTarget.value }; rejected.value = null; void list(); }}
    >
      <option value="">any {field}</option>
      {choices[field].map((choice) => <option key={choice} value={choice}>{choice}</option>)}
    </select>
  );
  return (
    <>
      <h2>{name}</h2>
      <p class="soft">
        {["studies", "sentences", "links", "regions", "samples"].map((table) => `${(counts[table] ?? 0).toLocaleString("en")} ${table}`).join(" · ")}
      </p>
      <div class="row filters">
        {select("modality")}
        {select("finding")}
        {select("split")}
        <button aria-pressed={rejected.value !== null} onClick={() => (rejected.value ? (rejected.value = null) : void listRejected())}>
          rejected <span class="count">{counts["rejected"] ?? 0}</span>
        </button>
      </div>
      {rejected.value ? <Rejected rows={rejected.value} /> : <StudyList />}
    </>
  );
}

function StudyList() {
  if (!rows.value.length) return <p class="soft">No study fits.</p>;
  return (
    <ul class="list">
      {rows.value.map((row) => (
        <li key={row.study_id}>
          <button class="card" onClick={() => void openStudy(row.study_id)}>
            <strong>{row.modalities.join(", ")} {row.body_part}</strong>
            <span class="mono soft">{row.study_id.slice(0, 12)} · {row.split}</span>
            <span>{row.findings.join(", ") || "no finding"}</span>
            <span class="soft">{[counted(row.images, "image"), counted(row.sentences, "sentence"), counted(row.links, "link"), counted(row.samples, "sample")].join(" · ")}</span>
          </button>
        </li>
      ))}
      {next.value && <li><button onClick={() => void list(true)}>More</button></li>}
    </ul>
  );
}

function Rejected({ rows: found }: { rows: RejectedRow[] }) {
  if (!found.length) return <p class="soft">Nothing was rejected.</p>;
  return (
    <ul class="list">
      {found.map((row) => (
        <li key={row.key + row.step} class="refusal">
          <p class="what">{row.key}</p>
          <p>{row.reason}</p>
          <p class="mend">{row.mend}</p>
          <p class="soft">{row.step} · {row.code}</p>
        </li>
      ))}
    </ul>
  );
}

function Study({ study }: { study: StudyInfo }) {
  const prior = study.study.prior_study_id;
  const names = { report: "Report", links: `Links ${study.links.length}`, samples: `Samples ${study.samples.length}` };
  return (
    <>
      <p class="row">
        <button onClick={() => (open.value = null)}>← Studies</button>
        {study.images.length > 1 && (
          <select aria-label="image" value={store.image.value?.image_id} onChange={(event) => { const image = study.images.find((i) => i.image_id === event.currentTarget.value); if (image) void store.open(image, regionsOf(study, image.image_id)); }}>
            {study.images.map((image) => <option key={image.image_id} value={image.image_id}>{image.title}</option>)}
          </select>
        )}
        {prior && !store.prior.value && <button onClick={() => void openPrior(prior)}>Show prior</button>}
        {store.prior.value && <button onClick={() => store.setPrior(null)}>Remove prior</button>}
      </p>
      <div class="tabs" role="tablist">
        {(Object.keys(names) as (keyof typeof names)[]).map((name) => (
          <button key={name} role="tab" aria-selected={tab.value === name} onClick={() => (tab.value = name)}>{names[name]}</button>
        ))}
      </div>
      <div class="scroll">
        {tab.value === "report" && <Reports study={study} />}
        {tab.value === "links" && study.links.map((link) => <LinkRow key={link.link_id} link={link} study={study} />)}
        {tab.value === "samples" && study.samples.map((sample) => <SampleRow key={sample.sample_id} sample={sample} study={study} />)}
      </div>
    </>
  );
}

/** The links of a report as marks on its text; offsets of rows are code points, as marks are. */
function placesOf(study: StudyInfo, reportId: string): Place[] {
  const regions = new Map(study.regions.map((region) => [region.region_id, region]));
  return study.sentences
    .filter((sentence) => sentence.report_id === reportId)
    .flatMap((sentence) =>
      study.links
        .filter((link) => link.sentence_id === sentence.sentence_id && link.region_id)
        .flatMap((link) => {
          const region = regions.get(link.region_id!);
          return region ? [{ ...region, start: sentence.start, end: sentence.end }] : [];
        }),
    );
}

function Reports({ study }: { study: StudyInfo }) {
  if (!study.reports.length) return <p class="soft">This study has no report.</p>;
  return (
    <>
      {study.reports.map((report) => (
        <MarkedText key={report.report_id} text={report.text} marks={placesOf(study, report.report_id)} store={store} />
      ))}
      {study.findings.length > 0 && (
        <table>
          <thead><tr><th>finding</th><th>presence</th><th>side</th></tr></thead>
          <tbody>
            {study.findings.map((finding) => (
              <tr key={finding.finding_id}><td>{finding.concept}</td><td>{finding.presence}</td><td>{finding.side === "none" ? "" : finding.side}</td></tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

/** Go to a region; with the boxes of a sample these are drawn as well. */
function GoTo({ region, boxes = [] }: { region: Region | undefined; boxes?: number[][] }) {
  if (!region) return null;
  return (
    <button
      class="place-button"
      onClick={() => {
        store.boxes.value = boxes.map((box) => ({ image_id: region.image_id, label: region.label, colour: region.colour, box }));
        store.goTo(region);
      }}
      onPointerEnter={() => (store.lit.value = keyOf(region))}
      onPointerLeave={() => (store.lit.value = null)}
    >
      <i class="dot" style={{ background: region.colour }} />{region.label}
    </button>
  );
}

function LinkRow({ link, study }: { link: Link; study: StudyInfo }) {
  const sentence = study.sentences.find((s) => s.sentence_id === link.sentence_id);
  return (
    <article class="row-card">
      <p>{sentence?.text}</p>
      <p class="row">
        {link.region_id ? <GoTo region={study.regions.find((r) => r.region_id === link.region_id)} /> : <span class="soft">no place: {link.reason}</span>}
        <span class="soft">{link.rule} · {link.confidence.toFixed(2)}{link.terms.length ? ` · ${link.terms.join(", ")}` : ""}</span>
      </p>
    </article>
  );
}

function SampleRow({ sample, study }: { sample: Sample; study: StudyInfo }) {
  return (
    <article class="row-card">
      {sample.turns.map((turn, i) => (
        <p key={i} class={turn.role === "user" ? "question" : ""}>
          {turn.parts.map((part) => (part.kind === "text" ? part.text : part.kind === "image" ? "▣" : "◎")).join(" ")}
        </p>
      ))}
      <p class="row">
        {sample.region_ids.map((id) => <GoTo key={id} region={study.regions.find((r) => r.region_id === id)} boxes={sample.boxes} />)}
        <span class="soft">{sample.task} · {sample.answer_kind} · {sample.made_by.step} · rests on {counted(sample.evidence.length, "row")}</span>
      </p>
    </article>
  );
}
