package consumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"freshet/stream/consumer"
	"freshet/stream/kv"

	"github.com/anishathalye/porcupine"
)

// history is a store that records every operation of the one behind it.
type history struct {
	kv.Store
	clock atomic.Int64 // numbers calls and returns

	mu  sync.Mutex
	ops []porcupine.Operation
}

// call is what was asked of one key, answer what came back.
type call struct {
	swap  bool
	key   string
	old   kv.Revision
	value string
	none  bool // the value is nil
	at    time.Time
}

type answer struct {
	err      error // nil, kv.ErrNotFound or kv.ErrConflict
	value    string
	revision kv.Revision
}

// note records an operation, unless it was refused without having been tried.
func (h *history) note(c call, began int64, a answer, err error) {
	switch {
	case errors.Is(err, kv.ErrNotFound):
		a.err = kv.ErrNotFound
	case errors.Is(err, kv.ErrConflict):
		a.err = kv.ErrConflict
	case err != nil:
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{Input: c, Call: began, Output: a, Return: h.clock.Add(1)})
}

func (h *history) Get(ctx context.Context, key string) (kv.Entry, error) {
	began := h.clock.Add(1)
	e, err := h.Store.Get(ctx, key)
	h.note(call{key: key}, began, answer{value: string(e.Value), revision: e.Revision}, err)
	return e, err
}

// List is a Get of every key that it returns.
func (h *history) List(ctx context.Context, prefix string) ([]kv.Entry, error) {
	began := h.clock.Add(1)
	all, err := h.Store.List(ctx, prefix)
	for _, e := range all {
		h.note(call{key: e.Key}, began, answer{value: string(e.Value), revision: e.Revision}, err)
	}
	return all, err
}

func (h *history) Swap(ctx context.Context, key string, old kv.Revision, value []byte) (kv.Revision, error) {
	c := call{swap: true, key: key, old: old, value: string(value), none: value == nil, at: time.Now()}
	began := h.clock.Add(1)
	r, err := h.Store.Swap(ctx, key, old, value)
	h.note(c, began, answer{revision: r}, err)
	return r, err
}

// register is a key with compare-and-swap: the state of the model.
type register struct {
	revision, last kv.Revision
	value          string
}

var registers = porcupine.Model{
	Partition: func(ops []porcupine.Operation) [][]porcupine.Operation {
		of := map[string][]porcupine.Operation{}
		for _, op := range ops {
			key := op.Input.(call).key
			of[key] = append(of[key], op)
		}
		var all [][]porcupine.Operation
		for _, ops := range of {
			all = append(all, ops)
		}
		return all
	},
	Init: func() any { return register{} },
	Step: func(state, input, output any) (bool, any) {
		r, c, a := state.(register), input.(call), output.(answer)
		switch {
		case !c.swap && r.revision == 0:
			return a.err == kv.ErrNotFound, r
		case !c.swap:
			return a.err == nil && a.revision == r.revision && a.value == r.value, r
		case c.old != r.revision:
			return a.err == kv.ErrConflict, r
		case a.err != nil || a.revision <= r.last:
			return false, r
		case c.none:
			return true, register{last: a.revision}
		}
		return true, register{revision: a.revision, last: a.revision, value: c.value}
	},
}

// check holds the history to the model, and what it says of leases to their rules.
func (h *history) check(t *testing.T, duration time.Duration) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !porcupine.CheckOperations(registers, h.ops) {
		t.Errorf("the history of %d operations is not linearizable", len(h.ops))
	}
	type write struct {
		consumer.Lease
		at       time.Time
		revision kv.Revision
	}
	of := map[string][]write{}
	for _, op := range h.ops {
		c, a := op.Input.(call), op.Output.(answer)
		if !c.swap || a.err != nil || !strings.HasPrefix(c.key, "lease/") || c.none {
			continue
		}
		w := write{at: c.at, revision: a.revision}
		if err := json.Unmarshal([]byte(c.value), &w.Lease); err != nil {
			t.Fatal(err)
		}
		of[c.key] = append(of[c.key], w)
	}
	for key, writes := range of {
		slices.SortFunc(writes, func(a, b write) int { return int(int64(a.revision) - int64(b.revision)) })
		for i := 1; i < len(writes); i++ {
			before, w := writes[i-1], writes[i]
			if w.Checkpoint.Compare(before.Checkpoint) < 0 {
				t.Errorf("%s: the checkpoint goes back from %s to %s", key, before.Checkpoint, w.Checkpoint)
			}
			if taken := before.Owner != "" && w.Owner != "" && w.Owner != before.Owner; taken && w.at.Sub(before.at) < duration {
				t.Errorf("%s: %s takes the lease of %s after %v, less than %v", key, w.Owner, before.Owner, w.at.Sub(before.at), duration)
			}
		}
	}
}

