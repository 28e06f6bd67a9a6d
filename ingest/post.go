package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"freshet/ingest/point"
	"freshet/stream"
)

// maxErrors is how many refused points of a post are described; the others are counted.
const maxErrors = 20

// partitionKey is the partition key of every record: the explicit hash key places it.
const partitionKey = "freshet"

// A Post is the points of one request on their way to the log. It is used once, by one
// goroutine, and given back with Free.
type Post struct {
	in       *Ingest
	now      int64 // epoch milliseconds: when the post came
	key      point.Key
	builder  point.Builder
	view     point.View // scratch
	accepted int
	rejected int
	errors   []Refusal

	// Records that are written, by shard. payload holds the bytes of all of them.
	payload []byte
	again   point.Batch // scratch: a record that a reshard sends elsewhere
	parts   []part
	byShard []int32 // shard id → index in parts + 1; 0 is none
	entries []stream.Entry
}

// A part is what of a post goes to one shard.
type part struct {
	shard   *stream.Shard
	key     stream.HashKey // of the first series, as good as any other of the shard
	series  []int          // of the builder, or runs of a batch, not yet written
	records []span
	sent    int // of records, those that the shard has taken
	commits []*stream.Commit
	last    stream.Offset // of the last record, once Commit has returned
}

// A span is a part of Post.payload.
type span struct{ start, end int }

// A Refusal says why one point of a post was refused.
type Refusal struct {
	Index int // of the point in the post, from 0
	Err   error
}

// A Result is what became of the points of a post.
type Result struct {
	Accepted int       // points on disk
	Rejected int       // points refused
	Errors   []Refusal // of the first 20 of those; valid until Free
}

// ErrOverloaded is the error of a post that was refused because the log has too much to
// write. Nothing of it was stored.
var ErrOverloaded = errors.New("over capacity")

// A PartialError says that the log failed while it took a post.
type PartialError struct {
	Shard stream.ShardID
	Err   error
}

// Error names the shard and the reason.
func (e *PartialError) Error() string { return fmt.Sprintf("%v: %v", e.Shard, e.Err) }

// Unwrap returns what the log said.
func (e *PartialError) Unwrap() error { return e.Err }

// NewPost returns an empty post, whose points are checked against the clock of now.
func (in *Ingest) NewPost() *Post {
	p, _ := in.posts.Get().(*Post)
	if p == nil {
		p = &Post{in: in}
	}
	p.now = in.now()
	return p
}

// maxKept is how much memory a post may hold and still be used again.
const maxKept = 4 << 20

// Free gives the post back. Neither it nor what it returned may be used afterwards.
func (p *Post) Free() {
	if cap(p.payload) > maxKept {
		return
	}
	p.builder.Reset()
	p.key = point.Key{}
	p.accepted, p.rejected = 0, 0
	clear(p.errors)
	p.errors = p.errors[:0]
	p.payload = p.payload[:0]
	for i := range p.parts {
		part := &p.parts[i]
		p.byShard[part.shard.ID()] = 0
		part.shard = nil
		clear(part.commits)
		part.series, part.records, part.sent, part.commits = part.series[:0], part.records[:0], 0, part.commits[:0]
	}
	p.parts = p.parts[:0]
	clear(p.entries)
	p.view = point.View{Labels: p.view.Labels[:0]}
	p.in.posts.Put(p)
}

// Now is when the post came, in epoch milliseconds: the time of points that say none.
func (p *Post) Now() int64 { return p.now }

// Add adds a point, the index-th of its request, or refuses it. It copies what it needs of v,
// whose labels it puts in order.
func (p *Post) Add(index int, v *point.View) {
	if err := p.builder.Take(v, p.now); err != nil {
		p.Refuse(index, err)
	} else {
		p.accepted++
	}
	if enough(&p.builder) {
		p.write()
	}
}

// Refuse counts a point that is none.
func (p *Post) Refuse(index int, err error) {
	p.rejected++
	if len(p.errors) < maxErrors {
		p.errors = append(p.errors, Refusal{index, err})
	}
}

// Commit appends the points and returns when they are durable.
//
// It is ErrOverloaded when nothing was stored because the log is too busy; try again later. It is a
// *PartialError when a shard failed, and ctx's error when ctx ended: then the outcome is unknown, some
// of the points may be stored.
func (p *Post) Commit(ctx context.Context) (Result, error) {
	if err := p.Submit(ctx); err != nil {
		return Result{}, err
	}
	return p.Wait(ctx)
}

// Submit is the first half of Commit: it hands the points to the log, behind those of posts
// that were submitted before. After an error it may be called again, and does what is left.
func (p *Post) Submit(ctx context.Context) error {
	p.write()
	return p.submit(ctx)
}

// Wait is the second half: it returns when the points are durable.
func (p *Post) Wait(ctx context.Context) (Result, error) {
	for i := range p.parts {
		for _, c := range p.parts[i].commits {
			first, err := c.Wait(ctx)
			if err != nil {
				return Result{}, p.failed(ctx, i, err)
			}
			p.parts[i].last = first
			if p.key != (point.Key{}) { // one commit for all of them
				p.parts[i].last += stream.Offset(len(p.parts[i].records) - 1)
			}
		}
	}
	c := &p.in.counters
	c.accepted.Add(uint64(p.accepted))
	c.rejected.Add(uint64(p.rejected))
	return Result{Accepted: p.accepted, Rejected: p.rejected, Errors: p.errors}, nil
}

// failed returns the error of Commit for what a shard said.
func (p *Post) failed(ctx context.Context, part int, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return &PartialError{Shard: p.parts[part].shard.ID(), Err: err}
}

