package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freshet/stream"
	"freshet/stream/consumer"
	"freshet/stream/kv"
)

func TestOptionsAreChecked(t *testing.T) {
	good := options(consumer.NewSource(nil), kv.NewMem(), consumer.ProcessorFunc(nil))
	for want, change := range map[string]func(*consumer.Options){
		"Source is nil":                  func(o *consumer.Options) { o.Source = nil },
		"Store is nil":                   func(o *consumer.Options) { o.Store = nil },
		"Processor is nil":               func(o *consumer.Options) { o.Processor = nil },
		"SHARD_END":                      func(o *consumer.Options) { o.StartAt.Kind = consumer.ShardEnd },
		"1ms, less than 10ms":            func(o *consumer.Options) { o.LeaseDuration = time.Millisecond },
		`holds '/'`:                      func(o *consumer.Options) { o.Application = "a/b" },
		"0 characters":                   func(o *consumer.Options) { o.Application = "" },
		"129 characters":                 func(o *consumer.Options) { o.Application = strings.Repeat("a", 129) },
		"300 bytes, more than 256":       func(o *consumer.Options) { o.Owner = strings.Repeat("a", 300) },
		"-1ns: then Processor has to be": func(o *consumer.Options) { o.CheckpointEvery = -1 },
	} {
		o := good
		change(&o)
		if _, err := consumer.NewWorker(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestBehindRetention comes back after some records, and a whole shard, are gone.
func TestBehindRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := openStream(t, 1, stream.Options{Retention: time.Hour, SegmentBytes: 1 << 10}), kv.NewMem()
		first := &collector{}
		w := run(t, options(consumer.NewSource(s), store, first))
		put(t, s, numbered("a", 10)...)
		time.Sleep(time.Second)
		w.stop(t)
		put(t, s, numbered("b", 100)...)
		time.Sleep(50 * time.Minute)
		put(t, s, numbered("c", 100)...)
		time.Sleep(20 * time.Minute) // the files with only b are gone
		second := &collector{}
		w = run(t, options(consumer.NewSource(s), store, second))
		time.Sleep(10 * time.Second)
		got := second.all()
		if n := w.Stats().Trimmed; n == 0 || int(n)+len(got) != 200 {
			t.Errorf("got %d records, %d trimmed, want 200 together", len(got), n)
		}
		if !slices.Equal(got[len(got)-100:], numbered("c", 100)) {
			t.Errorf("got %v at the end", got[len(got)-100:])
		}
	})
}

// TestLeasesOfOldShardsGo merges, and waits until the parents are past retention. Another
// application that was stopped meanwhile never reads them to their end.
func TestLeasesOfOldShardsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := openStream(t, 2, stream.Options{Retention: time.Hour}), kv.NewMem()
		c, late := &collector{}, &collector{}
		run(t, options(consumer.NewSource(s), store, c))
		other := options(consumer.NewSource(s), store, late)
		other.Application = "late"
		w := run(t, other)
		time.Sleep(time.Second)
		w.stop(t)
		put(t, s, numbered("a", 10)...)
		if _, err := s.Merge(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			put(t, s, "b")
			time.Sleep(time.Hour)
		}
		if n := len(s.Shards()); n != 1 {
			t.Fatalf("%d shards are kept, want one", n)
		}
		if l := leases(t, store); len(l) != 1 || l[2].Checkpoint.Kind != consumer.AfterRecord {
			t.Errorf("got leases %v, want that of the child", l)
		}
		other.SyncEvery = time.Second
		run(t, other)
		put(t, s, "c")
		time.Sleep(10 * time.Second)
		if got := late.all(); len(got) == 0 || got[len(got)-1] != "c" {
			t.Errorf("got %v, want the child's records", got)
		}
		if all, err := consumer.Leases(t.Context(), store, "late"); err != nil || len(all) != 1 {
			t.Errorf("got leases %v, %v, want that of the child", all, err)
		}
	})
}

// TestStopWithin has a processor that only its context can stop.
func TestStopWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStream(t, 1), kv.NewMem()
		put(t, s, "a")
		o := options(consumer.NewSource(s), store, consumer.ProcessorFunc(func(ctx context.Context, _ consumer.Batch) error {
			<-ctx.Done()
			return ctx.Err()
		}))
		o.StopWithin = 5 * time.Second
		w := run(t, o)
		time.Sleep(time.Minute)
		began := time.Now()
		w.stop(t)
		if d := time.Since(began); d < 4*time.Second || d > 6*time.Second {
			t.Errorf("the stop took %v, want 5s", d)
		}
		if l := leases(t, store)[0]; l.Owner != "" || l.Checkpoint.Kind != consumer.TrimHorizon {
			t.Errorf("got lease %+v, want a free one at the horizon", l)
		}
	})
}

