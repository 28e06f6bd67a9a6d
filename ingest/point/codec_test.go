package point_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"freshet/ingest/point"
)

var update = flag.Bool("update", false, "write the golden files")

const noon = 1_700_000_000_000 // a time for tests, in epoch milliseconds

// encode builds one batch of points.
func encode(points []point.Point) []byte {
	var b point.Builder
	return encodeWith(&b, points)
}

func encodeWith(b *point.Builder, points []point.Point) []byte {
	b.Reset()
	var v point.View
	for i := range points {
		v.Set(&points[i])
		b.Add(&v)
	}
	return b.Encode(nil)
}

// decode returns the points of a batch in its order, after checking what every batch holds.
func decode(t testing.TB, payload []byte) []point.Point {
	t.Helper()
	var b point.Batch
	if err := b.Decode(payload); err != nil {
		t.Fatalf("Decode: %v", err)
	}
	return points(t, &b)
}

func points(t testing.TB, b *point.Batch) []point.Point {
	t.Helper()
	var out []point.Point
	next := int32(0)
	for r := range b.Runs {
		run := &b.Runs[r]
		s := b.Series(r)
		if !b.Is(r, &s) || point.HashOf(s) != run.Hash || run.First != next {
			t.Fatalf("run %d: series %v, hash %x, first %d; want hash %x, first %d", r, s, run.Hash, run.First, point.HashOf(s), next)
		}
		next += run.N
		for i := run.First; i < next; i++ {
			out = append(out, point.Point{Series: s, Time: b.Time[i], Value: b.Value[i], Member: string(b.Member(int(i)))})
		}
	}
	if int(next) != b.Len() {
		t.Fatalf("runs hold %d points, the batch %d", next, b.Len())
	}
	return out
}

// grouped returns points in the order in which a batch holds them.
func grouped(in []point.Point) []point.Point {
	var keys []string
	groups := map[string][]point.Point{}
	for _, p := range in {
		k := show(point.Point{Series: p.Series})
		if groups[k] == nil {
			keys = append(keys, k)
		}
		if len(p.Labels) == 0 {
			p.Labels = nil
		}
		groups[k] = append(groups[k], p)
	}
	var out []point.Point
	for _, k := range keys {
		out = append(out, groups[k]...)
	}
	return out
}

// show writes all of a point, the value bit for bit.
func show(p point.Point) string {
	return fmt.Sprintf("%q %v %q %d %v (%x) %q", p.Metric, p.Type, p.Labels, p.Time, p.Value, math.Float64bits(p.Value), p.Member)
}

func diff(got, want []point.Point) string {
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) {
			return fmt.Sprintf("got %d points, want %d", len(got), len(want))
		}
		if g, w := show(got[i]), show(want[i]); g != w {
			return fmt.Sprintf("point %d: got %s, want %s", i, g, w)
		}
	}
	return ""
}

// genPoints draws points of a few series, with values of the kinds that occur.
func genPoints() *rapid.Generator[[]point.Point] {
	word := rapid.SampledFrom([]string{"a", "host", "region", "r-1", "GET /x", "größe", "价格", "zone", "b2"})
	value := rapid.OneOf(
		rapid.Float64Range(-1e300, 1e300),
		rapid.Map(rapid.IntRange(-1e6, 1e6), func(n int) float64 { return float64(n) }),
		rapid.Map(rapid.IntRange(-1e6, 1e6), func(n int) float64 { return float64(n) / 100 }),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1<<53 + 2, 0.1, 0.1 + 0.2}),
	)
	series := rapid.Custom(func(t *rapid.T) point.Series {
		names := rapid.SliceOfNDistinct(word, 0, 4, rapid.ID[string]).Draw(t, "names")
		slices.Sort(names)
		s := point.Series{Metric: rapid.SampledFrom([]string{"cpu", "host.load1", "größe:a/b"}).Draw(t, "metric"), Type: point.Type(rapid.IntRange(1, 5).Draw(t, "type"))}
		for _, n := range names {
			s.Labels = append(s.Labels, point.Label{Name: n, Value: word.Draw(t, "value")})
		}
		return s
	})
	return rapid.Custom(func(t *rapid.T) []point.Point {
		some := rapid.SliceOfN(series, 1, 6).Draw(t, "series")
		step := rapid.SampledFrom([]int64{0, 1, 10_000}).Draw(t, "step")
		jitter := rapid.SampledFrom([]int64{0, 3, math.MaxInt64}).Draw(t, "jitter")
		same := rapid.Bool().Draw(t, "same value")
		n := rapid.IntRange(0, 60).Draw(t, "n")
		var out []point.Point
		for i := range n {
			p := point.Point{Series: some[rapid.IntRange(0, len(some)-1).Draw(t, "which")]}
			p.Time = noon + int64(i)*step + rapid.Int64Range(-jitter, jitter).Draw(t, "jitter")
			switch {
			case p.Type == point.Set:
				p.Member = word.Draw(t, "member")
			case same:
				p.Value = 12.5
			default:
				p.Value = value.Draw(t, "value")
			}
			out = append(out, p)
		}
		return out
	})
}

