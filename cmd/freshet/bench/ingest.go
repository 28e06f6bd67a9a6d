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
	"syscall"
	"time"
)

// Load says what the generator sends.
type Load struct {
	Codec       string        `help:"json, or batch: the codec of the Go SDK." enum:"json,batch" default:"json"`
	Series      int           `help:"How many series." default:"10000"`
	Batch       int           `help:"Points in one post; 0 for 500, with the codec of the SDK the 2,000 that it sends." default:"0"`
	Connections int           `help:"Connections that post at the same time." default:"16"`
	Duration    time.Duration `help:"How long to post." default:"10s"`
	Shards      int           `help:"Shards of the stream; 0 for one a core." default:"0"`
}

// ingestMetric is what the generator posts.
const ingestMetric = "bench.ingest"

// fleet returns what is posted.
func (l Load) fleet() *fleet {
	f := &fleet{metric: ingestMetric, kind: "gauge", series: l.Series, batch: l.Batch, codec: l.Codec}
	if f.batch == 0 {
		f.batch = 500
		if f.codec == codecBatch {
			f.batch = 2000
		}
		f.batch = min(f.batch, f.series)
	}
	return f
}

// Ingest measures how many points a second are accepted durable and folded.
func Ingest(ctx context.Context, l Load) (*Report, error) {
	f := l.fleet()
	floor, err := discardRate(ctx, l)
	if err != nil {
		return nil, err
	}
	p, _, err := start(ctx, "", "--shards", fmt.Sprint(l.Shards))
	if err != nil {
		return nil, err
	}
	defer p.close()
	m, err := l.measure(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := p.counts(ctx, ingestMetric, m.all); err != nil {
		return nil, err
	}
	r := &Report{Name: fmt.Sprintf("ingest: posts of %d points in %s, %d connections, %d series", f.batch, f.codec, l.Connections, l.Series)}
	r.add("points accepted, durable and folded", m.rate, "/s", fmt.Sprintf("%d points in %.1f s", m.points, m.took))
	r.add("server CPU a point", m.serverCPU, "µs", "")
	r.add("server CPU for the first point of a series", m.firstCPU, "µs", "not part of the others")
	r.add("generator CPU a point", m.ownCPU, "µs", "")
	r.add("server resident memory", float64(m.resident)/(1<<20), "MiB", fmt.Sprintf("%.0f MiB at its highest", float64(m.peak)/(1<<20)))
	r.add("posts refused for now (429) and sent again", float64(m.refused), "", "")
	return r, p.limits(ctx, r, m.rate, floor, m.took)
}

// An intake is what a server took in, and what that cost.
type intake struct {
	tally                     // of the posts at full speed
	all               int64   // points, those of the first round included
	took, rate        float64 // s, points/s
	firstCPU          float64 // µs of the server for the first point of a series
	serverCPU, ownCPU float64 // µs a point
	resident, peak    int64   // bytes
}

// measure posts a point of every series, then at full speed, and waits until all of it is
// folded.
func (l Load) measure(ctx context.Context, p *process) (m intake, err error) {
	start, err := p.cpu()
	if err != nil {
		return m, err
	}
	now := time.Now()
	first, err := l.fleet().fill(ctx, p.host, l.Connections, now, now.Add(time.Second), time.Second)
	if err != nil {
		return m, err
	}
	if err := p.folded(ctx, first.points); err != nil {
		return m, err
	}
	before, err := p.cpu()
	if err != nil {
		return m, err
	}
	own, began := ownCPU(), time.Now()
	if m.tally, err = l.fleet().pour(ctx, p.host, l.Connections, 0, began.Add(l.Duration), nil); err != nil {
		return m, err
	}
	m.all = first.points + m.points
	if err := p.folded(ctx, m.all); err != nil {
		return m, err
	}
	m.took = time.Since(began).Seconds()
	after, err := p.cpu()
	if err != nil {
		return m, err
	}
	m.rate = float64(m.points) / m.took
	m.firstCPU = (before - start) / float64(first.points) * 1e6
	m.serverCPU = (after - before) / float64(m.points) * 1e6
	m.ownCPU = (ownCPU() - own) / float64(m.points) * 1e6
	if m.resident, err = p.resident(); err != nil {
		return m, err
	}
	m.peak, err = p.status("VmHWM:")
	return m, err
}

// ownCPU returns the processor time that this process has used, in seconds.
func ownCPU() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // it cannot fail for oneself
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
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

// folded waits until the server has folded that many points since its start.
func (p *process) folded(ctx context.Context, want int64) error {
	for {
		got, err := p.counter(ctx, "freshet_aggregate_points_total")
		if err != nil {
			return err
		}
		if int64(got) >= want {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// counts checks that a query counts so many points of a metric in the last 40 days.
func (p *process) counts(ctx context.Context, metric string, want int64) error {
	got, err := p.total(ctx, fmt.Sprintf(`{"metric":%q,"agg":"count","range":"40d","step":"1d"}`, metric))
	if err == nil && int64(got) != want {
		err = fmt.Errorf("the server counts %.0f points of %s; %d were acknowledged", got, metric, want)
	}
	return err
}

// total returns the sum of all that a query answers.
func (p *process) total(ctx context.Context, query string) (float64, error) {
	data, err := getJSON(ctx, http.MethodPost, p.url+"/api/v1/query", []byte(query))
	if err != nil {
		return 0, err
	}
	var a struct{ Series []struct{ Values []*float64 } }
	if err := json.Unmarshal(data, &a); err != nil {
		return 0, err
	}
	var sum float64
	for _, s := range a.Series {
		for _, v := range s.Values {
			if v != nil {
				sum += *v
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
	began := time.Now()
	sent, err := l.fleet().pour(ctx, host, l.Connections, 0, began.Add(min(l.Duration, 3*time.Second)), nil)
	return float64(sent.points) / time.Since(began).Seconds(), err
}
