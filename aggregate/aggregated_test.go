package aggregate_test

import (
	"context"
	"testing"

	"freshet/aggregate"
	"freshet/stream"
	"freshet/stream/kpl"
)

// TestAggregatedRecordsAreUnpacked counts the points of user records that the Kinesis
// Producer Library has packed into one record, for queries and for a load. What is no
// point among them is counted and stops nothing, and what belongs to another shard is
// left out, since its producer puts it again. A record that only looks packed is read as
// any other.
func TestAggregatedRecordsAreUnpacked(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	shard := l.stream.Shards()[0]
	_, last := shard.Range()
	here, elsewhere := last.String(), last.Next().String()
	var a kpl.Aggregator
	for _, r := range []kpl.Record{
		{ExplicitHashKey: here, Data: []byte(`{"metric":"m","value":1}`)},
		{ExplicitHashKey: here, Data: []byte(`no point`)},
		{ExplicitHashKey: elsewhere, Data: []byte(`{"metric":"m","value":100}`)},
		{ExplicitHashKey: here, Data: []byte(`[{"metric":"m","value":2},{"metric":"m","value":4}]`)},
	} {
		r.PartitionKey = "a"
		if !a.Add(r) {
			t.Fatal("the aggregate is full")
		}
	}
	packed := a.AppendTo(nil)
	looksPacked := append([]byte(nil), packed...)
	looksPacked[len(looksPacked)-1] ^= 1
	for _, data := range [][]byte{packed, looksPacked} {
		if _, err := shard.Append(context.Background(), []stream.Entry{{PartitionKey: "a", Data: data}}); err != nil {
			t.Fatal(err)
		}
	}
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
	if s := l.engine.Stats(); s.Points != 3 || s.Malformed != 3 {
		t.Errorf("got %d points and %d malformed records, want 3 and 3", s.Points, s.Malformed)
	}
}
