package warehouse

import (
	"context"
	"sync"

	"freshet/aggregate"
	"freshet/warehouse/duck"
)

// A pending is what is not loaded: the tail of a query, or the generation of a load.
type pending interface {
	Points(ctx context.Context, yield func(*aggregate.Points) error) error
	NewSeries(known aggregate.SeriesID) []aggregate.Series
}

// A reading is what the table functions of one query or load read. It travels in the
// context of the query.
type reading struct {
	pending
	known aggregate.SeriesID // the database has the series up to this one
	scans sync.WaitGroup     // goroutines that read points or rows for a scan
}

type readingKey struct{}

// withPending returns a context whose queries see p as what is not loaded, and a
// function that ends what the table functions started and waits for it.
func withPending(ctx context.Context, p pending, known aggregate.SeriesID) (context.Context, func()) {
	r := &reading{pending: p, known: known}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, readingKey{}, r))
	return ctx, func() {
		cancel()
		r.scans.Wait()
	}
}

// readingOf returns what a query reads, nil for one outside of withPending.
func readingOf(ctx context.Context) *reading {
	r, _ := ctx.Value(readingKey{}).(*reading)
	return r
}

// functions returns the table functions that views and loads use.
func functions() []duck.Function {
	return []duck.Function{
		{
			Name: "pending_points", Rows: 1_000_000,
			Fields: []duck.Field{
				{Name: "series", Type: duck.UInteger}, {Name: "ts", Type: duck.Timestamp}, {Name: "value", Type: duck.Double},
				{Name: "member", Type: duck.Varchar}, {Name: "shard", Type: duck.UInteger}, {Name: "seq", Type: duck.UBigInt},
				{Name: "generation", Type: duck.UBigInt}, {Name: "late", Type: duck.Boolean},
			},
			Open: func(ctx context.Context) (duck.Source, error) {
				r := readingOf(ctx)
				if r == nil {
					return nil, nil
				}
				return newPointSource(ctx, r), nil
			},
		},
		{
			Name: "pending_series", Rows: 10_000,
			Fields: []duck.Field{
				{Name: "id", Type: duck.UInteger}, {Name: "metric", Type: duck.Varchar}, {Name: "type", Type: duck.UTinyInt}, {Name: "labels"},
			},
			Open: func(ctx context.Context) (duck.Source, error) {
				r := readingOf(ctx)
				if r == nil {
					return nil, nil
				}
				return &seriesSource{rest: r.NewSeries(r.known)}, nil
			},
		},
		rowsFunction("frozen_minutes", 60_000),
		wantedFunction(),
		keysFunction(),
		compactedFunction(),
	}
}

// windowFields are the columns of a function that yields windows.
func windowFields() []duck.Field {
	fields := []duck.Field{{Name: "series", Type: duck.UInteger}, {Name: "start", Type: duck.Timestamp}, {Name: "count", Type: duck.UBigInt}}
	for _, n := range []string{"sum", "min", "max", "first", "last"} {
		fields = append(fields, duck.Field{Name: n, Type: duck.Double})
	}
	return append(fields,
		duck.Field{Name: "first_ts", Type: duck.Timestamp}, duck.Field{Name: "last_ts", Type: duck.Timestamp},
		duck.Field{Name: "resets", Type: duck.Double}, duck.Field{Name: "sketch", Type: duck.Blob}, duck.Field{Name: "members", Type: duck.Blob},
		duck.Field{Name: "late", Type: duck.UBigInt})
}

// compactedFunction returns the function that yields the windows of a compaction.
func compactedFunction() duck.Function {
	return duck.Function{
		Name: "compacted_rows", Rows: pieceWindows, Fields: append(windowFields(), duck.Field{Name: "generation", Type: duck.UBigInt}),
		Open: func(ctx context.Context) (duck.Source, error) {
			rows, _ := ctx.Value(compactedKey{}).([]windowRow)
			return &compactedSource{rows}, nil
		},
	}
}

type compactedKey struct{}

// rowsFunction returns the function that yields the windows of the generation being loaded.
func rowsFunction(name string, resolution int64) duck.Function {
	f := duck.Function{Name: name, Rows: 1_000_000, Fields: windowFields()}
	f.Open = func(ctx context.Context) (duck.Source, error) {
		r := readingOf(ctx)
		if r == nil {
			return nil, nil
		}
		frozen, ok := r.pending.(aggregate.Frozen)
		if !ok {
			return nil, nil
		}
		return newRowSource(ctx, r, frozen, resolution), nil
	}
	return f
}
