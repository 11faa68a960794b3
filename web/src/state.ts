/** What all rooms share: whether the server is there, its models, which room is open, who reads. */

import { signal } from "@preact/signals";

import * as api from "./api";
import type { Health, ModelInfo } from "./types";

export type Room = "ask" | "corpus" | "review";
const ROOMS: Room[] = ["ask", "corpus", "review"];

const roomOf = (hash: string): Room => ROOMS.find((room) => hash === `#/${room}`) ?? "ask";

export const room = signal<Room>(roomOf(location.hash));
export const health = signal<Health | null>(null);
export const locked = signal(false);
export const models = signal<ModelInfo[]>([]);

window.addEventListener("hashchange", () => (room.value = roomOf(location.hash)));

const SECOND = 1000;

/** Look after the server: every two seconds while it is gone or loading, every fifteen while all is well. */
export async function watch(): Promise<void> {
  for (let waited = 15; ; waited++) {
    const well = api.reachable.value && health.value?.status === "ok";
    if (waited >= (well ? 15 : 2)) {
      await look();
      waited = 0;
    }
    await new Promise((done) => setTimeout(done, SECOND));
  }
}

async function look(): Promise<void> {
  try {
    health.value = await api.health();
    if (!models.value.length && !locked.value) models.value = await api.models();
  } catch (reason) {
    if (!(reason instanceof api.ApiError)) throw reason;
    locked.value = reason.status === 401;
  }
}

export async function unlock(token: string): Promise<void> {
  api.setToken(token);
  locked.value = false;
  await look();
}
