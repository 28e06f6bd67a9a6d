package point_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"freshet/ingest/point"
)

// A taken is what became of a body.
type taken struct {
	errors  []string // by index; the last may be of the body
	payload []byte
}

// A taker takes bodies in, again and again, as ingest does.
type taker struct {
	scanner point.Scanner
	builder point.Builder
	view    point.View
}

func newTaker(c *point.Cache) *taker {
	t := &taker{}
	if c != nil {
		t.scanner.Use(c)
	}
	return t
}

// take takes a body at a time.
func (t *taker) take(body []byte, now int64) (out taken) {
	t.builder.Reset()
	t.scanner.Reset(body, now)
	for {
		err := t.scanner.Next(&t.view)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = t.builder.Take(&t.view, now)
		}
		if err != nil {
			out.errors = append(out.errors, fmt.Sprintf("%d: %T %v", t.scanner.Index(), err, err))
		}
		if _, broken := err.(*point.SyntaxError); broken {
			break
		}
	}
	out.payload = t.builder.Encode(nil)
	return out
}

func (t taken) differs(from taken) string {
	if g, w := strings.Join(t.errors, "\n"), strings.Join(from.errors, "\n"); g != w {
		return fmt.Sprintf("got errors\n%s\nwant\n%s", g, w)
	}
	if !bytes.Equal(t.payload, from.payload) {
		return fmt.Sprintf("got payload %q, want %q", t.payload, from.payload)
	}
	return ""
}

// cachedSeeds are bodies in which labels are written in ways that a Cache could take wrongly.
var cachedSeeds = []string{
	`{"metric":"m","value":1,"labels":{"a":"1","b":"2"}}`,
	`[{"labels":{"b":"2","a":"1"},"metric":"m","value":1},{"labels":{"b":"2","a":"1"},"metric":"a b","value":1}]`,
	`{"metric":"m","value":1,"labels":{"a":"}","b":"2"}}{"metric":"m","value":1,"labels":{"a":"}","b":"2"}}`,
	`{"metric":"m","value":1,"labels":{"a":"}"}}{"metric":"m","value":1,"labels":{"a":"}","b":"2"}}`,
	`{"metric":"m","value":1,"labels":{"\u0061":"\"}\\"}}`,
	`{"metric":"m","value":1,"labels":{"a":"","b":"2"}}{"metric":"m","value":1,"labels":{"b":"2"}}`,
	`{"metric":"m","value":1,"labels":{"a":"1","a":"2"}}`,
	`{"metric":"m","value":1,"labels":{"a":"1"},"labels":{"a":"1"}}`,
	`{"metric":"m","value":1,"labels":{"a":1}}`,
	`{"metric":"m","value":1,"labels":{"a":"\ud83d x"}}`,
	`{"metric":"m","value":1,"labels":null}{"metric":"m","value":1,"labels":{}}{"metric":"m","value":1,"labels":{ }}`,
	`{"metric":"m","value":1,"labels":{"a":"1"`,
	`{"metric":"m","value":1,"labels":{"a":"1"}`,
	`{"metric":"m","value":1,"labels":{"__a":"1"}}`,
	`{"metric":"m","ts":1,"value":1,"labels":{"a":"1"}}`,
	`{"metric":"m","type":"set","value":"","labels":{"a":"1"}}{"metric":"m","type":"set","value":"1","labels":{"a":"1"}}`,
	"{\"metric\":\"m\",\"value\":1,\"labels\":{\n\"a\": \"1\" ,\"b\":\"2\"\n}}",
	`[{"metric":"1","value":1,"labels":{"m":"1"}},{"metric":"m","value":1,"labels":{"1":"m"}},{"metric":"m","value":1,"labels":{"1":"m","m":"1"}}]`,
}

// FuzzCache: with and without a Cache the same body has the same errors and the same payload,
// whether the Cache knows the labels already, or had no room for them.
func FuzzCache(f *testing.F) {
	for _, seed := range cachedSeeds {
		f.Add(seed)
	}
	plain, fresh, tiny := newTaker(nil), newTaker(point.NewCache(1<<20)), newTaker(point.NewCache(80<<10))
	now := int64(noon)
	f.Fuzz(func(t *testing.T, body string) {
		now += 7_000 // so that the tiny one begins anew at times
		want := plain.take([]byte(body), now)
		for _, cached := range []*taker{newTaker(point.NewCache(1 << 20)), fresh, tiny} {
			for range 2 {
				if d := cached.take([]byte(body), now).differs(want); d != "" {
					t.Fatal(d)
				}
			}
		}
	})
}

