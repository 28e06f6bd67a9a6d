package aggregate

import (
	"cmp"
	"slices"

	"freshet/aggregate/hot"
	"freshet/aggregate/window"
	"freshet/ingest/point"
	"freshet/stream"
)

// Stats are the engine's present state and its counts since the start.
type Stats struct {
	Points       uint64 // folded
	Malformed    uint64 // records that hold no points
	Refused      uint64 // points of other records that may not be, such as one from the far future
	Repeated     uint64 // points of posts that were sent again, not counted again
	Keys         int    // of posts that are remembered
	Series       int
	Metrics      int
	Overflowed   uint64 // look-ups that ended in an overflow series
	PendingBytes int64  // of windows in memory
	Throttled    bool   // they have reached their bound, and posts are refused
	Open, Loaded Generation
	Shards       []ShardStats
	Cache        hot.Stats
}

// ShardStats are those of one shard.
type ShardStats struct {
	ID      stream.ShardID
	Folded  stream.Offset // offsets below are folded
	Durable stream.Offset
}

// Stats returns the present state.
func (e *Engine) Stats() Stats {
	s := Stats{PendingBytes: e.pendingBytes(), Throttled: e.bounded.Load(), Overflowed: e.dictionary.Overflowed(), Cache: e.cache.Stats()}
	s.Series, s.Metrics = e.dictionary.Len()
	for _, sh := range e.all() {
		s.Points += sh.points.Load()
		s.Malformed += sh.bad.Load()
		s.Refused += sh.refused.Load()
		s.Repeated += sh.repeats.Load()
		s.Keys += int(sh.remembered.Load())
		s.Shards = append(s.Shards, ShardStats{sh.log.ID(), stream.Offset(sh.folded.Load()), sh.log.Durable()})
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Open, s.Loaded = e.open, e.loaded
	return s
}

// MetricInfo describes a metric.
type MetricInfo struct {
	Metric string   `json:"metric"`
	Type   string   `json:"type"`
	Labels []string `json:"labels"` // names, in order
	Series int      `json:"series"`
	Last   int64    `json:"last"` // time of the last window with points, epoch ms
}

// Metrics lists the metrics in order of name, as the view sees them.
func (v *View) Metrics() []MetricInfo {
	var out []MetricInfo
	for _, m := range v.engine.dictionary.all() {
		entries := m.series()
		info := MetricInfo{Metric: m.name, Series: len(entries), Labels: m.index.labelNames(entries)}
		info.Type = entries[0].Type.String()
		info.Last = v.last(m)
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b MetricInfo) int { return cmp.Compare(a.Metric, b.Metric) })
	return out
}

// last returns the time of the last points of a metric.
func (v *View) last(m *metric) int64 {
	v.engine.mu.Lock()
	last := v.engine.extents[m.name].Last
	v.engine.mu.Unlock()
	v.pending(m, v.loaded, func(w *window.View) {
		for _, s := range w.Singles {
			last = max(last, s.Last)
		}
		for _, s := range w.Late {
			last = max(last, s.Last)
		}
		for _, f := range w.Fulls {
			last = max(last, f.Last)
		}
		for i := range w.Open {
			for j := range w.Open[i].Rows.Len() {
				last = max(last, w.Open[i].Start+int64(w.Open[i].Rows.At(j).LastAt))
			}
		}
	})
	return last
}

// LabelValues returns the values of a label over the series of a metric, in order, at
// most limit of them, and false if there is no such metric.
func (e *Engine) LabelValues(metric, label string, limit int) ([]string, bool) {
	m := e.dictionary.metric(metric)
	if m == nil {
		return nil, false
	}
	out := append([]string{}, m.index.texts(m.series(), label)...)
	slices.Sort(out)
	return out[:min(len(out), limit)], true
}

// TypeOf returns the type of a metric, and false if there is no such metric.
func (e *Engine) TypeOf(metric string) (point.Type, bool) {
	m := e.dictionary.metric(metric)
	if m == nil {
		return 0, false
	}
	return m.series()[0].Type, true
}
