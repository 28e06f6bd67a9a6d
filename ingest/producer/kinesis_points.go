package producer

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"freshet/ingest/point"
)

// pointsKey is the partition key of records of points. The explicit hash key places them.
const pointsKey = "freshet"

// A delivery is a batch of points on its way as records.
type delivery struct {
	mu         sync.Mutex
	left       int // records without a result
	sent, lost int // points
	err        error
}

// deliver puts the points of a batch on the stream of Options.Kinesis and waits for the
// results: a record a series, under the hash of the series, so that its points stay in
// order and in the shard where ingest puts them, too. It is called again after ctx has
// ended, and then waits for what is still under way.
func (p *Producer) deliver(ctx context.Context, b *batch) outcome {
	if b.delivery == nil {
		d, err := p.putBatch(b)
		if err != nil {
			return outcome{final: true, lost: b.points, err: err}
		}
		b.delivery = d
	}
	// The error of Flush is about everybody's records; those of the batch have results.
	flushErr := p.o.Kinesis.Flush(ctx)
	d := b.delivery
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left > 0 {
		return outcome{err: flushErr}
	}
	return outcome{final: true, sent: d.sent, lost: d.lost, err: d.err}
}

// putBatch puts a batch, a record a series.
func (p *Producer) putBatch(b *batch) (*delivery, error) {
	var decoded point.Batch
	if err := decoded.Decode(b.payload); err != nil {
		return nil, fmt.Errorf("a batch of its own cannot be read: %w", err)
	}
	d := &delivery{left: len(decoded.Runs)}
	var builder point.Builder
	var view point.View
	var payload []byte
	for i := range decoded.Runs {
		run := &decoded.Runs[i]
		builder.Reset()
		for at := run.First; at < run.First+run.N; at++ {
			decoded.View(i, int(at), &view)
			builder.Add(&view)
		}
		p.records++
		payload = builder.EncodeKeyed(payload[:0], point.KeyOf(p.id, p.records))
		points := int(run.N)
		finish := func(err error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.left--
			if err != nil {
				d.lost, d.err = d.lost+points, err
			} else {
				d.sent += points
			}
		}
		var h hash
		binary.BigEndian.PutUint64(h[:8], run.Hash)
		r := Record{PartitionKey: pointsKey, ExplicitHashKey: hashText(h), Data: payload}
		if err := p.o.Kinesis.Put(r, func(r Result) { finish(r.Err) }); err != nil {
			finish(err)
		}
	}
	return d, nil
}
