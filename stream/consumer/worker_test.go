package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/stream"
	"freshet/stream/consumer"
	"freshet/stream/kv"
)

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %d records %v, want %d %v", what, len(got), got, len(want), want)
	}
}

func sorted(s []string) []string { s = slices.Clone(s); slices.Sort(s); return s }

func TestWorkerReadsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store, c := newStream(t, 3), kv.NewMem(), &collector{}
		before := numbered("a", 50)
		put(t, s, before...)
		w := run(t, options(consumer.NewSource(s), store, c))
		after := numbered("b", 50)
		time.Sleep(time.Second)
		put(t, s, after...)
		eventually(t, "all are delivered", func() bool { return len(c.all()) >= 100 })
		w.stop(t)
		equal(t, "records", c.sorted(), sorted(append(before, after...)))
		for _, l := range leases(t, store) {
			sh, _ := s.Shard(l.Shard)
			if l.Owner != "" || l.Checkpoint.Sequence.Offset+1 != sh.Durable() {
				t.Errorf("%s: owner %q, checkpoint %s, the end is %d", l.Shard, l.Owner, l.Checkpoint, sh.Durable())
			}
		}
		// Another goes on where this one stopped.
		c2 := &collector{}
		run(t, options(consumer.NewSource(s), store, c2))
		put(t, s, "more")
		eventually(t, "the next one is delivered", func() bool { return len(c2.all()) > 0 })
		time.Sleep(3 * time.Second)
		equal(t, "second worker", c2.all(), []string{"more"})
	})
}

// TestSpread starts workers one after the other, and stops them again.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store, c := newStream(t, 10), kv.NewMem(), &collector{}
		var workers []*running
		for n := 1; n <= 4; n++ {
			workers = append(workers, run(t, options(consumer.NewSource(s), store, c)))
			put(t, s, numbered(fmt.Sprint(n, "-"), 40)...)
			time.Sleep(5 * time.Second)
			got := owned(t, store)
			for owner, k := range got {
				if owner == "" || k < 10/n || k > (10+n-1)/n {
					t.Errorf("%d workers: got %v", n, got)
				}
			}
		}
		began := time.Now()
		workers[0].stop(t)
		workers[1].stop(t)
		eventually(t, "two have all", func() bool { m := owned(t, store); return m[""] == 0 && len(m) == 2 })
		if d := time.Since(began); d > 500*time.Millisecond {
			t.Errorf("leases that were given up were taken after %v, half a lease's time or more", d)
		}
		time.Sleep(5 * time.Second)
		if got := len(c.all()); got != 160 {
			t.Errorf("got %d records, want each of 160 once", got)
		}
		for _, w := range workers {
			if st := w.Stats(); st.Lost != 0 {
				t.Errorf("%s lost %d leases", w.Owner(), st.Lost)
			}
		}
	})
}

func TestMaxLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStream(t, 8), kv.NewMem()
		small := options(consumer.NewSource(s), store, &collector{})
		small.MaxLeases, small.Owner = 2, "small"
		run(t, small)
		large := options(consumer.NewSource(s), store, &collector{})
		large.Owner = "large"
		run(t, large)
		time.Sleep(20 * time.Second)
		for owner, n := range owned(t, store) {
			if want := map[string]int{"small": 2, "large": 6}[strings.Split(owner, "/")[0]]; n != want {
				t.Errorf("%s has %d leases, want %d", owner, n, want)
			}
		}
	})
}

// TestChildrenAfterParents splits and merges while a worker holds the parents' records back.
func TestChildrenAfterParents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStream(t, 2), kv.NewMem()
		hold := make(chan struct{})
		c := &collector{before: func(ctx context.Context, b consumer.Batch) error {
			if b.Shard.ID == 1 {
				<-hold
			}
			return nil
		}}
		put(t, s, numbered("a", 20)...)
		run(t, options(consumer.NewSource(s), store, c))
		time.Sleep(time.Second)
		first, _ := s.Shards()[0].Range()
		_, last := s.Shards()[0].Range()
		mid := stream.HashKey{Hi: first.Hi/2 + last.Hi/2}
		if _, err := s.Split(t.Context(), 0, mid); err != nil { // 2 and 3
			t.Fatal(err)
		}
		put(t, s, numbered("b", 20)...)
		if _, err := s.Merge(t.Context(), 3, 1); err != nil { // 4
			t.Fatal(err)
		}
		put(t, s, numbered("c", 20)...)
		time.Sleep(5 * time.Second)
		l := leases(t, store)
		if l[0].Checkpoint.Kind != consumer.ShardEnd || l[3].Checkpoint.Kind != consumer.ShardEnd {
			t.Errorf("got %s and %s for shards that were read to their ends", l[0].Checkpoint, l[3].Checkpoint)
		}
		if _, ok := l[4]; ok {
			t.Errorf("the child of a merge has a lease before both parents have ended")
		}
		close(hold)
		eventually(t, "all are delivered", func() bool { return len(c.all()) == 60 })
		time.Sleep(time.Second)
		if ends := fmt.Sprint(sorted(c.ends)); ends != "[shardId-000000000000 ended shardId-000000000001 ended shardId-000000000003 ended]" {
			t.Errorf("got ends %s", ends)
		}
		if len(c.of[4]) == 0 || len(c.of[2]) == 0 {
			t.Errorf("nothing came from the children")
		}
	})
}

