package dashboard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"freshet/aggregate"
)

// Ranges are the time ranges a board may open with, shortest first.
var ranges = []string{"1m", "5m", "15m", "1h", "3h", "6h", "12h", "24h"}

// Ranges returns the time ranges that a board offers, shortest first.
func Ranges() []string { return slices.Clone(ranges) }

// A Kind is what a panel draws.
type Kind string

// The kinds of a panel.
const (
	Timeseries Kind = "timeseries" // lines, areas or bars over time
	Stat       Kind = "stat"       // one number with a sparkline
	Table      Kind = "table"      // one row a group, the greatest first
)

// Bounds on a board, so that one file cannot keep a browser or the hub busy for ever.
const (
	MaxPanels  = 64 // in one board
	MaxQueries = 8  // in one panel
	Columns    = 12 // of the grid
	MaxHeight  = 24 // rows of the grid that one panel may take
	MaxSteps   = 1000
)

// A Board is one page of panels. It is never changed after Parse, so it may be
// read by any number of goroutines.
type Board struct {
	ID          string  `json:"id"`
	Title       string  `json:"title"`
	Description string  `json:"description,omitempty"`
	Range       string  `json:"range"` // that the board opens with; one of Ranges
	Panels      []Panel `json:"panels"`
}

// A Panel is one picture on a board.
type Panel struct {
	ID          string  `json:"id"` // unique in its board
	Title       string  `json:"title"`
	Description string  `json:"description,omitempty"`
	Kind        Kind    `json:"kind"`
	Unit        string  `json:"unit,omitempty"` // of the values, one of Units; empty means a plain number
	W           int     `json:"w"`              // columns of the grid, 1 to 12
	H           int     `json:"h"`              // rows of the grid
	Queries     []Query `json:"queries"`
	Style       Style   `json:"style,omitzero"`
}

// A Query is one aggregate that a panel shows, without its time range, which the
// viewer chooses.
type Query struct {
	Label  string          `json:"label,omitempty"`  // names its series, such as p95 or {{country}}; empty means the label values
	Unit   string          `json:"unit,omitempty"`   // instead of the panel's, for a table's column
	Reduce Reduce          `json:"reduce,omitempty"` // how a stat or a table makes one number of the range; empty means last
	Zero   bool            `json:"zero,omitempty"`   // a step without points is 0 and no gap: for counters of events
	Steps  int             `json:"steps,omitempty"`  // that the range is cut into, about, where Query.Step is auto; 0 leaves it to the server
	Query  aggregate.Query `json:"query"`
}

// A Reduce makes one number out of the steps of a range.
type Reduce string

// The ways to make one number.
const (
	Last Reduce = "last" // the latest step
	Sum  Reduce = "sum"
	Mean Reduce = "mean"
	Max  Reduce = "max"
)

// A Style says how a panel is drawn. The zero Style is plain lines.
type Style struct {
	Draw       string      `json:"draw,omitempty"` // lines, area, stacked or bars; empty means lines
	Min        *float64    `json:"min,omitempty"`  // the value axis includes it
	Max        *float64    `json:"max,omitempty"`
	Good       string      `json:"good,omitempty"` // up or down: which change of a stat is good news; empty means neither
	Thresholds []Threshold `json:"thresholds,omitempty"`
}

// A Threshold is a thin labelled line, from which on a value is worth a look.
type Threshold struct {
	Value float64 `json:"value"`
	Label string  `json:"label,omitempty"`
	State string  `json:"state,omitempty"` // warning or bad
}

var (
	kinds   = []Kind{Timeseries, Stat, Table}
	reduces = []Reduce{"", Last, Sum, Mean, Max}
	draws   = []string{"", "lines", "area", "stacked", "bars"}
	states  = []string{"warning", "bad"}
	goods   = []string{"", "up", "down"}
	units   = []string{"", "percent", "bytes", "bytes/s", "bits/s", "ms", "s", "/s", "/min", "EUR", "EUR/s", "EUR/min"}
)

// Units returns the units that a panel may have.
func Units() []string { return slices.Clone(units) }

