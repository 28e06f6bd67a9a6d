package point

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode"
	"unicode/utf8"
)

// What a point may be at most. Lengths are in bytes of UTF-8.
const (
	MaxMetric     = 256  // length of a metric's name
	MaxLabels     = 64   // labels of one series
	MaxLabelName  = 128  // length of a label's name
	MaxLabelValue = 1024 // length of a label's value
	MaxMember     = 1024 // length of the value of a set

	// ReservedPrefix begins the names of labels that Freshet itself gives.
	ReservedPrefix = "__"

	// MaxAhead is how far ahead of the clock a timestamp may be, in milliseconds. Clocks
	// that are further off would close windows for everybody else.
	MaxAhead = 5 * 60 * 1000

	// MinTime is the earliest timestamp: 2000-01-01T00:00:00Z in epoch milliseconds. What
	// is before it is most often a time in seconds.
	MinTime = 946684800000
)

// An Error says what is wrong with a point: which field, and what about it.
type Error struct {
	Field  string // as it is called on the wire, such as "ts"
	Reason string // names the limit and the value
}

// Error returns "field: reason".
func (e *Error) Error() string { return e.Field + ": " + e.Reason }

func fault(field, format string, args ...any) *Error {
	return &Error{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Check returns nil when v is a point that may be stored, and an *Error that names the
// first field that may not. It puts the labels in order and leaves out those whose value
// is empty: an empty label is the same as none. now is in epoch milliseconds.
func (v *View) Check(now int64) error {
	if c := v.cached(); c != nil {
		v.Labels, v.from = c.table.appendLabels(v.Labels[:0], c.entry), nil
	}
	if err := v.checkSeries(); err != nil {
		return err
	}
	if err := v.checkValue(); err != nil {
		return err
	}
	return CheckTime(v.Time, now)
}

func (v *View) checkSeries() error {
	if err := checkMetric(v.Metric); err != nil {
		return err
	}
	if !v.Type.Valid() {
		return fault("type", "%d is not one of gauge, counter, cumulative, distribution, set", uint8(v.Type))
	}
	if len(v.Labels) > MaxLabels {
		return fault("labels", "at most %d, got %d", MaxLabels, len(v.Labels))
	}
	kept := v.Labels[:0]
	sorted := true
	for _, l := range v.Labels {
		if err := checkLabelName(l.Name); err != nil {
			return err
		}
		if err := checkLabelValue(l.Name, l.Value); err != nil {
			return err
		}
		if len(l.Value) == 0 {
			continue
		}
		if n := len(kept); n > 0 && string(kept[n-1].Name) >= string(l.Name) {
			sorted = false
		}
		kept = append(kept, l)
	}
	v.Labels = kept
	if !sorted {
		return v.sortLabels()
	}
	return nil
}

// sortLabels sorts by insertion: there are few labels, and they are mostly in order.
func (v *View) sortLabels() error {
	l := v.Labels
	for i := 1; i < len(l); i++ {
		for j := i; j > 0 && string(l[j].Name) <= string(l[j-1].Name); j-- {
			if string(l[j].Name) == string(l[j-1].Name) {
				return fault("labels", "%s is there twice", quote(l[j].Name))
			}
			l[j], l[j-1] = l[j-1], l[j]
		}
	}
	return nil
}

func (v *View) checkValue() error {
	if v.Type == Set {
		if len(v.Member) == 0 {
			return fault("value", "a set takes a string that is not empty")
		}
		if len(v.Member) > MaxMember {
			return fault("value", "at most %d bytes, got %d: %s", MaxMember, len(v.Member), quote(v.Member))
		}
		if reason := checkText(v.Member); reason != "" {
			return fault("value", "%s: %s", reason, quote(v.Member))
		}
		return nil
	}
	if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
		return fault("value", "must be a finite number, got %v", v.Value)
	}
	return nil
}

// CheckTime returns nil when a point may have the time ts, and an *Error that says why not.
// Both are in epoch milliseconds.
func CheckTime(ts, now int64) error {
	if ts > now+MaxAhead {
		hint := ""
		if scaled := ts / 1000; scaled >= MinTime && scaled <= now+MaxAhead {
			hint = "; this looks like microseconds, ts is in milliseconds"
		} else if scaled := ts / 1_000_000; scaled >= MinTime && scaled <= now+MaxAhead {
			hint = "; this looks like nanoseconds, ts is in milliseconds"
		}
		return fault("ts", "%s is more than 5 min ahead of the server's clock, %s%s", showTime(ts), showTime(now), hint)
	}
	if ts < MinTime {
		hint := ""
		if ts >= MinTime/1000 && ts <= (now+MaxAhead)/1000 {
			hint = "; this looks like seconds, ts is in milliseconds"
		}
		return fault("ts", "%s is before 2000-01-01T00:00:00Z%s", showTime(ts), hint)
	}
	return nil
}

// showTime writes a timestamp both ways: 1700000000000 (2023-11-14T22:13:20Z).
func showTime(ts int64) string {
	t := time.UnixMilli(ts).UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return fmt.Sprint(ts)
	}
	return fmt.Sprintf("%d (%s)", ts, t.Format(time.RFC3339Nano))
}

