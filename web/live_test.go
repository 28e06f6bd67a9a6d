package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"freshet/aggregate"
	"freshet/dashboard"
	"freshet/ingest/point"
	"freshet/stream"
	"freshet/web"
)

// A liveServer serves the websocket of an engine with one metric.
type liveServer struct {
	t      *testing.T
	stream *stream.Stream
	url    string
	stop   func() // of the hub
}

func newLiveServer(t *testing.T) *liveServer {
	t.Helper()
	log, err := stream.Open(stream.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := log.Create("metrics", 1)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := aggregate.New(aggregate.Options{Stream: metrics})
	if err != nil {
		t.Fatal(err)
	}
	hub := dashboard.NewHub(dashboard.HubOptions{Engine: engine, Tick: 10 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	hubCtx, stop := context.WithCancel(ctx)
	done := make(chan error, 3)
	go func() { done <- hub.Run(hubCtx) }()
	for _, run := range []func(context.Context) error{engine.Run, log.Run} {
		go func() { done <- run(ctx) }()
	}
	server := httptest.NewServer(&web.Live{Hub: hub})
	t.Cleanup(func() {
		stop()
		server.Close()
		cancel()
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return &liveServer{t, metrics, "ws" + strings.TrimPrefix(server.URL, "http"), stop}
}

// post makes v the value of so many hosts now.
func (s *liveServer) post(hosts int, v float64) {
	s.t.Helper()
	var b point.Builder
	for h := range hosts {
		var view point.View
		view.Set(&point.Point{Series: point.Series{Metric: "load", Type: point.Gauge, Labels: point.Labels{{Name: "host", Value: fmt.Sprintf("host-%04d", h)}}},
			Time: time.Now().UnixMilli(), Value: v})
		b.Add(&view)
	}
	if _, err := s.stream.Shards()[0].Append(context.Background(), []stream.Entry{{PartitionKey: "x", Data: b.Encode(nil)}}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *liveServer) dial() *websocket.Conn {
	s.t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial(s.url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { ws.Close() })
	return ws
}

// A shown is what a frame says.
type shown struct {
	Op, ID, Error string
	Seq           int
	Series        []struct {
		Labels map[string]string
		Values []*float64
	}
}

func next(t *testing.T, ws *websocket.Conn) (f shown, size int) {
	t.Helper()
	_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	kind, data, err := ws.ReadMessage()
	if err != nil || kind != websocket.TextMessage {
		t.Fatal(kind, err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return f, len(data)
}

func subscribe(t *testing.T, ws *websocket.Conn, id, query string) {
	t.Helper()
	if err := ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"op":"subscribe","id":%q,"query":%s}`, id, query)); err != nil {
		t.Fatal(err)
	}
}

// last returns the last value of every series, which must be the same.
func last(t *testing.T, f shown) float64 {
	t.Helper()
	v := -1.0
	for _, s := range f.Series {
		for i := len(s.Values) - 1; i >= 0; i-- {
			if s.Values[i] == nil {
				continue
			}
			if v >= 0 && v != *s.Values[i] {
				t.Fatalf("%v has %v, another series %v", s.Labels, *s.Values[i], v)
			}
			v = *s.Values[i]
			break
		}
	}
	return v
}

// TestLiveFramesOfAllLengths has two viewers with two subscriptions each, under equal and
// under other ids, see every post, in frames of each of the three kinds of length.
func TestLiveFramesOfAllLengths(t *testing.T) {
	for _, hosts := range []int{1, 20, 2000} {
		s := newLiveServer(t)
		s.post(hosts, 0)
		query := `{"metric":"load","agg":"last","by":["host"],"range":"10s","step":"1s"}`
		whole := `{"metric":"load","agg":"max","range":"10s","step":"1s"}`
		viewers := []*websocket.Conn{s.dial(), s.dial()}
		seq := map[string]int{}
		for i, ws := range viewers {
			subscribe(t, ws, "same", query)
			subscribe(t, ws, fmt.Sprint("own", i), whole)
		}
		for v := 0.0; v < 3; v++ {
			if v > 0 {
				s.post(hosts, v)
			}
			for i, ws := range viewers {
				seen := map[string]float64{"same": -1, fmt.Sprint("own", i): -1}
				for seen["same"] < v || seen[fmt.Sprint("own", i)] < v {
					f, size := next(t, ws)
					if _, ok := seen[f.ID]; !ok || f.Op == "error" {
						t.Fatalf("viewer %d got %+v", i, f)
					}
					key := fmt.Sprint(i, f.ID)
					if f.Op == "update" && f.Seq != seq[key]+1 {
						t.Fatalf("viewer %d: update %d of %s came after %d", i, f.Seq, f.ID, seq[key])
					}
					seq[key] = f.Seq
					if got := last(t, f); got >= 0 {
						seen[f.ID] = got
					}
					if f.ID == "same" && f.Op == "snapshot" && hosts == 2000 && size < 1<<16 {
						t.Errorf("a snapshot of %d hosts has %d bytes; the test wants more than 65535", hosts, size)
					}
				}
			}
		}
	}
}

func TestLiveRefusals(t *testing.T) {
	s := newLiveServer(t)
	ws := s.dial()
	subscribe(t, ws, "a", `{"metric":"load","agg":"none","range":"10s"}`)
	if f, _ := next(t, ws); f.Op != "error" || f.ID != "a" || !strings.Contains(f.Error, `"none"`) {
		t.Errorf("got %+v, want an error about agg", f)
	}
	if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"op":"dance","id":"b"}`)); err != nil {
		t.Fatal(err)
	}
	if f, _ := next(t, ws); f.Op != "error" || f.ID != "b" || !strings.Contains(f.Error, "dance") {
		t.Errorf("got %+v, want an error about the op", f)
	}
}

// TestLivePongAndClose has control frames answered between those of the feed.
func TestLivePongAndClose(t *testing.T) {
	s := newLiveServer(t)
	s.post(1, 1)
	ws := s.dial()
	subscribe(t, ws, "a", `{"metric":"load","agg":"last","range":"10s","step":"1s"}`)
	pong := make(chan string, 1)
	ws.SetPongHandler(func(data string) error {
		pong <- data
		return nil
	})
	if err := ws.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for len(pong) == 0 {
		next(t, ws)
		s.post(1, 2)
	}
	if got := <-pong; got != "there?" {
		t.Errorf("got the pong %q, want %q", got, "there?")
	}
	if err := ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, _, err := ws.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				t.Errorf("got %v, want the close answered", err)
			}
			return
		}
	}
}

func TestLiveEndsWithTheHub(t *testing.T) {
	s := newLiveServer(t)
	ws := s.dial()
	subscribe(t, ws, "a", `{"metric":"load","agg":"last","range":"10s","step":"1s"}`)
	next(t, ws)
	s.stop()
	for {
		_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, _, err := ws.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
				t.Errorf("got %v, want that the server goes away", err)
			}
			return
		}
	}
}
