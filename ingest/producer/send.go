package producer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"

	"freshet/ingest/point"
)

// The pause before a batch is sent again: it doubles from minPause to maxPause. A server
// that asks for more is given at most maxRetryAfter.
const (
	minPause      = 100 * time.Millisecond
	maxPause      = 10 * time.Second
	maxRetryAfter = time.Minute
)

// Run sends batches until ctx ends or Close is called, and returns ctx's error or
// ErrClosed. What is not sent by then stays, and a later Run, Flush or Close sends it.
func (p *Producer) Run(ctx context.Context) error {
	tick := time.NewTicker(p.o.BatchAge)
	defer tick.Stop()
	for {
		if p.isClosed() {
			return ErrClosed
		}
		sent, err := p.sendNext(ctx)
		if err != nil {
			return err
		}
		if sent {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.wake:
		case <-tick.C:
			p.mu.Lock()
			p.sealLocked()
			p.mu.Unlock()
		}
	}
}

// Flush returns when every point added before it was sent, refused or given up, or when
// ctx ends. The error is ctx's, or why points were lost or refused since the last Flush or Close.
// If ctx ends first the outcome of the points under way is unknown; they will be sent again.
func (p *Producer) Flush(ctx context.Context) error {
	p.mu.Lock()
	p.sealLocked()
	until := p.sealed
	p.mu.Unlock()
	for {
		p.mu.Lock()
		done, changed := p.finished >= until, p.changed
		var lost error
		if done {
			lost, p.lost = p.lost, nil
		}
		p.mu.Unlock()
		if done {
			return lost
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("producer: flush: %w", ctx.Err())
		case <-changed:
		case p.sending <- struct{}{}:
			_, err := p.sendHead(ctx)
			<-p.sending
			if err != nil {
				return fmt.Errorf("producer: flush: %w", err)
			}
		}
	}
}

// Close refuses further points, flushes, makes Run return and releases the connections. The error is
// that of Flush; points that are not sent when ctx ends are dropped and counted.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.room.Broadcast()
	p.mu.Unlock()
	err := p.Flush(ctx)
	p.mu.Lock()
	for _, b := range p.queue {
		p.stats.Dropped += uint64(b.points)
	}
	p.queue, p.queued = nil, 0
	p.finished = p.sealed
	p.announceLocked()
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	if p.ownHTTP {
		p.o.Client.CloseIdleConnections()
	}
	return err
}

func (p *Producer) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed && len(p.queue) == 0
}

// sendNext waits for its turn and sends the oldest batch, if there is one.
func (p *Producer) sendNext(ctx context.Context) (sent bool, err error) {
	select {
	case p.sending <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-p.sending }()
	return p.sendHead(ctx)
}

// sendHead sends the oldest batch until it is taken or given up. The error is ctx's: the
// batch then stays where it is. The caller has the sending token.
func (p *Producer) sendHead(ctx context.Context) (sent bool, err error) {
	b, _ := p.head(nil)
	if b == nil {
		return false, nil
	}
	for {
		if wait := time.Until(b.due); wait > 0 {
			if err := p.pause(ctx, b, wait); err != nil {
				return false, err
			}
			if still, _ := p.head(b); still == nil {
				return true, nil // Close has given it up
			}
		}
		out := p.hand(ctx, b)
		if ctx.Err() != nil && !out.final {
			return false, ctx.Err()
		}
		b.tries++
		if !out.final && time.Since(b.born)+out.after >= p.o.TTL {
			out.final, out.lost = true, b.points
			out.err = fmt.Errorf("given up after %v and %d tries: %w", p.o.TTL, b.tries, out.err)
		}
		if out.final {
			p.finish(b, out)
			return true, nil
		}
		b.due = time.Now().Add(max(out.after, backoff(b.tries)))
	}
}

// head returns the oldest batch, if there is one and it is want or want is nil, and the
// channel that is closed when that changes.
func (p *Producer) head(want *batch) (*batch, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 || want != nil && p.queue[0] != want {
		return nil, p.changed
	}
	return p.queue[0], p.changed
}

// pause waits, or less if ctx ends or b is given up.
func (p *Producer) pause(ctx context.Context, b *batch, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	b, changed := p.head(b)
	if b == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
	case <-timer.C:
	}
	return nil
}

// backoff returns how long to wait after so many tries: half of it is random.
func backoff(tries int) time.Duration {
	d := maxPause
	if tries < 8 {
		d = min(d, minPause<<(tries-1))
	}
	return d/2 + rand.N(d/2)
}

// An outcome is what became of a post.
type outcome struct {
	final    bool          // do not send the batch again
	sent     int           // points acknowledged
	lost     int           // points given up
	rejected int           // points refused for what they are
	errors   []rejected    // of the first of those
	after    time.Duration // the server wants no post before
	err      error         // why points were lost, refused, or are to be sent again
}

// rejected is how the server reports a refused point.
type rejected struct {
	Index int    `json:"index"`
	Error string `json:"error"`
}

