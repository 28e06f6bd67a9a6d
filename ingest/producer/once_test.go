package producer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest"
	"freshet/ingest/producer"
	"freshet/stream"
	"freshet/stream/vfs"
)

// A line is a log and what folds it.
type line struct {
	stream *stream.Stream
	engine *aggregate.Engine
}

func newLine(t *testing.T) *line {
	t.Helper()
	log, err := stream.Open(stream.Options{Dir: "log", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	l := &line{}
	if l.stream, err = log.Create("metrics", 2); err != nil {
		t.Fatal(err)
	}
	if l.engine, err = aggregate.New(aggregate.Options{Stream: l.stream}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- log.Run(ctx) }()
	go func() { done <- l.engine.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, <-done, log.Close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// check wants so many points to count, each once, and some to have come twice.
func (l *line) check(t *testing.T, points int) {
	t.Helper()
	tail, err := l.engine.Tail(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	times := map[float64]int{}
	err = tail.Points(t.Context(), func(p *aggregate.Points) error {
		for _, v := range p.Value {
			times[v]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range points {
		if times[float64(i)] != 1 {
			t.Fatalf("point %d: counted %d times", i, times[float64(i)])
		}
	}
	if s := l.engine.Stats(); len(times) != points || s.Points != uint64(points) || s.Repeated == 0 {
		t.Errorf("got %d points, %d of them folded, and %d repeated; want %d, as many, and some", len(times), s.Points, s.Repeated, points)
	}
}

// lossy drops two of three answers after the request was served.
type lossy struct {
	serve func(*http.Request) (*http.Response, error)
	only  string // those to requests with this in the header X-Amz-Target

	mu sync.Mutex
	n  int
}

func (l *lossy) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.serve(req)
	if err != nil || !strings.Contains(req.Header.Get("X-Amz-Target"), l.only) {
		return resp, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n++; l.n%3 != 0 {
		resp.Body.Close()
		return nil, errors.New("the connection was reset")
	}
	return resp, nil
}

// A server that takes every post and whose answers are lost counts every point once.
func TestLostAnswersCountOnce(t *testing.T) {
	l := newLine(t)
	in, err := ingest.New(ingest.Options{Stream: l.stream})
	if err != nil {
		t.Fatal(err)
	}
	transport := &lossy{serve: func(req *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		in.ServeHTTP(w, req)
		return w.Result(), nil
	}}
	p, err := producer.New(producer.Options{URL: "http://freshet.test/", Client: &http.Client{Transport: transport}, BatchPoints: 25})
	if err != nil {
		t.Fatal(err)
	}
	const points = 100
	for i := range points {
		p.Gauge("m", producer.Labels{"i": fmt.Sprint(i % 10)}).Set(float64(i))
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := p.Stats(); s.Sent != points || s.Retried < 5 {
		t.Errorf("got %d points sent and %d posts repeated, want %d and some", s.Sent, s.Retried, points)
	}
	l.check(t, points)
}

// The same on a stream of the Kinesis API.
func TestLostAnswersOfKinesisCountOnce(t *testing.T) {
	l := newLine(t)
	s := newService(2)
	transport := &lossy{serve: s.RoundTrip, only: "PutRecords"}
	k, err := producer.NewKinesis(producer.KinesisOptions{
		URL: "http://kinesis.test:4567/", Stream: "metrics", Client: &http.Client{Transport: transport}, MaxAge: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := producer.New(producer.Options{Kinesis: k, BatchPoints: 25})
	if err != nil {
		t.Fatal(err)
	}
	const points = 100
	for i := range points {
		p.Gauge("m", producer.Labels{"i": fmt.Sprint(i % 10)}).Set(float64(i))
	}
	if err := errors.Join(p.Close(t.Context()), k.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	for i, sh := range s.shards { // what is on the fake stream, on a true one
		shard := l.stream.Shards()[i]
		first, _ := shard.Range()
		for _, r := range sh.records {
			if _, err := shard.Append(t.Context(), []stream.Entry{{PartitionKey: r.key, HashKey: first, Explicit: true, Data: r.data}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.check(t, points)
}
