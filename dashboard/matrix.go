package dashboard

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"freshet/aggregate"
)

// A matrix is the present answer of a feed: it slides along with time and takes parts
// that were evaluated anew. Series that have no value any more are dropped.
type matrix struct {
	answer aggregate.Answer
	end    int64          // of the last step
	index  map[string]int // of a series, by what tells it from others
}

// seriesKey returns a string that only one series of an answer has.
func seriesKey(v *aggregate.Values) string {
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
	if v.Other {
		b.WriteString("\x01other")
	}
	if v.Compare != "" {
		b.WriteString("\x02" + v.Compare)
	}
	if v.Bucket != nil {
		fmt.Fprintf(&b, "\x03%v", *v.Bucket)
	}
	return b.String()
}

// replace makes the matrix show a whole answer, whose last step ends at end.
func (m *matrix) replace(a *aggregate.Answer, end int64) {
	m.answer, m.end = *a, end
	m.reindex()
}

func (m *matrix) reindex() {
	m.index = make(map[string]int, len(m.answer.Series))
	for i := range m.answer.Series {
		m.index[seriesKey(&m.answer.Series[i])] = i
	}
}

// A date is how far an answer is complete.
type date struct{ provisionalFrom, finalUntil int64 }

func (m *matrix) date() date { return date{m.answer.ProvisionalFrom, m.answer.FinalUntil} }

// slide makes the matrix cover other steps, none of which lies before those it covers.
// Steps that are new hold nothing yet.
func (m *matrix) slide(times []int64, end int64) {
	a := &m.answer
	m.end = end
	if slices.Equal(a.Times, times) {
		return
	}
	drop := len(a.Times)
	if len(times) > 0 {
		drop, _ = slices.BinarySearch(a.Times, times[0])
	}
	kept := len(a.Times) - drop
	a.Times = times
	if a.Revisions != nil {
		a.Revisions = append(slices.Clone(a.Revisions[drop:]), make([]uint64, len(times)-kept)...)
		if slices.Max(append(a.Revisions, 0)) == 0 {
			a.Revisions = nil
		}
	}
	full := a.Series[:0]
	for _, s := range a.Series {
		lost := !empty(s.Values[:drop])
		s.Values = s.Values[drop:]
		if lost && empty(s.Values) {
			continue
		}
		for range len(times) - kept {
			s.Values = append(s.Values, math.NaN())
		}
		full = append(full, s)
	}
	if dropped := len(full) < len(a.Series); dropped {
		clear(a.Series[len(full):])
		a.Series = full
		m.reindex()
	}
}

// empty reports whether none of the values is there.
func empty(values []float64) bool {
	return !slices.ContainsFunc(values, func(x float64) bool { return !math.IsNaN(x) })
}

// merge takes an answer for some of the last steps and returns the columns that differ
// from what was there: the times, and the series with a change in any of them.
func (m *matrix) merge(part *aggregate.Answer) (update aggregate.Answer) {
	a := &m.answer
	a.ProvisionalFrom, a.FinalUntil, a.Head, a.Watermark, a.Covers = part.ProvisionalFrom, part.FinalUntil, part.Head, part.Watermark, part.Covers
	update.ProvisionalFrom, update.FinalUntil, update.Head, update.Watermark = a.ProvisionalFrom, a.FinalUntil, a.Head, a.Watermark
	if len(part.Times) == 0 || len(a.Times) == 0 {
		return update
	}
	offset, _ := slices.BinarySearch(a.Times, part.Times[0])
	steps := make([]bool, len(part.Times)) // with a change
	rows := m.mergeSeries(part, offset, steps)
	m.mergeRevisions(part, offset, steps)
	for j, changed := range steps {
		if changed {
			update.Times = append(update.Times, part.Times[j])
			if a.Revisions != nil {
				update.Revisions = append(update.Revisions, a.Revisions[offset+j])
			}
		}
	}
	for _, row := range rows {
		v := a.Series[row]
		values := make([]float64, 0, len(update.Times))
		for j, changed := range steps {
			if changed {
				values = append(values, v.Values[offset+j])
			}
		}
		v.Values = values
		update.Series = append(update.Series, v)
	}
	return update
}

// mergeSeries takes the values of a part and returns the rows that changed.
func (m *matrix) mergeSeries(part *aggregate.Answer, offset int, steps []bool) (rows []int) {
	a, n := &m.answer, len(part.Times)
	seen := make([]bool, len(a.Series)+len(part.Series))
	take := func(row int, values []float64) {
		if differ(a.Series[row].Values[offset:offset+n], values, steps) {
			rows = append(rows, row)
		}
	}
	for i := range part.Series {
		p := &part.Series[i]
		row, ok := m.index[seriesKey(p)]
		if !ok {
			row = m.add(p)
		}
		seen[row] = true
		take(row, p.Values)
	}
	nothing := slices.Repeat([]float64{math.NaN()}, n)
	for row := range a.Series {
		if !seen[row] { // a quotient may lose a value that it had
			take(row, nothing)
		}
	}
	return rows
}

// mergeRevisions takes the late points of a part.
func (m *matrix) mergeRevisions(part *aggregate.Answer, offset int, steps []bool) {
	a := &m.answer
	if part.Revisions == nil && a.Revisions == nil {
		return
	}
	if a.Revisions == nil {
		a.Revisions = make([]uint64, len(a.Times))
	}
	for j := range part.Times {
		var n uint64
		if part.Revisions != nil {
			n = part.Revisions[j]
		}
		if a.Revisions[offset+j] != n {
			a.Revisions[offset+j] = n
			steps[j] = true
		}
	}
}

// add adds a series without values and returns its row.
func (m *matrix) add(p *aggregate.Values) int {
	row := len(m.answer.Series)
	m.index[seriesKey(p)] = row
	v := *p
	v.Values = slices.Repeat([]float64{math.NaN()}, len(m.answer.Times))
	m.answer.Series = append(m.answer.Series, v)
	return row
}

// differ makes have equal to want, and marks the steps in which it was not.
func differ(have, want []float64, steps []bool) (changed bool) {
	for j, x := range want {
		if x != have[j] && !(math.IsNaN(x) && math.IsNaN(have[j])) {
			have[j] = x
			steps[j], changed = true, true
		}
	}
	return changed
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
