package aggregate_test

import (
	"testing"
	"time"

	"freshet/aggregate"
)

// calendarPlan returns the plan of a query with steps of the calendar.
func calendarPlan(t *testing.T, e *aggregate.Engine, step, zone string) (*aggregate.Plan, *time.Location) {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Plan(aggregate.Query{Metric: "m", Agg: "sum", Range: "7d", Step: step, Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	return p, location
}

// The start of a day is the first instant whose local date is that day, in zones that
// change at midnight, by less than an hour, or leave a day out.
func TestDaysBeginAtTheirFirstInstant(t *testing.T) {
	const quarter = 15 * int64(60_000)
	e := newEngine(t)
	for _, name := range []string{
		"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Africa/Cairo",
		"Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "America/Asuncion", "Asia/Tehran", "Atlantic/Azores",
	} {
		p, zone := calendarPlan(t, e, "day", name)
		date := func(at int64) string { return time.UnixMilli(at).In(zone).Format(time.DateOnly) }
		first := time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		last := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		days := p.Times(p.Floor(first), last)
		for i, start := range days {
			if date(start) == date(start-1) {
				t.Fatalf("%s: a day begins at %v, within it", name, time.UnixMilli(start).In(zone))
			}
			if i == len(days)-1 {
				break
			}
			for at := start; at < days[i+1]; at += quarter {
				if date(at) != date(start) || p.Floor(at) != start {
					t.Fatalf("%s: %v lies in the day of %v, want %v", name, time.UnixMilli(at).In(zone), time.UnixMilli(p.Floor(at)).In(zone), time.UnixMilli(start).In(zone))
				}
			}
		}
	}
}

func TestWeeksAndMonths(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct{ step, at, start, next string }{
		{"day", "2026-03-29 12:00:00", "2026-03-29 00:00:00", "2026-03-30 00:00:00"},
		{"day", "2026-10-25 23:00:00", "2026-10-25 00:00:00", "2026-10-26 00:00:00"},
		{"week", "2026-03-29 23:59:59", "2026-03-23 00:00:00", "2026-03-30 00:00:00"},
		{"week", "2026-03-30 00:00:00", "2026-03-30 00:00:00", "2026-04-06 00:00:00"},
		{"week", "2026-01-01 00:00:00", "2025-12-29 00:00:00", "2026-01-05 00:00:00"},
		{"month", "2026-03-29 12:00:00", "2026-03-01 00:00:00", "2026-04-01 00:00:00"},
		{"month", "2026-12-31 23:59:59", "2026-12-01 00:00:00", "2027-01-01 00:00:00"},
	} {
		p, zone := calendarPlan(t, e, c.step, "Europe/Berlin")
		when := func(s string) int64 {
			at, err := time.ParseInLocation(time.DateTime, s, zone)
			if err != nil {
				t.Fatal(err)
			}
			return at.UnixMilli()
		}
		start := p.Floor(when(c.at))
		times := p.Times(start, when(c.next)+1)
		if start != when(c.start) || len(times) != 2 || times[1] != when(c.next) {
			t.Errorf("%s of %s: got %v and %v, want %s and %s", c.step, c.at, time.UnixMilli(start).In(zone), times, c.start, c.next)
		}
	}
}
