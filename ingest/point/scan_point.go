package point

import (
	"math"
	"time"
)

// The fields of a point, as bits.
const (
	hasMetric = 1 << iota
	hasType
	hasTime
	hasNumber // value is a number
	hasText   // value is a string
	hasLabels
)

// point reads one point.
func (s *Scanner) point(v *View) {
	*v = View{Labels: v.Labels[:0], Type: Gauge, Time: s.now}
	if s.from.cache != nil {
		s.from.entry, s.from.text = nil, nil
		v.from = &s.from
	}
	if s.peek() != '{' {
		s.notAPoint()
		return
	}
	s.at++
	seen := uint8(0)
	s.space()
	if s.peek() == '}' {
		s.at++
		s.blame("metric", "is required")
		return
	}
	for s.broken == nil {
		seen |= s.field(v, seen)
		if !s.more() {
			break
		}
	}
	if s.broken == nil {
		s.complete(v, seen)
	}
}

// notAPoint skips a value that stands where a point should.
func (s *Scanner) notAPoint() {
	if kind := s.kind(); kind != "" && s.mode == inArray {
		s.skip(0)
		s.blame("point", "must be an object, got %s", kind)
		return
	}
	s.breakOff("expected { at the beginning of a point, got %s", s.here())
}

// more reads the comma before the next member of an object, or the brace after the last.
func (s *Scanner) more() bool {
	if s.broken != nil {
		return false
	}
	s.space()
	switch s.peek() {
	case ',':
		s.at++
		s.space()
		return true
	case '}':
		s.at++
		return false
	}
	s.breakOff("expected , or } in an object, got %s", s.here())
	return false
}

// name reads the name of a member, and the colon.
func (s *Scanner) name() []byte {
	if s.peek() != '"' {
		s.breakOff("expected a name in quotes, got %s", s.here())
		return nil
	}
	name := s.text()
	s.space()
	if s.peek() != ':' {
		s.breakOff("expected : after %s, got %s", quote(name), s.here())
		return nil
	}
	s.at++
	s.space()
	return name
}

// fieldName reads the name of a field of a point, and the colon. It returns the field's bit,
// hasNumber for value; 0 and the name if there is no such field.
func (s *Scanner) fieldName() (bit uint8, name []byte) {
	if rest := s.buf[s.at:]; len(rest) > 8 { // as most writers write it
		n := 0
		switch string(rest[:8]) {
		case `"metric"`:
			bit, n = hasMetric, 8
		case `"labels"`:
			bit, n = hasLabels, 8
		case `"value":`:
			bit, n = hasNumber, 7
		default:
			switch {
			case string(rest[:5]) == `"ts":`:
				bit, n = hasTime, 4
			case string(rest[:7]) == `"type":`:
				bit, n = hasType, 6
			}
		}
		if n > 0 && rest[n] == ':' {
			s.at += n + 1
			s.space()
			return bit, nil
		}
	}
	name = s.name()
	switch string(name) {
	case "metric":
		return hasMetric, nil
	case "value":
		return hasNumber, nil
	case "labels":
		return hasLabels, nil
	case "ts":
		return hasTime, nil
	case "type":
		return hasType, nil
	}
	return 0, name
}

// field reads one field of a point and returns its bit.
func (s *Scanner) field(v *View, seen uint8) uint8 {
	bit, name := s.fieldName()
	if s.broken != nil {
		return 0
	}
	if bit == 0 {
		s.skip(0)
		s.blame(show(name), "is not a field of a point; it has metric, type, ts, value and labels")
		return 0
	}
	if seen&bit != 0 || bit == hasNumber && seen&hasText != 0 {
		s.blame(fieldNames[bit], "is there twice")
	}
	if s.peek() == 'n' {
		s.literal("null")
		return 0
	}
	switch bit {
	case hasMetric:
		v.Metric = s.textOf("metric")
	case hasType:
		s.typ(v)
	case hasTime:
		s.time(v)
	case hasLabels:
		if s.from.cache != nil {
			s.cachedLabels(v)
		} else {
			s.labels(v)
		}
	default:
		return s.value(v)
	}
	return bit
}

var fieldNames = map[uint8]string{hasMetric: "metric", hasType: "type", hasTime: "ts", hasNumber: "value", hasLabels: "labels"}

// textOf reads the string that a field must be.
func (s *Scanner) textOf(field string) []byte {
	if s.peek() == '"' {
		return s.text()
	}
	s.mismatch(field, "a string")
	return nil
}

// mismatch skips a value of the wrong kind.
func (s *Scanner) mismatch(field, want string) {
	kind := s.kind()
	if kind == "" {
		s.breakOff("expected a value, got %s", s.here())
		return
	}
	s.skip(0)
	s.blame(field, "must be %s, got %s", want, kind)
}

