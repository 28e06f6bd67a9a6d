package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/dashboard"
	"freshet/ingest/point"
	"freshet/stream"
)

// A screen is what a browser makes of the frames it got: null and what is not there are
// the same to it.
type screen struct {
	seq       uint64
	values    map[string]map[int64]float64 // by what tells a series from others, then time
	revisions map[int64]uint64
	final     int64
}

type liveFrame struct {
	Op         string   `json:"op"`
	Seq        uint64   `json:"seq"`
	Error      string   `json:"error"`
	Times      []int64  `json:"times"`
	Revisions  []uint64 `json:"revisions"`
	FinalUntil int64    `json:"final_until"`
	Series     []struct {
		Labels  map[string]string `json:"labels"`
		Other   bool              `json:"other"`
		Compare string            `json:"compare"`
		Bucket  []float64         `json:"bucket"`
		Values  []*float64        `json:"values"`
	} `json:"series"`
}

func (p *screen) take(t *testing.T, text []byte) {
	t.Helper()
	var f liveFrame
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	switch {
	case f.Op == "snapshot":
		p.values, p.revisions = map[string]map[int64]float64{}, map[int64]uint64{}
	case f.Op != "update" || f.Seq != p.seq+1:
		t.Fatalf("after %d: got %s", p.seq, text)
	}
	p.seq, p.final = f.Seq, f.FinalUntil
	for _, s := range f.Series {
		name := fmt.Sprint(s.Labels, s.Other, s.Compare, s.Bucket)
		if p.values[name] == nil {
			p.values[name] = map[int64]float64{}
		}
		for i, v := range s.Values {
			if v == nil {
				delete(p.values[name], f.Times[i])
			} else {
				p.values[name][f.Times[i]] = *v
			}
		}
	}
	for i, at := range f.Times {
		delete(p.revisions, at)
		if f.Revisions != nil && f.Revisions[i] > 0 {
			p.revisions[at] = f.Revisions[i]
		}
	}
}

// from returns the screen from a time on, without series that show nothing.
func (p *screen) from(at int64) (map[string]map[int64]float64, map[int64]uint64) {
	old := func(t int64) bool { return t < at }
	values, revisions := map[string]map[int64]float64{}, maps.Clone(p.revisions)
	for name, v := range p.values {
		left := maps.Clone(v)
		maps.DeleteFunc(left, func(t int64, _ float64) bool { return old(t) })
		if len(left) > 0 {
			values[name] = left
		}
	}
	maps.DeleteFunc(revisions, func(t int64, _ uint64) bool { return old(t) })
	return values, revisions
}

// everything is one live query of each kind.
func everything() map[string]aggregate.Query {
	host := []string{"host"}
	quotient := map[string]aggregate.Query{
		"a": {Metric: "counter", Agg: "sum", By: host}, "b": {Metric: "gauge", Agg: "sum", By: host}, "all": {Metric: "counter", Agg: "sum"},
	}
	expr := func(text string, top int) aggregate.Query {
		return aggregate.Query{Queries: quotient, Expr: text, Range: "1m", Step: "2s", Top: top}
	}
	prefix := "h"
	return map[string]aggregate.Query{
		"plain":            {Metric: "counter", Agg: "sum", By: host, Range: "1m", Step: "1s"},
		"filtered":         {Metric: "gauge", Agg: "avg", By: host, Where: map[string]aggregate.Filter{"host": {Prefix: &prefix, Not: []string{"h1"}}}, Range: "1m", Step: "1s"},
		"hopping":          {Metric: "lat", Agg: "p90", By: host, Range: "1m", Step: "2s", Window: "10s"},
		"hopping distinct": {Metric: "users", Agg: "distinct", Range: "1m", Step: "2s", Window: "20s"},
		"day":              {Metric: "counter", Agg: "rate", By: host, Range: "3d", Step: "day", Zone: "Asia/Tokyo"},
		"month compared":   {Metric: "counter", Agg: "sum", Range: "40d", Step: "month", Zone: "Europe/Berlin", Compare: "month"},
		"compared":         {Metric: "counter", Agg: "sum", By: host, Range: "30s", Step: "1s", Compare: "20s"},
		"top":              {Metric: "counter", Agg: "sum", By: host, Range: "1m", Step: "1s", Top: 2},
		"top compared":     {Metric: "lat", Agg: "avg", By: host, Range: "30s", Step: "5s", Top: 1, Compare: "10s"},
		"climbing":         {Metric: "total", Agg: "increase", By: host, Range: "1m", Step: "2s", Window: "6s"},
		"climbing a day":   {Metric: "total", Agg: "rate", Range: "5d", Step: "day", Zone: "Europe/Berlin"},
		"heatmap":          {Metric: "lat", Agg: "heatmap", Range: "1m", Step: "5s"},
		"quotient":         expr("a / b * 100", 0),
		"shifted":          expr(`a - shift(a, "10s")`, 0),
		"moving":           expr(`moving_avg(a, "10s") - deriv(b)`, 0),
		"summed":           expr("cumsum(a) / all", 0),
		"filled":           expr("fill(a, 0) + fill(b, 0)", 0),
		"top of quotients": expr("a / b", 2),
	}
}