// write makes records of the points in the builder, one a shard, and empties it.
func (p *Post) write() {
	if p.builder.Len() == 0 {
		p.builder.Reset() // it may hold strings of refused points
		return
	}
	for s := range p.builder.NumSeries() {
		part := p.part(p.builder.Hash(s))
		part.series = append(part.series, s)
	}
	for i := range p.parts {
		if part := &p.parts[i]; len(part.series) > 0 {
			start := len(p.payload)
			p.payload = p.builder.EncodeMarked(p.payload, part.series, p.mark(part))
			part.written(start, len(p.payload))
		}
	}
	p.builder.Reset()
}

// written adds a record of the series that were to be written.
func (p *part) written(start, end int) {
	p.records = append(p.records, span{start, end})
	p.series = p.series[:0]
}

// part returns the part for the shard of a series.
func (p *Post) part(hash uint64) *part {
	key := stream.HashKey{Hi: hash}
	shard := p.in.o.Stream.ShardFor(key)
	id := int(shard.ID())
	for len(p.byShard) <= id {
		p.byShard = append(p.byShard, 0)
	}
	if i := p.byShard[id]; i > 0 {
		return &p.parts[i-1]
	}
	if len(p.parts) < cap(p.parts) {
		p.parts = p.parts[:len(p.parts)+1] // with the memory of its slices
	} else {
		p.parts = append(p.parts, part{})
	}
	p.byShard[id] = int32(len(p.parts))
	part := &p.parts[len(p.parts)-1]
	part.shard, part.key = shard, key
	return part
}

// patience is how long a post waits for room on a shard once another shard has taken a part
// of it. Before that it does not wait: the sender can do so.
const patience = 10 * time.Second

// submit hands every record to its shard. They are on their way, not yet durable, when it
// returns nil.
func (p *Post) submit(ctx context.Context) error {
	for i := range p.parts { // better to refuse all of a post than a part of it
		if err := p.parts[i].shard.Err(); err != nil && !errors.Is(err, stream.ErrMoved) {
			return p.failed(ctx, i, err)
		}
	}
	if err := p.checkKeyed(); err != nil {
		return err
	}
	begun := false
	for moved := true; moved; {
		moved = false
		for i := 0; i < len(p.parts); i++ { // reroute may add to them
			err := p.submitPart(ctx, &p.parts[i], &begun)
			if errors.Is(err, stream.ErrMoved) {
				moved = true
				err = p.reroute(ctx, i)
			}
			if err != nil {
				if !begun && errors.Is(err, stream.ErrOverloaded) {
					return ErrOverloaded
				}
				return p.failed(ctx, i, err)
			}
		}
	}
	return nil
}

// submitPart submits the records of a part that its shard has not taken yet.
func (p *Post) submitPart(ctx context.Context, part *part, begun *bool) error {
	for part.sent < len(part.records) {
		at := part.records[part.sent : part.sent+1]
		if p.key != (point.Key{}) {
			at = part.records[part.sent:] // all or none of them
		}
		p.entries = p.entries[:0]
		for _, r := range at {
			p.entries = append(p.entries, stream.Entry{
				PartitionKey: partitionKey, HashKey: part.key, Explicit: true, Data: p.payload[r.start:r.end],
			})
		}
		commit, err := p.submitOne(ctx, part.shard, *begun)
		if err != nil {
			return err
		}
		part.commits = append(part.commits, commit)
		part.sent += len(at)
		*begun = true
		for _, r := range at {
			p.in.counters.records.Add(1)
			p.in.counters.recordBytes.Add(uint64(r.end - r.start))
		}
	}
	return nil
}

// checkKeyed refuses a post with a key of which a shard would not take all at once.
func (p *Post) checkKeyed() error {
	if p.key == (point.Key{}) {
		return nil
	}
	for i := range p.parts {
		size := 0
		for _, r := range p.parts[i].records {
			size += r.end - r.start
		}
		if size > keyedBytes {
			return refuse(http.StatusRequestEntityTooLarge,
				"body: with a key at most %d bytes for one shard, got %d in batches; nothing was stored; send smaller posts", keyedBytes, size)
		}
	}
	return nil
}

// reroute makes other records of those that a shard did not take because it is being
// split or merged: each series goes to the shard that has its hash now.
func (p *Post) reroute(ctx context.Context, i int) error {
	if err := p.parts[i].shard.Settled(ctx); err != nil {
		return err
	}
	moved := slices.Clone(p.parts[i].records[p.parts[i].sent:]) // write may add to them
	p.parts[i].records = p.parts[i].records[:p.parts[i].sent]
	for _, r := range moved {
		if err := p.again.Decode(p.payload[r.start:r.end]); err != nil {
			return fmt.Errorf("read a record again: %w", err)
		}
		for r := range p.again.Runs {
			run := &p.again.Runs[r]
			p.again.View(r, int(run.First), &p.view)
			series := p.builder.Series(&p.view)
			for j := int(run.First); j < int(run.First+run.N); j++ {
				p.builder.AddTo(series, p.again.Time[j], p.again.Value[j], p.again.Member(j))
			}
		}
		p.write()
	}
	return nil
}

// submitOne submits p.entries; if wait is set it waits for room.
func (p *Post) submitOne(ctx context.Context, shard *stream.Shard, wait bool) (*stream.Commit, error) {
	for pause := time.Millisecond; ; pause *= 2 {
		commit, err := shard.Submit(p.entries)
		if err == nil || !wait || !errors.Is(err, stream.ErrOverloaded) || pause > patience {
			return commit, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
}
