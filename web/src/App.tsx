/** The frame: three rooms, the notice, and what is the matter with the server. */

import { useSignal } from "@preact/signals";

import { reachable } from "./api";
import { Ask } from "./rooms/Ask";
import { CorpusRoom } from "./rooms/Corpus";
import { Review } from "./rooms/Review";
import { type Room, health, locked, room, unlock } from "./state";

const NAMES: Record<Room, string> = { ask: "Ask", corpus: "Corpus", review: "Review" };

export function App() {
  const open: Room[] = health.value && !health.value.corpus ? ["ask"] : ["ask", "corpus", "review"];
  return (
    <>
      <header>
        <strong>radfoundry</strong>
        <nav aria-label="rooms">
          {open.map((name) => (
            <a key={name} href={`#/${name}`} aria-current={room.value === name ? "page" : undefined}>{NAMES[name]}</a>
          ))}
        </nav>
        <span class="notice">Research use only</span>
      </header>
      {!reachable.value && <p class="banner" role="alert">The server does not answer. Trying again every two seconds; nothing here is lost.</p>}
      {reachable.value && health.value?.status === "loading" && <p class="banner" role="status">The model is loading.</p>}
      {locked.value ? <Lock /> : <main>{room.value === "ask" ? <Ask /> : room.value === "corpus" ? <CorpusRoom /> : <Review />}</main>}
    </>
  );
}

function Lock() {
  const token = useSignal("");
  return (
    <form class="lock" onSubmit={(event) => { event.preventDefault(); void unlock(token.value); }}>
      <label for="token">This server asks for its token. It was printed when the server was started.</label>
      <input id="token" type="password" autocomplete="off" value={token} onInput={(event) => (token.value = event.currentTarget.value)} />
      <button type="submit">Open</button>
    </form>
  );
}
