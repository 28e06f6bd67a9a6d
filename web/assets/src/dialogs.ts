// Help and search.
import { h } from "./dom.ts";

export interface Place {
  title: string;
  kind: string;
  go: () => void;
}

const keys: [string, string][] = [
  ["?", "this help"],
  ["/", "search boards and panels"],
  ["t", "time range: then arrows to choose"],
  ["space", "pause and resume"],
  ["← →", "shift the time by half of what is shown"],
  ["+ −", "zoom in and out"],
  ["g h", "all boards"],
  ["d", "data of the focused panel as a table"],
  ["f", "focused panel alone, and back"],
  ["esc", "back: unpin, leave the panel, close"],
];

const mouse: [string, string][] = [
  ["drag", "zoom into a span"],
  ["double click", "back to live"],
  ["click", "pin the values"],
  ["click a series", "show it alone; ctrl-click adds"],
];

export function openHelp(): void {
  const list = (rows: [string, string][]): HTMLElement => h("dl", {}, ...rows.flatMap(([k, what]) => [h("dt", {}, ...(rows === mouse ? [k] : k.split(" ")).map((s) => h("kbd", {}, s))), h("dd", {}, what)]));
  show(h("dialog", { class: "help", "aria-label": "Help" },
    h("header", {}, h("h2", {}, "Keys"), close()), list(keys),
    h("h3", {}, "On a chart"), list(mouse),
    h("p", {}, "Dashed ends are steps that are still filling. All of what you see is in the address: share it as it is.")));
}

export function openSearch(places: Place[]): void {
  const results = h("ul", { id: "results", role: "listbox", "aria-label": "Found" });
  const input = h("input", { type: "search", placeholder: "Search boards and panels", "aria-label": "Search boards and panels", "aria-controls": "results", autocomplete: "off", spellcheck: "false" });
  let found: Place[] = [];
  let at = 0;
  const draw = (): void => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = places.filter((p) => words.every((w) => p.title.toLowerCase().includes(w))).slice(0, 12);
    at = Math.min(at, Math.max(0, found.length - 1));
    results.replaceChildren(...found.map((p, i) =>
      h("li", { role: "option", id: `r${i}`, "aria-selected": i === at ? "true" : "false", onclick: () => choose(i) }, h("span", {}, p.title), h("small", {}, p.kind))));
    if (found.length === 0) results.append(h("li", { class: "none" }, `Nothing is called “${input.value}”.`));
    input.setAttribute("aria-activedescendant", found.length > 0 ? `r${at}` : "");
  };
  const choose = (i: number): void => {
    dialog.close();
    found[i]?.go();
  };
  input.addEventListener("input", () => ((at = 0), draw()));
  input.addEventListener("keydown", (e) => {
    if (e.key === "ArrowDown") at = Math.min(found.length - 1, at + 1);
    else if (e.key === "ArrowUp") at = Math.max(0, at - 1);
    else if (e.key === "Enter") {
      e.preventDefault();
      choose(at);
      return;
    } else return;
    e.preventDefault();
    draw();
  });
  const dialog = h("dialog", { class: "search", "aria-label": "Search" }, input, results);
  draw();
  show(dialog);
  input.focus();
}

function close(): HTMLElement {
  return h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: (e: MouseEvent) => (e.currentTarget as Element).closest("dialog")!.close() }, "×");
}

function show(d: HTMLDialogElement): void {
  d.addEventListener("close", () => d.remove());
  d.addEventListener("click", (e) => e.target === d && d.close());
  document.body.append(d);
  d.showModal();
}
