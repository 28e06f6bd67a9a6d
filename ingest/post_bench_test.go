package ingest_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"freshet/ingest"
	"freshet/stream"
)

// responder is a http.ResponseWriter that costs nothing.
type responder struct {
	header http.Header
	status int
}

func (w *responder) Header() http.Header         { return w.header }
func (w *responder) WriteHeader(status int)      { w.status = status }
func (w *responder) Write(p []byte) (int, error) { return len(p), nil }

func benchBody(n, series int) []byte {
	r := rand.New(rand.NewPCG(3, 3))
	var b []byte
	for i := range n {
		s := (i*7919 + r.IntN(series)) % series
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"metric":"http.request.duration","type":"distribution","ts":%d,"value":%d.%d,"labels":{"host":"host-%d","region":"eu-1","route":"/r/%d"}}`,
			noon+r.IntN(1000), r.IntN(500), r.IntN(10), s%100, s/100)
	}
	return append(append([]byte{'['}, b...), ']')
}

// BenchmarkPost is the whole stage without the network: 500 points a post, up to the disk.
func BenchmarkPost(b *testing.B) {
	for _, shards := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("points=500/shards=%d", shards), func(b *testing.B) {
			r := newRig(b, shards, true, stream.Options{}, ingest.Options{})
			body := benchBody(500, 10_000)
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				w := &responder{header: http.Header{}}
				reader := bytes.NewReader(body)
				req := httptest.NewRequest("POST", "/api/v1/points", nil)
				req.ContentLength = int64(len(body))
				for pb.Next() {
					reader.Reset(body)
					req.Body = io.NopCloser(reader)
					r.ServeHTTP(w, req)
					if w.status != 200 {
						b.Errorf("got %d", w.status)
						return
					}
				}
			})
			b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpoints/s")
		})
	}
}
