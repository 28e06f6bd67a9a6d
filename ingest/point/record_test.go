package point_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"freshet/ingest/point"
)

func TestDecodeRecord(t *testing.T) {
	cpu := gauge(1)
	far, old := gauge(2), gauge(3)
	far.Time, old.Time = noon+600_000, 5
	good := `{"metric":"m","value":1}`
	for _, c := range []struct {
		name     string
		payload  string
		points   int
		rejected int
		err      string
	}{
		{"batch", string(encode([]point.Point{cpu, cpu})), 2, 0, ""},
		{"empty batch", string(encode(nil)), 0, 0, ""},
		{"batch with bad times", string(encode([]point.Point{far, cpu, old})), 1, 2, ""},
		{"batch of bad times", string(encode([]point.Point{far})), 0, 1, "ts: 1700000600000"},
		{"broken batch", "\xfb\x01\x05", 0, 0, "malformed batch at byte 3: 5 symbols, at most 3"},
		{"object", good, 1, 0, ""},
		{"array", "[" + good + "," + good + "]", 2, 0, ""},
		{"empty array", "[]", 0, 0, ""},
		{"lines", good + "\nx\n" + good, 2, 1, ""},
		{"broken array", "[" + good, 0, 0, "malformed JSON"},
		{"nothing", "", 0, 0, "it is empty"},
		{"garbage", "\x00\x01\x02", 0, 1, "json: line 1: expected {"},
		{"bad object", `{"metric":"m"}`, 0, 1, "value: is required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b point.Batch
			err := b.DecodeRecord([]byte(c.payload), noon)
			n, first := b.Rejected()
			if b.Len() != c.points || n != c.rejected || (n > 0) != (first != nil) {
				t.Errorf("got %d points, %d rejected (%v), want %d and %d", b.Len(), n, first, c.points, c.rejected)
			}
			if (err != nil) != (c.err != "") || err != nil && !strings.HasPrefix(err.Error(), c.err) && !strings.HasSuffix(err.Error(), c.err) {
				t.Errorf("got error %v, want %q", err, c.err)
			}
			points(t, &b)
		})
	}
}

// Points left out of a batch take their members with them.
func TestDecodeRecordKeepsColumnsTogether(t *testing.T) {
	in := goldenPoints()["members"]
	in[0].Time = 5
	var b point.Batch
	if err := b.DecodeRecord(encode(in), noon); err != nil {
		t.Fatal(err)
	}
	if d := diff(points(t, &b), grouped(in)[1:]); d != "" {
		t.Error(d)
	}
}

// A wirePoint is how encoding/json sees a point.
type wirePoint struct {
	Metric string            `json:"metric"`
	Type   string            `json:"type,omitempty"`
	Time   int64             `json:"ts"`
	Value  any               `json:"value"`
	Labels map[string]string `json:"labels,omitempty"`
}

// What encoding/json writes of any points is read to the same points.
func TestScanWhatEncodingJSONWrites(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		in := genPoints().Draw(rt, "points")
		wire, want := []wirePoint{}, []point.Point(nil)
		for _, p := range in {
			if p.Time < point.MinTime || p.Time > noon+point.MaxAhead {
				continue
			}
			w := wirePoint{Metric: p.Metric, Type: p.Type.String(), Time: p.Time, Value: p.Value, Labels: map[string]string{}}
			if p.Type == point.Set {
				w.Value = p.Member
			}
			for _, l := range p.Labels {
				w.Labels[l.Name] = l.Value
			}
			wire, want = append(wire, w), append(want, p)
		}
		body, err := json.Marshal(wire)
		if err != nil {
			rt.Fatal(err)
		}
		got, bad := scan(string(body))
		if d := diff(got, want); d != "" || bad != nil {
			rt.Fatalf("%s; errors %q; body %s", d, bad, body)
		}
	})
}

