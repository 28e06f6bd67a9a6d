package warehouse

import (
	"context"

	"freshet/aggregate"
	"freshet/warehouse/duck"
)

// A pending is what the table functions of one query or load read. It travels in the
// context of the query.
type pending interface {
	Points(ctx context.Context, yield func(*aggregate.Points) error) error
	NewSeries(known aggregate.SeriesID) []aggregate.Series
}

type pendingKey struct{}

// withPending returns a context whose queries see p as what is not loaded. It must end
// when the query does, which frees what the functions hold.
func withPending(ctx context.Context, p pending) context.Context {
	return context.WithValue(ctx, pendingKey{}, p)
}

func pendingOf(ctx context.Context) pending {
	p, _ := ctx.Value(pendingKey{}).(pending)
	return p
}

// functions returns the table functions that views and loads use.
func functions() []duck.Function {
	return []duck.Function{
		{
			Name: "pending_points", Rows: 1_000_000,
			Fields: []duck.Field{
				{Name: "series", Type: duck.UInteger}, {Name: "ts", Type: duck.Timestamp}, {Name: "value", Type: duck.Double},
				{Name: "member", Type: duck.Varchar}, {Name: "shard", Type: duck.UInteger}, {Name: "seq", Type: duck.UBigInt},
				{Name: "generation", Type: duck.UBigInt},
			},
			Open: func(ctx context.Context) (duck.Source, error) {
				p := pendingOf(ctx)
				if p == nil {
					return nil, nil
				}
				return newPointSource(ctx, p), nil
			},
		},
		{
			Name: "pending_series", Rows: 10_000,
			Fields: []duck.Field{
				{Name: "id", Type: duck.UInteger}, {Name: "metric", Type: duck.Varchar}, {Name: "type", Type: duck.UTinyInt}, {Name: "labels"},
			},
			Open: func(ctx context.Context) (duck.Source, error) {
				p := pendingOf(ctx)
				if p == nil {
					return nil, nil
				}
				return &seriesSource{rest: p.NewSeries(0)}, nil
			},
		},
		rowsFunction("frozen_minutes", 60_000),
		rowsFunction("frozen_hours", 3_600_000),
	}
}

// rowsFunction returns the function that yields the windows of the generation being loaded.
func rowsFunction(name string, resolution int64) duck.Function {
	f := duck.Function{Name: name, Rows: 1_000_000, Fields: []duck.Field{
		{Name: "series", Type: duck.UInteger}, {Name: "start", Type: duck.Timestamp}, {Name: "count", Type: duck.UBigInt},
	}}
	for _, n := range []string{"sum", "min", "max", "first", "last"} {
		f.Fields = append(f.Fields, duck.Field{Name: n, Type: duck.Double})
	}
	f.Fields = append(f.Fields,
		duck.Field{Name: "first_ts", Type: duck.Timestamp}, duck.Field{Name: "last_ts", Type: duck.Timestamp},
		duck.Field{Name: "resets", Type: duck.Double}, duck.Field{Name: "sketch", Type: duck.Blob}, duck.Field{Name: "members", Type: duck.Blob})
	f.Open = func(ctx context.Context) (duck.Source, error) {
		frozen, ok := pendingOf(ctx).(aggregate.Frozen)
		if !ok {
			return nil, nil
		}
		return newRowSource(ctx, frozen, resolution), nil
	}
	return f
}
