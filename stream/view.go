package stream

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"freshet/stream/segment"
)

// view is what readers may see of a shard: its files, and how far they are durable.
type view struct {
	// Written under mu, read by anyone.
	durable atomic.Uint64 // offsets below this are fsynced
	horizon atomic.Uint64 // offsets below this are trimmed
	damages atomic.Uint64 // times that a reader met damage

	mu      sync.Mutex
	files   []*file // by rising base; the last is the tail
	stop    error   // what a reader gets at the end, instead of waiting
	waiting []*Reader
	holds   map[string]Offset
}

// file is one segment. Its fields are guarded by view.mu, the first three never change.
type file struct {
	name string
	salt uint64
	base Offset

	encrypted bool // does not change either

	end          Offset // after the last record
	limit        int64  // bytes that may be read
	size         int64  // bytes on disk
	firstArrived int64  // epoch milliseconds; 0 when empty
	lastArrived  int64
	index        segment.Index
	sealed       bool
	bad          *DamageError
}

func newFile(name string, info *segment.Info, limit int64, sealed bool) *file {
	f := &file{name: name, salt: info.Salt, base: Offset(info.Base), encrypted: info.Encrypted, sealed: sealed}
	f.update(info, limit)
	return f
}

func (f *file) update(info *segment.Info, limit int64) {
	f.end, f.limit, f.size, f.index = Offset(info.End), limit, info.Size, info.Index
	f.firstArrived, f.lastArrived = info.FirstArrived, info.LastArrived
}

// publish makes what the tail holds durably visible and wakes the readers that wait.
func (v *view) publish(info *segment.Info, synced int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.files[len(v.files)-1].update(info, synced)
	v.durable.Store(info.End)
	v.wakeLocked()
}

// roll seals the tail and puts another behind it.
func (v *view) roll(sealed *segment.Info, next *file) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sealLocked(sealed)
	v.files = append(v.files, next)
}

// replace puts another tail in the place of one without records.
func (v *view) replace(next *file) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.files[len(v.files)-1] = next
}

// seal says that the last file is complete.
func (v *view) seal(sealed *segment.Info) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sealLocked(sealed)
}

func (v *view) sealLocked(sealed *segment.Info) {
	tail := v.files[len(v.files)-1]
	tail.update(sealed, sealed.Size)
	tail.sealed = true
}

// end makes readers at the end return an error. The first reason stands.
func (v *view) end(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stop == nil {
		v.stop = err
	}
	v.wakeLocked()
}

func (v *view) wakeLocked() {
	for i, r := range v.waiting {
		select {
		case r.wake <- struct{}{}:
		default:
		}
		v.waiting[i] = nil
	}
	v.waiting = v.waiting[:0]
}

// enlist puts the reader among those that the next commit wakes, unless there is
// something for it already.
func (v *view) enlist(r *Reader) (bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if Offset(v.durable.Load()) > r.next {
		return false, nil
	}
	if v.stop != nil {
		return false, v.stop
	}
	v.waiting = append(v.waiting, r)
	return true, nil
}

func (v *view) leave(r *Reader) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i := slices.Index(v.waiting, r); i >= 0 {
		v.waiting = slices.Delete(v.waiting, i, i+1)
	}
}

// find returns a copy of the file that holds an offset, the last one if it is above all.
func (v *view) find(o Offset) (file, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	i := sort.Search(len(v.files), func(i int) bool { return v.files[i].base > o }) - 1
	if i < 0 {
		return file{}, false
	}
	return *v.files[i], true
}

// findTime returns a copy of the first file whose last record arrived at or after a time.
func (v *view) findTime(ms int64) (file, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.files {
		if f.bad != nil || f.end > f.base && f.lastArrived >= ms {
			return *f, true
		}
	}
	return file{}, false
}

// empty says that no file is left.
func (v *view) empty() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.files) == 0
}

func (v *view) hold(name string, from Offset) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.holds == nil {
		v.holds = map[string]Offset{}
	}
	v.holds[name] = from
}
