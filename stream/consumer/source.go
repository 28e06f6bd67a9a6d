package consumer

import (
	"context"

	"freshet/stream"
)

// A Source is a stream as a worker sees it. An adapter over a *stream.Stream is NewSource;
// one that speaks the Kinesis API can take its place.
type Source interface {
	// List returns the shards that are kept, closed ones too.
	List(ctx context.Context) (Listing, error)
	// Open returns a reader that begins at a position; that of a record Within begins at
	// the record itself. The error is stream.ErrNoShard when the shard is past its
	// retention, stream.ErrTrimmed when the position is.
	Open(ctx context.Context, shard stream.ShardID, at Position) (ShardReader, error)
}

// Listing is the shards of a stream at one time.
type Listing struct {
	// Stream tells streams apart, also those that had one name one after the other.
	Stream string
	Shards []Shard
	// Changed is closed when List would answer differently, or nil when the source
	// cannot tell: then a worker asks every SyncEvery.
	Changed <-chan struct{}
}

// Shard is what a worker knows of a shard.
type Shard struct {
	ID          stream.ShardID
	First, Last stream.HashKey   // its range, both ends included
	Parents     []stream.ShardID // none, the parent, or the parent and the adjacent parent
	Closed      bool             // it takes no more records
}

// A ShardReader reads a shard in order. It has one user at a time.
type ShardReader interface {
	// Next returns at least one record, at most limit and about maxBytes, and how many
	// milliseconds the last of them is behind the newest of the shard, 0 at the end. It
	// blocks until there is a record. The records are valid until the next call.
	//
	// The error is stream.ErrEnd when a closed shard is read to its end, stream.ErrTrimmed
	// when the next record is past its retention, or that of ctx. After an error the
	// reader stands where it stood.
	Next(ctx context.Context, limit, maxBytes int) (records []Record, behind int64, err error)
	Close() error
}

// A Tipper is a Source that can name the place after the last record there is. With it a
// consumer that starts at Latest misses nothing between its lease and its first read.
type Tipper interface {
	Tip(ctx context.Context, shard stream.ShardID) (Position, error)
}

// Record is a record of a stream, or a user record out of an aggregated one.
type Record struct {
	Sequence     stream.SequenceNumber
	Sub          uint32 // of a user record: its index in the aggregated record
	Aggregated   bool
	Arrived      int64 // epoch milliseconds
	PartitionKey []byte
	HashKey      stream.HashKey // as given, when Explicit
	Explicit     bool
	Data         []byte
	// Last says that it is the last of those that became durable together, as it is
	// whenever they are read. A source that cannot tell sets it on all.
	Last bool

	more bool // others of the same aggregated record follow
}

// Position is the place after the record.
func (r *Record) Position() Position {
	return Position{Kind: AfterRecord, Sequence: r.Sequence, Sub: r.Sub, Within: r.more}
}
