package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"sync"
	"time"
)

const lockFile = "lock"

// Log is a directory of streams. Its methods may be called by several goroutines at once.
type Log struct {
	options Options
	lock    io.Closer
	swept   chan struct{} // holds a token when the sweeper should look now
	grown   chan struct{} // holds a token when there are shards to run

	// creating is held while the topology changes on disk.
	creating sync.Mutex
	topology topology

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
	l := &Log{options: o, lock: lock, swept: make(chan struct{}, 1), grown: make(chan struct{}, 1), streams: map[string]*Stream{}}
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
		for _, sh := range s.shards {
			sh.open()
		}
		l.streams[st.Name] = s
		l.idle = append(l.idle, s.shards...)
	}
	return nil
}

// build makes a stream out of its topology without looking at its files.
func (l *Log) build(t streamTopology) (*Stream, error) {
	s := &Stream{name: t.Name, number: t.Number, created: t.Created}
	for _, sh := range t.Shards {
		first, err := ParseHashKey(sh.First)
		if err != nil {
			return nil, fmt.Errorf("topology of %s: %w", t.Name, err)
		}
		last, err := ParseHashKey(sh.Last)
		if err != nil {
			return nil, fmt.Errorf("topology of %s: %w", t.Name, err)
		}
		s.shards = append(s.shards, &Shard{
			log: l, stream: s, id: sh.ID, first: first, last: last, created: sh.Created,
			dir:   path.Join(l.options.Dir, t.dir(), sh.ID.String()),
			queue: queue{limit: l.options.PendingBytes, wake: make(chan struct{}, 1)},
		})
	}
	return s, nil
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

// Create makes a stream whose shards have equal parts of the hash keys. When it returns
// nil the stream is durable. The error is ErrStreamExists, ErrBadName, or that of the
// disk, after which the stream may be there when the log is opened again.
func (l *Log) Create(name string, shards int) (*Stream, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if shards < 1 || shards > MaxShards {
		return nil, fmt.Errorf("create stream %s: %d shards, not 1 to %d", name, shards, MaxShards)
	}
	l.creating.Lock()
	defer l.creating.Unlock()
	if _, ok := l.Stream(name); ok {
		return nil, fmt.Errorf("create stream %s: %w", name, ErrStreamExists)
	}
	now := l.options.Now()
	st := streamTopology{Number: l.topology.NextStream, Name: name, Created: now.UnixMilli()}
	for i := range shards {
		first, last := hashRange(i, shards)
		st.Shards = append(st.Shards, shardTopology{ID: ShardID(i), First: first.String(), Last: last.String(), Created: now.Unix()})
	}
	s, err := l.build(st)
	if err != nil {
		return nil, err
	}
	l.topology.NextStream++ // also when what follows fails half-way
	err = l.makeStream(s, st)
	if err == nil {
		err = l.adopt(s)
	}
	if err != nil {
		for _, sh := range s.shards {
			sh.shut()
		}
		return nil, fmt.Errorf("create stream %s: %w", name, err)
	}
	return s, nil
}

// adopt makes a stream known and has it run.
func (l *Log) adopt(s *Stream) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == ended {
		return ErrShardClosed
	}
	l.streams[s.name] = s
	l.idle = append(l.idle, s.shards...)
	select {
	case l.grown <- struct{}{}:
	default:
	}
	return nil
}

// makeStream puts the files of a new stream on disk and then names it in the topology.
func (l *Log) makeStream(s *Stream, st streamTopology) error {
	fs, dir := l.options.FS, path.Join(l.options.Dir, st.dir())
	if err := fs.RemoveAll(dir); err != nil { // what a crash left of an attempt
		return err
	}
	for _, sh := range s.shards {
		if err := fs.MkdirAll(sh.dir); err != nil {
			return err
		}
		if err := sh.beginTail(0); err != nil {
			return err
		}
	}
	if err := fs.SyncDir(dir); err != nil {
		return err
	}
	if err := fs.SyncDir(l.options.Dir); err != nil {
		return err
	}
	t := topology{NextStream: l.topology.NextStream, Streams: append(l.topology.Streams[:len(l.topology.Streams):len(l.topology.Streams)], st)}
	if err := writeTopology(fs, l.options.Dir, t); err != nil {
		return err
	}
	l.topology = t
	return nil
}

// checkName allows the names that Kinesis does, but none of dots alone.
func checkName(name string) error {
	dots := true
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
			dots = false
		case c == '.':
		default:
			return fmt.Errorf("%w: %.140q holds %q; letters, digits and _ . - are allowed", ErrBadName, name, c)
		}
	}
	if len(name) == 0 || len(name) > 128 || dots {
		return fmt.Errorf("%w: %.140q has %d characters; 1 to 128, not only dots, are allowed", ErrBadName, name, len(name))
	}
	return nil
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
}

func (l *Log) sweepSoon() {
	select {
	case l.swept <- struct{}{}:
	default:
	}
}

func (l *Log) sweep() {
	for _, s := range l.Streams() {
		for _, sh := range s.shards {
			if sh.overdue(l.options.Now()) {
				sh.queue.poke()
			}
			sh.sweep()
		}
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
		for _, sh := range s.shards {
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
	if s.tail == nil {
		return nil
	}
	tail := s.tail
	s.tail = nil
	return tail.Close()
}
