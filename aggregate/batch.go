package aggregate

import (
	"errors"

	"freshet/ingest/point"
	"freshet/stream"
	"freshet/stream/kpl"
)

// A batch is a run of records on its way from the reader to the folder.
type batch struct {
	data    []byte         // of the records, which the points alias
	points  []*point.Batch // one a record, or user record of an aggregate; the first n are in use
	from    []origin       // of each of points
	n       int
	packed  []kpl.Record  // scratch
	bad     int           // records that are not points
	refused int           // points of the others that may not be
	next    stream.Offset // after the last record
	arrived int64

	heirs []inheritance // what the shard's parents leave it, in its first batch
	end   bool          // there is nothing in the batch, and no other follows
}

// A badRecord is told of a record that is no points, refused 0, or of which that many
// points may not be, with what is wrong.
type badRecord func(r stream.Record, refused int, err error)

// decode fills b with the points of the records of a shard. What is not points is counted.
func (b *batch) decode(shard *stream.Shard, records []stream.Record, bad badRecord) {
	b.n, b.bad, b.refused, b.data = 0, 0, 0, b.data[:0]
	for i := range records {
		b.data = append(b.data, records[i].Data...)
	}
	rest := b.data
	for _, r := range records {
		r.Data, rest = rest[:len(r.Data)], rest[len(r.Data):]
		b.next, b.arrived = r.Offset+1, r.Arrived
		if kpl.IsAggregated(r.Data) {
			var err error
			b.packed, err = kpl.Decode(b.packed[:0], r.Data)
			if err == nil {
				b.unpack(shard, r, bad)
				continue
			}
			if !errors.Is(err, kpl.ErrNotAggregate) {
				b.bad++
				bad(r, 0, err)
				continue
			}
		}
		b.add(r, notPacked, bad)
	}
}

// errElsewhere is why a user record is not counted. Producers that pack records foresee
// their shard; what a reshard has sent elsewhere they put again, so that counting it here
// would count it twice.
var errElsewhere = errors.New("a packed user record whose hash key belongs to another shard: its producer puts it again")

// unpack decodes the user records of r that belong to the shard.
func (b *batch) unpack(shard *stream.Shard, r stream.Record, bad badRecord) {
	for i := range b.packed {
		u := &b.packed[i]
		r.Data = u.Data
		hash, err := stream.RecordHash(u.PartitionKey, u.ExplicitHashKey)
		if err == nil && !shard.Holds(hash) { // one whose explicit hash key is no number is not dropped for it
			b.bad++
			bad(r, 0, errElsewhere)
			continue
		}
		b.add(r, int32(i), bad)
	}
}

// add decodes the points of a record, or of the sub-th that was packed in it.
func (b *batch) add(r stream.Record, sub int32, bad badRecord) {
	if b.n == len(b.points) {
		b.points, b.from = append(b.points, &point.Batch{}), append(b.from, origin{})
	}
	if err := b.points[b.n].DecodeRecord(r.Data, r.Arrived); err != nil {
		b.bad++
		bad(r, 0, err)
		return
	}
	if refused, err := b.points[b.n].Rejected(); refused > 0 {
		b.refused += refused
		bad(r, refused, err)
	}
	b.from[b.n] = origin{r.Offset, r.Arrived, sub}
	b.n++
}
