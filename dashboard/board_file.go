package dashboard

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"freshet/aggregate"
)

// boardFile is a board as it stands in a file. Every field whose value is the
// default is left out, so that a small change to a board is a small diff.
type boardFile struct {
	Title       string      `toml:"title"`
	Description string      `toml:"description,omitempty"`
	Range       string      `toml:"range,omitempty"` // 15m
	Panels      []panelFile `toml:"panels"`
}

type panelFile struct {
	ID          string          `toml:"id"`
	Title       string          `toml:"title"`
	Description string          `toml:"description,omitempty"`
	Kind        Kind            `toml:"kind,omitempty"` // timeseries
	Unit        string          `toml:"unit,omitempty"`
	W           int             `toml:"w,omitempty"` // 6
	H           int             `toml:"h,omitempty"` // 7
	Draw        string          `toml:"draw,omitempty"`
	Min         *float64        `toml:"min,omitempty"`
	Max         *float64        `toml:"max,omitempty"`
	Good        string          `toml:"good,omitempty"`
	Queries     []queryFile     `toml:"queries"`
	Thresholds  []thresholdFile `toml:"thresholds,omitempty"`
}

type queryFile struct {
	Metric string              `toml:"metric"`
	Agg    string              `toml:"agg"`
	By     []string            `toml:"by,omitempty"`
	Where  map[string][]string `toml:"where,omitempty,inline"`
	Step   string              `toml:"step,omitempty"` // auto
	Top    int                 `toml:"top,omitempty"`
	Label  string              `toml:"label,omitempty"`
	Unit   string              `toml:"unit,omitempty"`
	Reduce Reduce              `toml:"reduce,omitempty"` // last
	Zero   bool                `toml:"zero,omitempty"`
	Steps  int                 `toml:"steps,omitempty"`
}

type thresholdFile struct {
	Value float64 `toml:"value"`
	Label string  `toml:"label,omitempty"`
	State string  `toml:"state,omitempty"` // warning
}

// The defaults that a file leaves out.
const (
	defaultRange = "15m"
	defaultW     = 6
	defaultH     = 7
)

// Parse reads the TOML of the board that is called id and checks it. An unknown key
// is an error, since it is most often a misspelt one.
func Parse(id string, text []byte) (*Board, error) {
	var f boardFile
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("board %s: %w", id, err)
	}
	b := &Board{ID: id, Title: f.Title, Description: f.Description, Range: or(f.Range, defaultRange)}
	for _, p := range f.Panels {
		b.Panels = append(b.Panels, p.panel())
	}
	if err := b.Check(); err != nil {
		return nil, fmt.Errorf("board %s: %w", id, err)
	}
	return b, nil
}

// Format writes a board as canonical TOML: fields in a fixed order, defaults left
// out. Parse reads it back to an equal board.
func Format(b *Board) ([]byte, error) {
	f := boardFile{Title: b.Title, Description: b.Description, Range: unless(b.Range, defaultRange)}
	for i := range b.Panels {
		f.Panels = append(f.Panels, fileOf(&b.Panels[i]))
	}
	var out bytes.Buffer
	e := toml.NewEncoder(&out)
	e.SetIndentTables(true)
	if err := e.Encode(f); err != nil {
		return nil, fmt.Errorf("board %s: %w", b.ID, err)
	}
	return out.Bytes(), nil
}

func (f panelFile) panel() Panel {
	p := Panel{
		ID: f.ID, Title: f.Title, Description: f.Description,
		Kind: or(f.Kind, Timeseries), Unit: f.Unit, W: or(f.W, defaultW), H: or(f.H, defaultH),
		Style: Style{Draw: f.Draw, Min: f.Min, Max: f.Max, Good: f.Good},
	}
	for _, q := range f.Queries {
		var where map[string]aggregate.Matches
		for name, values := range q.Where {
			if where == nil {
				where = make(map[string]aggregate.Matches, len(q.Where))
			}
			where[name] = slices.Clone(values)
		}
		p.Queries = append(p.Queries, Query{
			Label: q.Label, Unit: q.Unit, Reduce: q.Reduce, Zero: q.Zero, Steps: q.Steps,
			Query: aggregate.Query{Metric: q.Metric, Agg: q.Agg, By: q.By, Where: where, Step: or(q.Step, "auto"), Top: q.Top},
		})
	}
	for _, t := range f.Thresholds {
		p.Style.Thresholds = append(p.Style.Thresholds, Threshold{Value: t.Value, Label: t.Label, State: or(t.State, "warning")})
	}
	return p
}

func fileOf(p *Panel) panelFile {
	f := panelFile{
		ID: p.ID, Title: p.Title, Description: p.Description,
		Kind: unless(p.Kind, Timeseries), Unit: p.Unit, W: unless(p.W, defaultW), H: unless(p.H, defaultH),
		Draw: p.Style.Draw, Min: p.Style.Min, Max: p.Style.Max, Good: p.Style.Good,
	}
	for _, q := range p.Queries {
		var where map[string][]string
		for name, values := range q.Query.Where {
			if where == nil {
				where = make(map[string][]string, len(q.Query.Where))
			}
			where[name] = values
		}
		f.Queries = append(f.Queries, queryFile{
			Metric: q.Query.Metric, Agg: q.Query.Agg, By: q.Query.By, Where: where,
			Step: unless(q.Query.Step, "auto"), Top: q.Query.Top, Label: q.Label, Unit: q.Unit, Reduce: q.Reduce, Zero: q.Zero, Steps: q.Steps,
		})
	}
	for _, t := range p.Style.Thresholds {
		f.Thresholds = append(f.Thresholds, thresholdFile{Value: t.Value, Label: t.Label, State: unless(t.State, "warning")})
	}
	return f
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

func unless[T comparable](v, fallback T) T {
	if v == fallback {
		var zero T
		return zero
	}
	return v
}
