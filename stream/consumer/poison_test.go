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

// picky fails on batches that hold a record which contains one of the words, and panics
// when the word is "panic".
func picky(words ...string) func(context.Context, consumer.Batch) error {
	return func(_ context.Context, b consumer.Batch) error {
		for _, r := range b.Records {
			for _, w := range words {
				if strings.Contains(string(r.Data), w) {
					if w == "panic" {
						panic("it says panic")
					}
					return fmt.Errorf("it says %s", w)
				}
			}
		}
		return nil
	}
}

func TestPoisonIsPutAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStream(t, 1), kv.NewMem()
		data := numbered("r", 40)
		data[0], data[17], data[18], data[39] = "bad0", "bad17", "panic18", "bad39"
		put(t, s, data...)
		c := &collector{before: picky("bad", "panic")}
		o := options(consumer.NewSource(s), store, c)
		o.Attempts = 3
		w := run(t, o)
		time.Sleep(10 * time.Second)
		good := slices.DeleteFunc(slices.Clone(data), func(d string) bool { return !strings.HasPrefix(d, "r") })
		equal(t, "records, in order", c.all(), good)
		if l := leases(t, store)[0]; l.Checkpoint.Sequence.Offset != 39 {
			t.Errorf("got checkpoint %s, want the last record", l.Checkpoint)
		}
		asides := consumer.NewAsides(store, "app")
		list, err := asides.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range list {
			whole, err := asides.Read(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			reason, _, _ := strings.Cut(a.Reason.Error(), "\n")
			got = append(got, fmt.Sprintf("%d %s %s (%s) %d", a.Record.Sequence.Offset, whole.Record.PartitionKey, whole.Record.Data, reason, a.Attempts))
		}
		equal(t, "put aside", got, []string{
			"0 bad0 bad0 (it says bad) 3", "17 bad17 bad17 (it says bad) 3",
			"18 panic18 panic18 (the processor panicked: it says panic) 3", "39 bad39 bad39 (it says bad) 3",
		})
		st := w.Stats()
		if st.PutAside != 4 || st.Records != 36 || st.Panics == 0 || st.Bisections == 0 || st.Failures < 12 || st.PutAsideFailures != 0 {
			t.Errorf("got %+v", st)
		}
		for _, a := range list {
			if err := asides.Delete(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		if left, _ := store.List(t.Context(), "aside-data/"); len(left) != 0 {
			t.Errorf("%d values are left", len(left))
		}
	})
}

// TestRetry fails twice, and then no more: nothing is put aside.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStream(t, 1), kv.NewMem()
		put(t, s, numbered("r", 5)...)
		var attempts []int
		c := &collector{before: func(_ context.Context, b consumer.Batch) error {
			if attempts = append(attempts, b.Attempt); b.Attempt < 3 {
				return errors.New("not yet")
			}
			return nil
		}}
		w := run(t, options(consumer.NewSource(s), store, c))
		time.Sleep(time.Second)
		equal(t, "records", c.all(), numbered("r", 5))
		if st := w.Stats(); fmt.Sprint(attempts) != "[1 2 3]" || st.Failures != 2 || st.PutAside != 0 || st.Bisections != 0 {
			t.Errorf("got attempts %v, %+v", attempts, st)
		}
	})
}

// TestTransient has a database that is away for an hour: nothing is put aside for it, the
// shard stays with its worker, and a stop does not wait for it.
func TestTransient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStream(t, 1), kv.NewMem()
		put(t, s, numbered("r", 5)...)
		var away atomic.Bool
		away.Store(true)
		c := &collector{before: func(context.Context, consumer.Batch) error {
			if away.Load() {
				return fmt.Errorf("insert: %w", consumer.Transient(errors.New("the database is away")))
			}
			return nil
		}}
		w := run(t, options(consumer.NewSource(s), store, c))
		time.Sleep(time.Hour)
		if st := w.Stats(); st.PutAside != 0 || st.Bisections != 0 || st.Failures < 300 || st.Lost != 0 {
			t.Errorf("got %+v", st)
		}
		began := time.Now()
		w.stop(t)
		if d := time.Since(began); d > 100*time.Millisecond {
			t.Errorf("the stop took %v", d)
		}
		if l := leases(t, store)[0]; l.Owner != "" || l.Checkpoint.Kind != consumer.TrimHorizon {
			t.Errorf("got lease %+v, want a free one at the horizon", l)
		}
		away.Store(false)
		run(t, options(consumer.NewSource(s), store, c))
		time.Sleep(time.Second)
		equal(t, "records", c.all(), numbered("r", 5))
	})
}

