package stream_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"freshet/stream"
	"freshet/stream/vfs"
)

// TestPut appends records of many keys while shards are split, and looks that all are there
// once, those of a key in order.
func TestPut(t *testing.T) {
	log, err := stream.Open(stream.Options{Dir: "log", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	defer func() {
		cancel()
		<-done
		log.Close()
	}()
	s, err := log.Create("s", 2)
	if err != nil {
		t.Fatal(err)
	}
	const puts, keys = 40, 7
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for n := range puts {
			var entries []stream.Entry
			for k := range keys {
				for part := range 3 {
					entries = append(entries, stream.Entry{PartitionKey: fmt.Sprint(k), Data: fmt.Append(nil, 3*n+part)})
				}
			}
			last, rest, err := s.Put(ctx, entries)
			if err != nil || len(rest) != 0 || len(last) == 0 {
				failed <- fmt.Errorf("put %d: last %v, %d left, %v", n, last, len(rest), err)
				return
			}
		}
	}()
	for range 3 {
		open := s.OpenShards()
		first, last := open[0].Range()
		if _, err := s.Split(ctx, open[0].ID(), stream.HashKey{Hi: first.Hi/2 + last.Hi/2}); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	for _, shard := range s.Shards() { // parents have lower ids
		r := shard.Reader(0)
		for r.Offset() < shard.Durable() {
			records, err := r.Next(ctx, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range records {
				key := string(rec.PartitionKey)
				if got, want := string(rec.Data), fmt.Sprint(next[key]); got != want {
					t.Fatalf("key %s: got %s, want %s", key, got, want)
				}
				next[key]++
			}
		}
		r.Close()
	}
	for k := range keys {
		if got := next[fmt.Sprint(k)]; got != 3*puts {
			t.Errorf("key %d: got %d records, want %d", k, got, 3*puts)
		}
	}
	large := []stream.Entry{{PartitionKey: "k", Data: []byte("fits")}, {PartitionKey: "k", Data: make([]byte, stream.MaxRecordBytes+1)}}
	if _, rest, err := s.Put(ctx, large); !errors.Is(err, stream.ErrTooLarge) || len(rest) != 1 {
		t.Errorf("too large: got %d left and %v, want 1 and ErrTooLarge", len(rest), err)
	}
}
