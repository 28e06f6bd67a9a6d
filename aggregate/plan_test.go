package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
)

func TestAutoStepMakesAtMostThreeHundredSteps(t *testing.T) {
	for _, c := range []struct {
		span, width string
		want        time.Duration
	}{
		{"1s", "1s", time.Second},
		{"1m", "1s", time.Second},
		{"5m", "1s", time.Second},
		{"301s", "1s", 2 * time.Second},
		{"15m", "1s", 5 * time.Second},
		{"30m", "1s", 10 * time.Second},
		{"1h", "1s", 15 * time.Second},
		{"3h", "1s", time.Minute},
		{"6h", "1s", 2 * time.Minute},
		{"12h", "1s", 5 * time.Minute},
		{"24h", "1s", 5 * time.Minute},
		{"1d", "1s", 5 * time.Minute},
		{"7d", "1s", time.Hour},
		{"1w", "1s", time.Hour},
		{"30d", "1s", 3 * time.Hour},
		{"365d", "1s", 48 * time.Hour},
		{"36500d", "1s", 122 * 24 * time.Hour},
		{"1m", "10s", 10 * time.Second},
		{"1h", "10s", 30 * time.Second}, // 15 s is no multiple of the window
		{"1m", "1m", time.Minute},
	} {
		t.Run(c.span+"/"+c.width, func(t *testing.T) {
			width, err := time.ParseDuration(c.width)
			if err != nil {
				t.Fatal(err)
			}
			l := newLab(t, aggregate.Options{Window: width})
			for _, step := range []string{"", "auto"} {
				p, err := l.engine.Plan(aggregate.Query{Metric: "m", Agg: "sum", Range: c.span, Step: step})
				if err != nil {
					t.Fatal(err)
				}
				if got := time.Duration(p.StepMS) * time.Millisecond; got != c.want {
					t.Errorf("step %q: got %v, want %v", step, got, c.want)
				}
				if from, to := p.Steps(noon + 1); from > noon+1-p.RangeMS || to <= noon+1 || (to-from)%p.StepMS != 0 {
					t.Errorf("the steps cover %d ≤ t < %d, which lacks part of the range or of a step", from, to)
				}
			}
		})
	}
}

