package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// QueryLoad says what Query measures.
type QueryLoad struct {
	Series  int           `help:"Series that points come in for." default:"10000"`
	Rate    float64       `help:"Points a second posted meanwhile." default:"200000"`
	Codec   string        `help:"Of those: json, or batch, the codec of the Go SDK." enum:"json,batch" default:"json"`
	Type    string        `help:"Of the points: gauge, or distribution, which is asked for percentiles too." enum:"gauge,distribution" default:"gauge"`
	Dense   int           `help:"Points a second of each series in the 15 minutes before." default:"1"`
	Wide    int           `help:"Series with a point a minute for a day, and with a point an hour for 30 days." default:"1000"`
	Queries int           `help:"Queries of each kind." default:"100"`
	Each    time.Duration `help:"At most this long for each kind." default:"15s"`
	Cold    int           `help:"Restarts after which the first query of each kind is timed." default:"3"`
}

// The metrics with history.
const (
	dayMetric   = "bench.day"
	monthMetric = "bench.month"
)

// A question is a kind of query, varied so that no answer is of use for the next.
type question struct {
	name   string
	metric string
	span   time.Duration
	step   string
	by     string // empty: one line
	region bool   // only series of one region, which changes
	target float64
}

// questions are what is asked, those about the present first.
func questions() []question {
	const day = 24 * time.Hour
	return []question{
		{name: "15 min × 10 s, 100 groups", metric: ingestMetric, span: 15 * time.Minute, step: "10s", by: "route", target: 20},
		{name: "15 min × 10 s, the groups of one region", metric: ingestMetric, span: 15 * time.Minute, step: "10s", by: "route", region: true},
		{name: "24 h × 1 min, one line", metric: dayMetric, span: day, step: "1m", target: 100},
		{name: "24 h × 1 min, 100 groups", metric: dayMetric, span: day, step: "1m", by: "route", target: 100},
		{name: "30 days × 1 h, one line", metric: monthMetric, span: 30 * day, step: "1h", target: 200},
		{name: "30 days × 1 h, 100 groups", metric: monthMetric, span: 30 * day, step: "1h", by: "route", target: 200},
	}
}

// series is how many lines an answer has at least.
func (q *question) series() int {
	switch {
	case q.by == "":
		return 1
	case q.region:
		return routes / regions
	}
	return routes
}

// query returns the n-th of the kind.
func (q *question) query(n int, aggs []string) string {
	where := ""
	if q.region {
		where = fmt.Sprintf(`,"where":{"region":"eu-%d"}`, n%regions)
	}
	by := ""
	if q.by != "" {
		by = fmt.Sprintf(`,"by":[%q]`, q.by)
	}
	span := q.span - time.Duration(n%5)*q.span/1000
	return fmt.Sprintf(`{"metric":%q,"agg":%q%s%s,"range":"%ds","step":%q}`, q.metric, aggs[n%len(aggs)], by, where, int(span.Seconds()), q.step)
}

// statement returns the same as plain SQL over all points, added up so that nothing of it
// has to be sent.
func (q *question) statement() string {
	group := "''"
	if q.by != "" {
		group = fmt.Sprintf("labels['%s']", q.by)
	}
	var seconds int
	if d, err := time.ParseDuration(q.step); err == nil {
		seconds = int(d.Seconds())
	}
	return fmt.Sprintf("SELECT sum(v), count(*) FROM (SELECT time_bucket(INTERVAL %d SECOND, ts) AS t, %s AS g, avg(value) AS v "+
		"FROM points WHERE metric = '%s' AND ts > now() - INTERVAL %d SECOND GROUP BY ALL)", seconds, group, q.metric, int(q.span.Seconds()))
}

// Query measures how long answers take, of the last minutes and of history, while points
// come in.
func Query(ctx context.Context, l QueryLoad) (*Report, error) {
	p, _, err := start(ctx, "")
	if err != nil {
		return nil, err
	}
	defer func() { p.close() }()
	r := &Report{Name: fmt.Sprintf("query: %d series, %.0f points/s posted meanwhile; history of %d series", l.Series, l.Rate, l.Wide)}
	if err := l.fillHistory(ctx, p, r); err != nil {
		return nil, err
	}
	if err := l.warm(ctx, p, r); err != nil {
		return nil, err
	}
	if err := l.baseline(ctx, p, r); err != nil {
		return nil, err
	}
	cold := make([][]time.Duration, len(questions()))
	for range l.Cold {
		if p, err = p.again(ctx); err != nil {
			return nil, err
		}
		if err := l.cold(ctx, p, cold); err != nil {
			return nil, err
		}
	}
	for i, q := range questions() {
		if l.Cold > 0 {
			r.add("cold: "+q.name, quantile(cold[i], 0.5), "ms", fmt.Sprintf("the worst of %d restarts %s ms", l.Cold, number(quantile(cold[i], 1))))
		}
	}
	return r, nil
}