// The same of posts that say the same labels in several ways, right and wrong, over and over.
func TestCacheChangesNothing(t *testing.T) {
	plain, small := newTaker(nil), newTaker(point.NewCache(1<<20))
	texts := []string{`{"a":""}`, `{"b":"2","a":""}`, `{"a":"1","a":"1"}`, `{"a":2}`, `{"__a":"1"}`, `{"a":"\u0007"}`, `{}`, `null`, `{"a":"}"}`, `[]`}
	for i := range 40 {
		texts = append(texts, fmt.Sprintf(`{"a":"%d","b":"%d"}`, i%7, i), fmt.Sprintf(`{"b":"%d", "a":"%d"}`, i, i%7), fmt.Sprintf(`{"\u0061":"%d"}`, i))
	}
	now := int64(noon)
	rapid.Check(t, func(rt *rapid.T) {
		now += 1_000
		var body []byte
		for range rapid.IntRange(1, 30).Draw(rt, "points") {
			labels := rapid.SampledFrom(texts).Draw(rt, "labels")
			metric := rapid.SampledFrom([]string{"m", "n", "a", "1", "a b", ""}).Draw(rt, "metric")
			value := rapid.SampledFrom([]string{"1", "-2.5", `"x"`, "1e999"}).Draw(rt, "value")
			kind := rapid.SampledFrom([]string{"gauge", "counter", "set", "no"}).Draw(rt, "type")
			ts := rapid.SampledFrom([]int64{0, noon, noon + 1, noon * 1000}).Draw(rt, "ts")
			form := rapid.SampledFrom([]string{
				`{"metric":%[1]q,"type":%[2]q,"ts":%[3]d,"value":%[4]s,"labels":%[5]s}`,
				`{"labels":%[5]s,"metric":%[1]q,"ts":%[3]d,"type":%[2]q,"value":%[4]s}`,
				`{"labels":%[5]s,"value":%[4]s,"type":%[2]q,"metric":%[1]q}`,
			}).Draw(rt, "form")
			body = append(fmt.Appendf(body, form, metric, kind, ts, value, labels), '\n')
		}
		want := plain.take(body, now)
		for range 2 {
			if d := small.take(body, now).differs(want); d != "" {
				rt.Fatalf("%s\n%s", body, d)
			}
		}
	})
}

// labelBodies returns posts of points with labels that are numbered from first on.
func labelBodies(first, n int) []byte {
	var body []byte
	for i := first; i < first+n; i++ {
		body = fmt.Appendf(body, `{"metric":"m","value":1,"labels":{"host":"h%d","zone":"z%d"}}`+"\n", i, i%3)
	}
	return body
}

// A Cache is filled once, stays within its limit, and begins anew when it has been full for long.
func TestCacheIsBounded(t *testing.T) {
	const limit = 512 << 10
	c := point.NewCache(limit)
	in := newTaker(c)
	plain := newTaker(nil)
	for i := range 50 {
		body := labelBodies(i*1000, 1000)
		if d := in.take(body, noon).differs(plain.take(body, noon)); d != "" {
			t.Fatal(d)
		}
	}
	entries, bytes := point.Cached(c)
	if bytes > limit || bytes < limit/2 || entries < 500 || entries > 10_000 {
		t.Errorf("after 50,000 texts: %d entries and %d bytes, want some thousands within %d bytes", entries, bytes, limit)
	}
	in.take(labelBodies(100_000, 10), noon+60_000)
	if n, _ := point.Cached(c); n != entries {
		t.Errorf("a minute later: got %d entries, want %d still", n, entries)
	}
	in.take(labelBodies(100_000, 10), noon+120_000)
	if n, _ := point.Cached(c); n != 10 {
		t.Errorf("two minutes later: got %d entries, want the 10 new ones", n)
	}
}

// Goroutines that fill and read one Cache at once read what they would read alone.
func TestCacheIsShared(t *testing.T) {
	c := point.NewCache(256 << 10)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			in, plain := newTaker(c), newTaker(nil)
			for i := range 60 {
				body := labelBodies((i*131+g*17)%3000, 100)
				now := noon + int64(i)*10_000
				if d := in.take(body, now).differs(plain.take(body, now)); d != "" {
					t.Error(d)
					return
				}
			}
		})
	}
	group.Wait()
}
