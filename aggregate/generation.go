package aggregate

import (
	"context"

	"freshet/aggregate/window"
	"freshet/stream"
)

// A Generation is a range of positions in every shard, numbered from 1. A load makes
// exactly one generation part of the warehouse.
type Generation uint64

// A Range is the part of one shard that a generation covers: From ≤ offset < To.
type Range struct {
	Shard    stream.ShardID
	From, To stream.Offset
	MaxTime  int64 // greatest time of a point of the shard so far, epoch ms; 0 for none
}

// Points is a run of raw points in columns of equal length. It is valid until the
// function that it was given to returns.
type Points struct {
	Generation Generation
	Shard      stream.ShardID
	Offset     []stream.Offset // of the record that held the point
	Series     []SeriesID
	Time       []int64 // epoch milliseconds
	Value      []float64
	Member     []string // nil when no point of the run belongs to a set
	Late       []bool   // came after its window was final; nil when no point of the run did
}

// A Row is one window of one series.
type Row struct {
	Series SeriesID
	Start  int64 // epoch milliseconds, a multiple of the resolution
	State  *window.State
}

// A Frozen generation no longer changes: it is what one load writes.
type Frozen interface {
	Generation() Generation
	// Ranges lists the shards of the generation; From may equal To.
	Ranges() []Range
	// NewSeries returns the series with an id above known, by rising id; every series
	// that the generation's points or rows name is among the known and these.
	NewSeries(known SeriesID) []Series
	// Points reads the raw points, shard by shard in the order of the log.
	Points(ctx context.Context, yield func(*Points) error) error
	// Rows yields the windows of one resolution (a multiple of the base window, in
	// milliseconds), ordered by metric, start and series. The row is valid until yield returns.
	Rows(ctx context.Context, resolution int64, yield func(*Row) error) error
	// Keys yields the keys of posts that the generation brought, shard by shard and at least
	// once a shard. A shard that starts with those of all generations knows again what was posted.
	Keys(ctx context.Context, yield func(*Keys) error) error
}
