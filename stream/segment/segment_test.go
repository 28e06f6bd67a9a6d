package segment_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"freshet/stream/keyring"
	"freshet/stream/segment"
	"freshet/stream/vfs"
)

var update = flag.Bool("update", false, "write the golden file")

var header = segment.Header{Salt: 0x1122334455667788, Stream: 7, Shard: 3, Created: 1_700_000_000, Base: 1000, Started: 1_700_000_001_000}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kinds are the keys of plain files and of encrypted ones.
var kinds = map[string]*keyring.Ring{"plain": nil, "encrypted": ring("new", "old")}

// ring has keys made of words.
func ring(words ...string) *keyring.Ring {
	var keys [][keyring.KeySize]byte
	for _, w := range words {
		keys = append(keys, sha256.Sum256([]byte(w)))
	}
	r, err := keyring.New(keys...)
	if err != nil {
		panic(err)
	}
	return r
}

// create makes a file, encrypted when there are keys.
func create(t testing.TB, fs *vfs.Mem, name string, keys *keyring.Ring) *segment.Writer {
	t.Helper()
	if keys == nil {
		w, err := segment.Create(fs, name, header)
		check(t, err)
		return w
	}
	w, err := segment.CreateEncrypted(fs, name, header, keys)
	check(t, err)
	return w
}

// frame encodes records whose key is their number and whose hash is given to every other one.
func frame(from, n, size int) []byte {
	b := make([]byte, segment.FrameHeaderSize)
	for i := from; i < from+n; i++ {
		var hash *[2]uint64
		if i%2 == 1 {
			hash = &[2]uint64{uint64(i), 42}
		}
		b = segment.AppendRecord(b, fmt.Sprint("key", i), hash, bytes.Repeat([]byte{byte(i)}, size))
	}
	return b
}

// sample writes two frames with a mark behind each.
func sample(t testing.TB, fs *vfs.Mem, name string, keys *keyring.Ring) *segment.Writer {
	w := create(t, fs, name, keys)
	fill(t, w)
	return w
}

func fill(t testing.TB, w *segment.Writer) {
	for i, n := range []int{1, 3} {
		check(t, w.Write(frame(i, n, 5), n, header.Started+int64(i)))
		check(t, w.Sync())
		check(t, w.Mark())
	}
}

func contents(t testing.TB, fs *vfs.Mem, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	check(t, err)
	defer f.Close()
	size, err := f.Size()
	check(t, err)
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	check(t, err)
	return b
}

// put makes a file of bytes.
func put(t testing.TB, fs *vfs.Mem, name string, b []byte) vfs.File {
	t.Helper()
	f, err := fs.Create(name)
	check(t, err)
	_, err = f.WriteAt(b, 0)
	check(t, err)
	return f
}

// read returns the records of a file from an offset on, reading a piece at a time.
func read(f vfs.File, keys *keyring.Ring, info *segment.Info, limit int64, from uint64, piece int) ([]segment.Record, error) {
	m := info.Index.Before(from)
	if m.Position == segment.HeaderSize {
		m.First = info.Base
	}
	var c segment.Cursor
	c.Reset(f, info.Salt, m, from)
	if info.Encrypted {
		key, err := segment.ReadKey(f, keys)
		if err != nil {
			return nil, err
		}
		c.Decrypt(key)
	}
	var all []segment.Record
	for {
		for rec := (segment.Record{}); c.Next(&rec); {
			rec.Key, rec.Data = bytes.Clone(rec.Key), bytes.Clone(rec.Data)
			all = append(all, rec)
		}
		if more, err := c.Fill(limit, piece); err != nil || !more {
			return all, err
		}
	}
}

func TestGolden(t *testing.T) {
	fs := vfs.NewMem()
	plain := create(t, fs, "v1", nil)
	encrypted, err := segment.CreateEncryptedFrom(fs, "v2", header, ring("golden"), rand.NewChaCha8([32]byte{1}))
	check(t, err)
	for name, w := range map[string]*segment.Writer{"v1": plain, "v2": encrypted} {
		fill(t, w)
		check(t, w.Seal())
		got := hex.Dump(contents(t, fs, name))
		golden := "testdata/" + name + ".hex"
		if *update {
			check(t, os.WriteFile(golden, []byte(got), 0o644))
		}
		want, err := os.ReadFile(golden)
		check(t, err)
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

// undump reads what hex.Dump wrote.
func undump(t testing.TB, name string) []byte {
	t.Helper()
	dump, err := os.ReadFile(name)
	check(t, err)
	var b []byte
	for line := range strings.Lines(string(dump)) {
		if len(line) < 59 {
			continue // the length
		}
		part, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(line[8:59]), " ", ""))
		check(t, err)
		b = append(b, part...)
	}
	return b
}

