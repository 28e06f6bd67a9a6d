package stream

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path"
	"strconv"
	"strings"

	"freshet/stream/segment"
	"freshet/stream/vfs"
)

const (
	segmentSuffix     = ".seg"
	replacementSuffix = ".new" // behind the name of a file until it has it
)

// segmentName is the name of the file that starts with a record.
func segmentName(base Offset) string { return fmt.Sprintf("%020d%s", base, segmentSuffix) }

func parseSegmentName(name string) (Offset, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	n, err := strconv.ParseUint(digits, 10, 63)
	return Offset(n), ok && err == nil && len(digits) == 20
}

// open reads what is on disk and makes the shard ready to append. Whatever it meets ends
// only this shard's appends: see Err.
func (s *Shard) open() {
	err := s.load()
	if v := &s.view; len(v.files) > 0 {
		last := v.files[len(v.files)-1]
		v.horizon.Store(uint64(v.files[0].base))
		v.durable.Store(uint64(last.end))
		s.queue.next = last.end
		for _, f := range v.files { // the tail may be empty
			s.lastArrived = max(s.lastArrived, f.lastArrived)
		}
	}
	c := s.closing.Load()
	if c != nil && len(s.view.files) == 0 { // all are past their retention
		s.view.horizon.Store(uint64(c.end))
		s.view.durable.Store(uint64(c.end))
	}
	if err == nil {
		if c != nil {
			s.queue.err, s.view.stop = ErrMoved, ErrEnd
		}
		return
	}
	var damage *DamageError
	if !errors.As(err, &damage) {
		err = s.failed(err)
	}
	s.log.options.Logger.Error("a shard accepts no records", "stream", s.stream.name, "shard", s.id, "error", err)
	s.queue.err, s.view.stop = err, err
}

// load fills the list of files and, if all are sound, opens the tail.
func (s *Shard) load() error {
	fs := s.log.options.FS
	names, err := fs.ReadDir(s.dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return s.damage(s.dir, -1, 0, "the folder of the shard is missing")
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", s.dir, err)
	}
	// A file made just before a crash may be there without its name being durable.
	if err := fs.SyncDir(s.dir); err != nil {
		return fmt.Errorf("sync %s: %w", s.dir, err)
	}
	var bases []Offset
	for _, n := range names {
		if base, ok := parseSegmentName(n); ok {
			bases = append(bases, base)
		} else if _, ok := parseSegmentName(strings.TrimSuffix(n, replacementSuffix)); ok {
			if err := fs.RemoveAll(path.Join(s.dir, n)); err != nil { // what a crash left
				return fmt.Errorf("remove %s: %w", path.Join(s.dir, n), err)
			}
		} else {
			s.log.options.Logger.Warn("a file that is no part of the log is passed over", "file", path.Join(s.dir, n))
		}
	}
	if c := s.closing.Load(); c != nil {
		return s.loadClosed(bases, c.end)
	}
	if len(bases) == 0 {
		return s.damage(s.dir, -1, 0, "the shard has no file")
	}
	last := bases[len(bases)-1]
	damage, err := s.loadAllSealed(bases[:len(bases)-1], last)
	if err != nil {
		return err
	}
	if err := s.loadTail(last, damage); err != nil {
		return err
	}
	if s.tail != nil && s.stream.Encrypted() && s.log.options.Keys == nil {
		s.tail.Close() // it is plain, and takes no more
		s.tail = nil
		return ErrNoKeys
	}
	return damage
}

// loadClosed reads the files of a shard that a reshard closed, whose last one was sealed
// before the topology said so. None is left when all are past their retention.
func (s *Shard) loadClosed(bases []Offset, end Offset) error {
	damage, err := s.loadAllSealed(bases, end)
	if err != nil {
		return err
	}
	return damage
}

// loadAllSealed reads files up to the record at end, and returns the first damage.
func (s *Shard) loadAllSealed(bases []Offset, end Offset) (damage, err error) {
	for i, base := range bases {
		f, err := s.loadSealed(base)
		if err != nil {
			return nil, err
		}
		next := end
		if i+1 < len(bases) {
			next = bases[i+1]
		}
		if f.bad != nil {
			f.end = next
		} else if f.end != next {
			missing := &file{name: path.Join(s.dir, segmentName(f.end)), base: f.end, end: next, sealed: true}
			missing.bad = s.damage(missing.name, -1, f.end, fmt.Sprintf("records %d to %d are missing", f.end, next))
			s.view.files = append(s.view.files, f)
			f = missing
		}
		if f.bad != nil && damage == nil {
			damage = f.bad
		}
		s.view.files = append(s.view.files, f)
	}
	return damage, nil
}

