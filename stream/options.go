package stream

import (
	"log/slog"
	"time"

	"freshet/stream/keyring"
	"freshet/stream/vfs"
)

const (
	// MaxRecordBytes bounds the data of a record, in bytes.
	MaxRecordBytes = 10 << 20
	// MaxKeyBytes bounds a partition key: 256 characters of four bytes.
	MaxKeyBytes = 1024
	// MaxShards bounds the open shards of a stream.
	MaxShards = 1024
	// MaxKeptShards bounds the shards of a stream with those that reshards closed.
	MaxKeptShards = 10 * MaxShards

	defaultSegmentBytes = 64 << 20
	defaultPendingBytes = 16 << 20
	defaultRetention    = 24 * time.Hour
	// maxPendingBytes keeps a group within one frame, whatever one submission adds to it.
	maxPendingBytes = 32 << 20
	// maxSubmitBytes bounds one submission: the largest request that Kinesis accepts, and its keys.
	maxSubmitBytes = 16 << 20
)

// Options say where a log is and what bounds it.
type Options struct {
	Dir string // holds the whole log; made when it does not exist
	FS  vfs.FS // nil means the machine's

	SegmentBytes   int64         // a shard begins a new file past this size; 0 means 64 MiB
	Retention      time.Duration // files whose last record is older are dropped; 0 means 24 h, negative never
	RetentionBytes int64         // the oldest files of a shard that holds more are dropped; 0 means no bound
	PendingBytes   int           // what may wait for the disk, a shard; more is refused with ErrOverloaded; 0 means 16 MiB, at most 32 MiB

	Keys *keyring.Ring // for encrypted streams; nil means that there are none, and those neither read nor written

	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil means time.Now
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.Retention == 0 {
		o.Retention = defaultRetention
	}
	if o.PendingBytes <= 0 {
		o.PendingBytes = defaultPendingBytes
	}
	o.PendingBytes = min(o.PendingBytes, maxPendingBytes)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// segmentAge is how old the records of a tail may grow before it is sealed, so that a
// quiet shard, too, drops what is past its retention. There is none when all is kept.
func (s *Shard) segmentAge() (time.Duration, bool) {
	retention := s.stream.Retention()
	return max(retention/24, time.Second), retention > 0
}

// sweepEvery is how often retention looks.
func (o Options) sweepEvery() time.Duration {
	return min(max(o.Retention/240, 100*time.Millisecond), time.Minute)
}
