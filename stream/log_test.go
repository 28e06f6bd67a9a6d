package stream_test

import (
	"context"
	"fmt"
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