// TestFinishBeforeTheEnd has a processor that cannot finish a shard at first: the
// children wait for it.
func TestFinishBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStream(t, 1), kv.NewMem()
		f := &finisher{fail: 3}
		o := options(consumer.NewSource(s), store, f)
		o.CheckpointEvery = -1
		w := run(t, o)
		put(t, s, "a", "b")
		time.Sleep(5 * time.Second)
		if l := leases(t, store)[0]; l.Checkpoint.Kind != consumer.TrimHorizon {
			t.Errorf("got checkpoint %s that nobody asked for", l.Checkpoint)
		}
		if _, err := s.Split(t.Context(), 0, stream.HashKey{Hi: 1 << 63}); err != nil {
			t.Fatal(err)
		}
		put(t, s, numbered("c", 8)...)
		time.Sleep(5 * time.Second)
		w.stop(t)
		children := func(s string) bool { return s == "batch 1" || s == "batch 2" }
		tries := slices.DeleteFunc(slices.Clone(f.did), func(s string) bool { return s != "finish 0 ended: not yet" })
		if first, end := slices.IndexFunc(f.did, children), slices.Index(f.did, "finish 0 ended"); end < 0 || first < end || len(tries) != 3 {
			t.Errorf("got %v, want the children after the parent could finish, the fourth time", f.did)
		}
		if last := sorted(f.did[len(f.did)-2:]); !slices.Equal(last, []string{"finish 1 stopped", "finish 2 stopped"}) {
			t.Errorf("got %v at the end, want both children stopped", last)
		}
		for id, l := range leases(t, store) {
			if want := consumer.AfterRecord; id > 0 && (l.Checkpoint.Kind != want || l.Owner != "") {
				t.Errorf("got lease %+v, want a free one at its last record", l)
			}
		}
	})
}

type finisher struct {
	collector
	fail int
	did  []string
}

func (f *finisher) note(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, s)
}

func (f *finisher) Process(_ context.Context, b consumer.Batch) error {
	f.note(fmt.Sprint("batch ", uint32(b.Shard.ID)))
	return nil
}

func (f *finisher) Finish(_ context.Context, shard consumer.Shard, _ *consumer.Checkpointer, why consumer.Reason) error {
	did := fmt.Sprint("finish ", uint32(shard.ID), " ", why)
	if why == consumer.Ended && f.fail > 0 {
		f.fail--
		f.note(did + ": not yet")
		return errors.New("not yet")
	}
	f.note(did)
	return nil
}

// remote is a source as one over the Kinesis API is: it cannot tell when shards change,
// nor name the tip, and its reads fail now and then.
type remote struct {
	source consumer.Source
	calls  int
}

func (r *remote) List(ctx context.Context) (consumer.Listing, error) {
	if r.calls++; r.calls%3 == 1 {
		return consumer.Listing{}, errors.New("throttled")
	}
	l, err := r.source.List(ctx)
	l.Changed = nil
	return l, err
}

func (r *remote) Open(ctx context.Context, id stream.ShardID, at consumer.Position) (consumer.ShardReader, error) {
	reader, err := r.source.Open(ctx, id, at)
	return &remoteReader{ShardReader: reader}, err
}

type remoteReader struct {
	consumer.ShardReader
	calls int
}

func (r *remoteReader) Next(ctx context.Context, limit, maxBytes int) ([]consumer.Record, int64, error) {
	if r.calls++; r.calls%4 == 0 {
		return nil, 0, errors.New("throttled")
	}
	return r.ShardReader.Next(ctx, limit, maxBytes)
}

func TestPollAFailingSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store, c := newStream(t, 2), kv.NewMem(), &collector{}
		var batches atomic.Int64
		c.before = func(context.Context, consumer.Batch) error { batches.Add(1); return nil }
		o := options(&remote{source: consumer.NewSource(s)}, store, c)
		o.PollEvery, o.SyncEvery, o.StartAt.Kind = time.Second, 2*time.Second, consumer.Latest
		w := run(t, o)
		time.Sleep(2 * time.Second)
		for i := range 100 {
			put(t, s, fmt.Sprint("a", i))
			time.Sleep(100 * time.Millisecond)
		}
		if _, err := s.Merge(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		}
		put(t, s, numbered("b", 10)...)
		time.Sleep(30 * time.Second)
		if got := c.sorted(); !slices.Equal(got, sorted(append(numbered("a", 100), numbered("b", 10)...))) {
			t.Errorf("got %d records %v", len(got), got)
		}
		if n := batches.Load(); n > 40 {
			t.Errorf("got %d batches in 10 seconds of two shards that are polled every second", n)
		}
		if w.Stats().ReadFailures == 0 {
			t.Errorf("no read has failed")
		}
	})
}
