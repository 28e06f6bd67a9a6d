package kv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"freshet/stream/kv"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stores opens one of each kind.
func stores(t *testing.T) map[string]kv.Store {
	bolt, err := kv.Open(filepath.Join(t.TempDir(), "kv.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bolt.Close() })
	return map[string]kv.Store{"bolt": bolt, "mem": kv.NewMem()}
}

// TestStore holds every store to one behaviour.
func TestStore(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Run("swap", func(t *testing.T) { testSwap(t, s) })
			t.Run("revisions", func(t *testing.T) { testRevisions(t, s) })
			t.Run("list", func(t *testing.T) { testList(t, s) })
			t.Run("copies", func(t *testing.T) { testCopies(t, s) })
			t.Run("bounds", func(t *testing.T) { testBounds(t, s) })
			t.Run("context", func(t *testing.T) { testContext(t, s) })
			t.Run("race", func(t *testing.T) { testRace(t, s) })
		})
	}
}

func mustSwap(t *testing.T, s kv.Store, key string, old kv.Revision, value []byte) kv.Revision {
	t.Helper()
	r, err := s.Swap(t.Context(), key, old, value)
	if err != nil {
		t.Fatalf("swap %q at %d: %v", key, old, err)
	}
	return r
}

func testSwap(t *testing.T, s kv.Store) {
	if _, err := s.Get(t.Context(), "swap/a"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("got %v for a key that is not there, want ErrNotFound", err)
	}
	if _, err := s.Swap(t.Context(), "swap/a", 7, []byte("x")); !errors.Is(err, kv.ErrConflict) {
		t.Errorf("got %v for a change of a key that is not there, want ErrConflict", err)
	}
	first := mustSwap(t, s, "swap/a", 0, []byte("x"))
	if _, err := s.Swap(t.Context(), "swap/a", 0, []byte("y")); !errors.Is(err, kv.ErrConflict) {
		t.Errorf("got %v for making a key that is there, want ErrConflict", err)
	}
	second := mustSwap(t, s, "swap/a", first, []byte{})
	if second <= first {
		t.Errorf("got revision %d after %d", second, first)
	}
	if _, err := s.Swap(t.Context(), "swap/a", first, []byte("y")); !errors.Is(err, kv.ErrConflict) {
		t.Errorf("got %v for a change of an old revision, want ErrConflict", err)
	}
	e, err := s.Get(t.Context(), "swap/a")
	if err != nil || e.Key != "swap/a" || e.Value == nil || len(e.Value) != 0 || e.Revision != second {
		t.Errorf("got %+v, %v, want an empty value at %d", e, err, second)
	}
	if _, err := s.Swap(t.Context(), "swap/a", 0, nil); err == nil {
		t.Errorf("a deletion without a revision was accepted")
	}
}

// testRevisions makes a key again: what saw it before must not be able to change it.
func testRevisions(t *testing.T, s kv.Store) {
	first := mustSwap(t, s, "rev/a", 0, []byte("x"))
	gone := mustSwap(t, s, "rev/a", first, nil)
	if gone <= first {
		t.Errorf("got revision %d of the deletion, want more than %d", gone, first)
	}
	if _, err := s.Get(t.Context(), "rev/a"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("got %v after the deletion, want ErrNotFound", err)
	}
	again := mustSwap(t, s, "rev/a", 0, []byte("x"))
	if again <= gone {
		t.Errorf("got revision %d of the key made again, want more than %d", again, gone)
	}
	for _, old := range []kv.Revision{first, gone} {
		if _, err := s.Swap(t.Context(), "rev/a", old, nil); !errors.Is(err, kv.ErrConflict) {
			t.Errorf("got %v for revision %d, want ErrConflict", err, old)
		}
	}
}

func testList(t *testing.T, s kv.Store) {
	for _, key := range []string{"list/b", "list/a", "list/", "lisu", "list/a/c", "lis"} {
		mustSwap(t, s, key, 0, []byte(key))
	}
	all, err := s.List(t.Context(), "list/")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, e := range all {
		keys = append(keys, e.Key)
		if string(e.Value) != e.Key || e.Revision == 0 {
			t.Errorf("got %+v", e)
		}
	}
	if got, want := fmt.Sprint(keys), "[list/ list/a list/a/c list/b]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if none, err := s.List(t.Context(), "nothing/"); len(none) != 0 || err != nil {
		t.Errorf("got %v, %v, want nothing", none, err)
	}
}

