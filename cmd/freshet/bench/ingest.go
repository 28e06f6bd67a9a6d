package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Load says what the generator sends.
type Load struct {
	Series      int           `help:"How many series." default:"10000"`
	Batch       int           `help:"Points in one post." default:"500"`
	Connections int           `help:"Connections that post at the same time." default:"16"`
	Duration    time.Duration `help:"How long to post." default:"10s"`
}

// ingestMetric is what the generator posts.
const ingestMetric = "bench.ingest"

// Ingest measures how many points a second are accepted durable and folded.
func Ingest(ctx context.Context, l Load) (*Report, error) {
	floor, err := discardRate(ctx, l)
	if err != nil {
		return nil, err
	}
	p, _, err := start(ctx, "")
	if err != nil {
		return nil, err
	}
	defer p.close()
	began := time.Now()
	sent, err := l.run(ctx, p.host, 0)
	if err != nil {
		return nil, err
	}
	if err := p.folded(ctx, sent); err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds()
	r := &Report{Name: fmt.Sprintf("ingest: %d-point JSON posts, %d connections, %d series", l.Batch, l.Connections, l.Series)}
	rate := float64(sent) / took
	r.add("points accepted, durable and folded", rate, "/s", fmt.Sprintf("%d points in %.1f s", sent, took))
	cpu, err := p.cpu()
	if err != nil {
		return nil, err
	}
	r.add("server CPU a point", cpu/float64(sent)*1e6, "µs", "")
	rss, err := p.resident()
	if err != nil {
		return nil, err
	}
	r.add("server resident memory", float64(rss)/(1<<20), "MiB", "")
	return r, p.limits(ctx, r, rate, floor, took)
}

// limits adds what the machine itself can do.
func (p *process) limits(ctx context.Context, r *Report, rate, floor, took float64) error {
	size, err := p.logBytes()
	if err != nil {
		return err
	}
	commits, err := p.counter(ctx, "freshet_stream_commits_total")
	if err != nil {
		return err
	}
	r.add("log written", float64(size)/took/1e6, "MB/s", fmt.Sprintf("%.0f commits/s of %.1f KiB", commits/took, float64(size)/commits/1024))
	disk, err := diskRate(p.dir, int(float64(size)/commits), 2*time.Second)
	if err != nil {
		return err
	}
	r.add("disk, write and fdatasync of that size", disk/1e6, "MB/s", fmt.Sprintf("the log is %.2f of it", float64(size)/took/disk))
	r.add("HTTP server that discards the same bodies", floor, "points/s", fmt.Sprintf("ingest is %.2f of it", rate/floor))
	return nil
}

// run posts for the duration, limit points a second at most (0 for no limit), and
// returns how many points were accepted.
func (l Load) run(ctx context.Context, host string, limit float64) (int64, error) {
	bodies := render(ingestMetric, "gauge", l.Series, l.Batch)
	var sent atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for c := range l.Connections {
		g.Go(func() error {
			conn, err := dial(ctx, host)
			if err != nil {
				return err
			}
			defer conn.Close()
			own := make([]*template, len(bodies))
			for i := range bodies {
				own[i] = bodies[i].clone()
			}
			for i := c; ctx.Err() == nil && time.Since(began) < l.Duration; i++ {
				if limit > 0 {
					if ahead := time.Duration(float64(sent.Load())/limit*1e9) - time.Since(began); ahead > 0 {
						time.Sleep(ahead)
					}
				}
				t := own[i%len(own)]
				t.at(time.Now().UnixMilli())
				status, err := conn.post("/api/v1/points", t.body)
				if err != nil {
					return err
				}
				if status != http.StatusOK {
					return fmt.Errorf("a post was answered %d", status)
				}
				sent.Add(int64(t.n))
			}
			return nil
		})
	}
	err := g.Wait()
	return sent.Load(), err
}

// folded waits until the server counts that many points of the metric.
func (p *process) folded(ctx context.Context, want int64) error {
	for {
		got, err := p.count(ctx)
		if err != nil {
			return err
		}
		if got == want {
			return nil
		}
		if got > want {
			return fmt.Errorf("the server counts %d points; %d were sent", got, want)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// count returns how many points of the metric a query counts.
func (p *process) count(ctx context.Context) (int64, error) {
	data, err := getJSON(ctx, http.MethodPost, p.url+"/api/v1/query", []byte(`{"metric":"`+ingestMetric+`","agg":"count","range":"3h","step":"1h"}`))
	if err != nil {
		return 0, err
	}
	var a struct{ Series []struct{ Values []*float64 } }
	if err := json.Unmarshal(data, &a); err != nil {
		return 0, err
	}
	var sum int64
	for _, s := range a.Series {
		for _, v := range s.Values {
			if v != nil {
				sum += int64(*v)
			}
		}
	}
	return sum, nil
}

// discardRate measures the same posts against a server that forgets them.
func discardRate(ctx context.Context, l Load) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, "bench", "discard")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait() //nolint:errcheck // it was killed
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return 0, errors.New("the discarding server printed no address")
	}
	host := strings.TrimPrefix(lines.Text(), "listening on http://")
	l.Duration = min(l.Duration, 3*time.Second)
	began := time.Now()
	sent, err := l.run(ctx, host, 0)
	return float64(sent) / time.Since(began).Seconds(), err
}
