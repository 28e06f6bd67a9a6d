package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freshet/stream/consumer"
	"freshet/stream/kv"
)

// gate is the store as one worker reaches it; shut, calls wait.
type gate struct {
	kv.Store
	shut atomic.Pointer[chan struct{}]
}

func (g *gate) pass() {
	if c := g.shut.Load(); c != nil {
		<-*c
	}
}

func (g *gate) Get(ctx context.Context, key string) (kv.Entry, error) {
	g.pass()
	return g.Store.Get(ctx, key)
}

func (g *gate) List(ctx context.Context, prefix string) ([]kv.Entry, error) {
	g.pass()
	return g.Store.List(ctx, prefix)
}

func (g *gate) Swap(ctx context.Context, key string, old kv.Revision, value []byte) (kv.Revision, error) {
	g.pass()
	return g.Store.Swap(ctx, key, old, value)
}

// close shuts the gate, until the function it returns is called.
func (g *gate) close() (open func()) {
	c := make(chan struct{})
	g.shut.Store(&c)
	return func() { g.shut.Store(nil); close(c) }
}

// eachStore runs a test on both stores, in a bubble of its own.
func eachStore(t *testing.T, test func(t *testing.T, store kv.Store)) {
	t.Run("mem", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, kv.NewMem()) })
	})
	t.Run("bolt", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "kv.db")
		synctest.Test(t, func(t *testing.T) {
			store, err := kv.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			test(t, store)
		})
	})
}

// TestTakeoverInTime stalls a worker for good: another has its shard after LeaseDuration
// and the time between two looks, and goes on after the checkpoint.
func TestTakeoverInTime(t *testing.T) {
	eachStore(t, func(t *testing.T, store kv.Store) {
		s, h := newStream(t, 1), &history{Store: store}
		stalled := &gate{Store: h}
		first, second := &collector{}, &collector{}
		o := options(consumer.NewSource(s), stalled, first)
		run(t, o)
		put(t, s, "a", "b")
		time.Sleep(3 * time.Second) // the checkpoint is written
		o.Store, o.Processor = h, second
		run(t, o)
		time.Sleep(time.Second)
		began := time.Now()
		open := stalled.close()
		put(t, s, "c")
		eventually(t, "the second worker takes over", func() bool { return len(second.all()) > 0 })
		if d := time.Since(began); d < time.Second/2 || d > 1300*time.Millisecond {
			t.Errorf("it took %v, want about a second", d)
		}
		equal(t, "second worker", second.all(), []string{"c"})
		open()
		h.check(t, time.Second)
	})
}

// TestStalledOwnerIsFenced has an owner that does not see its lease run out: its own
// clock says that an hour is left. What fences it is the revision.
func TestStalledOwnerIsFenced(t *testing.T) {
	eachStore(t, func(t *testing.T, store kv.Store) {
		s, h := newStream(t, 1), &history{Store: store}
		g := &gate{Store: h}
		hold, causes := make(chan struct{}), make(chan error, 1)
		second := &collector{}
		o := options(consumer.NewSource(s), g, nil)
		o.LeaseDuration, o.BatchRecords = time.Hour, 1
		o.Processor = consumer.ProcessorFunc(func(ctx context.Context, b consumer.Batch) error {
			if string(b.Records[0].Data) != "b" {
				return nil
			}
			<-hold
			if err := ctx.Err(); err != nil {
				t.Errorf("the context has ended before the worker could know: %v", err)
			}
			causes <- b.Checkpointer.Checkpoint(ctx) // of "a"
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return nil
		})
		w := run(t, o)
		put(t, s, "a", "b", "c")
		time.Sleep(10 * time.Second)
		open := g.close()
		o.LeaseDuration, o.Processor, o.Store = time.Second, second, h
		run(t, o)
		time.Sleep(10 * time.Second)
		equal(t, "second worker", second.all(), []string{"a", "b", "c"})
		before := leases(t, store)[0]
		close(hold)
		synctest.Wait() // its checkpoint stands before the gate
		open()
		for _, what := range []string{"checkpoint", "cause"} {
			if err := <-causes; !errors.Is(err, consumer.ErrLeaseLost) {
				t.Errorf("%s: got %v, want ErrLeaseLost", what, err)
			}
		}
		time.Sleep(100 * time.Millisecond)
		if after := leases(t, store)[0]; after.Checkpoint != before.Checkpoint || after.Owner != before.Owner {
			t.Errorf("the lease was %+v, is %+v after the stalled owner woke", before, after)
		}
		if st := w.Stats(); st.Lost != 1 || st.Held != 0 {
			t.Errorf("got %+v, want one lost lease", st)
		}
		h.check(t, time.Second)
	})
}

