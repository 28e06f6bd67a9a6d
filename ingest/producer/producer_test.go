package producer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"freshet/ingest/point"
	"freshet/ingest/producer"
)

// A server stands in for Freshet and for the network before it.
type server struct {
	// answer returns status, body and Retry-After of the n-th post, from 1; status 0 is no
	// connection. nil takes everything.
	answer func(n, points int) (status int, body, retryAfter string)

	mu     sync.Mutex
	posts  int
	points []point.Point // of posts answered with 200
	times  []time.Time
	header http.Header // of the last post
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	body := io.Reader(req.Body)
	switch req.Header.Get("Content-Encoding") {
	case "gzip":
		body, _ = gzip.NewReader(body)
	case "zstd":
		d, _ := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
		defer d.Close()
		body = d
	}
	payload, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var b point.Batch
	if err := b.Decode(payload); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts++
	s.times = append(s.times, time.Now())
	s.header = req.Header
	status, text, retry := 200, fmt.Sprintf(`{"accepted":%d}`, b.Len()), ""
	if s.answer != nil {
		status, text, retry = s.answer(s.posts, b.Len())
	}
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	for r := range b.Runs {
		for i := b.Runs[r].First; status == 200 && i < b.Runs[r].First+b.Runs[r].N; i++ {
			s.points = append(s.points, point.Point{Series: b.Series(r), Time: b.Time[i], Value: b.Value[i], Member: string(b.Member(int(i)))})
		}
	}
	resp := &http.Response{StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}
	resp.Header.Set("Retry-After", retry)
	return resp, nil
}

func (s *server) values() []float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []float64
	for _, p := range s.points {
		out = append(out, p.Value)
	}
	return out
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts
}

func start(t *testing.T, s *server, o producer.Options) *producer.Producer {
	t.Helper()
	o.URL = "http://freshet.test:8080/"
	o.Client = &http.Client{Transport: s}
	p, err := producer.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs p until the test ends; the caller closes p.
func run(t *testing.T, p *producer.Producer) {
	done := make(chan error, 1)
	go func() { done <- p.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; !errors.Is(err, producer.ErrClosed) && !errors.Is(err, context.Canceled) {
			t.Errorf("Run: got %v, want ErrClosed", err)
		}
	})
}

