package stream

import (
	"errors"
	"fmt"
)

var (
	// ErrShardClosed ends appends and reads: the log of the shard is shut.
	ErrShardClosed = errors.New("the shard is closed")
	// ErrOverloaded refuses a submission because too many bytes wait for the disk. Try later.
	ErrOverloaded = errors.New("too many bytes wait to be written")
	// ErrTooLarge refuses a submission that would never be accepted.
	ErrTooLarge = errors.New("too large")
	// ErrTrimmed says that a record is past its retention.
	ErrTrimmed = errors.New("the records are past their retention")
	// ErrNotYet says that a sequence number or offset is above all that were given out.
	ErrNotYet = errors.New("no record has that position yet")
	// ErrStreamExists and ErrBadName refuse to create a stream.
	ErrStreamExists = errors.New("the stream exists")
	ErrBadName      = errors.New("not a stream name")
)

// FailedError says that a write or sync failed. The shard accepts no record until the
// log is opened again, and the outcome of the records that it answers is unknown: they
// may be there afterwards.
type FailedError struct {
	Stream string
	Shard  ShardID
	Err    error
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("stream %s %s accepts no more records until it is reopened: %v", e.Stream, e.Shard, e.Err)
}

func (e *FailedError) Unwrap() error { return e.Err }

// DamageError says that bytes which had been synced are not what was written. The
// records below Offset can be read; the file is left as it is.
type DamageError struct {
	Stream   string
	Shard    ShardID
	File     string
	Position int64  // in the file; -1 when the file is missing
	Offset   Offset // of the first record that cannot be read
	Reason   string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("stream %s %s is damaged from record %d on: %s at byte %d: %s", e.Stream, e.Shard, e.Offset, e.File, e.Position, e.Reason)
}