func (s *Scanner) typ(v *View) {
	name := s.textOf("type")
	if name == nil {
		return
	}
	for t := Gauge; t <= Set; t++ {
		if string(name) == typeNames[t] {
			v.Type = t
			return
		}
	}
	s.blame("type", "%s is not one of gauge, counter, cumulative, distribution, set", quote(name))
}

// time reads ts: a number of milliseconds, of which a fraction is cut off, or RFC 3339.
func (s *Scanner) time(v *View) {
	switch c := s.peek(); {
	case c == '"':
		text := s.text()
		t, err := time.Parse(time.RFC3339, string(text))
		if err != nil {
			s.blame("ts", "%s is neither epoch milliseconds nor RFC 3339, such as \"2026-01-02T15:04:05.678Z\"", quote(text))
			return
		}
		v.Time = t.UnixMilli()
	case c == '-' || c >= '0' && c <= '9':
		from := s.at
		if t, ok := s.millis(); ok {
			v.Time = t
			return
		}
		f := s.number("ts")
		if f < math.MinInt64 || f >= math.MaxInt64 {
			s.blame("ts", "%s is out of range", quote(s.buf[from:s.at]))
			return
		}
		v.Time = int64(f)
	default:
		s.mismatch("ts", "epoch milliseconds or a string in RFC 3339")
	}
}

// millis reads a time as most writers write it: 13 digits, the first of them no 0.
func (s *Scanner) millis() (t int64, ok bool) {
	const n = 13
	if len(s.buf)-s.at <= n || s.buf[s.at] == '0' {
		return 0, false
	}
	high, ok := eightDigits(s.buf[s.at:])
	if !ok {
		return 0, false
	}
	t = int64(high)
	for _, c := range s.buf[s.at+8 : s.at+n] {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		t = t*10 + int64(d)
	}
	if c := s.buf[s.at+n]; c != ',' && c != '}' && c > ' ' { // more digits, a fraction, or wrong
		return 0, false
	}
	s.at += n
	return t, true
}

// value reads value: a number, or the member of a set.
func (s *Scanner) value(v *View) uint8 {
	switch c := s.peek(); {
	case c == '"':
		v.Member = s.text()
		return hasText
	case c == 'N' || c == 'I' || c == '-' && s.at+1 < len(s.buf) && s.buf[s.at+1] == 'I':
		s.notFinite()
		return hasNumber
	case c == '-' || c >= '0' && c <= '9':
		v.Value = s.number("value")
		return hasNumber
	}
	s.mismatch("value", "a number, or a string for a set")
	return hasNumber
}

// notFinite skips NaN and Infinity, which JSON does not have but some writers write.
func (s *Scanner) notFinite() {
	for _, word := range [...]string{"NaN", "Infinity", "-Infinity", "Inf", "-Inf"} {
		if len(s.buf)-s.at >= len(word) && string(s.buf[s.at:s.at+len(word)]) == word {
			s.at += len(word)
			s.blame("value", "must be a finite number, got %s", word)
			return
		}
	}
	s.breakOff("expected a value, got %s", s.here())
}

// cachedLabels is labels with a Cache.
func (s *Scanner) cachedLabels(v *View) {
	if s.peek() == '{' {
		if n := s.from.find(s.buf[s.at:]); n > 0 {
			s.at += n
			return
		}
	}
	start := s.at
	s.labels(v)
	if s.broken == nil && s.wrong == nil {
		s.from.read(s.buf[start:s.at])
	}
}

func (s *Scanner) labels(v *View) {
	if s.peek() != '{' {
		s.mismatch("labels", "an object of strings")
		return
	}
	s.at++
	s.space()
	if s.peek() == '}' {
		s.at++
		return
	}
	n := 0
	for s.broken == nil {
		name := s.name()
		if s.broken != nil {
			return
		}
		var value []byte
		if s.peek() == '"' {
			value = s.text()
		} else {
			s.mismatch("labels."+show(name), "a string")
		}
		if n++; n <= MaxLabels {
			v.Labels = append(v.Labels, LabelView{name, value})
		}
		if !s.more() {
			break
		}
	}
	if n > MaxLabels {
		s.blame("labels", "at most %d, got %d", MaxLabels, n)
	}
}

// complete puts value into its place once the type is known.
func (s *Scanner) complete(v *View, seen uint8) {
	if seen&hasMetric == 0 {
		s.blame("metric", "is required")
		return
	}
	switch {
	case v.Type == Set && seen&hasText == 0:
		if seen&hasNumber != 0 {
			s.blame("value", "must be a string for a set, got a number")
		} else {
			s.blame("value", "is required for a set")
		}
	case v.Type == Set:
	case seen&hasText != 0:
		s.blame("value", "must be a number for a %s, got the string %s", v.Type, quote(v.Member))
	case seen&hasNumber == 0 && v.Type == Counter:
		v.Value = 1
	case seen&hasNumber == 0:
		s.blame("value", "is required for a %s", v.Type)
	}
}
