package segment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"

	"freshet/stream/keyring"
	"freshet/stream/segment"
	"freshet/stream/vfs"
)

func TestWithoutTheKey(t *testing.T) {
	fs := vfs.NewMem()
	w := sample(t, fs, "a", ring("right"))
	before := contents(t, fs, "a")
	for name, keys := range map[string]*keyring.Ring{"no key": nil, "another": ring("wrong"), "others": ring("wrong", "worse")} {
		_, recovering := segment.Recover(w.File(), keys)
		_, reading := segment.ReadKey(w.File(), keys)
		for what, err := range map[string]error{"Recover": recovering, "ReadKey": reading} {
			var missing *keyring.MissingError
			var bad *segment.CorruptError
			if !errors.As(err, &missing) || errors.As(err, &bad) {
				t.Errorf("%s, %s: got %v, want a MissingError", what, name, err)
				continue
			}
			for _, id := range append(keys.IDs(), ring("right").IDs()...) {
				if !strings.Contains(err.Error(), id.String()) {
					t.Errorf("%s, %s: got %q, want it to name %s", what, name, err, id)
				}
			}
		}
	}
	if !bytes.Equal(contents(t, fs, "a"), before) {
		t.Error("the file was changed")
	}
	if _, err := segment.CreateEncrypted(fs, "b", header, nil); !errors.Is(err, keyring.ErrNone) {
		t.Errorf("create: got %v, want ErrNone", err)
	}
}

// A key that was replaced still opens the files before, and wraps no others.
func TestRotatedKeys(t *testing.T) {
	fs := vfs.NewMem()
	before, after := ring("first"), ring("second", "first")
	for name, keys := range map[string]*keyring.Ring{"a": before, "b": after} {
		f := sample(t, fs, name, keys).File()
		r, err := segment.Recover(f, after)
		check(t, err)
		if records, err := read(f, after, &r.Info, r.Size, r.Base, 100); err != nil || len(records) != 4 {
			t.Errorf("%s: got %d records, %v", name, len(records), err)
		}
		var missing *keyring.MissingError
		if _, err := segment.Recover(f, before); name == "b" && !errors.As(err, &missing) {
			t.Errorf("b with the key before: got %v", err)
		}
	}
}

// fixFrame gives the frame at a position the CRCs that its bytes ask for, as somebody
// would who can write the disk and has no key.
func fixFrame(b []byte, at int64) {
	le, table := binary.LittleEndian, crc32.MakeTable(crc32.Castagnoli)
	h := b[at:][:segment.FrameHeaderSize]
	if body := b[at+segment.FrameHeaderSize:]; int(le.Uint32(h[40:])) <= len(body) {
		le.PutUint32(h[52:], crc32.Checksum(body[:le.Uint32(h[40:])], table))
	}
	le.PutUint32(h[60:], crc32.Checksum(h[:60], table))
}

// Whatever is changed in an encrypted file, CRCs made to fit: no record is read that was
// not written, and a changed frame is not read at all.
func TestTamperedFramesAreRefused(t *testing.T) {
	fs := vfs.NewMem()
	keys := ring("k")
	w := sample(t, fs, "a", keys)
	info := *w.Info()
	whole := contents(t, fs, "a")
	want, err := read(w.File(), keys, &info, info.Size, header.Base, 100)
	check(t, err)
	first := info.Index[0].Position
	bodies := []int64{int64(segment.RecordSize(4, 5, false)), int64(2*segment.RecordSize(4, 5, true) + segment.RecordSize(4, 5, false))}
	second := first + 2*segment.FrameHeaderSize + bodies[0] + segment.Overhead // a mark is between them
	for _, c := range []struct{ start, size, before int64 }{
		{segment.HeaderSize, first - segment.HeaderSize, 0},
		{first, segment.FrameHeaderSize + bodies[0] + segment.Overhead, 0},
		{second, segment.FrameHeaderSize + bodies[1] + segment.Overhead, 1},
	} {
		for at := c.start; at < c.start+c.size; at++ {
			b := bytes.Clone(whole)
			b[at] ^= 0x10
			fixFrame(b, c.start)
			records, err := read(put(t, fs, fmt.Sprint("flip", at), b), keys, &info, info.Size, header.Base, 100)
			if len(records) > len(want) || len(records) > 0 && !reflect.DeepEqual(records, want[:len(records)]) || err == nil && len(records) < len(want) {
				t.Fatalf("byte %d: got %+v, %v", at, records, err)
			}
			inHeader := at - c.start
			crcs := inHeader >= 52 && inHeader < segment.FrameHeaderSize // made to fit, or bound to nothing
			var bad *segment.CorruptError
			if c.start > segment.HeaderSize && !crcs && (!errors.As(err, &bad) || len(records) > int(c.before)) {
				t.Fatalf("frame at %d, byte %d: got %d records and %v, want %d and a CorruptError", c.start, at, len(records), err, c.before)
			}
		}
	}
}

