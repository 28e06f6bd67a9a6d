package stream

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"path"
	"runtime"
	"time"

	"freshet/stream/segment"
)

// idleBefore is how long a shard must be idle before its file says that all is synced.
const idleBefore = 2 * time.Millisecond

// sequence writes groups until ctx ends, then what was submitted by then. It is the only
// one that writes to the shard's files.
func (s *Shard) sequence(ctx context.Context) {
	defer s.left.Do(func() { close(s.gone) })
	idle := time.NewTimer(idleBefore)
	defer idle.Stop()
	for going := true; going && s.tail != nil; {
		select {
		case <-s.queue.wake:
			s.step()
			idle.Reset(idleBefore)
		case <-idle.C:
			s.mark()
		case r := <-s.retire:
			s.step()
			r.done <- s.end(r.seal)
			going = false
		case <-ctx.Done():
			s.queue.stop(ErrShardClosed)
			s.step()
			s.mark()
			going = false
		}
	}
	// Nobody can add to the queue now. What it still holds came before a failure.
	if g := s.queue.take(); g != nil {
		g.finish(0, s.queue.failure())
	}
}

// retirement asks the sequencer to write what it has and end.
type retirement struct {
	seal bool // the last file
	done chan error
}

// leave has the sequencer of a shard end, whose queue takes nothing more when seal is set.
func (s *Shard) leave(seal bool) error {
	r := retirement{seal: seal, done: make(chan error, 1)}
	if !seal {
		s.queue.stop(ErrShardClosed)
	}
	select {
	case s.retire <- r:
		return <-r.done
	case <-s.gone:
		if err := s.queue.failure(); err != ErrMoved {
			return err
		}
		return ErrShardClosed
	}
}

// end completes the shard's last file, or lets it go.
func (s *Shard) end(seal bool) error {
	if s.tail == nil {
		return s.queue.failure() // a write has failed
	}
	tail := s.tail
	s.tail = nil
	defer tail.Close()
	if !seal {
		return nil
	}
	if err := tail.Seal(); err != nil {
		return s.failed(err)
	}
	s.view.seal(tail.Info())
	return nil
}

// step writes the groups that wait, and rolls a tail that is due.
func (s *Shard) step() {
	if s.tail != nil && s.due(0) {
		if err := s.roll(); err != nil {
			s.fail(err)
		}
	}
	for s.tail != nil {
		g := s.queue.take()
		if g == nil {
			return
		}
		if err := s.commit(g); err != nil {
			g.finish(0, s.fail(err))
			return
		}
		// Let those that were answered submit again, so that they share the next group.
		runtime.Gosched()
	}
}

// mark writes down that all is synced.
func (s *Shard) mark() {
	if s.tail == nil {
		return
	}
	if err := s.tail.Mark(); err != nil {
		s.fail(err)
	}
}

// fail ends appends for good: nothing is known of the file past what was synced.
func (s *Shard) fail(err error) error {
	err = s.failed(err)
	s.queue.replace(ErrMoved, err)
	s.queue.stop(err)
	s.tail.Close()
	s.tail = nil
	return err
}

// commit makes a group durable and then answers it.
func (s *Shard) commit(g *group) error {
	if s.due(int64(len(g.buf))) {
		if err := s.roll(); err != nil {
			return err
		}
	}
	start := time.Now()
	arrived := max(s.log.options.Now().UnixMilli(), s.lastArrived)
	if err := s.tail.Write(g.buf, g.count, arrived); err != nil {
		return err
	}
	if err := s.tail.Sync(); err != nil {
		return err
	}
	s.lastArrived = arrived
	s.sums.add(g, time.Since(start))
	s.view.publish(s.tail.Info(), s.tail.Synced())
	buf := g.buf
	g.buf = nil
	g.finish(arrived, nil)
	s.queue.give(buf)
	return nil
}

// due says whether a new file should begin before n more bytes.
func (s *Shard) due(n int64) bool {
	info := s.tail.Info()
	if info.Encrypted != s.stream.Encrypted() {
		return true
	}
	if info.End == info.Base {
		return false
	}
	o := &s.log.options
	age, bounded := s.segmentAge()
	old := bounded && o.Now().UnixMilli()-info.FirstArrived > age.Milliseconds()
	return old || n > 0 && info.Size+n > o.SegmentBytes
}

// roll seals the tail and begins another. A tail without records is replaced.
func (s *Shard) roll() error {
	old := s.tail
	if info := old.Info(); info.End == info.Base {
		w, name, err := s.replace(Offset(info.Base))
		if err != nil {
			return fmt.Errorf("replace a file without records: %w", err)
		}
		s.tail = w
		s.view.replace(newFile(name, w.Info(), w.Synced(), false))
		old.Close() // nothing was in it
		return nil
	}
	if err := old.Seal(); err != nil {
		return fmt.Errorf("roll: %w", err)
	}
	w, name, err := s.begin(Offset(old.Info().End))
	if err != nil {
		return fmt.Errorf("roll: %w", err)
	}
	s.tail = w
	s.view.roll(old.Info(), newFile(name, w.Info(), w.Synced(), false))
	old.Close() // sealed and synced: nothing can be lost
	s.log.sweepSoon()
	return nil
}

// begin makes the file whose first record has the given offset, durably.
func (s *Shard) begin(base Offset) (*segment.Writer, string, error) {
	name := path.Join(s.dir, segmentName(base))
	w, err := s.create(name, base)
	if err != nil {
		return nil, "", err
	}
	return s.named(w, name)
}

// replace makes the same file where one without records has its name. At no time is
// there neither, since it may be the only one of the shard.
func (s *Shard) replace(base Offset) (*segment.Writer, string, error) {
	fs, name := s.log.options.FS, path.Join(s.dir, segmentName(base))
	temp := name + replacementSuffix
	if err := fs.RemoveAll(temp); err != nil {
		return nil, "", err
	}
	w, err := s.create(temp, base)
	if err != nil {
		return nil, "", err
	}
	if err := fs.Rename(temp, name); err != nil {
		w.Close()
		return nil, "", err
	}
	return s.named(w, name)
}

// named makes the name of a new file durable.
func (s *Shard) named(w *segment.Writer, name string) (*segment.Writer, string, error) {
	if err := s.log.options.FS.SyncDir(s.dir); err != nil {
		w.Close()
		return nil, "", fmt.Errorf("sync %s: %w", s.dir, err)
	}
	return w, name, nil
}

// create makes a file, encrypted if the stream is.
func (s *Shard) create(name string, base Offset) (*segment.Writer, error) {
	o := &s.log.options
	var salt [8]byte
	rand.Read(salt[:])
	h := segment.Header{
		Salt: binary.LittleEndian.Uint64(salt[:]), Stream: s.stream.number, Shard: uint32(s.id),
		Created: s.created, Base: uint64(base), Started: o.Now().UnixMilli(),
	}
	if !s.stream.Encrypted() {
		return segment.Create(o.FS, name, h)
	}
	if o.Keys == nil {
		return nil, ErrNoKeys
	}
	return segment.CreateEncrypted(o.FS, name, h, o.Keys)
}
