package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"freshet/ingest"
	"freshet/ingest/point"
	"freshet/ingest/producer"
	"freshet/stream"
)

const noon = 1_700_000_000_000 // what the server's clock says, in epoch milliseconds

// A rig is an Ingest before a log of its own.
type rig struct {
	*ingest.Ingest
	stream *stream.Stream
}

// newRig opens a log; run says whether anything in it is written.
func newRig(t testing.TB, shards int, run bool, logOptions stream.Options, o ingest.Options) *rig {
	t.Helper()
	if logOptions.Dir == "" {
		logOptions.Dir = t.TempDir()
	}
	log, err := stream.Open(logOptions)
	if err != nil {
		t.Fatal(err)
	}
	s, err := log.Create("metrics", shards)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	if run {
		go func() { done <- log.Run(ctx) }()
	} else {
		done <- nil
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		log.Close()
	})
	o.Stream = s
	if o.Now == nil {
		o.Now = func() time.Time { return time.UnixMilli(noon) }
	}
	in, err := ingest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{in, s}
}

// stored returns every point in the log, by shard and offset.
func (r *rig) stored(t testing.TB) []point.Point {
	t.Helper()
	var out []point.Point
	for _, shard := range r.stream.Shards() {
		reader := shard.Reader(0)
		for at := stream.Offset(0); at < shard.Durable(); {
			records, err := reader.Next(t.Context(), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for _, record := range records {
				var b point.Batch
				if err := b.DecodeRecord(record.Data, noon); err != nil {
					t.Fatal(err)
				}
				for run := range b.Runs {
					s := b.Series(run)
					if home := r.stream.ShardFor(stream.HashKey{Hi: point.HashOf(s)}); home != shard {
						t.Errorf("%v is on %v, want %v", s, shard.ID(), home.ID())
					}
					first := int(b.Runs[run].First)
					for i := first; i < first+int(b.Runs[run].N); i++ {
						out = append(out, point.Point{Series: s, Time: b.Time[i], Value: b.Value[i], Member: string(b.Member(i))})
					}
				}
				at++
			}
		}
		reader.Close()
	}
	return out
}

// post sends a body and returns status and answer.
func (r *rig) post(body string, header ...string) (int, string) {
	w := r.serve(http.MethodPost, strings.NewReader(body), header...)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func (r *rig) serve(method string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, "/api/v1/points", body)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

const good = `{"metric":"m","value":1}`

func TestAnswers(t *testing.T) {
	r := newRig(t, 2, true, stream.Options{}, ingest.Options{})
	for _, c := range []struct {
		name, body string
		status     int
		answer     string
	}{
		{"object", good, 200, `{"accepted":1}`},
		{"array", "[" + good + "," + good + "]", 200, `{"accepted":2}`},
		{"lines", good + "\n" + good + "\n", 200, `{"accepted":2}`},
		{"empty array", "[]", 200, `{"accepted":0}`},
		{"one bad point", "[" + good + `,{"metric":"m"},` + good + "]", 200,
			`{"accepted":2,"rejected":1,"errors":[{"index":1,"error":"value: is required for a gauge"}]}`},
		{"one bad line", good + "\nx\n" + good, 200,
			`{"accepted":2,"rejected":1,"errors":[{"index":1,"error":"json: line 2: expected { at the beginning of a point, got \"x\\n{\\\"metric\\\":\" (byte 25)"}]}`},
		{"all bad", `{"metric":"m","value":1,"ts":5}`, 400,
			`{"error":"no point was accepted, 1 refused; the first: ts: 5 (1970-01-01T00:00:00.005Z) is before 2000-01-01T00:00:00Z","accepted":0,"rejected":1,"errors":[{"index":0,"error":"ts: 5 (1970-01-01T00:00:00.005Z) is before 2000-01-01T00:00:00Z"}]}`},
		{"malformed array", "[" + good, 400, `{"error":"malformed JSON at byte 25 (line 1): expected , or ] after a point, got the end; nothing was stored"}`},
		{"empty", "", 400, `{"error":"body: is empty, expected a point, an array of points or a point a line"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, answer := r.post(c.body)
			if status != c.status || answer != c.answer {
				t.Errorf("got %d %s\nwant %d %s", status, answer, c.status, c.answer)
			}
			if !json.Valid([]byte(answer)) {
				t.Error("the answer is not JSON")
			}
		})
	}
	if got := len(r.stored(t)); got != 9 {
		t.Errorf("%d points are stored, want the 9 acknowledged", got)
	}
	s := r.Stats()
	if s.Accepted != 9 || s.Rejected != 3 || s.Posts != 9 || s.Failed != 0 || s.InFlight != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestAtMostTwentyErrors(t *testing.T) {
	r := newRig(t, 1, true, stream.Options{}, ingest.Options{})
	_, answer := r.post(good + strings.Repeat("\n{}", 50))
	var a struct {
		Accepted, Rejected int
		Errors             []struct{ Index int }
	}
	if err := json.Unmarshal([]byte(answer), &a); err != nil || a.Accepted != 1 || a.Rejected != 50 || len(a.Errors) != 20 || a.Errors[19].Index != 20 {
		t.Errorf("got %s, %v", answer, err)
	}
}

func pack(t testing.TB, encoding string, data []byte) string {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&buf)
	if encoding == "zstd" {
		z, err := zstd.NewWriter(&buf, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestRefusals(t *testing.T) {
	r := newRig(t, 1, true, stream.Options{}, ingest.Options{})
	bomb := make([]byte, 100<<20)
	for _, c := range []struct {
		name   string
		method string
		body   string
		header []string
		status int
		want   string
	}{
		{"get", "GET", "", nil, 405, "method: must be POST, got GET"},
		{"10 MB", "POST", strings.Repeat(" ", 10<<20), nil, 413, "body: at most 8388608 bytes, got 10485760"},
		{"gzip bomb", "POST", pack(t, "gzip", bomb), []string{"Content-Encoding", "gzip"}, 413, "body: at most 33554432 bytes once decompressed"},
		{"zstd bomb", "POST", pack(t, "zstd", bomb), []string{"Content-Encoding", "zstd"}, 413, "body: at most 33554432 bytes once decompressed"},
		{"not gzip", "POST", good, []string{"Content-Encoding", "gzip"}, 400, "is not valid"},
		{"not zstd", "POST", good, []string{"Content-Encoding", "zstd"}, 400, "is not valid"},
		{"cut gzip", "POST", pack(t, "gzip", []byte(good))[:20], []string{"Content-Encoding", "gzip"}, 400, "is not valid compressed data"},
		{"brotli", "POST", good, []string{"Content-Encoding", "br"}, 415, `Content-Encoding: must be gzip, zstd or identity, got \"br\"`},
		{"picture", "POST", good, []string{"Content-Type", "image/png"}, 415, `Content-Type: must be application/json`},
		{"garbage", "POST", "\x00\xff\x01garbage", nil, 400, "expected { at the beginning of a point"},
		{"broken batch", "POST", "\xfb\x01\x09", []string{"Content-Type", point.ContentType}, 400, "malformed batch at byte 3: 9 symbols"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := r.serve(c.method, strings.NewReader(c.body), c.header...)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || !json.Valid(w.Body.Bytes()) {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, c.status, c.want)
			}
			switch c.status {
			case 405:
				if w.Header().Get("Allow") != "POST" {
					t.Errorf("Allow: got %q", w.Header().Get("Allow"))
				}
			case 415:
				if w.Header().Get("Accept-Encoding") != "gzip, zstd" {
					t.Errorf("Accept-Encoding: got %q", w.Header().Get("Accept-Encoding"))
				}
			}
		})
	}
	// A body without a length is counted as it comes.
	w := r.serve("POST", io.MultiReader(strings.NewReader(strings.Repeat(" ", 9<<20))))
	if w.Code != 413 || !strings.Contains(w.Body.String(), "body: at most 8388608 bytes, got more") {
		t.Errorf("chunked: got %d %s", w.Code, w.Body)
	}
	if status, answer := r.post(good); status != 200 || answer != `{"accepted":1}` {
		t.Errorf("afterwards: got %d %s", status, answer)
	}
	if got := len(r.stored(t)); got != 1 {
		t.Errorf("%d points are stored, want 1", got)
	}
}

func TestEncodings(t *testing.T) {
	r := newRig(t, 1, true, stream.Options{}, ingest.Options{})
	text := strings.Repeat(good+"\n", 1000)
	for _, encoding := range []string{"gzip", "zstd", "GZIP"} {
		for range 2 { // the second time the decoder is used again
			if status, answer := r.post(pack(t, strings.ToLower(encoding), []byte(text)), "Content-Encoding", encoding); answer != `{"accepted":1000}` {
				t.Errorf("%s: got %d %s", encoding, status, answer)
			}
		}
	}
	for _, contentType := range []string{"application/json; charset=utf-8", "application/x-ndjson", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded"} {
		if status, answer := r.post(good, "Content-Type", contentType); status != 200 {
			t.Errorf("%s: got %d %s", contentType, status, answer)
		}
	}
}

// The SDK and the server understand each other.
func TestProducer(t *testing.T) {
	r := newRig(t, 2, true, stream.Options{}, ingest.Options{})
	server := httptest.NewServer(r)
	defer server.Close()
	for _, c := range []producer.Compression{producer.None, producer.Gzip, producer.Zstd} {
		var rejected []string
		p, err := producer.New(producer.Options{URL: server.URL, Compression: c, OnReject: func(r producer.Rejection) {
			rejected = append(rejected, r.Series.Metric+" "+r.Reason)
		}})
		if err != nil {
			t.Fatal(err)
		}
		p.Gauge("host.load1", producer.Labels{"host": "a"}).SetAt(time.UnixMilli(noon), 0.5)
		p.Set("visitors", nil).InsertAt(time.UnixMilli(noon), "v1")
		p.Counter("orders", nil).AddAt(time.UnixMilli(noon+3_600_000), 1)
		if err := p.Close(t.Context()); err == nil {
			t.Error("a point an hour ahead was taken")
		}
		if s := p.Stats(); s.Sent != 2 || s.Rejected != 1 {
			t.Errorf("got %+v", s)
		}
		if len(rejected) != 1 || !strings.HasPrefix(rejected[0], "orders ts: 1700003600000 (2023-11-14T23:13:20Z) is more than 5 min ahead") {
			t.Errorf("got %q", rejected)
		}
	}
	if got := len(r.stored(t)); got != 6 {
		t.Errorf("%d points are stored, want 6", got)
	}
}

// A client that stops sending does not keep a request for ever.
func TestSlowBody(t *testing.T) {
	r := newRig(t, 1, true, stream.Options{}, ingest.Options{BodyTimeout: 50 * time.Millisecond})
	server := httptest.NewServer(r)
	defer server.Close()
	pr, pw := io.Pipe()
	defer pw.Close()
	resp, err := http.Post(server.URL, "application/json", pr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("got %s, want 408", resp.Status)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestNewRefuses(t *testing.T) {
	if _, err := ingest.New(ingest.Options{}); err == nil {
		t.Error("no stream: got no error")
	}
}

// A log that cannot write answers 503, and says that the outcome is open.
func TestLogCannotWrite(t *testing.T) {
	log, err := stream.Open(stream.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := log.Create("metrics", 2)
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(ingest.Options{Stream: s})
	if err != nil {
		t.Fatal(err)
	}
	log.Close()
	r := &rig{in, s}
	status, answer := r.post(good)
	if status != 503 || !strings.Contains(answer, "the log cannot write, some of the points may be stored: shardId-00000000000") {
		t.Errorf("got %d %s", status, answer)
	}
	if got := r.Stats(); got.Failed != 1 || got.Accepted != 0 {
		t.Errorf("got %+v", got)
	}
}