func TestTheKeyIsBoundToItsFile(t *testing.T) {
	fs := vfs.NewMem()
	keys := ring("k")
	sample(t, fs, "a", keys)
	whole := contents(t, fs, "a")
	for at := 12; at < 60; at++ { // shard, salt, stream, created, base, started
		b := bytes.Clone(whole)
		b[at] ^= 1
		le, table := binary.LittleEndian, crc32.MakeTable(crc32.Castagnoli)
		le.PutUint32(b[60:], crc32.Checksum(b[:60], table))
		copy(b[64:], b[16:24])
		copy(b[64+24:], b[40:48])
		fixFrame(b, segment.HeaderSize)
		_, err := segment.ReadKey(put(t, fs, fmt.Sprint(at), b), keys)
		var bad *segment.CorruptError
		if !errors.As(err, &bad) {
			t.Errorf("byte %d of the header: got %v", at, err)
		}
	}
}

// A plain frame in an encrypted file is none of its records.
func TestPlainFramesInAnEncryptedFileAreRefused(t *testing.T) {
	fs := vfs.NewMem()
	keys := ring("k")
	w := create(t, fs, "a", keys)
	b := contents(t, fs, "a")
	f := frame(0, 1, 5)
	le, table := binary.LittleEndian, crc32.MakeTable(crc32.Castagnoli)
	for i, v := range []uint64{header.Salt, uint64(len(b)), uint64(len(b)), header.Base, uint64(header.Started)} {
		le.PutUint64(f[8*i:], v)
	}
	le.PutUint32(f[40:], uint32(len(f)-segment.FrameHeaderSize))
	le.PutUint32(f[44:], 1)
	le.PutUint32(f[48:], 1)
	le.PutUint32(f[52:], crc32.Checksum(f[segment.FrameHeaderSize:], table))
	le.PutUint32(f[60:], crc32.Checksum(f[:60], table))
	forged := put(t, fs, "b", append(b, f...))
	r, err := segment.Recover(forged, keys)
	check(t, err)
	if r.End != header.Base || r.Torn != int64(len(f)) {
		t.Errorf("Recover: got %+v", r)
	}
	records, err := read(forged, keys, w.Info(), int64(len(b)+len(f)), header.Base, 100)
	if len(records) > 0 || err == nil {
		t.Errorf("the cursor: got %d records, %v", len(records), err)
	}
}

// After a write that failed, no other frame gets its nonce.
func TestNoNonceIsUsedTwice(t *testing.T) {
	fs := vfs.NewMem()
	w := sample(t, fs, "a", ring("k"))
	fs.Inject(func(op vfs.Op) *vfs.Fault { return &vfs.Fault{Err: errors.New("disk full"), Short: 90} })
	if err := w.Write(frame(4, 1, 50), 1, header.Started+1); err == nil {
		t.Fatal("got no error")
	}
	fs.Inject(nil)
	before := contents(t, fs, "a")
	if err := w.Write(frame(4, 1, 51), 1, header.Started+1); err == nil || !strings.Contains(err.Error(), "was encrypted before") {
		t.Errorf("got %v, want that the position was used", err)
	}
	if !bytes.Equal(contents(t, fs, "a"), before) {
		t.Error("something was written")
	}
}

func TestNothingReadableIsInTheFile(t *testing.T) {
	fs := vfs.NewMem()
	w := create(t, fs, "a", ring("k"))
	b := make([]byte, segment.FrameHeaderSize)
	hash := [2]uint64{0x7365637265742d31, 0x7365637265742d32}
	for range 3 {
		b = segment.AppendRecord(b, "secret-key", &hash, []byte("secret-data"))
	}
	check(t, w.Write(b, 3, header.Started))
	check(t, w.Seal())
	for _, hidden := range []string{"secret", "1-terces", "2-terces", "data", "-key"} {
		if bytes.Contains(contents(t, fs, "a"), []byte(hidden)) {
			t.Errorf("the file holds %q", hidden)
		}
	}
}

// Neither writing nor reading allocates for a frame or a record.
func TestEncryptionDoesNotAllocate(t *testing.T) {
	keys := ring("k")
	fs := vfs.OS{}
	dir := t.TempDir()
	w, err := segment.CreateEncrypted(fs, dir+"/a", header, keys)
	check(t, err)
	defer w.Close()
	b := frame(0, 200, 100)
	n := len(b)
	b = append(b, make([]byte, segment.Overhead)...)
	allocs := testing.AllocsPerRun(100, func() {
		check(t, w.Write(b[:n], 200, header.Started)) // what it wrote before, encrypted once more: any bytes do
	})
	if allocs > 0.5 { // the index grows now and then
		t.Errorf("writing a frame: got %g allocations", allocs)
	}

	w, err = segment.CreateEncrypted(fs, dir+"/b", header, keys)
	check(t, err)
	defer w.Close()
	total := 0
	for range 100 {
		check(t, w.Write(frame(0, 200, 100), 200, header.Started))
		total += 200
	}
	key, err := segment.ReadKey(w.File(), keys)
	check(t, err)
	var c segment.Cursor
	allocs = testing.AllocsPerRun(5, func() {
		c.Reset(w.File(), header.Salt, w.Info().Index.Before(header.Base), header.Base)
		c.Decrypt(key)
		got := 0
		for {
			for r := (segment.Record{}); c.Next(&r); got++ {
			}
			if more, err := c.Fill(w.Info().Size, 1<<20); err != nil || !more {
				check(t, err)
				break
			}
		}
		if got != total {
			t.Fatalf("got %d records, want %d", got, total)
		}
	})
	if allocs > 1 {
		t.Errorf("reading %d frames: got %g allocations", total/200, allocs)
	}
}
