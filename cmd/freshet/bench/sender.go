package bench

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"freshet/ingest/point"
)

// variants is how many bodies with other values a sender goes round.
const variants = 4

// refusedPause is how long a sender waits after a 429.
const refusedPause = 50 * time.Millisecond

// A tally is what was acknowledged.
type tally struct {
	points  int64
	sum     float64
	refused int64 // posts that were answered 429, and sent again
}

func (t *tally) add(o tally) {
	t.points += o.points
	t.sum += o.sum
	t.refused += o.refused
}

// A sender posts bodies of a fleet over one connection.
type sender struct {
	fleet  *fleet
	conn   *rawConn
	bodies [variants]*body
	sent   int
}

// sender connects to a server.
func (f *fleet) sender(ctx context.Context, host string) (*sender, error) {
	s := &sender{fleet: f}
	for i := range s.bodies {
		var err error
		if s.bodies[i], err = f.body(i); err != nil {
			return nil, err
		}
	}
	var err error
	if s.conn, err = dial(ctx, host); err != nil {
		return nil, err
	}
	if f.codec == codecBatch {
		s.conn.headers = "Content-Type: " + point.ContentType + "\r\n"
	}
	return s, nil
}

func (s *sender) close() { s.conn.Close() }

// post sends the n-th body of the fleet, all of its points at ms, until it is taken.
func (s *sender) post(ctx context.Context, n int, ms int64) (tally, error) {
	b := s.bodies[s.sent%variants]
	s.sent++
	b.stamp(ms, n%s.fleet.bodies()*s.fleet.batch)
	t := tally{points: int64(b.points), sum: b.sum}
	for {
		status, err := s.conn.post("/api/v1/points", b.data)
		switch {
		case err != nil:
			return tally{}, err
		case status == http.StatusOK:
			return t, nil
		case status != http.StatusTooManyRequests:
			return tally{}, fmt.Errorf("a post was answered %d", status)
		}
		t.refused++
		select {
		case <-ctx.Done():
			return tally{}, ctx.Err()
		case <-time.After(refusedPause):
		}
	}
}

// A pace holds goroutines to so many points a second together, 0 for no limit.
type pace struct {
	limit float64
	began time.Time

	mu   sync.Mutex
	sent int64
}

// take waits until n points may be sent. Time that was lost is not caught up by more
// than a quarter of a second.
func (p *pace) take(n int) {
	if p.limit == 0 {
		return
	}
	p.mu.Lock()
	due := p.began.Add(time.Duration(float64(p.sent) / p.limit * 1e9))
	if late := time.Since(due) - 250*time.Millisecond; late > 0 {
		p.began = p.began.Add(late)
	}
	p.sent += int64(n)
	p.mu.Unlock()
	time.Sleep(time.Until(due))
}

// pour posts a fleet with the present time over several connections until until or the
// end of ctx, limit points a second at most, 0 for no limit. The ledger may be nil.
func (f *fleet) pour(ctx context.Context, host string, connections int, limit float64, until time.Time, book *ledger) (tally, error) {
	if err := f.check(); err != nil {
		return tally{}, err
	}
	p := &pace{limit: limit, began: time.Now()}
	var mu sync.Mutex
	var all tally
	g, ctx := errgroup.WithContext(ctx)
	for c := range connections {
		g.Go(func() error {
			s, err := f.sender(ctx, host)
			if err != nil {
				return err
			}
			defer s.close()
			var own tally
			for n := c * f.bodies() / connections; ctx.Err() == nil && time.Now().Before(until); n++ {
				p.take(f.batch)
				ms := book.begin(c)
				t, err := s.post(ctx, n, ms)
				if err != nil {
					return err
				}
				own.add(t)
				book.end(c, ms, t)
			}
			mu.Lock()
			all.add(own)
			mu.Unlock()
			return nil
		})
	}
	err := g.Wait()
	return all, err
}

// fill posts a point of every series at each step from from until to, in the order of
// time, over several connections.
func (f *fleet) fill(ctx context.Context, host string, connections int, from, to time.Time, step time.Duration) (tally, error) {
	if err := f.check(); err != nil {
		return tally{}, err
	}
	var mu sync.Mutex
	var all tally
	connections = min(connections, f.bodies())
	g, ctx := errgroup.WithContext(ctx)
	for c := range connections {
		g.Go(func() error {
			s, err := f.sender(ctx, host)
			if err != nil {
				return err
			}
			defer s.close()
			var own tally
			for at := from; at.Before(to); at = at.Add(step) {
				for n := c; n < f.bodies(); n += connections {
					t, err := s.post(ctx, n, at.UnixMilli())
					if err != nil {
						return err
					}
					own.add(t)
				}
			}
			mu.Lock()
			all.add(own)
			mu.Unlock()
			return nil
		})
	}
	err := g.Wait()
	return all, err
}
