package segment_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

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

func create(t testing.TB, fs *vfs.Mem, name string) *segment.Writer {
	t.Helper()
	w, err := segment.Create(fs, name, header)
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
func sample(t testing.TB, fs *vfs.Mem, name string) *segment.Writer {
	w := create(t, fs, name)
	for i, n := range []int{1, 3} {
		check(t, w.Write(frame(i, n, 5), n, header.Started+int64(i)))
		check(t, w.Sync())
		check(t, w.Mark())
	}
	return w
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
func read(f vfs.File, info *segment.Info, limit int64, from uint64, piece int) ([]segment.Record, error) {
	m := info.Index.Before(from)
	if m.Position == segment.HeaderSize {
		m.First = info.Base
	}
	var c segment.Cursor
	c.Reset(f, info.Salt, m, from)
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
	w := sample(t, fs, "a")
	check(t, w.Seal())
	got := hex.Dump(contents(t, fs, "a"))
	const name = "testdata/v1.hex"
	if *update {
		check(t, os.WriteFile(name, []byte(got), 0o644))
	}
	want, err := os.ReadFile(name)
	check(t, err)
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The golden file of every version must stay readable.
func TestGoldenIsRead(t *testing.T) {
	dump, err := os.ReadFile("testdata/v1.hex")
	check(t, err)
	var b []byte
	for line := range strings.Lines(string(dump)) {
		digits := strings.ReplaceAll(strings.TrimSpace(line[8:min(len(line), 59)]), " ", "")
		if len(line) < 59 {
			continue // the length
		}
		part, err := hex.DecodeString(digits)
		check(t, err)
		b = append(b, part...)
	}
	fs := vfs.NewMem()
	f := put(t, fs, "a", b)
	info, err := segment.ReadSealed(f)
	check(t, err)
	if info.Header != header || info.End != 1004 || info.FirstArrived != header.Started || info.LastArrived != header.Started+1 {
		t.Errorf("got %+v", info)
	}
	records, err := read(f, &info, info.Size, 1000, 100)
	check(t, err)
	if len(records) != 4 || string(records[0].Key) != "key0" || records[3].Offset != 1003 || records[2].HasHash || !records[1].HasHash {
		t.Errorf("got %+v", records)
	}
}

func TestCursorReadsFromAnyOffsetInAnyPieces(t *testing.T) {
	fs := vfs.NewMem()
	w := create(t, fs, "a")
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
			records, err := read(w.File(), info, w.Synced(), header.Base+uint64(from), piece)
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
	fs := vfs.NewMem()
	w := sample(t, fs, "a")
	// A frame that was written behind the mark and not synced.
	synced := w.Info().Size - segment.FrameHeaderSize // the mark is not synced either
	check(t, w.Write(frame(4, 2, 50), 2, header.Started+2))
	whole := contents(t, fs, "a")

	for at := segment.HeaderSize; at < len(whole); at++ {
		b := bytes.Clone(whole)
		b[at] ^= 0x55
		name := fmt.Sprint("flip", at)
		r, err := segment.Recover(put(t, fs, name, b))
		var bad *segment.CorruptError
		if torn := int64(at) >= synced; torn && err != nil || !torn && !errors.As(err, &bad) {
			t.Fatalf("byte %d of %d, synced %d: got %v", at, len(whole), synced, err)
		}
		if r.Size > int64(at) || err == nil && r.Torn != int64(len(whole))-r.Size {
			t.Fatalf("byte %d: got size %d and %d torn", at, r.Size, r.Torn)
		}
	}
	for end := int(synced); end < len(whole); end++ {
		r, err := segment.Recover(put(t, fs, fmt.Sprint("cut", end), whole[:end]))
		if err != nil || r.End != header.Base+4 {
			t.Fatalf("cut at %d: got %d records, %v", end, r.End, err)
		}
	}
	// The mark is lost and the frame behind it is not: neither was synced.
	b := bytes.Clone(whole)
	clear(b[synced:][:segment.FrameHeaderSize])
	if r, err := segment.Recover(put(t, fs, "lost mark", b)); err != nil || r.Size != synced {
		t.Errorf("lost mark: got size %d, %v, want %d", r.Size, err, synced)
	}
}

func TestResumeGoesOn(t *testing.T) {
	fs := vfs.NewMem()
	w := sample(t, fs, "a")
	check(t, w.Write(frame(4, 1, 50), 1, header.Started+2))
	b := contents(t, fs, "a")
	f := put(t, fs, "b", b[:len(b)-1])
	r, err := segment.Recover(f)
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
	check(t, w.Write(frame(4, 2, 9), 2, header.Started+5))
	check(t, w.Seal())
	info, err := segment.ReadSealed(f)
	check(t, err)
	records, err := read(f, &info, info.Size, header.Base, 4096)
	if err != nil || len(records) != 6 || records[5].Arrived != header.Started+5 {
		t.Errorf("got %d records, %v", len(records), err)
	}
}

func TestWriterStopsAtErrors(t *testing.T) {
	fs := vfs.NewMem()
	w := create(t, fs, "a")
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
