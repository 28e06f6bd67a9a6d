package stream_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"freshet/stream"
)

// start opens a log and runs it until the test ends or stop is called.
func start(t testing.TB, o stream.Options) (log *stream.Log, stop func()) {
	t.Helper()
	log, err := stream.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := log.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	t.Cleanup(stop)
	return log, stop
}

func create(t testing.TB, log *stream.Log, name string, shards int) *stream.Stream {
	t.Helper()
	s, err := log.Create(name, shards)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func entry(format string, args ...any) stream.Entry {
	return stream.Entry{PartitionKey: "key", Data: fmt.Appendf(nil, format, args...)}
}

// readAll reads the records from an offset up to what is durable now.
func readAll(t testing.TB, s *stream.Shard, from stream.Offset) []string {
	t.Helper()
	r := s.Reader(from)
	defer r.Close()
	var all []string
	for at, end := from, s.Durable(); at < end; {
		records, err := r.Next(context.Background(), 0)
		if err != nil {
			t.Fatalf("read at %d: %v", at, err)
		}
		for _, rec := range records {
			if rec.Offset != at {
				t.Fatalf("got offset %d, want %d", rec.Offset, at)
			}
			all = append(all, string(rec.Data))
			at++
		}
	}
	return all
}

func TestAppendIsReadBackAndSurvivesReopening(t *testing.T) {
	o := stream.Options{Dir: t.TempDir() + "/log", SegmentBytes: 4 << 10}
	log, stop := start(t, o)
	shard := create(t, log, "metrics", 2).Shards()[1]
	const n = 300
	for i := range n {
		first, err := shard.Append(context.Background(), []stream.Entry{entry("record %d", i)})
		if err != nil || first != stream.Offset(i) {
			t.Fatalf("append %d: got %d, %v", i, first, err)
		}
	}
	check := func(s *stream.Shard) {
		t.Helper()
		for _, from := range []stream.Offset{0, 1, 77, n - 1} {
			got := readAll(t, s, from)
			if len(got) != n-int(from) || got[0] != fmt.Sprintf("record %d", from) || got[len(got)-1] != "record 299" {
				t.Fatalf("from %d: got %d records, %q to %q", from, len(got), got[0], got[len(got)-1])
			}
		}
		if st := s.Stats(); st.Files < 3 || st.Durable != n {
			t.Errorf("got %d files and %d records, want several and %d", st.Files, st.Durable, n)
		}
	}
	check(shard)
	stop()
	log, _ = start(t, o)
	s, ok := log.Stream("metrics")
	if !ok || len(s.Shards()) != 2 {
		t.Fatalf("the stream is gone after reopening")
	}
	if err := s.Shards()[1].Err(); err != nil {
		t.Fatal(err)
	}
	check(s.Shards()[1])
}

// Every writer's records stay in its order, and the entries of one call together.
func TestConcurrentWritersKeepTheirOrder(t *testing.T) {
	const writers, calls, each = 8, 60, 3
	o := stream.Options{Dir: t.TempDir() + "/log", SegmentBytes: 16 << 10}
	log, stop := start(t, o)
	shard := create(t, log, "s", 1).Shards()[0]
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for c := range calls {
				entries := make([]stream.Entry, each)
				for i := range entries {
					entries[i] = entry("%d %d", w, c*each+i)
				}
				if _, err := shard.Append(context.Background(), entries); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	stop()
	log, _ = start(t, o)
	s, _ := log.Stream("s")
	var next [writers]int
	last := 0
	for i, data := range readAll(t, s.Shards()[0], 0) {
		var w, n int
		if _, err := fmt.Sscan(data, &w, &n); err != nil || n != next[w] {
			t.Fatalf("record %d: got %q, want number %d of its writer", i, data, next[w])
		}
		if n%each > 0 && w != last {
			t.Fatalf("record %d: %q stands within the entries of another call", i, data)
		}
		next[w]++
		last = w
	}
	for w, n := range next {
		if n != calls*each {
			t.Errorf("writer %d: got %d records, want %d", w, n, calls*each)
		}
	}
}

func TestRoutingDoesNotAllocate(t *testing.T) {
	log, _ := start(t, stream.Options{Dir: t.TempDir() + "/log"})
	s := create(t, log, "s", 4)
	key := strings.Repeat("partition key ", 18)
	if n := testing.AllocsPerRun(100, func() { s.ShardFor(stream.HashPartitionKey(key)) }); n > 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
