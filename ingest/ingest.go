// Package ingest is the first stage of the path: a request comes in, its points are read
// and checked, placed on shards, appended to the log, and acknowledged once they are durable.
//
// # Use
//
// There is a file for each protocol. Each of them reads points as [point.View]s into a
// [Post], which is what the protocols share, and commits it:
//
//	post := in.NewPost()
//	defer post.Free()
//	for … {
//		post.Add(index, &view)
//	}
//	result, err := post.Commit(ctx)
//
// [Ingest.ServeHTTP] serves POST /api/v1/points; cmd/freshet mounts it.
//
// # Placement
//
// A series is placed on a shard by its hash, so its points stay in order. The points of a
// post are grouped by shard, and each group becomes one record, or several when it is large.
// The payload is the batch codec of package point.
//
// # What an answer means
//
// 200 is sent when every accepted point is on disk. Any other answer, or none, leaves open
// whether some of the points were stored: a post is several records on several shards, and
// one of them may have failed after another succeeded, or the connection after both. A post with
// a key ([Post.SetKey], the header Idempotency-Key, or that of a batch of the SDK) may be sent again:
// its records carry the key, and what of them is in the log twice is counted once (package
// aggregate). Without a key points that are sent again may count twice. A post that is refused for
// what it is (400, 405, 413, 415), and one refused with 429, has stored nothing.
//
// # After a crash
//
// The package keeps nothing: what was acknowledged is in the log, what was not is gone.
//
// # Concurrency
//
// An Ingest serves any number of requests at once and starts no goroutines. A Post belongs
// to the goroutine that made it.
package ingest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"freshet/ingest/point"
	"freshet/stream"
)

// Options say where points go, and what a request may cost. Zero limits mean the default.
type Options struct {
	Stream *stream.Stream // takes the points; required

	BodyBytes     int64         // of a body as it is sent; 0 means 8 MiB
	UnpackedBytes int64         // of a body once it is decompressed; 0 means 32 MiB
	InFlightBytes int64         // of the bodies of all requests under way, decompressed; 0 means 128 MiB
	BodyTimeout   time.Duration // to receive a body; 0 means 30 s
	LabelBytes    int64         // of labels remembered as they were written; 0 means 128 MiB

	Now func() time.Time // nil means time.Now
}

// The limits when Options say nothing.
const (
	defaultBodyBytes     = 8 << 20
	defaultUnpackedBytes = 32 << 20
	defaultInFlightBytes = 128 << 20
	defaultBodyTimeout   = 30 * time.Second
	defaultLabelBytes    = 128 << 20 // enough for about a million series
)

// An Ingest takes points in. Its methods may be called from any goroutine.
type Ingest struct {
	o        Options
	inFlight atomic.Int64 // bytes of bodies under way
	counters counters
	labels   *point.Cache

	posts    sync.Pool // *Post
	requests sync.Pool // *request
}

// Stats count since New.
type Stats struct {
	Posts       uint64 // requests that were answered, whatever the answer
	Failed      uint64 // those answered with 429 or 503
	Accepted    uint64 // points acknowledged
	Rejected    uint64 // points refused for what they are
	Records     uint64 // records appended
	RecordBytes uint64 // their payloads
	BodyBytes   uint64 // bodies, as sent
	Unpacked    uint64 // bodies, decompressed
	InFlight    int64  // bytes of bodies under way, now
}

type counters struct {
	posts, failed, accepted, rejected, records, recordBytes, bodyBytes, unpacked atomic.Uint64
}

// New returns an Ingest. It starts nothing.
func New(o Options) (*Ingest, error) {
	if o.Stream == nil {
		return nil, errors.New("ingest: Options.Stream is required")
	}
	for _, limit := range []struct {
		value *int64
		def   int64
		name  string
	}{
		{&o.BodyBytes, defaultBodyBytes, "BodyBytes"},
		{&o.UnpackedBytes, defaultUnpackedBytes, "UnpackedBytes"},
		{&o.InFlightBytes, defaultInFlightBytes, "InFlightBytes"},
		{&o.LabelBytes, defaultLabelBytes, "LabelBytes"},
	} {
		if *limit.value < 0 {
			return nil, fmt.Errorf("ingest: Options.%s must not be negative, got %d", limit.name, *limit.value)
		}
		if *limit.value == 0 {
			*limit.value = limit.def
		}
	}
	if o.BodyTimeout == 0 {
		o.BodyTimeout = defaultBodyTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Ingest{o: o, labels: point.NewCache(int(o.LabelBytes))}, nil
}

// Stats returns the counters.
func (in *Ingest) Stats() Stats {
	c := &in.counters
	return Stats{
		Posts: c.posts.Load(), Failed: c.failed.Load(),
		Accepted: c.accepted.Load(), Rejected: c.rejected.Load(),
		Records: c.records.Load(), RecordBytes: c.recordBytes.Load(),
		BodyBytes: c.bodyBytes.Load(), Unpacked: c.unpacked.Load(),
		InFlight: in.inFlight.Load(),
	}
}

// reserve takes n of the bytes in flight, if there are as many.
func (in *Ingest) reserve(n int64) bool {
	if in.inFlight.Add(n) <= in.o.InFlightBytes {
		return true
	}
	in.inFlight.Add(-n)
	return false
}

// now returns the time in epoch milliseconds.
func (in *Ingest) now() int64 { return in.o.Now().UnixMilli() }

// recordBytes is how large a record grows: the points gathered are written when their batch
// may reach it. A Kinesis client reads records of up to 1 MiB.
const recordBytes = 512 << 10

// enough reports whether b should be written before another point comes.
func enough(b *point.Builder) bool {
	return b.Len() >= point.MaxBatchPoints || b.Size() >= recordBytes
}
