package kinesis

import (
	"cmp"
	"context"
	"errors"
	"time"

	"freshet/stream"
)

const (
	// subscriptionLife is how long a subscription goes on.
	subscriptionLife = 5 * time.Minute
	// heartbeat is how long a client hears nothing of a quiet shard.
	heartbeat = 5 * time.Second
	// lookEvery is how soon a subscription notices that its consumer or its stream is gone.
	lookEvery = time.Second

	// maxEventRecords and maxEventBytes bound an event; one record goes into it whatever its
	// size is. The rest is in the next.
	maxEventRecords = 5000
	maxEventBytes   = 1 << 20
)

func (s *Service) subscribeToShard(ctx context.Context, in *SubscribeToShardInput, events *eventWriter) error {
	p, err := s.newPush(in)
	if err != nil {
		return err
	}
	if isDryRun(in.DryRun) {
		return dryRunPassed()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sub := &subscribed{
		key:   subscriptionKey{p.consumer, p.cursor.shard.ID()},
		since: s.options.Now(), end: cancel,
	}
	busy := resourceInUse("Another active subscription exists for this consumer: %s", p.consumer)
	if err := s.subscriptions.begin(sub, busy); err != nil {
		return err
	}
	defer s.subscriptions.leave(sub)
	defer p.cursor.close()
	if err := p.start(ctx); err != nil {
		return err
	}
	if err := events.open(); err != nil {
		return nil // the client has gone
	}
	err = p.run(ctx, events)
	var told *Error
	switch {
	case errors.As(err, &told):
	case err == nil, ctx.Err() != nil, errors.Is(err, stream.ErrShardClosed), errors.Is(err, errClientGone):
		return nil
	default:
		s.options.Logger.Error("a subscription ends", "consumer", p.consumer, "shard", p.cursor.shard, "error", err)
		told = &Error{Code: "InternalFailureException", Message: "Internal service failure."}
	}
	_ = events.exception(told) // a client that has gone need not know
	return nil
}

// errClientGone says that an event could not be sent.
var errClientGone = errors.New("the client does not take events")

// A push is what a subscription does. It belongs to one request.
type push struct {
	service  *Service
	st       *streamState
	consumer string
	cursor   *cursor
	list     recordList
	pace     bucket
	reached  stream.SequenceNumber // all up to it was sent or passed over
	sent     time.Time             // when the last event was
}

// newPush finds out where a subscription begins.
func (s *Service) newPush(in *SubscribeToShardInput) (*push, error) {
	st, consumer, failed := s.consumerByARN(*in.ConsumerARN)
	if failed == nil && in.StreamId != nil && *in.StreamId != st.id {
		failed = invalidArgument("The ConsumerARN is one of stream %s, whose StreamId is another.", st.name)
	}
	if failed == nil {
		_, failed = s.find(&st.arn, nil, nil)
	}
	if failed == nil && consumer.status != active {
		failed = s.consumerNotActive(st, consumer.name, consumer.created)
	}
	if failed != nil {
		return nil, failed
	}
	sh, failed := s.shard(st, *in.ShardId)
	if failed != nil {
		return nil, failed
	}
	from := in.StartingPosition
	at, err := s.seek(st, sh, "SubscribeToShard", *from.Type, from.SequenceNumber, from.Timestamp)
	if err != nil {
		return nil, err
	}
	return &push{service: s, st: st, consumer: consumer.arn, cursor: newCursor(sh, at)}, nil
}

// start finds the sequence number after which the subscription goes on.
func (p *push) start(ctx context.Context) error {
	c := p.cursor
	at, sh := c.offset(), c.shard
	if at == 0 {
		p.reached = sh.FirstSequence()
		return nil
	}
	p.reached = sh.SequenceNumber(at-1, sh.Created().UnixMilli()) // if that record is gone; a place is its offset
	if at <= sh.Horizon() {
		return nil
	}
	c.reader.Close()
	c.reader = sh.Reader(at - 1)
	if err := c.fill(ctx, false); err != nil {
		return err
	}
	if len(c.ready) > 0 && c.ready[0].Offset == at-1 {
		p.reached = sh.SequenceNumber(at-1, c.ready[0].Arrived)
		c.ready = c.ready[1:]
	}
	return nil
}

// run sends events until the subscription's time is over. It returns nil then, and at the
// end of a closed shard; an *Error is for the client.
func (p *push) run(ctx context.Context, events *eventWriter) error {
	until := time.Now().Add(subscriptionLife)
	for {
		if err := p.look(ctx); err != nil {
			return err
		}
		if !time.Now().Before(until) {
			return nil
		}
		if err := p.wait(ctx, until); err != nil {
			return cmp.Or(p.look(ctx), err) // a stream that was deleted says less than its absence
		}
		if len(p.cursor.ready) == 0 && !p.cursor.atEnd() && time.Since(p.sent) < heartbeat {
			continue
		}
		if err := events.event(p.event(ctx)); err != nil {
			return errors.Join(errClientGone, err)
		}
		p.sent = time.Now()
		if p.cursor.atEnd() {
			return nil
		}
	}
}

// look says why a subscription cannot go on.
func (p *push) look(ctx context.Context) error {
	s := p.service
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, c, failed := s.consumerByARN(p.consumer)
	switch {
	case failed != nil:
		return failed
	case c.status != active:
		return s.noConsumer(p.st, c.name)
	}
	if _, failed := s.find(&p.st.arn, nil, nil); failed != nil {
		return failed
	}
	return nil
}

// wait reads records, and returns without any when it is time to look or to send a sign
// of life.
func (p *push) wait(ctx context.Context, until time.Time) error {
	if p.sent.IsZero() || p.cursor.atEnd() {
		return p.cursor.fill(ctx, false)
	}
	span := min(lookEvery, time.Until(until))
	if p.st.limits() {
		now := time.Now().UnixNano()
		if !p.pace.open(now) {
			return p.sleep(ctx, min(span, max(time.Duration(int64(p.pace)-now)-time.Second, time.Millisecond)))
		}
	}
	short, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	err := p.cursor.fill(short, true)
	switch {
	case err == nil, errors.Is(err, stream.ErrEnd):
		return nil
	case short.Err() != nil && ctx.Err() == nil:
		return nil
	}
	return err
}

func (p *push) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// event takes what is ready. It refers to the reader's buffer.
func (p *push) event(ctx context.Context) *SubscribeToShardEvent {
	p.list.records, p.list.encryption = p.list.records[:0], shownEncryption(p.st)
	if p.list.records == nil {
		p.list.records = []Record{}
	}
	c, size, last := p.cursor, 0, int64(0)
	for len(c.ready) > 0 && len(p.list.records) < maxEventRecords {
		r := &c.ready[0]
		n := len(r.PartitionKey) + len(r.Data)
		if len(p.list.records) > 0 && size+n > maxEventBytes {
			break
		}
		p.list.refer(c.shard, r)
		p.reached, last = c.shard.SequenceNumber(r.Offset, r.Arrived), r.Arrived
		size += n
		c.ready = c.ready[1:]
	}
	now := p.service.options.Now()
	p.pace.take(time.Now().UnixNano(), costOf(size, getBytesPerSecond))
	e := &SubscribeToShardEvent{Records: p.list.records, ContinuationSequenceNumber: p.reached.String(), MillisBehindLatest: c.behind(last, now)}
	if c.atEnd() {
		// Without a number to go on at, clients take the shard for finished.
		e.ContinuationSequenceNumber, e.ChildShards = "", childShards(p.st, c.shard)
	}
	return e
}