func TestBatchRoundTrip(t *testing.T) {
	var b point.Builder // used again and again, as in ingest
	rapid.Check(t, func(t *rapid.T) {
		in := genPoints().Draw(t, "points")
		payload := encodeWith(&b, in)
		if size := b.Size(); len(payload) > size {
			t.Fatalf("batch of %d bytes, Size promised %d", len(payload), size)
		}
		var batch point.Batch
		if err := batch.Decode(payload); err != nil {
			t.Fatalf("Decode: %v", err)
		}
		var got []point.Point
		for r := range batch.Runs {
			for i := batch.Runs[r].First; i < batch.Runs[r].First+batch.Runs[r].N; i++ {
				s := batch.Series(r)
				if point.HashOf(s) != batch.Runs[r].Hash {
					t.Fatalf("hash of %v: got %x, want %x", s, batch.Runs[r].Hash, point.HashOf(s))
				}
				got = append(got, point.Point{Series: s, Time: batch.Time[i], Value: batch.Value[i], Member: string(batch.Member(int(i)))})
			}
		}
		if d := diff(got, grouped(in)); d != "" {
			t.Fatal(d)
		}
	})
}

// Batches of parts of a builder's series hold together what a batch of all holds.
func TestEncodeSeries(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		in := genPoints().Draw(rt, "points")
		var b point.Builder
		encodeWith(&b, in)
		parts := rapid.IntRange(1, 3).Draw(rt, "parts")
		chosen := make([][]int, parts)
		for s := range b.NumSeries() {
			chosen[b.Hash(s)%uint64(parts)] = append(chosen[b.Hash(s)%uint64(parts)], s)
		}
		total := 0
		for part, series := range chosen {
			for _, p := range decode(t, b.EncodeSeries(nil, series)) {
				total++
				if got := int(point.HashOf(p.Series) % uint64(parts)); got != part {
					rt.Fatalf("%v is in part %d, want %d", p, part, got)
				}
			}
		}
		if total != len(in) {
			rt.Fatalf("got %d points, want %d", total, len(in))
		}
	})
}

