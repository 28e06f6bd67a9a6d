package stream

import (
	"fmt"
	"path"
	"slices"
)

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
	st := streamTopology{Number: l.topology.NextStream, Name: name, Created: now.UnixMilli(), NextShard: ShardID(shards)}
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
		for _, sh := range s.Shards() {
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
	l.runLocked(s.Shards())
	return nil
}

// runLocked has shards run that nothing runs yet.
func (l *Log) runLocked(shards []*Shard) {
	l.idle = append(l.idle, shards...)
	select {
	case l.grown <- struct{}{}:
	default:
	}
}

// makeStream puts the files of a new stream on disk and then names it in the topology.
func (l *Log) makeStream(s *Stream, st streamTopology) error {
	fs, dir := l.options.FS, path.Join(l.options.Dir, st.dir())
	if err := fs.RemoveAll(dir); err != nil { // what a crash left of an attempt
		return err
	}
	for _, sh := range s.Shards() {
		if err := sh.makeFolder(); err != nil {
			return err
		}
	}
	if err := fs.SyncDir(dir); err != nil {
		return err
	}
	if err := fs.SyncDir(l.options.Dir); err != nil {
		return err
	}
	return l.replaceTopology(func(t *topology) { t.Streams = append(t.Streams, st) })
}

// makeFolder puts an empty shard on disk.
func (s *Shard) makeFolder() error {
	if err := s.log.options.FS.MkdirAll(s.dir); err != nil {
		return err
	}
	return s.beginTail(0)
}

// replaceTopology makes a change durable. The caller holds creating.
func (l *Log) replaceTopology(change func(*topology)) error {
	t := l.topology.clone()
	change(&t)
	if err := writeTopology(l.options.FS, l.options.Dir, t); err != nil {
		return err
	}
	l.topology = t
	return nil
}

// change makes a change to the topology of the stream durable and then applies it.
func (s *Stream) change(change func(*streamTopology), apply func()) error {
	l := s.log
	l.creating.Lock()
	defer l.creating.Unlock()
	if l.topology.find(s.number) == nil {
		return fmt.Errorf("stream %s: %w", s.name, ErrNoStream)
	}
	if err := l.replaceTopology(func(t *topology) { change(t.find(s.number)) }); err != nil {
		return fmt.Errorf("stream %s: %w", s.name, err)
	}
	apply()
	return nil
}

// Delete removes a stream, its records and its files. When it returns nil that is
// durable, and readers and writers get ErrShardClosed. The error is ErrNoStream or that
// of the disk, after which the stream may be there when the log is opened again.
func (l *Log) Delete(name string) error {
	l.creating.Lock()
	defer l.creating.Unlock()
	s, ok := l.Stream(name)
	if !ok {
		return fmt.Errorf("delete stream %s: %w", name, ErrNoStream)
	}
	st := l.topology.find(s.number)
	if st == nil {
		return fmt.Errorf("delete stream %s: %w", name, ErrNoStream)
	}
	dir := st.dir()
	err := l.replaceTopology(func(t *topology) {
		t.Streams = slices.DeleteFunc(t.Streams, func(x streamTopology) bool { return x.Number == s.number })
	})
	if err != nil {
		return fmt.Errorf("delete stream %s: %w", name, err)
	}
	l.mu.Lock()
	delete(l.streams, name)
	l.idle = slices.DeleteFunc(l.idle, func(sh *Shard) bool {
		if sh.stream == s {
			sh.shut()
		}
		return sh.stream == s
	})
	running := l.state == running
	l.mu.Unlock()
	for _, sh := range s.Shards() {
		if running && sh.closing.Load() == nil {
			sh.leave(false)
		}
		sh.shut()
	}
	// What stays behind after an error is cleared away when the log is opened.
	if err := l.options.FS.RemoveAll(path.Join(l.options.Dir, dir)); err != nil {
		l.options.Logger.Warn("the files of a deleted stream stay until the log is opened again", "stream", name, "error", err)
	}
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
