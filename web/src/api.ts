/** The one door to the server: calls of docs/api.md, failures as `ApiError` with what, why and mend. */

import { signal } from "@preact/signals";

import type {
  Agreement, Case, CorpusInfo, FileInfo, Health, Message, ModelInfo, Region, RejectedRow, StudyInfo, StudyRow, Verdict,
} from "./types";

/** Whether the last call found the server. */
export const reachable = signal(true);

export type Progress = (done: number, total: number) => void;

/** A refusal of the server, or (`status` 0) no server at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly what: string,
    readonly why: string,
    readonly mend: string,
    readonly retryAfterSeconds = 0,
  ) {
    super([what, why, mend].filter(Boolean).join("\n"));
  }

  get gone(): boolean {
    return this.status === 0;
  }
}

let token = "";

export function setToken(value: string): void {
  token = value;
}

function headers(more: Record<string, string> = {}): Record<string, string> {
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

/** The failure of a call that found no server, or lost it half-way. */
function gone(): ApiError {
  reachable.value = false;
  return new ApiError(0, "gone", "The server does not answer.", "It was stopped, or the connection was lost.", "Start it again; nothing here is lost.");
}

/** The chunks of a body, with a lost connection as our own error. */
export async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  try {
    yield* response.body as unknown as AsyncIterable<Uint8Array>;
  } catch (reason) {
    throw aborted(reason) ? reason : gone();
  }
}

const aborted = (reason: unknown): boolean => reason instanceof DOMException && reason.name === "AbortError";

/** Read an error body; a body that is not ours still gives three lines. */
export function errorOf(status: number, body: unknown, retryAfter: string | null = null): ApiError {
  const error = (body as { error?: Partial<Record<"code" | "what" | "why" | "mend" | "message", string>> } | null)?.error ?? {};
  const what = error.what ?? error.message ?? `The server answered ${status}.`;
  return new ApiError(status, error.code ?? "", what, error.why ?? "", error.mend ?? "", Number(retryAfter ?? 0) || 0);
}

export async function call(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`v1/${path}`, { ...init, headers: headers(init.headers as Record<string, string>) });
  } catch (reason) {
    throw aborted(reason) ? reason : gone();
  }
  reachable.value = true;
  if (!response.ok) throw errorOf(response.status, await response.json().catch(() => null), response.headers.get("Retry-After"));
  return response;
}

async function json<T>(path: string, init: RequestInit = {}): Promise<T> {
  return (await (await call(path, init)).json()) as T;
}

const post = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

const query = (values: Record<string, string | number | null | undefined>): string => {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return new URLSearchParams(set.map(([key, value]) => [key, String(value)])).toString();
};

const id = encodeURIComponent;

export const health = (): Promise<Health> => json("health");
export const models = async (): Promise<ModelInfo[]> => (await json<{ data: ModelInfo[] }>("models")).data;
export const example = (): Promise<FileInfo> => json("files/example", { method: "POST" });
export const regions = async (imageId: string): Promise<Region[]> =>
  (await json<{ data: Region[] }>(`files/${id(imageId)}/regions`)).data;
export const corpus = (): Promise<CorpusInfo> => json("corpus");
export const studies = (filters: Record<string, string>, after: string | null): Promise<{ data: StudyRow[]; next: string | null }> =>
  json(`corpus/studies?${query({ ...filters, after, limit: 50 })}`);
export const study = (studyId: string): Promise<StudyInfo> => json(`corpus/studies/${id(studyId)}`);
export const rejected = (): Promise<{ data: RejectedRow[]; next: string | null }> => json("corpus/rejected?limit=200");
export const queue = (
  filters: Record<string, string>,
  reader: string,
): Promise<{ data: Case[]; next: string | null; total: number; judged: number }> =>
  json(`reviews/queue?${query({ ...filters, reader, limit: 20 })}`);
export const judge = (row_id: string, verdict: Verdict, note: string, reader: string): Promise<unknown> =>
  json("reviews", post({ row_id, verdict, note, reader }));
export const agreement = (): Promise<Agreement> => json("reviews/agreement");

/** Start an answer; the response's body is a stream of server-sent events. */
export const ask = (model: string, messages: Message[], signal: AbortSignal): Promise<Response> =>
  call("chat/completions", { ...post({ model, messages, stream: true }), signal });

/** Fetch bytes into one buffer, telling how far it is. */
export async function bytes(path: string, progress: Progress, signal?: AbortSignal): Promise<ArrayBuffer> {
  const response = await call(path, signal ? { signal } : {});
  const total = Number(response.headers.get("X-Volume-Bytes") ?? response.headers.get("Content-Length") ?? 0);
  const whole = new Uint8Array(total);
  let done = 0;
  for await (const chunk of chunksOf(response)) {
    if (done + chunk.length > total) break;
    whole.set(chunk, done);
    done += chunk.length;
    progress(done, total);
  }
  if (done !== total) throw new ApiError(0, "cut", "The image arrived cut short.", `${done} of ${total} bytes came.`, "Open it again.");
  return whole.buffer;
}

/** Upload a file; XMLHttpRequest because fetch does not tell how much was sent. */
export function upload(file: File, progress: Progress): Promise<FileInfo> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("purpose", "vision");
    // the name may be a patient's: it stays here
    form.append("file", file, "scan");
    request.open("POST", "v1/files");
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.responseType = "json";
    request.upload.onprogress = (event) => progress(event.loaded, event.total);
    request.onerror = () => reject(gone());
    request.onload = () => {
      if (request.status === 200) resolve(request.response as FileInfo);
      else reject(errorOf(request.status, request.response, request.getResponseHeader("Retry-After")));
    };
    request.send(form);
  });
}