func labels(pairs ...string) point.Labels {
	var l point.Labels
	for i := 0; i < len(pairs); i += 2 {
		l = append(l, point.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return l
}

// goldenPoints hold every encoding of the codec.
func goldenPoints() map[string][]point.Point {
	cpu := point.Series{Metric: "host.cpu.usage", Type: point.Gauge, Labels: labels("host", "a", "mode", "user")}
	mem := point.Series{Metric: "host.memory.bytes", Type: point.Gauge, Labels: labels("host", "a", "state", "used")}
	orders := point.Series{Metric: "shop.orders", Type: point.Counter, Labels: labels("channel", "web")}
	total := point.Series{Metric: "host.network.io", Type: point.Cumulative}
	took := point.Series{Metric: "shop.request.duration", Type: point.Distribution, Labels: labels("route", "/größe")}
	visitors := point.Series{Metric: "shop.visitors", Type: point.Set, Labels: labels("country", "DE")}
	at := func(s point.Series, ms int64, v float64) point.Point {
		return point.Point{Series: s, Time: noon + ms, Value: v}
	}
	member := func(ms int64, m string) point.Point {
		return point.Point{Series: visitors, Time: noon + ms, Member: m}
	}
	return map[string][]point.Point{
		"empty":    {},
		"constant": {at(orders, 0, 1), at(orders, 0, 1), at(cpu, 0, 1)},
		"decimal":  {at(cpu, 0, 12.25), at(cpu, 10, 99.5), at(mem, 7, 3), at(mem, 12, 0.1+0.2), at(mem, 99, 1)},
		"delta": {at(total, 0, 8_000_000_001), at(total, 10_000, 8_000_000_050), at(total, 20_000, 8_000_000_070),
			at(mem, 0, 5_000_000_000), at(mem, 10_000, 5_000_000_001), at(mem, 20_001, 5_000_000_002)},
		"raw":     {at(took, 0, 1.0/3), at(took, -5, 2.0/3), at(took, 5, 1e300)},
		"members": {member(0, "v1"), at(cpu, 0, 4), member(1, "visitor-2"), at(took, 3, 7)},
	}
}

func TestGolden(t *testing.T) {
	for name, in := range goldenPoints() {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".batch")
			payload := encode(in)
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
			if d := diff(decode(t, want), grouped(in)); d != "" {
				t.Errorf("the reader changed: %s", d)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := encode(goldenPoints()["members"])
	for _, c := range []struct {
		name    string
		payload []byte
		want    string
	}{
		{"nothing", nil, "ends too early"},
		{"other magic", []byte("{}"), "does not begin with 0xFB"},
		{"other version", []byte{0xFB, 9}, "version 9"},
		{"cut", good[:len(good)-1], "ends too early"},
		{"longer", append(bytes.Clone(good), 0), "1 bytes follow"},
		{"too many points", []byte{0xFB, 1, 0, 0, 0xff, 0xff, 0xff, 0x7f}, "points, at most 65536"},
		{"control character", []byte{0xFB, 1, 1, 0, 0, 1, 7}, "control character U+0007"},
		{"not a metric", []byte{0xFB, 1, 1, 1, 1, 1, ' ', 0, 1, 1}, "is not a metric"},
		{"no such symbol", []byte{0xFB, 1, 0, 1, 1, 0, 1, 1}, "symbol 0 of 0"},
		{"no such type", []byte{0xFB, 1, 1, 1, 1, 1, 'm', 0, 6, 1}, "type 6"},
		{"label twice", []byte{0xFB, 1, 1, 1, 1, 1, 'm', 0, 1 | 2<<3, 0, 0, 0, 0, 1}, "follows"},
		{"points do not add up", []byte{0xFB, 1, 1, 1, 2, 1, 'm', 0, 1, 1, 0, 0}, "2 points, the series have 1"},
		{"NaN", []byte{0xFB, 1, 1, 1, 1, 1, 'm', 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f}, "not finite"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b point.Batch
			err := b.Decode(c.payload)
			var malformed *point.Malformed
			if !errors.As(err, &malformed) || !bytes.Contains([]byte(err.Error()), []byte(c.want)) {
				t.Errorf("got %v, want a Malformed with %q", err, c.want)
			}
			if b.Len() != 0 || len(b.Runs) != 0 {
				t.Errorf("the batch is not empty after an error")
			}
		})
	}
}

// FuzzDecode: no payload makes Decode panic, and what it accepts can be written again and
// read to the same points. How long its numbers are written makes no difference.
func FuzzDecode(f *testing.F) {
	for _, in := range goldenPoints() {
		f.Add(encode(in))
		f.Add(encodeMarked(in, goldenMark))
	}
	var b point.Batch
	f.Fuzz(func(t *testing.T, payload []byte) {
		if wide, ok := widen(payload); ok {
			fast, slow := b.Decode(payload), b.Decode(wide)
			if (fast == nil) != (slow == nil) {
				t.Fatalf("got error %v, with wide numbers %v", fast, slow)
			}
		}
		if b.Decode(payload) != nil {
			return
		}
		in := points(t, &b)
		mark := b.Mark
		if err := b.Decode(encodeMarked(in, mark)); err != nil || b.Mark != mark {
			t.Fatalf("got %+v, %v, want %+v", b.Mark, err, mark)
		}
		if d := diff(points(t, &b), grouped(in)); d != "" {
			t.Error(d)
		}
	})
}
