package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"
)

// liveMetric is what the probe posts and the viewers watch.
const liveMetric = "bench.live"

// LiveLoad says what Live measures.
type LiveLoad struct {
	Viewers    []int     `help:"How many viewers; one measurement for each and each background." default:"1,100,1000"`
	Posts      int       `help:"Posts of one measurement." default:"50"`
	Background []float64 `help:"Points a second posted meanwhile." default:"0,100000,500000"`
}

// Live measures the time from a post to the frame that shows it, at every viewer.
func Live(ctx context.Context, l LiveLoad) (*Report, error) {
	r := &Report{Name: fmt.Sprintf("live: from the post of a point to its websocket frame, %d posts a measurement", l.Posts)}
	for _, background := range l.Background {
		for _, viewers := range l.Viewers {
			if err := l.measure(ctx, r, viewers, background); err != nil {
				return nil, fmt.Errorf("%d viewers: %w", viewers, err)
			}
		}
	}
	return r, nil
}

func (l LiveLoad) measure(ctx context.Context, r *Report, viewers int, background float64) error {
	p, _, err := start(ctx, "")
	if err != nil {
		return err
	}
	defer p.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	load := Load{Series: 10_000, Codec: codecJSON}
	if background > 0 {
		g.Go(func() error {
			_, err := load.fleet().pour(ctx, p.host, 4, background, time.Now().Add(time.Hour), nil)
			if ctx.Err() != nil {
				return nil
			}
			return err
		})
	}
	lat, frames, err := l.probe(ctx, p, viewers)
	cancel()
	if err := errors.Join(err, g.Wait()); err != nil {
		return err
	}
	state := "idle"
	if background > 0 {
		state = number(background) + " points/s"
	}
	name := fmt.Sprintf("%d viewers, %s", viewers, state)
	r.add(name+", p50", quantile(lat, 0.5), "ms", fmt.Sprintf("%d frames", frames))
	r.add(name+", p99", quantile(lat, 0.99), "ms", "")
	return nil
}

// A probe knows when each numbered post was sent.
type probe struct {
	sent []atomic.Int64 // Unix nanoseconds, by number

	mu     sync.Mutex
	lat    []time.Duration
	frames int
}

// probe connects the viewers, posts and returns the latencies of all posts at all viewers.
func (l LiveLoad) probe(ctx context.Context, p *process, viewers int) ([]time.Duration, int, error) {
	pr := &probe{sent: make([]atomic.Int64, l.Posts+1)}
	conn, err := dial(ctx, p.host)
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	// The metric exists before anybody looks, so that the first frame is not special.
	if err := pr.post(conn, 0); err != nil {
		return nil, 0, err
	}
	var g errgroup.Group
	ready := make(chan struct{}, viewers)
	for range viewers {
		g.Go(func() error { return pr.watch(ctx, p, l.Posts, ready) })
	}
	for range viewers {
		select {
		case <-ready:
		case <-time.After(30 * time.Second):
			return nil, 0, errors.New("not all viewers got their first frame within 30 s")
		}
	}
	time.Sleep(500 * time.Millisecond)
	for k := 1; k <= l.Posts; k++ {
		if err := pr.post(conn, k); err != nil {
			return nil, 0, err
		}
		// Not a multiple of the server's tick, so that posts fall at all its phases.
		time.Sleep(97 * time.Millisecond)
	}
	err = g.Wait()
	return pr.lat, pr.frames, err
}

// post sends the gauge with value k.
func (pr *probe) post(conn *rawConn, k int) error {
	now := time.Now()
	pr.sent[k].Store(now.UnixNano())
	body := fmt.Appendf(nil, `{"metric":"%s","ts":%d,"value":%d}`, liveMetric, now.UnixMilli(), k)
	status, err := conn.post("/api/v1/points", body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("a post was answered %d", status)
	}
	return err
}

// watch is one viewer: it notes when each post is first shown.
func (pr *probe) watch(ctx context.Context, p *process, posts int, ready chan<- struct{}) error {
	ws, _, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+p.host+"/api/v1/live", nil)
	if err != nil {
		return err
	}
	defer ws.Close()
	query := `{"op":"subscribe","id":"p1","query":{"metric":"` + liveMetric + `","agg":"last","range":"1m","step":"1s"}}`
	if err := ws.WriteMessage(websocket.TextMessage, []byte(query)); err != nil {
		return err
	}
	seen, frames := 0, 0
	var lat []time.Duration
	for seen < posts {
		_ = ws.SetReadDeadline(time.Now().Add(30 * time.Second))
		_, data, err := ws.ReadMessage()
		if err != nil {
			return fmt.Errorf("after post %d: %w", seen, err)
		}
		now := time.Now().UnixNano()
		if frames++; frames == 1 {
			ready <- struct{}{}
		}
		k, ok := lastValue(data)
		for ok && seen < k {
			seen++
			lat = append(lat, time.Duration(now-pr.sent[seen].Load()))
		}
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.lat = append(pr.lat, lat...)
	pr.frames += frames
	return nil
}

// lastValue returns the last number of the only series of a frame.
func lastValue(frame []byte) (int, bool) {
	_, rest, ok := bytes.Cut(frame, []byte(`"values":[`))
	if !ok {
		return 0, false
	}
	list, _, _ := bytes.Cut(rest, []byte("]"))
	for len(list) > 0 {
		i := bytes.LastIndexByte(list, ',')
		if n, err := strconv.Atoi(string(list[i+1:])); err == nil {
			return n, true
		}
		list = list[:max(i, 0)]
	}
	return 0, false
}
