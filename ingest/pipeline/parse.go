package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"

	"freshet/ingest/point"
)

// Read reads the definitions of a TOML file: one that fills the file, or an array called
// pipeline. What the file says under continuous it passes over. name is that of a definition
// which has none.
func Read(text []byte, name string) ([]*Definition, error) {
	var all map[string]any
	if err := toml.Unmarshal(text, &all); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			row, column := at.Position()
			return nil, fmt.Errorf("line %d, column %d: %w", row, column, err)
		}
		return nil, err
	}
	_, others := all["continuous"] // read by aggregate/continuous
	delete(all, "continuous")
	list, several := all["pipeline"]
	if !several && len(all) == 0 && others {
		return nil, nil
	}
	if !several {
		d, err := define(name, all)
		if err != nil {
			return nil, err
		}
		return []*Definition{d}, nil
	}
	tables, ok := list.([]any)
	if !ok || len(all) > 1 {
		return nil, errors.New("pipeline: a file holds one pipeline, or an array of them, written [[pipeline]], and nothing beside it")
	}
	var found []*Definition
	for i, t := range tables {
		table, ok := t.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("pipeline[%d]: must be a table, got %s", i, describe(t))
		}
		d, err := define("", table)
		if err != nil {
			return nil, fmt.Errorf("pipeline[%d]: %w", i, err)
		}
		found = append(found, d)
	}
	return found, nil
}

// Parse reads a definition in JSON, of the same fields. name is that of one without.
func Parse(text []byte, name string) (*Definition, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var all map[string]any
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("the definition is not a JSON object: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("the definition is not a JSON object: there is more behind it")
	}
	return define(name, all)
}

var (
	nameRule   = regexp.MustCompile(namePattern)
	streamRule = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
	fieldRule  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
)

// define makes a definition of a table.
func define(name string, m map[string]any) (*Definition, error) {
	var err error
	f := newFields("", m, &err)
	d := &Definition{Name: f.str("name"), Stream: f.str("stream"), Shards: f.whole("shards", maxShards)}
	if d.Name == "" {
		d.Name = name
	}
	if !nameRule.MatchString(d.Name) {
		f.fail("name", "must be 1 to 64 letters, digits and _ . -, got %.80q", d.Name)
	}
	f.streamName("stream", d.Stream)
	d.Latest = f.choice("start", "oldest", "latest") == "latest"
	d.Format = f.format()
	d.Filter = f.expr("filter")
	d.Lets = f.lets()
	outputs := f.tables("output")
	if len(outputs) == 0 || len(outputs) > MaxOutputs {
		f.fail("output", "there must be 1 to %d, got %d", MaxOutputs, len(outputs))
	}
	for _, o := range outputs {
		d.Output = append(d.Output, o.output())
	}
	f.done()
	if err != nil {
		return nil, err
	}
	if d.text, err = json.Marshal(m); err != nil {
		return nil, fmt.Errorf("the definition holds what JSON cannot: %w", err)
	}
	if len(d.text) > MaxDefinition {
		return nil, fmt.Errorf("the definition has %d bytes as JSON, at most %d are allowed", len(d.text), MaxDefinition)
	}
	return d, nil
}

func (f *fields) streamName(field, name string) {
	if !streamRule.MatchString(name) {
		f.fail(field, "must be the name of a stream: 1 to 128 letters, digits and _ . -, got %.140q", name)
	}
}