// What TestRefusalsNameTheField leaves out. Each is a *QueryError.
func TestRefusalsNameLimitAndValue(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	l.send(
		at("temp", point.Gauge, "", 0, 1), at("hits", point.Counter, "", 0, 1),
		at("total", point.Cumulative, "", 0, 1), at("lat", point.Distribution, "", 0, 1), member("", 0, "x"),
	)
	for _, c := range []struct{ query, want string }{
		{`{"metric":"temp","agg":"median","range":"1m"}`, `agg "median" is not one of count, sum, avg, min, max, last, rate, increase, distinct, heatmap or pN`},
		{`{"metric":"temp","agg":"p0","range":"1m"}`, `agg "p0" is not one of`},
		{`{"metric":"temp","agg":"pNaN","range":"1m"}`, `agg "pNaN" is not one of`},
		{`{"metric":"temp","agg":"sum","range":"0s"}`, `range "0s": must lie between 1ms and 36500d`},
		{`{"metric":"temp","agg":"sum","range":"-1m"}`, `range "-1m": must lie between 1ms and 36500d`},
		{`{"metric":"temp","agg":"sum","range":"40000d"}`, `range "40000d": must lie between 1ms and 36500d`},
		{`{"metric":"temp","agg":"sum","range":"9999w"}`, `range "9999w": must lie between 1ms and 36500d`},
		{`{"metric":"temp","agg":"sum","range":"1500us"}`, `range "1500us": must be whole milliseconds`},
		{`{"metric":"temp","agg":"sum","range":"1m","to":5}`, "range and from/to exclude each other"},
		{`{"metric":"temp","agg":"sum","to":5}`, "range or from is required"},
		{`{"metric":"temp","agg":"sum","from":1767225600001}`, "the query covers -1 ms"},
		{`{"metric":"temp","agg":"sum","from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:00:00Z"}`, "the query covers 0 ms"},
		{`{"metric":"temp","agg":"sum","range":"1m","step":"soon"}`, `step "soon": not a duration`},
		{`{"metric":"temp","agg":"sum","range":"1m","step":"0s"}`, `step "0s": must lie between`},
		{`{"metric":"temp","agg":"sum","range":"1m","step":"500ms"}`, `step "500ms" is not a multiple of the window of 1000 ms`},
		{`{"metric":"temp","agg":"sum","range":"11000s","step":"1s"}`, "makes 11001 steps; the limit is 11000"},
		{`{"metric":"temp","agg":"sum","range":"1m","top":-1}`, "top is -1; it must lie between 0 and 1000"},
		{`{"metric":"temp","agg":"increase","range":"1m"}`, "agg increase needs a counter, a cumulative or a distribution; temp is a gauge"},
		{`{"metric":"hits","agg":"p50","range":"1m"}`, "agg p50 needs a distribution; hits is a counter"},
		{`{"metric":"total","agg":"p50","range":"1m"}`, "agg p50 needs a distribution; total is a cumulative"},
		{`{"metric":"users","agg":"p50","range":"1m"}`, "agg p50 needs a distribution; users is a set"},
		{`{"metric":"total","agg":"distinct","range":"1m"}`, "agg distinct needs a set; total is a cumulative"},
		{`{"metric":"users","agg":"last","range":"1m"}`, "agg last needs numbers; users is a set: use distinct or count"},
		{`{"metric":"users","agg":"avg","range":"1m"}`, "agg avg needs numbers"},
		{`{"metric":"users","agg":"min","range":"1m"}`, "agg min needs numbers"},
		{`{"metric":"users","agg":"max","range":"1m"}`, "agg max needs numbers"},
		{`{"metric":"temp","agg":"sum","range":"1m","where":{"host":5}}`, "a string or an array of strings"},
		{`{"metric":"temp","agg":"sum","from":"yesterday"}`, `time "yesterday" is neither epoch milliseconds nor RFC 3339`},
		{`{"metric":"temp","agg":"sum","from":1.5}`, "time 1.5 is neither"},
		{`[]`, "the query cannot be read"},
		{``, "the query cannot be read"},
	} {
		q, err := aggregate.ParseQuery([]byte(c.query))
		if err == nil {
			_, err = l.engine.Query(context.Background(), q)
		}
		var refused *aggregate.QueryError
		if !errors.As(err, &refused) || !strings.Contains(refused.Reason, c.want) {
			t.Errorf("%s: got %v, want a QueryError with %q", c.query, err, c.want)
		}
	}
}

func TestLimitsThemselvesAreAllowed(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	for _, q := range []aggregate.Query{
		{Metric: "m", Agg: "sum", Range: "10999s", Step: "1s"},
		{Metric: "m", Agg: "sum", Range: "1m", Top: aggregate.MaxTop, By: []string{"1", "2", "3", "4", "5", "6", "7", "8"}},
		{Metric: "m", Agg: "p99.99", Range: "36500d"},
		{Metric: "m", Agg: "p0.1", From: 1},
	} {
		if _, err := l.engine.Query(context.Background(), q); err != nil {
			t.Errorf("%+v: got %v", q, err)
		}
	}
}

func TestTooManyValuesAreRefused(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	var b point.Builder
	for i := range 400 {
		p := at("temp", point.Gauge, fmt.Sprint(i), 0, 1)
		var v point.View
		v.Set(&p)
		b.Add(&v)
	}
	l.append(point.Series{}, b.Encode(nil))
	q := aggregate.Query{Metric: "temp", Agg: "sum", By: []string{"host"}, Range: "10900s", Step: "1s"}
	_, err := l.engine.Query(context.Background(), q)
	want := "400 series in 10901 steps make 4360400 values; the limit is 4000000: narrow by or where, or take a longer step"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	q.Where = map[string]aggregate.Filter{"host": aggregate.Is("1", "2")}
	if a := l.ask(q); len(a.Series) != 2 {
		t.Errorf("narrowed: got %d series, want 2", len(a.Series))
	}
}

func TestParseQuery(t *testing.T) {
	q, err := aggregate.ParseQuery([]byte(`{"metric":"m","agg":"p99","by":["route"],"where":{"host":"a","route":["/x","/y"]},"from":"2026-01-01T00:00:00Z","to":1767225601000,"step":"10s","top":10}`))
	if err != nil {
		t.Fatal(err)
	}
	if q.From != aggregate.Time(noon) || q.To != aggregate.Time(noon+1000) || fmt.Sprint(q.Where["host"].In, q.Where["route"].In) != "[a] [/x /y]" || q.Top != 10 {
		t.Errorf("got %+v", q)
	}
}
