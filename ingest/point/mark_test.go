package point_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"freshet/ingest/point"
)

var goldenMark = point.Mark{Key: point.Key{Hi: 0x0123456789abcdef, Lo: 0xfedcba9876543210}, Home: 3, Part: 300}

// encodeMarked builds one batch of points with a mark.
func encodeMarked(points []point.Point, m point.Mark) []byte {
	var b point.Builder
	encodeWith(&b, points)
	series := make([]int, b.NumSeries())
	for i := range series {
		series[i] = i
	}
	return b.EncodeMarked(nil, series, m)
}

func TestGoldenMark(t *testing.T) {
	in := goldenPoints()["decimal"]
	payload := encodeMarked(in, goldenMark)
	file := filepath.Join("testdata", "marked.batch")
	if *update {
		if err := os.WriteFile(file, payload, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(payload, want) {
		t.Errorf("the writer changed: got\n%x, want\n%x", payload, want)
	}
	var b point.Batch
	if err := b.Decode(want); err != nil {
		t.Fatal(err)
	}
	if b.Mark != goldenMark {
		t.Errorf("mark: got %+v, want %+v", b.Mark, goldenMark)
	}
	if d := diff(points(t, &b), grouped(in)); d != "" {
		t.Errorf("the reader changed: %s", d)
	}
	// The mark is not left behind.
	if err := b.Decode(encode(in)); err != nil || b.Mark != (point.Mark{}) {
		t.Errorf("a batch without a mark: got %+v, %v", b.Mark, err)
	}
}

func TestMarkRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		in := genPoints().Draw(rt, "points")
		m := point.Mark{Key: point.Key{Hi: rapid.Uint64().Draw(rt, "hi"), Lo: 1 + rapid.Uint64Max(1<<63).Draw(rt, "lo")}}
		if m.Home = rapid.Uint32().Draw(rt, "home"); m.Home > 0 {
			m.Part = rapid.Uint32().Draw(rt, "part")
		}
		var b point.Builder
		encodeWith(&b, in)
		payload := encodeMarked(in, m)
		if size := b.Size(); len(payload) > size {
			rt.Fatalf("batch of %d bytes, Size promised %d", len(payload), size)
		}
		var got point.Batch
		if err := got.Decode(payload); err != nil || got.Mark != m {
			rt.Fatalf("got %+v, %v, want %+v", got.Mark, err, m)
		}
	})
}

func TestMarksThatAreRefused(t *testing.T) {
	key := strings.Repeat("\x01", 16)
	for name, c := range map[string]struct{ payload, want string }{
		"cut":           {"\xfb\x02" + key[1:], "ends too early"},
		"no key":        {"\xfb\x02" + strings.Repeat("\x00", 16) + "\x00\x00\x00\x00\x00\x00\x00", "the mark has the key 0"},
		"part":          {"\xfb\x02" + key + "\x00\x07\x00\x00\x00\x00\x00", "the mark has part 7 and no shard"},
		"shard too big": {"\xfb\x02" + key + "\xff\xff\xff\xff\x7f\x00", "in the mark: shard, at most 4294967295"},
	} {
		t.Run(name, func(t *testing.T) {
			var b point.Batch
			if err := b.Decode([]byte(c.payload)); err == nil || !strings.Contains(err.Error(), c.want) || b.Mark != (point.Mark{}) {
				t.Errorf("got %v and %+v, want %q", err, b.Mark, c.want)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	id := [16]byte{15: 0xff, 14: 0xff}
	for _, c := range []struct {
		sender [16]byte
		number uint64
		want   point.Key
	}{
		{id, 0, point.Key{Lo: 0xffff}},
		{id, 1, point.Key{Lo: 0x10000}},
		{id, ^uint64(0), point.Key{Hi: 1, Lo: 0xfffe}},
		{[16]byte{}, 0, point.Key{Lo: 1}},
	} {
		if got := point.KeyOf(c.sender, c.number); got != c.want {
			t.Errorf("KeyOf(%x, %d): got %x, want %x", c.sender, c.number, got, c.want)
		}
	}
	seen := map[point.Key]bool{}
	k := point.Key{Hi: 1, Lo: 2}
	for i := range uint64(1000) {
		seen[k.With(i)] = true
	}
	if len(seen) != 1000 || seen[k] {
		t.Errorf("With: got %d different keys, want 1000 and none of them %v", len(seen), k)
	}
}

// What Strip leaves is what a batch without the series would have held.
func TestStrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		in := grouped(genPoints().Draw(rt, "points"))
		bit := rapid.Uint64Range(0, 3).Draw(rt, "bit")
		drop := func(hash uint64) bool { return hash>>bit&1 == 1 }
		var b point.Batch
		if err := b.Decode(encode(in)); err != nil {
			rt.Fatal(err)
		}
		var want []point.Point
		for _, p := range in {
			if !drop(point.HashOf(p.Series)) {
				want = append(want, p)
			}
		}
		if got := b.Strip(drop); got != len(in)-len(want) {
			rt.Fatalf("got %d points stripped, want %d", got, len(in)-len(want))
		}
		if d := diff(points(t, &b), want); d != "" {
			rt.Fatal(d)
		}
	})
}
