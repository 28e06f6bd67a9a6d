package stream

import (
	"errors"
	"fmt"
)

var (
	// ErrShardClosed ends appends and reads: the log of the shard is shut.
	ErrShardClosed = errors.New("the log of the shard is shut")
	// ErrMoved refuses a submission because a reshard closes the shard, or has: wait with
	// Settled and route again.
	ErrMoved = errors.New("the shard has been split or merged; its hash keys belong to other shards")
	// ErrEnd ends reads: the shard is closed by a reshard and all of it was read.
	ErrEnd = errors.New("the end of a closed shard")
	// ErrOverloaded refuses a submission because too many bytes wait for the disk. Try later.
	ErrOverloaded = errors.New("too many bytes wait to be written")
	// ErrTooLarge refuses a submission that would never be accepted.
	ErrTooLarge = errors.New("too large")
	// ErrTrimmed says that a record is past its retention.
	ErrTrimmed = errors.New("the records are past their retention")
	// ErrNotYet says that a sequence number or offset is above all that were given out.
	ErrNotYet = errors.New("no record has that position yet")
	// ErrNoKeys says that a stream is to be encrypted and Options.Keys is nil.
	ErrNoKeys = errors.New("the stream is encrypted, and the log has no keys")
	// ErrStreamExists and ErrBadName refuse to create a stream.
	ErrStreamExists = errors.New("the stream exists")
	ErrBadName      = errors.New("not a stream name")
	// ErrNoStream and ErrNoShard say that there is none of that name or id.
	ErrNoStream = errors.New("no such stream")
	ErrNoShard  = errors.New("no such shard")
	// ErrNotOpen, ErrNotAdjacent, ErrBadSplit and ErrTooManyShards refuse a reshard.
	ErrNotOpen       = errors.New("the shard is closed")
	ErrNotAdjacent   = errors.New("the hash keys of the shards are not adjacent")
	ErrBadSplit      = errors.New("the hash key does not divide the shard")
	ErrTooManyShards = errors.New("too many shards")
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
