package continuous

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"freshet/aggregate"
	"freshet/stream"
	"freshet/stream/kv"
)

// Options say what queries run on.
type Options struct {
	Engine  *aggregate.Engine
	Log     *stream.Log
	Store   kv.Store // how far each query has come
	Queries []Definition
	Every   time.Duration // how often a query looks for steps that are final; 0 means 1 s
	Logger  *slog.Logger  // nil discards
}

// Queries are all continuous queries of a server.
type Queries struct {
	o   Options
	all []*query
}

// Open checks the definitions and reads how far they have come. It starts nothing.
func Open(ctx context.Context, o Options) (*Queries, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if len(o.Queries) > MaxQueries {
		return nil, fmt.Errorf("there are %d continuous queries, at most %d are allowed", len(o.Queries), MaxQueries)
	}
	s := &Queries{o: o}
	names := map[string]bool{}
	for _, d := range o.Queries {
		if names[d.Name] {
			return nil, fmt.Errorf("continuous query %s is defined twice", d.Name)
		}
		names[d.Name] = true
		p, err := d.plan(o.Engine)
		if err != nil {
			return nil, err
		}
		q := &query{Definition: d, set: s, plan: p, log: o.Logger.With("continuous", d.Name)}
		if err := q.load(ctx); err != nil {
			return nil, err
		}
		s.all = append(s.all, q)
	}
	return s, nil
}

// Run writes steps until ctx ends.
func (s *Queries) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, q := range s.all {
		all.Go(func() { q.run(ctx) })
	}
	all.Wait()
	<-ctx.Done() // where there is none
	return nil
}

// run writes what is final, again and again. What fails is tried again.
func (q *query) run(ctx context.Context) {
	tick := time.NewTicker(q.set.o.Every)
	defer tick.Stop()
	for {
		err := q.step(ctx)
		if ctx.Err() != nil {
			return
		}
		if q.failed(err) {
			q.log.Warn("steps could not be written; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// failed notes how the last attempt went, and reports whether that is news.
func (q *query) failed(err error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.problem
	q.problem = ""
	if err != nil {
		q.problem = err.Error()
	}
	return q.problem != "" && q.problem != was
}

// target returns the stream, made if it is not there.
func (q *query) target() (*stream.Stream, error) {
	log := q.set.o.Log
	if s, ok := log.Stream(q.To); ok {
		return s, nil
	}
	s, err := log.Create(q.To, q.Shards)
	if errors.Is(err, stream.ErrStreamExists) {
		if s, ok := log.Stream(q.To); ok {
			return s, nil
		}
	}
	return s, err
}

// A Status says how far a query has come. Counts are since the start.
type Status struct {
	Name    string          `json:"name"`
	Query   json.RawMessage `json:"query"`
	To      string          `json:"to"`
	Next    int64           `json:"next"`    // start of the first step that is not written, epoch milliseconds; 0 before the first point
	Steps   int64           `json:"steps"`   // written
	Again   int64           `json:"again"`   // of those, that late points had written again
	Records int64           `json:"records"` // written
	Error   string          `json:"error,omitempty"`
}

// List returns the status of all queries, in the order of their definitions.
func (s *Queries) List() []Status {
	all := make([]Status, 0, len(s.all))
	for _, q := range s.all {
		q.mu.Lock()
		all = append(all, Status{
			Name: q.Name, Query: q.text, To: q.To, Next: q.state.Next,
			Steps: q.steps, Again: q.again, Records: q.records, Error: q.problem,
		})
		q.mu.Unlock()
	}
	return all
}

// ServeHTTP serves GET /api/v1/continuous.
func (s *Queries) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", http.MethodGet)
		w.WriteHeader(http.StatusMethodNotAllowed)
		fmt.Fprintf(w, "{\"error\":\"method %s is not allowed here; use GET\"}\n", r.Method)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"continuous": s.List()}) // the client has left; there is nobody to tell
}
