/** A conversation about a study: questions, streamed answers, and what became of each. */

import { signal } from "@preact/signals";

import * as api from "./api";
import { serverEvents } from "./sse";
import type { FileInfo, Grounding, Message, Part } from "./types";
import { type Shape, asApiError } from "./viewer/store";

export interface Exchange {
  id: number;
  question: string;
  about: Shape | null;
  model: string;
  answer: string;
  grounding: Partial<Grounding>;
  state: "waiting" | "streaming" | "done" | "stopped" | "failed";
  /** requests before this one while it waits */
  queued: number | null;
  error: api.ApiError | null;
}

interface Delta {
  content?: string;
  radfoundry?: Partial<Grounding>;
}

/** Add what a chunk says; marks come one sentence at a time and once more, whole, at the end. */
export function grown(exchange: Exchange, delta: Delta, finished: boolean): Exchange {
  const more = delta.radfoundry ?? {};
  const marks = finished && more.marks ? more.marks : [...(exchange.grounding.marks ?? []), ...(more.marks ?? [])];
  return {
    ...exchange,
    state: finished ? "done" : "streaming",
    queued: null,
    answer: exchange.answer + (delta.content ?? ""),
    grounding: { ...exchange.grounding, ...more, marks },
  };
}

/** The messages that ask the last exchange: images with the first question, earlier answers as they were given. */
export function messagesOf(exchanges: Exchange[], file: FileInfo, prior: FileInfo | null): Message[] {
  const images: Part[] = [{ type: "volume", volume: { file_id: file.id } }];
  if (prior) images.push({ type: "volume", volume: { file_id: prior.id, time: "prior" } });
  return exchanges.flatMap((exchange, i): Message[] => {
    const { about } = exchange;
    const region: Part[] = about ? [{ type: "region", region: { mask_id: about.mask_id, label_value: about.label_value } }] : [];
    const content: Part[] = [...(i === 0 ? images : []), ...region, { type: "text", text: exchange.question }];
    const asked: Message = { role: "user", content };
    return i === exchanges.length - 1 ? [asked] : [asked, { role: "assistant", content: exchange.answer }];
  });
}

export class Conversation {
  readonly exchanges = signal<Exchange[]>([]);
  private running: AbortController | null = null;

  get busy(): boolean {
    const last = this.exchanges.value.at(-1);
    return last?.state === "waiting" || last?.state === "streaming";
  }

  /** Ask, and keep the answer as it comes; `onDone` gets the finished exchange. */
  async ask(
    question: string,
    about: Shape | null,
    model: string,
    file: FileInfo,
    prior: FileInfo | null,
    onDone: (exchange: Exchange) => void,
  ): Promise<void> {
    // what failed is asked again, and what was stopped without a word was never answered
    const kept = this.exchanges.value.filter(({ state, answer }) => state === "done" || (state === "stopped" && answer));
    const fresh: Exchange = {
      id: (this.exchanges.value.at(-1)?.id ?? 0) + 1,
      question, about, model, answer: "", grounding: {}, state: "waiting", queued: null, error: null,
    };
    this.exchanges.value = [...kept, fresh];
    const running = (this.running = new AbortController());
    try {
      const response = await api.ask(model, messagesOf(this.exchanges.value, file, prior), running.signal);
      await this.read(response, fresh.id);
      const last = this.exchanges.value.at(-1);
      if (last?.state === "done") onDone(last);
    } catch (reason) {
      const stopped = running.signal.aborted;
      this.change(fresh.id, (e) => ({ ...e, state: stopped ? "stopped" : "failed", error: stopped ? null : asApiError(reason) }));
    }
  }

  private async read(response: Response, id: number): Promise<void> {
    for await (const event of serverEvents(api.chunksOf(response))) {
      if ("comment" in event) {
        const ahead = /^queued (\d+)$/.exec(event.comment);
        if (ahead) this.change(id, (e) => ({ ...e, queued: Number(ahead[1]) }));
        continue;
      }
      if (event.data === "[DONE]") return;
      const chunk = JSON.parse(event.data) as { error?: unknown; choices?: { delta?: Delta; finish_reason: string | null }[] };
      if (chunk.error) throw api.errorOf(500, chunk);
      const choice = chunk.choices?.[0];
      if (choice) this.change(id, (e) => grown(e, choice.delta ?? {}, choice.finish_reason !== null));
    }
    throw api.errorOf(0, { error: { code: "cut", what: "The answer broke off.", why: "The server closed the connection.", mend: "Ask again." } });
  }

  private change(id: number, how: (exchange: Exchange) => Exchange): void {
    this.exchanges.value = this.exchanges.value.map((exchange) => (exchange.id === id ? how(exchange) : exchange));
  }

  stop(): void {
    this.running?.abort();
  }

  clear(): void {
    this.stop();
    this.exchanges.value = [];
  }

  /** The conversation as JSON: words and places, no pixels, nothing of the file's name. */
  exported(): string {
    const turns = this.exchanges.value.map(({ question, about, model, answer, grounding, state }) => ({
      question, region: about?.label ?? null, model, answer, state, ...grounding,
    }));
    return JSON.stringify({ notice: "Research use only", turns }, null, 2);
  }
}

export function download(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
