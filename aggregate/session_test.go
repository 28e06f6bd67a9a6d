package aggregate_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
)

// bursts returns points that come in bursts, so that gaps of many lengths lie between them.
func bursts(rng *rand.Rand, n int) []point.Point {
	var out []point.Point
	for i := range n {
		second := -7200 + float64(rng.IntN(12))*650 + rng.ExpFloat64()*40
		host := fmt.Sprint("h", rng.IntN(3))
		switch i % 3 {
		case 0:
			out = append(out, at("lat", point.Distribution, host, second, float64(1+rng.IntN(1000))))
		case 1:
			out = append(out, at("gauge", point.Gauge, host, second, float64(rng.IntN(1000))/8))
		default:
			out = append(out, member(host, second, fmt.Sprint(rng.IntN(400))))
		}
	}
	for i := range out { // none twice at one time, and half of the series have another label
		out[i].Time = out[i].Time/1000*1000 + int64(i%1000)
		if i%2 == 0 {
			out[i].Labels = append(out[i].Labels, point.Label{Name: "zone", Value: "z"})
		}
	}
	return out
}

// sessionsOf finds the sessions of points one by one, the newest first.
func sessionsOf(points []point.Point, q aggregate.Query, from, to, watermark int64) []aggregate.SessionValue {
	gap := millis(q.Session.Gap)
	groups := map[string][]point.Point{}
	for _, p := range points {
		key := ""
		if len(q.By) > 0 {
			key = p.Labels.Get("host")
		}
		if p.Metric == q.Metric {
			groups[key] = append(groups[key], p)
		}
	}
	var out []aggregate.SessionValue
	for key, of := range groups {
		slices.SortFunc(of, func(a, b point.Point) int { return cmp.Compare(a.Time, b.Time) })
		labels := map[string]string{}
		if len(q.By) > 0 {
			labels["host"] = key
		}
		for len(of) > 0 {
			n := 1
			for n < len(of) && of[n].Time-of[n-1].Time < gap {
				n++
			}
			whole := of[:n]
			of = of[n:]
			in := slices.Collect(func(yield func(point.Point) bool) {
				for _, p := range whole {
					if p.Time >= from && p.Time < to && !yield(p) {
						return
					}
				}
			})
			if len(in) == 0 {
				continue
			}
			last := in[len(in)-1].Time
			out = append(out, aggregate.SessionValue{
				Labels: labels, Start: in[0].Time, End: last, Count: uint64(len(in)), Value: fold(q.Agg, slices.Clone(in), 1),
				Open: last+gap > watermark, CutStart: in[0].Time > whole[0].Time, CutEnd: last < whole[n-1].Time,
			})
		}
	}
	slices.SortFunc(out, func(a, b aggregate.SessionValue) int {
		return cmp.Or(cmp.Compare(b.Start, a.Start), cmp.Compare(a.Labels["host"], b.Labels["host"]))
	})
	return out
}

// Sessions are exact to the millisecond over shards, generations and the warehouse.
func TestSessionsAgainstBruteForce(t *testing.T) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 17))
		points := bursts(rng, 900)
		dir, s := t.TempDir(), newShelf()
		l, stop := openLab(t, dir, 2, aggregate.Options{History: s, Lateness: 24 * time.Hour})
		sent := 0
		check := func(when string) {
			t.Helper()
			for metric, aggs := range map[string]string{"lat": "count p50 sum", "gauge": "avg min max last", "users": "distinct count"} {
				for agg := range strings.FieldsSeq(aggs) {
					for _, gap := range []string{"1s", "20s", "1m", "10m", "1h"} {
						q := aggregate.Query{Metric: metric, Agg: agg, Session: &aggregate.Session{Gap: gap, Limit: 2000}, Range: "4h"}
						if rng.IntN(2) == 0 {
							q.By = []string{"host"}
						}
						if rng.IntN(2) == 0 { // edges that cut sessions
							q.Range, q.From, q.To = "", aggregate.Time(noon-5_000_000+1000*rng.Int64N(600)), aggregate.Time(noon-1_500_000+1000*rng.Int64N(600))
						}
						checkSessions(t, when, l.ask(q), points[:sent], q)
					}
				}
			}
		}
		for part := range slices.Chunk(points, 300) {
			l.batch(part...)
			sent += len(part)
			check("in memory")
			s.load(t, l.engine, nil)
			check("loaded")
		}
		stop()
		l, _ = openLab(t, dir, 2, aggregate.Options{History: s, Restored: s.restored})
		check("after a restart")
	}
}

