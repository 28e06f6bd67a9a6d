package point

import "strconv"

// A Type says how the values of a series are to be read.
type Type uint8

// The types of a point. The numbers are written to disk and never change.
const (
	Gauge        Type = 1 // a value that goes up and down
	Counter      Type = 2 // an increment; the value is added
	Cumulative   Type = 3 // a monotonic total, resets allowed
	Distribution Type = 4 // one observation
	Set          Type = 5 // a member, counted distinct
)

var typeNames = [...]string{Gauge: "gauge", Counter: "counter", Cumulative: "cumulative", Distribution: "distribution", Set: "set"}

// String returns the type's name on the wire.
func (t Type) String() string {
	if t.Valid() {
		return typeNames[t]
	}
	return "type(" + strconv.Itoa(int(t)) + ")"
}

// Valid reports whether t is one of the five types.
func (t Type) Valid() bool { return t >= Gauge && t <= Set }

// ParseType returns the type that a wire name stands for.
func ParseType(name string) (Type, bool) {
	for t := Gauge; t <= Set; t++ {
		if typeNames[t] == name {
			return t, true
		}
	}
	return 0, false
}

// A Label is one dimension of a series.
type Label struct{ Name, Value string }

// Labels are sorted by name, with no name twice.
type Labels []Label

// Get returns the value of the label called name, or "" if there is none.
func (l Labels) Get(name string) string {
	for i := range l {
		if l[i].Name == name {
			return l[i].Value
		}
	}
	return ""
}

// A Series is what points have in common: points belong to the same series
// when metric, type and all labels are equal.
type Series struct {
	Metric string
	Type   Type
	Labels Labels
}

// A Point is one value of a series at one instant.
type Point struct {
	Series
	Time   int64   // epoch milliseconds
	Value  float64 // 0 for a Set
	Member string  // a Set's value; empty for the other types
}
