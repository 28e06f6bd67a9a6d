package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// A churn is viewers that come, watch for a few seconds and go.
type churn struct {
	host    string
	queries []watched
	stay    time.Duration // at most, at least a tenth of it

	visits, frames atomic.Int64
}

// run keeps so many viewers until ctx ends.
func (c *churn) run(ctx context.Context, viewers int) error {
	g, ctx := errgroup.WithContext(ctx)
	for range viewers {
		g.Go(func() error {
			for ctx.Err() == nil {
				if err := c.visit(ctx); err != nil && ctx.Err() == nil {
					return fmt.Errorf("a viewer: %w", err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// visit is one stay. It is an error if nothing is shown.
func (c *churn) visit(ctx context.Context) error {
	stay := c.stay/10 + rand.N(c.stay*9/10)
	conn, in, err := dialLive(ctx, c.host, c.queries)
	if err != nil {
		return err
	}
	defer conn.Close()
	leave := time.AfterFunc(stay, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer leave.Stop()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf, held, shown := make([]byte, 64<<10), 0, 0
	for {
		if held == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
		n, err := in.Read(buf[held:])
		held += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.visits.Add(1)
			c.frames.Add(int64(shown))
			if shown == 0 && ctx.Err() == nil && stay > 5*time.Second {
				return fmt.Errorf("was shown nothing in %v", stay)
			}
			return nil
		}
		if err != nil {
			return err
		}
		taken, err := frames(buf[:held], func(op byte, payload []byte) error {
			if op == opText {
				if _, ok := frameID(payload); !ok {
					return fmt.Errorf("the server sent %.200q", payload)
				}
				shown++
			}
			return nil
		})
		if err != nil {
			return err
		}
		held = copy(buf, buf[taken:held])
	}
}
