package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"freshet/ingest"
	"freshet/stream"
	"freshet/stream/kv"
)

// Options say what pipelines run on.
type Options struct {
	Log     *stream.Log
	Ingest  *ingest.Ingest // takes the points
	Metrics string         // the stream that it writes; "" means metrics
	Store   kv.Store       // definitions, checkpoints
	Files   []*Definition  // from files; those of the same name in the store rest
	// Edges are streams that something else makes records of, and the streams that those go to.
	Edges     []Edge
	SaveEvery time.Duration // how often checkpoints are written; 0 means 2 s
	Logger    *slog.Logger  // nil discards
}

// An Edge says that what comes into one stream goes to another.
type Edge struct{ From, To, By string }

// Errors of changes that cannot be.
var (
	// ErrNoPipeline says that there is none of that name.
	ErrNoPipeline = errors.New("there is no such pipeline")
	// ErrFromFile refuses to change what a file says.
	ErrFromFile = errors.New("the pipeline is defined in a file of --pipelines")
	// ErrTooMany refuses one more than MaxPipelines.
	ErrTooMany = fmt.Errorf("there are %d pipelines, as many as there may be", MaxPipelines)
)

// Pipelines are all pipelines of a log. Its methods may be called by anyone.
type Pipelines struct {
	o    Options
	wake chan struct{} // holds a token when Run should look

	// changing is held while a pipeline is changed in the store and here.
	changing sync.Mutex
	stored   map[string]stored // as in the store; guarded by changing

	mu      sync.Mutex
	entries map[string]*entry
}

// An entry is a pipeline that should run. It never changes but for runner.
type entry struct {
	id      string
	program *Program
	file    bool

	runner *runner // guarded by Pipelines.mu; nil until it was started
}

// Open reads the store and compiles all definitions. It starts nothing.
func Open(ctx context.Context, o Options) (*Pipelines, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == "" {
		o.Metrics = "metrics"
	}
	if o.SaveEvery == 0 {
		o.SaveEvery = saveEvery
	}
	s := &Pipelines{o: o, wake: make(chan struct{}, 1), entries: map[string]*entry{}}
	var err error
	if s.stored, err = s.load(ctx); err != nil {
		return nil, err
	}
	for _, d := range o.Files {
		if s.entries[d.Name] != nil {
			return nil, fmt.Errorf("pipeline %s is defined twice", d.Name)
		}
		p, err := Compile(d)
		if err != nil {
			return nil, fmt.Errorf("pipeline %s: %w", d.Name, err)
		}
		kept, known := s.stored[d.Name]
		if !known {
			kept.ID = newID()
			if err := s.keep(ctx, d.Name, &kept); err != nil {
				return nil, err
			}
			s.stored[d.Name] = kept
		} else if kept.Definition != nil {
			o.Logger.Warn("a pipeline of the API rests, since a file defines one of its name", "pipeline", d.Name)
		}
		s.entries[d.Name] = &entry{id: kept.ID, program: p, file: true}
	}
	for name, kept := range s.stored {
		if kept.Definition == nil || s.entries[name] != nil {
			continue
		}
		d, err := Parse(kept.Definition, name)
		var p *Program
		if err == nil {
			p, err = Compile(d)
		}
		if err != nil {
			return nil, fmt.Errorf("pipeline %s, as it was put: %w", name, err)
		}
		s.entries[name] = &entry{id: kept.ID, program: p}
	}
	if len(s.entries) > MaxPipelines {
		return nil, fmt.Errorf("there are %d pipelines, at most %d are allowed", len(s.entries), MaxPipelines)
	}
	if err := s.checkLoops(nil); err != nil {
		return nil, err
	}
	for _, e := range s.entries {
		s.makeStreams(e.program.Definition)
	}
	return s, nil
}

// makeStreams makes the streams of a definition that are not there and can be made. One
// that cannot be now is tried again when it is needed.
func (s *Pipelines) makeStreams(d *Definition) {
	s.stream(d.Stream, d)
	for i := range d.Output {
		if to := d.Output[i].Stream; to != "" {
			s.stream(to, d)
		}
	}
}

// Run runs all pipelines until ctx ends.
func (s *Pipelines) Run(ctx context.Context) error {
	type active struct {
		program *Program
		cancel  context.CancelFunc
		done    chan struct{}
	}
	running := map[string]active{} // by id
	var all sync.WaitGroup
	defer all.Wait()
	for {
		wanted := s.wanted()
		for id, a := range running {
			select {
			case <-a.done:
				delete(running, id)
			default:
				if e := wanted[id]; e == nil || e.program != a.program {
					a.cancel()
				}
			}
		}
		for id, e := range wanted {
			if _, runs := running[id]; runs {
				continue
			}
			own, cancel := context.WithCancel(ctx)
			a, r := active{e.program, cancel, make(chan struct{})}, s.newRunner(id, e.program)
			s.mu.Lock()
			e.runner = r
			s.mu.Unlock()
			running[id] = a
			all.Go(func() {
				defer s.poke()
				defer close(a.done)
				defer cancel()
				r.run(own)
			})
		}
		if err := s.clear(ctx, func(id string) bool { _, runs := running[id]; return runs }); err != nil && ctx.Err() == nil {
			s.o.Logger.Warn("what deleted pipelines left is not cleared away yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
	}
}

// wanted returns the pipelines that should run, by id.
func (s *Pipelines) wanted() map[string]*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]*entry, len(s.entries))
	for _, e := range s.entries {
		all[e.id] = e
	}
	return all
}

