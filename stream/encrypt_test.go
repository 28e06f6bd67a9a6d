package stream_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/keyring"
	"freshet/stream/vfs"

	"pgregory.net/rapid"
)

// ring has keys made of words, the first one current.
func ring(t rapid.TB, words ...string) *keyring.Ring {
	t.Helper()
	var keys [][keyring.KeySize]byte
	for _, w := range words {
		keys = append(keys, sha256.Sum256([]byte(w)))
	}
	r, err := keyring.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func withKeys(o stream.Options, keys *keyring.Ring) stream.Options {
	o.Keys = keys
	return o
}

// createEncrypted makes a stream of one shard whose records are encrypted.
func createEncrypted(t testing.TB, log *stream.Log, name string) *stream.Stream {
	t.Helper()
	s := create(t, log, name, 1)
	if err := s.SetEncrypted(true); err != nil {
		t.Fatal(err)
	}
	return s
}

// snapshot is the bytes of all files of a log, by name.
func snapshot(t rapid.TB, fs *vfs.Mem) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	var walk func(dir string)
	walk = func(dir string) {
		names, err := fs.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			name := path.Join(dir, n)
			if _, err := fs.ReadDir(name); err == nil {
				walk(name)
			} else {
				all[name] = contents(t, fs, name)
			}
		}
	}
	walk(memDir)
	return all
}