// loadSealed reads header and footer of a file that has another behind it.
func (s *Shard) loadSealed(base Offset) (*file, error) {
	name := path.Join(s.dir, segmentName(base))
	f, err := s.log.options.FS.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	defer f.Close()
	info, err := segment.ReadSealed(f)
	var bad *segment.CorruptError
	if err == nil {
		bad = s.belongs(info.Header, base)
	}
	if err == nil && bad == nil {
		err = s.checkKey(f, name, &info)
	}
	if bad != nil || errors.As(err, &bad) {
		return &file{name: name, base: base, end: base, sealed: true, bad: s.damage(name, bad.Position, base, bad.Reason)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return newFile(name, &info, info.Size, true), nil
}

// belongs checks that a file is the one that its name and place say.
func (s *Shard) belongs(h segment.Header, base Offset) *segment.CorruptError {
	if h.Stream != s.stream.number || h.Shard != uint32(s.id) || h.Created != s.created || Offset(h.Base) != base {
		return &segment.CorruptError{Reason: fmt.Sprintf("the file belongs to stream %d, shard %d made at %d, from record %d on",
			h.Stream, h.Shard, h.Created, h.Base)}
	}
	return nil
}

// loadTail opens the last file for writing: it recovers it, or begins another behind it
// when it is sealed. With damage before it, it is only read.
func (s *Shard) loadTail(base Offset, damage error) error {
	name := path.Join(s.dir, segmentName(base))
	f, err := s.log.options.FS.OpenWrite(name)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	keep := false
	defer func() {
		if !keep {
			f.Close()
		}
	}()
	if info, err := segment.ReadSealed(f); err == nil && s.belongs(info.Header, base) == nil {
		return s.loadSealedTail(f, name, &info, damage)
	}
	r, err := segment.Recover(f, s.log.options.Keys)
	if r.Header != (segment.Header{}) {
		if stranger := s.belongs(r.Header, base); stranger != nil {
			return s.loadBadTail(name, nothing(base), stranger, damage)
		}
	}
	var bad *segment.CorruptError
	switch {
	case r.Unfinished && damage == nil:
		return s.replaceTail(base)
	case errors.As(err, &bad) && bad.Position == 0: // no header
		return s.loadBadTail(name, nothing(base), bad, damage)
	case bad != nil:
		return s.loadBadTail(name, r, bad, damage)
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	case damage != nil:
		s.view.files = append(s.view.files, newFile(name, &r.Info, r.Size, false))
		return nil
	}
	if r.Torn > 0 {
		s.sums.torn.Add(uint64(r.Torn))
		s.log.options.Logger.Warn("cut a tail that was torn before it was synced",
			"stream", s.stream.name, "shard", s.id, "file", name, "at", r.Size, "bytes", r.Torn)
	}
	if r.Encrypted && r.End == r.Base {
		return s.replaceTail(base)
	}
	w, err := segment.Resume(f, r)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if r.Encrypted { // it takes no more records
		if err := w.Seal(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.view.files = append(s.view.files, newFile(name, w.Info(), w.Info().Size, true))
		return s.beginTail(Offset(w.Info().End))
	}
	keep, s.tail = true, w
	s.view.files = append(s.view.files, newFile(name, w.Info(), w.Synced(), false))
	return nil
}

// loadSealedTail begins a file behind one that a crash left without a successor.
func (s *Shard) loadSealedTail(f vfs.File, name string, info *segment.Info, damage error) error {
	if info.End == info.Base && damage == nil {
		// A reshard that never came to be sealed a file without records. The next has its name.
		return s.replaceTail(Offset(info.Base))
	}
	var bad *segment.CorruptError
	if err := s.checkKey(f, name, info); errors.As(err, &bad) {
		return s.loadBadTail(name, nothing(Offset(info.Base)), bad, damage)
	} else if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.view.files = append(s.view.files, newFile(name, info, info.Size, true))
	if damage != nil {
		return nil
	}
	if err := segment.Reseal(f, info); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return s.beginTail(Offset(info.End))
}

// beginTail makes the file that the next record goes to.
func (s *Shard) beginTail(base Offset) error {
	w, name, err := s.begin(base)
	if err != nil {
		return err
	}
	s.adoptTail(w, name)
	return nil
}

// replaceTail makes it where a file has its name that holds no record.
func (s *Shard) replaceTail(base Offset) error {
	w, name, err := s.replace(base)
	if err != nil {
		return fmt.Errorf("replace a file without records: %w", err)
	}
	s.adoptTail(w, name)
	return nil
}

func (s *Shard) adoptTail(w *segment.Writer, name string) {
	s.tail = w
	s.view.files = append(s.view.files, newFile(name, w.Info(), w.Synced(), false))
}

// nothing describes a file of which no record can be read.
func nothing(base Offset) *segment.Recovered {
	return &segment.Recovered{Info: segment.Info{Header: segment.Header{Base: uint64(base)}, End: uint64(base)}}
}

// loadBadTail keeps the records before the damage readable.
func (s *Shard) loadBadTail(name string, r *segment.Recovered, bad *segment.CorruptError, damage error) error {
	f := newFile(name, &r.Info, r.Size, false)
	f.bad = s.damage(name, bad.Position, f.end, bad.Reason)
	s.view.files = append(s.view.files, f)
	if damage != nil {
		return damage
	}
	return f.bad
}