func checkMetric(name []byte) error {
	if len(name) == 0 {
		return fault("metric", "is required and may not be empty")
	}
	if len(name) > MaxMetric {
		return fault("metric", "at most %d bytes, got %d: %s", MaxMetric, len(name), quote(name))
	}
	if !isMetricName(name) {
		return fault("metric", "%s may hold letters, digits and _ . : / - only, and begins with a letter, a digit or _", quote(name))
	}
	return nil
}

// isMetricName reports whether name is made of letters and digits of any script and of
// _ . : / -, and begins with a letter, a digit or _.
func isMetricName(name []byte) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c >= utf8.RuneSelf {
			return isForeignMetricName(name)
		}
		switch metricBytes[c] {
		case 0:
			return false
		case 2:
			if i == 0 {
				return false
			}
		}
	}
	return true
}

func isForeignMetricName(name []byte) bool {
	if !utf8.Valid(name) {
		return false
	}
	for i, r := range string(name) {
		switch {
		case r < utf8.RuneSelf:
			if k := metricBytes[r]; k == 0 || k == 2 && i == 0 {
				return false
			}
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && (i == 0 || !unicode.IsMark(r)):
			return false
		}
	}
	return true
}

// metricBytes says of each ASCII byte where it may stand in a metric's name: 0 nowhere,
// 1 anywhere, 2 anywhere but first.
var metricBytes = [utf8.RuneSelf]uint8{
	'0': 1, '1': 1, '2': 1, '3': 1, '4': 1, '5': 1, '6': 1, '7': 1, '8': 1, '9': 1,
	'a': 1, 'b': 1, 'c': 1, 'd': 1, 'e': 1, 'f': 1, 'g': 1, 'h': 1, 'i': 1, 'j': 1, 'k': 1, 'l': 1, 'm': 1,
	'n': 1, 'o': 1, 'p': 1, 'q': 1, 'r': 1, 's': 1, 't': 1, 'u': 1, 'v': 1, 'w': 1, 'x': 1, 'y': 1, 'z': 1,
	'A': 1, 'B': 1, 'C': 1, 'D': 1, 'E': 1, 'F': 1, 'G': 1, 'H': 1, 'I': 1, 'J': 1, 'K': 1, 'L': 1, 'M': 1,
	'N': 1, 'O': 1, 'P': 1, 'Q': 1, 'R': 1, 'S': 1, 'T': 1, 'U': 1, 'V': 1, 'W': 1, 'X': 1, 'Y': 1, 'Z': 1,
	'_': 1, '.': 2, ':': 2, '/': 2, '-': 2,
}

// What a string may be used as.
const (
	mayBeMetric = 1 << iota
	mayBeName   // of a label
	mayBeValue  // of a label
)

// kindOf works out what s may be used as. It is 0 for what is no text.
func kindOf(s []byte) (kind uint8) {
	if len(s) == 0 || len(s) > MaxLabelValue || checkText(s) != "" {
		return 0
	}
	kind = mayBeValue
	if len(s) <= MaxMetric && isMetricName(s) {
		kind |= mayBeMetric
	}
	if len(s) <= MaxLabelName && string(s[:min(len(ReservedPrefix), len(s))]) != ReservedPrefix {
		kind |= mayBeName
	}
	return kind
}

func checkLabelName(name []byte) error {
	switch {
	case len(name) == 0:
		return fault("labels", "a label's name may not be empty")
	case len(name) > MaxLabelName:
		return fault("labels", "a name may have at most %d bytes, got %d: %s", MaxLabelName, len(name), quote(name))
	case string(name[:min(len(ReservedPrefix), len(name))]) == ReservedPrefix:
		return fault("labels", "names that begin with %s are reserved, got %s", ReservedPrefix, quote(name))
	}
	if reason := checkText(name); reason != "" {
		return fault("labels", "the name %s %s", quote(name), reason)
	}
	return nil
}

func checkLabelValue(name, value []byte) error {
	if len(value) > MaxLabelValue {
		return fault("labels."+show(name), "at most %d bytes, got %d: %s", MaxLabelValue, len(value), quote(value))
	}
	if reason := checkText(value); reason != "" {
		return fault("labels."+show(name), "%s: %s", reason, quote(value))
	}
	return nil
}

// checkText returns what is wrong with s as text: "" when it is valid UTF-8 without
// control characters.
func checkText(s []byte) string {
	for _, c := range s {
		if c < ' ' || c >= 0x7f {
			return checkForeignText(s)
		}
	}
	return ""
}

func checkForeignText(s []byte) string {
	if !utf8.Valid(s) {
		return "is not valid UTF-8"
	}
	for _, r := range string(s) {
		if unicode.IsControl(r) {
			return fmt.Sprintf("has the control character %U", r)
		}
	}
	return ""
}

// quote returns at most 40 bytes of s in quotes, for an error.
func quote(s []byte) string {
	if len(s) > 40 {
		return fmt.Sprintf("%q…", s[:40])
	}
	return fmt.Sprintf("%q", s)
}

// show is quote without the quotes.
func show(s []byte) string {
	q := quote(s)
	if q[len(q)-1] != '"' {
		return q[1:len(q)-len(`"…`)] + "…"
	}
	return q[1 : len(q)-1]
}

// CheckText returns nil when s is valid UTF-8 without control characters, as every string
// of a point must be.
func CheckText(s string) error {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			if reason := checkForeignText([]byte(s)); reason != "" {
				return errors.New(reason)
			}
			return nil
		}
	}
	return nil
}
