package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path"
	"regexp"
	"slices"
	"sort"
	"sync"
	"time"
)

const lockFile = "lock"

// streamFolder is what streamTopology.dir makes.
var streamFolder = regexp.MustCompile(`^[0-9]{6,}-[A-Za-z0-9_.-]+$`)

// Log is a directory of streams. Its methods may be called by several goroutines at once.
type Log struct {
	options Options
	lock    io.Closer
	started chan struct{} // closed when Run begins
	swept   chan struct{} // holds a token when the sweeper should look now
	grown   chan struct{} // holds a token when there are shards to run

	// creating is held while the topology changes on disk and in memory.
	creating sync.Mutex
	topology topology // what is on disk

	mu      sync.Mutex
	streams map[string]*Stream
	idle    []*Shard // that no sequencer runs yet
	state   state
}

type state int

const (
	opened state = iota
	running
	ended
)

// Open reads the topology and every shard. It starts nothing. A shard that is damaged or
// cannot be written does not fail Open: see Shard.Err.
func Open(o Options) (*Log, error) {
	o = o.withDefaults()
	if o.Dir == "" {
		return nil, fmt.Errorf("open log: Dir is empty")
	}
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	lock, err := o.FS.Lock(path.Join(o.Dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{options: o, lock: lock, started: make(chan struct{}), swept: make(chan struct{}, 1), grown: make(chan struct{}, 1), streams: map[string]*Stream{}}
	if err := l.load(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open log: %w", err)
	}
	return l, nil
}

func (l *Log) load() error {
	fs, dir := l.options.FS, l.options.Dir
	t, err := readTopology(fs, dir)
	if err != nil {
		return err
	}
	if len(t.Streams) == 0 {
		// Written before the first stream, so that a lost topology is told from a new log.
		err = errors.Join(writeTopology(fs, dir, t), fs.SyncDir(path.Dir(dir)))
	} else {
		err = fs.SyncDir(dir) // a rename may be there without being durable
	}
	if err != nil {
		return err
	}
	l.topology = t
	for _, st := range t.Streams {
		s, err := l.build(st)
		if err != nil {
			return err
		}
		for _, sh := range s.Shards() {
			sh.open()
		}
		l.streams[st.Name] = s
		l.idle = append(l.idle, s.OpenShards()...)
	}
	return l.clear()
}

// clear removes the folders of streams and shards that a crash left without a place in
// the topology. Their numbers were never given out, or never will be again.
func (l *Log) clear() error {
	fs, dir := l.options.FS, l.options.Dir
	kept := map[string]bool{}
	for _, st := range l.topology.Streams {
		kept[st.dir()] = true
		names, err := fs.ReadDir(path.Join(dir, st.dir()))
		if errors.Is(err, iofs.ErrNotExist) {
			continue // its shards have reported it
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			id, ok := parseShardID(name)
			known := slices.ContainsFunc(st.Shards, func(sh shardTopology) bool { return sh.ID == id })
			if !ok || known {
				continue
			}
			if err := fs.RemoveAll(path.Join(dir, st.dir(), name)); err != nil {
				return err
			}
		}
	}
	names, err := fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if kept[name] || !streamFolder.MatchString(name) {
			continue
		}
		if err := fs.RemoveAll(path.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// build makes a stream out of its topology without looking at its files.
func (l *Log) build(t streamTopology) (*Stream, error) {
	s := &Stream{log: l, name: t.Name, number: t.Number, created: t.Created}
	s.retention.Store(t.Retention)
	s.encrypted.Store(t.Encrypted)
	var all []*Shard
	for _, sh := range t.Shards {
		made, err := s.buildShard(t.dir(), sh)
		if err != nil {
			return nil, fmt.Errorf("topology of %s: %w", t.Name, err)
		}
		all = append(all, made)
	}
	s.reshape(all)
	for _, sh := range all {
		s.adopted(sh)
	}
	return s, nil
}

// buildShard makes a shard out of its topology without looking at its files.
func (s *Stream) buildShard(dir string, t shardTopology) (*Shard, error) {
	first, err := ParseHashKey(t.First)
	if err != nil {
		return nil, err
	}
	last, err := ParseHashKey(t.Last)
	if err != nil {
		return nil, err
	}
	sh := &Shard{
		log: s.log, stream: s, id: t.ID, first: first, last: last, created: t.Created, parents: t.Parents,
		dir:    path.Join(s.log.options.Dir, dir, t.ID.String()),
		retire: make(chan retirement), gone: make(chan struct{}), lastArrived: t.Created * 1000,
		queue: queue{limit: s.log.options.PendingBytes, wake: make(chan struct{}, 1)},
	}
	moved := make(chan struct{})
	if t.Closed != 0 {
		sh.closing.Store(&closing{at: t.Closed, end: t.End})
		close(moved)
	}
	sh.moved.Store(&moved)
	return sh, nil
}

// adopted tells the parents of a shard of it.
func (s *Stream) adopted(child *Shard) {
	for _, id := range child.parents {
		if p, ok := s.Shard(id); ok {
			children := append(slices.Clone(p.Children()), child.id)
			p.children.Store(&children)
		}
	}
}

// Stream finds a stream by name.
func (l *Log) Stream(name string) (*Stream, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.streams[name]
	return s, ok
}

// Streams lists the streams by name.
func (l *Log) Streams() []*Stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*Stream, 0, len(l.streams))
	for _, s := range l.streams {
		all = append(all, s)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

// Run writes what is submitted, and drops what is past its retention, until ctx ends.
// Then it refuses submissions, writes those that it has, and returns nil. It runs once.
func (l *Log) Run(ctx context.Context) error {
	l.mu.Lock()
	if l.state != opened {
		l.mu.Unlock()
		return fmt.Errorf("run log: it has run already")
	}
	l.state = running
	l.mu.Unlock()
	close(l.started)

	var sequencers sync.WaitGroup
	defer sequencers.Wait()
	sweep := time.NewTicker(l.options.sweepEvery())
	defer sweep.Stop()
	for {
		for _, s := range l.start() {
			sequencers.Go(func() { s.sequence(ctx) })
		}
		select {
		case <-ctx.Done():
			l.finish()
			return nil
		case <-l.grown:
		case <-l.swept:
			l.sweep()
		case <-sweep.C:
			l.sweep()
		}
	}
}

// start takes the shards that nothing runs yet.
func (l *Log) start() []*Shard {
	l.mu.Lock()
	defer l.mu.Unlock()
	idle := l.idle
	l.idle = nil
	return idle
}

// finish refuses streams that would come too late to run.
func (l *Log) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = ended
	for _, s := range l.idle {
		s.shut()
	}
	l.idle = nil
}

func (l *Log) sweepSoon() {
	select {
	case l.swept <- struct{}{}:
	default:
	}
}

func (l *Log) sweep() {
	for _, s := range l.Streams() {
		for _, sh := range s.Shards() {
			if sh.overdue(l.options.Now()) {
				sh.queue.poke()
			}
			sh.sweep()
		}
		s.forget()
	}
}

// Close releases the files. Run must have returned, or never been called; what was
// submitted and not written fails with ErrShardClosed. Readers at the end return
// ErrShardClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	l.state = ended
	l.mu.Unlock()
	var errs []error
	for _, s := range l.Streams() {
		for _, sh := range s.Shards() {
			errs = append(errs, sh.shut())
		}
	}
	return errors.Join(append(errs, l.lock.Close())...)
}

// shut ends a shard that no sequencer runs.
func (s *Shard) shut() error {
	s.queue.stop(ErrShardClosed)
	if g := s.queue.take(); g != nil {
		g.finish(0, s.queue.failure())
	}
	s.view.end(ErrShardClosed)
	s.left.Do(func() { close(s.gone) })
	if s.tail == nil {
		return nil
	}
	tail := s.tail
	s.tail = nil
	return tail.Close()
}
