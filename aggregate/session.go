package aggregate

import (
	"cmp"
	"context"
	"math"
	"slices"

	"freshet/aggregate/window"
)

// Limits of sessions.
const (
	MaxSessions     = 10_000                // that an answer lists
	maxSessionGap   = 24 * hour             // milliseconds
	maxSessionRange = 31 * 24 * int64(hour) // milliseconds: all of it is read second by second
	defaultSessions = 100
	sessionSlice    = hour // that is read at a time
)

// A Session asks for the sessions of each group instead of steps: its points of which
// each comes less than Gap after the one before.
type Session struct {
	Gap   string `json:"gap"`             // such as 30m
	Limit int    `json:"limit,omitempty"` // how many of the newest are listed; 0 means 100
}

// A SessionValue is one session of an answer.
type SessionValue struct {
	Labels   map[string]string `json:"labels"`
	Start    int64             `json:"start"` // time of the first point, epoch ms
	End      int64             `json:"end"`   // time of the last point
	Count    uint64            `json:"count"` // of the points
	Late     uint64            `json:"late,omitempty"`
	Value    float64           `json:"value"`               // what the query asks for
	Open     bool              `json:"open,omitempty"`      // it may still grow by points that come in time
	CutStart bool              `json:"cut_start,omitempty"` // it goes on before the range
	CutEnd   bool              `json:"cut_end,omitempty"`   // it goes on behind the range
}

// planSession checks the part of a query that asks for sessions.
func (p *Plan) planSession(span int64) error {
	q := p.Query
	switch {
	case q.Step != "" || q.Zone != "" || q.Window != "" || q.Compare != "" || q.Top != 0:
		return refuse("session stands instead of steps: step, zone, window, compare and top do not go with it")
	case span > maxSessionRange:
		return refuse("range is %d ms; with session the limit is %d", span, maxSessionRange)
	case q.Session.Limit < 0 || q.Session.Limit > MaxSessions:
		return refuse("session.limit is %d; it must lie between 0 and %d", q.Session.Limit, MaxSessions)
	}
	gap, err := parseDuration(q.Session.Gap)
	switch {
	case err != nil:
		return refuse("session.gap %q: %v", q.Session.Gap, err)
	case gap < p.width() || gap > maxSessionGap:
		return refuse("session.gap is %d ms; it must lie between the window of %d ms and %d ms", gap, p.width(), maxSessionGap)
	}
	p.gap = gap
	p.limit = cmp.Or(q.Session.Limit, defaultSessions)
	p.grid.step = p.width()
	return nil
}

// A session is one while it is put together.
type session struct {
	group      int
	start, end int64
	cut        [2]bool // at the start and at the end of the range
	late       uint64
	state      window.State // without sketch and members
	sketch     *window.Histogram
	members    *window.Distinct
}

// sessions finds the sessions of a plan. Cells come by rising time of their first point.
// None is longer than the gap, so a session ends exactly where the next cell of the group
// begins that much behind the end of all before.
type sessions struct {
	plan     *Plan
	source   *source
	from, to int64

	open    []*session   // by group; nil for none
	ends    []int64      // by group: of the last cell; the least number for none
	touched [][]*session // by group: those with cells in the slice, by rising time
	done    []*session   // the newest that have ended, about
	dropped bool         // older ones than those
}

// evaluateSessions answers a plan that asks for sessions of points from ≤ time < to.
func (p *Plan) evaluateSessions(ctx context.Context, v *View, from, to int64) (*Answer, error) {
	a := &Answer{Times: []int64{}, Series: []Values{}, Sessions: []SessionValue{}, Covers: v.covers(v.pin.loaded)}
	p.date(a, v, from)
	s := p.sources[0]
	if err := s.refresh(); err != nil {
		return nil, err
	}
	if s.metric == nil || len(s.groups) == 0 {
		return a, nil
	}
	for {
		before := v.taken()
		x := newSessions(p, s, from, to)
		loaded, err := x.read(ctx, v)
		if err != nil {
			return nil, err
		}
		// A snapshot opened on the way may be of a later generation than what was read
		// before it. Then all is read again, from that snapshot.
		if loaded != before {
			continue
		}
		a.Covers = v.covers(loaded)
		a.Sessions, a.Truncated = x.values(a.Watermark), x.dropped
		return a, nil
	}
}

func newSessions(p *Plan, s *source, from, to int64) *sessions {
	x := &sessions{plan: p, source: s, from: from, to: to}
	x.open = make([]*session, len(s.groups))
	x.touched = make([][]*session, len(s.groups))
	x.ends = slices.Repeat([]int64{math.MinInt64 / 2}, len(s.groups))
	return x
}

