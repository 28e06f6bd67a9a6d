package aggregate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"freshet/aggregate"
	"freshet/ingest/point"
)

// labelled is a point with the labels that pairs of name=value say.
func labelled(metric string, second, value float64, pairs ...string) point.Point {
	p := at(metric, point.Gauge, "", second, value)
	for _, pair := range pairs {
		name, v, _ := strings.Cut(pair, "=")
		p.Labels = append(p.Labels, point.Label{Name: name, Value: v})
	}
	return p
}

func TestSeriesAreInOrderOfTheirLabels(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	l.send(
		labelled("m", 0, 1, "host=b", "route=/y"), labelled("m", 0, 2, "host=b", "route=/x"), labelled("m", 0, 4, "host=a", "route=/y"),
		labelled("m", 1, 8, "host=a"), labelled("m", 0, 16, "route=/x"), labelled("m", -3100, 32, "host=early"), // before the first step
	)
	for _, c := range []struct {
		name string
		q    aggregate.Query
		want string
	}{
		{"two labels", aggregate.Query{By: []string{"route", "host", "route"}}, "map[host: route:/x]:16 map[host:a route:]:8 map[host:a route:/y]:4 map[host:b route:/x]:2 map[host:b route:/y]:1"},
		{"one label", aggregate.Query{By: []string{"route"}}, "map[route:]:8 map[route:/x]:18 map[route:/y]:5"},
		{"a label that no series has", aggregate.Query{By: []string{"zone"}}, "map[zone:]:31"},
		{"top", aggregate.Query{By: []string{"route"}, Top: 3}, "map[route:/x]:18 map[route:]:8 map[route:/y]:5"},
		{"top of one", aggregate.Query{By: []string{"route"}, Top: 1}, "map[route:/x]:18 other:13"},
		{"where one value", aggregate.Query{Where: map[string]aggregate.Filter{"host": aggregate.Is("b")}, By: []string{"route"}}, "map[route:/x]:2 map[route:/y]:1"},
		{"where several values", aggregate.Query{Where: map[string]aggregate.Filter{"host": aggregate.Is("a", "b")}}, "map[]:15"},
		{"where two labels", aggregate.Query{Where: map[string]aggregate.Filter{"host": aggregate.Is("a", "b"), "route": aggregate.Is("/y")}}, "map[]:5"},
		{"where a label is not there", aggregate.Query{Where: map[string]aggregate.Filter{"host": aggregate.Is("")}}, "map[]:16"},
		{"where nothing matches", aggregate.Query{Where: map[string]aggregate.Filter{"host": aggregate.Is("z")}}, ""},
		{"where no value at all", aggregate.Query{Where: map[string]aggregate.Filter{"host": aggregate.Is()}}, ""},
	} {
		c.q.Metric, c.q.Agg, c.q.Range, c.q.Step = "m", "sum", "10m", "1h"
		var got []string
		for _, s := range l.ask(c.q).Series {
			name := fmt.Sprint(s.Labels)
			if s.Other {
				name = "other"
			}
			got = append(got, fmt.Sprint(name, ":", s.Values[0]))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
}

// from is rounded down to a step and to up; the end itself is not part of the span.
func TestStepsAndGaps(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	l.send(at("temp", point.Gauge, "", 9.999, 1), at("temp", point.Gauge, "", 10, 2), at("temp", point.Gauge, "", 35, 4), at("temp", point.Gauge, "", 50, 8))
	start := noon - 600_000
	for _, c := range []struct {
		name       string
		from, to   int64 // ms after start
		step       string
		times      int
		first      int64 // ms after start
		wantValues string
	}{
		{"on the step", 10_000, 50_000, "10s", 4, 10_000, "[2 NaN 4 NaN]"},
		{"from within a step", 12_500, 50_000, "10s", 4, 10_000, "[2 NaN 4 NaN]"},
		{"to within a step", 10_000, 50_001, "10s", 5, 10_000, "[2 NaN 4 NaN 8]"},
		{"less than a step", 10_001, 10_002, "10s", 1, 10_000, "[2]"},
		{"all", 0, 60_000, "1m", 1, 0, "[15]"},
		{"window by window", 9_000, 11_000, "1s", 2, 9_000, "[1 2]"},
		{"an hour holds more than was asked for", 20_000, 21_000, "1h", 1, -3_000_000, "[15]"},
	} {
		a := l.ask(aggregate.Query{Metric: "temp", Agg: "sum", From: aggregate.Time(start + c.from), To: aggregate.Time(start + c.to), Step: c.step})
		if len(a.Times) != c.times || a.Times[0] != start+c.first {
			t.Errorf("%s: got %d times from %d, want %d from %d", c.name, len(a.Times), a.Times[0]-start, c.times, c.first)
		}
		for i, at := range a.Times {
			if at != a.Times[0]+int64(i)*a.StepMS {
				t.Errorf("%s: times are %v", c.name, a.Times)
			}
		}
		if got := fmt.Sprint(a.Series[0].Values); len(a.Series) != 1 || got != c.wantValues {
			t.Errorf("%s: got %s, want %s", c.name, got, c.wantValues)
		}
	}
	open := l.ask(aggregate.Query{Metric: "temp", Agg: "sum", From: aggregate.Time(start), Step: "5m"})
	if want := []int64{start, start + 300_000, noon}; !slices.Equal(open.Times, want) {
		t.Errorf("without to: got times %v, want %v, the last with now in it", open.Times, want)
	}
	text, err := json.Marshal(l.ask(aggregate.Query{Metric: "temp", Agg: "sum", From: aggregate.Time(start + 10_000), To: aggregate.Time(start + 40_000), Step: "10s"}))
	if want := `"series":[{"labels":{},"values":[2,null,4]}]`; err != nil || !strings.Contains(string(text), want) {
		t.Errorf("got %s, %v; want a gap as null: %s", text, err, want)
	}
}

// The quantile of the rest is that of its observations: p99 of many small ones and few
// great ones is not the mean of the two p99s.
func TestTheRestOfADistributionIsMerged(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	var points []point.Point
	for i := range 300 {
		points = append(points, at("lat", point.Distribution, "top", float64(i)/100, 10_000))
		points = append(points, at("lat", point.Distribution, "low", float64(i)/100, 1))
	}
	points = append(points, at("lat", point.Distribution, "few", 0, 1000), at("lat", point.Distribution, "zero", 0, 0), at("lat", point.Distribution, "less", 0, -5))
	l.send(points...)
	for _, c := range []struct {
		agg   string
		other float64
		slack float64
	}{
		{"p99", 1, 0.0101}, // 303 values: rank 298.98 is a 1; the mean of p99s would be 249
		{"p99.9", 1, 0.0101},
		{"p0.1", -5, 0.05},
		{"p0.4", 0, 0}, // rank 1.2
		{"max", 1000, 0},
		{"avg", (300 + 1000 + 0 - 5) / 303.0, 1e-9},
		{"count", 303, 0}, // low and top have 300 each, and low comes first
	} {
		a := l.ask(aggregate.Query{Metric: "lat", Agg: c.agg, By: []string{"host"}, Range: "10m", Step: "1m", Top: 1})
		other := a.Series[len(a.Series)-1]
		if len(a.Series) != 2 || !other.Other || math.Abs(other.Values[0]-c.other) > c.slack {
			t.Errorf("%s: got %+v, want the rest to be %v", c.agg, a.Series, c.other)
		}
	}
	one := l.ask(aggregate.Query{Metric: "lat", Agg: "p99", By: []string{"host"}, Range: "10m", Step: "1m"})
	for i, want := range []float64{1000, -5, 1, 10_000, 0} { // few, less, low, top, zero
		if got := one.Series[i].Values[0]; math.Abs(got-want) > 0.0101*math.Abs(want) {
			t.Errorf("%v: got %v, want %v within 1 %%", one.Series[i].Labels, got, want)
		}
	}
}

func TestTheRestOfASetIsItsUnion(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	l.send(member("a", 0, "1"), member("a", 1, "2"), member("a", 2, "3"), member("b", 0, "1"), member("b", 70, "2"), member("c", 0, "1"), member("c", 71, "2"))
	for agg, want := range map[string]string{"distinct": "a:3 other:1,1", "count": "a:3 other:2,2", "rate": "a:0.05 other:0.03333,0.03333"} {
		q := aggregate.Query{Metric: "users", Agg: agg, By: []string{"host"}, Range: "10m", Step: "1m", Top: 1}
		if got := show(l.ask(q)); got != want {
			t.Errorf("%s: got %q, want %q", agg, got, want)
		}
	}
	for i := range 2000 {
		l.send(member("d", 120, fmt.Sprint(i)))
	}
	a := l.ask(aggregate.Query{Metric: "users", Agg: "distinct", Where: map[string]aggregate.Filter{"host": aggregate.Is("d")}, Range: "10m", Step: "10m"})
	if got := a.Series[0].Values[0]; math.Abs(got-2000) > 50 {
		t.Errorf("got %v members, want about 2000", got)
	}
}

// Each case is the points of one series in the order in which they arrive.
func TestACumulativeTotalRises(t *testing.T) {
	type p struct{ second, value float64 }
	for _, c := range []struct {
		name   string
		points []p
		want   string // increase a minute from the tenth before noon on
	}{
		{"the first value rises from nothing known", []p{{10, 500}}, ":0"},
		{"within a window", []p{{10.1, 1}, {10.5, 4}, {10.9, 9}}, ":8"},
		{"over steps", []p{{10, 1}, {59, 2}, {61, 5}, {200, 9}}, ":1,3,-,4"},
		{"from before the range", []p{{-240, 7}, {10, 10}}, ":3"},
		{"from hours before the range", []p{{-30_000, 7}, {10, 10}}, ":3"},
		{"from more than a day before", []p{{-86_391, 7}, {10, 10}}, ":0"},
		{"a reset counts from zero", []p{{10, 100}, {20, 3}, {30, 5}}, ":5"},
		{"a reset within a window", []p{{10.1, 100}, {10.2, 110}, {10.3, 4}, {10.4, 6}}, ":16"},
		{"a reset between steps", []p{{50, 100}, {70, 8}}, ":0,8"},
		{"two resets", []p{{10, 100}, {20, 3}, {30, 1}, {70, 9}}, ":4,8"},
		{"late in a window still open", []p{{10, 1}, {30, 9}, {20, 4}}, ":8"},
		{"late within one window", []p{{10.1, 1}, {10.9, 9}, {10.5, 4}}, ":8"},
		{"late before the first of its window", []p{{10.5, 4}, {10.9, 9}, {10.1, 1}}, ":8"},
		{"late in a window long closed", []p{{10, 1}, {70, 9}, {130, 10}, {190, 20}, {250, 30}, {310, 40}, {40, 5}}, ":4,4,1,10,10,10"},
		{"backwards", []p{{310, 40}, {250, 30}, {190, 20}, {130, 10}, {70, 9}, {10, 1}}, ":0,8,1,10,10,10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, aggregate.Options{})
			for _, x := range c.points {
				l.send(at("total", point.Cumulative, "", x.second, x.value))
			}
			// Nobody else's total has to do with it.
			l.send(at("total", point.Cumulative, "flat", 15, 1e6), at("total", point.Cumulative, "flat", 400, 1e6))
			q := aggregate.Query{Metric: "total", Agg: "increase", Where: map[string]aggregate.Filter{"host": aggregate.Is("")}, Range: "10m", Step: "1m"}
			if got := show(l.ask(q)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			q.Agg, q.Where = "rate", nil
			rate, per := l.ask(q).Series[0].Values, strings.Split(strings.TrimPrefix(c.want, ":"), ",")
			for i, want := range per {
				if want == "-" {
					continue
				}
				if got := fmt.Sprintf("%.4g", rate[i]*60); got != want {
					t.Errorf("rate in step %d: got %s a minute, want %s", i, got, want)
				}
			}
		})
	}
}

// In any order of arrival a total that only rises gives what it gives in order.
func TestTheOrderOfArrivalDoesNotChangeAnIncrease(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var points []point.Point
	for i := range 60 {
		points = append(points, at("total", point.Cumulative, "a", float64(i)*7.3, float64(i*i)))
	}
	answer := func() string {
		l := newLab(t, aggregate.Options{})
		l.send(points...)
		return show(l.ask(aggregate.Query{Metric: "total", Agg: "increase", Range: "10m", Step: "10s"}))
	}
	want := answer()
	for range 5 {
		rng.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		if got := answer(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// A metric is of the type that came first; series of others are kept and left out.
func TestAMetricOfTwoTypes(t *testing.T) {
	l, _ := openLab(t, t.TempDir(), 1, aggregate.Options{})
	l.send(at("m", point.Gauge, "a", 0, 1), at("m", point.Counter, "a", 0, 100), at("m", point.Gauge, "b", 1, 2))
	set := at("m", point.Set, "a", 2, 0)
	set.Member = "x"
	l.send(set)
	if got := show(l.ask(aggregate.Query{Metric: "m", Agg: "sum", Range: "10m", Step: "10m"})); got != ":3" {
		t.Errorf("got %q, want the gauges", got)
	}
	f, err := l.engine.Freeze(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if points, rows := len(pointsOf(t, f)), len(rowsOf(t, f, 60_000)); points != 4 || rows != 4 {
		t.Errorf("a load takes %d points and %d windows, want 4 of each", points, rows)
	}
}

// What was loaded is answered as it was from memory, at every resolution, from the cache
// and from the warehouse, and after a restart.
func TestAnswersAreTheSameBeforeAndAfterALoad(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	var points []point.Point
	total := map[string]float64{}
	for ms := int64(-4 * 3_600_000); ms < 0; ms += 1 + rng.Int64N(90_000) { // no two at one time
		host := fmt.Sprint(rng.IntN(4))
		second := float64(ms)/1000 + 600
		switch rng.IntN(6) {
		case 0:
			points = append(points, at("gauge", point.Gauge, host, second, float64(rng.IntN(1000))/8))
		case 1:
			points = append(points, at("counter", point.Counter, host, second, float64(rng.IntN(8))))
		case 2, 3:
			total[host] += float64(rng.IntN(100))
			points = append(points, at("total", point.Cumulative, host, second, total[host]))
		case 4:
			points = append(points, at("lat", point.Distribution, host, second, float64(rng.IntN(5000))/8-10))
		default:
			points = append(points, member(host, second, fmt.Sprint(rng.IntN(30))))
		}
	}
	for i := range points { // some come late
		if j := i + rng.IntN(20); rng.IntN(4) == 0 && j < len(points) {
			points[i], points[j] = points[j], points[i]
		}
	}
	var queries []aggregate.Query
	for metric, aggs := range map[string]string{
		"gauge": "count sum avg min max last", "counter": "sum rate increase", "total": "increase rate last",
		"lat": "p50 p99 avg rate", "users": "distinct count increase",
	} {
		for agg := range strings.FieldsSeq(aggs) {
			for _, span := range []string{"10m 1s", "1h 10s", "2h 1m", "3h 15m", "2h 1h", "5h 1h"} {
				length, step, _ := strings.Cut(span, " ")
				q := aggregate.Query{Metric: metric, Agg: agg, Range: length, Step: step}
				by, top := q, q
				by.By = []string{"host"}
				top.By, top.Top = []string{"host"}, 2
				queries = append(queries, q, by, top)
			}
		}
	}
	dir, s := t.TempDir(), newShelf()
	l, stop := openLab(t, dir, 2, aggregate.Options{History: s})
	var want []*aggregate.Answer
	ask := func() {
		want = want[:0]
		for _, q := range queries {
			want = append(want, l.ask(q))
		}
	}
	check := func(when string) {
		t.Helper()
		for i, q := range queries {
			got := l.ask(q)
			if !slices.Equal(got.Times, want[i].Times) || !maps.Equal(got.Covers, want[i].Covers) || !alike(got.Series, want[i].Series) {
				t.Fatalf("%s: %+v:\ngot  %+v\nwant %+v", when, q, got, want[i])
			}
		}
	}
	for part := range slices.Chunk(points, (len(points)+2)/3) {
		l.send(part...)
		ask()
		s.load(t, l.engine, func() { check("in the warehouse, not yet freed") })
		check("loaded")
		check("loaded, from the cache")
	}
	stop()
	l, _ = openLab(t, dir, 2, aggregate.Options{History: s, Restored: s.restored})
	check("after a restart")
}

// alike reports whether two lists of series are the same, sums within rounding.
func alike(a, b []aggregate.Values) bool {
	return slices.EqualFunc(a, b, func(x, y aggregate.Values) bool {
		return x.Other == y.Other && maps.Equal(x.Labels, y.Labels) && slices.EqualFunc(x.Values, y.Values, func(v, w float64) bool {
			return v == w || math.IsNaN(v) && math.IsNaN(w) || math.Abs(v-w) < 1e-9*math.Abs(w)
		})
	})
}
