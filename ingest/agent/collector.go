package agent

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"time"

	"freshet/ingest/point"
)

// A Sink takes points. It must not keep the collector waiting for the network;
// *producer.Producer is one.
type Sink interface {
	Add(point.Point)
}

// Options say what is collected and where it goes.
type Options struct {
	Sink   Sink          // needed
	Host   string        // the label host; "" means the machine's name
	Every  time.Duration // 0 means 1 s
	Logger *slog.Logger  // nil discards
}

// A Collector reads this machine's counters.
type Collector struct {
	sink   Sink
	host   string
	every  time.Duration
	logger *slog.Logger
	now    int64 // epoch ms of the reading that is under way

	lastCPU   []cpuMode // of the reading before, to tell what was spent since
	lastSlow  time.Time
	complaint map[string]bool // what was logged as not there
}

// slowEvery is how often what changes slowly is read.
const slowEvery = 10 * time.Second

// New returns a collector.
func New(o Options) *Collector {
	c := &Collector{sink: o.Sink, host: o.Host, every: o.Every, logger: o.Logger, complaint: map[string]bool{}}
	if c.host == "" {
		c.host = "unknown"
		if name, err := os.Hostname(); err == nil && name != "" {
			c.host = name
		}
	}
	if c.every <= 0 {
		c.every = time.Second
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Run collects until ctx ends, at full multiples of the interval, and returns
// ctx's error.
func (c *Collector) Run(ctx context.Context) error {
	for {
		c.Collect(ctx, time.Now())
		now := time.Now()
		timer := time.NewTimer(now.Truncate(c.every).Add(c.every).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// Collect reads everything once, as of now. The share of time that processors
// spent is since the Collect before, and is left out the first time.
func (c *Collector) Collect(ctx context.Context, now time.Time) {
	c.now = now.UnixMilli()
	c.try("processors", c.processors(ctx))
	c.try("load", c.load(ctx))
	c.try("memory", c.memory(ctx))
	c.try("swap", c.swap(ctx))
	c.try("disks", c.disks(ctx))
	c.try("network", c.network(ctx))
	c.try("processes", c.processes(ctx))
	c.try("uptime", c.uptime(ctx))
	if now.Sub(c.lastSlow) >= slowEvery {
		c.lastSlow = now
		c.try("file systems", c.fileSystems(ctx))
	}
}

// try logs, the first time only, that something cannot be read.
func (c *Collector) try(what string, err error) {
	if err == nil || c.complaint[what] {
		return
	}
	c.complaint[what] = true
	c.logger.Warn("agent: cannot read", "what", what, "error", err)
}

// gauge sends one value. labels are names and values.
func (c *Collector) gauge(metric string, value float64, labels ...string) {
	c.send(metric, point.Gauge, value, labels)
}

// total sends a count that only rises.
func (c *Collector) total(metric string, value float64, labels ...string) {
	c.send(metric, point.Cumulative, value, labels)
}

func (c *Collector) send(metric string, t point.Type, value float64, labels []string) {
	all := point.Labels{{Name: "host", Value: c.host}}
	for i := 0; i+1 < len(labels); i += 2 {
		all = append(all, point.Label{Name: labels[i], Value: labels[i+1]})
	}
	slices.SortFunc(all, func(a, b point.Label) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	c.sink.Add(point.Point{Series: point.Series{Metric: metric, Type: t, Labels: all}, Time: c.now, Value: value})
}