// read takes in what lies in the range and within a gap of it, slice by slice.
func (x *sessions) read(ctx context.Context, v *View) (loaded Generation, err error) {
	base := x.plan.width()
	slice := max(sessionSlice/base*base, base)
	begin, end := window.Floor(x.from-x.plan.gap, base), x.to+x.plan.gap
	for at := begin; at < end; at = window.Floor(at, slice) + slice {
		to := min(window.Floor(at, slice)+slice, end)
		blocks, generation, err := v.blocks(ctx, x.source.metric, blockSpan{base, at, to}, nil)
		if err != nil {
			return 0, err
		}
		loaded = generation
		var views []*window.View
		for _, b := range blocks {
			views = append(views, b.Views...)
		}
		v.pending(x.source.metric, loaded, func(w *window.View) { views = append(views, w) })
		window.InOrder(views, at, to, x.source.groupOf, x.cell)
		if kind := x.source.kind; kind == aggQuantile || kind == aggDistinct {
			x.fill(views, max(at, x.from), min(to, x.to))
		}
		for g := range x.touched {
			x.touched[g] = x.touched[g][:0]
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	for g := range x.open {
		x.close(g)
	}
	x.trim(x.plan.limit)
	return loaded, nil
}

// cell takes in the next cell.
func (x *sessions) cell(series uint32, s *window.State) {
	g := int(x.source.groupOf[series])
	on := s.FirstTime-x.ends[g] < x.plan.gap // it belongs to what came before
	cur := x.open[g]
	switch {
	case s.FirstTime >= x.to:
		if cur != nil {
			cur.cut[1] = on
			x.close(g)
		}
	case s.FirstTime >= x.from:
		if cur == nil || !on {
			x.close(g)
			cur = &session{group: g, start: s.FirstTime, cut: [2]bool{on, false}}
			x.open[g] = cur
		}
		cur.state.MergeScalars(s)
		cur.late += s.Late
		cur.end = cur.state.LastTime
		if n := len(x.touched[g]); n == 0 || x.touched[g][n-1] != cur {
			x.touched[g] = append(x.touched[g], cur)
		}
	}
	x.ends[g] = max(x.ends[g], s.LastTime)
}

// close ends the session of a group.
func (x *sessions) close(g int) {
	if x.open[g] == nil {
		return
	}
	x.done = append(x.done, x.open[g])
	x.open[g] = nil
	if len(x.done) >= 2*x.plan.limit+1000 {
		x.trim(x.plan.limit)
	}
}

// trim drops all but the newest sessions.
func (x *sessions) trim(limit int) {
	slices.SortFunc(x.done, func(a, b *session) int {
		return cmp.Or(cmp.Compare(b.start, a.start), cmp.Compare(x.source.groups[a.group].key, x.source.groups[b.group].key))
	})
	if len(x.done) > limit {
		clear(x.done[limit:])
		x.done, x.dropped = x.done[:limit], true
	}
}

// values returns the sessions that are left, the newest first.
func (x *sessions) values(watermark int64) []SessionValue {
	out := make([]SessionValue, len(x.done))
	for i, s := range x.done {
		out[i] = SessionValue{
			Labels: x.source.labels(s.group), Start: s.start, End: s.end, Count: s.state.Count, Late: s.late,
			Value: x.value(s), Open: s.end+x.plan.gap > watermark, CutStart: s.cut[0], CutEnd: s.cut[1],
		}
	}
	return out
}

func (x *sessions) value(s *session) float64 {
	switch x.source.kind {
	case aggCount:
		return float64(s.state.Count)
	case aggSum:
		return s.state.Sum
	case aggAvg:
		return s.state.Sum / float64(s.state.Count)
	case aggMin:
		return s.state.Min
	case aggMax:
		return s.state.Max
	case aggLast:
		return s.state.Last
	case aggQuantile:
		return s.sketch.Quantile(x.source.q)
	default:
		return float64(s.members.Count())
	}
}

// fill counts observations and members in the sessions of a slice.
func (x *sessions) fill(views []*window.View, from, to int64) {
	for _, v := range views {
		for _, c := range slices.Concat(v.Singles, v.Late) {
			for i, series := range c.Series {
				if s := x.at(series, c.Time(i), from, to); s != nil {
					s.single(c, i)
				}
			}
		}
		for _, c := range v.Fulls {
			for i, series := range c.Series {
				if s := x.at(series, c.Start(i)+int64(c.FirstAt[i]), from, to); s != nil {
					s.full(c, i)
				}
			}
		}
		for i := range v.Open {
			o := &v.Open[i]
			at := func(row uint32) *session {
				r := o.Rows.At(int(row))
				return x.at(r.Series, o.Start+int64(r.FirstAt), from, to)
			}
			for _, b := range o.Bins {
				if s := at(b.Row); s != nil {
					s.histogram().Add(b.Bin, uint64(b.Count))
				}
			}
			for _, m := range o.Members {
				if s := at(m.Row); s != nil {
					s.distinct().Add(m.Hash)
				}
			}
		}
	}
}

// at returns the session of the slice that a series' cell with a first point at a time
// belongs to, nil outside of a span.
func (x *sessions) at(series uint32, at, from, to int64) *session {
	if at < from || at >= to || int(series) >= len(x.source.groupOf) || x.source.groupOf[series] < 0 {
		return nil
	}
	of := x.touched[x.source.groupOf[series]]
	i, found := slices.BinarySearchFunc(of, at, func(s *session, at int64) int { return cmp.Compare(s.start, at) })
	if found {
		return of[i]
	}
	return of[i-1] // the cell was seen, so there is one
}

func (s *session) histogram() *window.Histogram {
	if s.sketch == nil {
		s.sketch = &window.Histogram{}
	}
	return s.sketch
}

func (s *session) distinct() *window.Distinct {
	if s.members == nil {
		s.members = &window.Distinct{}
	}
	return s.members
}

func (s *session) single(c *window.Singles, i int) {
	if c.Hash != nil {
		s.distinct().Add(c.Hash[i])
		return
	}
	s.histogram().Add(window.BinOf(c.Value[i]), 1)
}

func (s *session) full(c *window.Fulls, i int) {
	if c.Distinct != nil {
		s.distinct().Merge(&c.Distinct[i])
		return
	}
	for _, b := range c.BinsOf(i) {
		s.histogram().Add(b.Bin, uint64(b.Count))
	}
}
