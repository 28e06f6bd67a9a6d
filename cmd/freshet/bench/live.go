package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// liveMetric is what the probe posts and the viewers watch.
const liveMetric = "bench.live"

// LiveLoad says what Live measures.
type LiveLoad struct {
	Viewers    []int     `help:"How many viewers; one measurement for each and each background." default:"1,100,1000"`
	Panels     int       `help:"Distinct queries, which the viewers share out." default:"1"`
	Each       int       `help:"Panels that one viewer watches." default:"1"`
	Lines      int       `help:"Series that a panel shows." default:"10"`
	Updates    float64   `help:"Posts a second, each of which changes every panel." default:"10"`
	Posts      int       `help:"Posts of one measurement." default:"50"`
	Background []float64 `help:"Points a second posted meanwhile." default:"0,100000,500000"`
}

func (l LiveLoad) check() error {
	if l.Panels < 1 || l.Panels > 1000 {
		return fmt.Errorf("--panels %d is not between 1 and 1000", l.Panels)
	}
	if l.Each < 1 || l.Each > l.Panels {
		return fmt.Errorf("--each %d is not between 1 and the %d of --panels", l.Each, l.Panels)
	}
	if l.Lines < 1 || l.Lines > 100 {
		return fmt.Errorf("--lines %d is not between 1 and 100", l.Lines)
	}
	if l.Updates <= 0 || l.Updates > 50 {
		return fmt.Errorf("--updates %v is not between 0 and 50", l.Updates)
	}
	if l.Posts < 1 || l.Posts > 10_000 {
		return fmt.Errorf("--posts %d is not between 1 and 10000", l.Posts)
	}
	return nil
}

// Live measures the time from a post to the frame that shows it, at every viewer.
func Live(ctx context.Context, l LiveLoad) (*Report, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	r := &Report{Name: fmt.Sprintf("live: from the post of a point to its websocket frame, %d posts a measurement, %g/s, %d panels of %d lines, %d a viewer",
		l.Posts, l.Updates, l.Panels, l.Lines, l.Each)}
	for _, background := range l.Background {
		for _, viewers := range l.Viewers {
			s, err := l.measure(ctx, viewers, background)
			if err != nil {
				return nil, fmt.Errorf("%d viewers: %w", viewers, err)
			}
			state := "idle"
			if background > 0 {
				state = number(background) + " points/s"
			}
			name := fmt.Sprintf("%d viewers, %s", viewers, state)
			r.add(name+", p50", s.p50, "ms", fmt.Sprintf("%d frames of %.1f KB, %.1f a read", s.frames, s.frameBytes/1e3, s.aRead))
			r.add(name+", p99", s.p99, "ms", fmt.Sprintf("server CPU %.0f %%, generator CPU %.0f %%, server resident %.0f MiB", s.serverCPU*100, s.ownCPU*100, float64(s.resident)/(1<<20)))
		}
	}
	return r, nil
}

// A showing is what one measurement found.
type showing struct {
	p50, p99          float64 // ms
	frames            int64
	frameBytes, aRead float64 // bytes of a frame, frames that came with one read
	serverCPU, ownCPU float64 // of one core
	took              float64 // s
	resident          int64   // of the server
}

func (l LiveLoad) measure(ctx context.Context, viewers int, background float64) (s showing, err error) {
	p, _, err := start(ctx, "")
	if err != nil {
		return s, err
	}
	defer p.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	load := Load{Series: 10_000, Codec: codecJSON}
	if background > 0 {
		g.Go(func() error {
			_, err := load.fleet().pour(ctx, p.host, 4, background, time.Now().Add(time.Hour), nil)
			if ctx.Err() != nil {
				return nil
			}
			return err
		})
	}
	s, err = l.probe(ctx, p, viewers)
	cancel()
	return s, errors.Join(err, g.Wait())
}

// A probe knows when each numbered post was sent, and what each viewer has seen.
type probe struct {
	load LiveLoad
	sent []atomic.Int64 // Unix nanoseconds, by number
	seen []int32        // by viewer × Each + nth of its panels; owned by the goroutine that reads the viewer
	left atomic.Int64   // posts that are still to be shown, over all viewers

	mu  sync.Mutex
	lat []time.Duration
}

