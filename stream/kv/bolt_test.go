package kv_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"freshet/stream/kv"

	bolt "go.etcd.io/bbolt"
)

// TestBoltKeepsWhatItAcknowledged opens the file again, and once more as a copy that was
// taken while it was open, as after kill -9.
func TestBoltKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kv.db")
	s, err := kv.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	first := mustSwap(t, s, "a", 0, []byte("1"))
	second := mustSwap(t, s, "a", first, nil)
	third := mustSwap(t, s, "b", 0, []byte("2"))
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(dir, "killed.db")
	if err := os.WriteFile(killed, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "b"); err == nil {
		t.Errorf("got no error from a closed store")
	}
	for _, path := range []string{path, killed} {
		s, err := kv.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if e, err := s.Get(t.Context(), "b"); err != nil || string(e.Value) != "2" || e.Revision != third {
			t.Errorf("got %+v, %v, want 2 at %d", e, err, third)
		}
		if again := mustSwap(t, s, "a", 0, []byte("3")); again <= third || second <= first {
			t.Errorf("got revision %d after %d", again, third)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kv.db")
	s, err := kv.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := kv.Open(path); err == nil || !strings.Contains(err.Error(), "open already") {
		t.Errorf("got %v for a file that is open, want that it is open already", err)
	}
	if _, err := kv.Open(filepath.Join(dir, "none", "kv.db")); err == nil {
		t.Errorf("got no error for a folder that is not there")
	}
	other := filepath.Join(dir, "other.db")
	db, err := bolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("freshet.kv.2")); return err })
	db.Close()
	if _, err := kv.Open(other); err == nil || !strings.Contains(err.Error(), "freshet.kv.2") {
		t.Errorf("got %v for a file of a newer program, want its bucket's name", err)
	}
}

// TestBoltLayout reads the file as the comment in bolt.go describes it, and finds damage.
func TestBoltLayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.db")
	s, err := kv.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	mustSwap(t, s, "a", mustSwap(t, s, "a", 0, []byte("x")), []byte("yz"))
	s.Close()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("freshet.kv.1"))
		if got, want := string(b.Get([]byte("a"))), "\x00\x00\x00\x00\x00\x00\x00\x02yz"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if b.Sequence() != 2 {
			t.Errorf("got sequence %d, want 2", b.Sequence())
		}
		b.Put([]byte("short"), []byte("1234567"))
		return b.Put([]byte("zero"), make([]byte, 8))
	})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	if s, err = kv.Open(path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, key := range []string{"short", "zero"} {
		if _, err := s.Get(t.Context(), key); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: got %v, want that it is damaged", key, err)
		}
		if _, err := s.List(t.Context(), key); err == nil {
			t.Errorf("%s: got no error from List", key)
		}
		if _, err := s.Swap(t.Context(), key, 0, []byte("x")); err == nil {
			t.Errorf("%s: got no error from Swap", key)
		}
	}
}