func drawPoint(rng *rand.Rand, at time.Time) point.Point {
	p := point.Point{Time: at.UnixMilli(), Value: float64(rng.IntN(7) - 3)}
	p.Labels = point.Labels{{Name: "host", Value: fmt.Sprint("h", rng.IntN(5))}}
	switch rng.IntN(5) {
	case 0:
		p.Metric, p.Type = "counter", point.Counter
	case 4: // rises with time, whenever it arrives, and is reset twice a minute
		p.Metric, p.Type, p.Value = "total", point.Cumulative, float64(at.UnixMilli()%30_000)
	case 1:
		p.Metric, p.Type = "gauge", point.Gauge
	case 2:
		p.Metric, p.Type, p.Value = "lat", point.Distribution, float64(rng.IntN(1000))
	default:
		p.Metric, p.Type, p.Value, p.Member = "users", point.Set, 0, fmt.Sprint(rng.IntN(50))
	}
	return p
}

// Whatever the query is, replaying its frames ends in what a fresh one shows.
func TestEveryKindOfQueryEndsInWhatAFreshOneShows(t *testing.T) {
	for _, seed := range []uint64{1, 2} {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			w := newWorld(t)
			v := w.hub.Connect()
			defer v.Close()
			queries := everything()
			screens := map[string]*screen{}
			for id, q := range queries {
				screens[id] = &screen{}
				v.Subscribe(id, q)
			}
			rng := rand.New(rand.NewPCG(seed, 3))
			for range 120 {
				late := time.Duration(rng.IntN(100)) * time.Millisecond
				switch rng.IntN(8) {
				case 0, 1:
					late = time.Duration(rng.IntN(60_000)) * time.Millisecond
				case 2:
					late = 7*time.Minute + time.Duration(rng.IntN(40*24))*time.Hour
				case 3:
					late = -time.Duration(rng.IntN(2000)) * time.Millisecond
				}
				w.post(drawPoint(rng, time.Now().Add(-late)))
				if rng.IntN(10) == 0 {
					screensTake(t, v, screens, 20*time.Millisecond)
				}
			}
			for deadline := time.Now().Add(20 * time.Second); len(queries) > 0; {
				screensTake(t, v, screens, 50*time.Millisecond)
				for id, q := range queries {
					wrong := w.compare(screens[id], q)
					if wrong == "" {
						delete(queries, id)
					} else if time.Now().After(deadline) {
						t.Fatalf("%s: %s", id, wrong)
					}
				}
			}
		})
	}
}

func screensTake(t *testing.T, v *dashboard.Viewer, screens map[string]*screen, patience time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	messages, _ := v.Next(ctx, nil)
	for i := range messages {
		screens[messages[i].ID].take(t, messages[i].JSON())
	}
}

