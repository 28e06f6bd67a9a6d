package producer

import (
	"fmt"
	"math"
	"slices"
	"time"

	"freshet/ingest/point"
)

// A handle is one series of a producer.
type handle struct {
	p      *Producer
	series point.Series
	err    error

	// Guarded by p.mu.
	view   point.View // of series
	epoch  uint64     // the batch in which the series has the number
	number int
}

// A Gauge reports values that go up and down.
type Gauge struct{ h handle }

// A Counter reports increments.
type Counter struct{ h handle }

// A Cumulative reports totals that rise until they start again, such as bytes sent since
// the machine started.
type Cumulative struct{ h handle }

// A Distribution reports observations, of which percentiles are of interest.
type Distribution struct{ h handle }

// A Set reports members, which are counted distinct.
type Set struct{ h handle }

// Gauge returns a handle for a series. labels may be nil. Like the other four it returns one
// even for a series that may not be: its Err says why, and points added to it are rejected.
func (p *Producer) Gauge(metric string, labels Labels) *Gauge {
	return &Gauge{p.handle(metric, point.Gauge, labels)}
}

// Counter returns a handle for a series of increments. See Gauge.
func (p *Producer) Counter(metric string, labels Labels) *Counter {
	return &Counter{p.handle(metric, point.Counter, labels)}
}

// Cumulative returns a handle for a series of totals. See Gauge.
func (p *Producer) Cumulative(metric string, labels Labels) *Cumulative {
	return &Cumulative{p.handle(metric, point.Cumulative, labels)}
}

// Distribution returns a handle for a series of observations. See Gauge.
func (p *Producer) Distribution(metric string, labels Labels) *Distribution {
	return &Distribution{p.handle(metric, point.Distribution, labels)}
}

// Set returns a handle for a series of members. See Gauge.
func (p *Producer) Set(metric string, labels Labels) *Set {
	return &Set{p.handle(metric, point.Set, labels)}
}

// Set reports the value now.
func (g *Gauge) Set(value float64) { g.h.add(time.Now(), value, "") }

// SetAt reports the value at some other time.
func (g *Gauge) SetAt(t time.Time, value float64) { g.h.add(t, value, "") }

// Err says why the series may not be, if it may not.
func (g *Gauge) Err() error { return g.h.err }

// Add reports an increment now.
func (c *Counter) Add(n float64) { c.h.add(time.Now(), n, "") }

// AddAt reports an increment at some other time.
func (c *Counter) AddAt(t time.Time, n float64) { c.h.add(t, n, "") }

// Err says why the series may not be, if it may not.
func (c *Counter) Err() error { return c.h.err }

// Set reports the total now.
func (c *Cumulative) Set(total float64) { c.h.add(time.Now(), total, "") }

// SetAt reports the total at some other time.
func (c *Cumulative) SetAt(t time.Time, total float64) { c.h.add(t, total, "") }

// Err says why the series may not be, if it may not.
func (c *Cumulative) Err() error { return c.h.err }

// Observe reports an observation now.
func (d *Distribution) Observe(value float64) { d.h.add(time.Now(), value, "") }

// ObserveAt reports an observation at some other time.
func (d *Distribution) ObserveAt(t time.Time, value float64) { d.h.add(t, value, "") }

// Err says why the series may not be, if it may not.
func (d *Distribution) Err() error { return d.h.err }

// Insert reports a member now.
func (s *Set) Insert(member string) { s.h.add(time.Now(), 0, member) }

// InsertAt reports a member at some other time.
func (s *Set) InsertAt(t time.Time, member string) { s.h.add(t, 0, member) }

// Err says why the series may not be, if it may not.
func (s *Set) Err() error { return s.h.err }

// handle resolves a series.
func (p *Producer) handle(metric string, t point.Type, labels Labels) handle {
	h := handle{p: p, series: point.Series{Metric: metric, Type: t}}
	for name, value := range labels {
		h.series.Labels = append(h.series.Labels, point.Label{Name: name, Value: value})
	}
	for _, l := range p.labels {
		if _, own := labels[l.Name]; !own {
			h.series.Labels = append(h.series.Labels, l)
		}
	}
	slices.SortFunc(h.series.Labels, byName)
	h.view.SetSeries(&h.series)
	h.view.Time = point.MinTime
	if t == point.Set {
		h.view.Member = []byte("any")
	}
	if err := h.view.Check(point.MinTime); err != nil {
		h.err = fmt.Errorf("producer: series %q: %w", metric, err)
	}
	return h
}

// Add adds a point of any series. It is slower than a handle, which knows its series.
func (p *Producer) Add(pt point.Point) {
	h := handle{p: p, series: pt.Series}
	h.view.SetSeries(&pt.Series)
	for _, l := range p.labels {
		if !slices.ContainsFunc(pt.Labels, func(own point.Label) bool { return own.Name == l.Name }) {
			h.view.Labels = append(h.view.Labels, point.LabelView{Name: []byte(l.Name), Value: []byte(l.Value)})
		}
	}
	h.view.Time, h.view.Value, h.view.Member = point.MinTime, pt.Value, []byte(pt.Member)
	h.err = h.view.Check(point.MinTime)
	h.add(time.UnixMilli(pt.Time), pt.Value, pt.Member)
}

// add adds a point, or rejects or drops it.
func (h *handle) add(t time.Time, value float64, member string) {
	ts := t.UnixMilli()
	if h.err != nil {
		h.reject(ts, h.err.Error())
		return
	}
	if reason := invalid(h.series.Type, value, member); reason != "" {
		h.reject(ts, reason)
		return
	}
	p := h.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && p.usedLocked() >= p.o.BufferBytes {
		if p.o.OnFull == Drop {
			p.stats.Dropped++
			p.lost = errFull
			return
		}
		p.sealLocked() // what is in current may be all there is to send
		p.room.Wait()
	}
	if p.closed {
		p.stats.Dropped++
		return
	}
	if p.current.Len() == 0 {
		p.born = time.Now()
	}
	if h.epoch != p.epoch {
		h.number = p.current.Series(&h.view)
		h.epoch = p.epoch
	}
	p.member = append(p.member[:0], member...)
	p.current.AddTo(h.number, ts, value, p.member)
	if p.current.Len() >= p.o.BatchPoints || p.current.Size() >= sealedBytes {
		p.sealLocked()
	}
}

// invalid returns what is wrong with a value, "" if nothing.
func invalid(t point.Type, value float64, member string) string {
	if t != point.Set {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return fmt.Sprintf("value: must be a finite number, got %v", value)
		}
		return ""
	}
	if member == "" || len(member) > point.MaxMember {
		return fmt.Sprintf("value: a member has 1 to %d bytes, got %d", point.MaxMember, len(member))
	}
	if err := point.CheckText(member); err != nil {
		return fmt.Sprintf("value: %v: %.40q", err, member)
	}
	return ""
}

func (h *handle) reject(ts int64, reason string) {
	h.p.mu.Lock()
	h.p.stats.Rejected++
	h.p.mu.Unlock()
	if h.p.o.OnReject != nil {
		h.p.o.OnReject(Rejection{Series: h.series, Time: ts, Reason: reason})
	}
}
