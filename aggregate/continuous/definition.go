package continuous

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/pelletier/go-toml/v2"

	"freshet/aggregate"
)

// What definitions may be at most.
const (
	MaxQueries = 64
	maxShards  = 256
)

// A Definition is a query whose steps are written to a stream.
type Definition struct {
	Name   string
	Query  aggregate.Query // without range, from and to
	To     string          // the stream
	Shards int             // with how many it is made if it is not there; at least 1

	text json.RawMessage // the query, as it was given
}

var (
	nameRule   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	streamRule = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
)

// Read reads the definitions of a TOML file: its array continuous, beside whatever else.
func Read(text []byte) ([]Definition, error) {
	var file struct {
		Continuous []map[string]any `toml:"continuous"`
	}
	if err := toml.Unmarshal(text, &file); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			row, column := at.Position()
			return nil, fmt.Errorf("line %d, column %d: %w", row, column, err)
		}
		return nil, err
	}
	var all []Definition
	for i, table := range file.Continuous {
		d, err := define(table)
		if err != nil {
			return nil, fmt.Errorf("continuous[%d]: %w", i, err)
		}
		all = append(all, d)
	}
	return all, nil
}

func define(table map[string]any) (Definition, error) {
	text, err := json.Marshal(table)
	if err != nil {
		return Definition{}, err
	}
	given := struct {
		Name   string          `json:"name"`
		Query  json.RawMessage `json:"query"`
		To     string          `json:"to"`
		Shards int             `json:"shards"`
	}{Shards: 1}
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&given); err != nil {
		return Definition{}, fmt.Errorf("there are name, query, to and shards: %w", err)
	}
	d := Definition{Name: given.Name, To: given.To, Shards: given.Shards, text: given.Query}
	switch {
	case !nameRule.MatchString(d.Name):
		return d, fmt.Errorf("name: must be 1 to 64 letters, digits and _ . -, got %.80q", d.Name)
	case !streamRule.MatchString(d.To):
		return d, fmt.Errorf("to: must be the name of a stream: 1 to 128 letters, digits and _ . -, got %.140q", d.To)
	case d.Shards < 1 || d.Shards > maxShards:
		return d, fmt.Errorf("shards: must be 1 to %d, got %d", maxShards, d.Shards)
	}
	if d.Query, err = aggregate.ParseQuery(given.Query); err != nil {
		return d, fmt.Errorf("query: %w", err)
	}
	return d, nil
}

// plan checks the query.
func (d *Definition) plan(e *aggregate.Engine) (*aggregate.Plan, error) {
	q := d.Query
	refuse := func(field, reason string) (*aggregate.Plan, error) {
		return nil, fmt.Errorf("continuous query %s: query.%s: %s", d.Name, field, reason)
	}
	switch {
	case q.Range != "" || q.From != 0 || q.To != 0:
		return refuse("range", "it has none: every step is written once it is final")
	case q.Step == "" || q.Step == "auto":
		return refuse("step", "it has one, such as 1m")
	case q.Session != nil || q.Compare != "" || q.AtLeast != nil || q.Agg == "heatmap":
		return refuse("agg", "sessions, heatmaps, compare and at_least have no value of one step")
	}
	q.Range = "1ms"
	p, err := e.Plan(q)
	if err != nil {
		return nil, fmt.Errorf("continuous query %s: query: %w", d.Name, err)
	}
	if p.Whole() {
		return refuse("top", "a value that depends on other steps of an answer has no meaning here")
	}
	return p, nil
}
