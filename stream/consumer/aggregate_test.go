package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"freshet/stream"
	"freshet/stream/consumer"
	"freshet/stream/kpl"
	"freshet/stream/kv"
)

// aggregate packs user records into one.
func aggregate(records ...kpl.Record) []byte {
	var a kpl.Aggregator
	for _, r := range records {
		a.Add(r)
	}
	return a.AppendTo(nil)
}

// users are user records with the same partition key.
func users(prefix string, n int) []kpl.Record {
	var all []kpl.Record
	for _, d := range numbered(prefix, n) {
		all = append(all, kpl.Record{PartitionKey: "k", Data: []byte(d)})
	}
	return all
}

func putRaw(t *testing.T, sh *stream.Shard, data ...[]byte) {
	t.Helper()
	for _, d := range data {
		if _, err := sh.Append(t.Context(), []stream.Entry{{PartitionKey: "raw", Data: d}}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAggregates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStream(t, 1), kv.NewMem()
		damaged := aggregate(users("x", 2)...)
		damaged[len(damaged)-1]++
		putRaw(t, s.Shards()[0], []byte("plain0"), aggregate(users("a", 7)...), []byte("plain1"), aggregate(users("b", 2)...), damaged)
		var subs []string
		c := &collector{before: func(_ context.Context, b consumer.Batch) error {
			if len(b.Records) > 3 {
				return errors.New("too many records")
			}
			for _, r := range b.Records {
				subs = append(subs, fmt.Sprintf("%d.%d%.1s", r.Sequence.Offset, r.Sub, fmt.Sprint(r.Aggregated)))
			}
			return nil
		}}
		o := options(consumer.NewSource(s), store, c)
		o.BatchRecords = 3
		w := run(t, o)
		time.Sleep(3 * time.Second)
		equal(t, "records", c.all(), []string{"plain0", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "plain1", "b0", "b1", string(damaged)})
		if got, want := fmt.Sprint(subs), "[0.0f 1.0t 1.1t 1.2t 1.3t 1.4t 1.5t 1.6t 2.0f 3.0t 3.1t 4.0f]"; got != want {
			t.Errorf("got sub-sequence numbers %s, want %s", got, want)
		}
		if st := w.Stats(); st.Records != 12 || st.Failures != 0 {
			t.Errorf("got %+v", st)
		}
	})
}

// TestCheckpointWithinAnAggregate goes on in the middle of one, at every place.
func TestCheckpointWithinAnAggregate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t, 1)
		putRaw(t, s.Shards()[0], []byte("p0"), aggregate(users("a", 4)...), aggregate(users("b", 3)...))
		all := []string{"p0", "a0", "a1", "a2", "a3", "b0", "b1", "b2"}
		for n := 1; n <= len(all); n++ {
			store := kv.NewMem()
			first := &manual{limit: n}
			o := options(consumer.NewSource(s), store, first)
			o.CheckpointEvery, o.BatchRecords = -1, 3
			w := run(t, o)
			time.Sleep(time.Second)
			w.stop(t)
			if l := leases(t, store)[0]; l.Checkpoint.Within != (n != 1 && n != 5 && n != 8) {
				t.Errorf("after %d records: got checkpoint %s", n, l.Checkpoint)
			}
			second := &collector{}
			run2 := run(t, options(consumer.NewSource(s), store, second))
			time.Sleep(time.Second)
			run2.stop(t)
			equal(t, fmt.Sprintf("after %d records", n), second.all(), all[n:])
		}
	})
}

// manual checkpoints after limit records, and never again.
type manual struct {
	limit int
	seen  int
	last  *consumer.Record
	errs  []error
}

func (m *manual) Process(ctx context.Context, b consumer.Batch) error {
	if m.last != nil { // the batch before is processed by now
		m.errs = append(m.errs, b.Checkpointer.At(ctx, *m.last))
		m.last = nil
	}
	for i := range b.Records {
		if m.seen++; m.seen == m.limit {
			r := b.Records[i]
			m.last = &r
			if err := b.Checkpointer.At(ctx, r); !errors.Is(err, consumer.ErrNotProcessed) {
				return fmt.Errorf("checkpoint before Process has returned: got %v, want ErrNotProcessed", err)
			}
		}
	}
	return nil
}

func (m *manual) Finish(ctx context.Context, _ consumer.Shard, c *consumer.Checkpointer, _ consumer.Reason) error {
	if m.last != nil {
		m.errs = append(m.errs, c.At(ctx, *m.last))
	}
	if err := errors.Join(m.errs...); err != nil {
		panic(err)
	}
	return errors.New("the rest is not done")
}

// TestUserRecordsOfTheOtherChild finds an aggregate that was packed before a split.
func TestUserRecordsOfTheOtherChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store, c := newStream(t, 2), kv.NewMem(), &collector{}
		low, high := stream.HashKey{Hi: 5}.String(), stream.HashKey{Hi: 1<<63 + 5}.String()
		putRaw(t, s.Shards()[0], aggregate(
			kpl.Record{PartitionKey: "k", ExplicitHashKey: low, Data: []byte("a")},
			kpl.Record{PartitionKey: "k", ExplicitHashKey: high, Data: []byte("b")},
			kpl.Record{PartitionKey: "k", ExplicitHashKey: low, Data: []byte("c")},
			kpl.Record{PartitionKey: "k", ExplicitHashKey: high, Data: []byte("d")},
		), aggregate(kpl.Record{PartitionKey: "k", ExplicitHashKey: high, Data: []byte("e")}))
		w := run(t, options(consumer.NewSource(s), store, c))
		time.Sleep(3 * time.Second)
		equal(t, "records", c.all(), []string{"a", "c"})
		if st := w.Stats(); st.OutOfRange != 3 {
			t.Errorf("got %d out of range, want 3", st.OutOfRange)
		}
		if l := leases(t, store)[0]; l.Checkpoint.Sequence.Offset != 1 || l.Checkpoint.Within {
			t.Errorf("got checkpoint %s, want after the second record", l.Checkpoint)
		}
	})
}
