package stream_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/vfs"
)

// clock is a time that a test sets.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(1_700_000_000_000)
	return c
}

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within 5 s: %s", what)
}

func TestRetentionByAge(t *testing.T) {
	fs, c := vfs.NewMem(), newClock()
	o := memOptions(fs)
	o.Retention, o.Now = 24*time.Second, c.now // swept every 100 ms
	log, _ := start(t, o)
	shard := create(t, log, "s", 1).Shards()[0]
	for i := range 10 {
		appendN(t, shard, i*10, 10)
		c.advance(2 * time.Second) // past the age at which a tail is sealed
	}
	if h := shard.Horizon(); h != 0 {
		t.Fatalf("horizon is %d before anything is old", h)
	}
	c.advance(8 * time.Second) // the oldest are 28 s old, the newest 10 s
	eventually(t, "two of ten files are dropped", func() bool { return shard.Horizon() == 20 })
	r := shard.Reader(0)
	defer r.Close()
	if _, err := r.Next(context.Background(), 0); !errors.Is(err, stream.ErrTrimmed) {
		t.Errorf("got %v, want ErrTrimmed", err)
	}
	if got := readAll(t, shard, 20); len(got) != 80 {
		t.Errorf("got %d records, want 80", len(got))
	}
	// A quiet tail is sealed and dropped, too.
	c.advance(time.Hour)
	eventually(t, "all is dropped", func() bool { return shard.Horizon() == 100 })
	appendN(t, shard, 100, 1)
	eventually(t, "the files are gone", func() bool { return len(segmentFiles(t, fs, 0)) == 1 })
}

func TestRetentionByBytesStopsAtAHold(t *testing.T) {
	fs := vfs.NewMem()
	o := memOptions(fs)
	o.RetentionBytes = 20 << 10
	log, _ := start(t, o)
	shard := create(t, log, "s", 1).Shards()[0]
	shard.Hold("loader", 0)
	appendN(t, shard, 0, 200)
	if h := shard.Horizon(); h != 0 {
		t.Fatalf("horizon is %d, below a hold", h)
	}
	shard.Hold("loader", 150)
	shard.Hold("other", 120)
	appendN(t, shard, 200, 60) // rolls, and so sweeps
	eventually(t, "the files below the least hold are dropped", func() bool { h := shard.Horizon(); return h > 30 && h <= 120 })
	shard.Hold("other", 1000)
	shard.Hold("loader", 1000)
	appendN(t, shard, 260, 60)
	eventually(t, "few bytes are left", func() bool { return shard.Stats().Bytes <= 20<<10 })
}

// Files go one by one: a crash never leaves a hole between two of them.
func TestACrashWithinRetentionLeavesNoHole(t *testing.T) {
	for seed := range uint64(40) {
		fs, c := vfs.NewMem(), newClock()
		o := memOptions(fs)
		o.Retention, o.Now = 24*time.Hour, c.now
		log, stop := start(t, o)
		shard := create(t, log, "s", 1).Shards()[0]
		appendN(t, shard, 0, 300)
		c.advance(48 * time.Hour)
		var removed atomic.Int64
		fs.Inject(func(op vfs.Op) *vfs.Fault {
			if op.Kind == vfs.OpRemove {
				removed.Add(1)
			}
			return nil
		})
		appendN(t, shard, 300, 1) // rolls, and so sweeps
		eventually(t, "some files are dropped", func() bool { return removed.Load() > int64(seed%3) })
		fs = fs.Crash(rand.New(rand.NewPCG(seed, 2)))
		stop()
		o.FS = fs
		log, stop = start(t, o)
		s, _ := log.Stream("s")
		if err := s.Shards()[0].Err(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if got := readAll(t, s.Shards()[0], 300); len(got) != 1 {
			t.Fatalf("seed %d: got %d records, want 1", seed, len(got))
		}
		stop()
	}
}
