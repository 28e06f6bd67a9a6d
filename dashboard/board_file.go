package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"

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
	Metric string         `toml:"metric"`
	Agg    string         `toml:"agg"`
	By     []string       `toml:"by,omitempty"`
	Where  map[string]any `toml:"where,omitempty,inline"` // what aggregate.Filter reads from JSON
	Step   string         `toml:"step,omitempty"`         // auto
	Top    int            `toml:"top,omitempty"`
	Label  string         `toml:"label,omitempty"`
	Unit   string         `toml:"unit,omitempty"`
	Reduce Reduce         `toml:"reduce,omitempty"` // last
	Zero   bool           `toml:"zero,omitempty"`
	Steps  int            `toml:"steps,omitempty"`
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
		x, err := p.panel()
		if err != nil {
			return nil, fmt.Errorf("board %s: panel %s: %w", id, p.ID, err)
		}
		b.Panels = append(b.Panels, x)
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
		p, err := fileOf(&b.Panels[i])
		if err != nil {
			return nil, fmt.Errorf("board %s: %w", b.ID, err)
		}
		f.Panels = append(f.Panels, p)
	}
	var out bytes.Buffer
	e := toml.NewEncoder(&out)
	e.SetIndentTables(true)
	if err := e.Encode(f); err != nil {
		return nil, fmt.Errorf("board %s: %w", b.ID, err)
	}
	return out.Bytes(), nil
}

func (f panelFile) panel() (Panel, error) {
	p := Panel{
		ID: f.ID, Title: f.Title, Description: f.Description,
		Kind: or(f.Kind, Timeseries), Unit: f.Unit, W: or(f.W, defaultW), H: or(f.H, defaultH),
		Style: Style{Draw: f.Draw, Min: f.Min, Max: f.Max, Good: f.Good},
	}
	for _, q := range f.Queries {
		var where map[string]aggregate.Filter
		if len(q.Where) > 0 {
			if err := convert(q.Where, &where); err != nil {
				return Panel{}, err
			}
		}
		p.Queries = append(p.Queries, Query{
			Label: q.Label, Unit: q.Unit, Reduce: q.Reduce, Zero: q.Zero, Steps: q.Steps,
			Query: aggregate.Query{Metric: q.Metric, Agg: q.Agg, By: q.By, Where: where, Step: or(q.Step, "auto"), Top: q.Top},
		})
	}
	for _, t := range f.Thresholds {
		p.Style.Thresholds = append(p.Style.Thresholds, Threshold{Value: t.Value, Label: t.Label, State: or(t.State, "warning")})
	}
	return p, nil
}

// convert turns from into what stands at to, by way of JSON.
func convert(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// whereOf returns filters as they stand in a file: lists of values as lists.
func whereOf(where map[string]aggregate.Filter) (map[string]any, error) {
	if len(where) == 0 {
		return nil, nil
	}
	out := make(map[string]any, len(where))
	if err := convert(where, &out); err != nil {
		return nil, err
	}
	for name, v := range out {
		if one, ok := v.(string); ok {
			out[name] = []string{one}
		}
	}
	return out, nil
}

func fileOf(p *Panel) (panelFile, error) {
	f := panelFile{
		ID: p.ID, Title: p.Title, Description: p.Description,
		Kind: unless(p.Kind, Timeseries), Unit: p.Unit, W: unless(p.W, defaultW), H: unless(p.H, defaultH),
		Draw: p.Style.Draw, Min: p.Style.Min, Max: p.Style.Max, Good: p.Style.Good,
	}
	for _, q := range p.Queries {
		where, err := whereOf(q.Query.Where)
		if err != nil {
			return f, err
		}
		f.Queries = append(f.Queries, queryFile{
			Metric: q.Query.Metric, Agg: q.Query.Agg, By: q.Query.By, Where: where,
			Step: unless(q.Query.Step, "auto"), Top: q.Query.Top, Label: q.Label, Unit: q.Unit, Reduce: q.Reduce, Zero: q.Zero, Steps: q.Steps,
		})
	}
	for _, t := range p.Style.Thresholds {
		f.Thresholds = append(f.Thresholds, thresholdFile{Value: t.Value, Label: t.Label, State: unless(t.State, "warning")})
	}
	return f, nil
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