// compare says in what a screen differs from a fresh answer.
func (w *world) compare(p *screen, q aggregate.Query) string {
	w.t.Helper()
	a, err := w.engine.Query(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := json.Marshal(a)
	if err != nil {
		w.t.Fatal(err)
	}
	fresh := &screen{}
	fresh.take(w.t, []byte(strings.Replace(string(text), "{", `{"op":"snapshot",`, 1)))
	values, revisions := p.from(a.Times[0])
	wantValues, wantRevisions := fresh.from(a.Times[0])
	if names := slices.Sorted(maps.Keys(values)); !slices.Equal(names, slices.Sorted(maps.Keys(wantValues))) {
		return fmt.Sprintf("got series %q, want %q", names, slices.Sorted(maps.Keys(wantValues)))
	}
	for name := range wantValues {
		if !maps.Equal(values[name], wantValues[name]) {
			return fmt.Sprintf("%s: got %v, want %v", name, values[name], wantValues[name])
		}
	}
	if !maps.Equal(revisions, wantRevisions) {
		return fmt.Sprintf("got revisions %v, want %v", revisions, wantRevisions)
	}
	return ""
}

// The list of sessions is sent anew when it has changed, and ends as a fresh one.
func TestLiveSessions(t *testing.T) {
	w := newWorld(t)
	v := w.hub.Connect()
	defer v.Close()
	q := aggregate.Query{Metric: "requests", Agg: "sum", By: []string{"route"}, Session: &aggregate.Session{Gap: "2s", Limit: 5}, Range: "1m"}
	v.Subscribe("p", q)
	rng := rand.New(rand.NewPCG(7, 8))
	for range 40 {
		w.post(counter(fmt.Sprint("/", rng.IntN(3)), time.Now().Add(-time.Duration(rng.IntN(50_000))*time.Millisecond), 1))
	}
	want, got := "", ""
	for deadline := time.Now().Add(10 * time.Second); want == "" || got != want; {
		if time.Now().After(deadline) {
			t.Fatalf("got %s, want %s", got, want)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		messages, _ := v.Next(ctx, nil)
		cancel()
		for i := range messages {
			got = sessionsIn(t, messages[i].JSON())
		}
		a, err := w.engine.Query(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		want = sessionsIn(t, text)
	}
	if !strings.Contains(want, `"truncated":true`) || strings.Count(want, `"start"`) != 5 {
		t.Errorf("got %s, want the newest five", want)
	}
}

// sessionsIn returns the part of a message that lists sessions.
func sessionsIn(t *testing.T, text []byte) string {
	t.Helper()
	_, list, ok := strings.Cut(string(text), `"sessions":`)
	list, _, end := strings.Cut(list, `,"provisional_from"`)
	if !ok || !end {
		t.Fatalf("got %s", text)
	}
	return list
}

// A value that is no more, here since its divisor has become 0, is taken back.
func TestAQuotientLosesItsValue(t *testing.T) {
	w := newWorld(t)
	series := func(metric string, typ point.Type, value float64, at time.Time) point.Point {
		return point.Point{Series: point.Series{Metric: metric, Type: typ}, Time: at.UnixMilli(), Value: value}
	}
	now := time.Now()
	w.post(series("counter", point.Counter, 6, now), series("gauge", point.Gauge, 2, now))
	q := aggregate.Query{Queries: map[string]aggregate.Query{
		"a": {Metric: "counter", Agg: "sum"}, "b": {Metric: "gauge", Agg: "sum"},
	}, Expr: "a / b", Range: "1m", Step: "1s"}
	v := w.hub.Connect()
	defer v.Close()
	v.Subscribe("p", q)
	screens := map[string]*screen{"p": {}}
	screensTake(t, v, screens, 5*time.Second)
	step := now.Truncate(time.Second).UnixMilli()
	if got := screens["p"].values["map[] false[]"][step]; got != 3 {
		t.Fatalf("got %v, want 3", screens["p"].values)
	}
	w.post(series("gauge", point.Gauge, -2, now))
	for deadline := time.Now().Add(5 * time.Second); w.compare(screens["p"], q) != ""; {
		if time.Now().After(deadline) {
			t.Fatal(w.compare(screens["p"], q))
		}
		screensTake(t, v, screens, 50*time.Millisecond)
	}
	if got, still := screens["p"].values["map[] false[]"][step]; still {
		t.Errorf("got %v, want no value", got)
	}
}

// The first snapshot counts what a subscription names, and viewers that name something
// share the feed with those that do not.
func TestASubscriptionReadsItsOwnWrites(t *testing.T) {
	w := newWorld(t)
	v := w.hub.Connect()
	defer v.Close()
	v.Subscribe("first", requests)
	next(t, v)
	covers := map[string]string{}
	p := counter("/", time.Now(), 7)
	hash := stream.HashKey{Hi: point.HashOf(p.Series)}
	shard := w.stream.ShardFor(hash)
	// The record that is about to be written: its second of arrival does not matter.
	covers[shard.ID().String()] = stream.SequenceNumber{Shard: shard.ID(), Offset: 0}.String()
	q := requests
	q.AtLeast = covers
	v.Subscribe("p", q)
	ctx, cancel := context.WithTimeout(context.Background(), 150*time.Millisecond)
	defer cancel()
	for { // what comes before the record is not for p
		messages, err := v.Next(ctx, nil)
		if err != nil {
			break
		}
		for i := range messages {
			if messages[i].ID == "p" {
				t.Fatalf("got %s before the record was written", messages[i].JSON())
			}
		}
	}
	w.post(p)
	var got string
	for deadline := time.Now().Add(5 * time.Second); got == "" && time.Now().Before(deadline); {
		for _, m := range next(t, v) {
			if m.ID == "p" {
				got = string(m.JSON())
			}
		}
	}
	if !strings.Contains(got, `"op":"snapshot"`) || !strings.Contains(got, shard.ID().String()) || !strings.Contains(got, `"route":"/"`) || strings.Contains(got, "skipped") {
		t.Errorf("got %s, want a snapshot that counts the record", got)
	}
	if n := w.hub.Stats().Feeds; n != 1 {
		t.Errorf("got %d feeds, want 1", n)
	}
	q.AtLeast = map[string]string{"shardId-000000000077": covers[shard.ID().String()]}
	v.Subscribe("wrong", q)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		for _, m := range next(t, v) {
			if m.ID == "wrong" {
				if want := "there is no shard shardId-000000000077"; !strings.Contains(m.Error, want) {
					t.Errorf("got %q, want %q", m.Error, want)
				}
				return
			}
		}
	}
	t.Error("no error came")
}