func wantStats(t *testing.T, p *producer.Producer, want producer.Stats) {
	t.Helper()
	got := p.Stats()
	got.Bytes = 0
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEveryHandle(t *testing.T) {
	s := &server{}
	p := start(t, s, producer.Options{Labels: producer.Labels{"host": "a", "zone": "z"}, Token: "secret"})
	at := time.UnixMilli(1_700_000_000_123)
	own := producer.Labels{"zone": "own", "mode": "user"}
	p.Gauge("g", own).SetAt(at, 1.5)
	p.Counter("c", nil).AddAt(at, 2)
	p.Cumulative("t", nil).SetAt(at, 3)
	p.Distribution("d", nil).ObserveAt(at, 4)
	p.Set("s", nil).InsertAt(at, "me")
	p.Add(point.Point{Series: point.Series{Metric: "g", Type: point.Gauge, Labels: point.Labels{{Name: "zone", Value: "own"}, {Name: "mode", Value: "user"}}}, Time: at.UnixMilli(), Value: 5})
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, pt := range s.points {
		fmt.Fprintln(&got, pt.Metric, pt.Type, pt.Labels, pt.Time, pt.Value, pt.Member)
	}
	want := `g gauge [{host a} {mode user} {zone own}] 1700000000123 1.5 
g gauge [{host a} {mode user} {zone own}] 1700000000123 5 
c counter [{host a} {zone z}] 1700000000123 2 
t cumulative [{host a} {zone z}] 1700000000123 3 
d distribution [{host a} {zone z}] 1700000000123 4 
s set [{host a} {zone z}] 1700000000123 0 me
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
	if s.header.Get("Authorization") != "Bearer secret" || s.header.Get("Content-Type") != point.ContentType {
		t.Errorf("headers %v", s.header)
	}
	wantStats(t, p, producer.Stats{Sent: 6})
	p.Gauge("g", nil).Set(1)
	wantStats(t, p, producer.Stats{Sent: 6, Dropped: 1})
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		p := start(t, s, producer.Options{BatchPoints: 3})
		run(t, p)
		g := p.Gauge("g", nil)
		for i := range 7 {
			g.Set(float64(i))
		}
		synctest.Wait()
		if got := s.values(); len(got) != 6 || s.count() != 2 {
			t.Errorf("by size: got %v in %d posts, want 6 in 2", got, s.count())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.values(); len(got) != 7 || got[6] != 6 {
			t.Errorf("by age: got %v, want 0 to 6", got)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(n, points int) (int, string, string) {
			switch n {
			case 1:
				return 0, "", ""
			case 2:
				return 503, `{"error":"the log cannot write"}`, ""
			case 3:
				return 429, `{"error":"busy"}`, "7"
			}
			return 200, fmt.Sprintf(`{"accepted":%d}`, points), ""
		}}
		p := start(t, s, producer.Options{})
		run(t, p)
		p.Counter("c", nil).Add(1)
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		wantStats(t, p, producer.Stats{Sent: 1, Retried: 3})
		for i, want := range []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 7 * time.Second} {
			if got := s.times[i+1].Sub(s.times[i]); got < want || got > 2*want {
				t.Errorf("pause %d: got %v, want %v to %v", i, got, want, 2*want)
			}
		}
		p.Close(t.Context())
	})
}

func TestGivesUpAfterTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(int, int) (int, string, string) { return 500, "", "" }}
		p := start(t, s, producer.Options{TTL: time.Minute})
		run(t, p)
		began := time.Now()
		p.Counter("c", nil).Add(1)
		err := p.Flush(t.Context())
		if err == nil || !strings.Contains(err.Error(), "given up after 1m0s") || !strings.Contains(err.Error(), "500 Internal Server Error") {
			t.Errorf("got %v", err)
		}
		if d := time.Since(began); d < time.Minute || d > time.Minute+10*time.Second {
			t.Errorf("gave up after %v", d)
		}
		if got := p.Stats(); got.Dropped != 1 || got.Pending != 0 || got.Retried < 8 {
			t.Errorf("got %+v", got)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("the loss is reported twice: %v", err)
		}
	})
}

func TestWhatIsNotRetried(t *testing.T) {
	for _, status := range []int{400, 401, 403, 405, 413, 415} {
		s := &server{answer: func(int, int) (int, string, string) { return status, `{"error":"because"}`, "" }}
		p := start(t, s, producer.Options{})
		p.Counter("c", nil).Add(1)
		if err := p.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "because") {
			t.Errorf("%d: got %v", status, err)
		}
		if got := p.Stats(); s.posts != 1 || got.Dropped+got.Rejected != 1 {
			t.Errorf("%d: got %+v after %d posts", status, got, s.posts)
		}
	}
}

func TestRejections(t *testing.T) {
	s := &server{answer: func(n, points int) (int, string, string) {
		return 200, `{"accepted":1,"rejected":1,"errors":[{"index":1,"error":"ts: too far ahead"}]}`, ""
	}}
	var got []string
	p := start(t, s, producer.Options{OnReject: func(r producer.Rejection) {
		got = append(got, fmt.Sprint(r.Series.Metric, r.Series.Labels, " ", r.Time, " ", r.Reason))
	}})
	p.Gauge("a", producer.Labels{"l": "v"}).SetAt(time.UnixMilli(5), 1)
	p.Gauge("b", producer.Labels{"l": "v"}).SetAt(time.UnixMilli(6), 1)
	p.Gauge("c d", nil).SetAt(time.UnixMilli(7), 1)
	p.Gauge("e", nil).SetAt(time.UnixMilli(8), math.NaN())
	p.Set("f", nil).InsertAt(time.UnixMilli(9), "")
	err := p.Close(t.Context())
	if err == nil || !strings.Contains(err.Error(), "1 points refused, the first because of ts: too far ahead") {
		t.Errorf("got %v", err)
	}
	want := []string{
		`c d[] 7 producer: series "c d": metric: "c d" may hold letters, digits and _ . : / - only, and begins with a letter, a digit or _`,
		`e[] 8 value: must be a finite number, got NaN`,
		`f[] 9 value: a member has 1 to 1024 bytes, got 0`,
		`b[{l v}] 6 ts: too far ahead`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	wantStats(t, p, producer.Stats{Sent: 1, Rejected: 4})
	if p.Gauge("c d", nil).Err() == nil || p.Gauge("c", nil).Err() != nil {
		t.Error("Err of a bad and a good series")
	}
}

func TestBufferDrops(t *testing.T) {
	s := &server{answer: func(int, int) (int, string, string) { return 0, "", "" }}
	p := start(t, s, producer.Options{BufferBytes: 50_000, BatchPoints: 100})
	d := p.Distribution("d", nil)
	for i := range 100_000 {
		d.Observe(float64(i) / 3)
	}
	got := p.Stats()
	if got.Bytes > 55_000 || got.Dropped == 0 || int(got.Dropped)+got.Pending != 100_000 {
		t.Errorf("got %+v, want at most 55,000 bytes and everything accounted for", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	wantStats(t, p, producer.Stats{Dropped: 100_000})
}

func TestBufferBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := time.Now().Add(time.Minute)
		s := &server{answer: func(_, points int) (int, string, string) {
			if time.Now().Before(up) {
				return 503, "", ""
			}
			return 200, fmt.Sprintf(`{"accepted":%d}`, points), ""
		}}
		p := start(t, s, producer.Options{BufferBytes: 50_000, BatchPoints: 100, OnFull: producer.Block})
		run(t, p)
		d := p.Distribution("d", nil)
		for i := range 20_000 {
			d.Observe(float64(i) / 3)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if time.Now().Before(up) {
			t.Error("nobody waited")
		}
		for i, v := range s.values() {
			if v != float64(i)/3 {
				t.Fatalf("value %d: got %v, want %v", i, v, float64(i)/3)
			}
		}
		if got := p.Stats(); got.Sent != 20_000 || got.Dropped != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

// Close gives up when its context ends, also what Run is about to try again.
func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(int, int) (int, string, string) { return 429, "", "60" }}
		p := start(t, s, producer.Options{})
		run(t, p)
		p.Counter("c", nil).Add(1)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if time.Since(began) != 10*time.Second {
			t.Errorf("took %v", time.Since(began))
		}
		wantStats(t, p, producer.Stats{Dropped: 1})
	})
}

func TestCompression(t *testing.T) {
	for _, c := range []producer.Compression{producer.None, producer.Gzip, producer.Zstd} {
		s := &server{}
		p := start(t, s, producer.Options{Compression: c})
		for i := range 1000 {
			p.Gauge("g", producer.Labels{"i": fmt.Sprint(i)}).Set(float64(i))
		}
		if err := p.Close(t.Context()); err != nil || len(s.points) != 1000 {
			t.Errorf("compression %d: %v, %d points arrived, want 1000", c, err, len(s.points))
		}
	}
}

// Many goroutines add, others flush: nothing is lost or doubled.
func TestConcurrent(t *testing.T) {
	s := &server{}
	p := start(t, s, producer.Options{BatchPoints: 50, OnFull: producer.Block})
	run(t, p)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			c := p.Counter("c", producer.Labels{"g": fmt.Sprint(g)})
			for i := range 1000 {
				c.Add(1)
				if i%400 == 0 {
					if err := p.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if len(s.points) != 8000 {
		t.Errorf("got %d points, want 8000", len(s.points))
	}
	wantStats(t, p, producer.Stats{Sent: 8000})
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    producer.Options
		want string
	}{
		{producer.Options{}, `URL must be like http://127.0.0.1:8080, got ""`},
		{producer.Options{URL: "127.0.0.1:8080"}, `got "127.0.0.1:8080"`},
		{producer.Options{URL: "http://a", BatchPoints: 70_000}, "BatchPoints must be 0 to 65536, got 70000"},
	} {
		if _, err := producer.New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(%+v): got %v, want %q", c.o, err, c.want)
		}
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	p := start(t, &server{}, producer.Options{BatchPoints: 60_000})
	g, s := p.Gauge("g", producer.Labels{"a": "b"}), p.Set("s", nil)
	for range 5000 { // the buffers grow
		g.Set(1)
		s.Insert("member")
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() { g.Set(2); s.Insert("member") }); n > 0 {
		t.Errorf("got %v allocations, want none", n)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkGauge(b *testing.B) {
	p, err := producer.New(producer.Options{URL: "http://freshet.test", BufferBytes: 1 << 30, Client: &http.Client{Transport: discard{}}})
	if err != nil {
		b.Fatal(err)
	}
	g := p.Gauge("host.cpu.usage", producer.Labels{"host": "a", "mode": "user"})
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		g.Set(float64(n) / 10)
		if n++; n%100_000 == 0 {
			b.StopTimer()
			if err := p.Flush(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	}
	p.Close(context.Background())
}

// discard answers that every point was taken.
type discard struct{}

func (discard) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte("{}")))}, nil
}
