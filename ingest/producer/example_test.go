package producer_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"freshet/ingest/producer"
)

// freshet stands in for a server, so that the examples run.
func freshet() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"accepted":3}`)
	}))
}

// A service makes one producer, runs it, and closes it when it ends.
func Example() {
	server := freshet()
	defer server.Close()

	p, err := producer.New(producer.Options{URL: server.URL, Labels: producer.Labels{"host": "web-1"}})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); p.Run(context.Background()) }()

	requests := p.Counter("http.requests", producer.Labels{"route": "/x"})
	duration := p.Distribution("http.request.duration", producer.Labels{"route": "/x"})
	users := p.Set("http.users", nil)

	requests.Add(1)
	duration.Observe(12.5)
	users.Insert("user-17")

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		log.Fatal(err)
	}
	<-done
	fmt.Println("sent", p.Stats().Sent)
	// Output: sent 3
}

// A script adds points of the past and ends; it needs no Run.
func ExampleGauge_SetAt() {
	server := freshet()
	defer server.Close()

	p, err := producer.New(producer.Options{URL: server.URL, Compression: producer.Zstd})
	if err != nil {
		log.Fatal(err)
	}
	temperature := p.Gauge("room.temperature", producer.Labels{"room": "kitchen"})
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for i, celsius := range []float64{20.5, 20.7, 21} {
		temperature.SetAt(noon.Add(time.Duration(i)*time.Hour), celsius)
	}
	fmt.Println(p.Close(context.Background()))
	// Output: <nil>
}

// With Block a point is never dropped while the server is away: the caller waits.
func ExampleOptions_block() {
	_, err := producer.New(producer.Options{
		URL:         "http://127.0.0.1:8080",
		OnFull:      producer.Block,
		BufferBytes: 64 << 20,
		OnReject: func(r producer.Rejection) {
			log.Printf("%s at %d: %s", r.Series.Metric, r.Time, r.Reason)
		},
	})
	fmt.Println(err)
	// Output: <nil>
}

// Flush waits until what was added is on the server's disk.
func ExampleProducer_Flush() {
	server := freshet()
	defer server.Close()
	p, err := producer.New(producer.Options{URL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	p.Counter("jobs.done", nil).Add(3)
	fmt.Println(p.Flush(context.Background()))
	p.Close(context.Background())
	// Output: <nil>
}
