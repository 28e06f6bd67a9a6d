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

// Records go to a stream of the Kinesis API, packed as the Kinesis Producer Library does.
func ExampleKinesis() {
	k, err := producer.NewKinesis(producer.KinesisOptions{
		URL:    "http://127.0.0.1:4567", // "" is Amazon's
		Stream: "orders",
		Client: &http.Client{Transport: newService(2)}, // so that the example runs
	})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); k.Run(context.Background()) }()

	err = k.Put(producer.Record{PartitionKey: "customer-7", Data: []byte(`{"order":1}`)}, func(r producer.Result) {
		fmt.Println(r.Shard, r.SequenceNumber, len(r.Attempts), r.Err)
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := k.Close(context.Background()); err != nil {
		log.Fatal(err)
	}
	<-done
	// Output: shardId-000000000000 1 1 <nil>
}

// Send waits for the result of one record. It needs somebody who runs the producer.
func ExampleKinesis_Send() {
	k, err := producer.NewKinesis(producer.KinesisOptions{Stream: "orders", Client: &http.Client{Transport: newService(1)}})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); k.Run(context.Background()) }()
	r, err := k.Send(context.Background(), producer.Record{PartitionKey: "a", Data: []byte("x")})
	fmt.Println(r.SequenceNumber, err)
	k.Close(context.Background())
	<-done
	// Output: 1 <nil>
}