// errFault is what a faulty store answers.
var errFault = errors.New("the store is out of reach")

// faulty is a store behind a network: calls are late, fail before or after they were
// done, or are sent twice, of which the second answer counts.
type faulty struct {
	kv.Store
	often  float64
	longer time.Duration // the longest delay
	late   sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand
}

type fault int

const (
	fine fault = iota
	delayed
	failedBefore
	failedAfter
	twice
	doneLater
)

func (f *faulty) draw() (fault, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := time.Duration(f.random.Int64N(int64(f.longer)))
	if f.random.Float64() >= f.often {
		return fine, d
	}
	return fault(1 + f.random.IntN(int(doneLater))), d
}

func (f *faulty) Get(ctx context.Context, key string) (kv.Entry, error) {
	switch how, d := f.draw(); how {
	case delayed:
		time.Sleep(d)
	case failedBefore, failedAfter, doneLater:
		return kv.Entry{}, errFault
	}
	return f.Store.Get(ctx, key)
}

func (f *faulty) List(ctx context.Context, prefix string) ([]kv.Entry, error) {
	switch how, d := f.draw(); how {
	case delayed:
		time.Sleep(d)
	case failedBefore, failedAfter, doneLater:
		return nil, errFault
	}
	return f.Store.List(ctx, prefix)
}

func (f *faulty) Swap(ctx context.Context, key string, old kv.Revision, value []byte) (kv.Revision, error) {
	how, d := f.draw()
	switch how {
	case delayed:
		time.Sleep(d)
	case failedBefore:
		return 0, errFault
	case failedAfter:
		f.Store.Swap(ctx, key, old, value)
		return 0, errFault
	case twice:
		f.Store.Swap(ctx, key, old, value)
	case doneLater:
		value = slices.Clone(value)
		f.late.Go(func() {
			time.Sleep(d)
			f.Store.Swap(context.Background(), key, old, value)
		})
		return 0, errFault
	}
	return f.Store.Swap(ctx, key, old, value)
}

// TestHistoryFindsWhatIsWrong feeds the checker stores that lie.
func TestHistoryFindsWhatIsWrong(t *testing.T) {
	ok := func(ops ...porcupine.Operation) bool { return porcupine.CheckOperations(registers, ops) }
	op := func(began, ended int64, c call, a answer) porcupine.Operation {
		c.key = "k"
		return porcupine.Operation{Input: c, Call: began, Output: a, Return: ended}
	}
	made := op(1, 2, call{swap: true, value: "a"}, answer{revision: 1})
	for name, c := range map[string]struct {
		ops  []porcupine.Operation
		want bool
	}{
		"read":              {[]porcupine.Operation{made, op(3, 4, call{}, answer{value: "a", revision: 1})}, true},
		"a stale read":      {[]porcupine.Operation{made, op(3, 4, call{}, answer{err: kv.ErrNotFound})}, false},
		"both win":          {[]porcupine.Operation{made, op(1, 2, call{swap: true, value: "b"}, answer{revision: 2})}, false},
		"a lost change":     {[]porcupine.Operation{made, op(3, 4, call{swap: true, old: 1, value: "b"}, answer{revision: 2}), op(5, 6, call{}, answer{value: "a", revision: 1})}, false},
		"an old revision":   {[]porcupine.Operation{made, op(3, 4, call{swap: true, old: 1, none: true}, answer{revision: 2}), op(5, 6, call{swap: true, value: "a"}, answer{revision: 2})}, false},
		"a needless defeat": {[]porcupine.Operation{made, op(3, 4, call{swap: true, old: 1, value: "b"}, answer{err: kv.ErrConflict})}, false},
	} {
		if got := ok(c.ops...); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
