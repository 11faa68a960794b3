import { describe, expect, it } from "vitest";

import { ApiError, errorOf } from "../src/api";
import { type Exchange, grown, messagesOf } from "../src/conversation";
import { type ServerEvent, serverEvents } from "../src/sse";
import type { FileInfo } from "../src/types";
import { readNifti } from "../src/viewer/nifti";

async function events(text: string, size: number): Promise<ServerEvent[]> {
  const bytes = new TextEncoder().encode(text);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  }
  const found: ServerEvent[] = [];
  for await (const event of serverEvents(chunks())) found.push(event);
  return found;
}

describe("server-sent events", () => {
  const text = ': queued 3\n\ndata: {"a":"é😀"}\r\n\r\ndata: one\ndata: two\n\ndata: [DONE]\n\n';
  const wanted = [{ comment: "queued 3" }, { data: '{"a":"é😀"}' }, { data: "one\ntwo" }, { data: "[DONE]" }];

  it.each([1, 2, 3, 7, 1000])("are the same in chunks of %i bytes", async (size) => expect(await events(text, size)).toEqual(wanted));
  it("end without the half of an event that was cut off", async () => expect(await events("data: half", 4)).toEqual([]));
});

const exchange = (more: Partial<Exchange> = {}): Exchange => ({
  id: 1, question: "Why?", about: null, model: "nano", answer: "", grounding: {}, state: "waiting", queued: null, error: null, ...more,
});
const file = (id: string): FileInfo => ({ id, images: [] });
const mark = { start: 0, end: 3, image_id: "i", label: "liver", side: "none" as const, colour: "#ffffff", region_id: null, mask_id: null, label_value: null, box: null, centroid: null };

describe("a conversation", () => {
  it("grows by words and marks, and takes the whole of the marks at the end", () => {
    let now = grown(exchange(), { content: "Yes." }, false);
    expect(now).toMatchObject({ state: "streaming", answer: "Yes." });
    now = grown(now, { radfoundry: { marks: [mark] } }, false);
    now = grown(now, { content: " No." }, false);
    expect(now.grounding.marks).toHaveLength(1);
    now = grown(now, { radfoundry: { marks: [mark, mark], seconds: 1, confidence: null } }, true);
    expect(now).toMatchObject({ state: "done", answer: "Yes. No." });
    expect(now.grounding.marks).toHaveLength(2);
  });

  it("sends images with the first question, answers as they were given, and the region that is asked about", () => {
    const about = { mask_id: "m", label_value: 3, label: "liver", colour: "#ffffff" };
    const sent = messagesOf([exchange({ answer: "So." }), exchange({ id: 2, question: "And?", about })], file("file-1"), file("file-2"));
    expect(sent).toEqual([
      { role: "user", content: [
        { type: "volume", volume: { file_id: "file-1" } },
        { type: "volume", volume: { file_id: "file-2", time: "prior" } },
        { type: "text", text: "Why?" },
      ] },
      { role: "assistant", content: "So." },
      { role: "user", content: [{ type: "region", region: { mask_id: "m", label_value: 3 } }, { type: "text", text: "And?" }] },
    ]);
  });
});

describe("errors", () => {
  it("carry what, why and mend", () => {
    const error = errorOf(422, { error: { code: "geometry", what: "a", why: "b", mend: "c" } });
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 422, what: "a", why: "b", mend: "c", message: "a\nb\nc" });
  });
  it("say something even where the server did not", () => expect(errorOf(502, null).what).toBe("The server answered 502."));
  it("know when to try again", () => expect(errorOf(429, null, "8").retryAfterSeconds).toBe(8));
});

describe("NIfTI", () => {
  function file(type: number, size: number[], bytes: number): ArrayBuffer {
    const view = new DataView(new ArrayBuffer(352 + bytes));
    view.setInt32(0, 348, true);
    [size.length, ...size].forEach((n, i) => view.setInt16(40 + 2 * i, n, true));
    view.setInt16(70, type, true);
    view.setFloat32(108, 352, true);
    return view.buffer;
  }
  it("gives the samples without a copy", () => {
    const buffer = file(4, [2, 3, 4], 48);
    new DataView(buffer).setInt16(352 + 2, -1000, true);
    const { size, data } = readNifti(buffer);
    expect(size).toEqual([2, 3, 4]);
    expect(data[1]).toBe(-1000);
    expect(data.buffer).toBe(buffer);
  });
  it("takes a picture as one slice", () => expect(readNifti(file(2, [5, 4], 20)).size).toEqual([5, 4, 1]));
  it.each([
    ["cut short", file(4, [2, 3, 4], 40)],
    ["another sample type", file(64, [1, 1, 1], 8)],
    ["no NIfTI", new ArrayBuffer(400)],
  ])("refuses a file that is %s", (_, buffer) => expect(() => readNifti(buffer)).toThrow(RangeError));
});
