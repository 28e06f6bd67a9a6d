package stream

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
)

// A reshard closes one shard or two and puts others in their place:
//
//  1. the files of the children are made;
//  2. the parents refuse what comes now, write what they have and seal their last file;
//  3. the topology that closes the parents and names the children becomes durable;
//  4. the children take records.
//
// Until 3 a crash leaves the parents open, and the files of the children are cleared
// away. What the parents refuse in between can be submitted to the children after 4, so
// that the records of a key, read parent before child, stay in order.

// Split closes a shard and divides its hash keys between two others, of which the second
// begins with at. While it runs, submissions to the shard get ErrMoved; see
// [Shard.Settled]. It waits for the log to run.
//
// The error is ErrNoStream, ErrNoShard, ErrNotOpen, ErrBadSplit, ErrTooManyShards, or that
// of the disk: then the shard takes no records until the log is opened again. A ctx that
// ends before the shard is closed leaves it as it was.
func (s *Stream) Split(ctx context.Context, id ShardID, at HashKey) ([2]*Shard, error) {
	children, err := s.reshard(ctx, []ShardID{id}, func(parents []*Shard) ([]hashSpan, error) {
		p := parents[0]
		if !p.Holds(at) || at == p.first {
			return nil, fmt.Errorf("%s: %w: %s is not above %s and at most %s", id, ErrBadSplit, at, p.first, p.last)
		}
		return []hashSpan{{p.first, at.previous()}, {at, p.last}}, nil
	})
	if err != nil {
		return [2]*Shard{}, fmt.Errorf("split: %w", err)
	}
	return [2]*Shard(children), nil
}

