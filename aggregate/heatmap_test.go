package aggregate_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"freshet/aggregate"
	"freshet/ingest/point"
)

// Every observation is counted in the one bucket between whose bounds it lies, in the
// steps whose windows hold it.
func TestAHeatmapAgainstBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	for name, draw := range map[string]func() float64{
		"narrow":  func() float64 { return 100 + float64(rng.IntN(30)) },
		"wide":    func() float64 { return math.Exp(rng.NormFloat64() * 5) },
		"of zero": func() float64 { return float64(rng.IntN(5) - 2) },
		"signed":  func() float64 { return rng.NormFloat64() * 1e6 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf()
			l, _ := openLab(t, t.TempDir(), 2, aggregate.Options{History: s})
			var points []point.Point
			for i := range 800 {
				points = append(points, at("lat", point.Distribution, []string{"a", "b"}[i%2], rng.Float64()*600, draw()))
			}
			l.batch(points[:500]...)
			s.load(t, l.engine, nil)
			l.batch(points[500:]...)
			for _, q := range []aggregate.Query{
				{Step: "1m"}, {Step: "10s", Window: "1m"}, {Step: "1m", Compare: "3m"},
				{Step: "1m", Where: map[string]aggregate.Filter{"host": aggregate.Is("a")}},
			} {
				q.Metric, q.Agg, q.Range = "lat", "heatmap", "10m"
				checkHeatmap(t, l.ask(q), points, q)
			}
		})
	}
}

func checkHeatmap(t *testing.T, a *aggregate.Answer, points []point.Point, q aggregate.Query) {
	t.Helper()
	rows := 0
	for i, start := range a.Times {
		from, to := covered(q, start, start+a.StepMS, "")
		for _, compare := range []string{"", q.Compare} {
			if compare != "" {
				from, to = from-millis(compare), to-millis(compare)
			}
			left := 0
			for _, p := range points {
				if f, ok := q.Where["host"]; p.Time >= from && p.Time < to && (!ok || passes(f, p.Labels.Get("host"))) {
					left++
				}
			}
			rows = 0
			for _, s := range a.Series {
				if s.Compare != compare {
					continue
				}
				rows++
				want := 0
				for _, p := range points {
					v, f := p.Value, q.Where["host"]
					in := v == 0 && *s.Bucket == [2]float64{} || v > s.Bucket[0] && v <= s.Bucket[1] && v > 0 || v >= s.Bucket[0] && v < s.Bucket[1] && v < 0
					if in && p.Time >= from && p.Time < to && (f.In == nil || passes(f, p.Labels.Get("host"))) {
						want++
					}
				}
				got := s.Values[i]
				if got != got {
					got = 0
				}
				// A value on the edge of two bins may fall to either side.
				if math.Abs(got-float64(want)) > 1 {
					t.Fatalf("%+v: %v in step %d: got %v, want %v", q, *s.Bucket, i, got, want)
				}
				left -= int(got)
			}
			if left != 0 {
				t.Fatalf("%+v: step %d misses %d observations", q, i, left)
			}
			if compare == q.Compare {
				break
			}
		}
	}
	if rows == 0 || rows > aggregate.MaxBuckets {
		t.Errorf("%+v: got %d buckets, want 1 to %d", q, rows, aggregate.MaxBuckets)
	}
}

func TestAHeatmapAsJSON(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	q := aggregate.Query{Metric: "lat", Agg: "heatmap", Range: "1m", Step: "1m"}
	if a := l.ask(q); len(a.Series) != 0 {
		t.Errorf("nothing has come: got %+v", a.Series)
	}
	l.send(at("lat", point.Distribution, "", 590, 0), at("lat", point.Distribution, "", 590, 0))
	text, err := json.Marshal(l.ask(q))
	if want := `"series":[{"labels":{},"bucket":[0,0],"values":[2,null]}]`; err != nil || !strings.Contains(string(text), want) {
		t.Errorf("got %s, %v; want %s", text, err, want)
	}
	for _, c := range []struct{ query, want string }{
		{`{"metric":"lat","agg":"heatmap","range":"1m","by":["host"]}`, "agg heatmap shows one distribution"},
		{`{"queries":{"a":{"metric":"lat","agg":"heatmap"}},"expr":"a","range":"1m"}`, "queries.a: agg heatmap is no number"},
	} {
		q, err := aggregate.ParseQuery([]byte(c.query))
		if err == nil {
			_, err = l.engine.Plan(q)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.query, err, c.want)
		}
	}
}