// format reads how records are taken apart.
func (f *fields) format() Format {
	w := Format{Kind: f.choice("decode", "json", "ndjson", "csv", "logfmt", "text", "raw", "points"), Delimiter: ','}
	csv, text := f.table("csv"), f.table("text")
	if s := csv.str("delimiter"); s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if n != len(s) || r == utf8.RuneError || strings.ContainsRune("\r\n\"", r) {
			csv.fail("delimiter", "must be one character, not a quote or the end of a line, got %.20q", s)
		}
		w.Delimiter = r
	}
	w.Header, w.Columns = csv.boolean("header"), csv.strings("columns")
	switch {
	case w.Header && len(w.Columns) > 0:
		csv.fail("columns", "goes without header = true, which takes the names from the first line")
	case w.Kind == "csv" && !w.Header && len(w.Columns) == 0:
		csv.fail("columns", "name the columns, or set header = true if the first line of each record names them")
	case len(w.Columns) > MaxColumns:
		csv.fail("columns", "at most %d are allowed, got %d", MaxColumns, len(w.Columns))
	}
	for i, c := range w.Columns {
		if c != "" && slices.Contains(w.Columns[:i], c) {
			csv.fail("columns", "%.80q is there twice", c)
		}
	}
	if s := text.str("pattern"); s != "" {
		var err error
		if w.Pattern, err = regexp.Compile(s); err != nil {
			text.fail("pattern", "%v", err)
		} else if !slices.ContainsFunc(w.Pattern.SubexpNames(), func(n string) bool { return n != "" }) {
			text.fail("pattern", "has no named group, such as (?P<status>[0-9]+), got %.80q", s)
		}
	}
	csv.done()
	text.done()
	if len(csv.m) > 0 && w.Kind != "csv" {
		f.fail("csv", "goes with decode = \"csv\", not %q", w.Kind)
	}
	if len(text.m) > 0 && w.Kind != "text" && w.Kind != "raw" {
		f.fail("text", "goes with decode = \"text\" or \"raw\", not %q", w.Kind)
	}
	return w
}

// lets reads names for expressions. Compile puts them in order.
func (f *fields) lets() []Let {
	t := f.table("let")
	var all []Let
	for _, name := range t.names() {
		if !fieldRule.MatchString(name) {
			t.fail(name, "a name is a letter or _, then letters, digits and _, at most 64 in all")
		}
		all = append(all, Let{name, t.expr(name)})
	}
	if len(all) > MaxLets {
		f.fail("let", "at most %d are allowed, got %d", MaxLets, len(all))
	}
	return all
}

// output reads an output.
func (f *fields) output() Output {
	o := Output{Filter: f.expr("filter"), Each: f.expr("each"), As: f.str("as")}
	switch {
	case o.Each == "" && o.As != "":
		f.fail("as", "goes with each, of whose elements it is the name")
	case o.As == "":
		o.As = "item"
	case !fieldRule.MatchString(o.As):
		f.fail("as", "a name is a letter or _, then letters, digits and _, got %.80q", o.As)
	}
	if _, ok := f.m["stream"]; ok {
		o.Stream, o.Shards, o.Record, o.Key = f.str("stream"), f.whole("shards", maxShards), f.expr("record"), f.expr("key")
		f.streamName("stream", o.Stream)
		f.done()
		return o
	}
	o.Metric, o.Type, o.Value = f.value("metric", false), f.value("type", false), f.value("value", true)
	o.Time, o.Clock = f.value("ts", true), f.clock()
	if !o.Metric.Given() {
		f.fail("metric", "an output has a metric, or the stream that it goes to")
	}
	if name, ok := o.Type.Literal.(string); o.Type.Literal != nil {
		t, known := point.ParseType(name)
		if !ok || !known {
			f.fail("type", "must be gauge, counter, cumulative, distribution or set, got %s", describe(o.Type.Literal))
		}
		if !o.Value.Given() && t != point.Counter {
			f.fail("value", "a %s has a value", name)
		}
	} else if o.Type.Expr == "" && !o.Value.Given() {
		f.fail("value", "a gauge, which a point is that has no type, has a value")
	}
	labels := f.table("labels")
	for _, name := range labels.names() {
		o.Labels = append(o.Labels, Label{name, labels.value(name, true)})
	}
	if len(o.Labels) > point.MaxLabels {
		f.fail("labels", "at most %d are allowed, got %d", point.MaxLabels, len(o.Labels))
	}
	o.LabelsFrom = f.expr("labels_from")
	f.done()
	return o
}
