package aggregate

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// MarshalJSON writes the answer as interface of the query API gives it.
func (a *Answer) MarshalJSON() ([]byte, error) {
	b := append([]byte(nil), '{')
	return append(a.AppendFields(b), '}'), nil
}

// AppendFields appends the fields of the answer's JSON object without its braces.
func (a *Answer) AppendFields(b []byte) []byte {
	b = append(b, `"step_ms":`...)
	b = strconv.AppendInt(b, a.StepMS, 10)
	if a.Step != "" {
		b = AppendString(append(b, `,"step":`...), a.Step)
	}
	b = append(b, ',')
	b = AppendColumns(b, a.Times, a.Series)
	if a.Sessions != nil {
		b = append(b, ',')
		b = a.appendSessions(b)
	}
	b = a.AppendDate(b)
	b = append(b, `,"covers":`...)
	return appendStrings(b, a.Covers)
}

// appendSessions appends the fields of an answer that lists sessions.
func (a *Answer) appendSessions(b []byte) []byte {
	number := func(name string, n int64) { b = strconv.AppendInt(append(b, name...), n, 10) }
	flag := func(name string, is bool) {
		if is {
			b = append(b, name...)
		}
	}
	b = append(b, `"sessions":[`...)
	for i := range a.Sessions {
		s := &a.Sessions[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = appendStrings(append(b, `{"labels":`...), s.Labels)
		number(`,"start":`, s.Start)
		number(`,"end":`, s.End)
		number(`,"count":`, int64(s.Count))
		if s.Late > 0 {
			number(`,"late":`, int64(s.Late))
		}
		b = appendNumber(append(b, `,"value":`...), s.Value)
		flag(`,"open":true`, s.Open)
		flag(`,"cut_start":true`, s.CutStart)
		flag(`,"cut_end":true`, s.CutEnd)
		b = append(b, '}')
	}
	return strconv.AppendBool(append(b, `],"truncated":`...), a.Truncated)
}

// AppendDate appends the fields that say how far the answer is complete, a comma before
// each.
func (a *Answer) AppendDate(b []byte) []byte {
	if a.Revisions != nil {
		b = append(b, `,"revisions":[`...)
		for i, n := range a.Revisions {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendUint(b, n, 10)
		}
		b = append(b, ']')
	}
	b = append(b, `,"provisional_from":`...)
	b = strconv.AppendInt(b, a.ProvisionalFrom, 10)
	b = append(b, `,"final_until":`...)
	b = strconv.AppendInt(b, a.FinalUntil, 10)
	b = append(b, `,"head":`...)
	b = strconv.AppendInt(b, a.Head, 10)
	b = append(b, `,"watermark":`...)
	return strconv.AppendInt(b, a.Watermark, 10)
}

// AppendColumns appends the fields times and series of a JSON object.
func AppendColumns(b []byte, times []int64, series []Values) []byte {
	b = append(b, `"times":[`...)
	for i, t := range times {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, t, 10)
	}
	b = append(b, `],"series":[`...)
	for i := range series {
		if i > 0 {
			b = append(b, ',')
		}
		b = series[i].appendJSON(b)
	}
	return append(b, ']')
}

func (v *Values) appendJSON(b []byte) []byte {
	b = append(b, `{"labels":`...)
	b = appendStrings(b, v.Labels)
	if v.Other {
		b = append(b, `,"other":true`...)
	}
	if v.Compare != "" {
		b = AppendString(append(b, `,"compare":`...), v.Compare)
	}
	if v.Bucket != nil {
		b = appendNumber(append(b, `,"bucket":[`...), v.Bucket[0])
		b = append(appendNumber(append(b, ','), v.Bucket[1]), ']')
	}
	b = append(b, `,"values":[`...)
	for i, x := range v.Values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumber(b, x)
	}
	return append(b, "]}"...)
}

// appendNumber appends the shortest number that reads back as x, and null for what JSON
// has no number for.
func appendNumber(b []byte, x float64) []byte {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return append(b, "null"...)
	case x == math.Trunc(x) && math.Abs(x) < 1e15:
		return strconv.AppendInt(b, int64(x), 10)
	}
	format := byte('f')
	if abs := math.Abs(x); abs < 1e-6 || abs >= 1e21 {
		format = 'e'
	}
	return strconv.AppendFloat(b, x, format, -1, 64)
}

func appendStrings(b []byte, m map[string]string) []byte {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, k)
		b = append(b, ':')
		b = AppendString(b, m[k])
	}
	return append(b, '}')
}

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}
