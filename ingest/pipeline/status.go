package pipeline

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"freshet/stream/consumer"
)

// A Status says what a pipeline does. Counts are since the server's start, or since the
// definition was last changed.
type Status struct {
	Name   string `json:"name"`
	Origin string `json:"origin"` // file or api
	Stream string `json:"stream"`
	State  string `json:"state"`           // starting, waiting, running or stopped
	Error  string `json:"error,omitempty"` // why it does not get on

	Records  int64 `json:"records"`  // that were read; user records of aggregates
	Events   int64 `json:"events"`   // that they held
	Filtered int64 `json:"filtered"` // events that the filter left out
	Points   int64 `json:"points"`   // made, with those of runs that were worked through again
	Made     int64 `json:"made"`     // records for other streams
	Errors   int64 `json:"errors"`   // records, events and outputs that became nothing
	Runs     int64 `json:"runs"`     // posted
	Trimmed  int64 `json:"trimmed"`  // records that went past their retention unread
	BehindMS int64 `json:"behind_ms"`
}

// A Detail is a status with what is looked at one by one.
type Detail struct {
	Status
	Definition json.RawMessage `json:"definition"`
	Shards     []ShardStatus   `json:"shards"`
	Sample     []Kept          `json:"sample"` // the latest errors, the latest first
}

// A ShardStatus is how far a pipeline has come on a shard that it reads.
type ShardStatus struct {
	Shard    string `json:"shard"`
	Done     string `json:"done,omitempty"` // sequence number of the last record of which all is durable
	BehindMS int64  `json:"behind_ms"`
}

// List returns the status of all pipelines, by name.
func (s *Pipelines) List() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, 0, len(s.entries))
	for _, e := range s.entries {
		all = append(all, e.status())
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Get returns what is known of a pipeline.
func (s *Pipelines) Get(ctx context.Context, name string) (Detail, bool) {
	s.mu.Lock()
	e, r := s.entries[name], (*runner)(nil)
	var d Detail
	if e != nil {
		r = e.runner
		d.Status = e.status()
	}
	s.mu.Unlock()
	if e == nil {
		return d, false
	}
	d.Definition, d.Shards, d.Sample = e.program.Definition.text, []ShardStatus{}, []Kept{}
	if r == nil {
		return d, true
	}
	d.Shards = r.shards(ctx)
	d.Sample = r.mishaps.list()
	return d, true
}

// shards returns how far each shard is read, by its lease and by what was posted since.
func (r *runner) shards(ctx context.Context) []ShardStatus {
	r.mu.Lock()
	name := r.reads
	r.mu.Unlock()
	all := []ShardStatus{}
	if name == "" {
		return all
	}
	leases, err := consumer.Leases(ctx, r.set.o.Store, name)
	if err != nil {
		r.log.Warn("the checkpoints could not be read", "error", err)
	}
	for _, l := range leases {
		switch l.Checkpoint.Kind {
		case consumer.ShardEnd:
		case consumer.AfterRecord:
			all = append(all, ShardStatus{Shard: l.Shard.String(), Done: l.Checkpoint.Sequence.String()})
		default:
			all = append(all, ShardStatus{Shard: l.Shard.String()})
		}
	}
	for _, w := range r.all() {
		now := w.status()
		i := slices.IndexFunc(all, func(s ShardStatus) bool { return s.Shard == now.Shard })
		if i < 0 {
			continue // it has just ended
		}
		if now.Done == "" {
			now.Done = all[i].Done
		}
		all[i] = now
	}
	return all
}

// status is the entry's; the caller holds Pipelines.mu.
func (e *entry) status() Status {
	d := e.program.Definition
	s := Status{Name: d.Name, Origin: "api", Stream: d.Stream, State: "starting"}
	if e.file {
		s.Origin = "file"
	}
	r := e.runner
	if r == nil {
		return s
	}
	c := &r.counters
	s.Records, s.Events, s.Filtered = c.records.Load(), c.events.Load(), c.filtered.Load()
	s.Points, s.Made, s.Errors, s.Runs = c.points.Load(), c.made.Load(), c.mishaps.Load(), c.runs.Load()
	r.mu.Lock()
	s.State, s.Error = r.state, r.problem
	worker := r.worker
	r.mu.Unlock()
	if worker != nil {
		s.Trimmed = worker.Stats().Trimmed
	}
	for _, w := range r.all() {
		s.BehindMS = max(s.BehindMS, w.behind.Load())
	}
	return s
}

// status is how far the work has come.
func (w *work) status() ShardStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := ShardStatus{Shard: w.shard.ID.String(), BehindMS: w.behind.Load()}
	if w.any {
		s.Done = w.durable.Sequence.String()
	}
	return s
}
