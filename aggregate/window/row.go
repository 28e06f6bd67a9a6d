package window

import "freshet/ingest/point"

// A Row summarises the points of one series in one window, sketch and members aside.
// It fills one cache line.
type Row struct {
	Series          uint32 // index of the series in its metric
	Count           uint32
	FirstAt, LastAt uint32 // milliseconds after the window's start
	Sum, Min, Max   float64
	First, Last     float64
	Resets          float64 // see State.Resets
}

// State returns the row as a State without sketch and members.
func (r *Row) State(start int64) State {
	return State{
		Count: uint64(r.Count), Sum: r.Sum, Min: r.Min, Max: r.Max, First: r.First, Last: r.Last,
		FirstTime: start + int64(r.FirstAt), LastTime: start + int64(r.LastAt), Resets: r.Resets,
	}
}

// add adds a point that lies at milliseconds after the window's start.
func (r *Row) add(typ point.Type, at uint32, value float64) {
	r.Count++
	r.Sum += value
	r.Min = min(r.Min, value)
	r.Max = max(r.Max, value)
	switch {
	case at >= r.LastAt:
		if typ == point.Cumulative {
			r.Resets += Reset(r.Last, value)
		}
		r.Last, r.LastAt = value, at
	case at < r.FirstAt:
		if typ == point.Cumulative {
			r.Resets += Reset(value, r.First)
		}
		r.First, r.FirstAt = value, at
	}
}

// merge adds the points of o, which lie shift milliseconds later than o says and come
// later in the log than those of r where times are equal. See State.MergeScalars.
func (r *Row) merge(typ point.Type, o *Row, shift uint32) {
	first, last := o.FirstAt+shift, o.LastAt+shift
	if typ == point.Cumulative {
		r.Resets += o.Resets
		switch {
		case first >= r.LastAt:
			r.Resets += Reset(r.Last, o.First)
		case last < r.FirstAt:
			r.Resets += Reset(o.Last, r.First)
		}
	}
	r.Count += o.Count
	r.Sum += o.Sum
	r.Min = min(r.Min, o.Min)
	r.Max = max(r.Max, o.Max)
	if first < r.FirstAt {
		r.First, r.FirstAt = o.First, first
	}
	if last >= r.LastAt {
		r.Last, r.LastAt = o.Last, last
	}
}
