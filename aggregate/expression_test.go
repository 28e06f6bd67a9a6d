package aggregate_test

import (
	"context"
	"errors"
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

// A reader returns what a query of an expression has in a step, counted from the first
// of the answer, for one series; NaN for nothing.
type reader func(query string, step int) float64

var expressions = []struct {
	expr string
	want func(get reader, step int) float64
}{
	{"a", func(get reader, i int) float64 { return get("a", i) }},
	{"a / b * 100", func(get reader, i int) float64 { return get("a", i) / get("b", i) * 100 }},
	{"a - b - 3 % 2", func(get reader, i int) float64 { return get("a", i) - get("b", i) - 1 }},
	{"-a * (b + 2) % 7", func(get reader, i int) float64 { return math.Mod(-get("a", i)*(get("b", i)+2), 7) }},
	{"all + a", func(get reader, i int) float64 { return get("all", i) + get("a", i) }},
	{"a / all", func(get reader, i int) float64 { return get("a", i) / get("all", i) }},
	{"1e2 / (b - b)", func(reader, int) float64 { return math.NaN() }},
	{"abs(a - 20)", func(get reader, i int) float64 { return math.Abs(get("a", i) - 20) }},
	{"clamp_min(a, 5) + clamp_max(b, -1)", func(get reader, i int) float64 {
		return math.Max(get("a", i), 5) + math.Min(get("b", i), -1)
	}},
	{`shift(a, "1m") + shift(b, 2)`, func(get reader, i int) float64 { return get("a", i-6) + get("b", i-2) }},
	{`shift(a + shift(b, 1), "10s")`, func(get reader, i int) float64 { return get("a", i-1) + get("b", i-2) }},
	{"deriv(a)", func(get reader, i int) float64 { return (get("a", i) - get("a", i-1)) / 10 }},
	{"fill(a, -2)", func(get reader, i int) float64 {
		if x := get("a", i); x == x {
			return x
		}
		return -2
	}},
	{`moving_avg(a, "1m")`, func(get reader, i int) float64 { return average(get, "a", i-5, i) }},
	{"moving_avg(shift(b, 3), 4) - a", func(get reader, i int) float64 { return average(get, "b", i-6, i-3) - get("a", i) }},
	{"cumsum(a)", func(get reader, i int) float64 { return sum(get, "a", i) }},
	{"a / cumsum(fill(all, 0))", func(get reader, i int) float64 { return get("a", i) / sum(get, "all", i) }},
	{"deriv(moving_avg(a, 3))", func(get reader, i int) float64 {
		return (average(get, "a", i-2, i) - average(get, "a", i-3, i-1)) / 10
	}},
}

func average(get reader, query string, from, to int) float64 {
	sum, n := 0.0, 0.0
	for i := from; i <= to; i++ {
		if x := get(query, i); x == x {
			sum, n = sum+x, n+1
		}
	}
	return sum / n
}

func sum(get reader, query string, to int) float64 {
	sum, n := 0.0, 0.0
	for i := 0; i <= to; i++ {
		if x := get(query, i); x == x {
			sum, n = sum+x, n+1
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum
}

var innerQueries = map[string]aggregate.Query{
	"a":   {Metric: "counter", Agg: "sum", By: []string{"host"}},
	"b":   {Metric: "gauge", Agg: "avg", By: []string{"host"}, Window: "30s"},
	"all": {Metric: "counter", Agg: "sum"},
}

func TestExpressionsAgainstBruteForce(t *testing.T) {
	points := worldOf(rand.New(rand.NewPCG(13, 14)), 1000, 0.02, 0)
	s := newShelf()
	l, _ := openLab(t, t.TempDir(), 2, aggregate.Options{History: s})
	l.batch(points[:600]...)
	s.load(t, l.engine, nil)
	l.batch(points[600:]...)
	known := brute(points)
	for _, e := range expressions {
		for _, compare := range []string{"", "5m"} {
			q := aggregate.Query{Queries: innerQueries, Expr: e.expr, Range: "10m", Step: "10s", Compare: compare}
			a := l.ask(q)
			got := map[string][]float64{}
			for _, s := range a.Series {
				got[s.Labels["host"]+s.Compare] = s.Values
			}
			for _, host := range []string{"", "h0", "h1", "h2", "h3"} {
				for back, mark := range map[int]string{0: "", 30: compare} {
					if back > 0 && compare == "" {
						continue
					}
					get := known.reader(a.Times[0]-int64(back)*10_000, host)
					want := make([]float64, len(a.Times))
					for i := range want {
						want[i] = e.want(get, i)
						if math.IsInf(want[i], 0) {
							want[i] = math.NaN()
						}
					}
					checkRow(t, fmt.Sprintf("%s, host %q, %s earlier", e.expr, host, mark), got[host+mark], want)
				}
			}
		}
	}
}

// reader reads the inner queries for a host, steps of 10 s from a time on.
func (b brute) reader(from int64, host string) reader {
	return func(query string, step int) float64 {
		q := innerQueries[query]
		if (host == "") != (len(q.By) == 0) && query != "all" {
			return math.NaN()
		}
		start := from + int64(step)*10_000
		lo, hi := covered(q, start, start+10_000, "")
		key := host
		if len(q.By) == 0 {
			key = ""
		}
		if v, ok := b.values(q, lo, hi)[key]; ok {
			return v
		}
		return math.NaN()
	}
}

func checkRow(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if got == nil { // a series without values is not shown
		got = slices.Repeat([]float64{math.NaN()}, len(want))
	}
	for i, v := range want {
		if !near("", got[i], v) && !(math.Abs(got[i]) < 1e-9 && math.Abs(v) < 1e-9) {
			// A fill shows the series that there are.
			if v == -2 && got[i] != got[i] && !slices.ContainsFunc(got, func(x float64) bool { return x == x }) {
				continue
			}
			t.Fatalf("%s: step %d: got %v, want %v", what, i, got[i], v)
		}
	}
}

// The rest of a quotient is the quotient of the rests.
func TestTopOfAnExpressionAndItsTrueRest(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	for host, of := range map[string][2]float64{"a": {9, 10}, "b": {1, 10}, "c": {3, 1000}, "d": {50, 100}} {
		l.send(at("bad", point.Counter, host, 0, of[0]), at("all", point.Counter, host, 0, of[1]))
	}
	l.send(at("all", point.Counter, "e", 0, 90)) // with nothing bad
	inner := map[string]aggregate.Query{
		"bad": {Metric: "bad", Agg: "sum", By: []string{"host"}}, "all": {Metric: "all", Agg: "sum", By: []string{"host"}},
		"total": {Metric: "all", Agg: "sum"},
	}
	for _, c := range []struct {
		expr string
		top  int
		want string
	}{
		{"bad / all", 2, "a:0.9 d:0.5 other:0.003636"}, // (1+3)/(10+1000+90)
		{"bad / all", 4, "a:0.9 d:0.5 b:0.1 c:0.003"},
		{"all / total * 100", 1, "c:82.64 other:17.36"},
	} {
		q := aggregate.Query{Queries: inner, Expr: c.expr, Range: "10m", Step: "1m", Top: c.top}
		if got := show(l.ask(q)); got != c.want {
			t.Errorf("%s, top %d: got %q, want %q", c.expr, c.top, got, c.want)
		}
	}
	ranked := maps.Clone(inner)
	for name, q := range ranked {
		q.Top = 2
		ranked[name] = q
	}
	q := aggregate.Query{Queries: ranked, Expr: "bad / all", Range: "10m", Step: "1m"}
	// Of bad, d and a stay, of all c and d: (1+3)/(10+10+90).
	if got, want := show(l.ask(q)), "d:0.5 other:0.03636"; got != want {
		t.Errorf("top of each query: got %q, want %q", got, want)
	}
}

func TestExpressionsThatAreRefused(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	for _, c := range []struct{ expr, want string }{
		{"a +", "expr: at byte 4: got the end, want a number, a name, a function or ("},
		{"a b", `expr: at byte 3: got "b", want an operator or the end`},
		{"(a", `expr: at byte 3: got the end, want ")"`},
		{"a ^ b", `expr: at byte 3: got "^"`},
		{"1.2.3 * a", "expr: at byte 1: 1.2.3 is not a number"},
		{"1 + 2", "expr: it names no query"},
		{"a + c", "expr: at byte 5: there is no query c"},
		{"sin(a)", "expr: at byte 1: there is no function sin; there are abs,"},
		{"abs(a, 1)", "expr: at byte 1: abs has 2 arguments, want 1"},
		{`moving_avg(a, "7s")`, `moving_avg over "7s": not a multiple of the step of 10000 ms`},
		{"moving_avg(a, 0)", "neither a length of time such as \"5m\" nor a number of steps from 1 to 1000"},
		{"moving_avg(a, b)", "neither a length of time"},
		{`moving_avg(a, "1d")`, "has 8640 steps; the limit is 1000"},
		{`shift(a, "soon")`, `shift by "soon": not a duration`},
		{`shift(a, "1m)`, "the quotation does not end"},
		{`shift("1m", a)`, `got "\"", want a number`},
		{"fill(a, b)", "the second argument of fill must be a number"},
		{strings.Repeat("(", 60) + "a" + strings.Repeat(")", 60), "more than 50 parts within each other"},
		{strings.Repeat("a+", 500) + "a", "expr: has 1001 bytes; the limit is 1000"},
	} {
		_, err := l.engine.Plan(aggregate.Query{Queries: innerQueries, Expr: c.expr, Range: "10m", Step: "10s"})
		var refused *aggregate.QueryError
		if !errors.As(err, &refused) || !strings.Contains(refused.Reason, c.want) {
			t.Errorf("%.40s: got %v, want %q", c.expr, err, c.want)
		}
	}
	for _, c := range []struct{ query, want string }{
		{`{"expr":"a","range":"1m"}`, "expr needs queries"},
		{`{"queries":{"a":{"metric":"m","agg":"sum"}},"range":"1m"}`, "queries needs expr"},
		{`{"queries":{"a":{"metric":"m","agg":"sum"}},"expr":"a","metric":"m","range":"1m"}`, "belong to one query"},
		{`{"queries":{"a":{"metric":"m","agg":"sum","step":"1s"}},"expr":"a","range":"1m"}`, "queries.a: range, from, to, step, zone and at_least stand beside expr"},
		{`{"queries":{"a":{"metric":"m","agg":"sum","compare":"1d"}},"expr":"a","range":"1m"}`, `shift(a, "1d")`},
		{`{"queries":{"abs":{"metric":"m","agg":"sum"}},"expr":"abs","range":"1m"}`, "queries: abs is a function"},
		{`{"queries":{"1":{"metric":"m","agg":"sum"}},"expr":"1","range":"1m"}`, `queries: "1" is not a name`},
		{`{"queries":{"a":{"metric":"m"}},"expr":"a","range":"1m"}`, "queries.a: agg is required"},
		{`{"queries":{"a":{"metric":"m","agg":"sum","by":["x"]},"b":{"metric":"m","agg":"sum","by":["y"]}},"expr":"a+b","top":1,"range":"1m"}`, "top beside expr needs queries with the same by"},
		{`{"metric":"m","agg":"sum","range":"1m","step":"10s","window":"15s"}`, `window "15s" is not a multiple of the step of 10000 ms`},
		{`{"metric":"m","agg":"sum","range":"1m","step":"1s","window":"4h"}`, "the limit is 11000"},
		{`{"metric":"m","agg":"sum","range":"9d","step":"day","window":"2d"}`, "window needs steps of one length; step is day"},
		{`{"metric":"m","agg":"sum","range":"9d","step":"day","zone":"Europe/Atlantis"}`, `zone "Europe/Atlantis" is not a time zone`},
		{`{"metric":"m","agg":"sum","range":"9d","step":"1d","zone":"Europe/Berlin"}`, "zone is for steps of the calendar"},
		{`{"metric":"m","agg":"sum","range":"9d","step":"1d","compare":"1500ms"}`, `compare "1500ms": not a multiple of the window of 1000 ms`},
		{`{"metric":"m","agg":"sum","range":"9d","step":"week","compare":"36h"}`, `compare "36h": with steps of the calendar it is whole days`},
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

// No text makes the parser hang or fail in another way than by an error.
func FuzzExpression(f *testing.F) {
	for _, e := range expressions {
		f.Add(e.expr)
	}
	f.Add(`moving_avg(a,"1m`)
	f.Add("((((a")
	l := newEngine(f)
	f.Fuzz(func(t *testing.T, expr string) {
		q := aggregate.Query{Queries: innerQueries, Expr: expr, Range: "10m", Step: "10s"}
		p, err := l.Plan(q)
		if err != nil {
			var refused *aggregate.QueryError
			if !errors.As(err, &refused) {
				t.Fatalf("%q: %v", expr, err)
			}
			return
		}
		if expr == "" {
			t.Fatal("no expression was taken for one")
		}
		v, err := l.Latest(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		from, to := p.Steps(noon)
		if _, err := p.Evaluate(context.Background(), v, from, to); err != nil {
			t.Fatalf("%q: %v", expr, err)
		}
	})
}
