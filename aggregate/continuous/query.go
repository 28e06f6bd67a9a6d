package continuous

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"freshet/aggregate"
	"freshet/stream"
	"freshet/stream/kv"
)

const (
	maxSteps   = 500              // that one look writes
	maxWatched = 60               // steps that were written and are written again for late points, the latest
	watchEvery = 10 * time.Second // how often a look goes over those
	maxKey     = 256              // bytes of a partition key
)

// A query is a definition at work.
type query struct {
	Definition
	set *Queries
	log *slog.Logger

	// Owned by run.
	plan    *aggregate.Plan
	watched time.Time // when the steps that were written were looked at last

	mu                    sync.Mutex
	state                 state
	revision              kv.Revision
	problem               string
	steps, again, records int64
}

// state is how far a query has come, as it is stored under continuous/<name>.
type state struct {
	V     int             `json:"v"`
	Query json.RawMessage `json:"query"`
	To    string          `json:"to"`
	Next  int64           `json:"next"`           // start of the first step that is not written; 0 for none
	Last  []written       `json:"last,omitempty"` // the last steps that were, by rising start
}

// written is a step that is in the stream, with the late points that it had taken in.
type written struct {
	Start    int64  `json:"start"`
	Revision uint64 `json:"revision,omitempty"`
}

const stateVersion = 1

func (q *query) key() string { return "continuous/" + q.Name }

// load reads the state. That of another query or stream is left behind.
func (q *query) load(ctx context.Context) error {
	e, err := q.set.o.Store.Get(ctx, q.key())
	if errors.Is(err, kv.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("continuous query %s: %w", q.Name, err)
	}
	q.revision = e.Revision
	var s state
	if err := json.Unmarshal(e.Value, &s); err != nil || s.V != stateVersion {
		return fmt.Errorf("continuous query %s: its state has version %d, this program knows %d: %w", q.Name, s.V, stateVersion, err)
	}
	if string(s.Query) == string(q.text) && s.To == q.To {
		q.state = s
	}
	return nil
}

// save writes the state, and shows it.
func (q *query) save(ctx context.Context, s state) error {
	s.V, s.Query, s.To = stateVersion, q.text, q.To
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	revision, err := q.set.o.Store.Swap(ctx, q.key(), q.revision, text)
	if err != nil {
		return fmt.Errorf("save how far it has come: %w", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.state, q.revision = s, revision
	return nil
}

// step writes the steps that have become final, and those that late points have changed.
func (q *query) step(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, aggregate.MaxLag)
	defer cancel()
	v, err := q.set.o.Engine.View(wait)
	if err != nil {
		return err
	}
	defer v.Close()
	if v.Watermark() == 0 {
		return nil // nothing has arrived
	}
	next := q.state.Next
	if next == 0 { // the first step is the first that is not final yet
		return q.save(ctx, state{Next: q.plan.Floor(v.Watermark())})
	}
	if time.Since(q.watched) >= min(watchEvery, 10*q.set.o.Every) {
		if err := q.repeat(ctx, v); err != nil {
			return err
		}
		q.watched = time.Now()
	}
	final := q.plan.Floor(v.Watermark())
	if final <= next {
		return nil
	}
	ends := append(q.plan.Times(next, final), final)[1:]
	final = ends[min(len(ends), maxSteps)-1]
	a, err := q.plan.Evaluate(ctx, v, next, final)
	if err != nil {
		return err
	}
	s := state{Next: final, Last: slices.Clone(q.state.Last)}
	var entries []stream.Entry
	for i, start := range a.Times {
		entries = q.entries(entries, a, i, ends[i])
		s.Last = append(s.Last, written{start, revisionOf(a, i)})
	}
	s.Last = s.Last[max(0, len(s.Last)-maxWatched):]
	return q.write(ctx, entries, s, len(a.Times), 0)
}

// repeat writes the steps again that have taken in late points since they were written.
func (q *query) repeat(ctx context.Context, v *aggregate.View) error {
	if len(q.state.Last) == 0 {
		return nil
	}
	s := state{Next: q.state.Next, Last: slices.Clone(q.state.Last)}
	a, err := q.plan.Evaluate(ctx, v, s.Last[0].Start, s.Next)
	if err != nil {
		return err
	}
	var entries []stream.Entry
	changed := 0
	for i, start := range a.Times {
		at := slices.IndexFunc(s.Last, func(w written) bool { return w.Start == start })
		if at < 0 || revisionOf(a, i) <= s.Last[at].Revision {
			continue
		}
		end := s.Next
		if i+1 < len(a.Times) {
			end = a.Times[i+1]
		}
		entries = q.entries(entries, a, i, end)
		s.Last[at].Revision = revisionOf(a, i)
		changed++
	}
	if changed == 0 {
		return nil
	}
	return q.write(ctx, entries, s, changed, changed)
}

func revisionOf(a *aggregate.Answer, step int) uint64 {
	if step < len(a.Revisions) {
		return a.Revisions[step]
	}
	return 0
}

// A record is what is written of one series in one step.
type record struct {
	Query    string            `json:"query"`
	Start    int64             `json:"start"` // epoch milliseconds
	End      int64             `json:"end"`   // not included
	Labels   map[string]string `json:"labels"`
	Value    float64           `json:"value"`
	Revision uint64            `json:"revision"` // late points that the step has taken in
}

// entries adds the records of a step. A series without data in it has none.
func (q *query) entries(to []stream.Entry, a *aggregate.Answer, step int, end int64) []stream.Entry {
	for i := range a.Series {
		s := &a.Series[i]
		if v := s.Values[step]; math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		r := record{Query: q.Name, Start: a.Times[step], End: end, Labels: s.Labels, Value: s.Values[step], Revision: revisionOf(a, step)}
		if r.Labels == nil {
			r.Labels = map[string]string{}
		}
		text, err := json.Marshal(r)
		if err != nil {
			panic(err) // it holds nothing that JSON does not
		}
		to = append(to, stream.Entry{PartitionKey: q.partitionKey(s.Labels), Data: text})
	}
	return to
}

// partitionKey is made of the labels, so that the records of a series stay in order.
func (q *query) partitionKey(labels map[string]string) string {
	if len(labels) == 0 {
		return q.Name
	}
	var parts []string
	for name, value := range labels {
		parts = append(parts, name+"="+value)
	}
	slices.Sort(parts)
	key := strings.Join(parts, ",")
	if len(key) > maxKey {
		sum := sha256.Sum256([]byte(key))
		return hex.EncodeToString(sum[:])
	}
	return key
}

// write makes records durable, then the state.
func (q *query) write(ctx context.Context, entries []stream.Entry, s state, steps, again int) error {
	if len(entries) > 0 {
		to, err := q.target()
		if err != nil {
			return err
		}
		if _, _, err := to.Put(ctx, entries); err != nil {
			return err
		}
	}
	if err := q.save(ctx, s); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.steps, q.again, q.records = q.steps+int64(steps), q.again+int64(again), q.records+int64(len(entries))
	return nil
}
