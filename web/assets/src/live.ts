// The live connection: one websocket a page. It reconnects by itself with a jittered
// backoff, subscribes again and hands on a fresh snapshot, so that a picture goes on
// without a hole.
import type { Query, ServerMessage, Snapshot, Update } from "./types.ts";

export interface Sink {
  snapshot(m: Snapshot): void;
  update(m: Update): void;
  refused(error: string): void;
}

export type State = "connecting" | "live" | "reconnecting" | "signed-out";

interface Subscription {
  wire: string; // its id on the wire, new with every subscribe, so that late messages of an old one are known
  seq: number; // of the last message; -1 while a snapshot is awaited
  query: Query;
  sink: Sink;
}

const firstWait = 250; // ms before the first attempt to reconnect
const longestWait = 10_000;
const silence = 15_000; // ms without a message after which the connection is tried
const patience = 5_000; // ms that it then has to answer

export class Live {
  onstate: (s: State) => void = () => {};
  onmessage: () => void = () => {};
  state: State = "connecting";

  #url: string;
  #socket: WebSocket | null = null;
  #subscriptions = new Map<string, Subscription>(); // by the caller's id
  #byWire = new Map<string, Subscription>();
  #attempts = 0;
  #next = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #heard = 0; // Date.now() of the last message
  #probing = false;

  constructor(url: string) {
    this.#url = url;
  }

  start(): void {
    this.#connect();
    setInterval(() => this.#watch(), 1000);
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#hurry());
  }

  // subscribe replaces the subscription of the same id.
  subscribe(id: string, query: Query, sink: Sink): void {
    this.unsubscribe(id);
    const s: Subscription = { wire: "", seq: -1, query, sink };
    this.#subscriptions.set(id, s);
    this.#open(s);
  }

  unsubscribe(id: string): void {
    const s = this.#subscriptions.get(id);
    if (!s) return;
    this.#subscriptions.delete(id);
    this.#close(s);
  }

  #open(s: Subscription): void {
    this.#byWire.delete(s.wire);
    s.wire = `q${++this.#next}`;
    s.seq = -1;
    this.#byWire.set(s.wire, s);
    this.#send({ op: "subscribe", id: s.wire, query: s.query });
  }

  #close(s: Subscription): void {
    this.#byWire.delete(s.wire);
    this.#send({ op: "unsubscribe", id: s.wire });
  }

  #send(m: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(m));
  }

  #connect(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#heard = Date.now();
      this.#probing = false;
      for (const s of this.#subscriptions.values()) this.#open(s);
    };
    socket.onmessage = (e) => {
      if (socket === this.#socket) this.#receive(JSON.parse(e.data as string) as ServerMessage);
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #receive(m: ServerMessage): void {
    this.#heard = Date.now();
    this.#probing = false;
    this.#attempts = 0;
    this.#become("live");
    const s = m.id === undefined ? undefined : this.#byWire.get(m.id);
    if (!s) return;
    switch (m.op) {
      case "snapshot":
        s.seq = m.seq;
        s.sink.snapshot(m);
        break;
      case "update":
        if (s.seq < 0) return; // of a time before the snapshot that is awaited
        if (m.seq !== s.seq + 1) {
          this.#close(s);
          this.#open(s);
          return;
        }
        s.seq = m.seq;
        s.sink.update(m);
        break;
      case "error":
        s.sink.refused(m.error);
    }
    this.onmessage();
  }

  #lost(): void {
    this.#socket = null;
    this.#become("reconnecting");
    const wait = Math.min(longestWait, firstWait * 2 ** this.#attempts++) * (0.5 + Math.random());
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#connect(), wait);
    if (this.#attempts % 4 === 3) void this.#checkSession();
  }

  // A refused handshake looks like a lost network to a page, so that a session that
  // has ended is found by asking.
  async #checkSession(): Promise<void> {
    try {
      const r = await fetch("/api/v1/metrics", { method: "GET" });
      if (r.status === 401) this.#become("signed-out");
    } catch {
      // Not reachable: the next attempt will tell.
    }
  }

  #hurry(): void {
    if (this.#retry !== undefined) {
      this.#attempts = 0;
      this.#connect();
    }
  }

  // After a sleep or a change of network a socket can look open and be dead. One that
  // has been silent is asked for a snapshot, and replaced if it does not answer.
  #watch(): void {
    if (this.#socket?.readyState !== WebSocket.OPEN || this.#subscriptions.size === 0) return;
    const quiet = Date.now() - this.#heard;
    if (quiet > silence + patience && this.#probing) {
      const dead = this.#socket;
      this.#lost();
      dead.close();
    } else if (quiet > silence && !this.#probing) {
      this.#probing = true;
      const [first] = this.#subscriptions.values();
      if (first) {
        this.#close(first);
        this.#open(first);
      }
    }
  }

  #become(s: State): void {
    if (s === this.state) return;
    this.state = s;
    this.onstate(s);
  }
}
