package aggregate

import (
	"context"

	"freshet/aggregate/window"
	"freshet/stream"
)

// History is the loaded part of the data: the warehouse.
type History interface {
	// Snapshot opens a view that no later load changes. The caller closes it.
	Snapshot(ctx context.Context) (Snapshot, error)
}

// Horizons is a History that gives up what is old.
type Horizons interface {
	// Since returns from when on windows of a length in milliseconds are kept, the raw
	// points for one that is not stored; 0 when none has been given up. It never falls.
	Since(resolution int64) int64
}

// since returns from when on the windows of a length are there.
func (e *Engine) since(resolution int64) int64 {
	if h, ok := e.options.History.(Horizons); ok {
		return h.Since(resolution)
	}
	return 0
}

// A Snapshot holds every generation up to its own and nothing of later ones.
type Snapshot interface {
	Generation() Generation
	// Rows yields the loaded windows of a metric with from ≤ start < to (epoch ms) at a
	// resolution of 60,000, 3,600,000 or 86,400,000 ms. The same window may come in several parts.
	Rows(ctx context.Context, metric string, resolution, from, to int64, yield func(*Row) error) error
	// Points yields the loaded raw points of a metric with from ≤ time < to, in log order within a series.
	Points(ctx context.Context, metric string, from, to int64, yield func(*Points) error) error
	// Groups adds up loaded windows by group and step where they are kept, so that what
	// comes back is as large as the answer and not as the history. Each group and step
	// that holds any point is yielded once, in no order.
	Groups(ctx context.Context, r GroupsRequest, yield func(*GroupRow) error) error
	Close() error
}

// A GroupsRequest says which windows of a metric to add up, and how.
type GroupsRequest struct {
	Metric string
	// Resolution is the length in milliseconds of the windows to read: 60,000, 3,600,000
	// or 86,400,000, or less for the raw points. Every step consists of whole windows.
	Resolution int64
	From, To   int64 // epoch ms, From ≤ time < To
	Step       int64 // length of a step in milliseconds; the first begins at From
	// Edges are the starts of the steps, rising from From on, where steps differ in
	// length; the last ends at To. With Edges, Step is not used.
	Edges []int64
	// Series and Groups are columns of equal length: what is wanted, and the group of
	// each, a number from 0 on.
	Series []SeriesID
	Groups []int32

	WantSketch, WantDistinct bool // fill Sketch and Distinct, which cost more than all the rest
}

// A GroupRow is what a group has in one step. It is valid until the function that it
// was given to returns.
type GroupRow struct {
	Group               int32
	Step                int64 // start of the step, epoch ms
	Count               uint64
	Sum, Min, Max, Last float64
	LastTime            int64  // of Last, epoch ms
	Late                uint64 // of the points, how many came after their window was final
	Sketch              window.Sketch
	Distinct            window.Distinct
}

// Restored is what the warehouse holds when the program starts.
type Restored struct {
	Generation Generation                       // the last loaded, 0 for none
	Positions  map[stream.ShardID]stream.Offset // where folding goes on, by shard
	Series     []Series                         // by rising id; ids of series that have expired are missing
	LastSeries SeriesID                         // the highest id ever given; none up to it is given again
	Extents    map[string]Extent                // by metric
	Keys       []Keys                           // of posts, by shard and number
	// MaxTimes holds by shard the greatest time of a point that was loaded (epoch ms), so
	// that lateness goes on where it was.
	MaxTimes map[stream.ShardID]int64
}

// An Extent is the span of time that the loaded points of a metric cover, both ends
// included, in epoch milliseconds.
type Extent struct{ First, Last int64 }
