package warehouse_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
	"freshet/warehouse"
)

// keyed appends a point whose post has a key.
func (l *line) keyed(t testing.TB, number int, p point.Point) {
	t.Helper()
	hash := stream.HashKey{Hi: point.HashOf(p.Series)}
	shard := l.stream.ShardFor(hash)
	var v point.View
	v.Set(&p)
	var b point.Builder
	b.Add(&v)
	m := point.Mark{Key: point.KeyOf([16]byte{9}, uint64(number)), Home: uint32(shard.ID()) + 1}
	if _, err := shard.Append(context.Background(), []stream.Entry{{HashKey: hash, Explicit: true, Data: b.EncodeMarked(nil, []int{0}, m)}}); err != nil {
		t.Fatal(err)
	}
}

// Keys come back from the warehouse in the order in which they came, and what is sent again
// after a restart is not loaded again.
func TestKeysAreKeptWithTheLoad(t *testing.T) {
	s := newLog(t)
	store := open(t, warehouse.Options{Path: filepath.Join(t.TempDir(), "w.duckdb")})
	l := newLineOn(t, s, store, warehouse.LoaderOptions{})
	const posts = 5000 // several chunks of keys
	send := func(l *line, from, to int) {
		for i := from; i < to; i++ {
			l.keyed(t, i, gauge("m", "a", base, float64(i)))
		}
	}
	send(l, 0, posts/2)
	l.load(t)
	send(l, posts/4, posts)
	l.load(t)
	restored, err := store.Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var keys []aggregate.Keys
	for _, k := range restored.Keys {
		if len(k.Key) > 0 {
			keys = append(keys, k)
		}
	}
	if len(keys) != 1 || len(keys[0].Key) != posts || len(keys[0].Arrived) != posts || keys[0].First != 0 || keys[0].Start != posts/4+posts-1 {
		t.Fatalf("got %d runs, the first of %d keys from %d on, the last from record %d; want %d keys of one shard", len(keys), len(keys[0].Key), keys[0].First, keys[0].Start, posts)
	}
	for i, k := range keys[0].Key {
		if want := point.KeyOf([16]byte{9}, uint64(i)); k != want || keys[0].Arrived[i] == 0 {
			t.Fatalf("key %d: got %v of second %d, want %v", i, k, keys[0].Arrived[i], want)
		}
	}
	again := newLineOn(t, s, store, warehouse.LoaderOptions{}) // as after a restart
	send(again, posts/2, posts+10)
	again.load(t)
	want := fmt.Sprintf("[[%d %d %d %d %d]]", posts+10, posts+10, posts+10, posts+10, posts+10)
	if got := again.query(t, totals); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Keys that no shard remembers leave the warehouse.
func TestForgottenKeysAreDeleted(t *testing.T) {
	s := newLog(t)
	store := open(t, warehouse.Options{Path: filepath.Join(t.TempDir(), "w.duckdb")})
	engine, err := aggregate.New(aggregate.Options{Stream: s, History: store, MaxKeys: 10})
	if err != nil {
		t.Fatal(err)
	}
	run(t, engine.Run)
	l := &line{stream: s, store: store, engine: engine, loader: store.Loader(warehouse.LoaderOptions{Source: engine})}
	for i := range 30 {
		l.keyed(t, i, gauge("m", "a", base, float64(i)))
		if i%7 == 0 {
			l.load(t)
		}
	}
	l.load(t)
	restored, err := store.Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(restored.Keys) != 1 || restored.Keys[0].First != 20 || len(restored.Keys[0].Key) != 10 {
		t.Errorf("got %+v, want the last 10 keys of 30", restored.Keys)
	}
}