// The golden file of every version must stay readable.
func TestGoldenIsRead(t *testing.T) {
	for name, keys := range map[string]*keyring.Ring{"v1": nil, "v2": ring("newer", "golden")} {
		t.Run(name, func(t *testing.T) {
			f := put(t, vfs.NewMem(), "a", undump(t, "testdata/"+name+".hex"))
			info, err := segment.ReadSealed(f)
			check(t, err)
			want := header
			want.Encrypted = keys != nil
			if info.Header != want || info.End != 1004 || info.FirstArrived != header.Started || info.LastArrived != header.Started+1 {
				t.Errorf("got %+v", info)
			}
			records, err := read(f, keys, &info, info.Size, 1000, 100)
			check(t, err)
			if len(records) != 4 || string(records[0].Key) != "key0" || records[3].Offset != 1003 || records[2].HasHash || !records[1].HasHash {
				t.Errorf("got %+v", records)
			}
		})
	}
}

func TestCursorReadsFromAnyOffsetInAnyPieces(t *testing.T) {
	for kind, keys := range kinds {
		t.Run(kind, func(t *testing.T) { readAnyway(t, keys) })
	}
}

func readAnyway(t *testing.T, keys *keyring.Ring) {
	fs := vfs.NewMem()
	w := create(t, fs, "a", keys)
	n := 0
	for i, size := range []int{1, 40, 100_000, 7, 7, 300_000, 12, 5_000} {
		check(t, w.Write(frame(n, i+1, size), i+1, int64(1000+i)))
		n += i + 1
		check(t, w.Sync())
		check(t, w.Mark())
	}
	info := w.Info()
	for _, piece := range []int{1, 64, 4096, 1 << 20} {
		for from := range n + 1 {
			records, err := read(w.File(), keys, info, w.Synced(), header.Base+uint64(from), piece)
			if err != nil || len(records) != n-from {
				t.Fatalf("pieces of %d from %d: got %d records, %v", piece, from, len(records), err)
			}
			for i, rec := range records {
				o := from + i
				if rec.Offset != header.Base+uint64(o) || string(rec.Key) != fmt.Sprint("key", o) || rec.HasHash != (o%2 == 1) ||
					rec.HasHash && rec.Hash != [2]uint64{uint64(o), 42} || len(rec.Data) == 0 || rec.Data[len(rec.Data)-1] != byte(o) {
					t.Fatalf("pieces of %d from %d: record %d is %+v", piece, from, o, rec.Offset)
				}
			}
		}
	}
}

func TestRecoverTellsTornFromDamaged(t *testing.T) {
	for kind, keys := range kinds {
		t.Run(kind, func(t *testing.T) { tornOrDamaged(t, keys) })
	}
}

func tornOrDamaged(t *testing.T, keys *keyring.Ring) {
	fs := vfs.NewMem()
	w := sample(t, fs, "a", keys)
	// A frame that was written behind the mark and not synced.
	synced := w.Info().Size - segment.FrameHeaderSize // the mark is not synced either
	check(t, w.Write(frame(4, 2, 50), 2, header.Started+2))
	whole := contents(t, fs, "a")

	for at := segment.HeaderSize; at < len(whole); at++ {
		b := bytes.Clone(whole)
		b[at] ^= 0x55
		name := fmt.Sprint("flip", at)
		r, err := segment.Recover(put(t, fs, name, b), keys)
		var bad *segment.CorruptError
		if torn := int64(at) >= synced; torn && err != nil || !torn && !errors.As(err, &bad) {
			t.Fatalf("byte %d of %d, synced %d: got %v", at, len(whole), synced, err)
		}
		if r.Unfinished || r.Size > int64(at) || err == nil && r.Torn != int64(len(whole))-r.Size {
			t.Fatalf("byte %d: got size %d, %d torn, unfinished %t", at, r.Size, r.Torn, r.Unfinished)
		}
	}
	for end := int(synced); end < len(whole); end++ {
		r, err := segment.Recover(put(t, fs, fmt.Sprint("cut", end), whole[:end]), keys)
		if err != nil || r.End != header.Base+4 {
			t.Fatalf("cut at %d: got %d records, %v", end, r.End, err)
		}
	}
	// The mark is lost and the frame behind it is not: neither was synced.
	b := bytes.Clone(whole)
	clear(b[synced:][:segment.FrameHeaderSize])
	if r, err := segment.Recover(put(t, fs, "lost mark", b), keys); err != nil || r.Size != synced {
		t.Errorf("lost mark: got size %d, %v, want %d", r.Size, err, synced)
	}
}

