package aggregate

import (
	"context"

	"freshet/stream"
)

// History is the loaded part of the data: the warehouse.
type History interface {
	// Snapshot opens a view that no later load changes. The caller closes it.
	Snapshot(ctx context.Context) (Snapshot, error)
}

// A Snapshot holds every generation up to its own and nothing of later ones.
type Snapshot interface {
	Generation() Generation
	// Rows yields the loaded windows of a metric with from ≤ start < to (epoch ms) at a
	// resolution of 60,000 or 3,600,000 ms. The same window may come in several parts.
	Rows(ctx context.Context, metric string, resolution, from, to int64, yield func(*Row) error) error
	// Points yields the loaded raw points of a metric with from ≤ time < to, in log order within a series.
	Points(ctx context.Context, metric string, from, to int64, yield func(*Points) error) error
	Close() error
}

// Restored is what the warehouse holds when the program starts.
type Restored struct {
	Generation Generation                       // the last loaded, 0 for none
	Positions  map[stream.ShardID]stream.Offset // where folding goes on, by shard
	Series     []Series                         // by rising id
	Extents    map[string]Extent                // by metric
}

// An Extent is the span of time that the loaded points of a metric cover, both ends
// included, in epoch milliseconds.
type Extent struct{ First, Last int64 }
