package producer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freshet/ingest/producer"
	"freshet/stream/kpl"
)

func startKinesis(t testing.TB, s *service, o producer.KinesisOptions) *producer.Kinesis {
	t.Helper()
	o.URL, o.Stream = "http://kinesis.test:4567/", "orders"
	o.Client = &http.Client{Transport: s}
	k, err := producer.NewKinesis(o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// runKinesis runs k until the test ends; the caller closes k.
func runKinesis(t *testing.T, k *producer.Kinesis) {
	done := make(chan error, 1)
	go func() { done <- k.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; !errors.Is(err, producer.ErrClosed) && !errors.Is(err, context.Canceled) {
			t.Errorf("Run: got %v, want ErrClosed", err)
		}
	})
}

func wantKinesisStats(t *testing.T, k *producer.Kinesis, want producer.KinesisStats) {
	t.Helper()
	if got := k.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func put(t testing.TB, k *producer.Kinesis, r producer.Record, done func(producer.Result)) {
	t.Helper()
	if err := k.Put(r, done); err != nil {
		t.Fatal(err)
	}
}

func TestKinesisPacksByShard(t *testing.T) {
	s := newService(3)
	s.page = 2
	k := startKinesis(t, s, producer.KinesisOptions{})
	results := make(map[string]producer.Result)
	for i := range 300 {
		key := fmt.Sprint("key-", i)
		put(t, k, producer.Record{PartitionKey: key, Data: []byte(key)}, func(r producer.Result) { results[key] = r })
	}
	put(t, k, producer.Record{PartitionKey: "explicit", ExplicitHashKey: "0", Data: []byte("explicit")}, func(r producer.Result) { results["explicit"] = r })
	if err := k.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, skipped := s.consume()
	if len(got) != 301 || skipped != 0 || s.stored() != 3 || s.puts != 1 || s.lists != 2 {
		t.Errorf("got %d user records in %d records, %d requests and %d lists; want 301 in 3, 1 and 2", len(got), s.stored(), s.puts, s.lists)
	}
	for _, u := range got {
		r := results[string(u.Data)]
		if u.PartitionKey != string(u.Data) || r.Err != nil || r.Shard != u.shard || r.SequenceNumber != u.sequence || r.SubSequence != u.sub || len(r.Attempts) != 1 {
			t.Errorf("%s: got %+v, want %s %s %d", u.Data, r, u.shard, u.sequence, u.sub)
		}
	}
	if r := results["explicit"]; r.Shard != "shardId-000000000000" {
		t.Errorf("the explicit hash key: got %+v", r)
	}
	wantKinesisStats(t, k, producer.KinesisStats{Sent: 301, Records: 3, Requests: 1})
	if got := s.header.Get("Content-Type"); got != "application/x-amz-json-1.1" {
		t.Errorf("got type %q", got)
	}
}

func TestKinesisAloneIsPlain(t *testing.T) {
	s := newService(2)
	k := startKinesis(t, s, producer.KinesisOptions{})
	r, err := send(t, k, producer.Record{PartitionKey: "a", Data: []byte("alone")})
	if err != nil || r.SequenceNumber != "1" {
		t.Errorf("got %+v, %v", r, err)
	}
	got, _ := s.consume()
	if len(got) != 1 || got[0].PartitionKey != "a" || string(got[0].Data) != "alone" || kpl.IsAggregated(got[0].Data) {
		t.Errorf("got %+v", got)
	}
	k.Close(t.Context())
}

// send sends a record without anybody who runs k.
func send(t *testing.T, k *producer.Kinesis, r producer.Record) (got producer.Result, err error) {
	put(t, k, r, func(r producer.Result) { got = r })
	err = k.Flush(t.Context())
	return got, err
}

func TestKinesisByAgeAndSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(1)
		k := startKinesis(t, s, producer.KinesisOptions{RatePercent: -1, CollectBytes: 200_000})
		runKinesis(t, k)
		began := time.Now()
		put(t, k, producer.Record{PartitionKey: "a", Data: []byte("x")}, nil)
		put(t, k, producer.Record{PartitionKey: "b", Data: []byte("y")}, nil)
		time.Sleep(99 * time.Millisecond)
		synctest.Wait()
		if s.stored() != 0 {
			t.Error("sent before its time")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if s.stored() != 1 || s.times[0].Sub(began) != 100*time.Millisecond {
			t.Errorf("got %d records after %v, want one after 100 ms", s.stored(), s.times[0].Sub(began))
		}
		for range 220 {
			put(t, k, producer.Record{PartitionKey: "a", Data: make([]byte, 1000)}, nil)
		}
		synctest.Wait()
		if s.puts != 2 || s.sizes[1] != 3 {
			t.Errorf("got requests of %v records, want a full one of 3", s.sizes)
		}
		if err := k.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestKinesisCollects(t *testing.T) {
	for _, c := range []struct {
		o        producer.KinesisOptions
		n, size  int
		requests int
	}{
		{producer.KinesisOptions{Plain: true, RatePercent: -1}, 1200, 10, 3},
		{producer.KinesisOptions{Plain: true, RatePercent: -1, CollectCount: 100}, 1200, 10, 12},
		{producer.KinesisOptions{Plain: true, RatePercent: -1}, 20, 1 << 19, 3},
		{producer.KinesisOptions{RatePercent: -1}, 10, 1<<20 - 3, 2},
		{producer.KinesisOptions{RatePercent: -1, AggregateCount: 10, CollectCount: 7}, 100, 10, 2},
	} {
		s := newService(1)
		k := startKinesis(t, s, c.o)
		for range c.n {
			put(t, k, producer.Record{PartitionKey: "key", Data: make([]byte, c.size)}, nil)
		}
		if err := k.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got, _ := s.consume(); len(got) != c.n || s.puts != c.requests {
			t.Errorf("%d records of %d: got %d in %d requests (%v), want %d requests", c.n, c.size, len(got), s.puts, s.sizes, c.requests)
		}
	}
}

// Only what failed is sent again.
func TestKinesisRetriesTheFailedPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(1)
		s.fault = func(n, i int, key string) string {
			if n <= 2 && key == "b" {
				return "ProvisionedThroughputExceededException"
			}
			return ""
		}
		k := startKinesis(t, s, producer.KinesisOptions{Plain: true})
		runKinesis(t, k)
		var mu sync.Mutex
		results := make(map[string]producer.Result)
		for _, key := range []string{"a", "b", "c"} {
			put(t, k, producer.Record{PartitionKey: key, Data: []byte(key)}, func(r producer.Result) {
				mu.Lock()
				defer mu.Unlock()
				results[key] = r
			})
		}
		if err := k.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if fmt.Sprint(s.sizes) != "[3 1 1]" {
			t.Errorf("got requests of %v records, want 3, 1, 1", s.sizes)
		}
		b := results["b"].Attempts
		if len(b) != 3 || b[0].ErrorCode != "ProvisionedThroughputExceededException" || b[0].ErrorMessage != "because" || b[2].ErrorCode != "" {
			t.Fatalf("got %+v", b)
		}
		for i, least := range []time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond} {
			if d := b[i].Delay; d < least || d > max(2*least, 100*time.Millisecond) {
				t.Errorf("attempt %d: delay %v, want %v to %v", i, d, least, 2*least)
			}
		}
		if len(results["a"].Attempts) != 1 || results["b"].SequenceNumber != "3" {
			t.Errorf("got %+v", results)
		}
		wantKinesisStats(t, k, producer.KinesisStats{Sent: 3, Records: 3, Requests: 3, Retried: 2})
	})
}

func TestKinesisRequestsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(1)
		s.fault = func(n, i int, _ string) string {
			if i >= 0 {
				return ""
			}
			return []string{"down", "InternalFailure", "ResourceNotFoundException", ""}[n-1]
		}
		k := startKinesis(t, s, producer.KinesisOptions{})
		runKinesis(t, k)
		r, err := k.Send(t.Context(), producer.Record{PartitionKey: "a", Data: []byte("x")})
		if err != nil || len(r.Attempts) != 4 {
			t.Fatalf("got %+v, %v", r, err)
		}
		var codes []string
		for _, a := range r.Attempts {
			codes = append(codes, a.ErrorCode)
		}
		if got := fmt.Sprintf("%q", codes); got != `["Exception" "InternalFailure" "ResourceNotFoundException" ""]` {
			t.Errorf("got %s", got)
		}
		if !strings.Contains(r.Attempts[0].ErrorMessage, "connection refused") {
			t.Errorf("got %q", r.Attempts[0].ErrorMessage)
		}
		k.Close(t.Context())
	})
}

func TestKinesisWhatIsNotRetried(t *testing.T) {
	for _, code := range []string{"ValidationException", "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException"} {
		s := newService(1)
		s.fault = func(int, int, string) string { return code }
		k := startKinesis(t, s, producer.KinesisOptions{})
		r, err := send(t, k, producer.Record{PartitionKey: "a", Data: []byte("x")})
		var api *producer.APIError
		if !errors.As(err, &api) || api.Code != code || api.Message != "because" || !errors.Is(r.Err, err) || s.puts != 1 {
			t.Errorf("%s: got %v, %+v after %d requests", code, err, r, s.puts)
		}
		wantKinesisStats(t, k, producer.KinesisStats{Dropped: 1, Requests: 1})
		k.Close(t.Context())
	}
}

func TestKinesisTimeToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(1)
		s.fault = func(_, i int, key string) string {
			if key == "ok" || i < 0 {
				return ""
			}
			return "InternalFailure"
		}
		k := startKinesis(t, s, producer.KinesisOptions{Plain: true})
		runKinesis(t, k)
		began := time.Now()
		got := make(chan producer.Result, 1)
		put(t, k, producer.Record{PartitionKey: "bad", Data: []byte("x")}, func(r producer.Result) { got <- r })
		put(t, k, producer.Record{PartitionKey: "ok", Data: []byte("y")}, nil)
		r := <-got
		if d := time.Since(began); d < 20*time.Second || d > 30*time.Second {
			t.Errorf("given up after %v", d)
		}
		if r.Err == nil || !strings.Contains(r.Err.Error(), "given up after 30s") || !strings.Contains(r.Err.Error(), "InternalFailure: because") {
			t.Errorf("got %v", r.Err)
		}
		if last := r.Attempts[len(r.Attempts)-1]; last.ErrorCode != "Expired" || len(r.Attempts) < 5 {
			t.Errorf("got %+v", r.Attempts)
		}
		if err := k.Close(t.Context()); err == nil {
			t.Error("Close says nothing of the loss")
		}
		if got := k.Stats(); got.Sent != 1 || got.Dropped != 1 || got.Pending != 0 || got.Bytes != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

// A record expires also when the shards are never known, or its shard has no turn.
func TestKinesisExpiresUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(1)
		s.noList = "LimitExceededException"
		k := startKinesis(t, s, producer.KinesisOptions{TTL: 10 * time.Second})
		runKinesis(t, k)
		r, err := k.Send(t.Context(), producer.Record{PartitionKey: "a", Data: []byte("x")})
		if err == nil || !strings.Contains(err.Error(), "0 tries, the shards are not known: the service answers LimitExceededException: because") {
			t.Errorf("got %v, %+v", err, r)
		}
		s.mu.Lock()
		lists := s.lists
		s.mu.Unlock()
		if lists < 10 || lists > 11 {
			t.Errorf("asked %d times for the shards in 10 s, want once a second", lists)
		}
		k.Close(t.Context())
	})
}

// Without the right to list shards records are sent one by one.
func TestKinesisWithoutList(t *testing.T) {
	s := newService(2)
	s.noList = "AccessDeniedException"
	k := startKinesis(t, s, producer.KinesisOptions{})
	for i := range 10 {
		put(t, k, producer.Record{PartitionKey: fmt.Sprint(i), ExplicitHashKey: "7", Data: []byte{byte(i)}}, nil)
	}
	if err := k.Close(t.Context()); err != nil {
		t.Error(err)
	}
	got, _ := s.consume()
	if len(got) != 10 || s.stored() != 10 || s.lists != 1 {
		t.Errorf("got %d records of %d, %d lists", len(got), s.stored(), s.lists)
	}
	for i, u := range got {
		if !bytes.Equal(u.Data, []byte{byte(i)}) {
			t.Errorf("record %d: got %v", i, u.Data)
		}
	}
}