// TestOwnClockEndsTheLease cuts an owner off from the store: its processor has to stop
// before another may begin.
func TestOwnClockEndsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStream(t, 1), kv.NewMem()
		g := &gate{Store: store}
		ended := make(chan time.Time, 1)
		o := options(consumer.NewSource(s), g, consumer.ProcessorFunc(func(ctx context.Context, b consumer.Batch) error {
			<-ctx.Done()
			ended <- time.Now()
			return ctx.Err()
		}))
		run(t, o)
		put(t, s, "a")
		time.Sleep(10 * time.Second)
		open := g.close()
		began := make(chan time.Time, 1)
		o.Store, o.Processor = store, consumer.ProcessorFunc(func(context.Context, consumer.Batch) error {
			began <- time.Now()
			return nil
		})
		run(t, o)
		if end, start := <-ended, <-began; start.Before(end) {
			t.Errorf("the second began at %v, the first ended at %v", start, end)
		}
		open()
	})
}

// TestLeasesOnAFaultyStore has three workers share shards over a store that is late, fails
// and repeats, with stalls. Whatever happens, the history is one of registers, no
// checkpoint goes back, no lease is taken before its time, and all records come.
func TestLeasesOnAFaultyStore(t *testing.T) {
	for seed := range uint64(4) {
		eachStore(t, func(t *testing.T, store kv.Store) {
			s, h := newStream(t, 4), &history{Store: store}
			random := rand.New(rand.NewPCG(seed, 3))
			f := &faulty{Store: h, often: 0.2, longer: 600 * time.Millisecond, random: random}
			c := &collector{}
			var gates []*gate
			var workers []*running
			for i := range 3 {
				g := &gate{Store: f}
				o := options(consumer.NewSource(s), g, c)
				o.Owner, o.CheckpointEvery, o.BatchRecords = fmt.Sprint("w", i), 100*time.Millisecond, 5
				gates, workers = append(gates, g), append(workers, run(t, o))
			}
			choose := rand.New(rand.NewPCG(seed, 4))
			want := 0
			for round := range 20 {
				put(t, s, numbered(fmt.Sprint("r", round, "-"), 20)...)
				want += 20
				var open func()
				if g := gates[choose.IntN(3)]; choose.IntN(3) == 0 {
					open = g.close()
				}
				time.Sleep(time.Duration(choose.Int64N(int64(3 * time.Second))))
				if open != nil {
					open()
				}
			}
			distinct := func() int {
				m := map[string]bool{}
				for _, d := range c.all() {
					m[d] = true
				}
				return len(m)
			}
			eventually(t, "all records come", func() bool { return distinct() == want })
			for _, w := range workers {
				w.stop(t)
			}
			f.late.Wait()
			h.check(t, time.Second)
			for id, l := range leases(t, store) {
				sh, _ := s.Shard(id)
				if end := sh.Durable(); l.Checkpoint.Kind == consumer.AfterRecord && l.Checkpoint.Sequence.Offset >= end {
					t.Errorf("%s: checkpoint %s beyond the end %d", id, l.Checkpoint, end)
				}
			}
			t.Logf("%d operations, %d deliveries of %d records", len(h.ops), len(c.all()), want)
		})
	}
}
