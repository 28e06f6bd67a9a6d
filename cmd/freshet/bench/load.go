package bench

import (
	"context"
	"fmt"
	"time"
)

// History says how many points Warehouse and Replay work on: an hour of points, one of
// every series each step.
type History struct {
	Series int           `help:"How many series." default:"10000"`
	Step   time.Duration `help:"Between two points of a series; one hour is posted." default:"10s"`
}

// fleet returns what is posted.
func (h History) fleet() *fleet {
	return &fleet{metric: ingestMetric, kind: "gauge", series: h.Series, batch: min(2000, h.Series), codec: codecBatch}
}

// post sends the hour before now, in the order of time, and waits until it is folded.
func (h History) post(ctx context.Context, p *process) (int64, error) {
	end := time.Now().Truncate(time.Second)
	sent, err := h.fleet().fill(ctx, p.host, 4, end.Add(-time.Hour), end, h.Step)
	if err != nil {
		return 0, err
	}
	return sent.points, p.folded(ctx, sent.points)
}

// Warehouse measures how many rows a second are loaded, and the memory before and after.
func Warehouse(ctx context.Context, h History) (*Report, error) {
	p, _, err := start(ctx, "")
	if err != nil {
		return nil, err
	}
	defer p.close()
	sent, err := h.post(ctx, p)
	if err != nil {
		return nil, err
	}
	r := &Report{Name: fmt.Sprintf("load: an hour of %d series, a point every %v, %d points", h.Series, h.Step, sent)}
	before, err := p.resident()
	if err != nil {
		return nil, err
	}
	loaded, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	r.add("rows loaded", float64(loaded.Points)/loaded.Seconds, "/s", fmt.Sprintf("%d points in %.2f s", loaded.Points, loaded.Seconds))
	if err := p.counts(ctx, ingestMetric, sent); err != nil {
		return nil, fmt.Errorf("after the load: %w", err)
	}
	time.Sleep(3 * time.Second) // what was needed for the load goes back to the system
	after, err := p.resident()
	if err != nil {
		return nil, err
	}
	r.add("resident memory before the load", float64(before)/(1<<20), "MiB", "")
	r.add("resident memory after the load", float64(after)/(1<<20), "MiB", "")
	return r, nil
}

// Replay measures how many points a second are folded again after a kill -9.
func Replay(ctx context.Context, h History) (*Report, error) {
	p, empty, err := start(ctx, "")
	if err != nil {
		return nil, err
	}
	sent, err := h.post(ctx, p)
	if err != nil {
		_ = p.close()
		return nil, err
	}
	if err := p.kill(); err != nil {
		return nil, err
	}
	again, took, err := start(ctx, p.dir)
	if err != nil {
		return nil, err
	}
	defer again.close()
	if err := again.counts(ctx, ingestMetric, sent); err != nil {
		return nil, fmt.Errorf("after the restart: %w", err)
	}
	r := &Report{Name: fmt.Sprintf("replay: %d points of %d series after kill -9", sent, h.Series)}
	r.add("points replayed", float64(sent)/(took-min(empty, took/2)).Seconds(), "/s",
		fmt.Sprintf("ready after %.2f s; a start without data takes %.2f s", took.Seconds(), empty.Seconds()))
	return r, nil
}
