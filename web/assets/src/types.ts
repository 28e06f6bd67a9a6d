// The shapes that the server sends: a board, and the answers of the live socket.

export interface Query {
  metric: string;
  agg: string;
  by?: string[];
  where?: Record<string, string | string[]>;
  range?: string;
  from?: number;
  to?: number;
  step?: string;
  top?: number;
}

export type Reduce = "last" | "sum" | "mean" | "max";

export interface PanelQuery {
  label?: string;
  unit?: string;
  reduce?: Reduce;
  zero?: boolean; // a step without points is 0 and no gap
  steps?: number; // that the range is cut into, about, where the step is auto
  query: Query;
}

export interface Threshold {
  value: number;
  label?: string;
  state?: "warning" | "bad";
}

export interface Style {
  draw?: "lines" | "area" | "stacked" | "bars";
  min?: number;
  max?: number;
  good?: "up" | "down";
  thresholds?: Threshold[];
}

export interface Panel {
  id: string;
  title: string;
  description?: string;
  kind: "timeseries" | "stat" | "table";
  unit?: string;
  w: number;
  h: number;
  queries: PanelQuery[];
  style?: Style;
}

export interface Board {
  id: string;
  title: string;
  description?: string;
  range: string;
  panels: Panel[];
}

export interface WireSeries {
  labels: Record<string, string> | null;
  other?: boolean;
  values: (number | null)[];
}

// Times are epoch milliseconds. An update holds only the times that changed.
export interface WireAnswer {
  step_ms?: number;
  times: number[] | null; // null is none
  series: WireSeries[] | null;
  provisional_from?: number;
  head?: number; // the time up to which all but late points are in
  watermark?: number; // the time up to which steps are final
  server_now?: number;
  skipped?: number; // updates that this viewer was too slow for, before this snapshot
}

export interface Snapshot extends WireAnswer {
  op: "snapshot";
  id: string;
  seq: number;
}

export interface Update extends WireAnswer {
  op: "update";
  id: string;
  seq: number;
}

export interface Refusal {
  op: "error";
  id?: string;
  error: string;
}

export type ServerMessage = Snapshot | Update | Refusal;