func TestStartPositions(t *testing.T) {
	for name, c := range map[string]struct {
		at   func(mid int64) consumer.Position
		want int
	}{
		"horizon":   {func(int64) consumer.Position { return consumer.Position{} }, 40},
		"latest":    {func(int64) consumer.Position { return consumer.Position{Kind: consumer.Latest} }, 10},
		"timestamp": {func(mid int64) consumer.Position { return consumer.Position{Kind: consumer.AtTimestamp, Time: mid} }, 30},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store, got := newStream(t, 2), kv.NewMem(), &collector{}
				put(t, s, numbered("a", 10)...)
				time.Sleep(time.Minute)
				mid := time.Now().UnixMilli()
				put(t, s, numbered("b", 10)...)
				if _, err := s.Merge(t.Context(), 0, 1); err != nil {
					t.Fatal(err)
				}
				put(t, s, numbered("c", 10)...)
				o := options(consumer.NewSource(s), store, got)
				o.StartAt = c.at(mid)
				run(t, o)
				time.Sleep(2 * time.Second)
				// Shards that come later start at their first record, whatever StartAt says.
				sh := s.OpenShards()[0]
				if _, err := s.Split(t.Context(), sh.ID(), stream.HashKey{Hi: 1 << 63}); err != nil {
					t.Fatal(err)
				}
				put(t, s, numbered("d", 10)...)
				time.Sleep(5 * time.Second)
				if n := len(got.all()); n != c.want {
					t.Errorf("got %d records %v, want %d", n, got.all(), c.want)
				}
			})
		})
	}
}

// TestLatestMissesNothing lets a worker begin at the end, and stop before it reads.
func TestLatestMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStream(t, 1), kv.NewMem()
		put(t, s, numbered("old", 3)...)
		o := options(consumer.NewSource(s), store, &collector{})
		o.StartAt.Kind = consumer.Latest
		w := run(t, o)
		time.Sleep(100 * time.Millisecond)
		w.stop(t)
		if l := leases(t, store)[0]; l.Checkpoint.Kind != consumer.AfterRecord || l.Checkpoint.Sequence.Offset != 2 {
			t.Fatalf("got lease at %s, want after the third record", l.Checkpoint)
		}
		put(t, s, "new")
		c := &collector{}
		o.Processor = c
		run(t, o)
		eventually(t, "the new record comes", func() bool { return len(c.all()) > 0 })
		equal(t, "records", c.all(), []string{"new"})
	})
}

// TestOtherStream finds the leases of another stream of the same name.
func TestOtherStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kv.NewMem()
		first := run(t, options(renamed{consumer.NewSource(newStream(t, 1)), "s#1"}, store, &collector{}))
		time.Sleep(100 * time.Millisecond)
		first.stop(t)
		s := newStream(t, 1)
		o := options(renamed{consumer.NewSource(s), "s#2"}, store, &collector{})
		w := run(t, o)
		if err := <-w.done; err == nil || !strings.Contains(err.Error(), "stream s#1, this is s#2") {
			t.Errorf("got %v, want the names of both streams", err)
		}
		close(w.done)
		if err := consumer.Forget(t.Context(), store, "app"); err != nil {
			t.Fatal(err)
		}
		c := &collector{}
		o.Processor = c
		run(t, o)
		put(t, s, "x")
		eventually(t, "it begins anew", func() bool { return len(c.all()) == 1 })
	})
}

// renamed is a source that calls its stream otherwise.
type renamed struct {
	consumer.Source
	name string
}

func (r renamed) List(ctx context.Context) (consumer.Listing, error) {
	l, err := r.Source.List(ctx)
	l.Stream = r.name
	return l, err
}