// Check reports the first thing that is wrong with the board, naming the field, the
// value and what is allowed.
func (b *Board) Check() error {
	if !validID(b.ID) {
		return fmt.Errorf("id %q: want 1 to 64 of a-z, 0-9 and -", b.ID)
	}
	if strings.TrimSpace(b.Title) == "" {
		return fmt.Errorf("title is empty")
	}
	if !slices.Contains(ranges, b.Range) {
		return fmt.Errorf("range %q: want one of %s", b.Range, strings.Join(ranges, ", "))
	}
	if n := len(b.Panels); n == 0 || n > MaxPanels {
		return fmt.Errorf("panels: %d, want 1 to %d", n, MaxPanels)
	}
	seen := make(map[string]bool, len(b.Panels))
	for i := range b.Panels {
		p := &b.Panels[i]
		if err := p.check(); err != nil {
			return fmt.Errorf("panel %d (%s): %w", i+1, p.ID, err)
		}
		if seen[p.ID] {
			return fmt.Errorf("panel %d: id %q is taken by an earlier panel", i+1, p.ID)
		}
		seen[p.ID] = true
	}
	return nil
}

func (p *Panel) check() error {
	switch {
	case !validID(p.ID):
		return fmt.Errorf("id %q: want 1 to 64 of a-z, 0-9 and -", p.ID)
	case strings.TrimSpace(p.Title) == "":
		return fmt.Errorf("title is empty")
	case !slices.Contains(kinds, p.Kind):
		return fmt.Errorf("kind %q: want one of %v", p.Kind, kinds)
	case !slices.Contains(units, p.Unit):
		return fmt.Errorf("unit %q: want one of %q", p.Unit, units)
	case p.W < 1 || p.W > Columns:
		return fmt.Errorf("w %d: want 1 to %d", p.W, Columns)
	case p.H < 1 || p.H > MaxHeight:
		return fmt.Errorf("h %d: want 1 to %d", p.H, MaxHeight)
	case len(p.Queries) == 0 || len(p.Queries) > MaxQueries:
		return fmt.Errorf("queries: %d, want 1 to %d", len(p.Queries), MaxQueries)
	}
	for i := range p.Queries {
		if err := p.Queries[i].check(); err != nil {
			return fmt.Errorf("query %d: %w", i+1, err)
		}
	}
	return p.Style.check()
}

func (q *Query) check() error {
	switch {
	case q.Query.Metric == "":
		return fmt.Errorf("metric is empty")
	case q.Query.Agg == "":
		return fmt.Errorf("agg is empty")
	case q.Query.Range != "" || q.Query.From != 0 || q.Query.To != 0:
		return fmt.Errorf("range, from and to are chosen by the viewer")
	case !slices.Contains(units, q.Unit):
		return fmt.Errorf("unit %q: want one of %q", q.Unit, units)
	case q.Steps < 0 || q.Steps > MaxSteps:
		return fmt.Errorf("steps %d: want 0 to %d", q.Steps, MaxSteps)
	case !slices.Contains(reduces, q.Reduce):
		return fmt.Errorf("reduce %q: want one of %q", q.Reduce, reduces)
	}
	if s := q.Query.Step; s != "" && s != "auto" {
		if d, err := time.ParseDuration(s); err != nil || d <= 0 {
			return fmt.Errorf("step %q: want auto or a duration such as 10s", s)
		}
	}
	return nil
}

func (s *Style) check() error {
	if !slices.Contains(draws, s.Draw) {
		return fmt.Errorf("style.draw %q: want one of %q", s.Draw, draws)
	}
	if !slices.Contains(goods, s.Good) {
		return fmt.Errorf("style.good %q: want one of %q", s.Good, goods)
	}
	if s.Min != nil && s.Max != nil && *s.Min >= *s.Max {
		return fmt.Errorf("style.min %v is not below style.max %v", *s.Min, *s.Max)
	}
	for i, t := range s.Thresholds {
		if !slices.Contains(states, t.State) {
			return fmt.Errorf("threshold %d: state %q: want one of %q", i+1, t.State, states)
		}
	}
	return nil
}

func validID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		if c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
