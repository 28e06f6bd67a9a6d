package dashboard

import (
	"math"
	"sort"
	"strings"

	"freshet/aggregate"
)

// A matrix is the present answer of a feed: it slides along with time and takes parts
// that were evaluated anew.
type matrix struct {
	answer aggregate.Answer
	index  map[string]int // of a series, by its labels
}

// seriesKey returns a string that only series with the same labels share.
func seriesKey(v *aggregate.Values) string {
	if v.Other {
		return "\x01"
	}
	names := make([]string, 0, len(v.Labels))
	for n := range v.Labels {
		names = append(names, n)
	}
	sort.Strings(names)
	var b strings.Builder
	for _, n := range names {
		b.WriteString(n)
		b.WriteByte(0)
		b.WriteString(v.Labels[n])
		b.WriteByte(0)
	}
	return b.String()
}

// replace makes the matrix show a whole answer.
func (m *matrix) replace(a *aggregate.Answer) {
	m.answer = *a
	m.index = make(map[string]int, len(a.Series))
	for i := range a.Series {
		m.index[seriesKey(&a.Series[i])] = i
	}
}

// slide makes the matrix cover the steps from ≤ start < to. Steps that are new hold
// nothing yet.
func (m *matrix) slide(from, to int64) {
	a := &m.answer
	drop := 0
	for drop < len(a.Times) && a.Times[drop] < from {
		drop++
	}
	next := from
	if len(a.Times) > drop {
		next = a.Times[len(a.Times)-1] + a.StepMS
	}
	a.Times = a.Times[drop:]
	added := 0
	for ; next < to; next += a.StepMS {
		a.Times = append(a.Times, next)
		added++
	}
	for i := range a.Series {
		v := a.Series[i].Values[drop:]
		for range added {
			v = append(v, math.NaN())
		}
		a.Series[i].Values = v
	}
}

// merge takes an answer for some of the last steps and returns the columns that differ
// from what was there: the times, and the series with a change in any of them.
func (m *matrix) merge(part *aggregate.Answer) (times []int64, series []aggregate.Values) {
	a := &m.answer
	a.ProvisionalFrom, a.Watermark, a.Covers = part.ProvisionalFrom, part.Watermark, part.Covers
	if len(part.Times) == 0 || len(a.Times) == 0 {
		return nil, nil
	}
	offset := int((part.Times[0] - a.Times[0]) / a.StepMS)
	n := len(part.Times)
	steps := make([]bool, n)
	rows := make([]int, 0, len(part.Series)) // of the matrix, with a change
	for i := range part.Series {
		p := &part.Series[i]
		row, ok := m.index[seriesKey(p)]
		if !ok {
			row = len(a.Series)
			m.index[seriesKey(p)] = row
			values := make([]float64, len(a.Times))
			for j := range values {
				values[j] = math.NaN()
			}
			a.Series = append(a.Series, aggregate.Values{Labels: p.Labels, Other: p.Other, Values: values})
		}
		changed := false
		have := a.Series[row].Values[offset : offset+n]
		for j, x := range p.Values {
			if x != have[j] && !(math.IsNaN(x) && math.IsNaN(have[j])) {
				have[j] = x
				steps[j], changed = true, true
			}
		}
		if changed {
			rows = append(rows, row)
		}
	}
	for j, changed := range steps {
		if changed {
			times = append(times, part.Times[j])
		}
	}
	for _, row := range rows {
		v := aggregate.Values{Labels: a.Series[row].Labels, Other: a.Series[row].Other, Values: make([]float64, 0, len(times))}
		for j, changed := range steps {
			if changed {
				v.Values = append(v.Values, a.Series[row].Values[offset+j])
			}
		}
		series = append(series, v)
	}
	return times, series
}

// sameSeries reports whether an answer has the same series as the matrix, in any order.
func (m *matrix) sameSeries(a *aggregate.Answer) bool {
	if len(a.Series) != len(m.answer.Series) {
		return false
	}
	for i := range a.Series {
		if _, ok := m.index[seriesKey(&a.Series[i])]; !ok {
			return false
		}
	}
	return true
}
