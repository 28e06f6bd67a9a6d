package ingest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"freshet/ingest"
	"freshet/stream"
	"freshet/stream/vfs"
)

func TestRecords(t *testing.T) {
	log, err := stream.Open(stream.Options{Dir: "log", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	defer func() {
		cancel()
		<-done
		log.Close()
	}()
	metrics, err := log.Create("metrics", 1)
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(ingest.Options{Stream: metrics})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/streams", ingest.StreamsHandler(log))
	mux.Handle("/streams/{stream}", ingest.StreamsHandler(log))
	mux.Handle("/streams/{stream}/records", in.RecordsHandler(log))
	for _, c := range []struct {
		method, path, media, body string
		status                    int
		want                      string
	}{
		{"PUT", "/streams/clicks", "", `{"shards":2}`, 201, `{"name":"clicks","shards":2,"records":0}`},
		{"PUT", "/streams/clicks", "", "", 200, `{"name":"clicks","shards":2,"records":0}`},
		{"PUT", "/streams/clicks", "", `{"shards":0}`, 400, "shards: must be 1 to 256"},
		{"PUT", "/streams/clicks", "", `{"shard":2}`, 400, `unknown field \"shard\"`},
		{"PUT", "/streams/a%20b", "", "", 400, `\"a b\" holds ' '`},
		{"DELETE", "/streams/clicks", "", "", 405, "use PUT"},
		{"POST", "/streams", "", "", 405, "use GET"},
		{"POST", "/streams/clicks/records?key=k", "application/x-ndjson", "one\n\n two \n", 200, `{"accepted":2,"covers":{"shardId-`},
		{"POST", "/streams/clicks/records", "application/json", `{"records":[{"key":"a","data":{"n": 1}},{"key":"b","data":"plain \"text\""},{"data":[]}]}`, 200, `{"accepted":3,`},
		{"POST", "/streams/clicks/records", "text/plain", "a\nb\n", 200, `{"accepted":1,`},
		{"POST", "/streams/none/records", "", "x", 404, `there is no stream \"none\"`},
		{"GET", "/streams/clicks/records", "", "", 405, "method: must be POST, got GET"},
		{"POST", "/streams/clicks/records", "application/json", `[1]`, 400, "nothing was stored"},
		{"POST", "/streams/clicks/records", "application/json", `{"records":[{"data":1},{"key":"x"}]}`, 400, "record 1: must have 1 to 1048576 bytes, got 0; nothing was stored"},
		{"POST", "/streams/clicks/records", "", "", 400, "record 0: must have 1 to 1048576 bytes, got 0"},
		{"POST", "/streams/clicks/records", "", strings.Repeat("x", 1<<20+1), 400, "got 1048577; nothing was stored"},
		{"POST", "/streams/clicks/records?key=" + strings.Repeat("k", 257), "", "x", 400, "key: at most 256 bytes, got 257"},
		{"POST", "/streams/clicks/records", "application/x-ndjson", strings.Repeat("x\n", 10_001), 400, "must hold 1 to 10000 records, got 10001"},
		{"POST", "/streams/clicks/records", "", strings.Repeat("x", 9<<20), 413, "at most 8388608 bytes"},
		{"GET", "/streams", "", "", 200, `{"streams":[{"name":"clicks","shards":2,"records":6},{"name":"metrics","shards":1,"records":0}]}`},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.media)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s %.80s: got %d %s, want %d …%s…", c.method, c.path, c.body, w.Code, w.Body, c.status, c.want)
		}
	}
	clicks, _ := log.Stream("clicks")
	var got []string
	for _, shard := range clicks.Shards() {
		reader := shard.Reader(0)
		for reader.Offset() < shard.Durable() {
			records, err := reader.Next(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range records {
				key := string(rec.PartitionKey)
				if len(key) > 1 {
					key = "random"
				}
				got = append(got, fmt.Sprintf("%s: %s", key, rec.Data))
			}
		}
		reader.Close()
	}
	slices.Sort(got)
	if want := []string{`a: {"n": 1}`, `b: plain "text"`, "k: one", "k: two", "random: []", "random: a\nb\n"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