// A crash may end a file anywhere while it is made, and never with a record in it.
func TestRecoverKnowsAFileThatWasBeingMade(t *testing.T) {
	for kind, keys := range kinds {
		fs := vfs.NewMem()
		w := create(t, fs, "a", keys)
		made := int(w.Info().Size)
		check(t, w.Write(frame(0, 1, 5), 1, header.Started))
		whole := contents(t, fs, "a")
		for end := range whole {
			for flip := -1; flip < end && flip < made; flip++ {
				b := bytes.Clone(whole[:end])
				bad := end < segment.HeaderSize || end < made
				unfinished := bad && (flip < 0 || flip >= segment.HeaderSize || end <= segment.HeaderSize)
				if flip >= 0 {
					b[flip] ^= 0x55
					bad = true
					unfinished = end <= segment.HeaderSize || flip >= segment.HeaderSize && end <= made
				}
				fs := vfs.NewMem()
				r, err := segment.Recover(put(t, fs, "a", b), keys)
				if r.Unfinished != unfinished || (err != nil) != bad {
					t.Fatalf("%s: the first %d bytes of a file of %d, byte %d changed: got unfinished %t and %v, want %t",
						kind, end, made, flip, r.Unfinished, err, unfinished)
				}
			}
		}
	}
}

func TestResumeGoesOn(t *testing.T) {
	for kind, keys := range kinds {
		t.Run(kind, func(t *testing.T) { resume(t, keys) })
	}
}

func resume(t *testing.T, keys *keyring.Ring) {
	fs := vfs.NewMem()
	w := sample(t, fs, "a", keys)
	check(t, w.Write(frame(4, 1, 50), 1, header.Started+2))
	b := contents(t, fs, "a")
	f := put(t, fs, "b", b[:len(b)-1])
	r, err := segment.Recover(f, keys)
	check(t, err)
	if !r.Marked || r.End != header.Base+4 || r.Torn == 0 {
		t.Fatalf("got %+v", r)
	}
	w, err = segment.Resume(f, r)
	check(t, err)
	before := w.Info().Size
	check(t, w.Mark())
	if w.Info().Size != before {
		t.Error("a file that ends with a mark got another")
	}
	want := 6
	if err := w.Write(frame(4, 2, 9), 2, header.Started+5); keys != nil {
		want = 4
		if err == nil || len(contents(t, fs, "b")) != int(before) {
			t.Fatalf("got %v and %d bytes; a recovered file took a frame whose nonce may have been used", err, len(contents(t, fs, "b")))
		}
	} else {
		check(t, err)
	}
	check(t, w.Seal())
	info, err := segment.ReadSealed(f)
	check(t, err)
	records, err := read(f, keys, &info, info.Size, header.Base, 4096)
	if err != nil || len(records) != want || want == 6 && records[5].Arrived != header.Started+5 {
		t.Errorf("got %d records, %v, want %d", len(records), err, want)
	}
}

func TestWriterStopsAtErrors(t *testing.T) {
	fs := vfs.NewMem()
	w := create(t, fs, "a", nil)
	fs.Inject(func(op vfs.Op) *vfs.Fault { return &vfs.Fault{Err: errors.New("disk gone")} })
	for name, err := range map[string]error{"write": w.Write(frame(0, 1, 5), 1, 1), "sync": w.Sync(), "seal": w.Seal()} {
		if err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := segment.Create(fs, "b", header); err == nil {
		t.Error("create: got no error")
	}
}
