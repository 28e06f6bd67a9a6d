package kinesis_test

import (
	"context"
	"fmt"
	"testing"

	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// TestOrderOfAKeyOverReshards writes one key while its shard is split and merged, and
// reads parents before children.
func TestOrderOfAKeyOverReshards(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	r.create("s", 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			r.ok("PutRecord", object{"StreamName": "s", "PartitionKey": "k", "Data": []byte(fmt.Sprint(i))})
		}
	}()
	s, _ := r.log.Stream("s")
	ctx := context.Background()
	for range 5 {
		open := s.OpenShards()
		_, last := open[0].Range()
		children, err := s.Split(ctx, open[0].ID(), last)
		must(t, err)
		_, err = s.Merge(ctx, children[0].ID(), children[1].ID())
		must(t, err)
	}
	<-done
	var got []string
	for _, shard := range s.Shards() {
		reader := shard.Reader(0)
		for reader.Offset() < shard.Durable() {
			records, err := reader.Next(ctx, 0)
			must(t, err)
			for _, rec := range records {
				got = append(got, string(rec.Data))
			}
		}
		reader.Close()
	}
	for i, data := range got {
		if data != fmt.Sprint(i) {
			t.Fatalf("record %d is %s", i, data)
		}
	}
	if len(got) != 300 {
		t.Errorf("got %d records, want 300", len(got))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
