package aggregate_test

import (
	"context"
	"testing"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream/kpl"
)

// TestAggregatedRecordsAreUnpacked counts the points of user records that the Kinesis
// Producer Library has packed into one record, for queries and for a load; what is no
// point among them is counted and stops nothing.
func TestAggregatedRecordsAreUnpacked(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	var a kpl.Aggregator
	for _, data := range []string{`{"metric":"m","value":1}`, `no point`, `[{"metric":"m","value":2},{"metric":"m","value":4}]`} {
		if !a.Add(kpl.Record{PartitionKey: "a", Data: []byte(data)}) {
			t.Fatal("the aggregate is full")
		}
	}
	l.append(point.Series{Metric: "m", Type: point.Gauge}, a.AppendTo(nil))
	frozen, err := l.engine.Freeze(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var loaded []float64
	err = frozen.Points(context.Background(), func(p *aggregate.Points) error {
		loaded = append(loaded, p.Value...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded) != 3 || loaded[0]+loaded[1]+loaded[2] != 7 {
		t.Errorf("loaded points: got %v, want 1, 2 and 4", loaded)
	}
	if s := l.engine.Stats(); s.Points != 3 || s.Malformed != 1 {
		t.Errorf("got %d points and %d malformed records, want 3 and 1", s.Points, s.Malformed)
	}
}
