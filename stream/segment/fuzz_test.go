package segment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"freshet/stream/segment"
	"freshet/stream/vfs"
)

// FuzzRecover gives any bytes for a file, plain or encrypted. Whatever is accepted as
// frames can be read, and what Resume makes of it is whole.
func FuzzRecover(f *testing.F) {
	for kind, keys := range kinds {
		fs := vfs.NewMem()
		w := sample(f, fs, kind, keys)
		tail := contents(f, fs, kind)
		check(f, w.Seal())
		sealed := contents(f, fs, kind)
		for _, seed := range [][]byte{nil, tail, sealed, tail[:len(tail)-3], append(bytes.Clone(tail), tail[64:]...), tail[:64], tail[:min(200, len(tail))]} {
			f.Add(seed)
		}
	}
	f.Add(undump(f, "testdata/v2.hex"))
	f.Fuzz(func(t *testing.T, b []byte) {
		recoverAnything(t, b)
		recoverAnything(t, fix(b))
	})
}

var fuzzKeys = ring("new", "old", "golden")

func recoverAnything(t *testing.T, b []byte) {
	fs := vfs.NewMem()
	file := put(t, fs, "a", b)
	readAnything(t, file, int64(len(b)))
	r, err := segment.Recover(file, fuzzKeys)
	if r.Unfinished && len(b) > 200 {
		t.Fatalf("a file of %d bytes is taken for one that was being made", len(b))
	}
	if r.Size > int64(max(len(b), segment.HeaderSize)) || r.End < r.Base {
		t.Fatalf("got %d bytes of %d, records %d to %d", r.Size, len(b), r.Base, r.End)
	}
	if err != nil {
		var bad *segment.CorruptError
		if errors.As(err, &bad) && (bad.Position < 0 || bad.Position > int64(len(b))) {
			t.Fatalf("%d bytes are damaged at %d", len(b), bad.Position)
		}
		return
	}
	records, err := read(file, fuzzKeys, &r.Info, r.Size, r.Base, 100)
	if err != nil || uint64(len(records)) != r.End-r.Base {
		t.Fatalf("got %d records of %d to %d, %v", len(records), r.Base, r.End, err)
	}
	if _, err := segment.Resume(file, r); err != nil {
		t.Fatal(err)
	}
	again, err := segment.Recover(file, fuzzKeys)
	if err != nil || again.Torn != 0 || again.End != r.End || again.Size != r.Size {
		t.Fatalf("after Resume: got %+v, %v, want %+v", again, err, r)
	}
}

// fix gives bytes the checksums, salts and positions of a segment, so that fuzzing gets
// past them.
func fix(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) < segment.HeaderSize {
		return b
	}
	le, table := binary.LittleEndian, crc32.MakeTable(crc32.Castagnoli)
	version := []string{"\x01", "\x02"}[b[8]&1^1]
	copy(b, "freshseg"+version+"\x00\x00\x00")
	le.PutUint32(b[60:], crc32.Checksum(b[:60], table))
	for at := segment.HeaderSize; len(b)-at >= segment.FrameHeaderSize; {
		h := b[at : at+segment.FrameHeaderSize]
		copy(h, b[16:24])
		le.PutUint64(h[8:], uint64(at))
		length := int(le.Uint32(h[40:])) % (len(b) - at - segment.FrameHeaderSize + 1)
		le.PutUint32(h[40:], uint32(length))
		body := b[at+segment.FrameHeaderSize:][:length]
		if le.Uint32(h[48:]) == 1 {
			fixRecords(body)
		}
		le.PutUint32(h[52:], crc32.Checksum(body, table))
		le.PutUint32(h[60:], crc32.Checksum(h[:60], table))
		at += segment.FrameHeaderSize + length
	}
	return b
}

func fixRecords(r []byte) {
	le, table := binary.LittleEndian, crc32.MakeTable(crc32.Castagnoli)
	for len(r) >= segment.RecordHeaderSize {
		n := segment.RecordSize(int(le.Uint16(r[8:])), int(le.Uint32(r[4:])), r[10]&1 != 0)
		if n > len(r) {
			return
		}
		le.PutUint32(r, crc32.Checksum(r[4:n], table))
		r = r[n:]
	}
}

// readAnything reads bytes that nothing has checked.
func readAnything(t *testing.T, file vfs.File, size int64) {
	if info, err := segment.ReadSealed(file); err == nil && info.Size > size {
		t.Fatalf("a footer at %d in %d bytes", info.Size, size)
	}
	h, err := segment.ReadHeader(file)
	if err != nil {
		return
	}
	info := segment.Info{Header: h}
	records, _ := read(file, fuzzKeys, &info, size, h.Base, 1000)
	for i, rec := range records {
		if rec.Offset != h.Base+uint64(i) {
			t.Fatalf("record %d has offset %d", i, rec.Offset)
		}
	}
}
