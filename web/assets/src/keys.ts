// The keyboard. A key does nothing while something is typed or a dialog is open.
export type Keymap = Record<string, (e: KeyboardEvent) => void>;

export function listen(map: Keymap): void {
  let prefix = "";
  let prefixed = 0;
  addEventListener("keydown", (e) => {
    if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
    const target = e.target as HTMLElement;
    if (target.matches("input:not([type=radio]), textarea, select, [contenteditable]")) return;
    const radio = target.matches("input[type=radio]");
    if (radio && (e.key.startsWith("Arrow") || e.key === " ")) return;
    if (e.key === " " && target.matches("button, a, summary")) return;
    if (e.key.startsWith("Arrow") && target.matches(".table, .scroll, pre")) return;
    const name = prefix && performance.now() - prefixed < 1200 ? `${prefix} ${e.key}` : e.key;
    prefix = "";
    const act = map[name];
    if (act) {
      e.preventDefault();
      act(e);
    } else if (Object.keys(map).some((k) => k.startsWith(e.key + " "))) {
      prefix = e.key;
      prefixed = performance.now();
    }
  });
}
