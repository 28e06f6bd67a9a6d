package kinesis_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/kinesis"
	"freshet/stream/kv"
)

// realRig is a rig on a real disk, with streams of a number of shards.
func realRig(b *testing.B, shards int) *rig {
	b.Helper()
	log, err := stream.Open(stream.Options{Dir: b.TempDir() + "/streams", RetentionBytes: 1 << 30, Retention: -1})
	if err != nil {
		b.Fatal(err)
	}
	service, err := kinesis.New(kinesis.Options{Log: log, Store: kv.NewMem(), AuthOff: true, Settle: -1})
	if err != nil {
		b.Fatal(err)
	}
	r := &rig{t: b, log: log, service: service, handler: service.Handler()}
	ctx, end := context.WithCancel(context.Background())
	r.done.Go(func() { log.Run(ctx) })
	r.done.Go(func() { service.Run(ctx) })
	b.Cleanup(func() {
		end()
		r.done.Wait()
		log.Close()
	})
	r.create("a", shards)
	return r
}

// A sink takes an answer and keeps its end.
type sink struct {
	head   http.Header
	status int
	end    string
}

func (s *sink) Header() http.Header { return s.head }

func (s *sink) WriteHeader(status int) { s.status = status }

func (s *sink) Write(p []byte) (int, error) {
	s.end = string(p[max(0, len(p)-400):])
	return len(p), nil
}

// BenchmarkPutRecordsDecode reads the body of a PutRecords of 500 records of 200 bytes.
func BenchmarkPutRecordsDecode(b *testing.B) {
	body := []byte(putBody(500, 200))
	s := kinesis.NewScanner()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if n, ok := s.Scan(body); n != 500 || !ok {
			b.Fatal(n, ok)
		}
	}
	b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkPutRecords has clients that each wait for the answer, which comes when their
// 500 records of 200 bytes are durable, before they send the next: to the handler, and
// over loopback from the same machine.
func BenchmarkPutRecords(b *testing.B) {
	for _, c := range []struct {
		shards, clients int
		loopback        bool
	}{{1, 1, false}, {1, 16, false}, {4, 16, false}, {1, 16, true}, {4, 16, true}, {4, 64, true}, {16, 64, true}} {
		way := "handler"
		if c.loopback {
			way = "loopback"
		}
		b.Run(fmt.Sprintf("%s/shards=%d/clients=%d", way, c.shards, c.clients), func(b *testing.B) {
			r := realRig(b, c.shards)
			body := putBody(500, 200)
			put := handlerPut(r, body)
			if c.loopback {
				put = loopbackPut(b, r, "PutRecords", body, c.clients)
			}
			benchmarkPuts(b, put, c.clients, 500)
		})
	}
}

// BenchmarkPutRecord is BenchmarkPutRecords with one record of 200 bytes a call.
func BenchmarkPutRecord(b *testing.B) {
	body := fmt.Sprintf(`{"StreamName":"a","PartitionKey":"key","Data":"%s"}`, base64Of(make([]byte, 200)))
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("loopback/clients=%d", clients), func(b *testing.B) {
			r := realRig(b, 1)
			benchmarkPuts(b, loopbackPut(b, r, "PutRecord", body, clients), clients, 1)
		})
	}
}

// benchmarkPuts has clients that each make one call after the other.
func benchmarkPuts(b *testing.B, put func() error, clients, records int) {
	b.ReportAllocs()
	work := make(chan struct{})
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range work {
				if err := put(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	n, began := 0, time.Now()
	for b.Loop() {
		work <- struct{}{}
		n++
	}
	took := time.Since(began)
	close(work)
	all.Wait()
	b.ReportMetric(float64(records*n)/took.Seconds(), "records/s")
}

func handlerPut(r *rig, body string) func() error {
	head := request(context.Background(), "PutRecords", "").Header
	return func() error {
		_, err := r.serve(head, body)
		return err
	}
}

// serve returns the end of an answer.
func (r *rig) serve(head http.Header, body string) (string, error) {
	q, _ := http.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader(body))
	q.Header = head
	w := &sink{head: http.Header{}}
	if r.handler.ServeHTTP(w, q); w.status != http.StatusOK {
		return "", fmt.Errorf("status %d: %s", w.status, w.end)
	}
	return w.end, nil
}

func loopbackPut(b *testing.B, r *rig, op, body string, clients int) func() error {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := kinesis.Server(r.handler)
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(listener) }()
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	b.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-done
	})
	head := request(context.Background(), op, "").Header
	client := &http.Client{Transport: transport}
	return func() error {
		q, err := http.NewRequest(http.MethodPost, "http://"+listener.Addr().String()+"/", strings.NewReader(body))
		if err != nil {
			return err
		}
		q.Header = head
		a, err := client.Do(q)
		if err != nil {
			return err
		}
		defer a.Body.Close()
		if _, err := io.Copy(io.Discard, a.Body); err != nil || a.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d, %v", a.StatusCode, err)
		}
		return nil
	}
}

// BenchmarkGetRecords reads 10,000 records of 200 bytes a call: as a consumer that goes
// on where it was, and as one that comes with an iterator for the start each time.
func BenchmarkGetRecords(b *testing.B) {
	for _, tail := range []bool{true, false} {
		name := map[bool]string{true: "tail", false: "cold"}[tail]
		b.Run(name, func(b *testing.B) {
			r := realRig(b, 1)
			put := handlerPut(r, putBody(500, 200))
			for range 400 {
				if err := put(); err != nil {
					b.Fatal(err)
				}
			}
			head := request(context.Background(), "GetRecords", "").Header
			start := r.iterator("a", firstShard, "TRIM_HORIZON")
			it := start
			b.ReportAllocs()
			b.SetBytes(10000 * 200)
			for b.Loop() {
				answer, err := r.serve(head, `{"ShardIterator":"`+it+`"}`)
				_, after, ok := strings.Cut(answer, `"NextShardIterator":"`)
				if !ok {
					b.Fatal(answer, err)
				}
				if it, _, _ = strings.Cut(after, `"`); !tail || strings.Contains(after, `"MillisBehindLatest":0`) {
					it = start
				}
			}
			b.ReportMetric(10000*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
