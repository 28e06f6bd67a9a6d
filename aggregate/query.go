package aggregate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A Query asks for one aggregate of one metric over a span of time, or for what an
// expression makes of several.
type Query struct {
	Metric  string            `json:"metric"`
	Agg     string            `json:"agg"`               // count sum avg min max last rate increase distinct heatmap pN (0 < N < 100)
	By      []string          `json:"by,omitempty"`      // label names to group by
	Where   map[string]Filter `json:"where,omitempty"`   // every label must match
	Range   string            `json:"range,omitempty"`   // back from now, such as 15m
	From    Time              `json:"from,omitzero"`     // instead of Range
	To      Time              `json:"to,omitzero"`       // zero means now
	Step    string            `json:"step,omitempty"`    // such as 10s; auto; or day, week or month
	Zone    string            `json:"zone,omitempty"`    // of day, week and month, such as Europe/Berlin; UTC if empty
	Window  string            `json:"window,omitempty"`  // what a step's value covers, up to the step's end; the step if empty
	Top     int               `json:"top,omitempty"`     // keeps the n greatest series and folds the rest into one; 0 keeps all
	Compare string            `json:"compare,omitempty"` // adds the same a period earlier, such as 1d

	Session *Session `json:"session,omitempty"` // asks for sessions instead of steps

	Queries map[string]Query `json:"queries,omitempty"` // by name
	Expr    string           `json:"expr,omitempty"`    // what is made of them, such as a / b * 100

	AtLeast map[string]string `json:"at_least,omitempty"` // by shard: a sequence number that the answer has to count
}

// ParseQuery reads a query from JSON. A field that a query does not have is an error, since
// a misspelt one would silently ask for something else.
func ParseQuery(data []byte) (Query, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var q Query
	if err := d.Decode(&q); err != nil {
		return Query{}, refuse("the query cannot be read: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if d.More() {
		return Query{}, refuse("the query cannot be read: there is more after the JSON object")
	}
	return q, nil
}

// An Answer is what a query found. Values[i] of every series belongs to the step that
// starts at Times[i]; NaN stands for no data and is written as null.
type Answer struct {
	StepMS          int64             `json:"step_ms"`
	Step            string            `json:"step,omitempty"` // day, week or month: then StepMS is 0
	Times           []int64           `json:"times"`          // epoch milliseconds
	Series          []Values          `json:"series"`
	Revisions       []uint64          `json:"revisions,omitempty"` // by step, how many late points it has taken in; nil for none
	ProvisionalFrom int64             `json:"provisional_from"`    // steps from here on still grow
	FinalUntil      int64             `json:"final_until"`         // steps that end here or before change by late points only
	Head            int64             `json:"head"`                // up to here all but late points are in, epoch milliseconds; 0 when nothing has arrived
	Watermark       int64             `json:"watermark"`           // epoch milliseconds; 0 when nothing has arrived
	Sessions        []SessionValue    `json:"sessions,omitempty"`  // the newest first, where the query asks for them
	Truncated       bool              `json:"truncated,omitempty"` // there are older sessions
	Covers          map[string]string `json:"covers"`              // by shard: the last sequence number counted
}

// Values is one series of an answer.
type Values struct {
	Labels  map[string]string `json:"labels"`
	Other   bool              `json:"other,omitempty"`   // the rest that top folded together
	Compare string            `json:"compare,omitempty"` // how much earlier the values are
	Bucket  *[2]float64       `json:"bucket,omitempty"`  // of a heatmap: the values count observations between these
	Values  []float64         `json:"values"`
}

// Time is an instant in epoch milliseconds. JSON may also give it in RFC 3339.
type Time int64

// UnmarshalJSON takes epoch milliseconds or an RFC 3339 string.
func (t *Time) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return fmt.Errorf("time %q is neither epoch milliseconds nor RFC 3339", s)
		}
		*t = Time(at.UnixMilli())
		return nil
	}
	var ms int64
	if err := json.Unmarshal(b, &ms); err != nil {
		return fmt.Errorf("time %s is neither epoch milliseconds nor RFC 3339", b)
	}
	*t = Time(ms)
	return nil
}
