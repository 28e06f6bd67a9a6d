package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// A crowd is many viewers of live queries, read by few goroutines with epoll: a goroutine
// for each would cost more than the server. It looks at a frame for the number of its
// subscription and its last value, no more.
type crowd struct {
	parts []*crowdPart
	shown func(viewer, panel, value int) // called by the goroutine of the viewer's part

	waiting atomic.Int64 // for a first frame of so many subscriptions
	frames  atomic.Int64
	bytes   atomic.Int64
	reads   atomic.Int64 // that brought something
	done    atomic.Bool
}

// A crowdPart is the viewers that one goroutine reads.
type crowdPart struct {
	crowd *crowd
	epoll int

	mu      sync.Mutex
	viewers []*crowdViewer // by what epoll says of them
}

// A crowdViewer is one connection.
type crowdViewer struct {
	fd     int
	number int
	rest   []byte // the beginning of a frame
	shown  []bool // by panel: a frame has come
}

// crowdParts is how many goroutines read.
const crowdParts = 2

// connectsAtOnce is how many viewers connect at the same time.
const connectsAtOnce = 16

// gather connects viewers; queries returns those of one. The caller closes the crowd.
func gather(ctx context.Context, host string, viewers int, queries func(viewer int) []watched, shown func(viewer, panel, value int)) (*crowd, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	if limit.Cur < uint64(viewers)+100 { // the runtime has raised it as far as it goes
		return nil, fmt.Errorf("--viewers %d need as many open files; ulimit -n is %d", viewers, limit.Cur)
	}
	c := &crowd{shown: shown}
	for range crowdParts {
		fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.parts = append(c.parts, &crowdPart{crowd: c, epoll: fd})
	}
	g, ctx := errgroup.WithContext(ctx)
	for w := range connectsAtOnce {
		g.Go(func() error {
			for v := w; v < viewers; v += connectsAtOnce {
				if err := c.connect(ctx, host, v, queries(v)); err != nil {
					return fmt.Errorf("viewer %d: %w", v, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// connect adds a viewer to one of the parts.
func (c *crowd) connect(ctx context.Context, host string, number int, queries []watched) error {
	conn, in, err := dialLive(ctx, host, queries)
	if err != nil {
		return err
	}
	defer conn.Close()
	v := &crowdViewer{number: number, shown: make([]bool, 1+slices.MaxFunc(queries, func(a, b watched) int { return a.panel - b.panel }).panel)}
	if v.rest, err = buffered(in); err != nil {
		return err
	}
	if v.fd, err = own(conn); err != nil {
		return err
	}
	c.waiting.Add(int64(len(queries)))
	return c.parts[number%len(c.parts)].add(v)
}

// buffered returns what a reader holds.
func buffered(in *bufio.Reader) ([]byte, error) {
	b, err := in.Peek(in.Buffered())
	return append([]byte(nil), b...), err
}

// own returns a descriptor of the connection that the runtime does not poll.
func own(conn net.Conn) (fd int, err error) {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	if e := raw.Control(func(from uintptr) { fd, err = syscall.Dup(int(from)) }); e != nil {
		return 0, e
	}
	return fd, err
}

func (p *crowdPart) add(v *crowdViewer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.viewers = append(p.viewers, v)
	return syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, v.fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(len(p.viewers) - 1)})
}

// run reads until stop or an error.
func (c *crowd) run() error {
	var g errgroup.Group
	for _, p := range c.parts {
		g.Go(func() error {
			err := p.run()
			if err != nil {
				c.stop()
			}
			return err
		})
	}
	return g.Wait()
}

// stop ends run, which returns within a tenth of a second.
func (c *crowd) stop() { c.done.Store(true) }

// close closes all connections. run must have returned, or not been called.
func (c *crowd) close() error {
	var errs []error
	for _, p := range c.parts {
		for _, v := range p.viewers {
			errs = append(errs, syscall.Close(v.fd))
		}
		errs = append(errs, syscall.Close(p.epoll))
	}
	return errors.Join(errs...)
}

func (p *crowdPart) run() error {
	events := make([]syscall.EpollEvent, 512)
	buf := make([]byte, 256<<10)
	for !p.crowd.done.Load() {
		n, err := syscall.EpollWait(p.epoll, events, 100)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			if err := p.read(p.viewers[e.Fd], buf); err != nil {
				return fmt.Errorf("viewer %d: %w", p.viewers[e.Fd].number, err)
			}
		}
	}
	return nil
}

// read takes what has come for a viewer.
func (p *crowdPart) read(v *crowdViewer, buf []byte) error {
	from := copy(buf, v.rest)
	n, err := syscall.Read(v.fd, buf[from:])
	switch {
	case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR):
		return nil
	case err != nil:
		return err
	case n == 0:
		return errors.New("the server closed the connection")
	}
	p.crowd.bytes.Add(int64(n))
	p.crowd.reads.Add(1)
	buf = buf[:from+n]
	taken, err := frames(buf, func(op byte, payload []byte) error { return p.take(v, op, payload) })
	v.rest = append(v.rest[:0], buf[taken:]...)
	return err
}

// take looks at a frame.
func (p *crowdPart) take(v *crowdViewer, op byte, payload []byte) error {
	switch op {
	case opPing:
		_, err := syscall.Write(v.fd, masked(nil, opPong, payload))
		return err
	case opClose:
		return errors.New("the server closed the websocket")
	case opText:
	default:
		return fmt.Errorf("a frame has opcode %d", op)
	}
	panel, ok := frameID(payload)
	if !ok || panel >= len(v.shown) {
		return fmt.Errorf("the server sent %.200q", payload)
	}
	p.crowd.frames.Add(1)
	if !v.shown[panel] {
		v.shown[panel] = true
		p.crowd.waiting.Add(-1)
	}
	if value, ok := lastValue(payload); ok {
		p.crowd.shown(v.number, panel, value)
	}
	return nil
}

// settled waits until every subscription has got its first frame.
func (c *crowd) settled(ctx context.Context) error {
	for began := time.Now(); c.waiting.Load() > 0; time.Sleep(5 * time.Millisecond) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case c.done.Load():
			return errors.New("the viewers have stopped")
		case time.Since(began) > time.Minute:
			return fmt.Errorf("%d subscriptions got no frame within a minute", c.waiting.Load())
		}
	}
	return nil
}
