package stream

import (
	"fmt"
	"time"
)

// sweep drops the files of a shard that are past their retention, oldest first. The
// directory is synced after each, since a gap between two files would be damage.
func (s *Shard) sweep() {
	for !s.sweepFailed {
		name := s.trim()
		if name == "" {
			return
		}
		fs := s.log.options.FS
		err := fs.Remove(name)
		if err == nil {
			err = fs.SyncDir(s.dir)
		}
		if err != nil {
			// Until the log is opened again: a later removal might outlive this one.
			s.sweepFailed = true
			s.log.options.Logger.Error("retention stops", "stream", s.stream.name, "shard", s.id,
				"error", fmt.Errorf("drop %s: %w", name, err))
			return
		}
		s.sums.dropped.Add(1)
	}
}

// trim takes the oldest file out of the list, if retention says so, and returns its name.
func (s *Shard) trim() string {
	o, v := &s.log.options, &s.view
	closed, retention := s.closing.Load(), s.stream.Retention()
	before := o.Now().Add(-retention).UnixMilli() // what arrived sooner is not kept
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stop != nil && closed == nil || len(v.files) == 0 || len(v.files) == 1 && closed == nil {
		return ""
	}
	f := v.files[0]
	old := retention > 0 && f.lastArrived < before
	large := o.RetentionBytes > 0 && v.bytesLocked() > o.RetentionBytes
	if len(v.files) == 1 { // a closed shard can be read until it is past its retention as a whole
		old, large = old && closed.at < before, false
	}
	if !f.sealed || f.bad != nil || !old && !large {
		return ""
	}
	for _, from := range v.holds {
		if from < f.end {
			return ""
		}
	}
	v.files = v.files[1:]
	v.horizon.Store(uint64(f.end))
	return f.name
}

func (v *view) bytesLocked() int64 {
	var n int64
	for _, f := range v.files {
		n += f.size
	}
	return n
}

// overdue says whether the sequencer should roll a quiet tail.
func (s *Shard) overdue(now time.Time) bool {
	v := &s.view
	age, ok := s.segmentAge()
	if !ok {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.files) == 0 {
		return false
	}
	f := v.files[len(v.files)-1]
	return f.end > f.base && now.UnixMilli()-f.firstArrived > age.Milliseconds()
}
