package shop_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/cmd/freshet/shop"
	"freshet/ingest/point"
)

// noon is a Wednesday.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// live returns the points of d from start, in full detail.
func live(seed uint64, start time.Time, d time.Duration) []point.Point {
	var points []point.Point
	s := shop.New(shop.Options{Seed: seed, Start: start})
	s.Live(start.Add(d), func(p point.Point) { points = append(points, p) })
	return points
}

func sum(points []point.Point, metric string) float64 {
	var total float64
	for _, p := range points {
		if p.Metric == metric {
			total += p.Value
		}
	}
	return total
}

func same(a, b point.Point) bool {
	return a.Metric == b.Metric && a.Type == b.Type && slices.Equal(a.Labels, b.Labels) && a.Time == b.Time && a.Value == b.Value && a.Member == b.Member
}

func TestSameSeedSamePoints(t *testing.T) {
	a, b := live(7, noon, time.Minute), live(7, noon, time.Minute)
	if !slices.EqualFunc(a, b, same) {
		t.Error("two shops with one seed differ")
	}
	if c := live(8, noon, time.Minute); slices.EqualFunc(a, c, same) {
		t.Error("two shops with different seeds are equal")
	}
}

func TestPlausible(t *testing.T) {
	const seconds = 120
	points := live(1, noon, seconds*time.Second)
	between := func(what string, got, low, high float64) {
		t.Helper()
		if got < low || got > high {
			t.Errorf("%s: got %.4g, want between %.4g and %.4g", what, got, low, high)
		}
	}
	between("points a second", float64(len(points))/seconds, 50, 300)
	between("requests a second", sum(points, "shop.requests")/seconds, 20, 120)
	orders := sum(points, "shop.orders")
	between("orders a minute", orders/seconds*60, 15, 200)
	between("EUR an order", sum(points, "shop.revenue")/orders, 25, 120)
	between("share of errors", sum(points, "shop.errors")/sum(points, "shop.requests"), 0.0005, 0.02)
	visitors := map[string]bool{}
	for _, p := range points {
		if p.Metric == "shop.visitors" && p.Time < noon.Add(time.Minute).UnixMilli() {
			visitors[p.Member] = true
		}
	}
	between("visitors in a minute", float64(len(visitors)), 300, 1500)
}

func TestEveryPointIsValid(t *testing.T) {
	for _, p := range live(3, noon, 2*time.Minute) {
		if !strings.HasPrefix(p.Metric, "shop.") || !p.Type.Valid() || p.Value < 0 {
			t.Fatalf("got %+v", p)
		}
		if !slices.IsSortedFunc(p.Labels, func(a, b point.Label) int { return strings.Compare(a.Name, b.Name) }) {
			t.Fatalf("labels of %s are not sorted: %v", p.Metric, p.Labels)
		}
		if (p.Type == point.Set) != (p.Member != "") {
			t.Fatalf("%s: member %q of a %v", p.Metric, p.Member, p.Type)
		}
	}
}

func TestDayAndNight(t *testing.T) {
	night := sum(live(1, noon.Add(-9*time.Hour), time.Minute), "shop.requests")
	evening := sum(live(1, noon.Add(8*time.Hour), time.Minute), "shop.requests")
	if evening < 2*night {
		t.Errorf("got %v requests in the evening and %v at night, want at least twice as many", evening, night)
	}
}

func TestFirstIncidentComesSoon(t *testing.T) {
	points := live(1, noon, 6*time.Minute)
	mean := func(from, to time.Duration) float64 {
		var total, n float64
		for _, p := range points {
			if at := time.UnixMilli(p.Time).Sub(noon); p.Metric == "shop.request.duration" && at >= from && at < to {
				total, n = total+p.Value, n+1
			}
		}
		return total / n
	}
	well, ill := mean(0, 2*time.Minute), mean(170*time.Second, 230*time.Second)
	if ill < 2.5*well {
		t.Errorf("got a mean latency of %.0f ms in the incident and %.0f ms before it, want at least 2.5 times as much", ill, well)
	}
}

func TestSomePointsAreLate(t *testing.T) {
	var (
		s          = shop.New(shop.Options{Seed: 1, Start: noon})
		clock      = noon
		late, all  int
		worst      int64
		clockMilli int64
	)
	for range 4 * 600 {
		clock = clock.Add(250 * time.Millisecond)
		clockMilli = clock.UnixMilli()
		s.Live(clock, func(p point.Point) {
			age := clockMilli - p.Time
			if all++; age > 1000 {
				late++
			}
			worst = max(worst, age)
			if age < 0 {
				t.Fatalf("a point is %d ms ahead of the clock", -age)
			}
		})
	}
	if share := float64(late) / float64(all); share < 0.01 || share > 0.02 {
		t.Errorf("got %.2f %% late points, want 1 to 2 %%", 100*share)
	}
	if worst > (3*time.Minute).Milliseconds()+1000 {
		t.Errorf("got a point %d ms late, want at most 3 min", worst)
	}
}

func TestPastKeepsCounters(t *testing.T) {
	var past []point.Point
	s := shop.New(shop.Options{Seed: 1, Start: noon.Add(-time.Hour), Opening: noon})
	s.Past(noon, func(p point.Point) { past = append(past, p) })
	if len(past) < 50_000 || len(past) > 300_000 {
		t.Errorf("got %d points for an hour", len(past))
	}
	if rate := sum(past, "shop.requests") / 3600; rate < 25 || rate > 90 {
		t.Errorf("got %.1f requests a second", rate)
	}
}

func TestRunKeepsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := shop.New(shop.Options{Seed: 1, Start: start.Add(-time.Minute), Opening: start})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var before, after int
		if err := s.Run(ctx, func(p point.Point) {
			if p.Time < start.UnixMilli() {
				before++
			} else {
				after++
			}
		}); err != context.DeadlineExceeded {
			t.Errorf("got %v, want the context's error", err)
		}
		if before < 500 || after < 500 {
			t.Errorf("got %d points of the minute before and %d of the ten seconds after", before, after)
		}
	})
}

func BenchmarkPast(b *testing.B) {
	for b.Loop() {
		s := shop.New(shop.Options{Seed: 1, Start: noon.Add(-time.Minute)})
		s.Past(noon, func(point.Point) {})
	}
}