// testCopies changes what went in and what came out.
func testCopies(t *testing.T, s kv.Store) {
	value := []byte("before")
	mustSwap(t, s, "copy", 0, value)
	copy(value, "change")
	e, _ := s.Get(t.Context(), "copy")
	copy(e.Value, "change")
	l, _ := s.List(t.Context(), "copy")
	copy(l[0].Value, "change")
	if e, _ := s.Get(t.Context(), "copy"); string(e.Value) != "before" {
		t.Errorf("got %q, want before", e.Value)
	}
}

func testBounds(t *testing.T, s kv.Store) {
	long := strings.Repeat("k", kv.MaxKeyBytes)
	large := bytes.Repeat([]byte("v"), kv.MaxValueBytes)
	r := mustSwap(t, s, long, 0, large)
	e, err := s.Get(t.Context(), long)
	if err != nil || !bytes.Equal(e.Value, large) {
		t.Errorf("got %d bytes, %v", len(e.Value), err)
	}
	for name, c := range map[string]struct {
		key   string
		value []byte
		want  string
	}{
		"key":   {long + "k", []byte("v"), "1025 bytes, more than 1024"},
		"value": {long, append(large, 'v'), "1048577 bytes, more than 1048576"},
		"empty": {"", []byte("v"), "empty"},
	} {
		_, err := s.Swap(t.Context(), c.key, r, c.value)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, kv.ErrTooLarge) != (c.key != "") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if _, err := s.Get(t.Context(), ""); err == nil {
		t.Errorf("got no error for an empty key")
	}
}

func testContext(t *testing.T, s kv.Store) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := s.Swap(ctx, "ctx", 0, []byte("x")); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
	if _, err := s.Get(ctx, "ctx"); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
	if _, err := s.List(ctx, "ctx"); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

// testRace counts up one value from several goroutines; every step must win once.
func testRace(t *testing.T, s kv.Store) {
	const writers, steps = 4, 10
	var wins, losses atomic.Int64
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for done := 0; done < steps; {
				e, err := s.Get(t.Context(), "race")
				if err != nil && !errors.Is(err, kv.ErrNotFound) {
					t.Error(err)
					return
				}
				_, err = s.Swap(t.Context(), "race", e.Revision, append(e.Value, 'x'))
				switch {
				case err == nil:
					done++
					wins.Add(1)
				case errors.Is(err, kv.ErrConflict):
					losses.Add(1)
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if e, err := s.Get(t.Context(), "race"); len(e.Value) != writers*steps {
		t.Errorf("got %d steps, %v, want %d (%d lost)", len(e.Value), err, writers*steps, losses.Load())
	}
}

// TestStoresAgree does the same random changes on both.
func TestStoresAgree(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		bolt, err := kv.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { bolt.Close() }()
		mem := kv.NewMem()
		last := map[string]kv.Revision{}
		keys := rapid.SampledFrom([]string{"a", "a/", "a/b", "b"})
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			switch key := keys.Draw(t, "key"); rapid.SampledFrom([]string{"swap", "swap", "delete", "stale", "list", "open"}).Draw(t, "do") {
			case "swap":
				same(t, bolt, mem, key, last, last[key], []byte(rapid.String().Draw(t, "value")))
			case "delete":
				same(t, bolt, mem, key, last, last[key], nil)
			case "stale":
				same(t, bolt, mem, key, last, kv.Revision(rapid.IntRange(0, 20).Draw(t, "old")), []byte("x"))
			case "list":
				b, _ := bolt.List(t.Context(), key)
				m, _ := mem.List(t.Context(), key)
				if fmt.Sprint(b) != fmt.Sprint(m) {
					t.Fatalf("list %q: bolt has %v, mem has %v", key, b, m)
				}
			case "open":
				if err := bolt.Close(); err != nil {
					t.Fatal(err)
				}
				if bolt, err = kv.Open(path); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func same(t *rapid.T, bolt, mem kv.Store, key string, last map[string]kv.Revision, old kv.Revision, value []byte) {
	b, berr := bolt.Swap(t.Context(), key, old, value)
	m, merr := mem.Swap(t.Context(), key, old, value)
	if b != m || fmt.Sprint(berr) != fmt.Sprint(merr) {
		t.Fatalf("swap %q at %d: bolt gives %d, %v; mem gives %d, %v", key, old, b, berr, m, merr)
	}
	if berr == nil {
		if last[key] = b; value == nil {
			last[key] = 0
		}
	}
}
