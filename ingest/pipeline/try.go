package pipeline

import (
	"encoding/json"

	"freshet/ingest/point"
)

// A Tried is what a program makes of one record.
type Tried struct {
	Events   int           `json:"events"`
	Filtered int           `json:"filtered"`
	Points   []TriedPoint  `json:"points"`
	Records  []TriedRecord `json:"records"`
	Errors   []Mishap      `json:"errors"`
}

// A TriedPoint is a point as it would be posted.
type TriedPoint struct {
	Metric string            `json:"metric"`
	Type   string            `json:"type"`
	TS     int64             `json:"ts"`
	Value  any               `json:"value"`
	Labels map[string]string `json:"labels,omitempty"`
}

// A TriedRecord is a record for another stream.
type TriedRecord struct {
	Stream string `json:"stream"`
	Key    string `json:"key"`
	Data   string `json:"data"`
}

// Try runs the program on a record and stores nothing.
func (m *Machine) Try(in *Input) Tried {
	t := Tried{Points: []TriedPoint{}, Records: []TriedRecord{}, Errors: []Mishap{}}
	o := m.Run(in, &t)
	t.Events, t.Filtered = o.Events, o.Filtered
	return t
}

// Point implements Sink.
func (t *Tried) Point(v *point.View) {
	p := TriedPoint{Metric: string(v.Metric), Type: v.Type.String(), TS: v.Time, Value: v.Value}
	if v.Type == point.Set {
		p.Value = string(v.Member)
	}
	for _, l := range v.Labels {
		if p.Labels == nil {
			p.Labels = map[string]string{}
		}
		p.Labels[string(l.Name)] = string(l.Value)
	}
	t.Points = append(t.Points, p)
}

// Record implements Sink.
func (t *Tried) Record(stream, key string, data []byte) {
	t.Records = append(t.Records, TriedRecord{stream, key, string(data)})
}

// Mishap implements Sink.
func (t *Tried) Mishap(m Mishap) { t.Errors = append(t.Errors, m) }

// MarshalJSON writes {"field", "reason"}.
func (m Mishap) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"field": m.Field, "reason": m.Reason})
}