// restore is a file system that holds what snapshot found.
func restore(t rapid.TB, files map[string][]byte) *vfs.Mem {
	t.Helper()
	fs := vfs.NewMem()
	for name, b := range files {
		if err := fs.MkdirAll(path.Dir(name)); err != nil {
			t.Fatal(err)
		}
		f, err := fs.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = f.WriteAt(b, 0); err == nil {
			err = errors.Join(f.Sync(), f.Close(), fs.SyncDir(path.Dir(name)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// TestNothingReadableIsOnDisk looks at every byte of every file for what was stored
// while the stream was encrypted, and for the keys.
func TestNothingReadableIsOnDisk(t *testing.T) {
	fs := vfs.NewMem()
	o := withKeys(memOptions(fs), ring(t, "secret"))
	log, stop := start(t, o)
	s := create(t, log, "s", 2)
	put := func(s *stream.Stream, word string, from, n int) {
		for i := from; i < from+n; i++ {
			hash := stream.HashKey{Hi: binary.LittleEndian.Uint64([]byte(word + "hashhash")), Lo: uint64(i)}
			e := stream.Entry{PartitionKey: word + "-key", HashKey: hash, Explicit: i%2 == 0, Data: []byte(strings.Repeat(word+"-data ", 1+i%90))}
			if _, err := s.Shards()[i%2].Append(context.Background(), []stream.Entry{e}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(s, "before", 0, 40)
	if err := s.SetEncrypted(true); err != nil {
		t.Fatal(err)
	}
	put(s, "hidden", 40, 100)
	stop() // the tail is recovered
	log, _ = start(t, o)
	s, _ = log.Stream("s")
	if !s.Encrypted() {
		t.Fatal("the stream is no longer encrypted")
	}
	put(s, "hidden", 140, 100)
	if err := s.SetEncrypted(false); err != nil {
		t.Fatal(err)
	}
	put(s, "after", 240, 40)

	key := sha256.Sum256([]byte("secret"))
	count := map[string]int{}
	for name, b := range snapshot(t, fs) {
		if bytes.Contains(b, key[:]) {
			t.Errorf("%s holds the key", name)
		}
		for _, word := range []string{"before-", "hidden", "neddih", "after-", "secret"} {
			count[word] += bytes.Count(b, []byte(word))
		}
	}
	if count["before-"] == 0 || count["after-"] == 0 {
		t.Errorf("got %v: what is plain is not found either", count)
	}
	if count["hidden"] > 0 || count["neddih"] > 0 || count["secret"] > 0 {
		t.Errorf("got %v on disk", count)
	}
	for i, sh := range s.Shards() {
		if got := readAll(t, sh, 0); len(got) != 140 || !strings.HasPrefix(got[0], "before-") || !strings.HasPrefix(got[100], "hidden-") || !strings.HasPrefix(got[139], "after-") {
			t.Errorf("shard %d: got %d records", i, len(got))
		}
	}
}

// The wrong key is neither damage nor a torn tail, and keeps nothing else from working.
func TestWithoutTheKey(t *testing.T) {
	base := vfs.NewMem()
	log, stop := start(t, withKeys(memOptions(base), ring(t, "right")))
	hidden := createEncrypted(t, log, "hidden")
	plain := create(t, log, "plain", 1)
	appendN(t, hidden.Shards()[0], 0, 60)
	appendN(t, plain.Shards()[0], 0, 60)
	stop()
	before := snapshot(t, base)
	right := ring(t, "right").IDs()[0].String()
	for name, keys := range map[string]*keyring.Ring{"none": nil, "another": ring(t, "wrong")} {
		t.Run(name, func(t *testing.T) {
			fs := restore(t, before)
			log, stop := start(t, withKeys(memOptions(fs), keys))
			hidden, _ := log.Stream("hidden")
			shard := hidden.Shards()[0]
			_, appending := shard.Append(context.Background(), []stream.Entry{entry("x")})
			r := shard.Reader(0)
			defer r.Close()
			_, reading := r.Next(context.Background(), 0)
			last := shard.Reader(shard.Durable())
			defer last.Close()
			_, waiting := last.Next(context.Background(), 0)
			for what, err := range map[string]error{"Err": shard.Err(), "Append": appending, "Next": reading, "Next at the end": waiting} {
				var missing *keyring.MissingError
				var bad *stream.DamageError
				if !errors.As(err, &missing) || errors.As(err, &bad) || !strings.Contains(err.Error(), right) || !strings.Contains(err.Error(), ".seg") {
					t.Errorf("%s: got %v, want the name of the file and key %s", what, err, right)
				} else if keys != nil && !strings.Contains(err.Error(), keys.IDs()[0].String()) {
					t.Errorf("%s: got %v, want the key at hand, %s", what, err, keys.IDs()[0])
				}
			}
			if n := shard.Stats().Damages; n != 0 {
				t.Errorf("got %d damages", n)
			}
			plain, _ := log.Stream("plain")
			wantN(t, plain.Shards()[0], 60)
			appendN(t, plain.Shards()[0], 60, 3)
			stop()
			for name, b := range snapshot(t, fs) {
				if strings.Contains(name, "hidden") && !bytes.Equal(b, before[name]) {
					t.Errorf("%s was changed", name)
				}
			}
			log, _ = start(t, withKeys(memOptions(fs), ring(t, "right")))
			hidden, _ = log.Stream("hidden")
			wantN(t, hidden.Shards()[0], 60)
			appendN(t, hidden.Shards()[0], 60, 3)
		})
	}
}

func TestSetEncryptedWithoutKeys(t *testing.T) {
	fs := vfs.NewMem()
	log, stop := start(t, memOptions(fs))
	s := create(t, log, "s", 1)
	if err := s.SetEncrypted(true); !errors.Is(err, stream.ErrNoKeys) || s.Encrypted() {
		t.Errorf("got %v, want ErrNoKeys", err)
	}
	appendN(t, s.Shards()[0], 0, 3)
	stop()

	// The change is durable and a crash came before the tail was replaced.
	log, err := stream.Open(withKeys(memOptions(fs), ring(t, "k")))
	if err != nil {
		t.Fatal(err)
	}
	s, _ = log.Stream("s")
	if err := s.SetEncrypted(true); err != nil {
		t.Fatal(err)
	}
	log.Close()
	log, stop = start(t, memOptions(fs))
	s, _ = log.Stream("s")
	if err := s.Shards()[0].Err(); !errors.Is(err, stream.ErrNoKeys) {
		t.Errorf("got %v, want ErrNoKeys", err)
	}
	wantN(t, s.Shards()[0], 3)
	stop()
	log, _ = start(t, withKeys(memOptions(fs), ring(t, "k")))
	s, _ = log.Stream("s")
	appendN(t, s.Shards()[0], 3, 3)
	wantN(t, s.Shards()[0], 6)
}

// New files get the new key; the files before are read with theirs for as long as it is
// there, and without it nothing but their records is lost.
func TestKeysRotateByFile(t *testing.T) {
	fs := vfs.NewMem()
	n := 0
	var s *stream.Stream
	with := func(words ...string) (stop func()) {
		log, stop := start(t, withKeys(memOptions(fs), ring(t, words...)))
		var ok bool
		if s, ok = log.Stream("s"); !ok {
			s = createEncrypted(t, log, "s")
		}
		return stop
	}
	for _, words := range [][]string{{"one"}, {"two", "one"}, {"three", "two", "one"}} {
		stop := with(words...)
		appendN(t, s.Shards()[0], n, 50)
		n += 50
		wantN(t, s.Shards()[0], n)
		stop()
	}
	stop := with("three")
	shard := s.Shards()[0]
	var missing *keyring.MissingError
	if _, err := readUntilError(shard, n); !errors.As(err, &missing) || missing.Want != ring(t, "one").IDs()[0] {
		t.Errorf("got %v, want that key one is missing", err)
	}
	if err := shard.Err(); err != nil {
		t.Errorf("got %v; the shard can take records", err)
	}
	if got := readAll(t, shard, stream.Offset(n-5)); len(got) != 5 {
		t.Errorf("got %d records of the last file, want 5", len(got))
	}
	appendN(t, shard, n, 3)
	stop()
	with("three", "one", "two")
	wantN(t, s.Shards()[0], n+3)
}

// Writers and a reader go on while the stream changes to and fro.
func TestSetEncryptedWhileWriting(t *testing.T) {
	fs := vfs.NewMem()
	log, _ := start(t, withKeys(memOptions(fs), ring(t, "k")))
	s := create(t, log, "s", 1)
	shard := s.Shards()[0]
	const writers, each = 4, 100
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				if _, err := shard.Append(context.Background(), []stream.Entry{entry("%d %d %s", w, i, strings.Repeat("x", 100))}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Go(func() {
		for i := range 20 {
			if err := s.SetEncrypted(i%2 == 0); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond)
		}
	})
	r := shard.Reader(0)
	defer r.Close()
	var next [writers]int
	for got := 0; got < writers*each; {
		records, err := r.Next(context.Background(), 5000)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			var w, i int
			if fmt.Sscan(string(rec.Data), &w, &i); i != next[w] {
				t.Fatalf("got record %d of writer %d, want %d", i, w, next[w])
			}
			next[w]++
			got++
		}
	}
	group.Wait()
}

func TestChildrenOfAnEncryptedShard(t *testing.T) {
	fs := vfs.NewMem()
	log, stop := start(t, withKeys(memOptions(fs), ring(t, "k")))
	s := createEncrypted(t, log, "s")
	parent := s.Shards()[0]
	appendN(t, parent, 0, 50)
	children, err := s.Split(context.Background(), parent.ID(), stream.HashKey{Hi: 1 << 63})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range children {
		appendN(t, c, 0, 50)
	}
	stop()
	if n := plainCopies(snapshot(t, fs), bytes.Repeat([]byte("x"), 20)); n > 0 {
		t.Errorf("records can be read in %d files", n)
	}
	log, _ = start(t, withKeys(memOptions(fs), ring(t, "new", "k")))
	s, _ = log.Stream("s")
	for _, sh := range s.Shards() {
		wantN(t, sh, 50)
	}
}

// A tail without records is replaced, and at no time is there neither it nor the other:
// it is the only file of its shard.
func TestEmptyTailsAreReplaced(t *testing.T) {
	base := vfs.NewMem()
	for i := range 4 {
		log, stop := start(t, withKeys(memOptions(base), ring(t, "k")))
		if i == 0 {
			createEncrypted(t, log, "s")
		}
		stop()
	}
	files := snapshot(t, base)
	for n := int64(1); n < 8; n++ {
		for _, kind := range []vfs.OpKind{vfs.OpWrite, vfs.OpSync, vfs.OpCreate, vfs.OpRename, vfs.OpSyncDir} {
			for seed := range uint64(8) {
				fs := restore(t, files)
				failOnce(fs, kind, n, vfs.Fault{Err: errors.New("disk gone"), Short: 70})
				if log, err := stream.Open(withKeys(memOptions(fs), ring(t, "k"))); err == nil {
					log.Close()
				}
				if seed == 0 {
					fs = fs.Kill()
				} else {
					fs = fs.Crash(rand.New(rand.NewPCG(seed, 0)))
				}
				log, stop := start(t, withKeys(memOptions(fs), ring(t, "k")))
				s, _ := log.Stream("s")
				appendN(t, s.Shards()[0], 0, 3)
				wantN(t, s.Shards()[0], 3)
				stop()
				if names := segmentFiles(t, fs, 0); len(names) != 1 || !strings.HasSuffix(names[0], ".seg") {
					t.Fatalf("got the files %v", names)
				}
			}
		}
	}
}

// nonces is a file system that looks at what is encrypted: no two frames may have the
// same key and position, whether they were written wholly, partly or not at all.
type nonces struct {
	*vfs.Mem
	seen *sync.Map // of frame ids: what was encrypted
	t    interface{ Errorf(string, ...any) }
}

func (n nonces) Create(name string) (vfs.File, error) {
	f, err := n.Mem.Create(name)
	return nonceFile{f, n}, err
}

func (n nonces) OpenWrite(name string) (vfs.File, error) {
	f, err := n.Mem.OpenWrite(name)
	return nonceFile{f, n}, err
}

type nonceFile struct {
	vfs.File
	nonces
}

type frameID struct {
	salt     uint64 // one a file, as the key
	position int64
}

const kindSealed = 5

func (f nonceFile) WriteAt(b []byte, at int64) (int, error) {
	le := binary.LittleEndian
	if len(b) >= 64 && at >= 200 && le.Uint32(b[48:]) == kindSealed && int64(le.Uint64(b[8:])) == at {
		id := frameID{le.Uint64(b), at}
		sum := sha256.Sum256(b[:min(len(b), 64+int(le.Uint32(b[40:])))])
		if before, again := f.seen.LoadOrStore(id, sum); again && before != sum {
			f.t.Errorf("two frames were encrypted with the key of %016x and the nonce of byte %d", id.salt, at)
		}
	}
	return f.File.WriteAt(b, at)
}

// plainCopies counts the files that hold a text.
func plainCopies(files map[string][]byte, text []byte) (n int) {
	for b := range maps.Values(files) {
		if bytes.Contains(b, text) {
			n++
		}
	}
	return n
}