// FuzzScan: nothing makes the scanner panic or loop; what it accepts of one object,
// encoding/json accepts as well, and reads to the same point.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{"metric":"http.request.duration", "type":"distribution", "ts":1700000000000, "value":12.3, "labels":{"host":"a","route":"/x"}}`,
		`[{"metric":"m","type":"set","value":"é😀"},{"metric":"m","type":"counter"}]`,
		"{\"metric\":\"m\",\"value\":1e-7}\n{\"metric\"\n{\"metric\":\"m\",\"value\":-0.0,\"x\":[null,true,{\"a\":1}]}",
		`{"metric":"m","ts":"2023-11-14T23:13:20.007+01:00","value":179769313486231580793e289}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		good, bad := scan(body)
		if len(good) == 1 && len(bad) == 0 && utf8.ValidString(body) {
			compare(t, strings.TrimPrefix(body, "\ufeff"), good[0])
		}
		var b point.Batch
		if err := b.DecodeRecord([]byte(body), noon); err == nil {
			points(t, &b)
		}
	})
}

// compare checks a point against what encoding/json makes of it.
func compare(t *testing.T, body string, got point.Point) {
	var w wirePoint
	var head struct {
		Time json.RawMessage `json:"ts"`
	}
	dec := json.NewDecoder(strings.NewReader(body))
	if strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "[") {
		var list []json.RawMessage
		if err := dec.Decode(&list); err != nil || len(list) != 1 {
			t.Fatalf("encoding/json refuses %q: %v", body, err)
		}
		dec = json.NewDecoder(strings.NewReader(string(list[0])))
		body = string(list[0])
	}
	if err := json.Unmarshal([]byte(body), &head); err != nil {
		t.Fatalf("encoding/json refuses %q: %v", body, err)
	}
	var typeError *json.UnmarshalTypeError
	if err := dec.Decode(&w); err != nil && !errors.As(err, &typeError) {
		t.Fatalf("encoding/json refuses %q: %v", body, err)
	}
	if w.Type == "" {
		w.Type = "gauge"
	}
	if w.Metric != got.Metric || w.Type != got.Type.String() {
		t.Fatalf("got %v, encoding/json has %+v", got, w)
	}
	switch v := w.Value.(type) {
	case float64:
		if math.Float64bits(v) != math.Float64bits(got.Value) {
			t.Fatalf("got value %v, encoding/json has %v", got.Value, v)
		}
	case string:
		if v != got.Member {
			t.Fatalf("got member %q, encoding/json has %q", got.Member, v)
		}
	case nil:
		if got.Type != point.Counter || got.Value != 1 {
			t.Fatalf("got %v without a value", got)
		}
	}
	for name, value := range w.Labels {
		if got.Labels.Get(name) != value {
			t.Fatalf("label %q: got %q, encoding/json has %q", name, got.Labels.Get(name), value)
		}
	}
	var text string
	if json.Unmarshal(head.Time, &text) == nil && text != "" {
		if at, err := time.Parse(time.RFC3339, text); err != nil || at.UnixMilli() != got.Time {
			t.Fatalf("ts %q: got %d", text, got.Time)
		}
	}
}

// A body is read, built and encoded without an allocation once the buffers have grown.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	var body strings.Builder
	for i := range 500 {
		fmt.Fprintf(&body, `{"metric":"m%d","type":"distribution","ts":1700000000000,"value":%d.5,"labels":{"route":"/\u0061","host":"h%d"}}`+"\n", i%7, i, i)
	}
	for name, cache := range map[string]*point.Cache{"plain": nil, "cache": point.NewCache(1 << 20), "full cache": point.NewCache(100 << 10)} {
		t.Run(name, func(t *testing.T) { steadyState(t, body.String(), cache) })
	}
}

func steadyState(t *testing.T, body string, cache *point.Cache) {
	var s point.Scanner
	s.Use(cache)
	var v point.View
	var builder point.Builder
	var batch point.Batch
	var payload []byte
	some := []int{1, 3, 2, 7} // not all, so that they are not copied
	text := []byte(body)
	once := func() {
		builder.Reset()
		s.Reset(text, noon)
		for s.Next(&v) == nil {
			if err := builder.Take(&v, noon); err != nil {
				t.Fatal(err)
			}
		}
		payload = builder.Encode(payload[:0])
		if err := batch.DecodeRecord(payload, noon); err != nil || batch.Len() != 500 {
			t.Fatal(batch.Len(), err)
		}
		payload = batch.EncodeRuns(payload[:0], some, point.Mark{})
		if err := batch.DecodeRecord(text, noon); err != nil || batch.Len() != 500 {
			t.Fatal(batch.Len(), err)
		}
	}
	if n := testing.AllocsPerRun(20, once); n > 0 {
		t.Errorf("got %v allocations for 500 points, want none", n)
	}
}

// Take and Check agree on any point, and what Take adds is what Add does.
func TestTakeIsCheckAndAdd(t *testing.T) {
	var taken point.Builder // used again, so that it knows strings
	text := rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "b", "c", "a b", "__a", "ü", "\u0085", "\n", "\xff", ".a", "x.y"}),
		rapid.Map(rapid.SampledFrom([]int{128, 129, 256, 257, 1024, 1025}), func(n int) string { return strings.Repeat("k", n) }))
	rapid.Check(t, func(rt *rapid.T) {
		taken.Reset()
		var added point.Builder
		for range rapid.IntRange(1, 20).Draw(rt, "n") {
			p := point.Point{Time: rapid.SampledFrom([]int64{noon, noon + 400_000, 5}).Draw(rt, "ts")}
			p.Metric, p.Type = text.Draw(rt, "metric"), point.Type(rapid.IntRange(0, 6).Draw(rt, "type"))
			p.Value = rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(1)}).Draw(rt, "value")
			if p.Type == point.Set {
				p.Value, p.Member = 0, text.Draw(rt, "member")
			}
			for range rapid.SampledFrom([]int{0, 1, 2, 3, 70}).Draw(rt, "labels") {
				p.Labels = append(p.Labels, point.Label{Name: text.Draw(rt, "name"), Value: text.Draw(rt, "value")})
			}
			var v, w point.View
			v.Set(&p)
			w.Set(&p)
			want, got := v.Check(noon), taken.Take(&w, noon)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				rt.Fatalf("%v: Take says %v, Check %v", p, got, want)
			}
			if want == nil {
				added.Add(&v)
			}
		}
		if d := diff(decode(t, taken.Encode(nil)), decode(t, added.Encode(nil))); d != "" {
			rt.Fatal(d)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	for _, c := range []struct{ name, open, between, end string }{{"array", "[", ",", "]"}, {"ndjson", "", "\n", "\n"}} {
		b.Run(c.name+"/points=500", func(b *testing.B) {
			var parts []string
			for _, p := range benchPoints(500) {
				parts = append(parts, fmt.Sprintf(`{"metric":%q,"type":"distribution","ts":%d,"value":%v,"labels":{"host":%q,"region":%q,"route":%q}}`,
					p.Metric, p.Time, p.Value, p.Labels[0].Value, p.Labels[1].Value, p.Labels[2].Value))
			}
			body := []byte(c.open + strings.Join(parts, c.between) + c.end)
			var s point.Scanner
			var v point.View
			n := 0
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				n = 0
				s.Reset(body, noon)
				for s.Next(&v) == nil {
					n++
				}
			}
			if n != 500 {
				b.Fatalf("got %d points, want 500", n)
			}
			perPoint(b, n)
		})
	}
}

// BenchmarkTake is what a post costs up to the payload of its record: scan, check, build, encode.
func BenchmarkTake(b *testing.B) {
	var body []byte
	for _, p := range benchPoints(500) {
		body = fmt.Appendf(body, `{"metric":%q,"type":"distribution","ts":%d,"value":%v,"labels":{"host":%q,"region":%q,"route":%q}}`+"\n",
			p.Metric, p.Time, p.Value, p.Labels[0].Value, p.Labels[1].Value, p.Labels[2].Value)
	}
	var s point.Scanner
	var v point.View
	var builder point.Builder
	var payload []byte
	b.ReportAllocs()
	for b.Loop() {
		s.Reset(body, noon)
		builder.Reset()
		for s.Next(&v) == nil {
			if err := builder.Take(&v, noon); err != nil {
				b.Fatal(err)
			}
		}
		payload = builder.Encode(payload[:0])
	}
	perPoint(b, builder.Len())
}