// aggs are the aggregates that are asked for in turn.
func (l QueryLoad) aggs(q *question) []string {
	aggs := []string{"avg", "sum", "max", "min", "count"}
	if l.Type == "distribution" && q.metric == ingestMetric {
		aggs = append(aggs, "p50", "p99")
	}
	return aggs
}

func (l QueryLoad) fleet() *fleet {
	f := Load{Series: l.Series, Codec: l.Codec}.fleet()
	f.kind = l.Type
	return f
}

// fillHistory posts what the questions are about, and loads the part that is long ago.
func (l QueryLoad) fillHistory(ctx context.Context, p *process, r *Report) error {
	now := time.Now().Truncate(time.Minute)
	for _, h := range []struct {
		metric     string
		span, step time.Duration
	}{{dayMetric, 24 * time.Hour, time.Minute}, {monthMetric, 30 * 24 * time.Hour, time.Hour}} {
		f := &fleet{metric: h.metric, kind: "gauge", series: l.Wide, batch: min(1000, l.Wide), codec: codecBatch}
		t, err := f.fill(ctx, p.host, 4, now.Add(-h.span), now, h.step)
		if err != nil {
			return err
		}
		if err := p.counts(ctx, h.metric, t.points); err != nil {
			return err
		}
	}
	if _, err := p.load(ctx); err != nil {
		return err
	}
	f := l.fleet()
	f.codec, f.batch = codecBatch, min(2000, f.series)
	if l.Dense < 1 {
		return fmt.Errorf("--dense %d is less than 1", l.Dense)
	}
	began, end := time.Now(), time.Now().Truncate(time.Second)
	t, err := f.fill(ctx, p.host, 4, end.Add(-15*time.Minute), end, time.Second/time.Duration(l.Dense))
	if err != nil {
		return err
	}
	r.add("the 15 minutes before, posted", float64(t.points)/time.Since(began).Seconds(), "points/s", fmt.Sprintf("%d points", t.points))
	return nil
}

// warm asks every question many times while points come in.
func (l QueryLoad) warm(ctx context.Context, p *process, r *Report) error {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	began := time.Now()
	var posted tally
	g.Go(func() (err error) {
		posted, err = l.fleet().pour(inner, p.host, 4, l.Rate, began.Add(time.Hour), nil)
		if inner.Err() != nil {
			return nil
		}
		return err
	})
	err := l.askAll(ctx, p, r)
	stop()
	if err := errors.Join(err, g.Wait()); err != nil {
		return err
	}
	r.add("points posted meanwhile", float64(posted.points)/time.Since(began).Seconds(), "/s", "")
	rss, err := p.resident()
	r.add("server resident memory", float64(rss)/(1<<20), "MiB", "")
	return err
}

func (l QueryLoad) askAll(ctx context.Context, p *process, r *Report) error {
	time.Sleep(3 * time.Second) // the generator and the server have found their pace
	a := p.asker()
	defer a.close()
	for _, q := range questions() {
		var took []time.Duration
		aggs := l.aggs(&q)
		began := time.Now()
		for n := 0; n < l.Queries+len(aggs) && (time.Since(began) < l.Each || len(took) == 0); n++ {
			d, err := a.ask(ctx, q.query(n, aggs), q.series())
			if err != nil {
				return err
			}
			if n >= len(aggs) { // before, blocks are read into the cache
				took = append(took, d)
			}
		}
		note := fmt.Sprintf("p50 %s ms of %d", number(quantile(took, 0.5)), len(took))
		if q.target > 0 {
			note += fmt.Sprintf("; to be below %g ms", q.target)
		}
		r.add("warm, p99: "+q.name, quantile(took, 0.99), "ms", note)
	}
	return nil
}

// baseline times DuckDB over all points.
func (l QueryLoad) baseline(ctx context.Context, p *process, r *Report) error {
	a := p.asker()
	defer a.close()
	for _, q := range questions() {
		if q.region {
			continue
		}
		var took []time.Duration
		for began := time.Now(); len(took) < 3 && (time.Since(began) < l.Each/3 || len(took) == 0); {
			d, _, err := a.sql(ctx, q.statement())
			if err != nil {
				return err
			}
			took = append(took, d)
		}
		r.add("as plain SQL over points: "+q.name, quantile(took, 0.5), "ms", "")
	}
	return nil
}

// cold asks every question once.
func (l QueryLoad) cold(ctx context.Context, p *process, took [][]time.Duration) error {
	a := p.asker()
	defer a.close()
	if _, err := a.post(ctx, "/api/v1/query", `{"metric":"none","agg":"sum","range":"1m"}`); err != nil { // the connection is there
		return err
	}
	for i, q := range questions() {
		d, err := a.ask(ctx, q.query(0, l.aggs(&q)), q.series())
		if err != nil {
			return err
		}
		took[i] = append(took[i], d)
	}
	return nil
}
