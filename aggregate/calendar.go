package aggregate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones are known on machines without their files

	"freshet/aggregate/window"
)

// A calendarUnit is a step whose length the calendar says.
type calendarUnit uint8

const (
	noUnit calendarUnit = iota
	unitDay
	unitWeek // from Monday on
	unitMonth
)

var unitNames = [...]string{"", "day", "week", "month"}

func parseUnit(s string) calendarUnit {
	for u := unitDay; u <= unitMonth; u++ {
		if s == unitNames[u] {
			return u
		}
	}
	return noUnit
}

// A grid says where steps begin.
type grid struct {
	step int64 // milliseconds; 0 where the calendar says
	unit calendarUnit
	zone *time.Location
}

// floor returns the start of the step that a time lies in.
func (g *grid) floor(at int64) int64 {
	if g.unit == noUnit {
		return window.Floor(at, g.step)
	}
	y, m, d := time.UnixMilli(at).In(g.zone).Date()
	switch g.unit {
	case unitWeek:
		d -= (int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Weekday()) + 6) % 7
	case unitMonth:
		d = 1
	}
	return dayStart(y, m, d, g.zone)
}

// move returns the start of the nth step after the one that starts at start, or before
// it where n is negative.
func (g *grid) move(start int64, n int) int64 {
	y, m, d := time.Time{}.Date()
	if g.unit != noUnit {
		y, m, d = time.UnixMilli(start).In(g.zone).Date()
	}
	switch g.unit {
	case unitDay:
		return dayStart(y, m, d+n, g.zone)
	case unitWeek:
		return dayStart(y, m, d+7*n, g.zone)
	case unitMonth:
		return dayStart(y, m+time.Month(n), d, g.zone)
	}
	return start + int64(n)*g.step
}

// span returns the steps from ≤ start < to, and before more in front of them.
func (g *grid) span(from, to int64, before int) span {
	if before > 0 {
		from = g.move(from, -before)
	}
	if g.unit == noUnit {
		return span{from: from, step: g.step, steps: int((to - from) / g.step)}
	}
	edges := []int64{from}
	for at := from; at < to; {
		at = g.move(at, 1)
		edges = append(edges, at)
	}
	return span{from: from, steps: len(edges) - 1, edges: edges}
}

// dayStart returns the first instant of a day in a zone, epoch milliseconds. A day that
// a zone leaves out begins when the next one does.
func dayStart(y int, m time.Month, d int, zone *time.Location) int64 {
	// Days and months beyond their range are put right here, in a zone without changes.
	y, m, d = time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Date()
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if before(t, y, m, d) { // midnight is left out, and t is an hour too early
		if _, end := t.ZoneBounds(); !end.IsZero() {
			return end.UnixMilli()
		}
		return t.UnixMilli()
	}
	// Midnight may come twice, or be left out with t an hour late: then the day began
	// in the zone's offset before.
	begin, _ := t.ZoneBounds()
	if begin.IsZero() {
		return t.UnixMilli()
	}
	last := begin.Add(-time.Second)
	if !before(last, y, m, d) {
		_, offset := last.Zone()
		if first := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Add(-time.Duration(offset) * time.Second); first.Before(begin) {
			return first.UnixMilli()
		}
	} else if before(begin.Add(-time.Nanosecond), y, m, d) && !before(begin, y, m, d) {
		return begin.UnixMilli()
	}
	return t.UnixMilli()
}

// before reports whether a time's own date lies before the one given.
func before(t time.Time, y int, m time.Month, d int) bool {
	ty, tm, td := t.Date()
	return ty < y || ty == y && (tm < m || tm == m && td < d)
}

// A shift is how much earlier something is read.
type shift struct {
	ms           int64
	days, months int // by the calendar
}

func (s shift) plus(o shift) shift {
	return shift{s.ms + o.ms, s.days + o.days, s.months + o.months}
}

// parseShift reads how much earlier a query on the grid is read: a duration, by the
// calendar a number of whole days, or of units.
func (g *grid) parseShift(s string, width int64) (shift, error) {
	if g.unit != noUnit {
		return parseDays(s)
	}
	ms, err := parseDuration(s)
	switch {
	case err != nil:
		return shift{}, err
	case ms%width != 0:
		return shift{}, fmt.Errorf("not a multiple of the window of %d ms", width)
	}
	return shift{ms: ms}, nil
}

// parseDays reads a number of calendar units such as 7d, 2w, day, month or year.
func parseDays(s string) (shift, error) {
	switch s {
	case "day":
		return shift{days: 1}, nil
	case "week":
		return shift{days: 7}, nil
	case "month":
		return shift{months: 1}, nil
	case "year":
		return shift{months: 12}, nil
	}
	for suffix, days := range map[string]int{"d": 1, "w": 7} {
		if digits, ok := strings.CutSuffix(s, suffix); ok {
			if n, err := strconv.Atoi(digits); err == nil && n >= 1 && n*days <= 36500 {
				return shift{days: n * days}, nil
			}
		}
	}
	return shift{}, fmt.Errorf("with steps of the calendar it is whole days or weeks such as 7d or 4w, day, week, month or year")
}

// earlier returns the span that is read in the place of s. A day that a shorter month
// lacks is read as the month's last.
func (g *grid) earlier(s span, by shift) span {
	if by == (shift{}) {
		return s
	}
	if s.edges == nil {
		s.from -= by.ms
		return s
	}
	edges := make([]int64, len(s.edges))
	for i, at := range s.edges {
		y, m, d := time.UnixMilli(at).In(g.zone).Date()
		if by.months > 0 {
			m -= time.Month(by.months)
			last := time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day()
			d = min(d, last)
		}
		edges[i] = dayStart(y, m, d-by.days, g.zone)
	}
	return span{from: edges[0], steps: s.steps, edges: edges}
}
