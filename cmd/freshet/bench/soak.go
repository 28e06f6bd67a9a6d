package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// SoakLoad says how long and how hard Soak drives a server.
type SoakLoad struct {
	Duration    time.Duration `help:"How long to post." default:"20m"`
	Rate        float64       `help:"Points a second; 0 for half of what a server takes in a first try of 10 s." default:"0"`
	Codec       string        `help:"json, or batch: the codec of the Go SDK." enum:"json,batch" default:"batch"`
	Series      int           `help:"How many series." default:"10000"`
	Connections int           `help:"Connections that post at the same time." default:"8"`
	Viewers     int           `help:"Viewers at any time, each of which stays up to 15 s." default:"50"`
	LoadEvery   time.Duration `help:"How often the server loads." default:"1m"`
	Every       time.Duration `help:"Between two samples, at each of which answers are checked." default:"15s"`
	Serve       []string      `help:"More flags of the server, such as --serve=--keep-points=1h." placeholder:"FLAG"`
	Progress    io.Writer     `kong:"-"` // samples are written to it as they are taken
}

// A soak is one run against one server.
type soak struct {
	load  SoakLoad
	fleet *fleet
	book  *ledger
	churn *churn
	began time.Time

	samples []sample

	mu   sync.Mutex
	took []time.Duration // of the queries since the last sample
}

// ErrDiffers is the error of a soak whose answers were not what was acknowledged.
var ErrDiffers = errors.New("an answer is not what was acknowledged")

// Soak posts for a long time while the server loads, compacts and drops what is old, and
// while viewers come and go. It checks answers against what was acknowledged at every
// sample, at the end, and after kill -9. If they differ the error is ErrDiffers; the report
// is complete nevertheless.
func Soak(ctx context.Context, l SoakLoad) (*Report, error) {
	f := Load{Series: l.Series, Codec: l.Codec}.fleet()
	f.whole = true
	s := &soak{load: l, fleet: f, book: newLedger(l.Connections)}
	if err := s.findRate(ctx); err != nil {
		return nil, err
	}
	p, _, err := start(ctx, "", s.flags()...)
	if err != nil {
		return nil, err
	}
	defer func() { p.close() }()
	s.churn = &churn{host: p.host, stay: 15 * time.Second, queries: []watched{
		{0, s.query("avg", `"by":["route"],"range":"15m","step":"10s"`)},
		{1, s.query("max", `"range":"5m","step":"1s"`)},
		{2, s.query("count", `"by":["region"],"range":"15m","step":"10s"`)},
	}}
	r := &Report{Name: fmt.Sprintf("soak: %v at %s points/s of %d series, %d viewers, a load every %v", l.Duration, number(s.load.Rate), l.Series, l.Viewers, l.LoadEvery)}
	if err := s.drive(ctx, p); err != nil {
		_ = p.kill() // which completes what it has logged
		return nil, fmt.Errorf("%w\n%s", err, p.log.String())
	}
	differ := []error{s.checkAll(ctx, p)}
	r.Tables = append(r.Tables, s.table())
	s.verdict(r)
	p, err = s.kill(ctx, p)
	differ = append(differ, err)
	for _, x := range s.samples {
		differ = append(differ, x.differs)
	}
	differ = slices.DeleteFunc(differ, func(err error) bool { return err == nil })
	r.add("checks that differed", float64(len(differ)), "", fmt.Sprintf("of %d, the last after kill -9", len(s.samples)+2))
	return r, errors.Join(differ[:min(len(differ), 5)]...)
}

// flags are those of the server.
func (s *soak) flags() []string {
	return append([]string{"--load-every", s.load.LoadEvery.String(), "--retention", "2m"}, s.load.Serve...)
}

// findRate makes the rate half of what a server takes.
func (s *soak) findRate(ctx context.Context) error {
	if s.load.Rate > 0 {
		return nil
	}
	p, _, err := start(ctx, "")
	if err != nil {
		return err
	}
	defer p.close()
	m, err := Load{Codec: s.load.Codec, Series: s.load.Series, Connections: s.load.Connections, Duration: 10 * time.Second}.measure(ctx, p)
	s.load.Rate = m.rate / 2
	return err
}

// query returns a query of the metric.
func (s *soak) query(agg, rest string) string {
	return fmt.Sprintf(`{"metric":%q,"agg":%q,%s}`, s.fleet.metric, agg, rest)
}

// drive posts, watches, asks and samples for the duration.
func (s *soak) drive(ctx context.Context, p *process) error {
	s.began = time.Now()
	end := s.began.Add(s.load.Duration)
	inner, stop := context.WithDeadline(ctx, end)
	defer stop()
	var g errgroup.Group
	each := func(f func() error) {
		g.Go(func() error {
			err := f()
			if err != nil && inner.Err() == nil {
				stop()
				return err
			}
			return nil
		})
	}
	posting := make(chan error, 1)
	go func() {
		// It ends by the clock: a post that is cut off may be counted or not.
		_, err := s.fleet.pour(ctx, p.host, s.load.Connections, s.load.Rate, end, s.book)
		if err != nil {
			stop()
		}
		posting <- err
	}()
	time.Sleep(2 * time.Second) // there is something to see
	each(func() error { return s.churn.run(inner, s.load.Viewers) })
	each(func() error { return s.ask(inner, p) })
	each(func() error { return s.watch(inner, p) })
	return errors.Join(<-posting, g.Wait(), ctx.Err())
}

// ask sends varied queries, four a second.
func (s *soak) ask(ctx context.Context, p *process) error {
	a := p.asker()
	defer a.close()
	kinds := []question{
		{metric: s.fleet.metric, span: 15 * time.Minute, step: "10s", by: "route"},
		{metric: s.fleet.metric, span: time.Hour, step: "1m", by: "region"},
	}
	for n := 0; ctx.Err() == nil; n++ {
		d, err := a.ask(ctx, kinds[n%2].query(n, []string{"avg", "sum", "max", "min", "count"}), 1)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.took = append(s.took, d)
		s.mu.Unlock()
		time.Sleep(250 * time.Millisecond)
	}
	return nil
}

// kill ends the server at once, starts it on its data and checks all answers again.
func (s *soak) kill(ctx context.Context, p *process) (*process, error) {
	if err := p.kill(); err != nil {
		return p, err
	}
	again, _, err := start(ctx, p.dir, s.flags()...)
	if err != nil {
		return p, err
	}
	if err := s.checkAll(ctx, again); err != nil {
		return again, fmt.Errorf("after kill -9: %w", err)
	}
	return again, nil
}
