package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// GrowthLoad says which tables Growth makes.
type GrowthLoad struct {
	Table []string `help:"Which tables: series, shards, viewers, history." default:"series,shards,viewers,history"`
	Quick bool     `help:"Fewer and smaller rows."`
}

// Growth measures how costs grow, every row in a fresh server.
func Growth(ctx context.Context, l GrowthLoad) (*Report, error) {
	r := &Report{Name: "growth: every row in a fresh server"}
	for _, name := range l.Table {
		var t *Table
		var err error
		switch name {
		case "series":
			t, err = l.series(ctx)
		case "shards":
			t, err = l.shards(ctx)
		case "viewers":
			t, err = l.viewers(ctx)
		case "history":
			t, err = l.history(ctx)
		default:
			return nil, fmt.Errorf("--table %q is not one of series, shards, viewers and history", name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		r.Tables = append(r.Tables, t)
	}
	return r, nil
}

// rows returns the sizes to measure: all, or with Quick the first few.
func (l GrowthLoad) rows(quick int, all ...int) []int {
	if l.Quick {
		return all[:quick]
	}
	return all
}

// posting is how long to post for a row.
func (l GrowthLoad) posting() time.Duration {
	if l.Quick {
		return 2 * time.Second
	}
	return 5 * time.Second
}

// series shows what more series cost.
func (l GrowthLoad) series(ctx context.Context) (*Table, error) {
	t := &Table{Name: "series, a batch codec post has 2,000 points at most", Columns: []string{
		"series", "first point µs", "points/s", "server CPU µs/point", "resident MiB", "query of 15 min × 100 groups ms"}}
	for _, n := range l.rows(3, 1_000, 10_000, 100_000, 1_000_000) {
		m, query, _, err := Load{Codec: codecBatch, Series: n, Connections: 8, Duration: l.posting()}.grown(ctx)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		t.add(float64(n), m.firstCPU, m.rate, m.serverCPU, float64(m.resident)/(1<<20), query)
	}
	return t, nil
}

// shards shows what more shards cost.
func (l GrowthLoad) shards(ctx context.Context) (*Table, error) {
	t := &Table{Name: "shards, with 10,000 series", Columns: []string{
		"shards", "points/s", "server CPU µs/point", "commits/s", "resident MiB", "query of 15 min × 100 groups ms"}}
	for _, n := range l.rows(3, 1, 8, 64, 4, 16, 32) {
		m, query, commits, err := Load{Codec: codecBatch, Series: 10_000, Connections: 8, Duration: l.posting(), Shards: n}.grown(ctx)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		t.add(float64(n), m.rate, m.serverCPU, commits/m.took, float64(m.resident)/(1<<20), query)
	}
	t.sort()
	return t, nil
}

// grown posts to a fresh server and asks it; it returns the milliseconds of a query and
// how many commits there were.
func (l Load) grown(ctx context.Context) (m intake, query, commits float64, err error) {
	p, _, err := start(ctx, "", "--shards", fmt.Sprint(l.Shards))
	if err != nil {
		return m, 0, 0, err
	}
	defer p.close()
	if m, err = l.measure(ctx, p); err != nil {
		return m, 0, 0, err
	}
	if commits, err = p.counter(ctx, "freshet_stream_commits_total"); err != nil {
		return m, 0, 0, err
	}
	query, err = p.median(ctx, question{metric: ingestMetric, span: 15 * time.Minute, step: "10s", by: "route"})
	return m, query, commits, err
}

// median returns the median of the milliseconds that five queries of a kind take, less
// than five if they are slow.
func (p *process) median(ctx context.Context, q question) (float64, error) {
	a := p.asker()
	defer a.close()
	aggs := []string{"avg", "sum", "max", "min", "count"}
	var took []time.Duration
	for began := time.Now(); len(took) < 5 && (len(took) == 0 || time.Since(began) < 5*time.Second); {
		d, err := a.ask(ctx, q.query(len(took), aggs), q.series())
		if err != nil {
			return 0, err
		}
		took = append(took, d)
	}
	return quantile(took, 0.5), nil
}

// viewers shows what more viewers cost.
func (l GrowthLoad) viewers(ctx context.Context) (*Table, error) {
	live := LiveLoad{Panels: 1, Each: 1, Lines: 10, Updates: 4, Posts: 20}
	t := &Table{Name: "viewers of one panel, four updates a second", Columns: []string{
		"viewers", "p50 ms", "p99 ms", "server CPU %", "server CPU µs/frame", "resident MiB"}}
	for _, n := range l.rows(3, 1, 100, 1_000, 10, 3_000, 10_000) {
		s, err := live.measure(ctx, n, 0)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		t.add(float64(n), s.p50, s.p99, s.serverCPU*100, s.serverCPU*s.took/float64(s.frames)*1e6, float64(s.resident)/(1<<20))
	}
	t.sort()
	return t, nil
}

// history shows what more history costs: a hundred series with a point a minute.
func (l GrowthLoad) history(ctx context.Context) (*Table, error) {
	t := &Table{Name: "hours of history, 100 series with a point a minute, loaded", Columns: []string{
		"hours", "points", "load points/s", "on disk MiB", "open s", "cold 24 h × 1 min ms", "24 h × 1 min ms", "cold 30 d × 1 h ms", "30 d × 1 h ms"}}
	for _, hours := range l.rows(3, 1, 24, 7*24, 30*24, 90*24) {
		row, err := historyRow(ctx, hours)
		if err != nil {
			return nil, fmt.Errorf("%d h: %w", hours, err)
		}
		t.add(row...)
	}
	return t, nil
}

func historyRow(ctx context.Context, hours int) ([]float64, error) {
	p, _, err := start(ctx, "")
	if err != nil {
		return nil, err
	}
	defer func() { p.close() }()
	f := &fleet{metric: dayMetric, kind: "gauge", series: routes, batch: routes, codec: codecBatch}
	end := time.Now().Truncate(time.Minute)
	sent, err := f.fill(ctx, p.host, 1, end.Add(-time.Duration(hours)*time.Hour), end, time.Minute)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if _, err := p.load(ctx); err != nil {
		return nil, err
	}
	loading := time.Since(began).Seconds()
	if p, err = p.again(ctx); err != nil {
		return nil, err
	}
	size, err := p.size("")
	if err != nil {
		return nil, err
	}
	row := []float64{float64(hours), float64(sent.points), float64(sent.points) / loading, float64(size) / (1 << 20), p.took.Seconds()}
	for _, q := range []question{
		{metric: dayMetric, span: 24 * time.Hour, step: "1m"},
		{metric: dayMetric, span: 30 * 24 * time.Hour, step: "1h"},
	} {
		cold, err := p.once(ctx, q)
		if err != nil {
			return nil, err
		}
		warm, err := p.median(ctx, q)
		if err != nil {
			return nil, err
		}
		row = append(row, cold, warm)
	}
	return row, p.counts(ctx, dayMetric, sent.points)
}

// once returns the milliseconds of one query.
func (p *process) once(ctx context.Context, q question) (float64, error) {
	a := p.asker()
	defer a.close()
	d, err := a.ask(ctx, q.query(0, []string{"avg"}), q.series())
	return quantile([]time.Duration{d}, 0.5), err
}

// sort puts the rows in order of their first figure.
func (t *Table) sort() {
	slices.SortFunc(t.Rows, func(a, b []float64) int { return int(a[0] - b[0]) })
}