func (s *Pipelines) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Put makes or changes a pipeline. When it returns nil the definition is durable, and the
// pipeline works by it soon; one that was there goes on where it is. The error is a
// *DefinitionError, ErrFromFile, ErrTooMany, or that of the store.
func (s *Pipelines) Put(ctx context.Context, d *Definition) (created bool, err error) {
	p, err := Compile(d)
	if err != nil {
		return false, err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	old, n := s.entries[d.Name], len(s.entries)
	s.mu.Unlock()
	switch {
	case old != nil && old.file:
		return false, ErrFromFile
	case old == nil && n >= MaxPipelines:
		return false, ErrTooMany
	}
	if err := s.checkLoops(d); err != nil {
		return false, err
	}
	kept, known := s.stored[d.Name]
	if !known {
		kept.ID = newID()
	}
	kept.Definition = d.text
	if err := s.keep(context.WithoutCancel(ctx), d.Name, &kept); err != nil {
		return false, err
	}
	s.stored[d.Name] = kept
	s.makeStreams(d)
	s.mu.Lock()
	s.entries[d.Name] = &entry{id: kept.ID, program: p}
	s.mu.Unlock()
	s.poke()
	return old == nil, nil
}

// Delete deletes a pipeline, and where it has come to: one of the same name begins anew.
// Its points stay. The error is ErrNoPipeline, ErrFromFile or that of the store.
func (s *Pipelines) Delete(ctx context.Context, name string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	e := s.entries[name]
	s.mu.Unlock()
	kept, known := s.stored[name]
	switch {
	case e != nil && e.file:
		return ErrFromFile
	case !known:
		return ErrNoPipeline
	}
	if err := s.drop(context.WithoutCancel(ctx), name, kept); err != nil {
		return err
	}
	delete(s.stored, name)
	s.mu.Lock()
	delete(s.entries, name)
	s.mu.Unlock()
	s.poke()
	return nil
}

// checkLoops refuses pipelines, with one more or changed, that lead from a stream back to it.
func (s *Pipelines) checkLoops(d *Definition) error {
	edges := slices.Clone(s.o.Edges)
	add := func(d *Definition) {
		for _, to := range d.Streams(s.o.Metrics) {
			edges = append(edges, Edge{From: d.Stream, To: to, By: d.Name})
		}
	}
	s.mu.Lock()
	for name, e := range s.entries {
		if d == nil || name != d.Name {
			add(e.program.Definition)
		}
	}
	s.mu.Unlock()
	if d != nil {
		add(d)
	}
	if loop := findLoop(edges); loop != nil {
		return &DefinitionError{Field: "output", Reason: "records would go round for ever: " + strings.Join(loop, " → ")}
	}
	return nil
}

// findLoop returns the streams of a loop, with the first again at the end, or nil.
func findLoop(edges []Edge) []string {
	done := map[string]bool{}
	var path []string
	var visit func(at string) []string
	visit = func(at string) []string {
		if i := slices.Index(path, at); i >= 0 {
			return append(slices.Clone(path[i:]), at)
		}
		if done[at] {
			return nil
		}
		path = append(path, at)
		for _, e := range edges {
			if e.From != at {
				continue
			}
			if loop := visit(e.To); loop != nil {
				return loop
			}
		}
		path = path[:len(path)-1]
		done[at] = true
		return nil
	}
	for _, e := range edges {
		if loop := visit(e.From); loop != nil {
			return loop
		}
	}
	return nil
}

// stream returns a stream. One that a definition says shards for is made if it is not there.
func (s *Pipelines) stream(name string, d *Definition) (*stream.Stream, bool) {
	found, ok := s.o.Log.Stream(name)
	if ok {
		return found, true
	}
	shards := 0
	if name == d.Stream {
		shards = d.Shards
	}
	for i := range d.Output {
		if d.Output[i].Stream == name {
			shards = max(shards, d.Output[i].Shards)
		}
	}
	if shards == 0 {
		return nil, false
	}
	made, err := s.o.Log.Create(name, shards)
	if err != nil && !errors.Is(err, stream.ErrStreamExists) {
		s.o.Logger.Error("a stream could not be made", "stream", name, "pipeline", d.Name, "error", err)
	}
	if err != nil {
		return s.o.Log.Stream(name)
	}
	return made, true
}
