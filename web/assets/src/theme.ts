// Dark and light: the system's setting until the viewer chooses. The choice is kept in
// a cookie, so that the server writes the page in the right theme from the first pixel.

const system = matchMedia("(prefers-color-scheme: dark)");

export interface Inks {
  dark: boolean;
  text: string;
  muted: string;
  grid: string;
  surface: string;
  warning: string;
  bad: string;
}

export function isDark(): boolean {
  const chosen = document.documentElement.dataset["theme"];
  return chosen ? chosen === "dark" : system.matches;
}

export function toggleTheme(): void {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset["theme"] = next;
  document.cookie = `freshet_theme=${next}; Path=/; Max-Age=31536000; SameSite=Lax`;
  changed();
}

let inks: Inks | null = null;
const listeners = new Set<() => void>();

export function onTheme(f: () => void): void {
  listeners.add(f);
}

function changed(): void {
  inks = null;
  for (const f of listeners) f();
}

system.addEventListener("change", changed);

// currentInks reads the theme's colours as a canvas needs them.
export function currentInks(): Inks {
  if (inks) return inks;
  const probe = document.createElement("i");
  document.body.append(probe);
  const read = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  inks = {
    dark: isDark(),
    text: read("--text"),
    muted: read("--muted"),
    grid: read("--grid"),
    surface: read("--surface"),
    warning: read("--warning"),
    bad: read("--bad"),
  };
  probe.remove();
  return inks;
}
