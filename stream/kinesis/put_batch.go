package kinesis

import (
	"sync"

	"freshet/stream"
)

// A batch is the records of one PutRecord or PutRecords on their way into shards, and
// what becomes of them. It belongs to one request at a time. Strings and data refer to
// the request's body or to the arena; the log copies them when they are submitted.
type batch struct {
	target struct{ name, arn, id string } // "" is absent
	single bool                           // PutRecord
	puts   []put
	arena  []byte

	encryption string // of the answer; "" leaves it out
	groups     []group
	// In use while records are routed.
	byShard []int32 // a group for each open shard
	entries []stream.Entry
}

// A put is one record.
type put struct {
	key      string
	keyed    bool // it has a partition key
	explicit bool // it has a hash key
	hash     stream.HashKey
	data     []byte

	group int32 // in batch.groups; unrouted before
	at    int32 // among the records of its group; refused is not one of them
}

const (
	unrouted = -1
	refused  = -1
)

// A group is the records of a batch that one shard takes in one submission.
type group struct {
	shard   *stream.Shard
	entries []stream.Entry
	count   int
	over    *Error // why records were refused one by one
	failed  *Error // why the whole group was
	moved   bool   // the shard was closed before it could take them
	commit  *stream.Commit
	first   stream.Offset
	arrived int64

	// In use while the answer is written.
	numbers numbers
	text    []byte // an entry of the answer
}

// size is what the service counts of a record.
func (p *put) size() int { return len(p.key) + len(p.data) }

// failure says why a record was not put, or nil.
func (b *batch) failure(p *put) *Error {
	g := &b.groups[p.group]
	if p.at == refused {
		return g.over
	}
	return g.failed
}

// sequence names a record that was put.
func (b *batch) sequence(p *put) stream.SequenceNumber {
	g := &b.groups[p.group]
	return g.shard.SequenceNumber(g.first+stream.Offset(p.at), g.arrived)
}

// batches are those that no request uses.
type batches struct{ pool sync.Pool }

func (p *batches) get() *batch {
	if b, ok := p.pool.Get().(*batch); ok {
		return b
	}
	return &batch{}
}

func (p *batches) put(b *batch) {
	b.reset()
	if cap(b.arena) <= maxPooledBuffer {
		p.pool.Put(b)
	}
}

// reset empties a batch, so that it keeps nothing alive.
func (b *batch) reset() {
	clear(b.puts)
	clear(b.entries)
	for i := range b.groups {
		b.groups[i] = group{text: b.groups[i].text[:0]}
	}
	*b = batch{puts: b.puts[:0], arena: b.arena[:0], groups: b.groups[:0], byShard: b.byShard[:0], entries: b.entries[:0]}
}

// addGroup begins a group.
func (b *batch) addGroup(sh *stream.Shard) int32 {
	n := len(b.groups)
	if n < cap(b.groups) {
		b.groups = b.groups[:n+1]
		b.groups[n] = group{text: b.groups[n].text[:0]}
	} else {
		b.groups = append(b.groups, group{})
	}
	b.groups[n].shard = sh
	return int32(n)
}