// TestPutAsideFails holds the shard at a record that nobody takes.
func TestPutAsideFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newStream(t, 1), kv.NewMem()
		put(t, s, "a", "bad", "b")
		c := &collector{before: picky("bad")}
		o := options(consumer.NewSource(s), store, c)
		var full atomic.Bool
		full.Store(true)
		o.PutAside = func(_ context.Context, a consumer.Aside) error {
			if full.Load() {
				return errors.New("no room")
			}
			return nil
		}
		w := run(t, o)
		time.Sleep(time.Hour)
		equal(t, "records before it", c.all(), []string{"a"})
		if l := leases(t, store)[0]; l.Checkpoint.Sequence.Offset != 0 || l.Checkpoint.Kind != consumer.AfterRecord {
			t.Errorf("got checkpoint %s, want the first record", l.Checkpoint)
		}
		if st := w.Stats(); st.PutAsideFailures < 300 || st.PutAside != 0 {
			t.Errorf("got %+v", st)
		}
		full.Store(false)
		time.Sleep(time.Minute)
		equal(t, "records", c.all(), []string{"a", "b"})
	})
}

func TestAsidesAreBounded(t *testing.T) {
	store := kv.NewMem()
	asides := consumer.NewAsides(store, "app")
	asides.MaxRecords, asides.MaxBytes = 3, 2<<20
	record := func(o stream.Offset, n int) consumer.Aside {
		return consumer.Aside{Reason: errors.New("bad"), Attempts: 1, Record: consumer.Record{
			Sequence: stream.SequenceNumber{Created: 9, Offset: o, Second: 9}, PartitionKey: []byte("k\xff"),
			HashKey: stream.HashKey{Hi: 7}, Explicit: true, Arrived: 9000, Data: []byte(strings.Repeat("x", n)),
		}}
	}
	ctx := t.Context()
	for o := range stream.Offset(3) {
		for range 2 { // again, as after a kill
			if err := asides.Put(ctx, record(o, int(o)*690_000)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := asides.Put(ctx, record(3, 0)); !errors.Is(err, consumer.ErrAsideFull) || !strings.Contains(err.Error(), "4 records") {
		t.Errorf("got %v for one too many, want ErrAsideFull", err)
	}
	list, err := asides.List(ctx)
	if err != nil || len(list) != 3 {
		t.Fatalf("got %d, %v", len(list), err)
	}
	whole, err := asides.Read(ctx, list[2])
	if err != nil {
		t.Fatal(err)
	}
	want := record(2, 1_380_000).Record
	if got := whole.Record; string(got.Data) != string(want.Data) || string(got.PartitionKey) != string(want.PartitionKey) ||
		got.HashKey != want.HashKey || !got.Explicit || got.Arrived != want.Arrived || got.Sequence != want.Sequence {
		t.Errorf("got another record than was put aside")
	}
	asides.MaxRecords = 100
	if err := asides.Put(ctx, record(3, 100_000)); !errors.Is(err, consumer.ErrAsideFull) {
		t.Errorf("got %v for too many bytes, want ErrAsideFull", err)
	}
	if err := asides.Delete(ctx, list[2]); err != nil {
		t.Fatal(err)
	}
	// What a kill has left in the size is counted again when there seems to be no room.
	size, _ := store.Get(ctx, "aside-size/app")
	if _, err := store.Swap(ctx, size.Key, size.Revision, []byte(`{"records":100,"bytes":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := asides.Put(ctx, record(3, 1)); err != nil {
		t.Errorf("got %v, want room", err)
	}
	if size, _ = store.Get(ctx, "aside-size/app"); string(size.Value) != `{"records":3,"bytes":690001}` {
		t.Errorf("got size %s", size.Value)
	}
}