// probe connects the viewers, posts and returns the latencies of all posts at all viewers.
func (l LiveLoad) probe(ctx context.Context, p *process, viewers int) (s showing, err error) {
	pr := &probe{load: l, sent: make([]atomic.Int64, l.Posts+1), seen: make([]int32, viewers*l.Each)}
	pr.left.Store(int64(viewers) * int64(l.Each) * int64(l.Posts))
	conn, err := dial(ctx, p.host)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	// The metric exists before anybody looks, so that the first frame is not special.
	if err := pr.post(conn, 0); err != nil {
		return s, err
	}
	c, err := gather(ctx, p.host, viewers, pr.queries, pr.shown)
	if err != nil {
		return s, err
	}
	var g errgroup.Group
	g.Go(c.run)
	err = c.settled(ctx)
	if err == nil {
		time.Sleep(500 * time.Millisecond)
		s, err = pr.measure(ctx, p, conn, c)
	}
	c.stop()
	err = errors.Join(err, g.Wait(), c.close())
	s.p50, s.p99 = quantile(pr.lat, 0.5), quantile(pr.lat, 0.99)
	return s, err
}

// measure posts and waits until everybody has seen everything.
func (pr *probe) measure(ctx context.Context, p *process, conn *rawConn, c *crowd) (s showing, err error) {
	cpu, err := p.cpu()
	if err != nil {
		return s, err
	}
	own, began, frames, bytes, reads := ownCPU(), time.Now(), c.frames.Load(), c.bytes.Load(), c.reads.Load()
	// Not a multiple of the server's tick, so that posts fall at all its phases.
	pause := time.Duration(float64(time.Second)/pr.load.Updates) - 3*time.Millisecond
	for k := 1; k <= pr.load.Posts && ctx.Err() == nil; k++ {
		if err := pr.post(conn, k); err != nil {
			return s, err
		}
		time.Sleep(time.Until(began.Add(time.Duration(k) * pause)))
	}
	for deadline := time.Now().Add(30 * time.Second); pr.left.Load() > 0 && !c.done.Load(); time.Sleep(5 * time.Millisecond) {
		if ctx.Err() != nil {
			return s, ctx.Err()
		}
		if time.Now().After(deadline) {
			return s, fmt.Errorf("%d times a post was not shown within 30 s", pr.left.Load())
		}
	}
	s.took = time.Since(began).Seconds()
	after, err := p.cpu()
	if err != nil {
		return s, err
	}
	s.serverCPU, s.ownCPU = (after-cpu)/s.took, (ownCPU()-own)/s.took
	s.frames = c.frames.Load() - frames
	s.frameBytes = float64(c.bytes.Load()-bytes) / float64(max(s.frames, 1))
	s.aRead = float64(s.frames) / float64(max(c.reads.Load()-reads, 1))
	s.resident, err = p.resident()
	return s, err
}

// queries returns what a viewer watches.
func (pr *probe) queries(viewer int) []watched {
	var out []watched
	for i := range pr.load.Each {
		panel := (viewer + i) % pr.load.Panels
		out = append(out, watched{panel, fmt.Sprintf(`{"metric":"%s","agg":"last","by":["line"],"where":{"panel":"%d"},"range":"1m","step":"1s"}`, liveMetric, panel)})
	}
	return out
}

// shown notes how long it took until a viewer saw post k, and those before it that it
// saw with it.
func (pr *probe) shown(viewer, panel, k int) {
	nth := (panel + pr.load.Panels - viewer%pr.load.Panels) % pr.load.Panels // of what the viewer watches
	seen := &pr.seen[viewer*pr.load.Each+nth]
	if int(*seen) >= k {
		return
	}
	now := time.Now().UnixNano()
	pr.mu.Lock()
	defer pr.mu.Unlock()
	for int(*seen) < k {
		*seen++
		pr.lat = append(pr.lat, time.Duration(now-pr.sent[*seen].Load()))
		pr.left.Add(-1)
	}
}

// post sends value k for every line of every panel.
func (pr *probe) post(conn *rawConn, k int) error {
	now := time.Now()
	var body []byte
	for panel := range pr.load.Panels {
		for line := range pr.load.Lines {
			body = fmt.Appendf(body, `{"metric":"%s","ts":%d,"value":%d,"labels":{"panel":"%d","line":"%d"}}`+"\n", liveMetric, now.UnixMilli(), k, panel, line)
		}
	}
	pr.sent[k].Store(time.Now().UnixNano())
	status, err := conn.post("/api/v1/points", body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("a post was answered %d", status)
	}
	return err
}
