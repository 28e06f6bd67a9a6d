package aggregate

import (
	"time"

	"freshet/aggregate/window"
	"freshet/stream"
)

// A generation is what one shard has folded of a generation.
type generation struct {
	number   Generation
	from, to stream.Offset
	arrived  int64          // of record to-1, epoch ms
	begun    int64          // the shard's greatest time before the generation, epoch ms
	repeats  repeats        // what is not counted
	keys     keyRun         // once it is frozen
	folds    []*window.Fold // by metric id; nil where the metric has no points
	touched  []int          // metric ids with points since the last view
	inTouch  []bool         // by metric id: is in touched
	views    []*window.View // of the last view, by metric id
	sizes    []int64        // when last measured, by metric id
	bytes    int64          // all sizes added up
}

// A shardView is one shard at one moment: every record below next is in it and none
// from there on.
type shardView struct {
	shard    *shard
	next     stream.Offset
	arrived  int64     // of record next-1, epoch ms
	maxTime  int64     // greatest time of a point, epoch ms; 0 for none
	lastSeen time.Time // when the last points were folded
	gens     []genView // by rising number; the last is open
}

// A genView is one generation of a shardView.
type genView struct {
	number   Generation
	from, to stream.Offset
	arrived  int64          // of record to-1, epoch ms
	begun    int64          // the shard's greatest time before the generation, epoch ms; 0 for none
	maxTime  int64          // and with it
	repeats  repeats        // what is not counted
	keys     keyRun         // once it is frozen
	metrics  []*window.View // by metric id; nil where the metric has no points
}

// view returns the generation's windows of a metric, or nil.
func (g *genView) metric(id int) *window.View {
	if id < len(g.metrics) {
		return g.metrics[id]
	}
	return nil
}

// fold returns the fold of a metric, which from now on counts as touched.
func (g *generation) fold(id int, width int64) *window.Fold {
	if id >= len(g.folds) {
		n := id + 1 - len(g.folds)
		g.folds = append(g.folds, make([]*window.Fold, n)...)
		g.inTouch = append(g.inTouch, make([]bool, n)...)
		g.sizes = append(g.sizes, make([]int64, n)...)
	}
	if g.folds[id] == nil {
		g.folds[id] = window.NewFold(width)
	}
	if !g.inTouch[id] {
		g.inTouch[id] = true
		g.touched = append(g.touched, id)
	}
	return g.folds[id]
}

// measure makes the size of what is in memory known without showing it.
func (s *shard) measure() {
	var bytes int64
	for _, g := range s.gens {
		bytes += g.measure()
	}
	s.bytes.Store(bytes)
	s.unknown = 0
	s.remembered.Store(int64(s.keys.count))
}

// measure returns about how much memory the generation takes.
func (g *generation) measure() int64 {
	for _, id := range g.touched {
		size := g.folds[id].Bytes()
		g.bytes += size - g.sizes[id]
		g.sizes[id] = size
	}
	return g.bytes + g.repeats.bytes()
}

// publish makes the present state the view.
func (s *shard) publish() {
	loaded := s.engine.freed()
	for len(s.gens) > 1 && s.gens[0].number <= loaded {
		s.gens[0] = nil
		s.gens = s.gens[1:]
	}
	s.measure()
	v := &shardView{shard: s, next: s.next, arrived: s.arrived, maxTime: s.clock.greatest, lastSeen: s.lastSeen}
	v.gens = make([]genView, len(s.gens))
	for i, g := range s.gens {
		v.gens[i] = genView{
			number: g.number, from: g.from, to: g.to, arrived: g.arrived, begun: g.begun, maxTime: s.clock.greatest,
			repeats: g.repeats, keys: g.keys, metrics: g.publish(),
		}
		if i+1 < len(s.gens) {
			v.gens[i].maxTime = s.gens[i+1].begun
		}
	}
	s.dirty = false
	s.view.Store(v)
}

// publish returns the windows by metric, in a slice that does not change any more.
func (g *generation) publish() []*window.View {
	if len(g.touched) == 0 {
		return g.views
	}
	views := make([]*window.View, len(g.folds))
	copy(views, g.views)
	for _, id := range g.touched {
		views[id] = g.folds[id].View()
		g.inTouch[id] = false
	}
	g.touched = g.touched[:0]
	g.views = views
	return views
}