// finish takes the batch off the queue and counts what became of it.
func (p *Producer) finish(b *batch, out outcome) {
	if out.lost > 0 {
		p.o.Logger.Error("points dropped", "points", out.lost, "error", out.err)
	}
	if len(out.errors) > 0 && p.o.OnReject != nil {
		p.report(b, out.errors)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 || p.queue[0] != b {
		return // Close has given it up, and counted it
	}
	p.queue = append(p.queue[:0], p.queue[1:]...)
	p.queued -= len(b.payload)
	p.stats.Sent += uint64(out.sent)
	p.stats.Dropped += uint64(out.lost)
	p.stats.Rejected += uint64(out.rejected)
	if out.err != nil {
		p.lost = fmt.Errorf("producer: %w", out.err)
	}
	p.finished = b.seq
	p.announceLocked()
	p.room.Broadcast()
}

// announceLocked tells who waits for it that the queue has changed.
func (p *Producer) announceLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// report tells OnReject of the points of b that the server refused.
func (p *Producer) report(b *batch, errs []rejected) {
	var decoded point.Batch
	if decoded.Decode(b.payload) != nil {
		return
	}
	for _, e := range errs {
		for r := range decoded.Runs {
			run := &decoded.Runs[r]
			if i := int32(e.Index); e.Index >= 0 && e.Index < decoded.Len() && i >= run.First && i < run.First+run.N {
				p.o.OnReject(Rejection{Series: decoded.Series(r), Time: decoded.Time[i], Reason: e.Error})
			}
		}
	}
}

// hand sends a batch once, by the way that the options say.
func (p *Producer) hand(ctx context.Context, b *batch) outcome {
	if p.o.Kinesis != nil {
		return p.deliver(ctx, b)
	}
	return p.post(ctx, b)
}

// post sends a batch once.
func (p *Producer) post(ctx context.Context, b *batch) outcome {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	body, encoding, err := p.compress(b.payload)
	if err != nil {
		return outcome{final: true, lost: b.points, err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.endpoint, bytes.NewReader(body))
	if err != nil {
		return outcome{final: true, lost: b.points, err: err}
	}
	req.Header.Set("Content-Type", point.ContentType)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	if p.o.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.o.Token)
	}
	if b.tries > 0 {
		p.mu.Lock()
		p.stats.Retried++
		p.mu.Unlock()
	}
	resp, err := p.o.Client.Do(req)
	if err != nil {
		return outcome{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return outcome{err: err}
	}
	return judge(resp, text, b.points)
}

func (p *Producer) compress(payload []byte) (body []byte, encoding string, err error) {
	switch p.o.Compression {
	case Gzip:
		var buf bytes.Buffer
		w, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
		if err != nil {
			return nil, "", err
		}
		if _, err := w.Write(payload); err != nil {
			return nil, "", err
		}
		if err := w.Close(); err != nil {
			return nil, "", err
		}
		return buf.Bytes(), "gzip", nil
	case Zstd:
		return p.zstd.EncodeAll(payload, nil), "zstd", nil
	}
	return payload, "", nil
}

// judge works out what the server's answer means for a batch of so many points.
func judge(resp *http.Response, text []byte, points int) outcome {
	var answer struct {
		Accepted int        `json:"accepted"`
		Rejected int        `json:"rejected"`
		Errors   []rejected `json:"errors"`
		Error    string     `json:"error"`
	}
	jsonErr := json.Unmarshal(text, &answer)
	switch resp.StatusCode {
	case http.StatusOK:
		if jsonErr != nil {
			return outcome{err: fmt.Errorf("the answer is not that of Freshet: %w", jsonErr)}
		}
		out := outcome{final: true, sent: answer.Accepted, rejected: answer.Rejected, errors: answer.Errors}
		if answer.Rejected > 0 {
			out.err = refusal(answer.Rejected, answer.Errors)
		}
		return out
	case http.StatusBadRequest:
		if answer.Rejected > 0 {
			return outcome{final: true, rejected: points, errors: answer.Errors, err: refusal(points, answer.Errors)}
		}
		return outcome{final: true, rejected: points, err: statusError(resp, answer.Error)}
	case http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnauthorized,
		http.StatusForbidden, http.StatusMethodNotAllowed:
		return outcome{final: true, lost: points, err: statusError(resp, answer.Error)}
	}
	return outcome{after: retryAfter(resp.Header.Get("Retry-After")), err: statusError(resp, answer.Error)}
}

func refusal(n int, errs []rejected) error {
	if len(errs) == 0 {
		return fmt.Errorf("%d points refused", n)
	}
	return fmt.Errorf("%d points refused, the first because of %s", n, errs[0].Error)
}

func statusError(resp *http.Response, message string) error {
	if message == "" {
		return errors.New("the server answers " + resp.Status)
	}
	return fmt.Errorf("the server answers %s: %s", resp.Status, message)
}

// retryAfter reads the header of this name: seconds or a date.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil && seconds >= 0 {
		return min(time.Duration(min(seconds, 3600))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(time.Until(at), 0), maxRetryAfter)
	}
	return 0
}
