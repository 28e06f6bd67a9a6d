package pipeline

import (
	"encoding/json"
	"regexp"
)

// What a definition may be at most.
const (
	MaxPipelines   = 64
	MaxOutputs     = 32       // of a pipeline
	MaxLets        = 32       // of a pipeline
	MaxExpression  = 4096     // bytes of an expression
	MaxNodes       = 1000     // of an expression's syntax tree
	MaxDefinition  = 64 << 10 // bytes of a definition
	MaxEvents      = 10_000   // that one record is decoded into
	MaxMade        = 10_000   // points and records that come of one record
	MaxMadeBytes   = 2 << 20  // of their strings; the last may pass it
	MaxColumns     = 1000     // of a line of CSV
	maxShards      = 256      // of a stream that a pipeline makes
	maxRecordBytes = 1 << 20  // of a record that a pipeline writes, as in Kinesis
)

// names allows what a consumer application's name may hold, with room for more behind it.
const namePattern = `^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`

// A Definition says what a pipeline reads and what becomes of it.
type Definition struct {
	Name   string
	Stream string // that is read
	Shards int    // with how many the stream is made if it is not there; 0 waits for it
	Latest bool   // begins at the end of the stream, not at the oldest record
	Format Format
	Lets   []Let // in an order in which each may use those before it
	Filter string
	Output []Output

	text json.RawMessage // as it was given, as JSON
}

// Format says how a record is taken apart into events.
type Format struct {
	Kind      string // json, ndjson, csv, logfmt, text, raw or points
	Delimiter rune   // of csv
	Header    bool   // of csv: the first line of each record names the columns
	Columns   []string
	Pattern   *regexp.Regexp // of text and raw: its named groups become fields
}

// A Let is a name for an expression.
type Let struct{ Name, Expr string }

// A Value is a literal or an expression. The zero Value is neither: it was not given.
type Value struct {
	Literal any    // string, int, float64 or bool
	Expr    string // "" when it is a literal
}

// Given reports whether there is a value.
func (v Value) Given() bool { return v.Literal != nil || v.Expr != "" }

// An Output says what point, or what record of another stream, is made of an event.
type Output struct {
	Filter string
	Each   string // an expression for an array: there is an output for each element
	As     string // the name of the element

	// Of a point.
	Metric, Type, Value, Time Value
	Clock                     Clock
	Labels                    []Label // by rising name
	LabelsFrom                string  // an expression for a map of labels

	// Of a record.
	Stream string
	Shards int // as for Definition.Stream
	Record string
	Key    string
}

// A Label is a label of a point.
type Label struct {
	Name  string
	Value Value
}

// JSON returns the definition as it was given, in JSON.
func (d *Definition) JSON() json.RawMessage { return d.text }

// Streams returns the streams that the pipeline writes records or, for metrics, points to.
func (d *Definition) Streams(metrics string) []string {
	var all []string
	for i := range d.Output {
		if to := d.Output[i].Stream; to != "" {
			all = append(all, to)
		} else {
			all = append(all, metrics)
		}
	}
	return all
}