// Merge closes two shards whose hash keys are adjacent and gives them to one other, of
// which they are the parent and the adjacent parent. It is otherwise like Split; the
// error may be ErrNotAdjacent.
func (s *Stream) Merge(ctx context.Context, parent, adjacent ShardID) (*Shard, error) {
	children, err := s.reshard(ctx, []ShardID{parent, adjacent}, func(parents []*Shard) ([]hashSpan, error) {
		low, high := parents[0], parents[1]
		if high.first.Compare(low.first) < 0 {
			low, high = high, low
		}
		if low == high || low.last != high.first.previous() {
			return nil, fmt.Errorf("%s and %s: %w", parent, adjacent, ErrNotAdjacent)
		}
		return []hashSpan{{low.first, high.last}}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	return children[0], nil
}

// Settled returns when no reshard of the shard is under way: then the shard takes
// records, its children do, or Err says why neither does.
func (s *Shard) Settled(ctx context.Context) error {
	select {
	case <-*s.moved.Load():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// hashSpan is a range of hash keys, both ends included.
type hashSpan struct{ first, last HashKey }

func (s *Stream) reshard(ctx context.Context, ids []ShardID, divide func([]*Shard) ([]hashSpan, error)) ([]*Shard, error) {
	l := s.log
	select {
	case <-l.started:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the log to run: %w", context.Cause(ctx))
	}
	l.creating.Lock()
	defer l.creating.Unlock()
	parents, err := s.parentsOf(ids)
	if err != nil {
		return nil, err
	}
	spans, err := divide(parents)
	if err != nil {
		return nil, err
	}
	if open := len(s.OpenShards()) + len(spans) - len(parents); open > MaxShards {
		return nil, fmt.Errorf("%d open shards, more than %d: %w", open, MaxShards, ErrTooManyShards)
	}
	if kept := len(s.Shards()) + len(spans); kept > MaxKeptShards {
		return nil, fmt.Errorf("%d shards with those that are closed and still kept, more than %d: %w", kept, MaxKeptShards, ErrTooManyShards)
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	children, named, err := s.makeChildren(ids, spans)
	if err == nil {
		err = s.retireAll(parents)
		if err == nil {
			err = s.exchange(parents, children, named)
		}
		for _, p := range parents {
			if err != nil {
				p.giveUp(err)
			}
			close(*p.moved.Load())
		}
	}
	if err != nil {
		for _, c := range children {
			c.shut()
		}
		return nil, err
	}
	return children, nil
}

// parentsOf finds the open shards of a running log that are to be closed.
func (s *Stream) parentsOf(ids []ShardID) ([]*Shard, error) {
	l := s.log
	if l.topology.find(s.number) == nil {
		return nil, fmt.Errorf("stream %s: %w", s.name, ErrNoStream)
	}
	l.mu.Lock()
	state := l.state
	l.mu.Unlock()
	if state != running {
		return nil, fmt.Errorf("the log does not run: %w", ErrShardClosed)
	}
	var parents []*Shard
	for _, id := range ids {
		p, ok := s.Shard(id)
		if !ok {
			return nil, fmt.Errorf("%s: %w", id, ErrNoShard)
		}
		if p.closing.Load() != nil {
			return nil, fmt.Errorf("%s: %w", id, ErrNotOpen)
		}
		if err := p.Err(); err != nil {
			return nil, err
		}
		parents = append(parents, p)
	}
	return parents, nil
}

// makeChildren puts the files of new shards on disk.
func (s *Stream) makeChildren(parents []ShardID, spans []hashSpan) ([]*Shard, []shardTopology, error) {
	l := s.log
	t := l.topology.find(s.number)
	created := l.options.Now().Unix()
	first := t.NextShard
	// Also when what follows fails: the topology on disk may name these shards all the same,
	// and then nothing may take their folders away.
	t.NextShard += ShardID(len(spans))
	var children []*Shard
	var named []shardTopology
	for i, span := range spans {
		st := shardTopology{ID: first + ShardID(i), First: span.first.String(), Last: span.last.String(), Parents: parents, Created: created}
		child, err := s.buildShard(t.dir(), st)
		if err == nil {
			err = l.options.FS.RemoveAll(child.dir) // what an attempt that failed has left
		}
		if err == nil {
			err = child.makeFolder()
		}
		if err != nil {
			return children, nil, fmt.Errorf("make %s: %w", st.ID, err)
		}
		children, named = append(children, child), append(named, st)
	}
	if err := l.options.FS.SyncDir(path.Join(l.options.Dir, t.dir())); err != nil {
		return children, nil, fmt.Errorf("make shards: %w", err)
	}
	return children, named, nil
}

// retireAll has the parents seal their last files.
func (s *Stream) retireAll(parents []*Shard) error {
	for _, p := range parents {
		moved := make(chan struct{})
		p.moved.Store(&moved)
	}
	for _, p := range parents {
		p.queue.stop(ErrMoved)
	}
	for _, p := range parents {
		if err := p.leave(true); err != nil {
			return err
		}
	}
	return nil
}

// exchange closes the parents, durably, and opens the children.
func (s *Stream) exchange(parents, children []*Shard, named []shardTopology) error {
	l := s.log
	now := l.options.Now().UnixMilli()
	for _, p := range parents {
		now = max(now, p.lastArrived) // its sequencer has ended
	}
	closed := map[ShardID]*closing{}
	for _, p := range parents {
		closed[p.id] = &closing{at: now, end: p.Durable()}
	}
	err := l.replaceTopology(func(t *topology) {
		st := t.find(s.number)
		for i := range st.Shards {
			if c := closed[st.Shards[i].ID]; c != nil {
				st.Shards[i].Closed, st.Shards[i].End = c.at, c.end
			}
		}
		st.Shards = append(st.Shards, named...)
	})
	if err != nil {
		return err
	}
	for _, c := range children {
		c.lastArrived = now // arrival times rise from parent to child
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != running {
		return ErrShardClosed // the children are there when the log is opened again
	}
	for _, p := range parents {
		p.closing.Store(closed[p.id])
	}
	s.reshape(append(slices.Clone(s.Shards()), children...))
	for _, c := range children {
		s.adopted(c)
	}
	l.runLocked(children)
	for _, p := range parents {
		p.view.end(ErrEnd)
	}
	return nil
}

// giveUp ends a shard whose reshard failed half-way.
func (s *Shard) giveUp(err error) {
	var failed *FailedError
	if !errors.As(err, &failed) {
		err = s.failed(err)
	}
	s.queue.replace(ErrMoved, err)
}

// forget drops the closed shards of which retention has left nothing.
func (s *Stream) forget() {
	l := s.log
	before := l.options.Now().Add(-s.Retention()).UnixMilli()
	gone := func(sh *Shard) bool {
		c := sh.closing.Load()
		return c != nil && s.Retention() > 0 && c.at < before && sh.view.empty()
	}
	if !slices.ContainsFunc(s.Shards(), gone) {
		return
	}
	// The next sweep will do: who holds the lock may wait for a shard that only the
	// goroutine of this sweep can start.
	if !l.creating.TryLock() {
		return
	}
	defer l.creating.Unlock()
	if l.topology.find(s.number) == nil {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(s.Shards()), gone)
	err := l.replaceTopology(func(t *topology) {
		st := t.find(s.number)
		st.Shards = slices.DeleteFunc(st.Shards, func(x shardTopology) bool {
			return !slices.ContainsFunc(kept, func(sh *Shard) bool { return sh.id == x.ID })
		})
	})
	if err != nil {
		l.options.Logger.Error("closed shards past their retention stay listed", "stream", s.name, "error", err)
		return
	}
	for _, sh := range s.Shards() {
		if slices.Contains(kept, sh) {
			continue
		}
		if err := l.options.FS.RemoveAll(sh.dir); err != nil {
			l.options.Logger.Warn("the folder of a shard past its retention stays until the log is opened again", "shard", sh, "error", err)
		}
	}
	s.reshape(kept)
}
