package dashboard

import (
	"context"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"freshet/aggregate"
)

// A feed is one distinct query that somebody watches: it is evaluated once and encoded
// once for all its viewers.
type feed struct {
	key       string
	plan      *aggregate.Plan
	rankEvery time.Duration

	// Owned by whoever evaluates the feed: the goroutine of its first evaluation, then Hub.Run.
	seen   *aggregate.View // what the matrix shows; closed, only compared with
	ranked time.Time
	failed time.Time // of the last error, zero when it went well

	held atomic.Bool // updates are in mailboxes whose viewers have not been woken

	mu     sync.Mutex
	ready  bool // the first evaluation is done
	matrix matrix
	seq    uint64
	now    int64  // server time of the present state
	latest *Frame // snapshot of the present state, made when first asked for
	err    string // what the subscriptions were last told went wrong
	subs   map[*subscription]struct{}
	left   time.Time // when the last subscription ended

	waiting int // subscriptions whose first snapshot has to count more, at most
}

// catchUp returns the snapshot that a subscription is owed, and false while there is none.
func (f *feed) catchUp(s *subscription) (Message, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ready || s.reach != nil {
		return Message{}, false
	}
	if f.latest == nil {
		f.latest = newSnapshot(f.seq, &f.matrix.answer, f.now)
	}
	v := s.viewer
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed || v.subs[s.id] != s || !s.behind {
		return Message{}, false
	}
	m := Message{ID: s.id, Frame: f.latest, Skipped: s.skipped}
	s.behind, s.skipped = false, 0
	return m, true
}

// first evaluates the whole range.
func (f *feed) first(ctx context.Context, e *aggregate.Engine) error {
	v, err := e.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	from, to := f.plan.Steps(v.Now())
	a, err := f.plan.Evaluate(ctx, v, from, to)
	if err != nil {
		return err
	}
	f.seen = v
	f.show(a, to, v.Now())
	f.settle(e)
	return nil
}

// settle lets subscriptions go on whose first snapshot has to count what the matrix
// counts by now, and tells those that have waited too long.
func (f *feed) settle(e *aggregate.Engine) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == 0 {
		return
	}
	f.waiting = 0
	for s := range f.subs {
		reached := s.reach != nil && f.seen.Reaches(s.reach)
		switch {
		case s.reach == nil:
			continue
		case !reached && time.Now().Before(s.patience):
			f.waiting++
			continue
		case !reached:
			if lag := e.Lag(s.reach); lag != nil {
				s.viewer.fail(s.id, lag.Error())
			}
		}
		f.matrix.answer.Covers, f.latest = f.seen.Covers(), nil
		s.reach = nil
		s.viewer.mu.Lock()
		s.skipped = 0
		s.viewer.mu.Unlock()
		s.viewer.signal()
	}
}

// show makes a whole answer the present state and owes everybody a snapshot.
func (f *feed) show(a *aggregate.Answer, to, now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.matrix.replace(a, to)
	f.ready, f.latest, f.now, f.err = true, nil, now, ""
	f.seq++
	for s := range f.subs {
		v := s.viewer
		v.mu.Lock()
		s.behind = true
		v.mu.Unlock()
		v.signal()
	}
}

// advance brings the feed to a view: it evaluates the steps that may have changed and
// sends what did.
func (f *feed) advance(ctx context.Context, v *aggregate.View) error {
	least, changed := f.plan.ChangedSince(v, f.seen)
	from, to := f.plan.Steps(v.Now())
	date := f.plan.Date(v, from)
	dated := f.matrix.answer.ProvisionalFrom != date.ProvisionalFrom || f.matrix.answer.FinalUntil != date.FinalUntil
	if !changed && to <= f.matrix.end && !dated {
		f.seen = v
		return nil
	}
	if f.plan.Whole() {
		return f.rank(ctx, v, from, to)
	}
	// A step that has just begun may hold points already: those whose time was ahead.
	begin := min(f.matrix.end, to)
	if changed {
		begin = min(begin, f.plan.Floor(least))
	}
	begin = max(begin, from)
	part, err := f.plan.Evaluate(ctx, v, begin, to)
	if err != nil {
		return err
	}
	part.ProvisionalFrom = date.ProvisionalFrom
	f.seen = v
	f.send(part, from, to, v.Now())
	return nil
}

// rank evaluates a query whose steps depend on each other, as those of one with top do,
// whose series may have changed places.
func (f *feed) rank(ctx context.Context, v *aggregate.View, from, to int64) error {
	if now := time.UnixMilli(v.Now()); now.Sub(f.ranked) < f.rankEvery {
		return nil // f.seen stays, so nothing is forgotten
	} else {
		f.ranked = now
	}
	a, err := f.plan.Evaluate(ctx, v, from, to)
	if err != nil {
		return err
	}
	f.seen = v
	if a.Sessions != nil {
		f.list(a, to, v.Now())
	} else if f.matrix.sameSeries(a) {
		f.send(a, from, to, v.Now())
	} else {
		f.show(a, to, v.Now())
	}
	return nil
}

// list shows sessions anew, if any has changed.
func (f *feed) list(a *aggregate.Answer, to, now int64) {
	f.mu.Lock()
	have := &f.matrix.answer
	same := have.Truncated == a.Truncated && reflect.DeepEqual(have.Sessions, a.Sessions)
	f.matrix.end = to
	f.mu.Unlock()
	if !same {
		f.show(a, to, now)
	}
}

// send takes a part of the answer and sends what differs.
func (f *feed) send(part *aggregate.Answer, from, to, now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = ""
	f.matrix.slide(f.plan.Times(from, to), to)
	before := f.matrix.date()
	changed := f.matrix.merge(part)
	if len(changed.Times) == 0 && before == f.matrix.date() {
		return
	}
	f.seq++
	f.latest, f.now = nil, now
	if len(f.subs) == 0 {
		return
	}
	frame := newUpdate(f.seq, &changed, now)
	for s := range f.subs {
		s.deliver(frame)
	}
	f.held.Store(true)
}

// wake has the viewers look into their mailboxes, if there is something new.
func (f *feed) wake() {
	if !f.held.Swap(false) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subs {
		s.viewer.signal()
	}
}

// fail tells all subscriptions why the feed stands still, once for one reason.
func (f *feed) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == err.Error() {
		return
	}
	f.err = err.Error()
	for s := range f.subs {
		s.viewer.fail(s.id, err.Error())
	}
}
