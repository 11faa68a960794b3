/** What the server sends, as docs/api.md has it. Arrays are [z, y, x] (pictures [y, x]), LPS, boxes half-open. */

export type Side = "left" | "right" | "bilateral" | "midline" | "none";
export type Verdict = "right" | "wrong" | "unsure";
export type Range = [low: number, high: number];

export interface Preset {
  name: string;
  window: Range;
}

export interface ImageInfo {
  image_id: string;
  modality: string;
  dimensions: number;
  shape: number[];
  spacing: number[];
  origin: number[];
  direction: number[];
  grid_unit: "mm" | "pixel";
  unit: string;
  view: string;
  title: string;
  window: Range;
  presets: Preset[];
  midline_mm: number | null;
  masks: { mask_id: string; name: string }[];
}

export interface Region {
  region_id: string;
  image_id: string;
  name: string;
  side: Side;
  label: string;
  colour: string;
  mask_id: string;
  label_value: number;
  voxels: number;
  mm3: number;
  box: number[];
  centroid: number[];
  mean: number;
  sd: number;
}

export interface FileInfo {
  id: string;
  images: ImageInfo[];
}

export interface ModelInfo {
  id: string;
  radfoundry: { questions: string[]; modalities: string[]; dimensions: number[]; max_images: number };
}

export interface Mark {
  start: number;
  end: number;
  image_id: string;
  label: string;
  side: Side;
  colour: string;
  region_id: string | null;
  mask_id: string | null;
  label_value: number | null;
  box: number[] | null;
  centroid: number[] | null;
}

export interface AnswerBox {
  image_id: string;
  label: string;
  colour: string;
  box: number[];
}

export interface AnswerMask {
  mask_id: string;
  image_id: string;
  label: string;
  colour: string;
  label_value: number;
  voxels: number;
  mm3: number;
  box: number[];
  centroid: number[];
}

export interface Grounding {
  notice: string;
  about: { images: string[]; region: string | null };
  marks: Mark[];
  boxes: AnswerBox[];
  masks: AnswerMask[];
  confidence: number | null;
  seconds: number;
}

export type Part =
  | { type: "text"; text: string }
  | { type: "volume"; volume: { file_id?: string; image_id?: string; study_id?: string; time?: "prior" } }
  | { type: "region"; region: { region_id: string } | { mask_id: string; label_value: number } };

export interface Message {
  role: "system" | "user" | "assistant";
  content: string | Part[];
}

export interface CorpusInfo {
  name: string;
  counts: Record<string, number>;
  filters: Record<"modality" | "finding" | "split" | "region" | "rule" | "builder", string[]>;
}

export interface StudyRow {
  study_id: string;
  modalities: string[];
  body_part: string;
  split: string;
  images: number;
  sentences: number;
  links: number;
  samples: number;
  findings: string[];
}

export interface Sentence {
  sentence_id: string;
  report_id: string;
  section: string;
  start: number;
  end: number;
  text: string;
}

export interface Link {
  link_id: string;
  sentence_id: string;
  name: string;
  side: Side;
  region_id: string | null;
  groundable: boolean;
  reason: string;
  terms: string[];
  rule: string;
  confidence: number;
}

export interface Sample {
  sample_id: string;
  task: string;
  turns: { role: string; parts: { kind: string; text: string; ref: string }[] }[];
  answer_kind: string;
  boxes: number[][];
  image_ids: string[];
  region_ids: string[];
  evidence: string[];
  made_by: { step: string; version: string };
}

export interface Finding {
  finding_id: string;
  sentence_id: string;
  concept: string;
  presence: string;
  side: Side;
}

export interface StudyInfo {
  study: { study_id: string; modalities: string[]; body_part: string; split: string; prior_study_id: string | null };
  images: ImageInfo[];
  reports: { report_id: string; text: string }[];
  sentences: Sentence[];
  findings: Finding[];
  links: Link[];
  regions: Region[];
  samples: Sample[];
}

export interface RejectedRow {
  key: string;
  step: string;
  error_class: string;
  code: string;
  reason: string;
  mend: string;
}

export interface Case {
  row_id: string;
  kind: "link" | "sample";
  study_id: string;
  image: ImageInfo | null;
  sentence: string;
  claim: string;
  region: Region | null;
  boxes: number[][];
  rule: string;
  builder: string;
  confidence: number;
}

export interface Agreement {
  readers: string[];
  judged: Record<string, number>;
  pairs: { a: string; b: string; n: number; agree: number; kappa: number | null }[];
  disagreements: { case: Case; verdicts: Record<string, Verdict> }[];
}

export interface Health {
  status: "ok" | "loading" | "stopping";
  version: string;
  model: string;
  corpus: boolean;
  queue: { waiting: number; running: number; limit: number };
  limits: { upload_bytes: number };
}
