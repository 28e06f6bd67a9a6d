package ingest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"freshet/ingest"
	"freshet/ingest/point"
	"freshet/stream"
)

// marks returns the marks of all records, by shard.
func (r *rig) marks(t testing.TB) map[stream.ShardID][]point.Mark {
	t.Helper()
	out := map[stream.ShardID][]point.Mark{}
	for _, shard := range r.stream.Shards() {
		reader := shard.Reader(0)
		for reader.Offset() < shard.Durable() {
			records, err := reader.Next(t.Context(), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for _, record := range records {
				var b point.Batch
				if err := b.Decode(record.Data); err != nil {
					t.Fatal(err)
				}
				out[shard.ID()] = append(out[shard.ID()], b.Mark)
			}
		}
		reader.Close()
	}
	return out
}

// All records of a post with a key carry it, counted by shard, and those of one shard are
// written at once; posts without one carry none.
func TestPostsWithAKey(t *testing.T) {
	r := newRig(t, 3, true, stream.Options{}, ingest.Options{})
	body := bigBody(80_000, 100)
	for range 2 {
		if status, answer := r.post(body, "Idempotency-Key", "a 1"); status != 200 || !strings.HasPrefix(answer, `{"accepted":80000,"covers":{`) {
			t.Fatalf("got %d %.200s", status, answer)
		}
	}
	var key point.Key
	parts := 0
	for shard, marks := range r.marks(t) {
		for i, m := range marks {
			if key == (point.Key{}) {
				key = m.Key
			}
			want := point.Mark{Key: key, Home: uint32(shard) + 1, Part: uint32(i % (len(marks) / 2))}
			if m != want || key == (point.Key{}) {
				t.Fatalf("%v, record %d: got %+v, want %+v", shard, i, m, want)
			}
			parts = max(parts, int(m.Part)+1)
		}
	}
	if parts < 2 {
		t.Errorf("no shard got several records of a post")
	}
	plain := newRig(t, 3, true, stream.Options{}, ingest.Options{})
	plain.post(good)
	for _, marks := range plain.marks(t) {
		if marks[0] != (point.Mark{}) {
			t.Errorf("without a key: got %+v", marks[0])
		}
	}
}

// The key of a batch counts unless the header names another; that of a record of a log
// stands for the record.
func TestKeysOfBatches(t *testing.T) {
	var v point.View
	v.Set(&point.Point{Series: point.Series{Metric: "m", Type: point.Gauge}, Time: noon, Value: 1})
	var b point.Builder
	b.Add(&v)
	k := point.Key{Hi: 1, Lo: 2}
	for name, c := range map[string]struct {
		mark   point.Mark
		header []string
		want   func(point.Key) bool
	}{
		"none":     {point.Mark{}, nil, func(got point.Key) bool { return got == point.Key{} }},
		"its own":  {point.Mark{Key: k}, nil, func(got point.Key) bool { return got == k }},
		"header":   {point.Mark{Key: k}, []string{"Idempotency-Key", "x"}, func(got point.Key) bool { return got != k && got != point.Key{} }},
		"a record": {point.Mark{Key: k, Home: 2, Part: 1}, nil, func(got point.Key) bool { return got == k.With(2).With(1) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1, true, stream.Options{}, ingest.Options{})
			payload := b.EncodeMarked(nil, []int{0}, c.mark)
			if status, answer := r.post(string(payload), append(c.header, "Content-Type", point.ContentType)...); status != 200 {
				t.Fatalf("got %d %s", status, answer)
			}
			if got := r.marks(t)[0][0]; !c.want(got.Key) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// Covers name the last record of the post on each shard.
func TestCovers(t *testing.T) {
	r := newRig(t, 2, true, stream.Options{}, ingest.Options{})
	serve := func(query string, header ...string) map[string]string {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, "/api/v1/points"+query, strings.NewReader(bigBody(50, 20)))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		var answer struct {
			Accepted int
			Covers   map[string]string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 || answer.Accepted != 50 {
			t.Fatalf("%s: got %d %s", query, w.Code, w.Body)
		}
		return answer.Covers
	}
	for _, c := range []struct {
		query  string
		header []string
		asked  bool
	}{
		{"", nil, false}, {"?covers=1", nil, true}, {"", []string{"Idempotency-Key", "k"}, true}, {"?covers=0", []string{"Idempotency-Key", "l"}, false},
	} {
		covers := serve(c.query, c.header...)
		if (covers != nil) != c.asked {
			t.Fatalf("%q %q: got %v", c.query, c.header, covers)
		}
		for shard, number := range covers {
			id, err := stream.ParseShardID(shard)
			if err != nil {
				t.Fatal(err)
			}
			seq, err := stream.ParseSequenceNumber(number)
			if err != nil {
				t.Fatal(err)
			}
			if s, _ := r.stream.Shard(id); s.Durable() != seq.Offset+1 || seq.Shard != id {
				t.Errorf("%s: got record %d of %v, want %d", shard, seq.Offset, seq.Shard, s.Durable()-1)
			}
		}
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	r := newRig(t, 1, true, stream.Options{}, ingest.Options{})
	for key, want := range map[string]string{
		"":                       "must have 1 to 255 bytes, got 0",
		strings.Repeat("x", 256): "must have 1 to 255 bytes, got 256",
		"a\tb":                   "must be printable ASCII",
		"é":                      "must be printable ASCII",
	} {
		if status, answer := r.post(good, "Idempotency-Key", key); status != 400 || !strings.Contains(answer, "Idempotency-Key: "+want) {
			t.Errorf("%.20q: got %d %s, want 400 with %q", key, status, answer, want)
		}
	}
	if status, answer := r.post(good, "Idempotency-Key", strings.Repeat("~", 255)); status != 200 {
		t.Errorf("255 bytes: got %d %s", status, answer)
	}
	if got := len(r.stored(t)); got != 1 {
		t.Errorf("%d points are stored, want 1", got)
	}
	// What one shard would not take at once is refused before anything is stored.
	var large strings.Builder
	for i := range 13_000 {
		fmt.Fprintf(&large, `{"metric":"m","value":1,"ts":%d,"labels":{"a":"%s%d"}}`+"\n", noon, strings.Repeat("x", 1000), i)
	}
	if status, answer := r.post(string(pack(t, "gzip", []byte(large.String()))), "Idempotency-Key", "large", "Content-Encoding", "gzip"); status != 413 || !strings.Contains(answer, "at most 12582912 bytes for one shard") {
		t.Errorf("got %d %s, want 413", status, answer)
	}
	if got := len(r.stored(t)); got != 1 {
		t.Errorf("%d points are stored, want 1", got)
	}
}
