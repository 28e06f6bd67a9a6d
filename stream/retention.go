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
	now := o.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stop != nil || len(v.files) < 2 {
		return ""
	}
	f := v.files[0]
	old := o.Retention > 0 && f.lastArrived < now.Add(-o.Retention).UnixMilli()
	if !f.sealed || !old && !(o.RetentionBytes > 0 && v.bytesLocked() > o.RetentionBytes) {
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
	o, v := &s.log.options, &s.view
	if o.Retention <= 0 {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.files) == 0 {
		return false
	}
	f := v.files[len(v.files)-1]
	return f.end > f.base && now.UnixMilli()-f.firstArrived > o.segmentAge().Milliseconds()
}