func checkSessions(t *testing.T, when string, a *aggregate.Answer, points []point.Point, q aggregate.Query) {
	t.Helper()
	from, to := int64(q.From), int64(q.To)
	if q.Range != "" {
		from, to = noon-millis(q.Range), noon+1000
	}
	want := sessionsOf(points, q, from, to, a.Watermark)
	if len(a.Sessions) != len(want) || a.Truncated {
		t.Fatalf("%s: %+v: got %d sessions, truncated %v; want %d", when, q, len(a.Sessions), a.Truncated, len(want))
	}
	for i, w := range want {
		g := a.Sessions[i]
		value := near(q.Agg, g.Value, w.Value)
		same := maps.Equal(g.Labels, w.Labels)
		g.Value, g.Labels, w.Value, w.Labels, g.Late = 0, nil, 0, nil, 0
		if !value || !same || fmt.Sprint(g) != fmt.Sprint(w) {
			t.Fatalf("%s: %+v: session %d: got %+v, want %+v", when, q, i, a.Sessions[i], want[i])
		}
	}
}

func TestSessionsAreBounded(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	var points []point.Point
	for i := range 5000 {
		points = append(points, at("views", point.Counter, fmt.Sprint("h", i%2), float64(i)/10, 1))
	}
	l.batch(points...)
	q := aggregate.Query{Metric: "views", Agg: "sum", By: []string{"host"}, Session: &aggregate.Session{Gap: "1s", Limit: 3}, Range: "1h"}
	if a := l.ask(q); len(a.Sessions) != 2 || a.Truncated || a.Sessions[0].Count != 2500 {
		t.Errorf("got %+v", a.Sessions)
	}
	var sparse []point.Point
	for i := range 4000 {
		sparse = append(sparse, at("clicks", point.Counter, "", float64(i-3500), 1))
	}
	l.batch(sparse...)
	q.Metric, q.Range = "clicks", "2h"
	a := l.ask(q)
	if len(a.Sessions) != 3 || !a.Truncated {
		t.Fatalf("got %d sessions, truncated %v; want the 3 newest of 4000", len(a.Sessions), a.Truncated)
	}
	for i, s := range a.Sessions {
		if want := noon - 600_000 + int64(499-i)*1000; s.Start != want || s.End != want || !s.Open {
			t.Errorf("session %d: got %+v, want one at %d that is open", i, s, want)
		}
	}
	text, err := json.Marshal(a)
	want := fmt.Sprintf(`"sessions":[{"labels":{"host":""},"start":%d,"end":%d,"count":1,"value":1,"open":true}`, a.Sessions[0].Start, a.Sessions[0].End)
	if err != nil || !strings.Contains(string(text), want) || !strings.Contains(string(text), `],"truncated":true,`) {
		t.Errorf("got %s, want it to contain %s", text, want)
	}
}

func TestRefusedSessions(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct{ query, want string }{
		{`{"metric":"m","agg":"sum","range":"1h","session":{}}`, `session.gap "": not a duration`},
		{`{"metric":"m","agg":"sum","range":"1h","session":{"gap":"100ms"}}`, "session.gap is 100 ms; it must lie between the window of 1000 ms and 86400000 ms"},
		{`{"metric":"m","agg":"sum","range":"1h","session":{"gap":"1m","limit":10001}}`, "session.limit is 10001; it must lie between 0 and 10000"},
		{`{"metric":"m","agg":"sum","range":"32d","session":{"gap":"1m"}}`, "with session the limit is 2678400000"},
		{`{"metric":"m","agg":"sum","range":"1h","step":"1m","session":{"gap":"1m"}}`, "session stands instead of steps"},
		{`{"metric":"m","agg":"rate","range":"1h","session":{"gap":"1m"}}`, "agg rate does not go with session"},
		{`{"metric":"m","agg":"sum","range":"1h","session":{"gap":"1m","max":1}}`, `unknown field "max"`},
	} {
		q, err := aggregate.ParseQuery([]byte(c.query))
		if err == nil {
			_, err = e.Plan(q)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.query, err, c.want)
		}
	}
}
